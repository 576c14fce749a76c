package trace

import (
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
)

// Separators of a trace. Java: TraceConstants.CONTENT_SPLITOR and FIELD_SPLITOR.
const (
	between = "\x01"
	behind  = "\x02"
)

// Kinds of messages as a trace has them. Java: the ordinals of MessageType.
const (
	KindNormal = 0
	KindHalf   = 1
	KindCommit = 2
	KindDelay  = 3
)

// What became of a consumption. Java: the ordinals of ConsumeReturnType.
const (
	ConsumeSuccess   = 0
	ConsumeTimeout   = 1
	ConsumeException = 2
	ConsumeFailed    = 4
)

// entry is one step in the life of messages, in the form of Java's TraceDataEncoder.
type entry struct {
	topic string // whose traces go into one message
	data  string
	keys  []string // what the trace is found by: message ids and the keys of the messages
}

// Sending is a message that was sent, or tried.
type Sending struct {
	Time          int64 // ms, when it was sent
	Region, Group string
	Topic, MsgID  string
	Tag, Keys     string
	Broker        string // its address
	Size          int
	Cost          int64 // ms
	Kind          int
	OffsetMsgID   string
	Success       bool
}

func (s *Sending) entry() entry {
	e := entry{topic: s.Topic, data: line("Pub", num(s.Time), s.Region, s.Group, s.Topic, s.MsgID, null(s.Tag), null(s.Keys), s.Broker, strconv.Itoa(s.Size),
		num(s.Cost), strconv.Itoa(s.Kind), null(s.OffsetMsgID), strconv.FormatBool(s.Success))}
	e.index(s.MsgID, s.Keys)
	return e
}

// Consuming is messages that a listener is given, or has taken.
type Consuming struct {
	Time      int64 // ms, when it was given them
	Region    string
	Group     string
	RequestID string // ties what was before to what was after
	Messages  []*client.MessageExt
}

// begun is the entry before the listener runs.
func (c *Consuming) begun() entry {
	return c.each(func(m *client.MessageExt, keys string) string {
		return line("SubBefore", num(c.Time), c.Region, c.Group, c.RequestID, m.ID(), strconv.Itoa(int(m.ReconsumeTimes)), null(keys))
	})
}

// done is the entry behind it. cost is in ms of all messages, now in ms.
func (c *Consuming) done(now, cost int64, result int) entry {
	ok := strconv.FormatBool(result == ConsumeSuccess)
	return c.each(func(m *client.MessageExt, keys string) string {
		return line("SubAfter", c.RequestID, m.ID(), num(cost/int64(len(c.Messages))), ok, null(keys), strconv.Itoa(result), num(now), c.Group)
	})
}

func (c *Consuming) each(text func(m *client.MessageExt, keys string) string) entry {
	e := entry{topic: c.Messages[0].Topic}
	var b strings.Builder
	for _, m := range c.Messages {
		keys := m.Property(message.PropertyKeys)
		b.WriteString(text(m, keys))
		e.index(m.ID(), keys)
	}
	e.data = b.String()
	return e
}

// Ending is a transaction that was ended.
type Ending struct {
	Time          int64 // ms
	Region, Group string
	Topic, MsgID  string
	Tag, Keys     string
	Broker        string // its address
	TransactionID string
	State         string // Java: LocalTransactionState
	Checked       bool   // the broker has asked
}

func (x *Ending) entry() entry {
	e := entry{topic: x.Topic, data: line("EndTransaction", num(x.Time), x.Region, x.Group, x.Topic, x.MsgID, null(x.Tag), null(x.Keys), x.Broker,
		strconv.Itoa(KindCommit), null(x.TransactionID), x.State, strconv.FormatBool(x.Checked))}
	e.index(x.MsgID, x.Keys)
	return e
}

func (e *entry) index(id, keys string) { e.keys = append(append(e.keys, id), strings.Fields(keys)...) }

func line(fields ...string) string { return strings.Join(fields, between) + behind }

func num(n int64) string { return strconv.FormatInt(n, 10) }

// null is how Java writes a text that is not there.
func null(s string) string {
	if s == "" {
		return "null"
	}
	return s
}
