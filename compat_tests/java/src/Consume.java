import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Verb consume: the push consumer. */
final class Consume {
    private final Driver.Stop stop;
    private final DefaultMQPushConsumer consumer;
    private final String topic;
    private final String mode;
    private final long expect;
    private final int failFirst;
    private final long delayMs;
    private final String holdBody; // hold=BODY:N refuses that message until N others have been accepted
    private final long holdUntil;
    private final AtomicLong accepted = new AtomicLong();
    private final AtomicLong received = new AtomicLong();
    private volatile String clientId = "";

    private Consume(Args args, Driver.Stop stop) throws Exception {
        this.stop = stop;
        topic = args.need("topic");
        mode = args.get("mode", "concurrent");
        expect = args.longValue("expect", Long.MAX_VALUE);
        failFirst = args.intValue("failFirst", 0);
        delayMs = args.longValue("delayMs", 0);
        String[] held = args.get("hold", ":0").split(":");
        holdBody = held[0];
        holdUntil = Long.parseLong(held[1]);
        consumer = Driver.patient(new DefaultMQPushConsumer(args.need("group"), args.flag("trace"), null));
        Driver.namespace(consumer, args);
        consumer.setNamesrvAddr(args.need("namesrv"));
        consumer.setConsumeFromWhere(from(args.get("from", "first")));
        String timestamp = args.get("timestamp", null);
        if (timestamp != null) {
            consumer.setConsumeTimestamp(timestamp);
        }
        if (args.get("maxReconsume", null) != null) {
            consumer.setMaxReconsumeTimes(args.intValue("maxReconsume", 16));
        }
        if (args.get("instance", null) != null) {
            consumer.setInstanceName(args.need("instance"));
        }
        consumer.setConsumeMessageBatchMaxSize(args.intValue("batchSize", 1));
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.setSuspendCurrentQueueTimeMillis(args.longValue("suspendMs", 100));
        consumer.setAwaitTerminationMillisWhenShutdown(5000);
        consumer.setVipChannelEnabled(args.flag("vip"));
        consumer.setHeartbeatBrokerInterval(args.intValue("heartbeatMs", 30000));
        consumer.setPollNameServerInterval(args.intValue("poll", 30000));
        String sql = args.get("sql", null);
        if (sql != null) {
            consumer.subscribe(topic, MessageSelector.bySql(sql));
        } else {
            consumer.subscribe(topic, args.get("tag", "*"));
        }
        if (args.flag("pop")) { // takes what the broker assigns, to pop or to pull
            Moved.call(consumer, "setClientRebalance", false);
            Moved.call(consumer, "setPopInvisibleTime", args.longValue("invisible", 60000));
            retrySoon(args.intValue("retryAfter", 10));
        }
    }

    /** The client has no setting for how long a message waits that the listener refuses, seconds. */
    private void retrySoon(int seconds) throws Exception {
        java.lang.reflect.Field levels = consumer.getDefaultMQPushConsumerImpl().getClass().getDeclaredField("popDelayLevel");
        levels.setAccessible(true);
        java.util.Arrays.fill((int[]) levels.get(consumer.getDefaultMQPushConsumerImpl()), seconds);
    }

    static void run(Args args, Driver.Stop stop) throws Exception {
        Consume c = new Consume(args, stop);
        args.end();
        c.run();
    }

    private static ConsumeFromWhere from(String where) {
        switch (where) {
            case "first":
                return ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET;
            case "last":
                return ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET;
            case "timestamp":
                return ConsumeFromWhere.CONSUME_FROM_TIMESTAMP;
            default:
                throw new Driver.Usage("unknown from=" + where);
        }
    }

    private void run() throws Exception {
        switch (mode) {
            case "broadcast":
                Moved.setMessageModel(consumer, "BROADCASTING");
                consumer.registerMessageListener(concurrently());
                break;
            case "concurrent":
                consumer.registerMessageListener(concurrently());
                break;
            case "orderly":
                consumer.registerMessageListener(orderly());
                break;
            default:
                throw new Driver.Usage("unknown mode " + mode);
        }
        consumer.start();
        clientId = String.valueOf(Moved.call(
            Moved.call(consumer.getDefaultMQPushConsumerImpl(), "getmQClientFactory"), "getClientId"));
        Out.event("started").put("clientId", clientId).print();
        stop.watchStdin();
        SortedSet<Integer> last = null;
        do {
            SortedSet<Integer> now = assigned();
            if (!now.equals(last)) {
                Out.event("assigned").put("queues", now).put("clientId", clientId).print();
                last = now;
            }
        } while (!stop.await(50));
        String reason = stop.await();
        consumer.shutdown();
        Out.event("done").put("received", received.get()).put("reason", reason).print();
    }

    private SortedSet<Integer> assigned() {
        SortedSet<Integer> ids = new TreeSet<>();
        for (MessageQueue q : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (q.getTopic().equals(topic)) {
                ids.add(q.getQueueId());
            }
        }
        return ids;
    }

    private MessageListenerConcurrently concurrently() {
        return (messages, context) -> {
            boolean ok = accept(messages);
            return ok ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER;
        };
    }

    private MessageListenerOrderly orderly() {
        return (messages, context) -> {
            boolean ok = accept(messages);
            return ok ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
        };
    }

    /** Prints the messages and tells whether they count as consumed. */
    private boolean accept(List<MessageExt> messages) {
        boolean ok = true;
        for (MessageExt m : messages) {
            boolean good = m.getReconsumeTimes() >= failFirst;
            if (holdUntil > 0 && new String(m.getBody(), StandardCharsets.UTF_8).equals(holdBody)) {
                good = accepted.get() >= holdUntil;
            } else if (good) {
                accepted.incrementAndGet();
            }
            ok &= good;
            Out.message(m).put("clientId", clientId).put("ok", good).print();
        }
        if (delayMs > 0) {
            try {
                Thread.sleep(delayMs);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        if (received.addAndGet(messages.size()) >= expect) {
            stop.now("expect");
        }
        return ok;
    }
}
