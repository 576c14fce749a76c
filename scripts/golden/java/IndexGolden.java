import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.DispatchRequest;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.index.IndexFile;
import org.apache.rocketmq.store.index.IndexService;
import org.apache.rocketmq.store.index.QueryOffsetResult;

/** Index files as Java's IndexService writes them, what it answers from them, and hashes of keys. */
public final class IndexGolden {
    private static final int SLOTS = 23;
    private static final int ENTRIES = 39;
    private static final long START = 1_700_000_000_123L;

    private static GoldenFiles out;

    public static void main(String[] args) throws Exception {
        out = new GoldenFiles(args[0], "store/index/testdata");
        files();
        hashes();
        System.exit(0); // the store has threads
    }

    private static void files() throws Exception {
        Path root = Files.createTempDirectory("index-golden");
        MessageStoreConfig config = new MessageStoreConfig();
        config.setStorePathRootDir(root.toString());
        config.setStorePathCommitLog(root.resolve("commitlog").toString());
        config.setMaxHashSlotNum(SLOTS);
        config.setMaxIndexNum(ENTRIES);
        config.setMappedFileSizeCommitLog(1 << 20);
        DefaultMessageStore store = new DefaultMessageStore(config, null, null, new BrokerConfig(), new ConcurrentHashMap<>());
        IndexService service = new IndexService(store);
        Thread.setDefaultUncaughtExceptionHandler((thread, e) -> {
            if (!thread.getName().equals("FlushIndexFileThread")) { // it looks for a checkpoint, which only a loaded store has
                e.printStackTrace();
                System.exit(1);
            }
        });
        List<Object> messages = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            Map<String, Object> m = message(i);
            messages.add(m);
            service.buildIndex(request(m));
            Thread.sleep(3); // a file's name is the millisecond of its creation
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("slots", SLOTS);
        all.put("entries", ENTRIES);
        all.put("messages", messages);
        all.put("queries", queries(service));
        out.json("index.json", all);
        service.shutdown();
        File[] files = new File(root.toFile(), "index").listFiles();
        Arrays.sort(files);
        for (int i = 0; i < files.length; i++) {
            out.hex("index" + i + ".golden", "IndexService.buildIndex, file " + i, Files.readAllBytes(files[i].toPath()));
        }
    }

    /** The i-th message: from none to three kinds of keys, times that stand, run, jump and go back. */
    private static Map<String, Object> message(int i) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("topic", i % 7 == 3 ? "主题" : "TopicTest");
        m.put("offset", i * 211L);
        long time = START + i * 137L;
        if (i >= 20) {
            time += 3_600_000L; // an hour in the middle of a file
        }
        if (i >= 42) {
            time += 3_600_000L; // and one in front of the first message of a file
        }
        if (i == 30) {
            time -= 7_000L; // the clock went back
        }
        m.put("storeTimestamp", time);
        m.put("sysFlag", i == 12 ? MessageSysFlag.TRANSACTION_ROLLBACK_TYPE : i == 13 ? MessageSysFlag.TRANSACTION_PREPARED_TYPE
            : i == 14 ? MessageSysFlag.TRANSACTION_COMMIT_TYPE : 0);
        Map<String, String> p = new LinkedHashMap<>();
        if (i % 5 != 4) {
            p.put(MessageConst.PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX, String.format("7F0000010B6018B4AAC2130CB3C2%04X", i));
        }
        if (i % 3 == 0) {
            p.put(MessageConst.PROPERTY_KEYS, i % 2 == 0 ? "all key" + i % 6 : " all  all ключ😀" + i % 4 + " ");
        }
        if (i % 4 == 0) {
            p.put(MessageConst.PROPERTY_TAGS, "Tag" + i % 8);
        }
        m.put("properties", p);
        return m;
    }

    @SuppressWarnings("unchecked")
    private static DispatchRequest request(Map<String, Object> m) {
        Map<String, String> p = (Map<String, String>) m.get("properties");
        return new DispatchRequest((String) m.get("topic"), 0, (long) m.get("offset"), 211, 0, (long) m.get("storeTimestamp"), 0,
            p.get(MessageConst.PROPERTY_KEYS), p.get(MessageConst.PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX), (int) m.get("sysFlag"), 0, p);
    }

    private static List<Object> queries(IndexService service) {
        List<Object> list = new ArrayList<>();
        List<String[]> keys = new ArrayList<>();
        for (String key : new String[] {"all", "key0", "key4", "ключ😀1", "ключ😀3", "none", ""}) {
            keys.add(new String[] {key, null});
        }
        for (int i = 0; i < 60; i += 3) {
            keys.add(new String[] {String.format("7F0000010B6018B4AAC2130CB3C2%04X", i), null});
        }
        keys.add(new String[] {"Tag0", MessageConst.INDEX_TAG_TYPE});
        keys.add(new String[] {"Tag4", MessageConst.INDEX_TAG_TYPE});
        keys.add(new String[] {"Tag4", null});
        long[][] ranges = {{0, Long.MAX_VALUE}, {START, START + 2_000}, {START + 1_000, START + 5_000}, {START + 3_600_000, START + 3_606_000},
            {START + 7_200_000, START + 7_206_000}, {START + 3_604_000, START + 3_700_000}, {START - 10_000, START - 1}, {START + 10_000, START + 3_000_000}};
        for (String topic : new String[] {"TopicTest", "主题"}) {
            for (String[] key : keys) {
                for (long[] r : ranges) {
                    for (int max : new int[] {64, 3}) {
                        QueryOffsetResult got = service.queryOffset(topic, key[0], max, r[0], r[1], key[1]);
                        if (got.getPhyOffsets().isEmpty() && r[0] > 0 && r[0] != START + 7_200_000 || max == 3 && got.getPhyOffsets().size() < 3) {
                            continue; // says what another one says
                        }
                        list.add(GoldenFiles.of("topic", topic, "key", key[0], "type", key[1], "max", max, "begin", r[0], "end", r[1],
                            "offsets", got.getPhyOffsets().toString(), "lastTimestamp", got.getIndexLastUpdateTimestamp(),
                            "lastOffset", got.getIndexLastUpdatePhyoffset()));
                    }
                }
            }
        }
        return list;
    }

    private static void hashes() throws Exception {
        Path dir = Files.createTempDirectory("index-golden");
        IndexFile file = new IndexFile(dir.resolve("20260101000000000").toString(), 1, 2, 0, 0);
        Map<String, Object> all = new LinkedHashMap<>();
        for (String topic : new String[] {"TopicTest", "主题", "%RETRY%g", "😀"}) {
            for (String key : new String[] {"", "k", "7F0000010B6018B4AAC2130CB3C20000", "ключ 😀", "é\u0001\uFFFD", "k".repeat(300), min(topic)}) {
                all.put(topic + "#" + key, file.indexKeyHashMethod(topic + "#" + key));
            }
        }
        out.lines("hash.json", "IndexFile.indexKeyHashMethod", all);
    }

    /** A key that makes the hash of topic#key Integer.MIN_VALUE: seven digits to the base 31 reach every value. */
    private static String min(String topic) {
        long rest = Integer.toUnsignedLong(Integer.MIN_VALUE - (topic + "#AAAAAAA").hashCode());
        char[] key = new char[7];
        for (int i = key.length - 1; i >= 0; i--) {
            key[i] = (char) ('A' + rest % 31);
            rest /= 31;
        }
        return new String(key);
    }
}
