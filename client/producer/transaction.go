package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/client/internal/trace"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// TransactionState is what became of a local transaction. Java: LocalTransactionState.
type TransactionState int

// The states of a transaction. A broker that is told Unknown, or nothing, asks again later: Options.Check answers.
const (
	Unknown TransactionState = iota
	Commit
	Rollback
)

// maxChecks is how many questions of brokers may wait. Java: checkRequestHoldMax.
const maxChecks = 2000

// String returns Java's name.
func (s TransactionState) String() string {
	switch s {
	case Commit:
		return "COMMIT_MESSAGE"
	case Rollback:
		return "ROLLBACK_MESSAGE"
	}
	return "UNKNOW"
}

func (s TransactionState) flag() int32 {
	switch s {
	case Commit:
		return message.SysFlagCommit
	case Rollback:
		return message.SysFlagRollback
	}
	return 0
}

// SendInTransaction stores a message that consumers do not see yet, runs the local transaction, and tells the broker
// whether the message is to be seen or dropped. When that cannot be told the broker asks later, as it does of
// Unknown. A message that is stored less safely than it should be is rolled back, and local does not run. The
// error is of storing alone. A delayed message is refused. A panic of local counts as Unknown and goes on.
func (p *Producer) SendInTransaction(ctx context.Context, m *client.Message, local func(ctx context.Context, r *client.SendResult) TransactionState) (*client.SendResult, TransactionState, error) {
	if local == nil {
		return nil, Unknown, errors.New("cannot send in a transaction without a local one")
	}
	if err := p.begin(); err != nil {
		return nil, Unknown, err
	}
	defer p.sends.Done()
	if err := records.Check(m, p.o.MaxMessageSize); err != nil {
		return nil, Unknown, err
	}
	if records.Delayed(m) {
		return nil, Unknown, protocol.Errorf(protocol.MessageIllegal, "delayed messages are not supported in transactions")
	}
	half := *m
	half.Properties = maps.Clone(m.Properties)
	if half.Properties == nil {
		half.Properties = map[string]string{}
	}
	half.Properties[message.PropertyTransactionPrepared] = "true"
	half.Properties[message.PropertyProducerGroup] = p.o.Group
	r, err := p.send(ctx, &half, nil)
	if err != nil {
		return nil, Unknown, err
	}
	// Without a heartbeat the broker would not know whom to ask.
	addr := p.inst.Master(r.Queue.BrokerName)
	if err := p.inst.Introduce(ctx, addr); err != nil {
		p.o.Logger.Warn().Str("broker", addr).Err(err).Msg("cannot announce a producer of transactions")
	}
	state := Unknown
	defer func() { p.end(addr, m, r, state) }()
	if r.Status != client.SendOK {
		state = Rollback
		return r, state, nil
	}
	state = local(ctx, r)
	return r, state, nil
}

// end tells the broker of a transaction.
func (p *Producer) end(addr string, m *client.Message, r *client.SendResult, state TransactionState) {
	_, offset, err := message.ParseOffsetID(r.OffsetMsgID)
	if err == nil {
		h := header.EndTransactionRequest{Topic: m.Topic, ProducerGroup: p.o.Group, TranStateTableOffset: r.QueueOffset, CommitLogOffset: offset,
			CommitOrRollback: state.flag(), MsgID: r.MsgID, TransactionID: r.TransactionID}
		err = p.tell(addr, h)
	}
	if err != nil {
		p.o.Logger.Warn().Str("msgId", r.MsgID).Stringer("state", state).Err(err).Msg("cannot end a transaction; the broker will ask")
	}
	if !p.trace.Skips(m.Topic) {
		p.trace.Ended(&trace.Ending{Time: time.Now().UnixMilli(), Region: traceRegion, Group: p.o.Group, Topic: m.Topic, MsgID: r.MsgID, Tag: m.Tag,
			Keys: strings.Join(m.Keys, " "), Broker: addr, TransactionID: r.TransactionID, State: state.String()})
	}
}

// traceRegion stands where a message has no region. Java: MixAll.DEFAULT_TRACE_REGION_ID.
const traceRegion = "DefaultRegion"

// tell sends END_TRANSACTION. Java does so one-way; waiting for the answer, which brokers give to all but Unknown,
// keeps Close from cutting it off.
func (p *Producer) tell(addr string, h header.EndTransactionRequest) error {
	if h.CommitOrRollback == 0 {
		return p.inst.Oneway(addr, protocol.EndTransaction, h, nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Timeout)
	defer cancel()
	_, err := p.inst.Call(ctx, addr, protocol.EndTransaction, h, nil)
	return err
}

// check is a broker's question.
type check struct {
	addr string
	h    header.CheckTransactionStateRequest
	m    *client.MessageExt
}

func (p *Producer) onCheck(addr string, cmd *protocol.Command) *protocol.Command {
	if p.o.Check == nil {
		return nil
	}
	c := check{addr: addr}
	list, err := records.Decode(cmd.Body, "")
	if err == nil {
		err = protocol.DecodeHeader(cmd.Ext, &c.h)
	}
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d messages", len(list))
	}
	if err != nil {
		p.o.Logger.Warn().Str("broker", addr).Err(err).Msg("cannot read a check of a transaction")
		return nil
	}
	c.m = list[0]
	c.m.BrokerName = c.h.BrokerName
	select {
	case p.checks <- c:
	default:
		p.o.Logger.Warn().Str("broker", addr).Msg("too many checks of transactions wait; the broker will ask again")
	}
	return nil
}

func (p *Producer) answerChecks() {
	for {
		select {
		case c := <-p.checks:
			p.answer(c)
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *Producer) answer(c check) {
	state := p.ask(c.m)
	h := header.EndTransactionRequest{Topic: c.h.Topic, ProducerGroup: p.o.Group, TranStateTableOffset: c.h.TranStateTableOffset, CommitLogOffset: c.h.CommitLogOffset,
		CommitOrRollback: state.flag(), FromTransactionCheck: true, MsgID: c.m.ID(), TransactionID: c.h.TransactionID}
	if err := p.tell(c.addr, h); err != nil {
		p.o.Logger.Warn().Str("broker", c.addr).Str("msgId", c.m.ID()).Err(err).Msg("cannot answer a check of a transaction")
	}
	if !p.trace.Skips(c.m.Topic) {
		region := c.m.Property(message.PropertyMsgRegion)
		if region == "" {
			region = traceRegion
		}
		p.trace.Ended(&trace.Ending{Time: time.Now().UnixMilli(), Region: region, Group: p.o.Group, Topic: c.m.Topic, MsgID: c.m.ID(), Tag: c.m.Tag(),
			Keys: c.m.Property(message.PropertyKeys), Broker: c.addr, TransactionID: c.h.TransactionID, State: state.String(), Checked: true})
	}
}

// ask runs the user's check; one that panics does not know.
func (p *Producer) ask(m *client.MessageExt) (state TransactionState) {
	defer func() {
		if r := recover(); r != nil {
			p.o.Logger.Error().Str("msgId", m.ID()).Str("stack", string(debug.Stack())).Msgf("the check of a transaction panicked: %v", r)
			state = Unknown
		}
	}()
	return p.o.Check(p.ctx, m)
}
