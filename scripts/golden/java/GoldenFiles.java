import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.common.MQVersion;

/** Where and how golden files are written: stable order, one trailing newline, hex in lines of 64 bytes. */
final class GoldenFiles {
    private static final int HEX_LINE = 128;

    private final Path dir;

    GoldenFiles(String root, String sub) throws IOException {
        dir = Files.createDirectories(Path.of(root, sub.split("/")));
    }

    static String version() {
        return MQVersion.getVersionDesc(MQVersion.CURRENT_VERSION);
    }

    /** Bytes as hex behind a first line that names the Java call they came from. */
    void hex(String name, String call, byte[] data) throws IOException {
        StringBuilder sb = new StringBuilder("# ").append(call).append(", ").append(version()).append('\n');
        String text = hexOf(data);
        for (int i = 0; i < text.length(); i += HEX_LINE) {
            sb.append(text, i, Math.min(text.length(), i + HEX_LINE)).append('\n');
        }
        write(name, sb);
    }

    /** An object as JSON, nulls included, in the order of the map. */
    void json(String name, Object value) throws IOException {
        write(name, new StringBuilder(JSON.toJSONString(value, JSONWriter.Feature.PrettyFormat,
            JSONWriter.Feature.WriteMapNullValue)).append('\n'));
    }

    /** A JSON object with one line for each entry, for tables that are read as diffs. */
    void lines(String name, String call, Map<String, ?> entries) throws IOException {
        StringBuilder sb = new StringBuilder("{\n\"source\": ").append(JSON.toJSONString(call + ", " + version()));
        entries.forEach((k, v) -> sb.append(",\n").append(JSON.toJSONString(k)).append(": ")
            .append(JSON.toJSONString(v, JSONWriter.Feature.WriteMapNullValue)));
        write(name, sb.append("\n}\n"));
    }

    private void write(String name, CharSequence text) throws IOException {
        Files.writeString(dir.resolve(name), text, StandardCharsets.UTF_8);
    }

    static String hexOf(byte[] data) {
        StringBuilder sb = new StringBuilder(data.length * 2);
        for (byte b : data) {
            sb.append(Character.forDigit(b >> 4 & 15, 16)).append(Character.forDigit(b & 15, 16));
        }
        return sb.toString();
    }

    static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    /** A map in the order of its arguments: key, value, key, value. */
    static Map<String, Object> of(Object... pairs) {
        Map<String, Object> m = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            m.put((String) pairs[i], pairs[i + 1]);
        }
        return m;
    }
}
