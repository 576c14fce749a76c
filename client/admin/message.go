package admin

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// Index types of QueryMessages. Java: MessageConst.INDEX_KEY_TYPE and its siblings.
const (
	IndexKey    = "K"
	IndexUnique = "U"
	IndexTag    = "T"
)

// Message is a stored message. Its Body is not compressed, whatever SysFlag says.
type Message = client.MessageExt

// decodeMessages reads the records of a pull or query reply; a body that cannot be decompressed is an error.
func decodeMessages(b []byte, broker string) ([]Message, error) {
	list, err := records.Decode(b, broker)
	out := make([]Message, 0, len(list))
	for _, m := range list {
		if m.Err != nil {
			return out, m.Err
		}
		out = append(out, *m)
	}
	return out, err
}

// Query says which messages QueryMessages looks for.
type Query struct {
	Topic, Key string
	RouteTopic string // whose brokers are asked; empty: Topic
	IndexType  string // IndexKey and its siblings; empty: IndexKey
	LastKey    string // where the last answer ended, of RocksDB's index only
	Max        int32  // 0: 64
	Begin, End int64  // store times in ms; End 0: no end
}

// QueryMessages returns the messages with a key, of all brokers, without those that only share its hash. None is
// an error of code NO_MESSAGE.
func (c *Client) QueryMessages(ctx context.Context, q Query) ([]Message, error) {
	if q.Max == 0 {
		q.Max = 64
	}
	if q.End == 0 {
		q.End = math.MaxInt64
	}
	if q.RouteTopic == "" {
		q.RouteTopic = q.Topic
	}
	h := header.QueryMessageRequest{Topic: q.Topic, Key: q.Key, MaxNum: q.Max, BeginTimestamp: q.Begin, EndTimestamp: q.End, IndexType: q.IndexType, LastKey: q.LastKey}
	var out []Message
	err := c.eachBroker(ctx, q.RouteTopic, func(b body.BrokerData, addr string) error {
		cmd := protocol.NewRequest(protocol.QueryMessage, h)
		cmd.Ext = append(cmd.Ext, protocol.Field{Key: "_UNIQUE_KEY_QUERY", Value: fmt.Sprint(q.IndexType == IndexUnique)})
		resp, err := c.send(ctx, addr, cmd)
		if Code(err) == protocol.QueryNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		found, err := decodeMessages(resp.Body, b.BrokerName)
		out = append(out, slices.DeleteFunc(found, func(m Message) bool { return !q.matches(&m) })...)
		return err
	})
	if err == nil && len(out) == 0 {
		err = &protocol.Error{Code: protocol.NoMessage, Remark: "query message by key finished, but no message."}
	}
	return out, err
}

func (q *Query) matches(m *Message) bool {
	switch q.IndexType {
	case IndexUnique:
		return m.UniqueID() == q.Key
	case IndexTag:
		return message.GetProperty(m.Properties, message.PropertyTags) == q.Key
	}
	return m.Topic == q.Topic && slices.Contains(strings.Fields(message.GetProperty(m.Properties, message.PropertyKeys)), q.Key)
}

// MessageByID returns the message with an offset message id or, when it is none, with that unique id.
func (c *Client) MessageByID(ctx context.Context, routeTopic, topic, id string) (*Message, error) {
	if host, offset, err := message.ParseOffsetID(id); err == nil && host.Port() != 0 {
		resp, err := c.Call(ctx, host.String(), protocol.ViewMessageByID, header.ViewMessageRequest{Topic: topic, Offset: offset}, nil)
		if err == nil {
			found, err := decodeMessages(resp.Body, "")
			if err == nil && len(found) == 1 {
				return &found[0], nil
			}
			return nil, err
		}
	}
	found, err := c.QueryMessages(ctx, Query{Topic: topic, Key: id, RouteTopic: routeTopic, IndexType: IndexUnique, Max: 32})
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// Pull statuses. Java: PullStatus.
const (
	PullFound         = "FOUND"
	PullNoNewMessage  = "NO_NEW_MSG"
	PullNoMatched     = "NO_MATCHED_MSG"
	PullOffsetIllegal = "OFFSET_ILLEGAL"
)

// PullResult is what Pull brings. Offsets are queue offsets.
type PullResult struct {
	Status               string
	Next                 int64
	MinOffset, MaxOffset int64
	Messages             []Message
}

// Pull reads up to count messages of a queue from an offset on, in a group that keeps no offsets; expression is of
// tags. It does not wait for messages to come.
func (c *Client) Pull(ctx context.Context, broker string, q body.MessageQueue, group, expression string, offset int64, count int32) (*PullResult, error) {
	resp, err := c.Call(ctx, broker, protocol.PullMessage, header.PullMessageRequest{ConsumerGroup: group, Topic: q.Topic, QueueID: q.QueueID, QueueOffset: offset,
		MaxMsgNums: count, SysFlag: header.PullSubscription, Subscription: expression, ExpressionType: "TAG"}, nil)
	statuses := map[int32]string{protocol.Success: PullFound, protocol.PullNotFound: PullNoNewMessage, protocol.PullRetryImmediately: PullNoMatched, protocol.PullOffsetMoved: PullOffsetIllegal}
	if resp == nil || statuses[resp.Code] == "" {
		return nil, err
	}
	var h header.PullMessageResponse
	if err := protocol.DecodeHeader(resp.Ext, &h); err != nil {
		return nil, fmt.Errorf("cannot read the answer to a pull of %s: %w", broker, err)
	}
	r := &PullResult{Status: statuses[resp.Code], Next: h.NextBeginOffset, MinOffset: h.MinOffset, MaxOffset: h.MaxOffset}
	if r.Status == PullFound {
		if r.Messages, err = decodeMessages(resp.Body, q.BrokerName); err != nil {
			return nil, err
		}
		r.Messages = matching(r.Messages, expression)
		if len(r.Messages) == 0 {
			r.Status = PullNoMatched
		}
	} else {
		err = nil
	}
	return r, err
}

// matching leaves out the messages whose tags only share a hash with those of an expression such as "a || b".
func matching(list []Message, expression string) []Message {
	if expression == "" || expression == "*" {
		return list
	}
	var tags []string
	for _, t := range strings.Split(expression, "||") {
		tags = append(tags, strings.TrimSpace(t))
	}
	return slices.DeleteFunc(list, func(m Message) bool {
		return !slices.Contains(tags, message.GetProperty(m.Properties, message.PropertyTags))
	})
}

// Bounds returns the offsets of a queue's first message and behind its last.
func (c *Client) Bounds(ctx context.Context, broker string, q body.MessageQueue) (first, end int64, err error) {
	low, err := fields[header.GetMinOffsetResponse](ctx, c, broker, protocol.GetMinOffset, header.GetMinOffsetRequest{Topic: q.Topic, QueueID: q.QueueID})
	if err != nil {
		return 0, 0, err
	}
	high, err := fields[header.GetMaxOffsetResponse](ctx, c, broker, protocol.GetMaxOffset, header.GetMaxOffsetRequest{Topic: q.Topic, QueueID: q.QueueID})
	if err != nil {
		return 0, 0, err
	}
	return low.Offset, high.Offset, nil
}

// OffsetByTime returns the offset of a queue's first message of a time (ms) or later.
func (c *Client) OffsetByTime(ctx context.Context, broker string, q body.MessageQueue, timestamp int64) (int64, error) {
	r, err := fields[header.SearchOffsetResponse](ctx, c, broker, protocol.SearchOffsetByTimestamp, header.SearchOffsetRequest{Topic: q.Topic, QueueID: q.QueueID, Timestamp: timestamp, BoundaryType: header.BoundaryLower})
	if err != nil {
		return 0, err
	}
	return r.Offset, nil
}

// Queues returns the queues of a topic that can be read or, with writable, written, in order, and the addresses of
// their masters by broker name. Those of a static topic are the logical ones, under the names of their leaders.
func (c *Client) Queues(ctx context.Context, topic string, writable bool) ([]body.MessageQueue, map[string]string, error) {
	route, err := c.Route(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	addrs := map[string]string{}
	for _, b := range route.BrokerDatas {
		addrs[b.BrokerName] = Addr(b)
		if writable {
			addrs[b.BrokerName] = b.BrokerAddrs[MasterID]
		}
	}
	if len(route.TopicQueueMappingByBroker) > 0 {
		queues, err := led(topic, route)
		return slices.DeleteFunc(queues, func(q body.MessageQueue) bool { return addrs[q.BrokerName] == "" }), addrs, err
	}
	var queues []body.MessageQueue
	slices.SortFunc(route.QueueDatas, func(a, b body.QueueData) int { return strings.Compare(a.BrokerName, b.BrokerName) })
	for _, d := range route.QueueDatas {
		n, perm := d.ReadQueueNums, int32(4)
		if writable {
			n, perm = d.WriteQueueNums, 2
		}
		if d.Perm&perm == 0 || addrs[d.BrokerName] == "" {
			continue
		}
		for i := range n {
			queues = append(queues, body.MessageQueue{Topic: topic, BrokerName: d.BrokerName, QueueID: i})
		}
	}
	return queues, addrs, nil
}

// SendResult is what a broker says of a message. Status is Java's SendStatus.
type SendResult struct {
	Status       string            `json:"sendStatus"`
	MsgID        string            `json:"msgId"`
	OffsetMsgID  string            `json:"offsetMsgId"`
	Queue        body.MessageQueue `json:"messageQueue"`
	QueueOffset  int64             `json:"queueOffset"`
	RecallHandle string            `json:"recallHandle,omitempty"`
}

// ids makes unique message ids; they need an address and a number of this process.
var ids = sync.OnceValue(func() *message.UniqKeys {
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
				ip = p.Addr()
				break
			}
		}
	}
	return message.NewUniqKeys(ip, rand.Uint32())
})

// Send sends one message to a queue of the broker at addr, with a new unique id unless its properties have one.
func (c *Client) Send(ctx context.Context, addr, group string, q body.MessageQueue, properties message.Properties, text []byte) (*SendResult, error) {
	id := properties.Get(message.PropertyUniqKey)
	if id == "" {
		id = string(ids().Append(nil, time.Now()))
		properties.Set(message.PropertyUniqKey, id)
	}
	if properties.Get(message.PropertyWait) == "" {
		properties.Set(message.PropertyWait, "true")
	}
	resp, err := c.Call(ctx, addr, protocol.SendMessageV2, header.SendMessageRequestV2{ProducerGroup: group, Topic: q.Topic, DefaultTopic: defaultTopic, DefaultTopicQueueNums: 4,
		QueueID: q.QueueID, BornTimestamp: time.Now().UnixMilli(), Properties: properties.String(), BrokerName: q.BrokerName}, text)
	statuses := map[int32]string{protocol.Success: "SEND_OK", protocol.FlushDiskTimeout: "FLUSH_DISK_TIMEOUT", protocol.FlushSlaveTimeout: "FLUSH_SLAVE_TIMEOUT", protocol.SlaveNotAvailable: "SLAVE_NOT_AVAILABLE"}
	if resp == nil || statuses[resp.Code] == "" {
		return nil, err
	}
	var h header.SendMessageResponse
	if err := protocol.DecodeHeader(resp.Ext, &h); err != nil {
		return nil, fmt.Errorf("cannot read the answer to a send to %s: %w", addr, err)
	}
	q.QueueID = h.QueueID
	return &SendResult{Status: statuses[resp.Code], MsgID: id, OffsetMsgID: h.MsgID, Queue: q, QueueOffset: h.QueueOffset, RecallHandle: h.RecallHandle}, nil
}
