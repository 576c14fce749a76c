import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.exception.MQClientException;
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
        consumer.setNamesrvAddr(args.need("namesrv"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        args.end();
        if (!assign && sql != null) {
            consumer.subscribe(topic, MessageSelector.bySql(sql));
        } else if (!assign) {
            consumer.subscribe(topic, tag);
        }
        consumer.start();
        if (assign) {
            Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
            List<MessageQueue> list = new ArrayList<>(queues);
            if (light != null) { // no name server knows of it; asking for the topic tells the client where the broker is
                consumer.committed(list.get(0));
                String broker = list.get(0).getBrokerName();
                list.clear();
                list.add(new MessageQueue(light, broker, 0));
            }
            consumer.assign(list);
            for (MessageQueue q : list) {
                seek(consumer, q, seek);
            }
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

    /**
     * Seeks, again when that fails: the client interrupts its own pull thread
     * then, and Netty may answer by closing the connection under the seek.
     */
    private static void seek(DefaultLitePullConsumer consumer, MessageQueue q, long offset) throws Exception {
        for (int attempt = 1; ; attempt++) {
            try {
                consumer.seek(q, offset);
                return;
            } catch (MQClientException e) {
                if (attempt == 10) {
                    throw e;
                }
                Thread.sleep(50);
            }
        }
    }
}
