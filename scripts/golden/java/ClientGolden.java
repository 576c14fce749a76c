import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.AccessChannel;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceTransferBean;
import org.apache.rocketmq.client.trace.TraceType;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageType;

/** What Java's client decides and writes that ours must decide and write alike. */
public final class ClientGolden {
    public static void main(String[] args) throws Exception {
        allocations(new GoldenFiles(args[0], "client/consumer/testdata"));
        keys(new GoldenFiles(args[0], "client/producer/testdata"));
        traces(new GoldenFiles(args[0], "client/internal/trace/testdata"));
        GoldenFiles records = new GoldenFiles(args[0], "client/internal/records/testdata");
        for (CompressionType type : CompressionType.values()) {
            records.hex(type.name().toLowerCase() + ".hex", "CompressorFactory.getCompressor(" + type + ").compress, level 5",
                CompressorFactory.getCompressor(type).compress(text(), 5));
        }
    }

    /** 12 kB, of which much repeats, near and far. */
    private static byte[] text() {
        StringBuilder sb = new StringBuilder();
        int random = 1;
        while (sb.length() < 12_000) {
            random = random * 1103515245 + 12345;
            sb.append(random % 7 == 0 ? "the lark ascending " : Integer.toHexString(random & 0xff)).append(random % 13 == 0 ? "zzzzzzzzzzzzzzzzzzzzzz" : "");
        }
        return sb.toString().getBytes(StandardCharsets.US_ASCII);
    }

    /** "queues/consumers" to the ids of the queues of each. */
    private static void allocations(GoldenFiles out) throws Exception {
        Map<String, Object> table = new LinkedHashMap<>();
        for (int queues = 1; queues <= 17; queues++) {
            for (int consumers = 1; consumers <= 9; consumers++) {
                List<MessageQueue> all = new ArrayList<>();
                for (int i = 0; i < queues; i++) {
                    all.add(new MessageQueue("T", "b", i));
                }
                List<String> ids = new ArrayList<>();
                for (int i = 0; i < consumers; i++) {
                    ids.add("c" + i);
                }
                List<List<Integer>> shares = new ArrayList<>();
                for (String id : ids) {
                    List<Integer> share = new ArrayList<>();
                    new AllocateMessageQueueAveragely().allocate("g", id, all, ids).forEach(q -> share.add(q.getQueueId()));
                    shares.add(share);
                }
                table.put(queues + "/" + consumers, shares);
            }
        }
        out.lines("allocate.json", "AllocateMessageQueueAveragely.allocate", table);
    }

    private static void keys(GoldenFiles out) throws Exception {
        Map<String, Object> table = new LinkedHashMap<>();
        List<MessageQueue> queues = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            queues.add(new MessageQueue("T", "b", i));
        }
        for (String key : new String[] {"", "a", "customer-7", "polygenelubricants", "Größe", "\ud83d\ude00", "order-123456789"}) {
            table.put(key, new SelectMessageQueueByHash().select(queues, null, key).getQueueId());
        }
        out.lines("queue.json", "SelectMessageQueueByHash.select of 7", table);
    }

    private static void traces(GoldenFiles out) throws Exception {
        Map<String, Object> table = new LinkedHashMap<>();
        TraceBean bean = new TraceBean();
        bean.setTopic("Orders");
        bean.setMsgId("7F0000010001A");
        bean.setOffsetMsgId("0A0B");
        bean.setTags("paid");
        bean.setKeys("k1 k2");
        bean.setStoreHost("10.0.0.1:10911");
        bean.setBodyLength(12);
        bean.setMsgType(MessageType.Delay_Msg);
        bean.setRetryTimes(2);
        bean.setTransactionId("TX");
        bean.setTransactionState(LocalTransactionState.ROLLBACK_MESSAGE);
        bean.setFromTransactionCheck(true);
        for (TraceType type : TraceType.values()) {
            if (type == TraceType.Recall) {
                continue; // off by default
            }
            TraceContext c = context(type, bean);
            if (type == TraceType.SubBefore || type == TraceType.SubAfter) {
                TraceBean second = new TraceBean();
                second.setTopic("Orders");
                second.setMsgId("7F0000010001B");
                second.setTags(null);
                second.setKeys(null);
                c.getTraceBeans().add(second);
            }
            put(table, type.name(), c);
        }
        TraceBean bare = new TraceBean();
        bare.setTopic("Orders");
        bare.setMsgId("7F0000010001C");
        bare.setTags(null);
        bare.setKeys(null);
        bare.setStoreHost("10.0.0.1:10911");
        bare.setMsgType(MessageType.Normal_Msg);
        bare.setOffsetMsgId("0A0C");
        put(table, "PubBare", context(TraceType.Pub, bare));
        out.lines("trace.json", "TraceDataEncoder.encoderFromContextBean", table);
    }

    private static TraceContext context(TraceType type, TraceBean bean) {
        TraceContext c = new TraceContext();
        c.setTraceType(type);
        c.setTimeStamp(1700000000123L);
        c.setRegionId("DefaultRegion");
        c.setGroupName("g");
        c.setCostTime(5);
        c.setSuccess(type == TraceType.Pub);
        c.setRequestId("REQ");
        c.setContextCode(4);
        c.setAccessChannel(AccessChannel.LOCAL);
        c.setTraceBeans(new ArrayList<>());
        c.getTraceBeans().add(bean);
        return c;
    }

    private static void put(Map<String, Object> table, String name, TraceContext c) {
        TraceTransferBean t = TraceDataEncoder.encoderFromContextBean(c);
        table.put(name, t.getTransData());
        table.put(name + ".keys", new TreeSet<>(t.getTransKey()));
    }
}
