package producer

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

const (
	replyType  = "reply"        // Java: MixAll.REPLY_MESSAGE_FLAG
	replyTopic = "_REPLY_TOPIC" // behind the name of a cluster. Java: MixAll.REPLY_TOPIC_POSTFIX
)

// requests are those that wait for their reply, by correlation id.
type requests struct {
	mu      sync.Mutex
	waiting map[string]chan *client.MessageExt
}

// Request sends a message and waits for the reply that a consumer sends (see Reply), for as long as ctx allows or,
// without a deadline, Options.Timeout. The reply comes by way of the broker that has the message.
func (p *Producer) Request(ctx context.Context, m *client.Message) (*client.MessageExt, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.sends.Done()
	if err := records.Check(m, p.o.MaxMessageSize); err != nil {
		return nil, err
	}
	ctx, cancel := p.limited(ctx)
	defer cancel()
	deadline, _ := ctx.Deadline()
	id := rand.Text()
	asked := *m
	asked.Properties = maps.Clone(m.Properties)
	if asked.Properties == nil {
		asked.Properties = map[string]string{}
	}
	asked.Properties[message.PropertyCorrelationID] = id
	asked.Properties[message.PropertyReplyToClient] = p.inst.ClientID()
	asked.Properties[message.PropertyTTL] = strconv.FormatInt(max(1, time.Until(deadline).Milliseconds()), 10)
	answer := p.requests.expect(id)
	defer p.requests.forget(id)

	// The reply may come to any broker of the cluster: all that are known must know this client.
	if _, err := p.inst.PublishRoute(ctx, m.Topic); err != nil {
		return nil, err
	}
	if err := p.inst.IntroduceAll(ctx); err != nil {
		return nil, err
	}
	if _, err := p.send(ctx, &asked, nil); err != nil {
		return nil, err
	}
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no reply to request %s came: %w", id, ctx.Err())
	case <-p.ctx.Done():
		return nil, ErrClosed
	}
}

func (r *requests) expect(id string) <-chan *client.MessageExt {
	ch := make(chan *client.MessageExt, 1)
	r.mu.Lock()
	r.waiting[id] = ch
	r.mu.Unlock()
	return ch
}

func (r *requests) forget(id string) {
	r.mu.Lock()
	delete(r.waiting, id)
	r.mu.Unlock()
}

// onReply takes a reply that a broker brings.
func (r *requests) onReply(_ string, cmd *protocol.Command) *protocol.Command {
	var h header.ReplyMessageRequest
	if err := protocol.DecodeHeader(cmd.Ext, &h); err != nil {
		return protocol.ErrorResponse(err)
	}
	m := &client.MessageExt{}
	m.Topic, m.QueueID, m.Flag, m.SysFlag, m.BornTimestamp = h.Topic, h.QueueID, h.Flag, h.SysFlag, h.BornTimestamp
	m.StoreTimestamp, m.Body, m.Properties = h.StoreTimestamp, cmd.Body, h.Properties
	m.BornHost, m.StoreHost = host(h.BornHost), host(h.StoreHost)
	if h.ReconsumeTimes != nil {
		m.ReconsumeTimes = *h.ReconsumeTimes
	}
	if h.SysFlag&message.SysFlagCompressed != 0 {
		if text, err := records.Decompress(cmd.Body, h.SysFlag); err != nil {
			m.Err = err
		} else {
			m.Body = text
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := m.Property(message.PropertyCorrelationID)
	if ch := r.waiting[id]; ch != nil {
		delete(r.waiting, id)
		ch <- m
	}
	return protocol.NewResponse(protocol.Success, "")
}

// host reads an address as Java prints it, with a slash in front.
func host(s string) message.Host {
	a, err := netip.ParseAddrPort(s[strings.LastIndexByte(s, '/')+1:])
	if err != nil {
		return message.Host{}
	}
	return message.HostOf(a)
}

// Reply returns the message that answers request, which a consumer got, for Send of any producer.
func Reply(request *client.MessageExt, text []byte) (*client.Message, error) {
	cluster := request.Property(message.PropertyCluster)
	to := request.Property(message.PropertyReplyToClient)
	if cluster == "" || to == "" {
		return nil, fmt.Errorf("cannot reply to message %s: it is no request", request.ID())
	}
	return &client.Message{Topic: cluster + replyTopic, Body: text, Properties: map[string]string{
		message.PropertyMessageType:   replyType,
		message.PropertyCorrelationID: request.Property(message.PropertyCorrelationID),
		message.PropertyReplyToClient: to,
		message.PropertyTTL:           request.Property(message.PropertyTTL),
	}}, nil
}
