import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONArray;
import com.alibaba.fastjson2.JSONObject;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;
import org.apache.rocketmq.filter.expression.MQFilterException;

/**
 * What Java's SQL92 filter makes of expressions. It rewrites a file in place: the first line holds the messages,
 * {"messages": [[name, value, ...], ...]}; each further line an expression {"e": ...}, to which the error of its
 * compilation is added or its results, one letter for each message: T, F, U (null) or X (it throws).
 *
 * The argument is such a file, or the repository. The class stands alone: the compat tests run it from its source.
 */
public final class SqlGolden {
    private static final String FILE = "broker/filter/sql92/testdata/verdicts.golden";

    public static void main(String[] args) throws Exception {
        Path path = Path.of(args[0]);
        if (Files.isDirectory(path)) {
            path = path.resolve(FILE);
        }
        List<String> lines = Files.readAllLines(path, StandardCharsets.UTF_8);
        List<Map<String, String>> messages = new ArrayList<>();
        for (Object m : JSON.parseObject(lines.get(0)).getJSONArray("messages")) {
            JSONArray pairs = (JSONArray) m;
            Map<String, String> props = new HashMap<>();
            for (int i = 0; i < pairs.size(); i += 2) {
                props.put(pairs.getString(i), pairs.getString(i + 1));
            }
            messages.add(props);
        }
        StringBuilder out = new StringBuilder(lines.get(0)).append('\n');
        for (String line : lines.subList(1, lines.size())) {
            out.append(verdict(JSON.parseObject(line).getString("e"), messages)).append('\n');
        }
        Files.writeString(path, out, StandardCharsets.UTF_8);
    }

    private static JSONObject verdict(String text, List<Map<String, String>> messages) {
        JSONObject result = new JSONObject().fluentPut("e", text);
        Expression e;
        try {
            e = FilterFactory.INSTANCE.get("SQL92").compile(text);
        } catch (MQFilterException x) {
            return result.fluentPut("error", x.getMessage());
        }
        StringBuilder verdicts = new StringBuilder();
        for (Map<String, String> m : messages) {
            verdicts.append(evaluate(e, m));
        }
        return result.fluentPut("v", verdicts.toString());
    }

    private static char evaluate(Expression e, Map<String, String> message) {
        try {
            Object v = e.evaluate(new Properties(message));
            return v == null ? 'U' : (Boolean) v ? 'T' : 'F';
        } catch (Throwable x) { // a StackOverflowError, too
            return 'X';
        }
    }

    /** As the broker's MessageEvaluationContext, which is not in the filter's jar. */
    private static final class Properties implements EvaluationContext {
        private final Map<String, String> map;

        Properties(Map<String, String> map) {
            this.map = map;
        }

        @Override
        public Object get(String name) {
            return map.get(name);
        }

        @Override
        public Map<String, Object> keyValues() {
            return new HashMap<>(map);
        }
    }
}
