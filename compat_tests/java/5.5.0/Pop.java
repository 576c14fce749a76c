import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.AckCallback;
import org.apache.rocketmq.client.consumer.AckResult;
import org.apache.rocketmq.client.consumer.AckStatus;
import org.apache.rocketmq.client.consumer.PopCallback;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.consumer.PopStatus;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.header.AckMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ChangeInvisibleTimeRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Verbs of the 5.x client's POP calls (MQClientAPIImpl): pop, which pops and acknowledges one answer after the
 * other and prints what the broker confirmed, and popmode, which sets how a group gets a topic's messages.
 */
final class Pop {
    private static final long PATIENCE = 20000;
    private final Driver.Stop stop;
    private final DefaultMQAdminExt admin = Driver.patient(new DefaultMQAdminExt(PATIENCE));
    private final String topic;
    private final String group;
    private final int queue;
    private final int max;
    private final long invisible;
    private final long pollTime;
    private final boolean order;
    private final boolean batch;
    private final int failFirst;
    private final long change;
    private final long delayMs;
    private final long expect;
    private final String tag;
    private final String sql;
    private MQClientAPIImpl api;
    private BrokerData broker;
    private long acked;

    private Pop(Args args, Driver.Stop stop) {
        this.stop = stop;
        admin.setNamesrvAddr(args.need("namesrv"));
        admin.setInstanceName("pop-" + System.nanoTime());
        topic = args.need("topic");
        group = args.need("group");
        queue = args.intValue("queue", -1);
        max = args.intValue("max", 32);
        invisible = args.longValue("invisible", 60000);
        pollTime = args.longValue("pollTime", 2000);
        order = args.flag("order");
        batch = args.flag("batch");
        failFirst = args.intValue("failFirst", 0);
        change = args.longValue("change", -1);
        delayMs = args.longValue("delayMs", 0);
        expect = args.longValue("expect", Long.MAX_VALUE);
        tag = args.get("tag", "*");
        sql = args.get("sql", null);
    }

    static void run(String verb, Args args, Driver.Stop stop) throws Exception {
        if (verb.equals("popmode")) {
            mode(args);
            return;
        }
        Pop p = new Pop(args, stop);
        args.end();
        p.admin.start();
        try {
            p.loop();
        } finally {
            p.admin.shutdown();
        }
    }

    private static void mode(Args args) throws Exception {
        DefaultMQAdminExt admin = Driver.patient(new DefaultMQAdminExt(PATIENCE));
        admin.setNamesrvAddr(args.need("namesrv"));
        String addr = args.need("broker");
        String topic = args.need("topic");
        String group = args.need("group");
        int share = args.intValue("share", 0);
        args.end();
        admin.start();
        admin.setMessageRequestMode(addr, topic, group, MessageRequestMode.POP, share, PATIENCE);
        admin.shutdown();
        Out.event("done").print();
    }

    private void loop() throws Exception {
        api = admin.getDefaultMQAdminExtImpl().getMqClientInstance().getMQClientAPIImpl();
        broker = api.getTopicRouteInfoFromNameServer(topic, PATIENCE).getBrokerDatas().get(0);
        Out.event("started").print();
        stop.watchStdin();
        while (!stop.requested() && acked < expect) {
            try {
                PopResult r = pop();
                if (r.getPopStatus() == PopStatus.FOUND) {
                    answer(r);
                }
            } catch (Exception e) {
                Out.event("popError").put("error", String.valueOf(e)).print();
                stop.await(100);
            }
        }
        Out.event("done").put("acked", acked).print();
    }

    private PopResult pop() throws Exception {
        PopMessageRequestHeader h = new PopMessageRequestHeader();
        h.setConsumerGroup(group);
        h.setTopic(topic);
        h.setQueueId(queue);
        h.setMaxMsgNums(max);
        h.setInvisibleTime(invisible);
        h.setPollTime(pollTime);
        h.setBornTime(System.currentTimeMillis());
        h.setInitMode(0);
        h.setExpType(sql == null ? "TAG" : "SQL92");
        h.setExp(sql == null ? tag : sql);
        h.setOrder(order);
        if (order) {
            h.setAttemptId("attempt-" + System.nanoTime());
        }
        CompletableFuture<PopResult> f = new CompletableFuture<>();
        api.popMessageAsync(broker.getBrokerName(), broker.selectBrokerAddr(), h, pollTime + PATIENCE, new PopCallback() {
            @Override
            public void onSuccess(PopResult r) {
                f.complete(r);
            }

            @Override
            public void onException(Throwable e) {
                f.completeExceptionally(e);
            }
        });
        return f.get(pollTime + 2 * PATIENCE, TimeUnit.MILLISECONDS);
    }

    private void answer(PopResult r) throws Exception {
        List<MessageExt> good = new ArrayList<>();
        for (MessageExt m : r.getMsgFoundList()) {
            boolean ok = m.getReconsumeTimes() >= failFirst;
            Out.message(m).put("ok", ok).put("popTime", r.getPopTime()).put("handle", m.getProperty(MessageConst.PROPERTY_POP_CK)).print();
            if (ok) {
                good.add(m);
            } else if (change >= 0) {
                changed(m);
            }
        }
        if (delayMs > 0) {
            stop.await(delayMs);
        }
        if (batch) {
            ackAll(good);
            return;
        }
        for (MessageExt m : good) {
            ack(m);
        }
    }

    private void ack(MessageExt m) throws Exception {
        String[] handle = ExtraInfoUtil.split(m.getProperty(MessageConst.PROPERTY_POP_CK));
        AckMessageRequestHeader h = new AckMessageRequestHeader();
        h.setTopic(ExtraInfoUtil.getRealTopic(handle, topic, group));
        h.setConsumerGroup(group);
        h.setQueueId(ExtraInfoUtil.getQueueId(handle));
        h.setOffset(ExtraInfoUtil.getQueueOffset(handle));
        h.setExtraInfo(m.getProperty(MessageConst.PROPERTY_POP_CK));
        Waiter w = new Waiter();
        api.ackMessageAsync(broker.selectBrokerAddr(), PATIENCE, w, h);
        confirm(m, w.await());
    }

    private void ackAll(List<MessageExt> list) throws Exception {
        if (list.isEmpty()) {
            return;
        }
        List<String> handles = new ArrayList<>();
        for (MessageExt m : list) {
            handles.add(m.getProperty(MessageConst.PROPERTY_POP_CK));
        }
        Waiter w = new Waiter();
        api.batchAckMessageAsync(broker.selectBrokerAddr(), PATIENCE, w, topic, group, handles);
        AckResult r = w.await();
        for (MessageExt m : list) {
            confirm(m, r);
        }
    }

    private void confirm(MessageExt m, AckResult r) {
        boolean ok = r.getStatus() == AckStatus.OK;
        Out.event(ok ? "acked" : "notAcked").put("body", new String(m.getBody())).put("popTime", ExtraInfoUtil.getPopTime(ExtraInfoUtil.split(m.getProperty(MessageConst.PROPERTY_POP_CK))))
            .put("at", System.currentTimeMillis()).print();
        acked += ok ? 1 : 0;
    }

    private void changed(MessageExt m) throws Exception {
        String[] handle = ExtraInfoUtil.split(m.getProperty(MessageConst.PROPERTY_POP_CK));
        ChangeInvisibleTimeRequestHeader h = new ChangeInvisibleTimeRequestHeader();
        h.setTopic(ExtraInfoUtil.getRealTopic(handle, topic, group));
        h.setConsumerGroup(group);
        h.setQueueId(ExtraInfoUtil.getQueueId(handle));
        h.setOffset(ExtraInfoUtil.getQueueOffset(handle));
        h.setExtraInfo(m.getProperty(MessageConst.PROPERTY_POP_CK));
        h.setInvisibleTime(change);
        Waiter w = new Waiter();
        api.changeInvisibleTimeAsync(broker.getBrokerName(), broker.selectBrokerAddr(), h, PATIENCE, w);
        AckResult r = w.await();
        Out.event(r.getStatus() == AckStatus.OK ? "changed" : "notChanged").put("body", new String(m.getBody())).put("handle", r.getExtraInfo())
            .put("at", System.currentTimeMillis()).print();
    }

    /** Waits for the answer to an acknowledgement. */
    private static final class Waiter implements AckCallback {
        private final CompletableFuture<AckResult> result = new CompletableFuture<>();

        @Override
        public void onSuccess(AckResult r) {
            result.complete(r);
        }

        @Override
        public void onException(Throwable e) {
            result.completeExceptionally(e);
        }

        AckResult await() throws Exception {
            return result.get(2 * PATIENCE, TimeUnit.MILLISECONDS);
        }
    }
}
