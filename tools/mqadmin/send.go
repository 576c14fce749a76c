package mqadmin

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func sendCommands() []command {
	return []command{
		{name: "sendMessage", usage: "Send a message.", run: sendMessage, options: "t/topic=* p/body=* k/key= c/tags= b/broker= i/qid=# m/msgTraceEnable="},
		{name: "sendMsgStatus", usage: "Send msg to broker.", change: true, run: sendMsgStatus, options: "b/brokerName=* s/messageSize=# c/count=#"},
		{name: "checkMsgSendRT", usage: "Check message send response time.", run: checkMsgSendRT, options: "t/topic=* a/amount=# s/size=#"},
		{name: "clusterRT", usage: "List All clusters Message Send RT.", run: clusterRT, options: "a/amount=# s/size=# c/cluster= p= m= i/interval=#"},
	}
}

// autoTopic gives a topic that is not there yet its queues. Java: TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC.
const autoTopic = "TBW102"

// writable returns the queues to send to and their brokers; for a topic that is not there, those that it gets.
func writable(k *call, topic string) ([]body.MessageQueue, map[string]string, error) {
	queues, addrs, err := k.Queues(k.ctx, topic, true)
	if admin.Code(err) == protocol.TopicNotExist {
		const most = 4 // Java: DefaultMQProducer.defaultTopicQueueNums
		queues, addrs, err = k.Queues(k.ctx, autoTopic, true)
		queues = slices.DeleteFunc(queues, func(q body.MessageQueue) bool { return q.QueueID >= most })
		for i := range queues {
			queues[i].Topic = topic
		}
	}
	if err == nil && len(queues) == 0 {
		err = fmt.Errorf("topic %s has no queue that can be written", topic)
	}
	return queues, addrs, err
}

func localIP() string {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}

func sendMessage(k *call) error {
	topic, text := k.str("t"), []byte(k.str("p"))
	if k.has("i") && !k.has("b") {
		return errors.New("the broker name (-b) must be given with a queue (-i)")
	}
	queues, addrs, err := writable(k, topic)
	if err != nil {
		return err
	}
	q := pick(queues)
	if k.has("i") {
		q = body.MessageQueue{Topic: topic, BrokerName: k.str("b"), QueueID: int32(k.num("i", 0))}
		q.BrokerName = leaderOf(q, queues)
		if addrs[q.BrokerName] == "" {
			return fmt.Errorf("the broker %s has no queue of topic %s", q.BrokerName, topic)
		}
	}
	var p message.Properties
	for name, option := range map[string]string{message.PropertyKeys: "k", message.PropertyTags: "c"} {
		if v := k.str(option); v != "" {
			p.Set(name, v)
		}
	}
	group := fmt.Sprint(time.Now().UnixMilli())
	begin := time.Now()
	r, err := k.Send(k.ctx, addrs[q.BrokerName], group, q, p, text)
	if err != nil {
		return err
	}
	if k.boolean("m", false) {
		if err := sendTrace(k, group, r, p, len(text), time.Since(begin), addrs[q.BrokerName]); err != nil {
			return fmt.Errorf("the message %s was sent, its trace was not: %w", r.MsgID, err)
		}
	}
	return k.show(r, func() {
		k.printf("%-32s  %-4s  %-20s    %s\n", "#Broker Name", "#QID", "#Send Result", "#MsgId")
		k.printf("%-32s  %-4d  %-20s    %s\n", r.Queue.BrokerName, r.Queue.QueueID, r.Status, r.MsgID)
	})
}

func sendMsgStatus(k *call) error {
	topic := k.str("b") // every broker has a topic of its name
	queues, addrs, err := writable(k, topic)
	if err != nil {
		return err
	}
	for i := range k.num("c", 50) + 1 {
		size := k.num("s", 128)
		if i == 0 {
			size = 16 // the first only makes the connection
		}
		q := queues[int(i)%len(queues)]
		begin := time.Now()
		r, err := k.Send(k.ctx, addrs[q.BrokerName], "PID_SMSC", q, nil, []byte(strings.Repeat("hello ", int(size)/6+1)[:size]))
		if err != nil {
			return err
		}
		if i > 0 {
			k.printf("rt=%dms, SendResult=%s\n", time.Since(begin).Milliseconds(), sendText(r))
		}
	}
	return nil
}

// rtRow is one send of checkMsgSendRT.
type rtRow struct {
	Broker string `json:"brokerName"`
	Queue  int32  `json:"queueId"`
	OK     bool   `json:"sendResult"`
	RT     int64  `json:"rt"` // ms
}

// timed sends messages of a size, one to each queue in turn, and returns how each went.
func timed(k *call, topic string, amount, size int64) ([]rtRow, error) {
	queues, addrs, err := writable(k, topic)
	if err != nil {
		return nil, err
	}
	rows := make([]rtRow, amount)
	text := []byte(strings.Repeat("a", int(size)))
	for i := range rows {
		q := queues[i%len(queues)]
		begin := time.Now()
		_, err := k.Send(k.ctx, addrs[q.BrokerName], fmt.Sprint(begin.UnixMilli()), q, nil, text)
		rows[i] = rtRow{q.BrokerName, q.QueueID, err == nil, time.Since(begin).Milliseconds()}
	}
	return rows, nil
}

// average leaves out the first send, which makes the connection.
func average(rows []rtRow) float64 {
	if len(rows) < 2 {
		return 0
	}
	var sum int64
	for _, r := range rows[1:] {
		sum += r.RT
	}
	return float64(sum) / float64(len(rows)-1)
}

func checkMsgSendRT(k *call) error {
	rows, err := timed(k, k.str("t"), max(k.num("a", 100), 1), k.num("s", 128))
	if err != nil {
		return err
	}
	return k.show(rows, func() {
		k.printf("%-32s  %-4s  %-20s    %s\n", "#Broker Name", "#QID", "#Send Result", "#RT")
		for _, r := range rows {
			k.printf("%-32s  %-4d  %-20t    %d\n", r.Broker, r.Queue, r.OK, r.RT)
		}
		k.printf("Avg RT: %.2f\n", average(rows))
	})
}

// clusterRow is one broker of clusterRT.
type clusterRow struct {
	Cluster string  `json:"cluster"`
	Broker  string  `json:"brokerName"`
	RT      float64 `json:"rt"` // ms
	OK      int     `json:"successCount"`
	Failed  int     `json:"failCount"`
}

// clusterRT goes on for ever, every 10 s or as -i says.
func clusterRT(k *call) error {
	tlog := k.boolean("p", false)
	if !tlog {
		k.say("%-24s  %-24s  %-4s  %-8s  %-8s\n", "#Cluster Name", "#Broker Name", "#RT", "#successCount", "#failCount")
	}
	for {
		info, err := k.ClusterInfo(k.ctx)
		if err != nil {
			return err
		}
		names := slices.Sorted(maps.Keys(info.ClusterAddrTable))
		if k.has("c") {
			names = []string{k.str("c")}
		}
		for _, cluster := range names {
			if _, ok := info.ClusterAddrTable[cluster]; !ok {
				return fmt.Errorf("cluster [%s] not exist", cluster)
			}
			for _, broker := range slices.Sorted(slices.Values(info.ClusterAddrTable[cluster])) {
				if err := printRT(k, cluster, broker, tlog); err != nil {
					return err
				}
			}
		}
		if k.sleep(time.Duration(k.num("i", 10))*time.Second) != nil {
			return nil
		}
	}
}

func printRT(k *call, cluster, broker string, tlog bool) error {
	rows, err := timed(k, broker, max(k.num("a", 100), 1), k.num("s", 128))
	if err != nil {
		return err
	}
	row := clusterRow{Cluster: cluster, Broker: broker, RT: average(rows)}
	for _, r := range rows {
		if r.OK {
			row.OK++
		} else {
			row.Failed++
		}
	}
	return k.show(row, func() {
		if !tlog {
			k.printf("%-24s  %-24s  %-8s  %-16d  %-16d\n", cluster, broker, fmt.Sprintf("%.2f", row.RT), row.OK, row.Failed)
			return
		}
		room := k.str("m")
		if room == "" {
			room = "noname"
		}
		now := time.Now().In(time.FixedZone("GMT+8", 8*3600)).Format(time.DateTime) // Java's own zone
		k.printf("%s|%s|%s|%s|%.0f\n", now, room, cluster, broker, row.RT)
	})
}
