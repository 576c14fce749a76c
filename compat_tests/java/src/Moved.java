import java.lang.reflect.Method;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.MessageExt;

/** Classes and methods that the 4.9 and 5.x clients have in different places. */
final class Moved {
    private Moved() {
    }

    /** Loads the first of these classes that exists. */
    static Class<?> type(String... names) throws ClassNotFoundException {
        ClassNotFoundException last = null;
        for (String n : names) {
            try {
                return Class.forName(n);
            } catch (ClassNotFoundException e) {
                last = e;
            }
        }
        throw last;
    }

    /** Calls a public method by its name and number of arguments. */
    static Object call(Object target, String name, Object... args) throws Exception {
        for (Method m : target.getClass().getMethods()) {
            if (m.getName().equals(name) && fits(m, args)) {
                try {
                    return m.invoke(target, args);
                } catch (java.lang.reflect.InvocationTargetException e) {
                    if (e.getCause() instanceof Exception) {
                        throw (Exception) e.getCause();
                    }
                    throw e;
                }
            }
        }
        throw new NoSuchMethodException(target.getClass() + "." + name);
    }

    private static boolean fits(Method m, Object[] args) {
        Class<?>[] types = m.getParameterTypes();
        if (types.length != args.length) {
            return false;
        }
        for (int i = 0; i < types.length; i++) {
            if (!types[i].isPrimitive() && args[i] != null && !types[i].isInstance(args[i])) {
                return false;
            }
        }
        return true;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static void setMessageModel(DefaultMQPushConsumer c, String model) throws Exception {
        Class<?> t = type("org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel",
            "org.apache.rocketmq.common.protocol.heartbeat.MessageModel");
        call(c, "setMessageModel", Enum.valueOf((Class<Enum>) t, model));
    }

    static Object newGroupConfig() throws Exception {
        return type("org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig",
            "org.apache.rocketmq.common.subscription.SubscriptionGroupConfig").getConstructor().newInstance();
    }

    /** The id made of broker address and physical offset; MessageClientExt hides it behind the unique key. */
    static String offsetMsgId(MessageExt m) {
        try {
            return (String) call(m, "getOffsetMsgId");
        } catch (Exception e) {
            return m.getMsgId();
        }
    }
}
