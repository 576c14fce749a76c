import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.broker.filter.CommitLogDispatcherCalcBitMap;
import org.apache.rocketmq.broker.filter.ConsumerFilterData;
import org.apache.rocketmq.broker.filter.ConsumerFilterManager;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.filter.util.BloomFilter;
import org.apache.rocketmq.store.DispatchRequest;

/** consumerFilter.json, bloom filters, and the bit maps of messages. */
public final class FilterGolden {
    private static final String[][] FILTERS = {
        {"T", "g1", "a > 5 AND b = 'x'", "11"}, {"T", "g2", "a IS NOT NULL", "12"}, {"T", "g3", "a = 'it''s' OR 标签 IS NULL", "13"},
        {"T", "dead", "a > 1", "14"}, {"T2", "g1", "TRUE", "15"}, {"T2", "g组", "c IN ('\"\\', 'y')\n", "1700000000000"},
    };

    public static void main(String[] args) throws Exception {
        GoldenFiles out = new GoldenFiles(args[0], "broker/filter/testdata");
        ConsumerFilterManager manager = new ConsumerFilterManager();
        for (String[] f : FILTERS) {
            manager.register(f[0], f[1], f[2], "SQL92", Long.parseLong(f[3]));
        }
        long time = 1_700_000_000_000L;
        for (String[] f : FILTERS) {
            ConsumerFilterData data = manager.get(f[0], f[1]);
            if (data != null) {
                data.setBornTime(time++);
            }
        }
        manager.get("T", "dead").setDeadTime(4_000_000_000_000L); // so it is never cleaned
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("file", manager.encode(true));
        all.put("bitMaps", bitMaps(manager));
        all.put("sizes", sizes());
        all.put("positions", positions());
        out.lines("filter.json", "ConsumerFilterManager, CommitLogDispatcherCalcBitMap, BloomFilter", all);
        System.exit(0);
    }

    private static List<Object> bitMaps(ConsumerFilterManager manager) {
        BrokerConfig config = new BrokerConfig();
        config.setEnableCalcFilterBitMap(true);
        CommitLogDispatcherCalcBitMap dispatcher = new CommitLogDispatcherCalcBitMap(config, manager);
        List<Object> list = new ArrayList<>();
        String[][] messages = {
            {"T"}, {"T", "a", "6", "b", "x"}, {"T", "a", "6"}, {"T", "a", "text"}, {"T", "a", "it's"}, {"T2"}, {"T2", "c", "y"}, {"T3", "a", "6"},
        };
        for (String[] m : messages) {
            Map<String, String> properties = new HashMap<>();
            for (int i = 1; i < m.length; i += 2) {
                properties.put(m[i], m[i + 1]);
            }
            DispatchRequest request = new DispatchRequest(m[0], 0, 0L, 100, 0L, 0L, 0L, "", "", 0, 0L, properties);
            dispatcher.dispatch(request);
            byte[] map = request.getBitMap();
            list.add(GoldenFiles.of("message", m, "bitMap", map == null ? null : GoldenFiles.hexOf(map)));
        }
        return list;
    }

    /** k and m of every error rate and several expected numbers, k 0 where Java refuses. */
    private static List<Object> sizes() {
        List<Object> list = new ArrayList<>();
        for (int f = 0; f <= 100; f++) {
            for (int n : new int[] {0, 1, 2, 32, 64, 1000}) {
                int k = 0;
                int m = 0;
                try {
                    BloomFilter b = BloomFilter.createByFn(f, n);
                    k = b.getK();
                    m = b.getM();
                } catch (IllegalArgumentException e) {
                    k = 0;
                }
                list.add(new int[] {f, n, k, m});
            }
        }
        return list;
    }

    private static Map<String, Object> positions() {
        BloomFilter small = BloomFilter.createByFn(20, 32);
        BloomFilter large = BloomFilter.createByFn(1, 1000);
        Map<String, Object> map = new LinkedHashMap<>();
        for (String s : new String[] {"", "a", "g#T", "group#topic", "please_rename_unique_group_name#TopicTest", "组#题", "😀#😀", "x".repeat(15),
            "x".repeat(16), "x".repeat(17), "0123456789abcdef0123456789abcdef", "g".repeat(255) + "#" + "t".repeat(127)}) {
            map.put(s, List.of(small.calcBitPositions(s), large.calcBitPositions(s)));
        }
        return map;
    }
}
