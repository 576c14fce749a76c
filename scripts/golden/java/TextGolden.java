import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Calendar;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.broker.BrokerController;
import org.apache.rocketmq.broker.schedule.ScheduleMessageService;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.common.message.MessageId;
import org.apache.rocketmq.store.config.MessageStoreConfig;

/** The small texts of a message: property strings, tag hashes, message ids, delay levels. */
public final class TextGolden {
    private static final String OUT = "remoting/message/testdata";

    private static GoldenFiles out;

    public static void main(String[] args) throws Exception {
        out = new GoldenFiles(args[0], OUT);
        properties();
        hashes();
        ids();
        delayLevels();
        System.exit(0); // ScheduleMessageService leaves a thread behind
    }

    private static void properties() throws Exception {
        String[] samples = {
            "", "a\u0001b\u0002", "a\u0001b", "a\u0001b\u0002c\u0001d", "a\u0001b\u0002\u0002c\u0001d\u0002",
            "a\u0001\u0002c\u0001d", "\u0001b\u0002c\u0001d", "ab\u0002c\u0001d", "a\u0001b\u0001c\u0002", "a\u0001\u0001\u0002",
            "a\u0001b\u0002a\u0001c\u0002", "a\u0001b\u0002a\u0001\u0002", "\u0002\u0002\u0002", "\u0001\u0001\u0001", "abc", "a\u0001",
            " a \u0001 b \u0002", "标签\u0001值😀\u0002", "a\u00012\u0002b\u0001x=\"y\"\\\n\u0002", "x\u0002\u0001y\u0002z\u0001w",
            "TAGS\u0001TagA\u0002KEYS\u0001k1 k2\u0002UNIQ_KEY\u00017F0000010B6018B4AAC2130CB3C20000\u0002WAIT\u0001true\u0002",
        };
        Map<String, Object> all = new LinkedHashMap<>();
        List<Object> parsed = new ArrayList<>();
        for (String s : samples) {
            parsed.add(GoldenFiles.of("text", s, "map", new TreeMap<>(MessageDecoder.string2messageProperties(s))));
        }
        all.put("string2messageProperties", parsed);
        String[][] maps = {
            {}, {"a", "b"}, {"a", "b", "c", "d"}, {"a", null}, {"a", null, "c", "d"}, {"a", ""}, {"", "b"}, {"标签", "值😀"}, {"a", "x\u0001y"},
        };
        List<Object> joined = new ArrayList<>();
        for (String[] pairs : maps) {
            Map<String, String> m = new LinkedHashMap<>();
            for (int i = 0; i < pairs.length; i += 2) {
                m.put(pairs[i], pairs[i + 1]);
            }
            joined.add(GoldenFiles.of("pairs", pairs, "text", MessageDecoder.messageProperties2String(m)));
        }
        all.put("messageProperties2String", joined);
        out.lines("properties.json", "MessageDecoder", all);
    }

    private static void hashes() throws Exception {
        Map<String, Object> all = new LinkedHashMap<>();
        String[] samples = {
            "", "*", "a", "TagA", "tagA", "polygenelubricants", "Aa", "BB", "TagA || TagB", "标签", "é", "e\u0301", "\uffff", "\ue000",
            "😀", "𠮷野家", "a😀b", "x".repeat(300), "\u0000", "\u0000a", "DESIGNING WORKHOUSES",
        };
        List<Object> list = new ArrayList<>();
        for (String s : samples) {
            list.add(GoldenFiles.of("text", s, "hash", s.hashCode(), "tagsCode", MessageExtBrokerInner.tagsString2tagsCode(s)));
        }
        all.put("strings", list);
        // Bytes that are no UTF-8, as Java reads them: the hash is of the string with replacement characters.
        List<Object> raw = new ArrayList<>();
        for (byte[] b : new byte[][] {{(byte) 0xff}, {'a', (byte) 0x80, 'b'}, {(byte) 0xe4, (byte) 0xb8}, {(byte) 0xf0, (byte) 0x9f, (byte) 0x98, 'x'},
            {(byte) 0xc0, (byte) 0x80}, {(byte) 0xed, (byte) 0xa0, (byte) 0x80}}) {
            String s = new String(b, StandardCharsets.UTF_8);
            raw.add(GoldenFiles.of("bytes", GoldenFiles.hexOf(b), "text", s, "hash", s.hashCode()));
        }
        all.put("notUtf8", raw);
        out.lines("hash.json", "String.hashCode, MessageExtBrokerInner.tagsString2tagsCode", all);
    }

    private static void ids() throws Exception {
        Map<String, Object> all = new LinkedHashMap<>();
        List<Object> offsetIds = new ArrayList<>();
        Object[][] samples = {
            {"127.0.0.1", 10911, 0L}, {"127.0.0.1", 10911, 255L}, {"255.254.253.252", 65535, Long.MAX_VALUE}, {"10.0.0.1", 1, 0x0102030405060708L},
            {"::1", 10911, 7L}, {"fe80::1:2", 10911, 0x0A0B0C0D0EL},
        };
        for (Object[] s : samples) {
            InetAddress ip = InetAddress.getByName((String) s[0]);
            String id = MessageDecoder.createMessageId(new InetSocketAddress(ip, (int) s[1]), (long) s[2]);
            MessageId back = MessageDecoder.decodeMessageId(id);
            offsetIds.add(GoldenFiles.of("id", id, "ip", s[0], "port", ((InetSocketAddress) back.getAddress()).getPort(), "offset", back.getOffset()));
        }
        all.put("offsetIds", offsetIds);
        List<Object> uniq = new ArrayList<>();
        for (String id : new String[] {"7F0000010B6018B4AAC2130CB3C20000", "0A010203FFFE18B4AAC200000001FFFF", "AC1100022A9F5E2DE80C7FFFFFFF0102",
            "FE800000000000000000000000010002" + "0B60" + "18B4AAC2" + "130CB3C2" + "0001"}) {
            uniq.add(uniq(id));
        }
        all.put("uniqKeys", uniq);
        out.lines("ids.json", "MessageDecoder.createMessageId, MessageClientIDSetter", all);
    }

    /** The time of an id is relative to the month that is now, so only the distance to the month's begin is kept. */
    private static Map<String, Object> uniq(String id) {
        Calendar cal = Calendar.getInstance();
        cal.setTime(MessageClientIDSetter.getNearlyTimeFromID(id));
        long time = cal.getTimeInMillis();
        cal.set(Calendar.DAY_OF_MONTH, 1);
        cal.set(Calendar.HOUR_OF_DAY, 0);
        cal.set(Calendar.MINUTE, 0);
        cal.set(Calendar.SECOND, 0);
        cal.set(Calendar.MILLISECOND, 0);
        return GoldenFiles.of("id", id, "ip", GoldenFiles.hexOf(MessageClientIDSetter.getIPFromID(id)),
            "ipString", MessageClientIDSetter.getIPStrFromID(id), "pid", MessageClientIDSetter.getPidFromID(id),
            "msSinceMonthBegan", time - cal.getTimeInMillis());
    }

    @SuppressWarnings("unchecked")
    private static void delayLevels() throws Exception {
        List<Object> list = new ArrayList<>();
        for (String s : new String[] {new MessageStoreConfig().getMessageDelayLevel(), "1s", "10s 1m", "1d 2h 3m 4s", "500s 01m", "1s  2s", " 1s", "1s ",
            "1S", "1x", "s", "1.5s", "", "-1s", "+1s", "1s,2s", "99999999999d"}) {
            MessageStoreConfig config = new MessageStoreConfig();
            config.setMessageDelayLevel(s);
            ScheduleMessageService service = new ScheduleMessageService(controller(config));
            boolean ok = service.parseDelayLevel();
            Map<String, Object> m = GoldenFiles.of("text", s, "ok", ok, "max", service.getMaxDelayLevel());
            Field table = ScheduleMessageService.class.getDeclaredField("delayLevelTable");
            table.setAccessible(true);
            m.put("millis", new ArrayList<>(new TreeMap<Integer, Long>((Map<Integer, Long>) table.get(service)).values()));
            m.put("unknownLevelMillis", service.computeDeliverTimestamp(99, 0));
            list.add(m);
        }
        out.lines("delay_levels.json", "ScheduleMessageService.parseDelayLevel", Map.of("samples", list));
    }

    /** A controller that has nothing but its configuration: the parser reads no more. */
    private static BrokerController controller(MessageStoreConfig config) throws Exception {
        Class<?> factory = Class.forName("sun.reflect.ReflectionFactory");
        Object f = factory.getMethod("getReflectionFactory").invoke(null);
        Constructor<?> c = (Constructor<?>) factory.getMethod("newConstructorForSerialization", Class.class, Constructor.class)
            .invoke(f, BrokerController.class, Object.class.getDeclaredConstructor());
        BrokerController controller = (BrokerController) c.newInstance();
        set(controller, "messageStoreConfig", config);
        set(controller, "brokerConfig", new BrokerConfig());
        return controller;
    }

    private static void set(Object target, String name, Object value) throws Exception {
        Field f = BrokerController.class.getDeclaredField(name);
        f.setAccessible(true);
        f.set(target, value);
    }
}
