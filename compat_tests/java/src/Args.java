import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Options key=value of one call. An option no one asked for is an error. */
final class Args {
    private final Map<String, String> values = new LinkedHashMap<>();
    private final Set<String> asked = new HashSet<>();

    Args(String[] argv) {
        for (int i = 1; i < argv.length; i++) {
            int eq = argv[i].indexOf('=');
            if (eq <= 0) {
                throw new Driver.Usage("not key=value: " + argv[i]);
            }
            values.put(argv[i].substring(0, eq), argv[i].substring(eq + 1));
        }
        asked.add("timeout");
    }

    String get(String key, String otherwise) {
        asked.add(key);
        return values.getOrDefault(key, otherwise);
    }

    String need(String key) {
        String v = get(key, null);
        if (v == null) {
            throw new Driver.Usage("missing " + key + "=");
        }
        return v;
    }

    int intValue(String key, int otherwise) {
        return (int) longValue(key, otherwise);
    }

    long longValue(String key, long otherwise) {
        String v = get(key, null);
        try {
            return v == null ? otherwise : Long.parseLong(v);
        } catch (NumberFormatException e) {
            throw new Driver.Usage("not a number: " + key + "=" + v);
        }
    }

    boolean flag(String key) {
        String v = get(key, "0");
        return v.equals("1") || v.equals("true");
    }

    /** Options that start with a prefix, without it. */
    Map<String, String> with(String prefix) {
        Map<String, String> found = new LinkedHashMap<>();
        for (Map.Entry<String, String> e : values.entrySet()) {
            if (e.getKey().startsWith(prefix)) {
                asked.add(e.getKey());
                found.put(e.getKey().substring(prefix.length()), e.getValue());
            }
        }
        return found;
    }

    /** Call when every option was asked for. */
    void end() {
        for (String k : values.keySet()) {
            if (!asked.contains(k)) {
                throw new Driver.Usage("unknown option " + k);
            }
        }
    }
}
