package client

import (
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
)

// Prefixes of the topics that belong to a consumer group: of messages that are to come again, and of those that are
// given up. Java: MixAll.RETRY_GROUP_TOPIC_PREFIX and DLQ_GROUP_TOPIC_PREFIX.
const (
	RetryPrefix = "%RETRY%"
	DLQPrefix   = "%DLQ%"
)

// MessageQueue names one queue of a topic on one broker.
type MessageQueue = message.MessageQueue

// Message is a message to be sent. Its sender only reads it, so one message may be sent again.
type Message struct {
	// Topic is required.
	Topic string
	Body  []byte
	// Tag is what consumers may select by; empty: none. It must not contain "||" if they are to.
	Tag string
	// Keys are what the message can be found by; a key has no blanks.
	Keys []string
	// Flag is stored and not looked at.
	Flag int32
	// DelayLevel has the broker hold the message for the time of its level, from 1 on; 0: not at all.
	DelayLevel int
	// Delay has the broker hold the message for any time up to its limit, 3 days unless configured; 0: not at
	// all. Brokers before 5.0 take no notice of it, nor of DeliverAt.
	Delay time.Duration
	// DeliverAt has the broker hold the message until then; zero: not at all.
	DeliverAt time.Time
	// NoWait says not to wait until the message is flushed to disk or copied to a replica.
	NoWait bool
	// Properties are the user's, by name. Names that RocketMQ uses itself (package message) are passed on as
	// they are; the fields above outweigh them. Those with an empty value are not stored.
	Properties map[string]string
}

// The values of SendResult.Status. Java: SendStatus. All but SendOK say that the message is stored, but not yet as
// safely as the broker is configured to.
const (
	SendOK                = "SEND_OK"
	SendFlushDiskTimeout  = "FLUSH_DISK_TIMEOUT"
	SendFlushSlaveTimeout = "FLUSH_SLAVE_TIMEOUT"
	SendSlaveNotAvailable = "SLAVE_NOT_AVAILABLE"
)

// SendResult is what a broker says of a message that it stored.
type SendResult struct {
	Status string
	// MsgID is the message's unique id, UNIQ_KEY; of a batch those of all its messages, joined by commas.
	MsgID string
	// OffsetMsgID is made of the broker's address and the physical offset; of a batch joined as MsgID.
	OffsetMsgID string
	Queue       MessageQueue
	// QueueOffset is that of the message, of a batch that of its first.
	QueueOffset int64
	// TransactionID is what the broker calls the message's transaction: its MsgID.
	TransactionID string
	// RecallHandle is what Recall of package producer takes; of messages with Delay or DeliverAt only.
	RecallHandle string
}

// MessageExt is a stored message. Its Body is decompressed, whatever SysFlag says. Topic is the one it was sent
// to, also when it comes again from the retry topic of a group. Java: MessageExt.
//
// Strings and Body alias memory that all messages of one pull share, and are valid for as long as they are held.
type MessageExt struct {
	message.Record
	BrokerName string
	// Err is why Body could not be decompressed; Body is then as it was stored.
	Err error
}

// Property returns the value of a property, empty when there is none of that name.
func (m *MessageExt) Property(name string) string { return message.GetProperty(m.Properties, name) }

// Tag returns the message's tag.
func (m *MessageExt) Tag() string { return m.Property(message.PropertyTags) }

// Keys returns what the message can be found by.
func (m *MessageExt) Keys() []string { return strings.Fields(m.Property(message.PropertyKeys)) }

// UniqueID returns the id that the client made, empty when there is none.
func (m *MessageExt) UniqueID() string { return m.Property(message.PropertyUniqKey) }

// OffsetID returns the id made of the broker's address and the physical offset.
func (m *MessageExt) OffsetID() string {
	return string(message.AppendOffsetID(nil, m.StoreHost, m.PhysicalOffset))
}

// ID returns UniqueID or, without one, OffsetID.
func (m *MessageExt) ID() string {
	if id := m.UniqueID(); id != "" {
		return id
	}
	return m.OffsetID()
}
