package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// Outgoing is a message on its way to a broker.
type Outgoing struct {
	Group      string
	Topic      string
	ID         string
	Properties string // as it is on the wire, with ID
	Body       []byte
	Flag       int32
	SysFlag    int32
	Batch      bool
	Reply      bool // goes to the client that has asked
	// ReconsumeTimes and MaxReconsume are of messages for the retry topic of a group.
	ReconsumeTimes int32
	MaxReconsume   *int32
}

// Sent is what a broker says of a message, and whether it wants it to be traced.
type Sent struct {
	client.SendResult
	Addr    string
	Region  string
	TraceOn bool
}

var statuses = map[int32]string{protocol.Success: client.SendOK, protocol.FlushDiskTimeout: client.SendFlushDiskTimeout,
	protocol.FlushSlaveTimeout: client.SendFlushSlaveTimeout, protocol.SlaveNotAvailable: client.SendSlaveNotAvailable}

// retryCodes are the refusals after which another broker may take the message.
// Java: DefaultMQProducer.retryResponseCodes.
var retryCodes = []int32{protocol.TopicNotExist, protocol.ServiceNotAvailable, protocol.SystemError, protocol.SystemBusy, protocol.NoPermission,
	protocol.NoBuyerID, protocol.NotInCurrentUnit, protocol.GoAway}

// request returns the request code and header of m for queue q.
func (m *Outgoing) request(q message.MessageQueue) (int32, header.SendMessageRequestV2) {
	code := protocol.SendMessageV2
	if m.Reply {
		code = protocol.SendReplyMessageV2
	} else if m.Batch {
		code = protocol.SendBatchMessage
	}
	return code, header.SendMessageRequestV2{ProducerGroup: m.Group, Topic: m.Topic, DefaultTopic: templateTopic, DefaultTopicQueueNums: templateQueues,
		QueueID: q.QueueID, SysFlag: m.SysFlag, BornTimestamp: time.Now().UnixMilli(), Flag: m.Flag, Properties: m.Properties, ReconsumeTimes: m.ReconsumeTimes,
		MaxReconsumeTimes: m.MaxReconsume, Batch: m.Batch, BrokerName: q.BrokerName}
}

// SendTo sends m to one queue, once. The time is that of ctx.
func (i *Instance) SendTo(ctx context.Context, q message.MessageQueue, m *Outgoing) (*Sent, error) {
	addr, err := i.masterOf(ctx, q)
	if err != nil {
		return nil, err
	}
	code, h := m.request(q)
	resp, err := i.CallWithin(ctx, 0, addr, code, h, m.Body)
	if resp == nil || statuses[resp.Code] == "" {
		return nil, err
	}
	var r header.SendMessageResponse
	if err := protocol.DecodeHeader(resp.Ext, &r); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s to a send: %w", addr, err)
	}
	q.QueueID = r.QueueID
	s := &Sent{Addr: addr, SendResult: client.SendResult{Status: statuses[resp.Code], MsgID: m.ID, OffsetMsgID: strings.Clone(r.MsgID), Queue: q,
		QueueOffset: r.QueueOffset, TransactionID: strings.Clone(r.TransactionID), RecallHandle: strings.Clone(r.RecallHandle)}}
	s.Region, _ = resp.Ext.Get(message.PropertyMsgRegion)
	on, ok := resp.Ext.Get(message.PropertyTraceOn)
	s.Region, s.TraceOn = strings.Clone(s.Region), ok && on != "false"
	return s, nil
}

func (i *Instance) masterOf(ctx context.Context, q message.MessageQueue) (string, error) {
	if addr := i.Master(q.BrokerName); addr != "" {
		return addr, nil
	}
	if _, err := i.Refresh(ctx, q.Topic); err != nil {
		return "", err
	}
	if addr := i.Master(q.BrokerName); addr != "" {
		return addr, nil
	}
	return "", fmt.Errorf("the broker[%s] not exist", q.BrokerName)
}

// OnewayTo sends m to one queue without an answer.
func (i *Instance) OnewayTo(ctx context.Context, q message.MessageQueue, m *Outgoing) error {
	addr, err := i.masterOf(ctx, q)
	if err != nil {
		return err
	}
	code, h := m.request(q)
	return i.Oneway(addr, code, h, m.Body)
}

// NextQueue returns the queue of a topic that is to be written next, on another broker than one that has just
// failed, if there is one.
func (i *Instance) NextQueue(ctx context.Context, topic, failed string) (message.MessageQueue, error) {
	r, err := i.PublishRoute(ctx, topic)
	if err != nil {
		return message.MessageQueue{}, err
	}
	n := uint32(len(r.Writable))
	if n == 0 {
		return message.MessageQueue{}, fmt.Errorf("cannot find a queue of topic %s that can be written", topic)
	}
	for range n {
		if q := r.Writable[r.next.Add(1)%n]; q.BrokerName != failed {
			return q, nil
		}
	}
	return r.Writable[r.next.Add(1)%n], nil
}

// Publish sends m to any queue of its topic and, up to retries times, again to another broker when one cannot be
// reached or refuses in a way that others need not. notStored also tries another when one has not stored the message
// as safely as it should. Each attempt but the last has Options.Timeout: a broker that is silent must not use up all
// of ctx's time. The last error is wrapped.
func (i *Instance) Publish(ctx context.Context, m *Outgoing, retries int, notStored bool) (*Sent, error) {
	var last error
	var sent *Sent
	failed := ""
	var tried []string
	for left := retries; left >= 0; left-- {
		q, err := i.NextQueue(ctx, m.Topic, failed)
		if err != nil {
			if last == nil {
				last = err
			}
			break
		}
		failed = q.BrokerName
		tried = append(tried, failed)
		s, err := i.attempt(ctx, q, m, left == 0)
		if err == nil {
			if s.Status == client.SendOK || !notStored {
				return s, nil
			}
			sent = s
			continue
		}
		last = err
		if code := client.Code(err); ctx.Err() != nil || code >= 0 && !slices.Contains(retryCodes, code) {
			break
		}
		i.o.Logger.Warn().Str("topic", m.Topic).Str("broker", failed).Err(err).Msg("cannot send, trying another broker")
	}
	if sent != nil {
		return sent, nil
	}
	if last == nil {
		last = errors.New("no broker")
	}
	return nil, fmt.Errorf("cannot send to topic %s, tried brokers %v: %w", m.Topic, tried, last)
}

func (i *Instance) attempt(ctx context.Context, q message.MessageQueue, m *Outgoing, last bool) (*Sent, error) {
	if !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, i.o.Timeout)
		defer cancel()
	}
	return i.SendTo(ctx, q, m)
}
