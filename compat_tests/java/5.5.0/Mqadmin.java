import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Verb mqadmin: runs the stock mqadmin once for each line of standard input, all in this JVM, and prints what
 * each wrote. Words of a line are separated by tabs. "@clients TOPIC GROUP PRODUCERS BROKER" starts a producer,
 * which sends two messages to each of four queues, and a consumer, which takes them; "@offline" stops both.
 * "@endless N COMMAND..." interrupts a command when it has written N lines.
 */
final class Mqadmin extends MQAdminStartup {
    private static final int QUEUES = 4;
    private static final int EACH = 2;
    private static final long POLL = 10; // ms
    private final String namesrv;
    private DefaultMQProducer producer;
    private DefaultMQPushConsumer consumer;

    private Mqadmin(Args args) {
        namesrv = args.need("namesrv");
    }

    static void run(String verb, Args args, Driver.Stop stop) throws Exception {
        Mqadmin m = new Mqadmin(args);
        args.end();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Out.event("started").print();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t", -1);
            switch (words[0]) {
                case "@clients":
                    m.clients(words[1], words[2], words[3], words[4]);
                    break;
                case "@offline":
                    m.consumer.shutdown();
                    m.producer.shutdown();
                    Out.event("offline").print();
                    break;
                case "@endless":
                    command(Integer.parseInt(words[1]), Arrays.copyOfRange(words, 2, words.length));
                    break;
                default:
                    command(Integer.MAX_VALUE, words);
            }
        }
        Out.event("done").print();
    }

    private static void command(int lines, String[] words) throws InterruptedException {
        PrintStream out = System.out;
        PrintStream err = System.err;
        Output gotOut = new Output(lines);
        Output gotErr = new Output(Integer.MAX_VALUE);
        SUB_COMMANDS.clear(); // main0 fills it, and commands keep state
        System.setOut(new PrintStream(gotOut, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(gotErr, true, StandardCharsets.UTF_8));
        long begin = System.nanoTime();
        try {
            Thread t = new Thread(() -> main0(words, null));
            t.start();
            if (lines < Integer.MAX_VALUE) {
                gotOut.full.await(60, TimeUnit.SECONDS);
                t.interrupt();
            }
            for (t.join(POLL); t.isAlive(); t.join(POLL)) {
                hurry(t);
            }
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        Out.event("ran").put("ms", (System.nanoTime() - begin) / 1000000).put("out", gotOut.toString(StandardCharsets.UTF_8))
            .put("err", gotErr.toString(StandardCharsets.UTF_8)).print();
    }

    /**
     * A client that stops waits for its event thread, which may sleep up to 3 s for an event that does not come
     * (NettyRemotingAbstract.NettyEventExecutor). Interrupted, it looks whether it is to stop and loses nothing.
     */
    private static void hurry(Thread command) {
        boolean stopping = Arrays.stream(command.getStackTrace()).anyMatch(f -> f.getClassName().endsWith("ServiceThread") && f.getMethodName().equals("shutdown"));
        if (stopping) {
            Thread.getAllStackTraces().keySet().stream().filter(t -> t.getName().contains("NettyEventExecutor")).forEach(Thread::interrupt);
        }
    }

    /** Keeps what was written; full opens when that many lines are there. */
    private static final class Output extends ByteArrayOutputStream {
        final CountDownLatch full;

        Output(int lines) {
            full = new CountDownLatch(lines);
        }

        @Override
        public synchronized void write(byte[] b, int from, int count) {
            super.write(b, from, count);
            for (int i = from; i < from + count; i++) {
                if (b[i] == '\n') {
                    full.countDown();
                }
            }
        }
    }

    private void clients(String topic, String group, String producers, String broker) throws Exception {
        CountDownLatch all = new CountDownLatch(QUEUES * EACH);
        consumer = Driver.patient(new DefaultMQPushConsumer(group));
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("consumers");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "TagA || TagB");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(m -> all.countDown());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        producer = Driver.patient(new DefaultMQProducer(producers));
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("producers");
        producer.start();
        List<String> ids = new ArrayList<>();
        List<String> offsetIds = new ArrayList<>();
        for (int i = 0; i < QUEUES * EACH; i++) {
            Message m = new Message(topic, i % 2 == 0 ? "TagA" : "TagB", "key" + i, ("body " + i).getBytes(StandardCharsets.UTF_8));
            SendResult r = producer.send(m, new MessageQueue(topic, broker, i % QUEUES), 20000);
            ids.add(r.getMsgId());
            offsetIds.add(r.getOffsetMsgId());
        }
        if (!all.await(90, TimeUnit.SECONDS)) {
            throw new IllegalStateException("not all messages were consumed");
        }
        while (consumer.getDefaultMQPushConsumerImpl().getOffsetStore().cloneOffsetTable(topic).values().stream().mapToLong(Long::longValue).sum() < QUEUES * EACH) {
            Thread.sleep(5); // the offset is updated behind the listener
        }
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        producer.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
        Out.event("clients").put("ids", ids).put("offsetIds", offsetIds).put("consumer", consumer.buildMQClientId()).print();
    }
}
