package transaction

import (
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// ask sends CHECK_TRANSACTION_STATE to a producer of the message's group; at is where its newest copy stands.
// Nothing waits for the answer, which is END_TRANSACTION; without a producer the message is asked for next time.
// Java: AbstractTransactionalMessageCheckListener.sendCheckMessage.
func (t *Transactions) ask(m *half, at store.Rec) {
	name, id, ok := m.realQueue()
	group := m.p.Get(message.PropertyProducerGroup)
	key := m.p.Get(message.PropertyUniqKey)
	c := t.producer(group)
	if c == nil || !ok {
		t.o.Logger.Warn().Str("group", group).Str("topic", name).Str("msgId", key).Msg("nobody can be asked for the state of a transaction")
		return
	}
	req := protocol.NewRequest(protocol.CheckTransactionState, &header.CheckTransactionStateRequest{Topic: m.Topic, TranStateTableOffset: at.QueueOffset,
		CommitLogOffset: at.PhysicalOffset, MsgID: key, TransactionID: key, BrokerName: t.o.BrokerName,
		OffsetMsgID: string(message.AppendOffsetID(nil, m.StoreHost, at.PhysicalOffset))})
	req.Flag |= protocol.FlagOneway
	out := m.Message
	out.Topic, out.QueueID = name, id
	b, err := message.AppendRecord(nil, &out, m.p.String())
	if err != nil {
		t.o.Logger.Error().Err(err).Str("topic", name).Str("msgId", key).Msg("cannot ask for the state of a transaction")
		return
	}
	message.Patch(b, at.QueueOffset, at.PhysicalOffset, at.StoreTimestamp)
	req.Body = b
	t.asked++
	req.Opaque = t.asked
	mux.Send(c.Conn, req)
}

// producer returns a channel of a producer group that can take a question, nil when there is none.
func (t *Transactions) producer(group string) *session.Channel {
	for range t.o.Producers.Producers(group) {
		if c := t.o.Producers.PickProducer(group); c != nil && !c.Conn.Closed() && !c.Conn.Congested() {
			return c
		}
	}
	return nil
}
