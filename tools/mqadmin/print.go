package mqadmin

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func printCommands() []command {
	return []command{
		{name: "printMsg", usage: "Print Message Detail.", run: printMsg,
			options: "t/topic=* c/charsetName= s/subExpression= b/beginTimestamp= e/endTimestamp= d/printBody= l/lmqParentTopic="},
		{name: "printMsgByQueue", usage: "Print Message Detail by queueId.", run: printMsgByQueue,
			options: "t/topic=* a/brokerName=* i/queueId=#* c/charsetName= s/subExpression= b/beginTimestamp= e/endTimestamp= p= d/printBody= f/calculate="},
		{name: "consumeMessage", usage: "Consume message.", run: consumeMessage,
			options: "t/topic=* b/brokerName= i/queueId=# o/offset=# g/consumerGroup= s/beginTimestamp= e/endTimestamp= c/MessageNumber=#"},
	}
}

// printed writes messages as Java does or, with --json, a line for each.
func printed(k *call, r *admin.PullResult, withBody bool) error {
	for i := range r.Messages {
		m := &r.Messages[i]
		err := k.show(shownOf(m, r, nil), func() {
			text := "NOT PRINT BODY"
			if withBody {
				text = string(m.Body)
			}
			k.printf("MSGID: %s %s BODY: %s\n", m.ID(), messageText(m, r), text)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// say prints a line that is no message; --json has none.
func (k *call) say(format string, args ...any) {
	if !k.c.Bool("json") {
		k.printf(format, args...)
	}
}

// window returns the offsets of a queue between the times of two options, which may be absent.
func window(k *call, addr string, q body.MessageQueue, begin, end string) (from, to int64, err error) {
	from, to, err = k.Bounds(k.ctx, addr, q)
	for option, offset := range map[string]*int64{begin: &from, end: &to} {
		if err != nil || !k.has(option) {
			continue
		}
		var at int64
		if at, err = parseTime(k.str(option)); err == nil && at > 0 {
			*offset, err = k.OffsetByTime(k.ctx, addr, q, at)
		}
	}
	return from, to, err
}

// pullBatch is how many messages are pulled at once.
const pullBatch = 32

// walk pulls what lies between two offsets and calls fn with each answer until fn returns false.
func walk(k *call, addr string, q body.MessageQueue, from, to int64, fn func(r *admin.PullResult) (bool, error)) error {
	expression := cmp.Or(k.str("s"), body.SubAll)
	for at := from; at < to; {
		r, err := k.Pull(k.ctx, addr, q, toolsGroup, expression, at, pullBatch)
		if err != nil {
			return err
		}
		if more, err := fn(r); err != nil || !more {
			return err
		}
		at = max(r.Next, at+1)
	}
	return nil
}

func printMsg(k *call) error {
	topic := k.str("t")
	queues, addrs, err := k.Queues(k.ctx, cmp.Or(k.str("l"), topic), false)
	if err != nil {
		return err
	}
	for _, q := range queues {
		q.Topic = topic
		from, to, err := window(k, addrs[q.BrokerName], q, "b", "e")
		if err != nil {
			return err
		}
		k.say("minOffset=%d, maxOffset=%d, %s\n", from, to, queueText(q))
		err = walk(k, addrs[q.BrokerName], q, from, to, func(r *admin.PullResult) (bool, error) {
			switch r.Status {
			case admin.PullFound:
				return true, printed(k, r, k.boolean("d", true))
			case admin.PullNoMatched:
				k.say("%s no matched msg. status=%s, offset=%d\n", queueText(q), r.Status, r.Next)
				return true, nil
			}
			k.say("%s print msg finished. status=%s, offset=%d\n", queueText(q), r.Status, r.Next)
			return false, nil
		})
		if err != nil {
			return err
		}
		k.say("%s\n", strings.Repeat("-", 56))
	}
	return nil
}

func printMsgByQueue(k *call) error {
	addr, err := brokerAddr(k, k.str("a"))
	if err != nil {
		return err
	}
	q := body.MessageQueue{Topic: k.str("t"), BrokerName: k.str("a"), QueueID: int32(k.num("i", 0))}
	from, to, err := window(k, addr, q, "b", "e")
	if err != nil {
		return err
	}
	tags := map[string]int{}
	err = walk(k, addr, q, from, to, func(r *admin.PullResult) (bool, error) {
		for _, m := range r.Messages {
			if tag := message.GetProperty(m.Properties, message.PropertyTags); tag != "" {
				tags[tag]++
			}
		}
		if !k.boolean("p", false) {
			return r.Status == admin.PullFound, nil
		}
		return r.Status == admin.PullFound, printed(k, r, k.boolean("d", false))
	})
	if err != nil || !k.boolean("f", false) {
		return err
	}
	names := make([]string, 0, len(tags))
	for t := range tags {
		names = append(names, t)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(tags[b]-tags[a], strings.Compare(a, b)) })
	return k.show(tags, func() {
		for _, t := range names {
			k.printf("Tag: %-30s Count: %d\n", t, tags[t])
		}
	})
}

// consumeMessage prints messages of one queue or of all; nothing is consumed, whatever its name says.
func consumeMessage(k *call) error {
	count := k.num("c", 128)
	now := time.Now().UnixMilli()
	switch {
	case count <= 0:
		return errors.New("please input a positive messageNumber")
	case k.has("i") && !k.has("b"):
		return errors.New("please set the brokerName before queueId")
	case k.has("o") && !k.has("i"):
		return errors.New("please set queueId before offset")
	}
	for _, option := range []string{"s", "e"} {
		if at, err := parseTime(k.str(option)); k.has(option) && (err != nil || at > now) {
			return errors.Join(err, errors.New("please set the timestamps before now"))
		}
	}
	topic := k.str("t")
	if !k.has("i") {
		return consumeQueues(k, topic, count)
	}
	addr, err := brokerAddr(k, k.str("b"))
	if err != nil {
		return err
	}
	q := body.MessageQueue{Topic: topic, BrokerName: k.str("b"), QueueID: int32(k.num("i", 0))}
	from, to, err := window(k, addr, q, "s", "e")
	if err != nil {
		return err
	}
	if k.num("o", 0) > to {
		k.say("%s no matched msg, offset=%d\n", queueText(q), k.num("o", 0))
		return nil
	}
	from = max(from, k.num("o", 0))
	if to-from > count {
		k.say("The oldler %d message will be provided\n", count) // Java's spelling
		to = from + count - 1
	}
	return consumeQueue(k, addr, q, from, to)
}

func consumeQueues(k *call, topic string, left int64) error {
	queues, addrs, err := k.Queues(k.ctx, topic, false)
	if err != nil {
		return err
	}
	for _, q := range queues {
		if left <= 0 {
			return nil
		}
		from, to, err := window(k, addrs[q.BrokerName], q, "s", "e")
		if err != nil {
			return err
		}
		if to-from > left {
			k.say("The older %d message of the %d queue will be provided\n", left, q.QueueID)
			to, left = from+left-1, 0
		} else {
			left -= to - from
		}
		if err := consumeQueue(k, addrs[q.BrokerName], q, from, to); err != nil {
			return err
		}
	}
	return nil
}

// consumeQueue prints what lies between two offsets, both included.
func consumeQueue(k *call, addr string, q body.MessageQueue, from, to int64) error {
	for at := from; at <= to; {
		r, err := k.Pull(k.ctx, addr, q, cmp.Or(k.str("g"), toolsGroup), body.SubAll, at, int32(min(to-at+1, pullBatch)))
		if err != nil {
			return err
		}
		switch r.Status {
		case admin.PullFound:
			k.say("Consume ok\n")
			if err := printed(k, r, true); err != nil {
				return err
			}
		case admin.PullNoMatched:
			k.say("%s no matched msg. status=%s, offset=%d\n", queueText(q), r.Status, r.Next)
		default:
			k.say("%s print msg finished. status=%s, offset=%d\n", queueText(q), r.Status, r.Next)
			return nil
		}
		at = max(r.Next, at+1)
	}
	return nil
}
