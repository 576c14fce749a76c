import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Verb transact: sends count messages in transactions. Message i ends as the i-th of end= says (commit, rollback,
 * unknown); the broker's questions are answered with answer=. It stays to be asked until told to stop.
 */
final class Transact {
    private Transact() {
    }

    static void run(Args args, Driver.Stop stop) throws Exception {
        String topic = args.need("topic");
        String prefix = args.get("prefix", "m");
        int count = args.intValue("count", 0);
        String[] end = args.get("end", "commit").split(",");
        LocalTransactionState answer = state(args.get("answer", "unknown"));
        String immunity = args.get("immunity", "");
        TransactionMQProducer producer = Driver.patient(new TransactionMQProducer(args.need("group")));
        producer.setNamesrvAddr(args.need("namesrv"));
        producer.setSendMsgTimeout(20000);
        producer.setHeartbeatBrokerInterval(500); // so that a broker that starts anew soon knows whom to ask
        args.end();
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                return (LocalTransactionState) arg;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                Out.event("check").put("body", new String(m.getBody(), StandardCharsets.UTF_8)).put("topic", m.getTopic())
                    .put("queueId", m.getQueueId()).put("msgId", m.getMsgId()).put("transactionId", m.getTransactionId())
                    .put("flag", m.getFlag()).put("props", m.getProperties()).print();
                return answer;
            }
        });
        Driver.start(producer, topic);
        stop.watchStdin();
        Out.event("started").print();
        for (int i = 0; i < count && !stop.requested(); i++) {
            Message m = new Message(topic, "tagA", prefix + "-k" + i, (prefix + "-" + i).getBytes(StandardCharsets.UTF_8));
            m.putUserProperty("user", "u" + i);
            if (!immunity.isEmpty()) {
                m.putUserProperty("CHECK_IMMUNITY_TIME_IN_SECONDS", immunity);
            }
            m.setFlag(7);
            TransactionSendResult r = producer.sendMessageInTransaction(m, state(end[i % end.length]));
            Out.event("sent").put("body", prefix + "-" + i).put("msgId", r.getMsgId()).put("transactionId", r.getTransactionId())
                .put("queueId", r.getMessageQueue().getQueueId()).put("queueOffset", r.getQueueOffset())
                .put("status", r.getSendStatus()).put("state", r.getLocalTransactionState()).print();
        }
        stop.await();
        producer.shutdown();
        Out.event("done").print();
    }

    private static LocalTransactionState state(String name) {
        switch (name) {
            case "commit":
                return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback":
                return LocalTransactionState.ROLLBACK_MESSAGE;
            case "unknown":
                return LocalTransactionState.UNKNOW;
            default:
                throw new Driver.Usage("no transaction state: " + name);
        }
    }
}
