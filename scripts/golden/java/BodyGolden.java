import com.alibaba.fastjson2.JSON;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.broker.offset.ConsumerOffsetManager;
import org.apache.rocketmq.broker.schedule.DelayOffsetSerializeWrapper;
import org.apache.rocketmq.broker.subscription.SubscriptionGroupManager;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.TopicFilterType;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageQueueForC;
import org.apache.rocketmq.namesrv.kvconfig.KVConfigSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.DataVersion;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.OffsetWrapper;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.admin.TopicStatsTable;
import org.apache.rocketmq.remoting.protocol.body.*;
import org.apache.rocketmq.remoting.protocol.header.GetConsumerListByGroupResponseBody;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.HeartbeatData;
import org.apache.rocketmq.remoting.protocol.heartbeat.ProducerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.protocol.subscription.CustomizedRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.ExponentialRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupForbidden;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.SimpleSubscriptionData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/**
 * JSON bodies and configuration files, a line for each: class, what it is, and the text. "filled" is an object with a
 * value in every field, "default" what an empty JSON object becomes, "fastjson1" the filled object as peers up to 5.3
 * write it where that differs, "file" the pretty text of a configuration file, its line ends as \\n, and "deflated" the
 * compressed registration in hex. "shared1" and "shared2" hold one part twice, as fastjson 1 and 2 write it; "double" and
 * "string" have values that are written in more than one way; "text" is TopicConfig.encode and, behind a tab, what
 * TopicConfig.decode makes of it.
 */
public final class BodyGolden {
    /** Classes whose JSON is a body. */
    private static final Class<?>[] BODIES = {
        TopicConfig.class, DataVersion.class, SubscriptionGroupConfig.class, SubscriptionData.class,
        ConsumerConnection.class, ProducerConnection.class, BrokerData.class, QueueData.class, TopicRouteData.class,
        ClusterInfo.class, TopicList.class, KVTable.class, GroupList.class, TopicConfigSerializeWrapper.class,
        TopicConfigAndMappingSerializeWrapper.class, SubscriptionGroupWrapper.class, RegisterBrokerBody.class,
        HeartbeatData.class, GetConsumerListByGroupResponseBody.class, LockBatchRequestBody.class,
        UnlockBatchRequestBody.class, LockBatchResponseBody.class, TopicStatsTable.class, ConsumeStats.class,
        BrokerMemberGroup.class, GetBrokerMemberGroupResponseBody.class, KVConfigSerializeWrapper.class,
        DelayOffsetSerializeWrapper.class, ConsumerOffsetSerializeWrapper.class, CheckClientRequestBody.class,
        CreateTopicListRequestBody.class, SubscriptionGroupList.class, BrokerStatsData.class, ProducerTableInfo.class,
        QuerySubscriptionResponseBody.class, GroupForbidden.class, ResetOffsetBody.class, ResetOffsetBodyForC.class,
        GetConsumerStatusBody.class, QueryCorrectionOffsetBody.class, QueryConsumeTimeSpanBody.class, ConsumeStatsList.class,
        QueryConsumeQueueResponseBody.class, UserInfo.class, AclInfo.class,
        // Parts of the above: here for what they make of missing fields.
        MessageQueue.class, GroupRetryPolicy.class, CustomizedRetryPolicy.class, ExponentialRetryPolicy.class,
        SimpleSubscriptionData.class, Connection.class, ConsumerData.class, ProducerData.class, ProducerInfo.class,
        BrokerStatsItem.class, OffsetWrapper.class, TopicOffset.class, MessageQueueForC.class,
        ConsumeQueueData.class, AclInfo.PolicyInfo.class, AclInfo.PolicyEntryInfo.class,
    };

    /** Classes whose pretty JSON is a configuration file. */
    private static final Class<?>[] FILES = {
        TopicConfigSerializeWrapper.class, SubscriptionGroupManager.class, ConsumerOffsetManager.class, DelayOffsetSerializeWrapper.class,
    };

    private static final StringBuilder OUT = new StringBuilder();
    private static int counter;

    public static void main(String[] args) throws Exception {
        Path file = Path.of(args[0], "remoting/protocol/body/testdata/bodies.golden".split("/"));
        OUT.append("# RemotingSerializable.toJson, ").append(GoldenFiles.version()).append('\n');
        for (Class<?> c : BODIES) {
            String filled = RemotingSerializable.toJson(filled(c), false);
            String old = com.alibaba.fastjson.JSON.toJSONString(filled(c));
            write(c, "filled", filled);
            if (!old.equals(filled)) {
                write(c, "fastjson1", old);
            }
            write(c, "default", still(JSON.toJSONString(JSON.parseObject("{}", c))));
        }
        for (Class<?> c : FILES) {
            write(c, "file", RemotingSerializable.toJson(filled(c), true).replace("\n", "\\n"));
        }
        registration();
        shared();
        scalars();
        topicTexts();
        Files.createDirectories(file.getParent());
        Files.writeString(file, OUT, StandardCharsets.UTF_8);
        System.exit(0); // some managers leave threads behind
    }

    private static void write(Class<?> c, String kind, String text) {
        OUT.append(c.getSimpleName()).append('\t').append(kind).append('\t').append(text).append('\n');
    }

    /** A filled object of a class; the same values in every run. */
    private static <T> T filled(Class<T> c) throws Exception {
        counter = 0;
        return object(c);
    }

    private static <T> T object(Class<T> c) throws Exception {
        @SuppressWarnings("unchecked") Constructor<T>[] all = (Constructor<T>[]) c.getDeclaredConstructors();
        Constructor<T> constructor = Arrays.stream(all).min(Comparator.comparingInt(Constructor::getParameterCount)).orElseThrow();
        constructor.setAccessible(true);
        Object[] args = new Object[constructor.getParameterCount()];
        for (int i = 0; i < args.length; i++) {
            args[i] = value(constructor.getGenericParameterTypes()[i]);
        }
        T v = constructor.newInstance(args);
        List<Field> fields = new ArrayList<>();
        for (Class<?> s = c; s != null && s.getName().startsWith("org.apache.rocketmq"); s = s.getSuperclass()) {
            fields.addAll(Arrays.asList(s.getDeclaredFields()));
        }
        fields.sort((a, b) -> a.getName().compareTo(b.getName()));
        for (Field f : fields) {
            int m = f.getModifiers();
            if (Modifier.isStatic(m) || Modifier.isTransient(m) || f.getName().equals("filterClassSource")) {
                continue;
            }
            Object value = value(f.getGenericType());
            if (value != null) {
                f.setAccessible(true);
                f.set(v, value);
            }
        }
        return v;
    }

    private static Object value(Type t) throws Exception {
        Class<?> c = (Class<?>) (t instanceof ParameterizedType ? ((ParameterizedType) t).getRawType() : t);
        if (c == String.class) {
            return "s" + ++counter;
        } else if (c == int.class || c == Integer.class) {
            return ++counter;
        } else if (c == long.class || c == Long.class) {
            return (long) ++counter;
        } else if (c == double.class) {
            return ++counter + 0.5;
        } else if (c == boolean.class || c == Boolean.class) {
            return ++counter % 2 == 0;
        } else if (c == AtomicLong.class) {
            return new AtomicLong(++counter);
        } else if (c == long[].class) {
            return new long[] {++counter, ++counter};
        } else if (c.isEnum()) {
            return c.getEnumConstants()[c.getEnumConstants().length - 1];
        } else if (Map.class.isAssignableFrom(c)) {
            return map(c, (ParameterizedType) t);
        } else if (Collection.class.isAssignableFrom(c)) {
            return collection(c, (ParameterizedType) t);
        }
        return c.getName().startsWith("org.apache.rocketmq") && !c.isInterface() && !c.getName().contains("Controller") ? object(c) : null;
    }

    // Sets and maps keep their order: some are hashed by enums, whose hash codes differ from run to run.

    private static Map<Object, Object> map(Class<?> c, ParameterizedType t) throws Exception {
        Map<Object, Object> m = c == TreeMap.class ? new TreeMap<>() : c.isAssignableFrom(LinkedHashMap.class) ? new LinkedHashMap<>() : new ConcurrentHashMap<>();
        for (int i = 0; i < 2; i++) {
            m.put(value(t.getActualTypeArguments()[0]), value(t.getActualTypeArguments()[1]));
        }
        return m;
    }

    private static Collection<Object> collection(Class<?> c, ParameterizedType t) throws Exception {
        Collection<Object> list = c == TreeSet.class ? new TreeSet<>() : Set.class.isAssignableFrom(c) ? new LinkedHashSet<>() : new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            list.add(value(t.getActualTypeArguments()[0]));
        }
        return list;
    }

    /** Sets to 0 what Java's constructors take from the clock. */
    private static String still(String json) {
        return json.replaceAll("\"(timestamp|subVersion|lastReadTimestamp)\":\\d+", "\"$1\":0");
    }

    private static void registration() throws Exception {
        RegisterBrokerBody b = filled(RegisterBrokerBody.class);
        for (TopicConfig t : b.getTopicConfigSerializeWrapper().getTopicConfigTable().values()) {
            t.setOrder(false);
            t.setTopicSysFlag(0);
        }
        write(RegisterBrokerBody.class, "deflated", GoldenFiles.hexOf(b.encode(true)));
    }

    /** fastjson 1 writes a path in place of an object it has written before. */
    private static void shared() {
        BrokerStatsItem item = new BrokerStatsItem();
        item.setSum(3);
        BrokerStatsData d = new BrokerStatsData();
        d.setStatsDay(item);
        d.setStatsHour(item);
        d.setStatsMinute(item);
        BrokerData broker = new BrokerData("c", "b", new HashMap<>(Map.of(0L, "h:1")));
        TopicRouteData r = new TopicRouteData();
        r.setBrokerDatas(List.of(broker, broker));
        TopicStatsTable t = new TopicStatsTable();
        TopicOffset o = new TopicOffset();
        o.setMaxOffset(7);
        for (int i = 0; i < 2; i++) {
            t.getOffsetTable().put(new MessageQueue("T", "b[0]", i), o);
        }
        for (Object x : List.of(d, r, t)) {
            write(x.getClass(), "shared1", com.alibaba.fastjson.JSON.toJSONString(x));
            write(x.getClass(), "shared2", RemotingSerializable.toJson(x, false));
        }
    }

    private static void scalars() {
        double[] doubles = {0, -0.0, 1, -2.5, 0.1, 1.0 / 3, 100, 999_999.9, 1e6, 9_999_999, 1e7, 12_345_678.9, 1e15, 1e16, 1.5e17, 1e20, 1e21,
            1e-2, 1e-3, 1.5e-4, 1e-5, 1e-6, 1e-7, 6.02e-23, Double.MAX_VALUE, Double.NaN, Double.POSITIVE_INFINITY};
        for (double v : doubles) {
            TopicStatsTable t = new TopicStatsTable();
            t.setTopicPutTps(v);
            write(t.getClass(), "double", RemotingSerializable.toJson(t, false));
        }
        HashMap<String, String> table = new HashMap<>();
        for (char c = 0; c < 0x21; c++) {
            table.put("c" + (int) c, "" + c);
        }
        for (String s : List.of("", "\"", "\\", "/", "<a href='x'>&amp;</a>", "\u007f\u0080\u009f", "\u00e9", "\u2028\u2029", "\ufeff", "\u4f60\u597d", "\ud83d\ude00")) {
            table.put("s" + s, s);
        }
        KVTable t = new KVTable();
        t.setTable(table);
        write(KVTable.class, "string", RemotingSerializable.toJson(t, false));
        write(KVTable.class, "string", com.alibaba.fastjson.JSON.toJSONString(t));
    }

    private static void topicTexts() {
        TopicConfig none = new TopicConfig("%RETRY%g-1", 1, 2, 4);
        none.setAttributes(null);
        TopicConfig full = new TopicConfig("a_b", 0, 8, 2, 3);
        full.setTopicFilterType(TopicFilterType.MULTI_TAG);
        full.setAttributes(new TreeMap<>(Map.of("message.type", "FIFO", "k\"", "\u00e9\\")));
        for (TopicConfig t : List.of(new TopicConfig("T"), none, full)) {
            TopicConfig back = new TopicConfig();
            String text = t.encode();
            if (!back.decode(text)) {
                throw new IllegalStateException(text);
            }
            write(TopicConfig.class, "text", text + '\t' + RemotingSerializable.toJson(back, false));
        }
    }
}
