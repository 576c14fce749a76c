import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Verbs queue, view and query: what a client can ask without consuming. */
@SuppressWarnings("deprecation")
final class Query {
    private Query() {
    }

    private static DefaultMQPullConsumer open(Args args, String group) throws Exception {
        DefaultMQPullConsumer c = Driver.patient(new DefaultMQPullConsumer(group));
        c.setNamesrvAddr(args.need("namesrv"));
        args.end();
        c.start();
        return c;
    }

    static void queue(Args args) throws Exception {
        String topic = args.need("topic");
        long timestamp = args.longValue("timestamp", System.currentTimeMillis());
        DefaultMQPullConsumer c = open(args, args.need("group"));
        for (MessageQueue q : new TreeSet<>(c.fetchSubscribeMessageQueues(topic))) {
            Out.event("queue").put("queueId", q.getQueueId()).put("broker", q.getBrokerName())
                .put("min", c.minOffset(q)).put("max", c.maxOffset(q))
                .put("committed", c.fetchConsumeOffset(q, true)).put("earliest", c.earliestMsgStoreTime(q))
                .put("byTime", c.searchOffset(q, timestamp)).print();
        }
        c.shutdown();
        Out.event("done").print();
    }

    static void view(Args args) throws Exception {
        String topic = args.need("topic");
        String id = args.need("msgId");
        DefaultMQPullConsumer c = open(args, args.get("group", "view-group"));
        Out.message(c.viewMessage(topic, id)).print();
        c.shutdown();
        Out.event("done").print();
    }

    static void byKey(Args args) throws Exception {
        String topic = args.need("topic");
        String key = args.need("key");
        long begin = args.longValue("begin", 0);
        long end = args.longValue("end", System.currentTimeMillis() + 60000);
        int max = args.intValue("max", 32);
        DefaultMQPullConsumer c = open(args, args.get("group", "query-group"));
        try {
            for (MessageExt m : c.queryMessage(topic, key, max, begin, end).getMessageList()) {
                Out.message(m).print();
            }
        } catch (MQClientException e) { // also when there is none
            Out.event("queryError").put("code", e.getResponseCode()).put("error", e.getErrorMessage()).print();
        }
        c.shutdown();
        Out.event("done").print();
    }
}
