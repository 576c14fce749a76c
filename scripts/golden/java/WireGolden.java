import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.action.Action;
import org.apache.rocketmq.common.action.RocketMQAction;
import org.apache.rocketmq.common.resource.RocketMQResource;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.annotation.CFNotNull;
import org.apache.rocketmq.remoting.annotation.CFNullable;
import org.apache.rocketmq.remoting.protocol.FastCodesHeader;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** The schema of every header class and every code, by reflection over the remoting jar. */
public final class WireGolden {
    private static final String OUT = "remoting/protocol/testdata";
    private static final long EARLIEST_CLOCK = 1_500_000_000_000L;

    public static void main(String[] args) throws Exception {
        GoldenFiles out = new GoldenFiles(args[0], OUT);
        headers(out);
        codes(out);
    }

    private static void headers(GoldenFiles out) throws Exception {
        URI jar = CommandCustomHeader.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        Map<String, Object> table = new TreeMap<>();
        try (JarFile file = new JarFile(Path.of(jar).toFile())) {
            for (String entry : (Iterable<String>) file.stream().map(e -> e.getName()).sorted()::iterator) {
                if (!entry.endsWith(".class") || entry.equals("module-info.class")) {
                    continue;
                }
                Class<?> c;
                try {
                    c = Class.forName(entry.substring(0, entry.length() - 6).replace('/', '.'), false, WireGolden.class.getClassLoader());
                } catch (LinkageError e) {
                    continue; // needs a jar that the broker does not ship
                }
                if (CommandCustomHeader.class.isAssignableFrom(c) && !Modifier.isAbstract(c.getModifiers())) {
                    if (table.put(c.getSimpleName(), header(c)) != null) {
                        throw new IllegalStateException("two classes are named " + c.getSimpleName());
                    }
                }
            }
        }
        out.lines("headers.json", "RemotingCommand.makeCustomHeaderToNet, fields of every CommandCustomHeader by reflection", table);
    }

    /** The fields RemotingCommand.getClazzFields finds, own ones first, then those of the superclasses. */
    private static Map<String, Object> header(Class<?> c) {
        Map<String, Object> m = GoldenFiles.of("class", c.getName());
        RocketMQAction action = c.getAnnotation(RocketMQAction.class);
        if (action != null) {
            List<String> actions = new ArrayList<>();
            for (Action a : action.action()) {
                actions.add(a.getName());
            }
            m.put("code", action.value());
            m.put("resource", action.resource().name());
            m.put("actions", actions);
        }
        if (FastCodesHeader.class.isAssignableFrom(c)) {
            m.put("fast", true);
        }
        Object fresh = null;
        try {
            fresh = c.getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException e) {
            m.put("noDefaultConstructor", true);
        }
        List<Object> fields = new ArrayList<>();
        for (Class<?> k = c; k != Object.class; k = k.getSuperclass()) {
            for (Field f : k.getDeclaredFields()) {
                if (!Modifier.isStatic(f.getModifiers()) && !f.getName().startsWith("this")) {
                    fields.add(field(f, k == c, fresh));
                }
            }
        }
        m.put("fields", fields);
        return m;
    }

    private static Map<String, Object> field(Field f, boolean own, Object fresh) {
        Map<String, Object> m = GoldenFiles.of("name", f.getName(), "type", f.getType().getSimpleName(),
            "notNull", f.isAnnotationPresent(CFNotNull.class));
        if (f.isAnnotationPresent(CFNullable.class)) {
            m.put("nullable", true);
        }
        if (!own) {
            m.put("from", f.getDeclaringClass().getSimpleName());
        }
        RocketMQResource r = f.getAnnotation(RocketMQResource.class);
        if (r != null) {
            m.put("resource", r.value().name());
            if (!r.splitter().isEmpty()) {
                m.put("splitter", r.splitter());
            }
        }
        try {
            f.setAccessible(true);
            Object value = fresh == null ? null : f.get(fresh);
            if (value != null) {
                // What an absent field reads as; invokeTime fields start at the present.
                boolean clock = value instanceof Long && (Long) value > EARLIEST_CLOCK;
                m.put("default", clock ? "currentTimeMillis" : value.toString());
            }
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
        return m;
    }

    private static void codes(GoldenFiles out) throws Exception {
        Map<String, Object> languages = new LinkedHashMap<>();
        for (LanguageCode l : LanguageCode.values()) {
            languages.put(l.name(), (int) l.getCode());
        }
        Map<String, Object> versions = new LinkedHashMap<>();
        for (MQVersion.Version v : MQVersion.Version.values()) {
            String n = v.name();
            if (!n.endsWith("_SNAPSHOT") && (n.startsWith("V3_0_11") || n.startsWith("V3_2_6") || n.startsWith("V3_4_9")
                || n.startsWith("V4_") || n.startsWith("V5_") || n.equals("HIGHER_VERSION"))) {
                versions.put(n, v.ordinal());
            }
        }
        Map<String, Object> table = new LinkedHashMap<>();
        table.put("request", constants(RequestCode.class));
        table.put("response", constants(ResponseCode.class));
        table.put("language", languages);
        table.put("version", versions);
        table.put("currentVersion", MQVersion.CURRENT_VERSION);
        out.lines("codes.json", "RequestCode, ResponseCode with RemotingSysResponseCode, LanguageCode, MQVersion", table);
    }

    /** Public constants of c and its superclasses by name. */
    private static Map<String, Object> constants(Class<?> c) throws IllegalAccessException {
        Map<String, Object> m = new TreeMap<>();
        for (Field f : c.getFields()) {
            if (Modifier.isStatic(f.getModifiers()) && f.getType() == int.class || f.getType() == short.class) {
                m.put(f.getName(), ((Number) f.get(null)).intValue());
            }
        }
        return m;
    }
}
