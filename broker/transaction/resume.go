package transaction

import (
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// resume handles RESUME_CHECK_HALF_MESSAGE: it puts a message that was given up back into the half queue, as one
// that was never asked for. Unlike Java's, it refuses messages that are no half messages.
// Java: AdminBrokerProcessor.resumeCheckHalfMessage.
func (t *Transactions) resume(r *mux.Request, h *header.ResumeCheckHalfMessageRequest) (*protocol.Command, error) {
	const failed = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC."
	_, offset, err := message.ParseOffsetID(h.MsgID)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%s %s", failed, err)
	}
	rec, err := t.o.Store.Record(offset)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%s %s", failed, err)
	}
	m := halfOf(rec)
	if _, _, ok := m.realQueue(); !ok || rec.Topic != topic.TransCheckMaxTime && rec.Topic != topic.TransHalf {
		return nil, protocol.Errorf(protocol.SystemError, "%s it is no half message", failed)
	}
	real, given := m.p.Get(message.PropertyRealTopic), rec.Topic == topic.TransCheckMaxTime
	m.Topic, m.QueueID = topic.TransHalf, 0
	m.p.Set(message.PropertyCheckTimes, "0")
	err = t.o.Put(&m.Message, m.p.String(), store.Rec{TagsCode: message.TagsCode(m.p.Get(message.PropertyTags))}, func(err error, _ []store.Rec) {
		if err != nil {
			r.Reply(protocol.NewResponse(protocol.SystemError, "Put message back to RMQ_SYS_TRANS_HALF_TOPIC failed. "+err.Error()))
			return
		}
		if given {
			t.counts.add(real, 1)
		}
		r.Reply(protocol.NewResponse(protocol.Success, ""))
	})
	return nil, err
}
