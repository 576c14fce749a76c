import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.stats.Stats;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.OffsetWrapper;
import org.apache.rocketmq.remoting.protocol.body.AclInfo;
import org.apache.rocketmq.remoting.protocol.body.BrokerStatsData;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.body.Connection;
import org.apache.rocketmq.remoting.protocol.body.ConsumeMessageDirectlyResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.remoting.protocol.body.TopicList;
import org.apache.rocketmq.remoting.protocol.body.UserInfo;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.admin.api.MessageTrack;

/**
 * Verb dashboard: asks what the pages of rocketmq-dashboard 2.1 ask, with the same calls of the admin client, and
 * prints one event for each, named after the endpoint, with the fields that the dashboard reads.
 */
final class Dashboard {
    private static final String TOPIC = "DashTopic";
    private static final String GROUP = "dash_group";
    private static final String FAILING = "dash_failing"; // whose messages are dead at once
    private static final String TRACES = "RMQ_SYS_TRACE_TOPIC";
    private static final int MESSAGES = 12;
    private static final long POLL = 20; // ms
    private final String namesrv;
    private final DefaultMQAdminExt admin = Driver.patient(new DefaultMQAdminExt(20000));
    private final CountDownLatch consumed = new CountDownLatch(MESSAGES);
    private String broker; // its address
    private String brokerName;
    private DefaultMQPushConsumer consumer;
    private DefaultMQPushConsumer failing;
    private DefaultMQProducer producer;
    private final List<SendResult> sent = new ArrayList<>();

    private Dashboard(Args args) {
        namesrv = args.need("namesrv");
        args.end();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("dashboard");
        admin.setVipChannelEnabled(true); // the dashboard's default
    }

    static void run(String verb, Args args, Driver.Stop stop) throws Exception {
        Dashboard d = new Dashboard(args);
        d.admin.start();
        d.cluster();
        d.topics();
        d.consumers();
        d.sendTopicMessage();
        d.topicPages();
        d.consumerPages();
        d.messagePages();
        d.deadLetters();
        d.collector();
        d.resets();
        d.groups();
        d.access();
        d.deletions();
        Out.event("done").print();
    }

    /** What one endpoint gives. */
    private interface Ask {
        void put(Out event) throws Exception;
    }

    /** Prints what an endpoint gives, or the code and remark it fails with. */
    private static void page(String name, Ask ask) {
        Out event = Out.event(name);
        try {
            ask.put(event);
        } catch (MQBrokerException e) {
            event.put("code", e.getResponseCode()).put("error", e.getErrorMessage());
        } catch (MQClientException e) {
            event.put("code", e.getResponseCode()).put("error", e.getErrorMessage());
        } catch (Exception e) {
            event.put("failed", e.toString());
        }
        event.print();
    }

    private void cluster() throws Exception {
        ClusterInfo info = admin.examineBrokerClusterInfo();
        BrokerData data = info.getBrokerAddrTable().values().iterator().next();
        broker = data.getBrokerAddrs().get(0L);
        brokerName = data.getBrokerName();
        page("cluster/list", o -> o.put("cluster", data.getCluster()).put("addr", broker).put("brokerName", brokerName)
            .put("clusters", info.getClusterAddrTable()));
        page("cluster/brokerConfig", o -> o.put("config", new TreeMap<Object, Object>(admin.getBrokerConfig(broker))));
    }

    private void createTopic(String name, String type) throws Exception {
        TopicConfig c = new TopicConfig(name, 4, 4, 6);
        c.setAttributes(Collections.singletonMap("+message.type", type));
        admin.createAndUpdateTopicConfig(broker, c);
    }

    private void topics() throws Exception {
        page("topic/createOrUpdate", o -> {
            createTopic(TOPIC, "NORMAL");
            createTopic(TOPIC, "NORMAL"); // the same again
            for (String type : new String[] {"FIFO", "DELAY", "TRANSACTION"}) {
                createTopic("Dash" + type, type);
            }
            o.put("listed", admin.fetchAllTopicList().getTopicList().contains(TOPIC)); // at once
        });
        page("topic/list", o -> {
            TopicList own = admin.getDefaultMQAdminExtImpl().getMqClientInstance().getMQClientAPIImpl().getSystemTopicList(20000);
            o.put("topics", admin.fetchAllTopicList().getTopicList()).put("system", own.getTopicList()).put("addr", own.getBrokerAddr());
        });
        page("topic/list.queryTopicType", o -> {
            Map<String, Object> types = new TreeMap<>();
            admin.getAllTopicConfig(broker, 10000).getTopicConfigTable()
                .forEach((name, c) -> types.put(name, String.valueOf(c.getAttributes().get("message.type"))));
            o.put("types", types);
        });
        page("topic/examineTopicConfig", o -> {
            TopicConfig c = admin.examineTopicConfig(broker, TOPIC);
            o.put("topic", c.getTopicName()).put("read", c.getReadQueueNums()).put("write", c.getWriteQueueNums()).put("perm", c.getPerm())
                .put("order", c.isOrder()).put("type", c.getAttributes().get("message.type"));
        });
        page("topic/examineTopicConfig of none", o -> o.put("found", String.valueOf(admin.examineTopicConfig(broker, "NoSuchTopic"))));
    }

    private void consumers() throws Exception {
        consumer = push(GROUP, TOPIC, ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        failing = push(FAILING, TOPIC, ConsumeConcurrentlyStatus.RECONSUME_LATER);
        failing.setMaxReconsumeTimes(0);
        consumer.start();
        producer = Driver.patient(new DefaultMQProducer("dash_producers", true, null));
        producer.setNamesrvAddr(namesrv);
        producer.start();
    }

    private DefaultMQPushConsumer push(String group, String topic, ConsumeConcurrentlyStatus answer) throws Exception {
        DefaultMQPushConsumer c = Driver.patient(new DefaultMQPushConsumer(group, answer == ConsumeConcurrentlyStatus.CONSUME_SUCCESS, null));
        c.setNamesrvAddr(namesrv);
        c.setInstanceName(group);
        c.setHeartbeatBrokerInterval(1000); // see warm of ../../client: a first heartbeat may be lost
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, group.equals(FAILING) ? "dead" : "*");
        c.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            if (answer == ConsumeConcurrentlyStatus.CONSUME_SUCCESS) {
                messages.forEach(m -> consumed.countDown());
            }
            return answer;
        });
        return c;
    }

    private void sendTopicMessage() throws Exception {
        for (int i = 0; i < MESSAGES; i++) {
            Message m = new Message(TOPIC, i == 0 ? "dead" : "tag", "key" + i, ("body " + i).getBytes(StandardCharsets.UTF_8));
            sent.add(producer.send(m, new MessageQueue(TOPIC, brokerName, i % 4), 20000));
        }
        failing.start(); // finds what it does not want at once; a pull that waited would only learn of it 15 s later
        page("topic/sendTopicMessage", o -> {
            Map<String, Object> status = new TreeMap<>();
            for (String type : new String[] {"FIFO", "DELAY"}) { // both by a plain send
                status.put(type, producer.send(new Message("Dash" + type, "x".getBytes(StandardCharsets.UTF_8)), 20000).getSendStatus());
            }
            TransactionMQProducer t = Driver.patient(new TransactionMQProducer("SELF_TEST_P_GROUP"));
            t.setNamesrvAddr(namesrv);
            t.setInstanceName("transactions");
            t.setTransactionListener(new Commit());
            t.start();
            status.put("TRANSACTION", t.sendMessageInTransaction(new Message("DashTRANSACTION", "x".getBytes(StandardCharsets.UTF_8)), null).getSendStatus());
            t.shutdown();
            o.put("status", status);
        });
        if (!consumed.await(90, TimeUnit.SECONDS)) {
            throw new IllegalStateException("not all messages were consumed");
        }
        while (consumer.getDefaultMQPushConsumerImpl().getOffsetStore().cloneOffsetTable(TOPIC).values().stream().mapToLong(Long::longValue).sum() < MESSAGES) {
            Thread.sleep(POLL); // the offset is updated behind the listener
        }
        committed(consumer, MESSAGES / 4);
        committed(failing, 1);
        producer.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
    }

    /** Persists a consumer's offsets until each is that far: a pull that was sent before carries an older one, and may be worked on later. */
    private void committed(DefaultMQPushConsumer c, long atLeast) throws Exception {
        for (long end = System.currentTimeMillis() + 60000; System.currentTimeMillis() < end; Thread.sleep(POLL)) {
            c.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            if (admin.examineConsumeStats(c.getConsumerGroup(), TOPIC).getOffsetTable().values().stream().allMatch(o -> o.getConsumerOffset() >= atLeast)) {
                return;
            }
        }
        throw new IllegalStateException("the offsets of " + c.getConsumerGroup() + " are not committed");
    }

    private static final class Commit implements TransactionListener {
        @Override
        public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
            return LocalTransactionState.COMMIT_MESSAGE;
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt m) {
            return LocalTransactionState.COMMIT_MESSAGE;
        }
    }

    private void topicPages() throws Exception {
        page("topic/stats", o -> {
            Map<String, Object> max = new TreeMap<>();
            admin.examineTopicStats(TOPIC).getOffsetTable().forEach((q, at) ->
                max.put(q.getBrokerName() + q.getQueueId(), at.getMinOffset() + "-" + at.getMaxOffset() + (at.getLastUpdateTimestamp() > 0 ? "" : " at no time")));
            o.put("queues", max);
        });
        page("topic/route", o -> {
            TopicRouteData r = admin.examineTopicRouteInfo(TOPIC);
            QueueData q = r.getQueueDatas().get(0);
            o.put("queues", q.getBrokerName() + " " + q.getReadQueueNums() + " " + q.getWriteQueueNums() + " " + q.getPerm() + " " + q.getTopicSysFlag())
                .put("addrs", r.getBrokerDatas().get(0).getBrokerAddrs());
        });
        page("topic/route of none", o -> o.put("found", String.valueOf(admin.examineTopicRouteInfo("NoSuchTopic"))));
        page("topic/queryTopicConsumerInfo", o -> o.put("groups", admin.queryTopicConsumeByWho(TOPIC).getGroupList()));
        page("topic/queryConsumerByTopic", o -> {
            Map<String, Object> queues = new TreeMap<>();
            for (Map.Entry<MessageQueue, OffsetWrapper> e : admin.examineConsumeStats(GROUP, TOPIC).getOffsetTable().entrySet()) {
                OffsetWrapper w = e.getValue();
                queues.put(e.getKey().getBrokerName() + e.getKey().getQueueId(), w.getConsumerOffset() + " of " + w.getBrokerOffset() + (w.getLastTimestamp() > 0 ? "" : " at no time"));
            }
            o.put("queues", queues);
        });
        page("producer/producerConnection", o -> {
            Connection c = admin.examineProducerConnectionInfo("dash_producers", TOPIC).getConnectionSet().iterator().next();
            o.put("language", c.getLanguage()).put("version", c.getVersion()).put("addr", c.getClientAddr()).put("id", c.getClientId());
        });
        page("producer/producerConnection of none", o -> o.put("connections", admin.examineProducerConnectionInfo("nobody", TOPIC).getConnectionSet().size()));
    }

    private void consumerPages() throws Exception {
        page("consumer/groupList", o -> {
            Map<String, Object> online = new TreeMap<>();
            for (String group : admin.getAllSubscriptionGroup(broker, 30000).getSubscriptionGroupTable().keySet()) {
                String one = "";
                try {
                    ConsumeStats s = admin.examineConsumeStats(group);
                    one = "behind " + s.computeTotalDiff();
                } catch (MQClientException | MQBrokerException e) {
                    one = "not found";
                }
                try {
                    ConsumerConnection c = admin.examineConsumerConnectionInfo(group);
                    one += ", " + c.getConnectionSet().size() + " " + c.getMessageModel() + " " + c.getConsumeType();
                } catch (MQBrokerException e) {
                    one += ", " + e.getResponseCode();
                } catch (MQClientException e) {
                    one += ", no route";
                }
                online.put(group, one);
            }
            o.put("groups", online);
        });
        page("consumer/consumerConnection", o -> {
            ConsumerConnection c = admin.examineConsumerConnectionInfo(GROUP, broker);
            Connection one = c.getConnectionSet().iterator().next();
            SubscriptionData s = c.getSubscriptionTable().get(TOPIC);
            o.put("id", one.getClientId()).put("language", one.getLanguage()).put("version", c.computeMinVersion()).put("type", c.getConsumeType())
                .put("model", c.getMessageModel()).put("from", c.getConsumeFromWhere()).put("topics", new TreeSet<>(c.getSubscriptionTable().keySet()))
                .put("expression", s.getExpressionType() + " " + s.getSubString() + " " + s.getTagsSet() + " " + s.getCodeSet()).put("subVersion", s.getSubVersion() > 0);
        });
        page("consumer/consumerRunningInfo", o -> {
            ConsumerRunningInfo i = admin.getConsumerRunningInfo(GROUP, consumer.buildMQClientId(), false);
            o.put("queues", i.getMqTable().keySet().stream().filter(q -> q.getTopic().equals(TOPIC)).count()).put("topics", i.getStatusTable().keySet()).put("start", i.getProperties().containsKey("PROP_CONSUMER_START_TIMESTAMP"))
                .put("jstack", i.getJstack() != null && !i.getJstack().isEmpty());
        });
        page("consumer/consumerRunningInfo with jstack", o -> {
            ConsumerRunningInfo i = admin.getConsumerRunningInfo(GROUP, consumer.buildMQClientId(), true);
            o.put("jstack", i.getJstack().contains("TID:"));
        });
        page("consumer/consumerRunningInfo of none", o -> o.put("found", String.valueOf(admin.getConsumerRunningInfo(GROUP, "nobody@1", false))));
        page("consumer/queryTopicByConsumer", o -> {
            Set<String> topics = new TreeSet<>();
            admin.examineConsumeStats(broker, GROUP, null, 3000).getOffsetTable().keySet().forEach(q -> topics.add(q.getTopic()));
            o.put("topics", topics);
        });
    }

    private void messagePages() throws Exception {
        String id = sent.get(1).getMsgId();
        page("message/queryMessageByTopicAndKey", o -> {
            MessageExt m = admin.queryMessage(TOPIC, "key1", 64, 0, System.currentTimeMillis()).getMessageList().get(0);
            o.put("body", text(m)).put("id", m.getMsgId().equals(id));
        });
        page("message/queryMessageByTopicAndKey of none", o -> o.put("found", admin.queryMessage(TOPIC, "nokey", 64, 0, System.currentTimeMillis()).getMessageList().size()));
        page("message/viewMessage", o -> {
            MessageExt m = admin.viewMessage(TOPIC, id);
            Map<String, Object> tracks = new TreeMap<>();
            for (MessageTrack t : admin.messageTrackDetail(m)) {
                tracks.put(t.getConsumerGroup(), t.getTrackType());
            }
            o.put("body", text(m)).put("tags", m.getTags()).put("keys", m.getKeys()).put("queueId", m.getQueueId()).put("queueOffset", m.getQueueOffset())
                .put("storeHost", m.getStoreHost().toString().replaceFirst("^/", "")).put("bornHost", m.getBornHostString()).put("tracks", tracks);
        });
        page("message/viewMessage of none", o -> o.put("found", String.valueOf(admin.viewMessage(TOPIC, "AC1100000000000000000000000000FF"))));
        page("message/consumeMessageDirectly", o -> {
            ConsumeMessageDirectlyResult r = admin.consumeMessageDirectly(GROUP, consumer.buildMQClientId(), TOPIC, id);
            o.put("result", r.getConsumeResult()).put("order", r.isOrder()).put("autoCommit", r.isAutoCommit());
        });
        page("message/consumeMessageDirectly of none", o -> o.put("result", admin.consumeMessageDirectly(GROUP, "nobody@1", TOPIC, id).getConsumeResult()));
        inTime();
        page("messageTrace/viewMessageTraceDetail", o -> {
            Set<String> kinds = traces(id);
            for (long end = System.currentTimeMillis() + 60000; kinds.size() < 3 && System.currentTimeMillis() < end; kinds = traces(id)) {
                Thread.sleep(POLL); // traces are sent behind
            }
            o.put("kinds", kinds);
        });
    }

    private Set<String> traces(String id) throws Exception {
        Set<String> kinds = new TreeSet<>();
        try {
            for (MessageExt m : admin.queryMessage(TRACES, id, 64, 0, System.currentTimeMillis()).getMessageList()) {
                for (String record : text(m).split("\u0002")) {
                    if (record.contains(id) && m.getBornHostString().equals("127.0.0.1")) {
                        kinds.add(record.substring(0, record.indexOf('\u0001')));
                    }
                }
            }
        } catch (MQClientException e) {
            if (e.getResponseCode() != ResponseCode.NO_MESSAGE) {
                throw e;
            }
        }
        return kinds;
    }

    private static String text(MessageExt m) {
        return new String(m.getBody(), StandardCharsets.UTF_8);
    }

    /** queryMessagePageByTopic and queryMessageByTopic: where a time begins and ends in each queue, and what lies between. */
    private void inTime() throws Exception {
        DefaultMQPullConsumer c = Driver.patient(new DefaultMQPullConsumer("TOOLS_CONSUMER"));
        c.setNamesrvAddr(namesrv);
        c.setInstanceName("pages");
        c.start();
        List<MessageExt> all = pulled(c, 0, System.currentTimeMillis() + 3600000);
        page("message/queryMessagePageByTopic", o -> {
            long first = all.stream().mapToLong(MessageExt::getStoreTimestamp).min().getAsLong();
            long last = all.stream().mapToLong(MessageExt::getStoreTimestamp).max().getAsLong();
            o.put("all", all.size()).put("exact", pulled(c, first, last).size()).put("before", pulled(c, 1000, first - 1).size())
                .put("after", pulled(c, last + 1, last + 3600000).size());
        });
        c.shutdown();
    }

    private static List<MessageExt> pulled(DefaultMQPullConsumer c, long begin, long end) throws Exception {
        List<MessageExt> found = new ArrayList<>();
        for (MessageQueue q : c.fetchSubscribeMessageQueues(TOPIC)) {
            long max = c.searchOffset(q, end);
            for (long offset = c.searchOffset(q, begin); offset <= max;) {
                PullResult r = c.pull(q, "*", offset, 32);
                offset = r.getNextBeginOffset();
                if (r.getPullStatus() != PullStatus.FOUND) {
                    break;
                }
                r.getMsgFoundList().stream().filter(m -> m.getStoreTimestamp() >= begin && m.getStoreTimestamp() <= end).forEach(found::add);
            }
        }
        return found;
    }

    private void deadLetters() throws Exception {
        page("dlqMessage/query of none", o -> o.put("route", String.valueOf(admin.examineTopicRouteInfo("%DLQ%" + GROUP))));
        String topic = "%DLQ%" + FAILING;
        MessageQueue q = new MessageQueue(topic, brokerName, 0);
        DefaultMQPullConsumer c = Driver.patient(new DefaultMQPullConsumer("TOOLS_CONSUMER"));
        c.setNamesrvAddr(namesrv);
        c.setInstanceName("dead");
        c.start();
        MessageExt dead = null;
        for (long end = System.currentTimeMillis() + 60000; dead == null && System.currentTimeMillis() < end; Thread.sleep(POLL)) {
            try {
                admin.examineTopicRouteInfo(topic);
                PullResult r = c.pull(q, "*", c.searchOffset(q, 0), 32);
                dead = r.getPullStatus() == PullStatus.FOUND ? r.getMsgFoundList().get(0) : null;
            } catch (MQClientException e) {
                // The message is not dead yet.
            }
        }
        MessageExt m = dead;
        page("dlqMessage/query", o -> o.put("body", text(m)).put("retryTopic", m.getProperty(MessageConst.PROPERTY_RETRY_TOPIC))
            .put("origin", sent.get(0).getMsgId().equals(m.getMsgId())).put("originId", m.getProperty(MessageConst.PROPERTY_ORIGIN_MESSAGE_ID) != null)
            .put("tags", m.getTags()).put("keys", m.getKeys()));
        page("dlqMessage/batchResend", o -> {
            ConsumerConnection online = admin.examineConsumerConnectionInfo(FAILING);
            String client = online.getConnectionSet().iterator().next().getClientId();
            o.put("result", admin.consumeMessageDirectly(FAILING, client, topic, m.getMsgId()).getConsumeResult());
        });
        c.shutdown();
    }

    private void collector() throws Exception {
        page("collector", o -> {
            BrokerStatsData put = admin.viewBrokerStatsData(broker, Stats.TOPIC_PUT_NUMS, TOPIC);
            BrokerStatsData get = admin.viewBrokerStatsData(broker, Stats.GROUP_GET_NUMS, TOPIC + "@" + GROUP);
            for (BrokerStatsData s : new BrokerStatsData[] {put, get}) { // the dashboard reads all of them
                s.getStatsDay().getSum();
                s.getStatsHour().getSum();
                s.getStatsMinute().getTps();
            }
            o.put("runtime", new TreeMap<>(admin.fetchBrokerRuntimeStats(broker).getTable()));
        });
        page("collector of none", o -> o.put("found", String.valueOf(admin.viewBrokerStatsData(broker, Stats.TOPIC_PUT_NUMS, "NoSuchTopic"))));
    }

    private void resets() throws Exception {
        consumer.suspend(); // or it would consume again, which is of no interest
        page("consumer/resetOffset", o -> o.put("queues", reset(GROUP, 0)));
        page("consumer/skipAccumulate", o -> o.put("queues", reset(GROUP, -1)));
        consumer.shutdown();
        page("consumer/consumerConnection of none", o -> {
            for (long end = System.currentTimeMillis() + 60000; System.currentTimeMillis() < end; Thread.sleep(POLL)) {
                admin.examineConsumerConnectionInfo(GROUP);
            }
            o.put("online", true);
        });
        page("consumer/resetOffset offline", o -> o.put("queues", reset(GROUP, 0)));
        page("message/viewMessage offline", o -> {
            Map<String, Object> tracks = new TreeMap<>();
            for (MessageTrack t : admin.messageTrackDetail(admin.viewMessage(TOPIC, sent.get(1).getMsgId()))) {
                tracks.put(t.getConsumerGroup(), t.getTrackType());
            }
            o.put("tracks", tracks);
        });
    }

    private Map<String, Object> reset(String group, long time) throws Exception {
        Map<String, Object> queues = new TreeMap<>();
        admin.resetOffsetByTimestamp(TOPIC, group, time, true).forEach((q, offset) -> queues.put(q.getBrokerName() + q.getQueueId(), offset));
        return queues;
    }

    private void groups() throws Exception {
        page("consumer/createOrUpdate", o -> {
            SubscriptionGroupConfig c = new SubscriptionGroupConfig();
            c.setGroupName("dash_made");
            c.setConsumeMessageOrderly(true);
            c.setRetryMaxTimes(3);
            c.setRetryQueueNums(2);
            c.setConsumeBroadcastEnable(false);
            c.setWhichBrokerWhenConsumeSlowly(7);
            admin.createAndUpdateSubscriptionGroupConfig(broker, c);
            SubscriptionGroupConfig got = admin.getAllSubscriptionGroup(broker, 30000).getSubscriptionGroupTable().get("dash_made");
            o.put("same", got.equals(c)).put("got", got.toString());
        });
        page("consumer/deleteSubGroup", o -> {
            admin.deleteSubscriptionGroup(broker, "dash_made", true);
            for (String prefix : new String[] {"%RETRY%", "%DLQ%"}) { // neither is there
                admin.deleteTopicInBroker(Collections.singleton(broker), prefix + "dash_made");
                admin.deleteTopicInNameServer(Collections.singleton(namesrv), prefix + "dash_made");
            }
            o.put("left", admin.getAllSubscriptionGroup(broker, 30000).getSubscriptionGroupTable().containsKey("dash_made"));
        });
    }

    /** The page of users and access rules. */
    private void access() {
        page("acl/users of none", o -> o.put("users", users()));
        page("acl/acls of none", o -> o.put("acls", acls("")));
        page("acl/createUser", o -> {
            admin.createUser(broker, UserInfo.of("dash", "secret", "Normal"));
            admin.createUser(broker, UserInfo.of("root", "power", "Super"));
            o.put("users", users());
        });
        page("acl/createUser again", o -> admin.createUser(broker, UserInfo.of("dash", "secret", "Normal")));
        page("acl/updateUser", o -> {
            admin.updateUser(broker, UserInfo.of("dash", "changed", "Normal", "disable"));
            o.put("users", users());
        });
        page("acl/createAcl", o -> {
            admin.createAcl(broker, acl("Topic:DashTopic", "10.0.0.1"));
            admin.createAcl(broker, acl("Group:dash*")); // a call for each resource
            o.put("acls", acls(""));
        });
        page("acl/createAcl of nobody", o -> admin.createAcl(broker, AclInfo.of("User:nobody", List.of("*"), List.of("All"), List.of(), "Allow")));
        page("acl/acls of a subject", o -> o.put("acls", acls("User:dash")));
        page("acl/acls of a resource", o -> o.put("acls", acls("Group:")));
        page("acl/updateAcl", o -> {
            AclInfo info = acl("Topic:DashTopic", "10.0.0.0/8");
            info.getPolicies().get(0).getEntries().get(0).setDecision("Deny");
            admin.updateAcl(broker, info);
            o.put("acls", acls(""));
        });
        page("acl/deleteAcl of a resource", o -> {
            admin.deleteAcl(broker, "User:dash", "Group:dash*");
            o.put("acls", acls(""));
        });
        page("acl/deleteAcl", o -> {
            admin.deleteAcl(broker, "User:dash", "");
            o.put("acls", acls(""));
        });
        page("acl/deleteUser", o -> {
            admin.deleteUser(broker, "dash");
            o.put("users", users());
        });
    }

    /** An ACL as the form gives it. */
    private static AclInfo acl(String resource, String... sourceIps) {
        AclInfo info = AclInfo.of("User:dash", List.of(resource), List.of("Pub", "Sub"), List.of(sourceIps), "Allow");
        info.getPolicies().get(0).setPolicyType("Custom");
        return info;
    }

    private String users() throws Exception {
        List<UserInfo> list = admin.listUser(broker, "");
        if (list == null) {
            return "none";
        }
        List<String> out = new ArrayList<>();
        for (UserInfo u : list) {
            out.add(String.join(" ", u.getUsername(), u.getPassword(), u.getUserType(), u.getUserStatus()));
        }
        return out.toString();
    }

    /** The rules that the page shows: those whose subject or else whose resource has a text in it. */
    private String acls(String search) throws Exception {
        List<AclInfo> list = admin.listAcl(broker, search, "");
        if (list == null || list.isEmpty()) {
            list = admin.listAcl(broker, "", search);
        }
        if (list == null) {
            return "none";
        }
        List<String> out = new ArrayList<>();
        for (AclInfo a : list) {
            for (AclInfo.PolicyInfo p : a.getPolicies()) {
                for (AclInfo.PolicyEntryInfo e : p.getEntries()) {
                    out.add(a.getSubject() + " " + p.getPolicyType() + " " + e.getResource() + " " + e.getActions() + " " + e.getSourceIps() + " " + e.getDecision());
                }
            }
        }
        return out.toString();
    }

    private void deletions() {
        page("topic/deleteTopic", o -> {
            admin.deleteTopicInBroker(Collections.singleton(broker), "DashFIFO");
            admin.deleteTopicInNameServer(Collections.singleton(namesrv), "DashFIFO");
            o.put("listed", admin.fetchAllTopicList().getTopicList().contains("DashFIFO"));
        });
    }
}
