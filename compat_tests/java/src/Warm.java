import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Verb warm: loads what the other verbs load, with no server, for a class data archive. */
final class Warm {
    private Warm() {
    }

    private interface Step {
        void run() throws Exception;
    }

    static void run() {
        String nowhere = "127.0.0.1:1";
        DefaultMQProducer p = new DefaultMQProducer("warm");
        attempt(() -> {
            p.setNamesrvAddr(nowhere);
            p.start();
            p.send(new Message("warm", "x".getBytes()), 500);
        });
        p.shutdown();
        attempt(() -> {
            DefaultMQPushConsumer c = new DefaultMQPushConsumer("warm");
            c.setNamesrvAddr(nowhere);
            c.subscribe("warm", "*");
            c.registerMessageListener((MessageListenerConcurrently) (m, x) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
            c.start();
        });
        attempt(() -> {
            DefaultMQAdminExt a = new DefaultMQAdminExt();
            a.setNamesrvAddr(nowhere);
            a.start();
            a.shutdown();
        });
        Out.event("done").print();
        System.exit(0); // a normal exit writes the archive, halt() does not
    }

    /** Nothing listens, so most steps fail; they have loaded their classes by then. */
    private static void attempt(Step step) {
        try {
            step.run();
        } catch (Exception e) {
            Out.event("warm").put("error", e.toString()).print();
        }
    }
}
