package transaction

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// maxInHand bounds the half messages whose op is not stored, as on a full disk.
const maxInHand = 1 << 18

// half is a half message with its properties.
type half struct {
	message.Record
	p message.Properties
}

func halfOf(r message.Record) *half {
	return &half{Record: r, p: message.ParseProperties(r.Properties)}
}

// realQueue returns the queue the message is for; ok is false when the properties do not say.
func (h *half) realQueue() (name string, id int32, ok bool) {
	name = h.p.Get(message.PropertyRealTopic)
	n, err := strconv.ParseInt(h.p.Get(message.PropertyRealQueueID), 10, 32)
	return name, int32(n), name != "" && err == nil && n >= 0
}

// end handles END_TRANSACTION. Java: EndTransactionProcessor.
func (t *Transactions) end(r *mux.Request, h *header.EndTransactionRequest) (*protocol.Command, error) {
	if h.CommitOrRollback == 0 { // not known yet: Java does not even answer
		t.o.Logger.Debug().Str("group", h.ProducerGroup).Str("msgId", h.MsgID).Bool("check", h.FromTransactionCheck).Str("remark", r.Cmd.Remark).
			Msg("the producer does not know the end of the transaction yet")
		r.Drop()
		return nil, nil
	}
	return nil, t.finish(h, func(err error) {
		if err != nil {
			r.Reply(protocol.ErrorResponse(err))
			return
		}
		r.Reply(protocol.NewResponse(protocol.Success, ""))
	})
}

// prepared returns the half message that a request names. Java: EndTransactionProcessor.rejectCommitOrRollback,
// checkPrepareMessage.
func (t *Transactions) prepared(h *header.EndTransactionRequest) (*half, error) {
	r, err := t.o.Store.Record(h.CommitLogOffset)
	if err != nil || r.Topic != topic.TransHalf {
		return nil, protocol.Errorf(protocol.SystemError, "Find prepared transaction message failed")
	}
	m := halfOf(r)
	if text := m.p.Get(message.PropertyCheckImmunityTime); text != "" && !h.FromTransactionCheck {
		limit := max(immunity(text, 0), t.live.Load().TimeOut)
		if t.age(&r) > limit.Milliseconds() {
			return nil, protocol.Errorf(protocol.IllegalOperation, "")
		}
	}
	if m.p.Get(message.PropertyProducerGroup) != h.ProducerGroup {
		return nil, protocol.Errorf(protocol.SystemError, "The producer group wrong")
	}
	if r.QueueOffset != h.TranStateTableOffset {
		return nil, protocol.Errorf(protocol.SystemError, "The transaction state table offset wrong")
	}
	if _, _, ok := m.realQueue(); !ok {
		return nil, protocol.Errorf(protocol.SystemError, "the half message has no real topic and queue")
	}
	return m, nil
}

// immunity returns the time of CHECK_IMMUNITY_TIME_IN_SECONDS, otherwise when that is no number.
func immunity(text string, otherwise time.Duration) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n == -1 {
		return otherwise
	}
	return time.Duration(min(max(n, -most), most)) * time.Second
}

// finish ends a transaction; unless it returns an error, it calls done once, when the end is stored. The half
// message is claimed first, and so is the copy that stands for it when the checker has been here: then a final
// message may be there already, too.
func (t *Transactions) finish(h *header.EndTransactionRequest, done func(error)) error {
	kind := h.CommitOrRollback
	if kind != message.SysFlagCommit && kind != message.SysFlagRollback {
		return protocol.Errorf(protocol.SystemError, "commitOrRollback field wrong")
	}
	m, err := t.prepared(h)
	if err != nil {
		return err
	}
	if t.ledger.len() >= maxInHand {
		return protocol.Errorf(protocol.SystemError, "the ends of too many transactions wait to be stored")
	}
	mine, was, err := t.claim(m, kind, h.FromTransactionCheck)
	if err != nil {
		return err
	}
	if was != 0 {
		if was != kind {
			return protocol.Errorf(protocol.SystemError, "the transaction is %s already", endName[was])
		}
		done(nil)
		return nil
	}
	real, _, _ := m.realQueue()
	if kind == message.SysFlagRollback {
		t.ops.add(t, mine, kind, func() {
			t.counts.add(real, -1)
			t.o.Stats.Rollback(real)
			done(nil)
		})
		return nil
	}
	t.inFlight.Add(1)
	err = t.putFinal(m, func(err error, recs []store.Rec) {
		defer t.inFlight.Done()
		if err != nil {
			t.ledger.release(mine...)
			done(refusal(err))
			return
		}
		t.ops.add(t, mine, kind, nil)
		t.counts.add(real, -1)
		t.o.Stats.Put(real, 1, int(recs[0].Size))
		t.o.Stats.Commit(real, time.Duration(t.age(&m.Record))*time.Millisecond)
		done(nil)
	})
	if err != nil {
		t.inFlight.Done()
		t.ledger.release(mine...)
		return refusal(err)
	}
	return nil
}

var endName = map[int32]string{message.SysFlagCommit: "committed", message.SysFlagRollback: "rolled back"}

// claim takes a half message, and its newest copy, for their end and returns their queue offsets; or was, the kind
// of the end that came before.
func (t *Transactions) claim(m *half, kind int32, check bool) (mine []int64, was int32, err error) {
	late := check
	for at := m.QueueOffset; ; {
		if was, ok := t.ledger.claim(at, kind); !ok {
			t.ledger.release(mine...)
			return nil, was, nil
		}
		mine = append(mine, at)
		// The checker cannot store it again from now on, but it may have.
		if late = late || at < t.passed.Load() || m.StoreTimestamp <= t.unsure.Load(); !late {
			return mine, 0, nil
		}
		k, err := t.kin(m)
		if err != nil {
			t.ledger.release(mine...)
			return nil, 0, err
		}
		if k.final {
			t.ops.add(t, mine, message.SysFlagCommit, nil)
			return nil, message.SysFlagCommit, nil
		}
		if k.copy < 0 || slices.Contains(mine, k.copy) {
			return mine, 0, nil
		}
		at = k.copy
	}
}

// putFinal stores the final message. Java: EndTransactionProcessor.endMessageTransaction.
func (t *Transactions) putFinal(m *half, done Stored) error {
	out, p := m.Message, slices.Clone(m.p)
	out.Topic, out.QueueID, _ = m.realQueue()
	out.SysFlag = out.SysFlag&^message.SysFlagTransaction | message.SysFlagCommit
	out.PreparedTransactionOffset = m.PhysicalOffset
	p.Delete(message.PropertyRealTopic)
	p.Delete(message.PropertyRealQueueID)
	return t.o.PutFinal(&out, p, done)
}

// refusal tells a client what the store did not take. Java: EndTransactionProcessor.sendFinalMessage.
func refusal(err error) error {
	switch {
	case errors.Is(err, store.ErrBusy):
		return protocol.Errorf(protocol.SystemError, "OS page cache busy, please try another machine")
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrDiskFull), errors.Is(err, store.ErrNoSpace):
		return protocol.Errorf(protocol.ServiceNotAvailable, "Service not available now.")
	}
	return err
}
