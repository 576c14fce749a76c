package mqadmin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// traceTopic is where clients tell of their messages. Java: TopicValidator.RMQ_SYS_TRACE_TOPIC.
const traceTopic = "RMQ_SYS_TRACE_TOPIC"

// Separators of a trace. Java: TraceConstants.
const (
	traceField = "\x01"
	traceEnd   = "\x02"
)

// traceView is one event in the life of a message. Java: TraceView.
type traceView struct {
	Type      string `json:"msgType"` // Pub or SubAfter
	Group     string `json:"groupName"`
	Host      string `json:"clientHost"`
	Timestamp int64  `json:"timeStamp"` // ms
	Cost      int64  `json:"costTime"`  // ms
	Status    string `json:"status"`
}

// views finds the events of a message in the body of a trace message. Java: TraceDataEncoder.
func views(text, id string) []traceView {
	var out []traceView
	for _, part := range strings.Split(text, traceEnd) {
		f := strings.Split(part, traceField)
		at := func(i int) string {
			if i < len(f) {
				return f[i]
			}
			return ""
		}
		n := func(i int) int64 { n, _ := strconv.ParseInt(at(i), 10, 64); return n }
		status := func(i int) string {
			if strings.EqualFold(at(i), "true") {
				return "success"
			}
			return "failed"
		}
		switch {
		case at(0) == "Pub" && at(5) == id:
			out = append(out, traceView{Type: "Pub", Group: at(3), Host: at(14), Timestamp: n(1), Cost: n(10), Status: status(len(f) - min(2, max(1, len(f)-13)))})
		case at(0) == "SubAfter" && at(2) == id:
			out = append(out, traceView{Type: "SubAfter", Group: at(8), Timestamp: n(7), Cost: n(3), Status: status(4)})
		}
	}
	return out
}

func queryMsgTrace(k *call) error {
	id := k.str("i")
	found, err := k.QueryMessages(k.ctx, admin.Query{Topic: cmp.Or(k.str("t"), traceTopic), Key: id, Max: int32(k.num("c", 64)), Begin: k.num("b", 0), End: k.num("e", 0)})
	if err != nil {
		return err
	}
	var all []traceView
	for _, m := range found {
		all = append(all, views(string(m.Body), id)...)
	}
	return k.show(all, func() {
		const format = "%-10s %-20s %-20s %-20s %-10s %-10s\n"
		row := func(kind string, v traceView) {
			k.printf(format, kind, v.Group, v.Host, seconds(v.Timestamp), fmt.Sprintf("%dms", v.Cost), v.Status)
		}
		groups := map[string][]traceView{}
		for _, v := range all {
			if v.Type == "Pub" {
				k.printf(format, "#Type", "#ProducerGroup", "#ClientHost", "#SendTime", "#CostTimes", "#Status")
				row("Pub", v)
				k.printf("\n")
			} else {
				groups[v.Group] = append(groups[v.Group], v)
			}
		}
		for _, g := range slices.Sorted(maps.Keys(groups)) {
			k.printf(format, "#Type", "#ConsumerGroup", "#ClientHost", "#ConsumerTime", "#CostTimes", "#Status")
			for _, v := range groups[g] {
				row("Sub", v)
			}
			k.printf("\n")
		}
	})
}

// sendTrace tells of a message that was sent as Java's client does.
func sendTrace(k *call, group string, r *admin.SendResult, p message.Properties, length int, took time.Duration, storeHost string) error {
	queues, addrs, err := k.Queues(k.ctx, traceTopic, true)
	if err != nil {
		return err
	}
	q := pick(queues)
	keys := p.Get(message.PropertyKeys)
	fields := []string{"Pub", fmt.Sprint(time.Now().Add(-took).UnixMilli()), "DefaultRegion", group, r.Queue.Topic, r.MsgID, p.Get(message.PropertyTags), keys, storeHost,
		fmt.Sprint(length), fmt.Sprint(took.Milliseconds()), "0", r.OffsetMsgID, "true", localIP()}
	var props message.Properties
	props.Set(message.PropertyKeys, strings.TrimSpace(r.MsgID+" "+keys))
	_, err = k.Send(k.ctx, addrs[q.BrokerName], "_INNER_TRACE_PRODUCER", q, props, []byte(strings.Join(fields, traceField)+traceEnd))
	return err
}

// pick returns one of the queues; Java's clients begin at a random one, too.
func pick(queues []body.MessageQueue) body.MessageQueue {
	if len(queues) == 0 {
		return body.MessageQueue{}
	}
	return queues[time.Now().UnixNano()%int64(len(queues))]
}
