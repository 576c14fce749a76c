import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.command.topic.DeleteTopicSubCommand;

/** Verbs that create, delete and show topics and groups. */
final class Admin {
    private final DefaultMQAdminExt admin = Driver.patient(new DefaultMQAdminExt(20000));
    private final String namesrv;
    private final String broker;

    private Admin(Args args) {
        namesrv = args.need("namesrv");
        broker = args.need("broker");
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("admin-" + System.nanoTime());
    }

    static void run(String verb, Args args) throws Exception {
        Admin a = new Admin(args);
        boolean group = verb.endsWith("sub");
        String name = args.need(group ? "group" : "topic");
        TopicConfig topic = group ? null : a.topicConfig(args, name);
        Object sub = group ? a.groupConfig(args, name) : null;
        // Of 5.x: a topic is asked for once for each set of attributes, with | between.
        String[] attributes = args.get("attributes", "").split("\\|");
        args.end();
        a.admin.start();
        try {
            for (String set : attributes) {
                if (!set.isEmpty()) {
                    setAttributes(topic, set);
                }
                a.run(verb, name, topic, sub);
            }
        } finally {
            a.admin.shutdown();
        }
        Out.event("done").print();
    }

    /** Sets what a topic is to be asked for next: +KEY:VALUE or -KEY:, several with commas between. */
    private static void setAttributes(TopicConfig c, String text) throws Exception {
        java.util.Map<String, String> attributes = new java.util.HashMap<>();
        for (String one : text.split(",")) {
            attributes.put(one.substring(0, one.indexOf(':')), one.substring(one.indexOf(':') + 1));
        }
        Moved.call(c, "setAttributes", attributes);
    }

    private void run(String verb, String name, TopicConfig topic, Object sub) throws Exception {
        switch (verb) { // each change is followed by what the broker shows then
            case "createtopic":
                try {
                    admin.createAndUpdateTopicConfig(broker, topic);
                } catch (MQClientException e) {
                    Out.event("refused").put("code", e.getResponseCode()).put("error", e.getErrorMessage()).print();
                }
                break;
            case "createsub":
                Moved.call(admin, "createAndUpdateSubscriptionGroupConfig", broker, sub);
                break;
            case "deletetopic":
                // The tool's own way: the order of parameters below it differs between versions.
                DeleteTopicSubCommand.deleteTopic(admin, "DefaultCluster", name);
                break;
            case "deletesub":
                admin.deleteSubscriptionGroup(broker, name, true);
                break;
            default:
                break;
        }
        if (topic != null) {
            getTopic(name);
        } else {
            getGroup(name);
        }
    }

    /** Verb orderconf: tells the NameServer how many queues an ordered topic has at which broker, NAME:QUEUES. */
    static void orderConf(Args args) throws Exception {
        Admin a = new Admin(args);
        String topic = args.need("topic");
        String conf = args.need("conf");
        args.end();
        a.admin.start();
        a.admin.createOrUpdateOrderConf(topic, conf, true);
        a.admin.shutdown();
        Out.event("done").print();
    }

    private TopicConfig topicConfig(Args args, String name) {
        TopicConfig c = new TopicConfig(name);
        c.setReadQueueNums(args.intValue("queues", 4));
        c.setWriteQueueNums(args.intValue("queues", 4));
        c.setPerm(args.intValue("perm", 6));
        return c;
    }

    private Object groupConfig(Args args, String name) throws Exception {
        Object c = Moved.newGroupConfig();
        Moved.call(c, "setGroupName", name);
        Moved.call(c, "setRetryMaxTimes", args.intValue("retryMax", 16));
        Moved.call(c, "setRetryQueueNums", args.intValue("retryQueues", 1));
        if (args.flag("orderly")) {
            try {
                Moved.call(c, "setConsumeMessageOrderly", true);
            } catch (NoSuchMethodException e) {
                throw new Driver.Usage("orderly= needs a 5.x client");
            }
        }
        return c;
    }

    private void getTopic(String name) throws Exception {
        try {
            TopicConfig c = admin.examineTopicConfig(broker, name);
            Out.event("topic").put("found", c != null).put("topic", name).put("readQueues", c == null ? 0 : c.getReadQueueNums())
                .put("writeQueues", c == null ? 0 : c.getWriteQueueNums()).put("perm", c == null ? 0 : c.getPerm())
                .put("attributes", attributes(c)).print();
        } catch (MQBrokerException e) {
            Out.event("topic").put("found", false).put("topic", name).put("code", e.getResponseCode())
                .put("error", e.getErrorMessage()).print();
        }
        try {
            Object route = admin.examineTopicRouteInfo(name);
            Out.event("route").put("found", true).put("route", String.valueOf(route)).print();
        } catch (Exception e) {
            Out.event("route").put("found", false).put("error", String.valueOf(e.getMessage())).print();
        }
    }

    /** The attributes of a topic; a client of 4.x knows none. */
    private static Object attributes(TopicConfig c) throws Exception {
        try {
            return c == null ? null : Moved.call(c, "getAttributes");
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    private void getGroup(String name) throws Exception {
        try {
            Object c = Moved.call(admin, "examineSubscriptionGroupConfig", broker, name);
            Out.event("group").put("found", c != null).put("group", name)
                .put("retryMax", c == null ? 0 : Moved.call(c, "getRetryMaxTimes"))
                .put("retryQueues", c == null ? 0 : Moved.call(c, "getRetryQueueNums")).print();
        } catch (MQBrokerException e) {
            Out.event("group").put("found", false).put("group", name).put("code", e.getResponseCode())
                .put("error", e.getErrorMessage()).print();
        }
    }
}
