import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageExtBatch;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.common.message.MessageVersion;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.store.MessageExtEncoder;
import org.apache.rocketmq.store.PutMessageContext;
import org.apache.rocketmq.store.config.MessageStoreConfig;

/** Stored records and batch bodies as the Java store and client encode them. */
public final class MessageGolden {
    private static final String OUT = "remoting/message/testdata";
    private static final int MAX_TOPIC_V1 = 127;
    private static final int CRC_LENGTH = "__CRC32#".length() + 1 + 10 + 1;
    private static final String V4 = "10.1.2.3";
    private static final String V6 = "fe80::1:2";
    private static final Map<String, Object> NO_PROPERTIES = Map.of();

    private static GoldenFiles out;

    public static void main(String[] args) throws Exception {
        out = new GoldenFiles(args[0], OUT);
        records();
        stored();
        batches();
        compressed();
    }

    private static void records() throws Exception {
        record("v1", message("TopicTest", V4, V4, "hello world", GoldenFiles.of("TAGS", "TagA", "KEYS", "k1 k2", "UNIQ_KEY",
            "7F0000010B6018B4AAC2130CB3C20000", "WAIT", "true")), false);
        record("v1_no_properties", message("T", V4, V4, "x", NO_PROPERTIES), false);
        record("v1_empty_body", message("TopicTest", V4, V4, "", GoldenFiles.of("TAGS", "a")), false);
        record("v1_topic_127", message("t".repeat(127), V4, V4, "x", GoldenFiles.of("TAGS", "a")), false);
        record("v2_topic_128", message("t".repeat(128), V4, V4, "x", GoldenFiles.of("TAGS", "a")), false);
        record("v2_topic_255", message("%RETRY%" + "t".repeat(248), V4, V4, "x", GoldenFiles.of("TAGS", "a")), false);
        record("v1_born_ipv6", message("TopicTest", V6, V4, "x", GoldenFiles.of("TAGS", "a")), false);
        record("v1_store_ipv6", message("TopicTest", V4, V6, "x", GoldenFiles.of("TAGS", "a")), false);
        record("v2_both_ipv6", message("t".repeat(200), V6, V6, "x", GoldenFiles.of("TAGS", "a")), false);
        record("v1_utf8", message("主题", V4, V4, "内容 😀", GoldenFiles.of("TAGS", "标签", "KEYS", "ключ 😀", "Q", "\"\\\u0001é")), false);
        record("v1_prop_crc", message("TopicTest", V4, V4, "hello", GoldenFiles.of("TAGS", "TagA")), true);
        record("v1_prop_crc_only", message("TopicTest", V4, V4, "hello", NO_PROPERTIES), true);

        MessageExtBrokerInner prepared = message("RMQ_SYS_TRANS_HALF_TOPIC", V4, V4, "half",
            GoldenFiles.of("TRAN_MSG", "true", "PGROUP", "pg", "REAL_TOPIC", "TopicTest", "REAL_QID", "3"));
        prepared.setSysFlag(prepared.getSysFlag() | MessageSysFlag.TRANSACTION_PREPARED_TYPE);
        record("v1_prepared", prepared, false);

        MessageExtBrokerInner commit = message("TopicTest", V4, V4, "half", GoldenFiles.of("TRAN_MSG", "true"));
        commit.setSysFlag(commit.getSysFlag() | MessageSysFlag.TRANSACTION_COMMIT_TYPE);
        commit.setPreparedTransactionOffset(0x1234567890L);
        commit.setReconsumeTimes(16);
        commit.setFlag(-2);
        record("v1_commit", commit, false);

        byte[] zipped = CompressorFactory.getCompressor(CompressionType.ZLIB).compress(GoldenFiles.bytes("hello ".repeat(1000)), 5);
        MessageExtBrokerInner zip = message("TopicTest", V4, V4, "", GoldenFiles.of("TAGS", "a"));
        zip.setBody(zipped);
        zip.setSysFlag(zip.getSysFlag() | MessageSysFlag.COMPRESSED_FLAG | MessageSysFlag.COMPRESSION_ZLIB_TYPE);
        record("v1_compressed", zip, false);
    }

    private static MessageExtBrokerInner message(String topic, String born, String store, String body, Map<String, Object> props)
        throws Exception {
        return fill(new MessageExtBrokerInner(), topic, born, store, body, props);
    }

    private static <T extends MessageExtBrokerInner> T fill(T m, String topic, String born, String store, String body,
        Map<String, Object> props) throws Exception {
        m.setTopic(topic);
        m.setBody(GoldenFiles.bytes(body));
        Map<String, String> p = new LinkedHashMap<>();
        props.forEach((k, v) -> p.put(k, (String) v));
        MessageAccessor.setProperties(m, p);
        m.setPropertiesString(MessageDecoder.messageProperties2String(p));
        m.setQueueId(3);
        m.setFlag(7);
        m.setQueueOffset(0x0102030405L);
        m.setBornTimestamp(1700000000123L);
        m.setStoreTimestamp(1700000000456L);
        m.setBornHost(new InetSocketAddress(InetAddress.getByName(born), 54321));
        m.setStoreHost(new InetSocketAddress(InetAddress.getByName(store), 10911));
        if (born.equals(V6)) {
            m.setBornHostV6Flag();
        }
        if (store.equals(V6)) {
            m.setStoreHostAddressV6Flag();
        }
        if (topic.length() > MAX_TOPIC_V1) { // CommitLog.asyncPutMessage with autoMessageVersionOnTopicLen
            m.setVersion(MessageVersion.MESSAGE_VERSION_V2);
        }
        return m;
    }

    /** Encodes as the store does, completes the record as CommitLog's appender does, and decodes it again. */
    private static void record(String name, MessageExtBrokerInner m, boolean propCrc) throws Exception {
        m.setBodyCRC(UtilAll.crc32(m.getBody()));
        MessageStoreConfig config = new MessageStoreConfig();
        config.setMaxMessageSize(65536);
        config.setEnabledAppendPropCRC(propCrc);
        MessageExtEncoder encoder = new MessageExtEncoder(config);
        if (encoder.encode(m) != null) {
            throw new IllegalStateException("cannot encode " + name);
        }
        ByteBuffer buf = encoder.getEncoderBuffer();
        int size = buf.getInt(0);
        buf.putLong(MessageDecoder.PHY_POS_POSITION, 0x0A0B0C0D0EL);
        if (propCrc) {
            ByteBuffer crc = buf.duplicate();
            crc.position(0).limit(size - CRC_LENGTH);
            int sum = UtilAll.crc32(crc);
            crc.limit(size);
            MessageDecoder.createCrc32(crc, sum);
        }
        byte[] record = new byte[size];
        buf.position(0);
        buf.get(record);
        write(name, "MessageExtEncoder.encode", record);
    }

    /** What the client-side encoder makes of a stored message: transaction checks and pop retries are sent so. */
    private static void stored() throws Exception {
        MessageExt m = message("TopicTest", V4, V4, "hello", NO_PROPERTIES);
        Map<String, String> p = new LinkedHashMap<>();
        p.put("TAGS", "TagA");
        p.put("NULL", null);
        p.put("EMPTY", "");
        MessageAccessor.setProperties(m, p);
        m.setBodyCRC(UtilAll.crc32(m.getBody()));
        m.setCommitLogOffset(0x0A0B0C0D0EL);
        write("message_decoder_encode", "MessageDecoder.encode", MessageDecoder.encode(m, false));
    }

    private static void write(String name, String call, byte[] record) throws Exception {
        out.hex(name + ".golden", call, record);
        Map<String, Object> want = decoded(ByteBuffer.wrap(record));
        want.put("source", "MessageDecoder.decode, " + GoldenFiles.version());
        out.json(name + ".json", want);
    }

    private static Map<String, Object> decoded(ByteBuffer buf) {
        MessageExt m = MessageDecoder.decode(buf, true, false, false, true, true);
        String properties = m.getProperties() == null ? "" : m.getProperties().remove("propertiesString");
        return GoldenFiles.of("topic", m.getTopic(), "queueId", m.getQueueId(), "flag", m.getFlag(),
            "queueOffset", m.getQueueOffset(), "physicalOffset", m.getCommitLogOffset(), "sysFlag", m.getSysFlag(),
            "bornTimestamp", m.getBornTimestamp(), "bornHost", host(m.getBornHost()),
            "storeTimestamp", m.getStoreTimestamp(), "storeHost", host(m.getStoreHost()),
            "reconsumeTimes", m.getReconsumeTimes(), "preparedTransactionOffset", m.getPreparedTransactionOffset(),
            "bodyCRC", m.getBodyCRC(), "body", GoldenFiles.hexOf(m.getBody() == null ? new byte[0] : m.getBody()),
            "storeSize", m.getStoreSize(), "msgId", m.getMsgId(), "propertiesString", properties,
            "properties", new TreeMap<>(m.getProperties() == null ? Map.of() : m.getProperties()));
    }

    private static String host(java.net.SocketAddress a) {
        InetSocketAddress h = (InetSocketAddress) a;
        return GoldenFiles.hexOf(h.getAddress().getAddress()) + ":" + h.getPort();
    }

    /** A client's batch body and the records the store makes of it. */
    private static void batches() throws Exception {
        List<Message> list = new ArrayList<>();
        Message a = new Message("TopicTest", "TagA", "k1", GoldenFiles.bytes("first"));
        a.setFlag(1);
        list.add(a);
        list.add(new Message("TopicTest", new byte[0]));
        Message c = new Message("TopicTest", GoldenFiles.bytes("третье 😀"));
        c.putUserProperty("p", "标签");
        list.add(c);
        byte[] body = MessageDecoder.encodeMessages(list);
        out.hex("batch_body.golden", "MessageDecoder.encodeMessages", body);
        List<Object> items = new ArrayList<>();
        for (Message m : list) {
            items.add(GoldenFiles.of("flag", m.getFlag(), "body", GoldenFiles.hexOf(m.getBody()),
                "propertiesString", MessageDecoder.messageProperties2String(m.getProperties())));
        }
        out.json("batch_body.json", GoldenFiles.of("source", "MessageDecoder.encodeMessages, " + GoldenFiles.version(), "items", items));

        MessageExtBatch batch = fill(new MessageExtBatch(), "TopicTest", V4, V4, "", NO_PROPERTIES);
        batch.setBody(body);
        PutMessageContext context = new PutMessageContext("TopicTest-3");
        MessageStoreConfig config = new MessageStoreConfig();
        config.setMaxMessageSize(65536);
        ByteBuffer encoded = new MessageExtEncoder(config).encode(batch, context);
        byte[] records = new byte[encoded.remaining()];
        encoded.get(records);
        out.hex("batch_records.golden", "MessageExtEncoder.encode of a MessageExtBatch, offsets not patched", records);
        List<Object> wants = new ArrayList<>();
        for (ByteBuffer buf = ByteBuffer.wrap(records); buf.hasRemaining(); ) {
            wants.add(decoded(buf));
        }
        out.json("batch_records.json", GoldenFiles.of("source", "MessageDecoder.decode, " + GoldenFiles.version(), "items", wants));
    }

    private static void compressed() throws Exception {
        String text = "RocketMQ 消息 compressed by Java. ".repeat(40);
        Map<String, Object> all = new LinkedHashMap<>();
        for (CompressionType type : CompressionType.values()) {
            byte[] zipped = CompressorFactory.getCompressor(type).compress(text.getBytes(StandardCharsets.UTF_8), 5);
            all.put(type.name(), GoldenFiles.of("sysFlag", MessageSysFlag.COMPRESSED_FLAG | type.getCompressionFlag(),
                "text", text, "compressed", GoldenFiles.hexOf(zipped)));
        }
        out.lines("compressed.json", "Compressor.compress, level 5", all);
    }
}
