import com.alibaba.fastjson2.JSON;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.broker.loadbalance.MessageRequestModeManager;
import org.apache.rocketmq.broker.pop.orderly.QueueLevelConsumerManager;
import org.apache.rocketmq.broker.processor.PopMessageProcessor;
import org.apache.rocketmq.broker.processor.QueryAssignmentProcessor;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.common.KeyBuilder;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.body.SetMessageRequestModeRequestBody;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.store.pop.AckMsg;
import org.apache.rocketmq.store.pop.BatchAckMsg;
import org.apache.rocketmq.store.pop.PopCheckPoint;

/** What POP writes: receipt handles, checkpoints, acknowledgements, the order of consumers; and who is assigned what. */
public final class PopGolden {
    private static final Map<String, Object> ALL = new LinkedHashMap<>();

    public static void main(String[] args) throws Exception {
        handles();
        checkPoints();
        acks();
        order();
        new GoldenFiles(args[0], "broker/pop/testdata").lines("pop.json", "ExtraInfoUtil, KeyBuilder, PopCheckPoint, AckMsg, BatchAckMsg, QueueLevelConsumerManager", ALL);
        Map<String, Object> assign = new LinkedHashMap<>();
        assign.put("allocate4Pop", allocations());
        assign.put("modes", modes());
        new GoldenFiles(args[0], "broker/assign/testdata").lines("assign.json", "QueryAssignmentProcessor.allocate4Pop, MessageRequestModeManager.encode", assign);
        System.exit(0); // QueueLevelConsumerManager leaves a thread behind
    }

    private static void handles() {
        List<Object> list = new ArrayList<>();
        for (String topic : new String[] {"T", KeyBuilder.buildPopRetryTopicV1("T", "G"), KeyBuilder.buildPopRetryTopicV2("T", "G")}) {
            StringBuilder start = new StringBuilder();
            StringBuilder offsets = new StringBuilder();
            StringBuilder counts = new StringBuilder();
            for (int q = 0; q < 2; q++) {
                ExtraInfoUtil.buildStartOffsetInfo(start, topic, q, 100 + q);
                ExtraInfoUtil.buildMsgOffsetInfo(offsets, topic, q, Arrays.asList(100L, 105L + q, Long.MAX_VALUE));
                ExtraInfoUtil.buildQueueOffsetOrderCountInfo(counts, topic, q, 105, 2);
                ExtraInfoUtil.buildQueueIdOrderCountInfo(counts, topic, q, q);
            }
            String handle = ExtraInfoUtil.buildExtraInfo(100, 1700000000123L, 60000, 7, topic, "broker-a", 3, 105);
            list.add(GoldenFiles.of("topic", topic, "normal", KeyBuilder.parseNormalTopic(topic, "G"), "handle", handle,
                "real", ExtraInfoUtil.getRealTopic(ExtraInfoUtil.split(handle), "T", "G"),
                "startOffset", start.toString(), "msgOffset", offsets.toString(), "orderCount", counts.toString()));
        }
        ALL.put("handles", list);
    }

    private static PopCheckPoint checkPoint() {
        PopCheckPoint c = new PopCheckPoint();
        c.setStartOffset(5);
        c.setPopTime(1700000000123L);
        c.setInvisibleTime(60000);
        c.setNum((byte) 3);
        c.setQueueId(3);
        c.setTopic("T");
        c.setCId("Gé\"/<");
        c.setBrokerName("b");
        return c;
    }

    private static void checkPoints() {
        List<PopCheckPoint> samples = new ArrayList<>();
        samples.add(checkPoint());
        PopCheckPoint diffs = checkPoint();
        diffs.addDiff(0);
        diffs.addDiff(7);
        diffs.addDiff(1000);
        samples.add(diffs);
        PopCheckPoint put = checkPoint();
        put.setNum((byte) 1);
        put.addDiff(0);
        put.setRePutTimes("2");
        put.setSuspend(true);
        put.setReviveOffset(9);
        samples.add(put);
        List<Object> list = new ArrayList<>();
        for (PopCheckPoint c : samples) {
            Map<String, Object> index = new LinkedHashMap<>();
            for (long at : new long[] {4, 5, 6, 7, 8, 12, 1005}) {
                index.put(Long.toString(at), c.indexOfAck(at));
            }
            List<Long> offsets = new ArrayList<>();
            for (byte i = 0; i < c.getNum(); i++) {
                offsets.add(c.ackOffsetByIndex(i));
            }
            list.add(GoldenFiles.of("json", JSON.toJSONString(c), "unique", PopMessageProcessor.genCkUniqueId(c), "due", c.getReviveTime(),
                "attempts", c.parseRePutTimes(), "index", index, "offsets", offsets));
        }
        ALL.put("checkPoints", list);
    }

    private static void acks() {
        AckMsg one = new AckMsg();
        one.setAckOffset(12);
        BatchAckMsg batch = new BatchAckMsg();
        batch.setAckOffset(-1);
        batch.getAckOffsetList().addAll(Arrays.asList(5L, 12L));
        List<Object> list = new ArrayList<>();
        for (AckMsg a : new AckMsg[] {one, batch}) {
            a.setStartOffset(5);
            a.setConsumerGroup("G");
            a.setTopic("T");
            a.setQueueId(3);
            a.setPopTime(1700000000123L);
            list.add(GoldenFiles.of("json", JSON.toJSONString(a), "unique", PopMessageProcessor.genAckUniqueId(a)));
            a.setBrokerName("b");
            list.add(GoldenFiles.of("json", JSON.toJSONString(a), "unique", PopMessageProcessor.genAckUniqueId(a)));
        }
        ALL.put("acks", list);
    }

    /** The same steps as inorder's TestFileAndCountsAreJavas. */
    private static void order() {
        QueueLevelConsumerManager m = new QueueLevelConsumerManager();
        List<String> counts = new ArrayList<>();
        StringBuilder sb = new StringBuilder();
        m.update("one", false, "T", "G", 0, 1700000000123L, 60000, Arrays.asList(5L, 6L, 9L), sb);
        counts.add(sb.toString());
        List<Long> next = new ArrayList<>();
        next.add(m.commitAndNext("T", "G", 0, 5, 1700000000123L));
        next.add(m.commitAndNext("T", "G", 0, 9, 1700000000123L));
        next.add(m.commitAndNext("T", "G", 0, 7, 1700000000123L));
        next.add(m.commitAndNext("T", "G", 0, 6, 1));
        m.updateNextVisibleTime("T", "G", 0, 6, 1700000000123L, 1700000070123L);
        sb = new StringBuilder();
        m.update(null, false, "T", "G", 11, 1700000000123L, 60000, Arrays.asList(5L), sb);
        counts.add(sb.toString());
        String first = m.encode(true).replaceAll("\"l\":\\d+", "\"l\":1");
        sb = new StringBuilder();
        m.update("two", false, "T", "G", 0, 1700000100123L, 60000, Arrays.asList(6L, 9L, 10L), sb);
        counts.add(sb.toString());
        sb = new StringBuilder();
        m.update("two", false, "T", "G", 0, 1700000100124L, 60000, Arrays.asList(6L, 9L, 10L), sb);
        counts.add(sb.toString());
        sb = new StringBuilder();
        m.update("three", false, "T", "G", 0, 1700000200123L, 60000, Arrays.asList(6L, 9L), sb);
        counts.add(sb.toString());
        for (long at : new long[] {6, 9}) {
            next.add(m.commitAndNext("T", "G", 0, at, 1700000200123L));
        }
        next.add(m.commitAndNext("T", "G", 5, 77, 1));
        ALL.put("order", GoldenFiles.of("counts", counts, "next", next, "file", first, "last", m.encode(true).replaceAll("\"l\":\\d+", "\"l\":1")));
    }

    private static List<Object> allocations() throws Exception {
        Field f = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        f.setAccessible(true);
        QueryAssignmentProcessor p = (QueryAssignmentProcessor) ((sun.misc.Unsafe) f.get(null)).allocateInstance(QueryAssignmentProcessor.class);
        List<Object> list = new ArrayList<>();
        for (AllocateMessageQueueStrategy s : new AllocateMessageQueueStrategy[] {new AllocateMessageQueueAveragely(), new AllocateMessageQueueAveragelyByCircle()}) {
            for (int queues : new int[] {1, 4, 7}) {
                for (int consumers : new int[] {1, 3, 5}) {
                    for (int share : new int[] {-2, -1, 0, 1, 2}) { // -2: not for POP
                        allocation(list, p, s, queues, consumers, share);
                    }
                }
            }
        }
        return list;
    }

    private static void allocation(List<Object> list, QueryAssignmentProcessor p, AllocateMessageQueueStrategy s, int queues, int consumers, int share) {
        List<MessageQueue> mqs = new ArrayList<>();
        for (int i = 0; i < queues; i++) {
            mqs.add(new MessageQueue("T", "b", i));
        }
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < consumers; i++) {
            ids.add("c" + i);
        }
        List<List<Integer>> got = new ArrayList<>();
        for (String id : ids) {
            List<Integer> mine = new ArrayList<>();
            for (MessageQueue mq : share == -2 ? s.allocate("G", id, mqs, ids) : p.allocate4Pop(s, "G", id, mqs, ids, share)) {
                mine.add(mq.getQueueId());
            }
            got.add(mine);
        }
        list.add(GoldenFiles.of("strategy", s.getName(), "queues", queues, "consumers", consumers, "share", share, "got", got));
    }

    private static String modes() {
        MessageRequestModeManager m = new MessageRequestModeManager();
        for (String topic : new String[] {"T1", "T2"}) {
            SetMessageRequestModeRequestBody b = new SetMessageRequestModeRequestBody();
            b.setTopic(topic);
            b.setConsumerGroup("G");
            b.setMode(topic.equals("T1") ? MessageRequestMode.POP : MessageRequestMode.PULL);
            b.setPopShareQueueNum(topic.equals("T1") ? 3 : 0);
            m.setMessageRequestMode(topic, "G", b);
        }
        return m.encode(true);
    }
}
