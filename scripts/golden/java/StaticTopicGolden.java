import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import com.alibaba.fastjson2.JSON;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.admin.TopicStatsTable;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.statictopic.LogicQueueMappingItem;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicConfigAndQueueMapping;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingDetail;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingUtils;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicRemappingDetailWrapper;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.admin.MQAdminUtils;

/**
 * Writes what mqadmin's updateStaticTopic and remappingStaticTopic decide: a line for each case, with the configurations
 * before, and the plan, the calls to the brokers or the refusal. Epochs lie in the future, so that none is the clock's.
 */
public final class StaticTopicGolden {
    private static final long EPOCH = 4000000000000L;
    private static final String TOPIC = "T";
    private static final List<String> BROKERS = Arrays.asList("p", "q", "r", "s", "w");
    private static final StringBuilder OUT = new StringBuilder();

    public static void main(String[] args) throws Exception {
        // Hash tables of any size have these names in their order, in which Go decides between equals.
        if (!new ArrayList<>(new HashSet<>(BROKERS)).equals(BROKERS)) {
            throw new IllegalStateException("choose other names: " + new HashSet<>(BROKERS));
        }
        remaps();
        leaders();
        grows();
        refusals();
        Path dir = Path.of(args[0], "client", "admin", "statictopic", "testdata");
        Files.createDirectories(dir);
        Files.write(dir.resolve("cases.jsonl"), OUT.toString().getBytes(StandardCharsets.UTF_8));
        TopicRemappingDetailWrapper one = TopicQueueMappingUtils.createTopicConfigMapping(TOPIC, 2, set("p"), new HashMap<>());
        one.setEpoch(EPOCH);
        one.getBrokerConfigMap().get("p").getMappingDetail().setEpoch(EPOCH);
        Files.write(dir.resolve("T.after"), one.toJson().getBytes(StandardCharsets.UTF_8));
    }

    /** Chains of moves between brokers, and what is sent to them. */
    private static void remaps() throws Exception {
        Random random = new Random(7);
        for (int queues : new int[] {1, 3, 7}) {
            Map<String, TopicConfigAndQueueMapping> configs = fresh(queues, "p");
            for (int step = 0; step < 5; step++) {
                Set<String> targets = some(random);
                Map<String, Object> c = begin("remap", configs);
                c.put("targets", targets);
                TopicRemappingDetailWrapper w = TopicQueueMappingUtils.remappingStaticTopic(TOPIC, copy(configs), targets);
                c.put("plan", w.toJson());
                Brokers brokers = new Brokers();
                MQAdminUtils.completeNoTargetBrokers(w.getBrokerConfigMap(), brokers);
                MQAdminUtils.remappingStaticTopic(TOPIC, w.getBrokerToMapIn(), w.getBrokerToMapOut(), w.getBrokerConfigMap(), 10000, false, brokers);
                c.put("calls", brokers.calls);
                end(c);
                configs = copy(w.getBrokerConfigMap());
                settle(configs);
            }
        }
    }

    /** Which queues move where, for many more queues. */
    private static void leaders() {
        Random random = new Random(11);
        for (int n = 0; n < 100; n++) {
            Map<String, TopicConfigAndQueueMapping> configs = TopicQueueMappingUtils.createTopicConfigMapping(TOPIC,
                1 + random.nextInt(40), some(random), new HashMap<>()).getBrokerConfigMap();
            Map<String, Object> c = new TreeMap<>();
            c.put("command", "leaders");
            c.put("leaders", leaders(configs));
            Set<String> targets = some(random);
            c.put("targets", targets);
            c.put("after", leaders(TopicQueueMappingUtils.remappingStaticTopic(TOPIC, configs, targets).getBrokerConfigMap()));
            end(c);
        }
    }

    private static List<String> leaders(Map<String, TopicConfigAndQueueMapping> configs) {
        Map<Integer, String> led = new TreeMap<>();
        TopicQueueMappingUtils.checkAndBuildMappingItems(TopicQueueMappingUtils.getMappingDetailFromConfig(configs.values()), false, true)
            .forEach((id, one) -> led.put(id, one.getBname()));
        return new ArrayList<>(led.values());
    }

    private static Set<String> some(Random random) {
        Set<String> names = new HashSet<>();
        while (names.isEmpty()) {
            BROKERS.forEach(b -> names.addAll(random.nextInt(5) < 2 ? set(b) : set()));
        }
        return names;
    }

    /** Takes from old leaders what they know of queues that they lead no more, as brokers do in time. */
    private static void settle(Map<String, TopicConfigAndQueueMapping> configs) {
        for (TopicConfigAndQueueMapping t : configs.values()) {
            t.getMappingDetail().getHostedQueues().entrySet().removeIf(e ->
                !e.getValue().get(e.getValue().size() - 1).getBname().equals(t.getMappingDetail().getBname()));
        }
    }

    /** More queues: lots decide which broker gets which, not how many each. */
    private static void grows() throws Exception {
        int[][] cases = {{0, 1, 1}, {0, 8, 1}, {0, 4, 2}, {0, 9, 3}, {2, 5, 1}, {3, 9, 3}, {5, 6, 5}, {1, 20, 4}};
        for (int[] n : cases) {
            Map<String, TopicConfigAndQueueMapping> configs = n[0] == 0 ? new HashMap<>() : fresh(n[0], "p");
            Set<String> targets = new HashSet<>(BROKERS.subList(0, n[2]));
            Map<String, Object> c = begin("create", configs);
            c.put("targets", targets);
            c.put("queues", n[1]);
            Set<String> all = new HashSet<>(targets);
            all.addAll(configs.keySet());
            c.put("plan", TopicQueueMappingUtils.createTopicConfigMapping(TOPIC, n[1], all, copy(configs)).toJson());
            end(c);
        }
    }

    private static void refusals() {
        refusal("create", 4, m -> { });
        refusal("create", 3, m -> { });
        refusal("remap", 0, m -> m.get("p").setMappingDetail(null));
        refusal("remap", 0, m -> m.get("q").getMappingDetail().setBname("x"));
        refusal("remap", 0, m -> m.get("q").getMappingDetail().setDirty(true));
        refusal("remap", 0, m -> m.get("q").setTopicName("U"));
        refusal("remap", 0, m -> {
            m.get("q").setTopicName("U");
            m.get("q").getMappingDetail().setTopic("U");
        });
        refusal("remap", 0, m -> m.get("q").getMappingDetail().setScope("s"));
        refusal("remap", 0, m -> m.get("q").getMappingDetail().setEpoch(EPOCH + 1));
        refusal("remap", 0, m -> m.get("q").getMappingDetail().setTotalQueues(5));
        refusal("create", 9, m -> m.values().forEach(t -> t.getMappingDetail().setTotalQueues(5)));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().put(7,
            m.get("p").getMappingDetail().getHostedQueues().remove(0)));
        refusal("remap", 0, m -> m.get("q").getMappingDetail().getHostedQueues().put(0, items("q", 2)));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().get(1).get(0).setQueueId(0));
        refusal("remap", 0, m -> m.get("p").setReadQueueNums(1));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().get(1).get(0).setStartOffset(1));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().get(1).get(0).setQueueId(9));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().get(1).get(0).setGen(-1));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().get(1).get(0).setLogicOffset(-1));
        refusal("remap", 0, m -> m.get("p").getMappingDetail().getHostedQueues().get(1).add(0,
            new LogicQueueMappingItem(0, 3, "z", 0, 0, -1, -1, -1)));
    }

    private static void refusal(String command, int queues, Consumer<Map<String, TopicConfigAndQueueMapping>> damage) {
        Map<String, TopicConfigAndQueueMapping> configs = TopicQueueMappingUtils.remappingStaticTopic(TOPIC,
            fresh(4, "p"), set("p", "q")).getBrokerConfigMap();
        settle(configs);
        for (TopicConfigAndQueueMapping t : configs.values()) {
            t.getMappingDetail().getHostedQueues().values().forEach(l -> l.get(l.size() - 1).setLogicOffset(l.size() == 1 ? 0 : 10000));
        }
        damage.accept(configs);
        Map<String, Object> c = begin(command, configs);
        c.put("targets", set("q", "r"));
        c.put("queues", queues);
        try {
            if (command.equals("create")) {
                TopicQueueMappingUtils.createTopicConfigMapping(TOPIC, queues, new HashSet<>(BROKERS), copy(configs));
            } else {
                TopicQueueMappingUtils.remappingStaticTopic(TOPIC, copy(configs), set("q", "r"));
            }
            throw new IllegalStateException("not refused: " + c);
        } catch (IllegalStateException e) {
            throw e;
        } catch (RuntimeException e) {
            c.put("refusal", e.getMessage());
        }
        end(c);
    }

    private static List<LogicQueueMappingItem> items(String broker, int queue) {
        return new ArrayList<>(Arrays.asList(new LogicQueueMappingItem(0, queue, broker, 0, 0, -1, -1, -1)));
    }

    private static Map<String, TopicConfigAndQueueMapping> fresh(int queues, String broker) {
        Map<String, TopicConfigAndQueueMapping> m = TopicQueueMappingUtils.createTopicConfigMapping(TOPIC, queues, set(broker),
            new HashMap<>()).getBrokerConfigMap();
        m.values().forEach(t -> t.getMappingDetail().setEpoch(EPOCH));
        return m;
    }

    private static Set<String> set(String... names) {
        return new HashSet<>(Arrays.asList(names));
    }

    private static Map<String, TopicConfigAndQueueMapping> copy(Map<String, TopicConfigAndQueueMapping> configs) {
        TopicRemappingDetailWrapper w = new TopicRemappingDetailWrapper(TOPIC, "", 0, configs, set(), set());
        return TopicRemappingDetailWrapper.decode(w.encode(), TopicRemappingDetailWrapper.class).getBrokerConfigMap();
    }

    private static Map<String, Object> begin(String command, Map<String, TopicConfigAndQueueMapping> configs) {
        Map<String, Object> c = new TreeMap<>();
        c.put("command", command);
        c.put("before", new TopicRemappingDetailWrapper(TOPIC, "", 0, configs, set(), set()).toJson());
        return c;
    }

    private static void end(Map<String, Object> c) {
        OUT.append(JSON.toJSONString(c)).append('\n');
    }

    /** A cluster of BROKERS, whose addresses are their names, that keeps what it is asked. */
    private static final class Brokers extends DefaultMQAdminExt {
        final List<String> calls = new ArrayList<>();

        @Override public ClusterInfo examineBrokerClusterInfo() {
            ClusterInfo info = new ClusterInfo();
            info.setBrokerAddrTable(new HashMap<>());
            info.setClusterAddrTable(new HashMap<>());
            info.getClusterAddrTable().put("C", new HashSet<>(BROKERS));
            for (String b : BROKERS) {
                info.getBrokerAddrTable().put(b, new BrokerData("C", b, new HashMap<>(Map.of(0L, b))));
            }
            return info;
        }

        @Override public TopicStatsTable examineTopicStats(String addr, String topic) {
            calls.add("stats " + addr);
            TopicStatsTable table = new TopicStatsTable();
            for (int q = 0; q < 256; q++) {
                TopicOffset o = new TopicOffset();
                o.setMaxOffset(q * 3571 % 30000); // as the test in Go has it
                table.getOffsetTable().put(new MessageQueue(topic, addr, q), o);
            }
            return table;
        }

        @Override public void createStaticTopic(String addr, String defaultTopic, TopicConfig t, TopicQueueMappingDetail d, boolean force) {
            calls.add("create " + addr + " " + JSON.toJSONString(t) + " " + force);
        }
    }
}
