import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Asks a consumer through the broker: requests that it replies to, its state, one message, another place to read from. */
final class Relay {
    private final Args args;
    private final String topic;
    private final String group;
    private final int count;
    private final BlockingQueue<MessageExt> got = new LinkedBlockingQueue<>();
    private final DefaultMQProducer asker;
    private final DefaultMQProducer replier;
    private final DefaultMQPushConsumer consumer;
    private final DefaultMQAdminExt admin = Driver.patient(new DefaultMQAdminExt(20000));

    private Relay(Args args) {
        this.args = args;
        topic = args.need("topic");
        group = args.need("group");
        count = args.intValue("count", 8);
        asker = Driver.patient(new DefaultMQProducer(group + "-asker"));
        replier = Driver.patient(new DefaultMQProducer(group + "-replier"));
        consumer = Driver.patient(new DefaultMQPushConsumer(group));
    }

    static void run(Args args) throws Exception {
        new Relay(args).run();
    }

    private void run() throws Exception {
        String namesrv = args.need("namesrv");
        String clone = args.need("clone");
        String broker = args.need("broker");
        args.end();
        asker.setNamesrvAddr(namesrv);
        asker.setInstanceName(group + "-asker");
        Driver.start(asker, topic);
        replier.setNamesrvAddr(namesrv);
        replier.setInstanceName(group + "-replier");
        replier.start();
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(group + "-consumer");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt m : messages) {
                if (text(m).equals("warm")) {
                    got.add(m);
                    continue;
                }
                try {
                    // Who asked has gone when a message is consumed again.
                    replier.send(MessageUtil.createReplyMessage(m, ("re:" + text(m)).getBytes(StandardCharsets.UTF_8)), 20000);
                } catch (Exception e) {
                    Out.event("replyError").put("error", String.valueOf(e.getMessage())).print();
                }
                got.add(m);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName(group + "-admin");
        admin.start();

        MessageExt first = ask();
        state(first);
        Moved.call(admin, "resetOffsetByTimestamp", topic, group, 0L, true);
        Out.event("again").put("messages", take()).print();
        // Offsets are told to the broker now and then, and no longer ignored when each queue has been pulled from.
        consumer.shutdown();
        admin.createAndUpdateTopicConfig(broker, new TopicConfig("%RETRY%" + clone)); // by its route the tool finds a group's brokers
        Object before = Moved.call(admin, "examineConsumeStats", group, topic);
        Moved.call(admin, "cloneGroupOffset", group, clone, topic, true);
        Object after = Moved.call(admin, "examineConsumeStats", clone, topic);
        Out.event("cloned").put("diff", Moved.call(before, "computeTotalDiff")).put("cloneDiff", Moved.call(after, "computeTotalDiff")).print();
        Object spans = Moved.call(admin, "queryConsumeTimeSpan", topic, group);
        Out.event("spans").put("queues", ((java.util.Collection<?>) spans).size()).print();
        Object units = Moved.call(admin, "queryConsumeQueue", broker, topic, first.getQueueId(), first.getQueueOffset(), 1, group);
        Out.event("units").put("units", ((java.util.Collection<?>) Moved.call(units, "getQueueData")).size()).print();
        Object all = Moved.call(admin, "fetchConsumeStatsInBroker", broker, false, 20000L);
        Out.event("all").put("behind", Moved.call(all, "getTotalDiff")).put("groups", String.valueOf(Moved.call(all, "getConsumeStatsList"))).print();
        admin.shutdown();
        asker.shutdown();
        replier.shutdown();
        Out.event("done").print();
    }

    private static String text(MessageExt m) {
        return new String(m.getBody(), StandardCharsets.UTF_8);
    }

    /** Sends requests and prints their replies. */
    private MessageExt ask() throws Exception {
        // A consumer may lose a race at its start and get nothing for 30 s. The asker must not be the one to find
        // out: with its first request it tells the broker of itself.
        replier.send(new Message(topic, "warm".getBytes(StandardCharsets.UTF_8)), 20000);
        got.poll(90, TimeUnit.SECONDS);
        MessageExt first = null;
        for (int i = 0; i < count; i++) {
            Message m = new Message(topic, ("q-" + i).getBytes(StandardCharsets.UTF_8));
            Message answer = asker.request(m, 30000);
            Out.event("answer").put("body", new String(answer.getBody(), StandardCharsets.UTF_8)).put("props", answer.getProperties()).print();
        }
        for (int i = 0; i < count; i++) {
            MessageExt m = got.poll(60, TimeUnit.SECONDS);
            first = first == null ? m : first;
        }
        return first;
    }

    private void state(MessageExt first) throws Exception {
        String client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        Object info = Moved.call(admin, "getConsumerRunningInfo", group, client, true);
        Out.event("state").put("jstack", ((String) Moved.call(info, "getJstack")).contains("RebalanceService"))
            .put("queues", ((Map<?, ?>) Moved.call(info, "getMqTable")).size())
            .put("subscriptions", ((java.util.Collection<?>) Moved.call(info, "getSubscriptionSet")).size()).print();
        try {
            Moved.call(admin, "getConsumerRunningInfo", group, "nobody", false);
            Out.event("stranger").put("error", "").print();
        } catch (Exception e) {
            Out.event("stranger").put("error", String.valueOf(e.getMessage())).print();
        }
        Map<?, ?> status = (Map<?, ?>) Moved.call(admin, "getConsumeStatus", topic, group, "");
        Out.event("status").put("clients", status.size()).put("mine", status.containsKey(client)).print();
        Object result = Moved.call(admin, "consumeMessageDirectly", group, client, topic, Moved.offsetMsgId(first));
        MessageExt direct = got.poll(60, TimeUnit.SECONDS);
        Out.event("direct").put("result", String.valueOf(Moved.call(result, "getConsumeResult")))
            .put("same", direct != null && text(direct).equals(text(first))).print();
    }

    /** Waits for as many messages as were asked and returns how many different ones came. */
    private int take() throws Exception {
        java.util.Set<String> bodies = new java.util.HashSet<>();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (bodies.size() < count && System.nanoTime() < end) {
            MessageExt m = got.poll(1, TimeUnit.SECONDS);
            if (m != null && !text(m).equals("warm")) {
                bodies.add(text(m));
            }
        }
        return bodies.size();
    }
}
