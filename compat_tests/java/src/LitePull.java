import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Verb litepull: DefaultLitePullConsumer with subscribe, or with assign and seek; light: a light queue beside topic. */
final class LitePull {
    private LitePull() {
    }

    static void run(Args args, Driver.Stop stop) throws Exception {
        String topic = args.need("topic");
        long expect = args.longValue("expect", Long.MAX_VALUE);
        boolean assign = args.flag("assign");
        long seek = args.longValue("seek", 0);
        String tag = args.get("tag", "*");
        String sql = args.get("sql", null);
        String light = args.get("light", null);
        DefaultLitePullConsumer consumer = Driver.patient(new DefaultLitePullConsumer(args.need("group")));
        String namesrv = args.need("namesrv");
        consumer.setNamesrvAddr(namesrv);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        args.end();
        if (!assign && sql != null) {
            consumer.subscribe(topic, MessageSelector.bySql(sql));
        } else if (!assign) {
            consumer.subscribe(topic, tag);
        }
        if (assign) {
            List<MessageQueue> queues = queues(namesrv, topic);
            List<MessageQueue> list = light == null ? queues : List.of(new MessageQueue(light, queues.get(0).getBrokerName(), 0));
            consumer.assign(list);
            // No pull may be under way at a seek: one that was sent before and answered after it would move the
            // queue's pull offset back, and interrupting it may close the connection under the seek.
            consumer.pause(list);
            consumer.start();
            if (light != null) { // no name server knows of it; asking for the topic tells the client where the broker is
                consumer.committed(queues.get(0));
            }
            for (MessageQueue q : list) {
                consumer.seek(q, seek);
            }
            consumer.resume(list);
        } else {
            consumer.start();
        }
        Out.event("started").print();
        stop.watchStdin();
        long received = 0;
        while (received < expect && !stop.requested()) {
            for (MessageExt m : consumer.poll(200)) {
                Out.message(m).print();
                received++;
            }
            consumer.commitSync();
        }
        consumer.shutdown();
        Out.event("done").put("received", received).print();
    }

    /** Lists the queues to assign, asked for by a consumer of its own, as only one that runs can tell. */
    private static List<MessageQueue> queues(String namesrv, String topic) throws Exception {
        DefaultLitePullConsumer scout = Driver.patient(new DefaultLitePullConsumer("scout"));
        scout.setNamesrvAddr(namesrv);
        scout.setInstanceName("scout");
        scout.start();
        try {
            return new ArrayList<>(scout.fetchMessageQueues(topic));
        } finally {
            scout.shutdown();
        }
    }
}
