package transaction

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

// The form of op messages. Java: TransactionalMessageUtil.
const (
	removeTag       = "d"
	offsetSeparator = ','
)

// op is the end of some half messages, one or, where copies were, more.
type op struct {
	offsets []int64
	done    func() // called when it is stored; may be nil
}

// ops are the ends that wait to be written as op messages. Java: TransactionalOpBatchService, MessageQueueOpContext.
type ops struct {
	wake    chan struct{}
	batched bool // commits may wait: what a crash loses of them is found by the index

	mu      sync.Mutex
	waiting []op
	bytes   int // of their text, about
	urgent  bool
}

func (o *ops) init(batched bool) {
	o.wake, o.batched = make(chan struct{}, 1), batched
}

// add notes that half messages that were claimed are ended. done, if any, is called when their op is stored.
func (o *ops) add(t *Transactions, offsets []int64, kind int32, done func()) {
	t.ledger.end(offsets)
	o.mu.Lock()
	first := len(o.waiting) == 0
	o.waiting = append(o.waiting, op{offsets, done})
	for _, offset := range offsets {
		o.bytes += len(strconv.FormatInt(offset, 10)) + 1
	}
	now := kind == message.SysFlagRollback || !o.batched || o.bytes > t.live.Load().OpMsgMaxSize
	o.urgent = o.urgent || now
	o.mu.Unlock()
	if first || now {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// take removes ends for one op message of at most size bytes, or of a single end.
func (o *ops) take(size int) (text []byte, out []op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for ; n < len(o.waiting) && len(text) < size; n++ {
		for _, offset := range o.waiting[n].offsets {
			text = append(strconv.AppendInt(text, offset, 10), offsetSeparator)
		}
	}
	out = o.waiting[:n:n]
	o.waiting = o.waiting[n:]
	o.bytes -= len(text)
	if len(o.waiting) == 0 {
		o.waiting, o.urgent = nil, false
	}
	return text, out
}

// back puts ends that could not be written in front again.
func (o *ops) back(text []byte, ends []op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(ends, o.waiting...)
	o.bytes += len(text)
}

// opRetry is when op messages that the store refused are tried again.
const opRetry = time.Second

// writeOps writes op messages until Close, and then what is left.
func (t *Transactions) writeOps() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	running := false
	for {
		due := false
		select {
		case <-t.stop:
			t.flushOps()
			return
		case <-t.ops.wake:
			t.ops.mu.Lock()
			due = t.ops.urgent
			t.ops.mu.Unlock()
		case <-timer.C:
			due, running = true, false
		}
		switch {
		case due && !t.flushOps():
			timer.Reset(opRetry)
			running = true
		case due:
			timer.Stop()
			running = false
		case !running:
			timer.Reset(t.live.Load().OpBatchInterval)
			running = true
		}
	}
}

// flushOps writes all ends that wait and reports whether it could.
func (t *Transactions) flushOps() bool {
	for {
		text, ends := t.ops.take(t.live.Load().OpMsgMaxSize)
		if len(ends) == 0 {
			return true
		}
		if err := t.putOp(text); err != nil {
			t.ops.back(text, ends)
			t.o.Logger.Warn().Err(err).Int("ends", len(ends)).Msg("cannot store the op message of transactions, trying again")
			return false
		}
		for _, e := range ends {
			t.ledger.release(e.offsets...)
			if e.done != nil {
				e.done()
			}
		}
	}
}

// putOp stores an op message and waits for it. Java: TransactionalMessageBridge.makeOpMessageInner.
func (t *Transactions) putOp(text []byte) error {
	m := message.Message{Topic: topic.TransOpHalf, BornTimestamp: t.o.Now().UnixMilli(), BornHost: t.o.StoreHost, StoreHost: t.o.StoreHost, Body: text}
	p := message.Properties{{Name: message.PropertyWait, Value: "true"}, {Name: message.PropertyTags, Value: removeTag}}
	stored := make(chan error, 1)
	err := t.o.Put(&m, p.String(), store.Rec{TagsCode: message.TagsCode(removeTag)}, func(err error, _ []store.Rec) { stored <- err })
	if err != nil {
		return err
	}
	return <-stored
}

// eachEnd calls fn with the queue offsets that an op message names; what is no number is passed over.
func eachEnd(r *message.Record, fn func(offset int64)) {
	if message.GetProperty(r.Properties, message.PropertyTags) != removeTag {
		return
	}
	for s := range strings.SplitSeq(string(r.Body), string(offsetSeparator)) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
			fn(n)
		}
	}
}
