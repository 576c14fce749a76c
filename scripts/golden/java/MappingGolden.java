import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.protocol.DataVersion;
import org.apache.rocketmq.remoting.protocol.body.TopicQueueMappingSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.statictopic.LogicQueueMappingItem;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicConfigAndQueueMapping;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingDetail;

/** Writes topicQueueMapping.json as TopicQueueMappingManager.encode(true) does, and the reply to GET_TOPIC_CONFIG. */
public final class MappingGolden {
    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0], "broker", "mapping", "testdata");
        Files.createDirectories(dir);
        TopicQueueMappingDetail moved = new TopicQueueMappingDetail("Moved", 2, "broker-a", 1700000002000L);
        List<LogicQueueMappingItem> items = new ArrayList<>();
        items.add(new LogicQueueMappingItem(0, 0, "broker-b", 0, 0, -1, -1, -1));
        items.add(new LogicQueueMappingItem(1, 1, "broker-a", 10000, 0, -1, -1, -1));
        TopicQueueMappingDetail.putMappingInfo(moved, 0, items);
        TopicQueueMappingDetail.putMappingInfo(moved, 1, new ArrayList<>(Collections.singletonList(
            new LogicQueueMappingItem(0, 0, "broker-a", 0, 0, 7, 1700000000000L, 1700000001000L))));
        TopicQueueMappingDetail none = new TopicQueueMappingDetail("None", 2, "broker-a", 1700000000000L);
        ConcurrentHashMap<String, TopicQueueMappingDetail> table = new ConcurrentHashMap<>();
        table.put("Moved", moved);
        table.put("None", none);
        TopicQueueMappingSerializeWrapper w = new TopicQueueMappingSerializeWrapper();
        w.setTopicQueueMappingInfoMap(table);
        DataVersion v = new DataVersion();
        v.setTimestamp(1700000003000L);
        v.setCounter(new java.util.concurrent.atomic.AtomicLong(3));
        w.setDataVersion(v);
        write(dir.resolve("topicQueueMapping.json"), JSON.toJSONString(w, JSONWriter.Feature.PrettyFormat));
        write(dir.resolve("info.json"), TopicQueueMappingDetail.cloneAsMappingInfo(moved).toJson());
        write(dir.resolve("config.json"), JSON.toJSONString(new TopicConfigAndQueueMapping(new TopicConfig("Moved", 2, 2), moved)));
    }

    private static void write(Path path, String text) throws Exception {
        Files.write(path, text.getBytes(StandardCharsets.UTF_8));
    }
}
