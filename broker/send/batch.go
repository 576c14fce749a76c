package send

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store"
)

// batch is what one connection gives the store at once: records of one or more requests.
type batch struct {
	store.Group
	s    *Sender
	conn mux.Conn
	req  *mux.Request // set when the batch came by the lane
	reqs []sent
	text []byte // transaction ids and topics of reqs
	done func(err error, recs []store.Rec)
	at   time.Time // of its submission

	received stats.Received
}

// sent is one request of a batch.
type sent struct {
	opaque  int32
	code    int32 // of the request
	kind    stats.MessageType
	oneway  bool
	half    bool // the first part of a transaction
	logical      // the queue as asked for; a delayed message stands in another one
	recs    int32
	inner   int32 // messages in the one record of an inner batch
	id      span  // of the transaction id
	handle  span  // of the recall handle, empty: none
	topic   span  // that it stands in
	real    span  // the real topic of a half message
	bytes   int32
}

type span struct{ from, to int32 }

func (s *Sender) take(c mux.Conn) *batch {
	b := s.batches.Get().(*batch)
	b.conn = c
	b.Owner = b
	return b
}

// keepBatch is the largest record buffer that goes back to the pool.
const keepBatch = 2 << 20

func (s *Sender) give(b *batch) {
	b.conn, b.req, b.done, b.Impatient = nil, nil, nil, false
	clear(b.Recs)
	clear(b.Lights)
	b.Lights = b.Lights[:0]
	b.Recs, b.Keys, b.reqs, b.text = b.Recs[:0], b.Keys[:0], b.reqs[:0], b.text[:0]
	if cap(b.Buf) > keepBatch {
		b.Buf = nil
	}
	b.Buf = b.Buf[:0]
	s.batches.Put(b)
}

func (b *batch) keep(s string) span {
	from := len(b.text)
	b.text = append(b.text, s...)
	return span{int32(from), int32(len(b.text))}
}

// str aliases b.text.
func (b *batch) str(s span) string { return unsafeString(b.text[s.from:s.to]) }

// count reports what was stored, requests for one topic in a row at once.
func (b *batch) count() {
	in := &b.received
	*in = stats.Received{}
	for i := range b.reqs {
		r := &b.reqs[i]
		in.Add(int(max(r.recs, r.inner)), int(r.bytes))
		if r.half && b.s.o.CountHalf != nil {
			b.s.o.CountHalf(b.str(r.real))
		}
		if i+1 == len(b.reqs) || b.reqs[i+1].kind != r.kind || b.str(b.reqs[i+1].topic) != b.str(r.topic) {
			in.Type = r.kind
			b.s.receive(b.str(r.topic), in)
			*in = stats.Received{}
		}
	}
}

// receive counts what came into a topic. What goes to retry topics came before. Java:
// BrokerMetricsManager.isRetryOrDlqTopic.
func (s *Sender) receive(topic string, in *stats.Received) {
	if strings.HasPrefix(topic, RetryPrefix) || strings.HasPrefix(topic, DLQPrefix) {
		s.o.Stats.Put(topic, in.Messages, in.Bytes)
		return
	}
	s.o.Stats.Receive(topic, in)
}

// observe counts how long the requests took that are answered with a code, those of one kind in a row at once. One that
// came by the lane counts when its Request is answered.
func (b *batch) observe(response int32, took time.Duration) {
	if b.req != nil {
		return
	}
	for i := 0; i < len(b.reqs); {
		r, n := &b.reqs[i], 1
		for i+n < len(b.reqs) && b.reqs[i+n].code == r.code && b.reqs[i+n].oneway == r.oneway {
			n++
		}
		b.s.o.Observe(r.code, mux.Outcome{Response: response, Result: mux.Sent(b.conn, r.oneway)}, n, took)
		i += n
	}
}

// submit gives the batch to the store; refused, its requests are answered here.
func (s *Sender) submit(b *batch) {
	if len(b.Recs) == 0 {
		s.give(b)
		return
	}
	b.Impatient, b.at = true, time.Now()
	s.open.Add(1)
	if err := s.o.Store.Submit(&b.Group); err != nil {
		b.Appended(&b.Group, err)
	}
}

// Appended implements store.Owner: it answers the requests of the batch.
func (b *batch) Appended(_ *store.Group, err error) {
	s := b.s
	b.answer(err)
	s.give(b)
	if s.open.Add(-1) == 0 && s.settling.Load() {
		select {
		case s.settled <- struct{}{}:
		default:
		}
	}
}

// Settle waits until all that the store has been given is answered, or ctx ends.
func (s *Sender) Settle(ctx context.Context) {
	s.settling.Store(true)
	for s.open.Load() > 0 {
		select {
		case <-s.settled:
		case <-ctx.Done():
			return
		}
	}
}

func (b *batch) answer(err error) {
	s := b.s
	late := errors.Is(err, store.ErrFlushTimeout) // it is stored all the same
	stored, took := err == nil || late, time.Since(b.at)
	if stored && s.o.Stats != nil {
		s.o.Stats.PutTook(took, max(len(b.reqs), 1))
	}
	if b.done != nil {
		if late {
			err = nil // whoever tried again would send it twice
		}
		b.done(err, b.Recs)
		return
	}
	if stored && s.o.Stats != nil {
		b.count()
	}
	code := protocol.Success
	var refusal *protocol.Command
	switch {
	case late:
		code = protocol.FlushDiskTimeout
		s.refused.late.Add(int64(len(b.Recs)))
	case err != nil:
		refusal = s.withRegion(storeRefusal(err))
		code = refusal.Code
		s.countRefused(err, len(b.Recs))
		if s.o.Journal != nil && b.conn != nil && len(b.reqs) > 0 {
			s.o.Journal.Refused(b.conn.Remote(), protocol.SendMessage, protocol.Ext{{Key: "topic", Value: b.str(b.reqs[0].topic)}}, refusal)
		}
	}
	b.observe(code, took)
	var out *mux.Buffer
	recs := b.Recs
	for i := range b.reqs {
		r := &b.reqs[i]
		mine := recs[:r.recs]
		recs = recs[r.recs:]
		if r.oneway {
			continue
		}
		if out == nil {
			out = mux.NewBuffer(replySize * len(b.reqs))
		}
		switch {
		case late:
			out.B = s.appendReply(out.B, s.live.Load().lateHead, b, r, mine)
		case refusal != nil:
			refusal.Opaque = r.opaque
			out.B = frame.Append(out.B, refusal)
		default:
			out.B = s.appendReply(out.B, s.live.Load().replyHead, b, r, mine)
		}
	}
	switch {
	case b.req != nil && out != nil:
		b.req.ReplyFrame(out, code)
	case b.req != nil:
		b.req.Drop()
	case out != nil:
		b.conn.Write(out)
	}
}

// replySize is about the size of a reply.
const replySize = 400

// storeRefusal is the answer to what the store did not take. Java: SendMessageProcessor.handlePutMessageResult.
func storeRefusal(err error) *protocol.Command {
	var pe *protocol.Error
	switch {
	case errors.As(err, &pe):
		return protocol.NewResponse(pe.Code, pe.Remark)
	case errors.Is(err, store.ErrBusy):
		return protocol.NewResponse(protocol.SystemBusy, "[PC_SYNCHRONIZED]broker busy, start flow control for a while")
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrReadOnly):
		return protocol.NewResponse(protocol.ServiceNotAvailable, fmt.Sprintf("service not available now. It may be caused by one of the following reasons: the broker is shutting down or its disk failed, %s", err))
	case errors.Is(err, store.ErrDiskFull), errors.Is(err, store.ErrNoSpace):
		return protocol.NewResponse(protocol.ServiceNotAvailable, fmt.Sprintf("service not available now. It may be caused by one of the following reasons: the broker's disk is full, %s", err))
	}
	return protocol.NewResponse(protocol.SystemError, err.Error())
}

// head is the part of the reply to what is stored that is the same for all.
func (l *live) head(code int32) []byte {
	resp := l.withRegion(protocol.NewResponse(code, ""))
	b := fmt.Appendf(nil, `{"code":%d,"extFields":{`, code)
	for _, f := range resp.Ext {
		b = frame.AppendString(b, f.Key)
		b = append(b, ':')
		b = frame.AppendString(b, f.Value)
		b = append(b, ',')
	}
	return append(b, `"msgId":"`...)
}

var replyTail = fmt.Sprintf(`,"serializeTypeCurrentRPC":"JSON","version":%d}`, protocol.Version)

// appendReply writes a success reply by hand: it is the hottest there is.
func (s *Sender) appendReply(dst, head []byte, b *batch, r *sent, recs []store.Rec) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = append(dst, head...)
	for i := range recs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = message.AppendOffsetID(dst, s.storeHost, recs[i].PhysicalOffset)
	}
	dst = append(dst, `","queueId":"`...)
	dst = strconv.AppendInt(dst, int64(r.queueID), 10)
	dst = append(dst, `","queueOffset":"`...)
	offset := recs[0].QueueOffset + r.shift
	if r.moving {
		offset = -1
	}
	dst = strconv.AppendInt(dst, offset, 10)
	dst = append(dst, '"')
	if r.id.to > r.id.from {
		dst = append(dst, `,"transactionId":`...)
		dst = frame.AppendString(dst, b.str(r.id))
	}
	if r.inner > 0 { // tells the producer that its batch is one message
		dst = append(dst, `,"batchUniqId":`...)
		dst = frame.AppendString(dst, b.str(r.id))
	}
	if r.handle.to > r.handle.from {
		dst = append(dst, `,"recallHandle":`...)
		dst = frame.AppendString(dst, b.str(r.handle))
	}
	dst = append(dst, `},"flag":1,"language":"JAVA","opaque":`...)
	dst = strconv.AppendInt(dst, int64(r.opaque), 10)
	dst = append(dst, replyTail...)
	return frame.Finish(dst, start, len(dst)-start-frame.PrefixLength)
}
