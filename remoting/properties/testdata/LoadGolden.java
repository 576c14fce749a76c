import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Properties;
import java.util.TreeMap;

/**
 * Prints what java.util.Properties makes of each input: one JSON line per line of standard
 * input, which holds base64 text. Made load.golden: see TestParseAgreesWithJava.
 */
public class LoadGolden {
    public static void main(String[] args) throws Exception {
        System.out.println("# java.util.Properties.load(InputStream), Java " + System.getProperty("java.version"));
        for (String line : new String(System.in.readAllBytes(), StandardCharsets.US_ASCII).split("\n")) {
            byte[] in = Base64.getDecoder().decode(line);
            StringBuilder out = new StringBuilder("{\"in\":\"" + line + "\"");
            try {
                Properties p = new Properties();
                p.load(new ByteArrayInputStream(in));
                out.append(",\"out\":{");
                String comma = "";
                for (var e : new TreeMap<Object, Object>(p).entrySet()) {
                    out.append(comma).append(quote(e.getKey())).append(':').append(quote(e.getValue()));
                    comma = ",";
                }
                out.append('}');
            } catch (IllegalArgumentException e) {
                out.append(",\"error\":").append(quote(e.getMessage()));
            }
            System.out.println(out.append('}'));
        }
    }

    static String quote(Object o) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : o.toString().toCharArray()) {
            if (c < ' ' || c == '"' || c == '\\' || c > '~') {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.append('"').toString();
    }
}
