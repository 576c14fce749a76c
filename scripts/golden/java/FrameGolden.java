import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.common.BoundaryType;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.header.GetMaxOffsetRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.PullMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.PullMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.SearchOffsetRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeaderV2;
import org.apache.rocketmq.remoting.protocol.header.SendMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.UnregisterClientResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.UpdateConsumerOffsetRequestHeader;

/** Frames as NettyEncoder writes them, in both serialisations, and what Java reads from odd headers. */
public final class FrameGolden {
    private static final String OUT = "remoting/frame/testdata";
    private static final int VERSION = 513;

    private static GoldenFiles out;

    public static void main(String[] args) throws Exception {
        System.setProperty(RemotingCommand.REMOTING_VERSION_KEY, Integer.toString(VERSION));
        out = new GoldenFiles(args[0], OUT);
        requests();
        responses();
        foreign();
    }

    private static void requests() throws Exception {
        both("heartbeat_request", 1, () -> {
            RemotingCommand c = request(RequestCode.HEART_BEAT, null);
            c.setBody(GoldenFiles.bytes("{\"clientID\":\"127.0.0.1@DEFAULT\",\"consumerDataSet\":[],\"producerDataSet\":[{\"groupName\":\"pg\"}]}"));
            return c;
        });
        both("send_v2_request", 2, () -> {
            RemotingCommand c = request(RequestCode.SEND_MESSAGE_V2, sendHeader());
            c.setBody(GoldenFiles.bytes("hello 世界 \u0000\u0001"));
            return c;
        });
        both("send_v2_extra_fields_request", 3, () -> {
            RemotingCommand c = request(RequestCode.SEND_MESSAGE_V2, sendHeader());
            c.setLanguage(LanguageCode.GO);
            c.addExtField("AccessKey", "ak");
            c.addExtField("Signature", "a+b/c==");
            c.addExtField("клю\"ч\\", "з\tн\nа\rч\bе\fн\u007f\u0085\u2028\u2029\ufeff/<>&'");
            c.setBody(new byte[] {0, 1, -1, 127, -128});
            return c;
        });
        both("pull_request", 100_000_000, () -> {
            PullMessageRequestHeader h = new PullMessageRequestHeader();
            h.setConsumerGroup("cg");
            h.setTopic("TopicTest");
            h.setQueueId(7);
            h.setQueueOffset(Long.MAX_VALUE);
            h.setMaxMsgNums(32);
            h.setSysFlag(6);
            h.setCommitOffset(0L);
            h.setSuspendTimeoutMillis(15000L);
            h.setSubscription("TagA || 标签B");
            h.setSubVersion(1700000000123L);
            h.setExpressionType("TAG");
            h.setMaxMsgBytes(Integer.MAX_VALUE);
            h.setBrokerName("broker-a");
            return request(RequestCode.PULL_MESSAGE, h);
        });
        both("oneway_request", -5, () -> {
            UpdateConsumerOffsetRequestHeader h = new UpdateConsumerOffsetRequestHeader();
            h.setConsumerGroup("cg");
            h.setTopic("TopicTest");
            h.setQueueId(0);
            h.setCommitOffset(-1L);
            RemotingCommand c = request(RequestCode.UPDATE_CONSUMER_OFFSET, h);
            c.markOnewayRPC();
            return c;
        });
        both("search_offset_request", 6, () -> {
            SearchOffsetRequestHeader h = new SearchOffsetRequestHeader();
            h.setTopic("TopicTest");
            h.setQueueId(0);
            h.setTimestamp(0L);
            h.setBoundaryType(BoundaryType.UPPER);
            return request(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, h);
        });
        both("boolean_request", 7, () -> {
            GetMaxOffsetRequestHeader h = new GetMaxOffsetRequestHeader();
            h.setTopic("TopicTest");
            h.setQueueId(0);
            h.setLo(false);
            return request(RequestCode.GET_MAX_OFFSET, h);
        });
        both("send_v1_request", 12, () -> {
            SendMessageRequestHeader h = SendMessageRequestHeaderV2.createSendMessageRequestHeaderV1(sendHeader());
            RemotingCommand c = request(RequestCode.SEND_MESSAGE, h);
            c.setBody(new byte[] {1});
            return c;
        });
        // A code that does not fit the 16 bits of the binary header.
        both("pop_request", Integer.MAX_VALUE, () -> {
            PopMessageRequestHeader h = new PopMessageRequestHeader();
            h.setConsumerGroup("cg");
            h.setTopic("TopicTest");
            h.setQueueId(-1);
            h.setMaxMsgNums(32);
            return request(RequestCode.POP_MESSAGE, h);
        });
        both("no_ext_no_body_request", 0, () -> request(RequestCode.GET_BROKER_CLUSTER_INFO, null));
    }

    private static void responses() throws Exception {
        both("send_response", 2, () -> {
            SendMessageResponseHeader h = new SendMessageResponseHeader();
            h.setMsgId("7F00000100002A9F00000000000000FF");
            h.setQueueId(3);
            h.setQueueOffset(12L);
            h.setTransactionId("7F0000010B6018B4AAC2130CB3C20000");
            RemotingCommand c = RemotingCommand.createResponseCommandWithHeader(ResponseCode.SUCCESS, h);
            c.addExtField("MSG_REGION", "DefaultRegion");
            c.addExtField("TRACE_ON", "true");
            return c;
        });
        both("pull_response", 100_000_000, () -> {
            PullMessageResponseHeader h = new PullMessageResponseHeader();
            h.setSuggestWhichBrokerId(0L);
            h.setNextBeginOffset(33L);
            h.setMinOffset(0L);
            h.setMaxOffset(64L);
            h.setTopicSysFlag(0);
            RemotingCommand c = RemotingCommand.createResponseCommandWithHeader(ResponseCode.SUCCESS, h);
            c.setRemark("FOUND");
            c.setBody(new byte[300]);
            return c;
        });
        both("default_response", 8, () -> RemotingCommand.createResponseCommand(SendMessageResponseHeader.class));
        both("error_response", 9, () -> RemotingCommand.createResponseCommand(ResponseCode.SYSTEM_ERROR,
            "java.lang.NullPointerException: Cannot invoke \"String.length()\" because \"<local1>\" is null, at a.b(C.java:1)\n\t中文 \\ 😀"));
        both("empty_ext_response", 10, () ->
            RemotingCommand.createResponseCommand(ResponseCode.SUCCESS, null, UnregisterClientResponseHeader.class));
        both("empty_values_response", 11, () -> {
            RemotingCommand c = RemotingCommand.createResponseCommand(ResponseCode.SUCCESS, "");
            c.addExtField("empty", "");
            c.addExtField("full", "x");
            c.setBody(new byte[0]);
            return c;
        });
    }

    /** As MQClientAPIImpl.sendMessage makes it from the long form. */
    private static SendMessageRequestHeaderV2 sendHeader() {
        SendMessageRequestHeader h = new SendMessageRequestHeader();
        h.setProducerGroup("producer_group");
        h.setTopic("TopicTest");
        h.setDefaultTopic("TBW102");
        h.setDefaultTopicQueueNums(4);
        h.setQueueId(-1);
        h.setSysFlag(1);
        h.setBornTimestamp(1700000000123L);
        h.setFlag(0);
        h.setProperties("KEYS\u0001k1 k2\u0002TAGS\u0001标签A\u0002Q\u0001say \"hi\" \\ back/slash\u0002E\u0001😀é\u0002WAIT\u0001true\u0002");
        h.setReconsumeTimes(0);
        h.setUnitMode(false);
        h.setMaxReconsumeTimes(16);
        h.setBatch(false);
        h.setBrokerName("broker-a");
        return SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(h);
    }

    private static RemotingCommand request(int code, CommandCustomHeader h) {
        return RemotingCommand.createRequestCommand(code, h);
    }

    private interface Maker {
        RemotingCommand make() throws Exception;
    }

    /** Writes the command in both serialisations, each with what Java itself decodes from the bytes. */
    private static void both(String name, int opaque, Maker maker) throws Exception {
        for (SerializeType type : SerializeType.values()) {
            RemotingCommand c = maker.make();
            c.setOpaque(opaque);
            c.setSerializeTypeCurrentRPC(type);
            ByteBuf buf = Unpooled.buffer();
            c.fastEncodeHeader(buf);
            if (c.getBody() != null) {
                buf.writeBytes(c.getBody());
            }
            byte[] frame = ByteBufUtil.getBytes(buf);
            String file = name + "." + type.name().toLowerCase();
            out.hex(file + ".golden", "RemotingCommand.fastEncodeHeader, " + type, frame);
            Map<String, Object> want = decoded(frame);
            want.put("source", "RemotingCommand.decode, " + GoldenFiles.version());
            out.json(file + ".json", want);
        }
    }

    private static Map<String, Object> decoded(byte[] frame) throws Exception {
        ByteBuf buf = Unpooled.wrappedBuffer(frame);
        buf.skipBytes(4);
        RemotingCommand c = RemotingCommand.decode(buf);
        return GoldenFiles.of("type", c.getSerializeTypeCurrentRPC().name(), "code", c.getCode(),
            "language", c.getLanguage() == null ? null : c.getLanguage().name(), "version", c.getVersion(),
            "opaque", c.getOpaque(), "flag", c.getFlag(), "remark", c.getRemark(),
            "ext", c.getExtFields() == null ? null : new TreeMap<>(c.getExtFields()),
            "body", c.getBody() == null ? null : GoldenFiles.hexOf(c.getBody()));
    }

    /** JSON headers that other peers send or might send, and what Java makes of them: null when it refuses. */
    private static void foreign() throws Exception {
        String[] headers = {
            "{\"code\":11,\"extFields\":{\"queueId\":3,\"jstackEnable\":true,\"off\":-9007199254740993,\"d\":1.50},\"flag\":0,\"language\":\"CPP\",\"opaque\":1,\"version\":333}\n",
            "{\"code\":34,\"extFields\":{\"Signature\":\"\",\"AccessKey\":\"\"},\"flag\":0,\"language\":\"CPP\",\"opaque\":2,\"version\":333}\n",
            "{\"code\":10,\"language\":\"GO\",\"version\":317,\"opaque\":3,\"flag\":0,\"remark\":\"\",\"extFields\":{\"a\":\"b\"}}",
            " {\t\"version\" : 317 ,\r\n \"code\" : 10 , \"extFields\" : { \"a\" : \"b\" } } ",
            "{\"code\":10,\"language\":9}",
            "{\"code\":10,\"language\":\"9\"}",
            "{\"code\":10,\"language\":\"KLINGON\"}",
            "{\"code\":10,\"language\":\"go\"}",
            "{\"code\":10,\"language\":null}",
            "{\"code\":10,\"language\":99}",
            "{\"code\":\"10\",\"flag\":\"1\",\"opaque\":\"-7\"}",
            "{\"code\":null,\"flag\":null,\"opaque\":null,\"version\":null,\"remark\":null,\"extFields\":null}",
            "{\"code\":10,\"extFields\":{\"a\":null,\"b\":\"c\"}}",
            "{\"code\":10,\"extFields\":{\"a\":\"1\",\"a\":\"2\"}}",
            "{\"code\":10,\"extFields\":{\"\":\"x\",\"y\":\"\"}}",
            "{\"code\":10,\"extFields\":{\"o\":{\"a\":[1,\"x\"]},\"l\":[1,2],\"s\":\"z\"}}",
            "{\"code\":10,\"extFields\":{}}",
            "{\"code\":10,\"extFields\":[]}",
            "{\"code\":10,\"unknown\":{\"a\":[{},null,true,1.5e3]},\"other\":\"x\"}",
            "{\"code\":10,\"remark\":\"\\u0001\\u4e2d\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\\\\\"\"}",
            "{\"code\":10,\"remark\":\"raw \u0001\u0002 tab\t\"}",
            "{\"code\":10,\"remark\":\"a\\'b\"}",
            "{\"code\":10,\"remark\":\"a\\x41b\"}",
            "{\"code\":10,\"remark\":5}",
            "{\"code\":10,\"remark\":true}",
            "{'code':10,'remark':'single'}",
            "{code:10,remark:\"bare key\"}",
            "{\"code\":10,}",
            "{\"code\":10.0}",
            "{\"code\":10.9}",
            "{\"code\":1e1}",
            "{\"code\":+10}",
            "{\"code\":010}",
            "{\"code\":4294967306}",
            "{\"code\":true}",
            "{\"code\":\"x\"}",
            "{\"code\":\"\"}",
            "{\"Code\":10,\"FLAG\":1}",
            "{\"code\":10}trailing",
            "{\"code\":10}{\"code\":11}",
            "{\"code\":10} ",
            "{}",
            "[]",
            "null",
            "",
            "{\"code\":10",
            "{\"code\":10,\"extFields\":{\"a\":\"b\"}",
            "{\"code\" 10}",
            "{\"code\":10 \"flag\":1}",
            "/* c */{\"code\":10}",
            "{\"code\":10,\"oneway\":true,\"responseType\":true,\"type\":\"RESPONSE_COMMAND\",\"body\":\"AQI=\"}",
        };
        List<Object> cases = new ArrayList<>();
        for (String h : headers) {
            byte[] b = GoldenFiles.bytes(h);
            ByteBuf buf = Unpooled.buffer();
            buf.writeInt(4 + b.length).writeInt(b.length).writeBytes(b);
            Map<String, Object> m = new LinkedHashMap<>();
            m.put("header", h);
            try {
                Map<String, Object> java = decoded(ByteBufUtil.getBytes(buf));
                java.remove("type");
                if (!h.contains("\"opaque\"")) {
                    java.remove("opaque"); // Java takes the next of its own
                }
                m.put("java", java);
            } catch (Throwable e) {
                m.put("java", null);
            }
            cases.add(m);
        }
        Map<String, Object> all = new LinkedHashMap<>();
        for (int i = 0; i < cases.size(); i++) {
            all.put(Integer.toString(i), cases.get(i));
        }
        out.lines("foreign.json", "RemotingCommand.decode of JSON headers", all);
    }
}
