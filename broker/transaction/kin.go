package transaction

import (
	"fmt"
	"math"
	"strconv"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/timer"
)

// maxKin is how many messages with the same key are looked at, the newest ones.
const maxKin = 16

// kin is what else is stored of a transaction.
type kin struct {
	copy  int64 // queue offset of the newest copy of the half message behind it, -1: it is the newest
	final bool  // there is a final message
}

// kin looks for other messages of the same transaction: they have the same UNIQ_KEY, real queue and born time.
// The time tells copies from a half message that its producer sent a second time. Without an index, or while it
// is not complete, some may be missed.
func (t *Transactions) kin(m *half) (kin, error) {
	k := kin{copy: -1}
	name, id, ok := m.realQueue()
	key := m.p.Get(message.PropertyUniqKey)
	if !ok || key == "" {
		return k, nil
	}
	same := func(r *message.Record, p message.Properties) bool {
		return r.BornTimestamp == m.BornTimestamp && p.Get(message.PropertyUniqKey) == key
	}
	queueID := strconv.Itoa(int(id))
	parked := func(p message.Properties) bool {
		return p.Get(message.PropertyRealTopic) == name && p.Get(message.PropertyRealQueueID) == queueID
	}
	err := t.each(topic.TransHalf, key, func(r *message.Record, p message.Properties) {
		if r.QueueOffset > max(m.QueueOffset, k.copy) && same(r, p) && parked(p) {
			k.copy = r.QueueOffset
		}
	})
	if err != nil {
		return k, err
	}
	topics := []string{name}
	if m.p.Get(message.PropertyDelay) != "" {
		topics = append(topics, store.ScheduleTopic)
	}
	if m.p.Get(message.PropertyTimerDelaySec)+m.p.Get(message.PropertyTimerDelayMs)+m.p.Get(message.PropertyTimerDeliverMs) != "" {
		topics = append(topics, timer.Topic)
	}
	for _, where := range topics {
		err := t.each(where, key, func(r *message.Record, p message.Properties) {
			if r.SysFlag&message.SysFlagTransaction == message.SysFlagCommit && same(r, p) && (where == name && r.QueueID == id || where != name && parked(p)) {
				k.final = true
			}
		})
		if err != nil {
			return k, err
		}
	}
	return k, nil
}

// each calls fn with the messages of a topic that may have a key.
func (t *Transactions) each(topic, key string, fn func(r *message.Record, p message.Properties)) error {
	res, err := t.o.Store.Query(store.QueryRequest{Topic: topic, Key: key, Max: maxKin, End: math.MaxInt64})
	if err != nil {
		return fmt.Errorf("cannot look for other messages of a transaction: %w", err)
	}
	for b := res.Records; len(b) > 0; {
		r, err := message.Parse(b, false)
		if err != nil {
			return fmt.Errorf("cannot look for other messages of a transaction: %w", err)
		}
		if r.Topic == topic {
			fn(&r, message.ParseProperties(r.Properties))
		}
		b = b[r.Size:]
	}
	return nil
}
