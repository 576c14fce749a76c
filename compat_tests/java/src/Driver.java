import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/**
 * Command-line program around the stock RocketMQ Java client: one verb per
 * process, options as key=value, one JSON object per line on standard output.
 * It asserts nothing; the Go tests that start it do. The same sources compile
 * against the 4.9 and 5.x clients, so what moved between their packages is
 * reached by reflection (class Moved).
 */
public final class Driver {
    private static final int TOPIC_NOT_EXIST = 17; // ResponseCode, which moved between the versions

    private Driver() {
    }

    public static void main(String[] argv) {
        System.setOut(System.err); // whatever a library prints must not mix with Out
        int code;
        try {
            code = run(argv);
        } catch (Usage e) {
            Out.event("error").put("error", e.getMessage()).print();
            code = 2;
        } catch (Throwable e) {
            e.printStackTrace();
            Out.event("error").put("error", e.toString()).print();
            code = 1;
        }
        // The clients leave non-daemon threads behind in some versions.
        Runtime.getRuntime().halt(code);
    }

    private static int run(String[] argv) throws Exception {
        if (argv.length == 0) {
            throw new Usage("usage: Driver VERB key=value ...");
        }
        Args args = new Args(argv);
        Stop stop = new Stop(args.longValue("timeout", 60000));
        switch (argv[0]) {
            case "produce":
                Produce.run(args, stop);
                break;
            case "transact":
                Transact.run(args, stop);
                break;
            case "consume":
                Consume.run(args, stop);
                break;
            case "litepull":
                LitePull.run(args, stop);
                break;
            case "queue":
                Query.queue(args);
                break;
            case "view":
                Query.view(args);
                break;
            case "query":
                Query.byKey(args);
                break;
            case "createtopic":
            case "deletetopic":
            case "gettopic":
            case "createsub":
            case "deletesub":
            case "getsub":
                Admin.run(argv[0], args);
                break;
            case "relay":
                Relay.run(args);
                break;
            case "orderconf":
                Admin.orderConf(args);
                break;
            case "recall":
                Recall.run(args);
                break;
            case "pop":
            case "popmode":
                Moved.type("Pop").getDeclaredMethod("run", String.class, Args.class, Stop.class).invoke(null, argv[0], args, stop);
                break;
            case "mqadmin":
                Moved.type("Mqadmin").getDeclaredMethod("run", String.class, Args.class, Stop.class).invoke(null, argv[0], args, stop);
                break;
            case "dashboard":
                Moved.type("Dashboard").getDeclaredMethod("run", String.class, Args.class, Stop.class).invoke(null, argv[0], args, stop);
                break;
            case "warm":
                Warm.run();
                break;
            default:
                throw new Usage("unknown verb " + argv[0]);
        }
        return 0;
    }

    /** Lets requests wait longer than the default 3 s, because a test machine may stall that long. */
    static <C extends ClientConfig> C patient(C client) {
        client.setMqClientApiTimeout(20000);
        return client;
    }

    /**
     * Starts a producer and asks for the topic's route, as the client gives up after 3 s when it sends first: a test
     * machine may take that long to connect. A topic that is not there yet is no error.
     */
    static void start(DefaultMQProducer producer, String topic) throws MQClientException {
        producer.start();
        for (int attempt = 1; attempt <= 3; attempt++) {
            try {
                producer.fetchPublishMessageQueues(topic);
                return;
            } catch (MQClientException e) {
                if (e.getCause() instanceof MQClientException
                    && ((MQClientException) e.getCause()).getResponseCode() == TOPIC_NOT_EXIST) {
                    return;
                }
            }
        }
    }

    /** Puts a client into a namespace: namespace=, or that of 5.x, namespaceV2=. */
    static void namespace(ClientConfig client, Args args) throws Exception {
        if (args.get("namespace", null) != null) {
            client.setNamespace(args.need("namespace"));
        }
        if (args.get("namespaceV2", null) != null) {
            Moved.call(client, "setNamespaceV2", args.need("namespaceV2"));
        }
    }

    /** Wrong command line: exit code 2. */
    static final class Usage extends RuntimeException {
        Usage(String text) {
            super(text);
        }
    }

    /** When to stop: the verb says so, standard input ends, or time is up. */
    static final class Stop {
        private final CountDownLatch latch = new CountDownLatch(1);
        private final long deadline;
        private volatile String reason = "timeout";
        private boolean reading;

        Stop(long timeoutMs) {
            deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        }

        void now(String why) {
            synchronized (this) {
                if (latch.getCount() > 0) {
                    reason = why;
                }
            }
            latch.countDown();
        }

        boolean requested() {
            return latch.getCount() == 0 || System.nanoTime() >= deadline;
        }

        String await() throws InterruptedException {
            latch.await(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
            return reason;
        }

        /** Waits up to that long; true when it is time to stop. */
        boolean await(long ms) throws InterruptedException {
            latch.await(ms, TimeUnit.MILLISECONDS);
            return requested();
        }

        /** From here on the end of standard input means stop. */
        synchronized void watchStdin() {
            if (reading) {
                return;
            }
            reading = true;
            Thread t = new Thread(() -> {
                try {
                    while (System.in.read() >= 0) {
                        continue;
                    }
                } catch (IOException e) {
                    // A broken pipe ends the run as its end does.
                }
                now("stdin");
            }, "stdin");
            t.setDaemon(true);
            t.start();
        }
    }
}
