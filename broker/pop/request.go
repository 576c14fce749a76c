package pop

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/hold"
	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// tooLate is how long after the end of its poll time a request is refused.
// Java: PopMessageRequestHeader.isTimeoutTooMuch, ms.
const tooLate = 500

// request is one POP_MESSAGE on its way.
type request struct {
	p      *Popper
	r      *mux.Request
	h      *header.PopMessageRequest
	topic  *body.TopicConfig
	filter Filter
	// order is inorder's record of the attempt, or there is a checkpoint in queue handle.ReviveQueueID.
	handle receipt.Handle
	buf    *mux.Buffer
	lists  receipt.Lists
	count  int // messages in buf
	rest   int64
	// stuck: a queue has messages that cannot be read; to try again at once would not help.
	stuck bool

	open atomic.Int32 // checkpoints on their way, and the handler itself
	mu   sync.Mutex
	err  error // why a checkpoint could not be stored
}

func (p *Popper) pop(r *mux.Request, h *header.PopMessageRequest) (*protocol.Command, error) {
	if r.Conn.Closed() {
		r.Drop() // nobody would read it, and its messages would be hidden for nothing
		return nil, nil
	}
	now := time.Now().UnixMilli()
	h.QueueID = max(h.QueueID, hold.AnyQueue)
	if h.BornTime == 0 {
		h.BornTime = r.At.UnixMilli()
		if r.Attempt == 0 { // queued again, At is another
			r.Cmd.Ext = setField(r.Cmd.Ext, "bornTime", h.BornTime)
		}
	}
	if now-h.BornTime-h.PollTime > tooLate {
		return nil, protocol.Errorf(protocol.PollingTimeout, "the broker[%s] pop message is timeout too much", p.o.BrokerIP)
	}
	topic, err := p.check(r, target{topic: h.Topic, group: h.ConsumerGroup, queueID: h.QueueID, verb: "pop message",
		checkMax: func() error { return p.checkSizes(h) }})
	if err != nil {
		return nil, err
	}
	filter, err := p.o.ParseFilter(h.Topic, h.ConsumerGroup, h.ExpType, h.Exp)
	if err != nil {
		return nil, err
	}
	q := &request{p: p, r: r, h: h, topic: topic, filter: filter, buf: mux.NewBuffer(headerRoom + 16<<10)}
	q.buf.B = q.buf.B[:headerRoom]
	q.handle = receipt.Handle{PopTime: now, InvisibleTime: h.InvisibleTime, ReviveQueueID: receipt.OrderQueue, BrokerName: p.o.BrokerName}
	if !h.Order {
		q.handle.ReviveQueueID = int32(p.pops.Add(1) % uint32(max(p.o.ReviveQueueNum, 1)))
	}
	q.open.Store(1)
	if err := q.collect(); err != nil {
		q.fail(err)
	}
	q.closeOne()
	return nil, nil
}

func (p *Popper) checkSizes(h *header.PopMessageRequest) error {
	switch {
	case h.MaxMsgNums > revivelog.MaxMessages:
		return protocol.Errorf(protocol.InvalidParameter, "the broker[%s] pop message's num is greater than 32", p.o.BrokerIP)
	case h.MaxMsgNums <= 0:
		return protocol.Errorf(protocol.InvalidParameter, "the broker[%s] pop message's num %d is not greater than 0", p.o.BrokerIP, h.MaxMsgNums)
	case h.InvisibleTime < 0 || h.InvisibleTime > p.live.Load().MaxInvisible.Milliseconds():
		return protocol.Errorf(protocol.InvalidParameter, "the broker[%s] pop message's invisible time %d is not within 0 and %d ms (timerMaxDelaySec)",
			p.o.BrokerIP, h.InvisibleTime, p.live.Load().MaxInvisible.Milliseconds())
	case !p.o.TimerWheel:
		return protocol.Errorf(protocol.SystemError, "the broker[%s] pop message is forbidden because timerWheelEnable is false", p.o.BrokerIP)
	}
	return nil
}

func setField(ext protocol.Ext, key string, v int64) protocol.Ext {
	for i := range ext {
		if ext[i].Key == key {
			ext[i].Value = strconv.FormatInt(v, 10)
			return ext
		}
	}
	return append(ext, protocol.Field{Key: key, Value: strconv.FormatInt(v, 10)})
}

// collect takes messages from the queues, beginning at a random one or by priority, and from the retry topic before or
// behind them. Java: PopMessageProcessor.processRequest.
func (q *request) collect() error {
	h := q.h
	dice := int32(rand.IntN(100))
	from, likely := dice, q.p.live.Load().PopFromRetryProbability
	if q.byPriority(dice) {
		from, likely = 0, q.p.o.PopFromRetryProbabilityForPriority
	}
	first := !h.Order && dice < likely
	if first {
		if err := q.collectRetry(dice, from); err != nil {
			return err
		}
	}
	if h.QueueID >= 0 {
		if err := q.take(h.Topic, h.QueueID); err != nil {
			return err
		}
	} else if err := q.takeAll(q.topic, from); err != nil {
		return err
	}
	if !first && !h.Order && q.room() > 0 {
		return q.collectRetry(dice, from)
	}
	return nil
}

// collectRetry takes messages from one of the group's retry topics: an answer has room for one only, since
// both kinds would have the same key in the lists' eyes of old clients.
func (q *request) collectRetry(dice, from int32) error {
	o := &q.p.o
	name := receipt.RetryTopicV1(q.h.Topic, q.h.ConsumerGroup)
	if o.EnableRetryTopicV2 && !(o.RetrieveMessageFromPopRetryTopicV1 && dice%2 == 0) {
		name = receipt.RetryTopicV2(q.h.Topic, q.h.ConsumerGroup)
	}
	topic := o.Topics.Get(name)
	if topic == nil {
		return nil
	}
	return q.takeAll(topic, from)
}

// byPriority reports whether the queues are to be emptied in the order of their priority. In a topic of messages
// with priorities a group's attribute priority.factor says how often, in percent. Java: SubscriptionGroupConfig.getPriorityFactor.
func (q *request) byPriority(dice int32) bool {
	if q.h.Order || q.topic.Attributes["message.type"] != "PRIORITY" {
		return false
	}
	g := q.p.o.Group(q.h.ConsumerGroup)
	if g == nil {
		return false
	}
	factor, err := strconv.ParseInt(g.Attributes["priority.factor"], 10, 64)
	return err != nil || int64(dice) < factor // 100 is the default
}

// takeAll takes messages from all queues: with from 0 in the order of their priority.
func (q *request) takeAll(topic *body.TopicConfig, from int32) error {
	n := topic.ReadQueueNums
	for i := range n {
		if q.p.o.PriorityOrderAsc {
			i = n - 1 - i
		}
		if err := q.take(topic.TopicName, (from+i)%n); err != nil {
			return err
		}
	}
	return nil
}

// room is how many more messages the answer may have.
func (q *request) room() int { return int(q.h.MaxMsgNums) - q.count }

func (q *request) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
}

// closeOne counts the handler or a checkpoint as finished; the last one answers.
func (q *request) closeOne() {
	if q.open.Add(-1) > 0 {
		return
	}
	q.mu.Lock()
	err := q.err
	q.mu.Unlock()
	switch {
	case err != nil:
		q.buf.Release()
		q.p.o.Logger.Error().Err(err).Str("topic", q.h.Topic).Str("group", q.h.ConsumerGroup).Msg("cannot pop messages")
		q.r.Reply(protocol.NewResponse(protocol.SystemError, err.Error()))
	case q.count > 0:
		q.reply(protocol.Success, store.Found)
		if q.rest > 0 {
			q.p.hold.Wake(hold.Key{Topic: q.h.Topic, Group: q.h.ConsumerGroup, QueueID: q.h.QueueID})
		}
	default:
		q.wait()
	}
}

// wait holds the request until there are messages. Nothing of it runs on a goroutine of the store: without
// messages there were no checkpoints.
func (q *request) wait() {
	h := q.h
	result := hold.TimedOut
	var x *hold.Request
	if h.PollTime > 0 {
		k := hold.Key{Topic: h.Topic, Group: h.ConsumerGroup, QueueID: h.QueueID}
		x, result = q.p.hold.Add(q.r, k, q.topic.ReadQueueNums, time.UnixMilli(h.BornTime+h.PollTime), q.filter.wants())
	}
	switch result {
	case hold.Full:
		q.reply(protocol.PollingFull, store.NoMessageInQueue)
	case hold.TimedOut:
		q.reply(protocol.PollingTimeout, store.NoMessageInQueue)
	default:
		q.buf.Release()
		// A message may have come, or a queue been unlocked, between the look and now: nobody would tell.
		if !q.stuck && q.p.available(h, q.topic) && q.p.hold.Take(x) {
			q.r.Requeue()
		}
	}
}

// headerRoom is left in front of the messages for prefix and header. A header that needs more costs a copy.
const headerRoom = 1024

// reply writes the response by hand around the messages in q.buf. Java: PopMessageResponseHeader.
func (q *request) reply(code int32, status store.Status) {
	var room [headerRoom]byte
	b := append(room[:frame.PrefixLength], `{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = field(b, `,"extFields":{"invisibleTime":"`, q.h.InvisibleTime)
	b = append(append(b, `","msgOffsetInfo":"`...), q.lists.MsgOffset...)
	if q.h.Order {
		b = append(append(b, `","orderCountInfo":"`...), q.lists.OrderCount...)
	}
	b = field(b, `","popTime":"`, q.handle.PopTime)
	b = field(b, `","restNum":"`, q.rest)
	b = field(b, `","reviveQid":"`, int64(q.handle.ReviveQueueID))
	b = append(append(b, `","startOffsetInfo":"`...), q.lists.StartOffset...)
	b = field(b, `"},"flag":1,"language":"JAVA","opaque":`, int64(q.r.Cmd.Opaque))
	b = append(append(b, `,"remark":"`...), status...)
	b = field(b, `","serializeTypeCurrentRPC":"JSON","version":`, int64(protocol.Version))
	b = append(b, '}')
	out := q.buf
	if len(b) <= headerRoom {
		out.Skip = headerRoom - len(b)
		copy(out.B[out.Skip:], b)
	} else {
		out = mux.NewBuffer(len(b) + len(q.buf.B) - headerRoom)
		out.B = append(append(out.B, b...), q.buf.B[headerRoom:]...)
		q.buf.Release()
	}
	frame.Finish(out.B, out.Skip, len(b)-frame.PrefixLength)
	q.r.ReplyFrame(out, code)
}

func field(b []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(b, name...), v, 10)
}
