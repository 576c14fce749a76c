import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Map;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;

/** One JSON line on standard output, written in one call. */
final class Out {
    private static final OutputStream STDOUT = new FileOutputStream(FileDescriptor.out);
    private final StringBuilder line = new StringBuilder(256).append('{');

    static Out event(String kind) {
        return new Out().put("event", kind);
    }

    /** A received message with every field the tests look at. */
    static Out message(MessageExt m) {
        String unique = MessageClientIDSetter.getUniqID(m);
        String own = Moved.offsetMsgId(m);
        return event("msg").put("body", m.getBody() == null ? "" : new String(m.getBody(), StandardCharsets.UTF_8))
            .put("topic", m.getTopic()).put("tag", m.getTags()).put("keys", m.getKeys())
            .put("queueId", m.getQueueId()).put("queueOffset", m.getQueueOffset())
            .put("msgId", unique == null ? m.getMsgId() : unique).put("offsetMsgId", own)
            .put("reconsumeTimes", m.getReconsumeTimes()).put("bornTimestamp", m.getBornTimestamp())
            .put("storeTimestamp", m.getStoreTimestamp()).put("recvTimestamp", System.currentTimeMillis())
            .put("commitLogOffset", m.getCommitLogOffset()).put("storeSize", m.getStoreSize())
            .put("sysFlag", m.getSysFlag()).put("flag", m.getFlag()).put("bodyCRC", m.getBodyCRC())
            .put("bornHost", m.getBornHostString()).put("storeHost", String.valueOf(m.getStoreHost()))
            .put("props", m.getProperties());
    }

    Out put(String key, Object value) {
        if (line.length() > 1) {
            line.append(',');
        }
        text(key);
        line.append(':');
        value(value);
        return this;
    }

    void print() {
        byte[] b = (line + "}\n").getBytes(StandardCharsets.UTF_8);
        synchronized (STDOUT) {
            try {
                STDOUT.write(b);
            } catch (IOException e) {
                Runtime.getRuntime().halt(3); // the test is gone
            }
        }
    }

    private void value(Object v) {
        if (v == null) {
            line.append("null");
        } else if (v instanceof Number || v instanceof Boolean) {
            line.append(v);
        } else if (v instanceof Map) {
            line.append('{');
            String sep = "";
            for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
                line.append(sep);
                text(String.valueOf(e.getKey()));
                line.append(':');
                value(e.getValue());
                sep = ",";
            }
            line.append('}');
        } else if (v instanceof Collection) {
            line.append('[');
            String sep = "";
            for (Object o : (Collection<?>) v) {
                line.append(sep);
                value(o);
                sep = ",";
            }
            line.append(']');
        } else {
            text(v.toString());
        }
    }

    private void text(String s) {
        line.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                line.append('\\').append(c);
            } else if (c < 0x20) {
                line.append(String.format("\\u%04x", (int) c));
            } else {
                line.append(c);
            }
        }
        line.append('"');
    }
}
