import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientIDSetter;

/** Verb produce. */
final class Produce {
    private static final int MAX_IN_FLIGHT = 32;

    private final Args args;
    private final Driver.Stop stop;
    private final String topic;
    private final String mode;
    private final String prefix;
    private final int count;
    private final int size;
    private final int batch;
    private final String[] tags;
    private final boolean keys;
    private final int keyCount;
    private final String[] delays;
    private final String[] timers;
    private final String[] priorities;
    private final int queue;
    private final int sharding;
    private final int flag;
    private final long rate;
    private final boolean forever;
    private final Map<String, String> props;
    private final String number;
    private final AtomicLong acked = new AtomicLong();
    private final Semaphore inFlight = new Semaphore(MAX_IN_FLIGHT);
    private DefaultMQProducer producer;

    private Produce(Args args, Driver.Stop stop) {
        this.args = args;
        this.stop = stop;
        topic = args.need("topic");
        mode = args.get("mode", "sync");
        prefix = args.get("prefix", "m");
        count = args.intValue("count", 1);
        size = args.intValue("size", 0);
        batch = args.intValue("batch", 10);
        String list = args.get("tags", args.get("tag", ""));
        tags = list.isEmpty() ? new String[0] : list.split(",");
        keys = args.flag("keys");
        keyCount = args.intValue("keyCount", Integer.MAX_VALUE); // of different ones
        delays = args.get("delay", "0").split(",");
        timers = args.get("timer", "").split(","); // of 5.x: delayMs:N, delaySec:N or deliverMs:N, the last from now on
        queue = args.intValue("queue", -1);
        sharding = args.intValue("sharding", 0);
        flag = args.intValue("flag", 0);
        rate = args.longValue("rate", 0);
        forever = args.flag("forever");
        props = args.with("prop.");
        number = args.get("number", null);
        priorities = args.get("priority", "").split(","); // of 5.5
    }

    static void run(Args args, Driver.Stop stop) throws Exception {
        new Produce(args, stop).run();
    }

    private void run() throws Exception {
        producer = Driver.patient(new DefaultMQProducer(args.get("group", "producer-" + topic), args.flag("trace"), null));
        Driver.namespace(producer, args);
        producer.setNamesrvAddr(args.need("namesrv"));
        producer.setSendMsgTimeout(args.intValue("sendTimeout", 20000));
        producer.setVipChannelEnabled(args.flag("vip"));
        producer.setPollNameServerInterval(args.intValue("poll", 30000));
        producer.setRetryTimesWhenSendFailed(args.intValue("retries", 2));
        if (args.flag("autoBatch")) { // 5.x: the client makes batches of what is sent within a few ms
            Moved.call(producer, "setAutoBatch", true);
        }
        args.end();
        Driver.start(producer, topic);
        stop.watchStdin();
        long begin = System.nanoTime();
        for (int i = 0; (forever || i < count) && !stop.requested(); ) {
            if (mode.equals("batch")) {
                int n = forever ? batch : Math.min(batch, count - i);
                sendBatch(i, n);
                i += n;
            } else {
                send(i++);
            }
            pace(begin, i);
        }
        inFlight.acquire(MAX_IN_FLIGHT);
        producer.shutdown();
        Out.event("done").put("acked", acked.get()).print();
    }

    private void pace(long begin, int sent) throws InterruptedException {
        if (rate > 0) {
            long due = begin + sent * 1_000_000_000L / rate;
            long ms = (due - System.nanoTime()) / 1_000_000L;
            if (ms > 0) {
                stop.await(ms);
            }
        }
    }

    private void send(int i) throws Exception {
        Message m = message(i);
        try {
            switch (mode) {
                case "sync":
                    sent(m, i, queue >= 0 || sharding > 0 ? producer.send(m, selector(), i) : producer.send(m));
                    break;
                case "oneway":
                    if (queue >= 0 || sharding > 0) {
                        producer.sendOneway(m, selector(), i);
                    } else {
                        producer.sendOneway(m);
                    }
                    Out.event("sentOneway").put("body", body(m)).print();
                    break;
                case "async":
                    sendAsync(m, i);
                    break;
                default:
                    throw new Driver.Usage("unknown mode " + mode);
            }
        } catch (Driver.Usage e) {
            throw e;
        } catch (Exception e) {
            failed(body(m), e);
        }
    }

    private void sendAsync(Message m, int i) throws Exception {
        inFlight.acquire();
        SendCallback callback = new SendCallback() {
            @Override
            public void onSuccess(SendResult r) {
                sent(m, i, r);
                inFlight.release();
            }

            @Override
            public void onException(Throwable e) {
                failed(body(m), e);
                inFlight.release();
            }
        };
        try {
            if (queue >= 0 || sharding > 0) {
                producer.send(m, selector(), i, callback);
            } else {
                producer.send(m, callback);
            }
        } catch (Exception e) {
            inFlight.release();
            throw e;
        }
    }

    private void sendBatch(int from, int n) throws Exception {
        List<Message> list = new ArrayList<>();
        for (int i = from; i < from + n; i++) {
            list.add(message(i));
        }
        try {
            SendResult r = producer.send(list);
            String[] unique = split(r.getMsgId());
            String[] own = split(r.getOffsetMsgId());
            for (int i = 0; i < n; i++) {
                acked.incrementAndGet();
                print(body(list.get(i)), r, i < unique.length ? unique[i] : "", i < own.length ? own[i] : "", i);
            }
        } catch (Exception e) {
            for (Message m : list) {
                failed(body(m), e);
            }
        }
    }

    private static String[] split(String ids) {
        return ids == null ? new String[0] : ids.split(",");
    }

    private MessageQueueSelector selector() {
        return (queues, m, arg) -> {
            int id = queue >= 0 ? queue : (Integer) arg % sharding;
            return queues.stream().filter(q -> q.getQueueId() == id).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no queue " + id + " in " + queues));
        };
    }

    private Message message(int i) throws Exception {
        StringBuilder body = new StringBuilder(prefix).append('-').append(i);
        while (body.length() < size) {
            body.append('.');
        }
        Message m = new Message(topic, tags.length == 0 ? "" : tags[i % tags.length],
            keys ? prefix + "-k" + i % keyCount : "", body.toString().getBytes(StandardCharsets.UTF_8));
        m.setFlag(flag);
        int delay = Integer.parseInt(delays[i % delays.length]);
        if (delay > 0) {
            m.setDelayTimeLevel(delay);
        }
        props.forEach(m::putUserProperty);
        if (number != null) {
            m.putUserProperty(number, String.valueOf(i));
        }
        if (!priorities[i % priorities.length].isEmpty()) {
            Moved.call(m, "setPriority", Integer.parseInt(priorities[i % priorities.length]));
        }
        String[] timer = timers[i % timers.length].split(":");
        switch (timer[0]) {
            case "delayMs":
                Moved.call(m, "setDelayTimeMs", Long.parseLong(timer[1]));
                break;
            case "delaySec":
                Moved.call(m, "setDelayTimeSec", Long.parseLong(timer[1]));
                break;
            case "deliverMs":
                Moved.call(m, "setDeliverTimeMs", System.currentTimeMillis() + Long.parseLong(timer[1]));
                break;
            case "":
                break;
            default:
                throw new Driver.Usage("unknown timer " + timer[0]);
        }
        return m;
    }

    private static String body(Message m) {
        return new String(m.getBody(), StandardCharsets.UTF_8);
    }

    private void sent(Message m, int i, SendResult r) {
        acked.incrementAndGet();
        String unique = r.getMsgId() == null ? MessageClientIDSetter.getUniqID(m) : r.getMsgId();
        print(body(m), r, unique, r.getOffsetMsgId(), 0);
    }

    private static void print(String body, SendResult r, String unique, String own, int nth) {
        Out.event("sent").put("body", body).put("msgId", unique).put("offsetMsgId", own)
            .put("queueId", r.getMessageQueue().getQueueId()).put("queueOffset", r.getQueueOffset() + nth)
            .put("status", r.getSendStatus().name()).put("broker", r.getMessageQueue().getBrokerName())
            .put("topic", r.getMessageQueue().getTopic()).put("ackTimestamp", System.currentTimeMillis())
            .put("recallHandle", Recall.handle(r)).print();
    }

    private static void failed(String body, Throwable e) {
        Out.event("sendError").put("body", body).put("error", e.toString()).print();
    }
}
