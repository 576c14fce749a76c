import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.PutMessageResult;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.queue.ConsumeQueueInterface;
import org.apache.rocketmq.store.queue.CqUnit;
import org.apache.rocketmq.store.queue.ReferredIterator;
import org.apache.rocketmq.store.stats.BrokerStatsManager;

/** A log whose messages go to light queues, and the units of these, as a whole store of Java writes them. */
public final class LmqGolden {
    private static final int FILE = 64 << 10;
    private static final int SEPARATOR = 0x01;

    private static final List<Map<String, Object>> SENT = new ArrayList<>();
    private static DefaultMessageStore store;

    public static void main(String[] args) throws Exception {
        GoldenFiles out = new GoldenFiles(args[0], "store/testdata");
        Path dir = Files.createTempDirectory("lmq");
        MessageStoreConfig config = new MessageStoreConfig();
        config.setStorePathRootDir(dir.toString());
        config.setStorePathCommitLog(dir.resolve("commitlog").toString());
        config.setMappedFileSizeCommitLog(FILE);
        config.setMappedFileSizeConsumeQueue(2000);
        config.setHaListenPort(0);
        config.setTimerWheelEnable(false);
        config.setEnableLmq(true);
        config.setEnableMultiDispatch(true);
        store = new DefaultMessageStore(config, new BrokerStatsManager("golden", false), (t, q, o, c, s, b, p) -> { }, new BrokerConfig(),
            new ConcurrentHashMap<>());
        if (!store.load()) {
            throw new IllegalStateException("cannot load");
        }
        store.start();
        put("A", 1, "INNER_MULTI_DISPATCH", "%LMQ%x", "UNIQ_KEY", "K0", "WAIT", "true", "TAGS", "TagA");
        put("A", 1, "TAGS", "TagB", "INNER_MULTI_DISPATCH", "%LMQ%x,%LMQ%y%z", "KEYS", "k1 k2", "UNIQ_KEY", "K1", "WAIT", "false");
        put("B", 0, "UNIQ_KEY", "K2", "WAIT", "true");
        put("B", 0, "UNIQ_KEY", "K3", "INNER_MULTI_DISPATCH", "%LMQ%y%z,");
        for (int i = 4; i < 16; i++) {
            put("A", i % 2, "UNIQ_KEY", "K" + i, "INNER_MULTI_DISPATCH", i % 3 == 0 ? "%LMQ%x,%LMQ%w,%LMQ%y%z" : "%LMQ%x", "INNER_MULTI_QUEUE_OFFSET",
                "77", "a" + i, "ä", "MSG_REGION", "DefaultRegion", "TRACE_ON", "true", "CLUSTER", "DefaultCluster", "Zz", "1");
        }
        List<Object> many = new ArrayList<>();
        for (int i = 0; i < 130; i++) {
            many.add("key" + i);
            many.add("v" + i);
        }
        many.add("INNER_MULTI_DISPATCH");
        many.add("%LMQ%x");
        put("A", 1, many.toArray());
        put("%RETRY%g", 0, "UNIQ_KEY", "K17", "INNER_MULTI_DISPATCH", "%LMQ%x", "INNER_MULTI_QUEUE_OFFSET", "3");
        put("%DLQ%g", 0, "UNIQ_KEY", "K18", "INNER_MULTI_DISPATCH", "%LMQ%x", "INNER_MULTI_QUEUE_OFFSET", "3");

        long end = store.getMaxPhyOffset();
        while (store.dispatchBehindBytes() > 0) {
            Thread.sleep(10);
        }
        byte[] log = new byte[(int) end];
        ByteBuffer.wrap(Files.readAllBytes(dir.resolve("commitlog").resolve("00000000000000000000"))).get(log);
        Map<String, Object> queues = new TreeMap<>();
        for (String name : List.of("%LMQ%w", "%LMQ%x", "%LMQ%y%z")) {
            queues.put(name, units(name));
        }
        out.hex("lmq_log.golden", "DefaultMessageStore.putMessage", log);
        out.json("lmq.json", GoldenFiles.of("source", "DefaultMessageStore, " + GoldenFiles.version(), "sent", SENT, "queues", queues));
        store.shutdown();
        System.exit(0);
    }

    private static void put(String topic, int queue, Object... properties) throws Exception {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < properties.length; i += 2) {
            text.append(properties[i]).append((char) SEPARATOR).append(properties[i + 1]).append((char) (SEPARATOR + 1));
        }
        MessageExtBrokerInner m = new MessageExtBrokerInner();
        m.setTopic(topic);
        m.setQueueId(queue);
        m.setBody(GoldenFiles.bytes("body " + SENT.size()));
        // As SendMessageProcessor does.
        MessageAccessor.setProperties(m, MessageDecoder.string2messageProperties(text.toString()));
        m.setPropertiesString(MessageDecoder.messageProperties2String(m.getProperties()));
        m.setBornTimestamp(1700000000123L);
        m.setBornHost(new InetSocketAddress(InetAddress.getByName("10.1.2.3"), 54321));
        m.setStoreHost(new InetSocketAddress(InetAddress.getByName("10.1.2.3"), 10911));
        PutMessageResult r = store.putMessage(m);
        if (!r.isOk()) {
            throw new IllegalStateException(r.toString());
        }
        Map<String, Object> sent = GoldenFiles.of("topic", topic, "queueId", queue, "properties", text.toString());
        SENT.add(sent);
    }

    /** The units of a light queue, physical offset, size and tags code each. */
    private static List<List<Long>> units(String name) {
        List<List<Long>> out = new ArrayList<>();
        ConsumeQueueInterface q = store.getConsumeQueue(name, 0);
        ReferredIterator<CqUnit> it = q.iterateFrom(0);
        while (it.hasNext()) {
            CqUnit u = it.next();
            out.add(List.of(u.getPos(), (long) u.getSize(), u.getTagsCode()));
        }
        it.release();
        return out;
    }
}
