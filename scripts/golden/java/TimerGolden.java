import java.io.File;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.common.producer.RecallMessageHandle;
import org.apache.rocketmq.store.timer.Slot;
import org.apache.rocketmq.store.timer.TimerCheckpoint;
import org.apache.rocketmq.store.timer.TimerLog;
import org.apache.rocketmq.store.timer.TimerMessageStore;
import org.apache.rocketmq.store.timer.TimerMetrics;
import org.apache.rocketmq.store.timer.TimerWheel;

/**
 * Timer files as Java's classes write them. The units are put together as TimerMessageStore.doEnqueue does, which
 * cannot be called without a broker.
 */
public final class TimerGolden {
    private static final int SLOTS = 7 * 24 * 3600;
    private static final int PRECISION = 1000;
    private static final int LOG_FILE = 1000; // 18 units and the blank
    private static final long START = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        GoldenFiles out = new GoldenFiles(args[0], "store/timer/wheel/testdata");
        Path root = Files.createTempDirectory("timer-golden");
        TimerWheel wheel = new TimerWheel(root.resolve("timerwheel").toString(), SLOTS, PRECISION);
        TimerLog log = new TimerLog(root.resolve("timerlog").toString(), LOG_FILE);
        log.load();
        List<Object> entries = new ArrayList<>();
        for (int i = 0; i < 45; i++) {
            long write = START + i / 10 * 1000L;
            int magic = i % 9 == 8 ? TimerMessageStore.MAGIC_DEFAULT | TimerMessageStore.MAGIC_DELETE
                : i % 11 == 10 ? TimerMessageStore.MAGIC_DEFAULT | TimerMessageStore.MAGIC_ROLL : TimerMessageStore.MAGIC_DEFAULT;
            long delayed = i % 11 == 10 ? write + 172_800_000L : START + 5000L + i % 4 * 1000L + (i % 7 == 6 ? 90_000_000L : 0);
            String topic = i % 3 == 0 ? "主题" : "TopicTest";
            long offset = i * 313L;
            int size = 313;
            Slot slot = wheel.getSlot(delayed);
            ByteBuffer b = ByteBuffer.allocate(TimerLog.UNIT_SIZE);
            b.putInt(TimerLog.UNIT_SIZE).putLong(slot.lastPos).putInt(magic).putLong(write).putInt((int) (delayed - write));
            b.putLong(offset).putInt(size).putInt(topic.hashCode()).putLong(0);
            long pos = log.append(b.array(), 0, TimerLog.UNIT_SIZE);
            boolean delete = (magic & TimerMessageStore.MAGIC_DELETE) != 0;
            wheel.putSlot(delayed, slot.firstPos == -1 ? pos : slot.firstPos, pos, delete ? slot.num - 1 : slot.num + 1, slot.magic);
            entries.add(GoldenFiles.of("slot", delayed, "write", write, "magic", magic, "offset", offset, "size", size, "topic", topic));
        }
        for (int i = 0; i < 3; i++) {
            log.getMappedFileQueue().flush(0); // one file
        }
        wheel.flush();
        TimerCheckpoint cp = new TimerCheckpoint(root.resolve("config").resolve("timercheck").toString());
        cp.setLastReadTimeMs(START + 4000);
        cp.setLastTimerLogFlushPos(log.getMappedFileQueue().getFlushedWhere());
        cp.setLastTimerQueueOffset(45);
        cp.setMasterTimerQueueOffset(45);
        cp.getDataVersion().setStateVersion(0);
        cp.getDataVersion().setTimestamp(START + 4567);
        cp.getDataVersion().setCounter(new AtomicLong(12));
        cp.flush();

        byte[] check = Files.readAllBytes(root.resolve("config").resolve("timercheck"));
        out.json("entries.json", GoldenFiles.of("logFileSize", LOG_FILE, "logPos", log.getMappedFileQueue().getFlushedWhere(),
            "all", wheel.getAllNum(START), "checkpointLength", check.length, "entries", entries));
        for (File f : new File(root.toFile(), "timerlog").listFiles()) {
            out.hex("timerlog-" + f.getName() + ".golden", "TimerLog.append", Files.readAllBytes(f.toPath()));
        }
        byte[] whole = Files.readAllBytes(root.resolve("timerwheel"));
        Map<String, Object> slots = GoldenFiles.of("length", whole.length);
        for (int i = 0; i < whole.length; i += Slot.SIZE) {
            byte[] one = java.util.Arrays.copyOfRange(whole, i, i + Slot.SIZE);
            if (!java.util.Arrays.equals(one, new byte[Slot.SIZE])) {
                slots.put(String.valueOf(i), GoldenFiles.hexOf(one));
            }
        }
        out.lines("timerwheel.json", "TimerWheel.putSlot, by place in the file", slots);
        out.hex("timercheck.golden", "TimerCheckpoint.flush, the first bytes of 4096", java.util.Arrays.copyOf(check, 64));

        GoldenFiles metrics = new GoldenFiles(args[0], "store/timer/testdata");
        TimerMetrics m = new TimerMetrics(root.resolve("timermetrics").toString());
        m.getTopicPair("TopicTest").getCount().set(7);
        m.getTopicPair("TopicTest").setTimeStamp(START);
        m.getTopicPair("主题").getCount().set(-1);
        m.getTopicPair("主题").setTimeStamp(START + 1);
        m.getDataVersion().setTimestamp(START + 2);
        m.getDataVersion().setCounter(new AtomicLong(3));
        m.persist();
        Files.write(Path.of(args[0], "store/timer/testdata/timermetrics.golden"), Files.readAllBytes(root.resolve("timermetrics")));

        GoldenFiles send = new GoldenFiles(args[0], "broker/send/testdata");
        send.lines("recallhandle.json", "RecallMessageHandle.HandleV1.buildHandle of TopicTest, broker-a, 1700000000001", GoldenFiles.of(
            "7F0000010B6018B4AAC2130CB3C20000", RecallMessageHandle.HandleV1.buildHandle("TopicTest", "broker-a", "1700000000001", "7F0000010B6018B4AAC2130CB3C20000"),
            "k", RecallMessageHandle.HandleV1.buildHandle("TopicTest", "broker-a", "1700000000001", "k"),
            "ключ", RecallMessageHandle.HandleV1.buildHandle("TopicTest", "broker-a", "1700000000001", "ключ")));
        System.exit(0);
    }
}
