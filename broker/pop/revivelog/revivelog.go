// Package revivelog holds what stands in the revive topic, rmq_sys_REVIVE_LOG_<cluster>: checkpoints, which
// say what was popped until when, and the acknowledgements of it. Each is a message with a JSON body that
// travels by the timer, so that it arrives in the revive topic when the invisible time is over.
// Java: PopCheckPoint, AckMsg, BatchAckMsg, PopAckConstants.
package revivelog

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Group reads the revive topic; its consumer offsets say how far. Java: PopAckConstants.REVIVE_GROUP.
const Group = "CID_RMQ_SYS_REVIVE_GROUP"

// Topic returns the revive topic of a cluster. Java: PopAckConstants.buildClusterReviveTopic.
func Topic(cluster string) string { return "rmq_sys_REVIVE_LOG_" + cluster }

// Tags of the three kinds of messages. Java: PopAckConstants.
const (
	CheckPointTag = "ck"
	AckTag        = "ack"
	BatchAckTag   = "bAck"
)

// MaxMessages is how many messages a checkpoint can hold: the bits of CheckPoint.BitMap.
// Java: PopMessageProcessor refuses more in a request.
const MaxMessages = 32

// CheckPoint says which messages of a queue were popped. Java: PopCheckPoint; fields in the order of its JSON.
type CheckPoint struct {
	BitMap        int32   `json:"bm"` // in the log always 0; the reader sets a bit for each acknowledged message
	BrokerName    string  `json:"bn,omitempty"`
	Group         string  `json:"c,omitempty"`
	Diffs         []int32 `json:"d,omitempty"` // queue offsets of the messages, from StartOffset on
	InvisibleTime int64   `json:"it"`          // ms
	Num           int8    `json:"n"`           // messages
	PopTime       int64   `json:"pt"`          // ms
	QueueID       int32   `json:"q"`
	ReviveTime    int64   `json:"reviveTime"`   // PopTime + InvisibleTime; Java writes its getter and does not read it
	ReviveOffset  int64   `json:"ro"`           // queue offset in the revive topic, set by the reader
	RePutTimes    string  `json:"rp,omitempty"` // how often it was put off because its messages could not be revived
	StartOffset   int64   `json:"so"`
	Suspend       bool    `json:"sp"` // its redelivery does not count as one
	Topic         string  `json:"t,omitempty"`
}

// Key names a checkpoint and the acknowledgements that belong to it.
type Key struct {
	Topic, Group string
	QueueID      int32
	StartOffset  int64
	PopTime      int64
	BrokerName   string
}

// Key returns the checkpoint's key.
func (c *CheckPoint) Key() Key {
	return Key{c.Topic, c.Group, c.QueueID, c.StartOffset, c.PopTime, c.BrokerName}
}

// Due returns when the messages that are not acknowledged become visible again, ms. Java: getReviveTime.
func (c *CheckPoint) Due() int64 { return c.PopTime + c.InvisibleTime }

// Index returns the number of the message with a queue offset, -1 when it is not in the checkpoint.
// Java: PopCheckPoint.indexOfAck.
func (c *CheckPoint) Index(offset int64) int {
	diff := offset - c.StartOffset
	switch {
	case diff < 0 || diff > math.MaxInt32:
		return -1
	case len(c.Diffs) > 0:
		return slices.Index(c.Diffs, int32(diff))
	case diff < int64(c.Num):
		return int(diff)
	}
	return -1
}

// Offset returns the queue offset of message number i. Java: PopCheckPoint.ackOffsetByIndex.
func (c *CheckPoint) Offset(i int) int64 {
	if len(c.Diffs) == 0 {
		return c.StartOffset + int64(i)
	}
	return c.StartOffset + int64(c.Diffs[i])
}

// Acked reports whether the bit of message number i is set.
func (c *CheckPoint) Acked(i int) bool { return uint32(c.BitMap)>>i&1 != 0 }

// Ack sets the bit of the message with a queue offset; false: it is not in the checkpoint.
func (c *CheckPoint) Ack(offset int64) bool {
	i := c.Index(offset)
	if i < 0 || i >= MaxMessages {
		return false
	}
	c.BitMap |= 1 << i
	return true
}

// Attempts returns RePutTimes as a number; what is none counts as many. Java: parseRePutTimes.
func (c *CheckPoint) Attempts() int {
	if c.RePutTimes == "" {
		return 0
	}
	n, err := strconv.Atoi(c.RePutTimes)
	if err != nil || n < 0 {
		return math.MaxInt8
	}
	return n
}

// UniqKey is the UNIQ_KEY of the checkpoint's message. Java: PopMessageProcessor.genCkUniqueId.
func (c *CheckPoint) UniqKey() string {
	return fmt.Sprintf("%s@%d@%d@%s@%d@%s@%s", c.Topic, c.QueueID, c.StartOffset, c.Group, c.PopTime, c.BrokerName, CheckPointTag)
}

// Encode returns the body of the checkpoint's message.
func (c *CheckPoint) Encode() ([]byte, error) {
	c.ReviveTime = c.Due()
	return body.Marshal(c)
}

// DecodeCheckPoint reads the body of a checkpoint's message. It fails for one that no reader can use.
func DecodeCheckPoint(b []byte) (*CheckPoint, error) {
	c := &CheckPoint{}
	if err := body.Unmarshal(b, c); err != nil {
		return nil, err
	}
	if c.Topic == "" || c.Group == "" || c.QueueID < 0 || c.StartOffset < 0 || c.Num < 0 || c.Num > MaxMessages || len(c.Diffs) > 0 && len(c.Diffs) < int(c.Num) {
		return nil, fmt.Errorf("cannot use checkpoint %.200q", b)
	}
	return c, nil
}

// Ack acknowledges one message of a checkpoint or, with Offsets, several. Java: AckMsg, BatchAckMsg; fields in
// the order of their JSON.
type Ack struct {
	Offset      int64   `json:"ao"`
	Offsets     []int64 `json:"aol,omitempty"`
	BrokerName  string  `json:"bn,omitempty"`
	Group       string  `json:"c,omitempty"`
	PopTime     int64   `json:"pt"` // ms
	QueueID     int32   `json:"q"`
	StartOffset int64   `json:"so"`
	Topic       string  `json:"t,omitempty"`
}

// Key returns the key of the checkpoint that the acknowledgement belongs to.
func (a *Ack) Key() Key {
	return Key{a.Topic, a.Group, a.QueueID, a.StartOffset, a.PopTime, a.BrokerName}
}

// Tag returns the tag of the message.
func (a *Ack) Tag() string {
	if len(a.Offsets) > 0 {
		return BatchAckTag
	}
	return AckTag
}

// Each calls fn with each queue offset that is acknowledged.
func (a *Ack) Each(fn func(offset int64)) {
	if len(a.Offsets) == 0 {
		fn(a.Offset)
	}
	for _, at := range a.Offsets {
		fn(at)
	}
}

// UniqKey is the UNIQ_KEY of the message; that of a batch has the same form. Java: PopMessageProcessor.genAckUniqueId.
func (a *Ack) UniqKey() string {
	return fmt.Sprintf("%s@%d@%d@%s@%d@%s@%s", a.Topic, a.QueueID, a.Offset, a.Group, a.PopTime, a.BrokerName, AckTag)
}

// Encode returns the body of the message.
func (a *Ack) Encode() ([]byte, error) { return body.Marshal(a) }

// longAck are the names that Java reads beside its own.
type longAck struct {
	Offset      *int64  `json:"ackOffset"`
	Offsets     []int64 `json:"ackOffsetList"`
	BrokerName  string  `json:"brokerName"`
	Group       string  `json:"consumerGroup"`
	PopTime     *int64  `json:"popTime"`
	QueueID     *int32  `json:"queueId"`
	StartOffset *int64  `json:"startOffset"`
	Topic       string  `json:"topic"`
}

// DecodeAck reads the body of an acknowledgement's message.
func DecodeAck(b []byte) (*Ack, error) {
	a := &Ack{}
	if err := body.Unmarshal(b, a); err != nil {
		return nil, err
	}
	if a.Topic != "" && a.Group != "" {
		return a, nil
	}
	var l longAck
	if err := body.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	if a.Topic == "" {
		a.Topic = l.Topic
	}
	if a.Group == "" {
		a.Group = l.Group
	}
	if a.BrokerName == "" {
		a.BrokerName = l.BrokerName
	}
	if l.Offsets != nil {
		a.Offsets = l.Offsets
	}
	take(&a.Offset, l.Offset)
	take(&a.PopTime, l.PopTime)
	take(&a.QueueID, l.QueueID)
	take(&a.StartOffset, l.StartOffset)
	if a.Topic == "" || a.Group == "" {
		return nil, fmt.Errorf("cannot use acknowledgement %.200q", b)
	}
	return a, nil
}

func take[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}
