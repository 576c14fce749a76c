import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;

/** Verb recall: takes messages back before they are delivered; only 5.x clients can. */
final class Recall {
    private Recall() {
    }

    /** The handle of a sent message, empty when there is none. */
    static String handle(SendResult r) {
        try {
            Object handle = Moved.call(r, "getRecallHandle");
            return handle == null ? "" : (String) handle;
        } catch (Exception e) {
            return ""; // a 4.x client
        }
    }

    static void run(Args args) throws Exception {
        String topic = args.need("topic");
        String[] handles = args.need("handles").split(",");
        DefaultMQProducer producer = Driver.patient(new DefaultMQProducer(args.get("group", "recall-" + topic)));
        producer.setNamesrvAddr(args.need("namesrv"));
        args.end();
        producer.start();
        producer.getDefaultMQProducerImpl().fetchPublishMessageQueues(topic);
        for (String handle : handles) {
            try {
                Out.event("recalled").put("msgId", Moved.call(producer, "recallMessage", topic, handle)).print();
            } catch (MQBrokerException e) {
                Out.event("recallError").put("code", e.getResponseCode()).put("error", e.getErrorMessage()).print();
            }
        }
        producer.shutdown();
        Out.event("done").print();
    }
}
