// Package relay passes on what one client, or a tool, wants of another one: it asks consumers for their
// state, has them consume a message, tells them of reset offsets, and brings replies to those who asked.
// Java: Broker2Client, ReplyMessageProcessor, and parts of AdminBrokerProcessor.
//
// Everything runs on the lanes, whose workers wait for the client that was asked; Close ends the waiting.
package relay

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

const (
	// callTimeout is how long a client may take to answer. Java: Broker2Client.callClient.
	callTimeout = 10 * time.Second
	// statusTimeout is the same for GET_CONSUMER_STATUS_FROM_CLIENT. Java: Broker2Client.getConsumeStatus.
	statusTimeout = 5 * time.Second
	// versionAsked is the oldest client that answers questions, and versionReset the oldest that takes resets.
	// Java: MQVersion.Version.V3_1_8_SNAPSHOT, V3_0_7_SNAPSHOT.
	versionAsked int32 = 62
	versionReset int32 = 28
)

// Store is what relaying needs of the message store.
type Store interface {
	MinOffset(topic string, queueID int32) int64
	MaxOffset(topic string, queueID int32) int64
	OffsetByTime(topic string, queueID int32, timestamp int64, upper bool) int64
	ReadRecord(physicalOffset int64) ([]byte, error)
}

// Options of a Relay. Names of flags are those of Java's BrokerConfig.
type Options struct {
	Logger     zerolog.Logger
	BrokerName string
	// Settings are those at first, Set changes them.
	Settings  Settings
	StoreHost message.Host
	Topics    *topic.Table
	Groups    *group.Table
	Offsets   *offset.Table
	Sessions  *session.Table
	Store     Store
	// Put stores a message; done is called once, on a goroutine that it must not block, unless Put returns an
	// error.
	Put                      func(m *message.Message, properties string, rec store.Rec, done func(err error, recs []store.Rec)) error
	UseServerSideResetOffset bool
	// Stored is told of each reply that is stored; nil: nobody is.
	Stored func(topic string, bytes int)
}

// Settings are what may change while a Relay runs.
type Settings struct {
	RegionID                string
	TraceOn                 bool
	StoreReplyMessageEnable bool
	// AcceptFrom is startAcceptSendRequestTimeStamp, ms.
	AcceptFrom int64
}

// Relay handles the codes of Routes.
type Relay struct {
	o    Options
	live atomic.Pointer[Settings]
	ctx  context.Context // ends with Close
	stop context.CancelFunc
}

// New returns a Relay.
func New(o Options) *Relay {
	ctx, stop := context.WithCancel(context.Background())
	r := &Relay{o: o, ctx: ctx, stop: stop}
	r.Set(o.Settings)
	return r
}

// Set changes the settings for what comes from now on.
func (r *Relay) Set(to Settings) { r.live.Store(&to) }

// Close ends the waiting for clients: those who asked are told that there was no answer.
func (r *Relay) Close() { r.stop() }

// Routes returns the rows of the mux.
func (r *Relay) Routes(admin, reply *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.SendReplyMessage, Lane: reply, Handle: r.reply},
		{Code: protocol.SendReplyMessageV2, Lane: reply, Handle: r.reply},
		{Code: protocol.GetConsumerRunningInfo, Lane: admin, Handle: mux.Handle(r.runningInfo)},
		{Code: protocol.ConsumeMessageDirectly, Lane: admin, Handle: mux.Handle(r.consumeDirectly)},
		{Code: protocol.InvokeBrokerToResetOffset, Lane: admin, Handle: mux.Handle(r.resetOffset)},
		{Code: protocol.InvokeBrokerToGetConsumerStatus, Lane: admin, Handle: mux.Handle(r.consumerStatus)},
	}
}

// runningInfo asks a consumer how it is. Java: AdminBrokerProcessor.getConsumerRunningInfo.
func (r *Relay) runningInfo(req *mux.Request, h *header.GetConsumerRunningInfoRequest) (*protocol.Command, error) {
	return r.ask(h.ConsumerGroup, h.ClientID, &protocol.Command{Code: protocol.GetConsumerRunningInfo, Version: protocol.Version, Ext: req.Cmd.Ext, Body: req.Cmd.Body})
}

// consumeDirectly has a consumer consume one message now. Java: AdminBrokerProcessor.consumeMessageDirectly.
func (r *Relay) consumeDirectly(req *mux.Request, h *header.ConsumeMessageDirectlyResultRequest) (*protocol.Command, error) {
	_, at, err := message.ParseOffsetID(h.MsgID)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "cannot read the offset message id %q: %v", h.MsgID, err)
	}
	record, err := r.o.Store.ReadRecord(at)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "can not find message by the offset, %d", at)
	}
	out := *h
	out.BrokerName = r.o.BrokerName
	if c := r.o.Topics.Get(h.Topic); h.Topic != "" && c != nil {
		out.TopicSysFlag = &c.TopicSysFlag
	}
	if g := r.o.Groups.Peek(h.ConsumerGroup); h.ConsumerGroup != "" && g != nil {
		out.GroupSysFlag = &g.GroupSysFlag
	}
	cmd := protocol.NewRequest(protocol.ConsumeMessageDirectly, &out)
	cmd.Body = record
	return r.ask(h.ConsumerGroup, h.ClientID, cmd)
}

// ask sends a request to a client of a group and returns its answer. Java: AdminBrokerProcessor.callConsumer.
func (r *Relay) ask(group, clientID string, cmd *protocol.Command) (*protocol.Command, error) {
	c := r.o.Sessions.FindChannel(group, clientID)
	if c == nil {
		return nil, protocol.Errorf(protocol.SystemError, "The Consumer <%s> <%s> not online", group, clientID)
	}
	if c.Version < versionAsked {
		return nil, protocol.Errorf(protocol.SystemError, "The Consumer <%s> Version <%d> too low to finish, please upgrade it to V3_1_8_SNAPSHOT", clientID, c.Version)
	}
	resp, err := mux.Call(r.ctx, c.Conn, cmd, callTimeout)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, protocol.Errorf(protocol.ConsumeMsgTimeout, "consumer <%s> <%s> Timeout: no answer within %s", group, clientID, callTimeout)
	case err != nil:
		return nil, protocol.Errorf(protocol.SystemError, "invoke consumer <%s> <%s> Exception: %v", group, clientID, err)
	}
	return passOn(resp), nil
}

// passOn makes a client's answer the answer to another one.
func passOn(resp *protocol.Command) *protocol.Command {
	out := protocol.NewResponse(resp.Code, strings.Clone(resp.Remark))
	out.Ext, out.Body = resp.Ext, resp.Body
	return out
}
