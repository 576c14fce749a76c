package mux

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Journal logs refused requests and slow ones, each kind at most once a second behind a burst of ten, so that a flood
// of them costs next to nothing. The zero value logs nothing. It is safe for concurrent use.
type Journal struct {
	l     zerolog.Logger
	kinds [64]limiter // by response code, the last for slow requests
}

// usual are response codes that refuse nothing.
var usual = map[int32]bool{protocol.Success: true, protocol.PullNotFound: true, protocol.PullRetryImmediately: true, protocol.PullOffsetMoved: true,
	protocol.QueryNotFound: true, protocol.NoMessage: true, protocol.PollingTimeout: true, protocol.GoAway: true}

// Refused logs that resp is the answer to a request, unless it refuses nothing. ext are the request's fields, of which
// the topic and the group are named.
func (j *Journal) Refused(remote netip.AddrPort, code int32, ext protocol.Ext, resp *protocol.Command) {
	if usual[resp.Code] {
		return
	}
	ok, more := j.kinds[uint32(resp.Code)%uint32(len(j.kinds)-1)].allow(time.Now())
	if !ok {
		return
	}
	e := j.l.Warn().Int32("request", code).Int32("code", resp.Code).Stringer("remote", remote).Str("why", cut(resp.Remark))
	named(e, ext, more).Msg("request refused")
}

// slow logs that a handler took long.
func (j *Journal) slow(r *Request, took time.Duration) {
	ok, more := j.kinds[len(j.kinds)-1].allow(time.Now())
	if !ok {
		return
	}
	e := j.l.Warn().Int32("request", r.Cmd.Code).Dur("ms", took).Str("lane", r.route.Lane.Name()).Stringer("remote", r.Conn.Remote())
	named(e, r.Cmd.Ext, more).Msg("request was slow")
}

func named(e *zerolog.Event, ext protocol.Ext, more int64) *zerolog.Event {
	topic, group := names(ext)
	if topic != "" {
		e.Str("topic", cut(topic))
	}
	if group != "" {
		e.Str("group", cut(group))
	}
	if more > 0 {
		e.Int64("notLogged", more) // of this kind, since the last line
	}
	return e
}

// names finds the topic and the group of a request, b and a in SEND_MESSAGE_V2.
func names(ext protocol.Ext) (topic, group string) {
	for _, f := range ext {
		switch f.Key {
		case "topic", "b":
			topic = f.Value
		case "consumerGroup", "producerGroup", "group", "a":
			group = f.Value
		}
	}
	return topic, group
}

// cut bounds what a client can put into the log.
func cut(s string) string { return s[:min(len(s), 300)] }

// limiter lets lineEvery pass, and lineBurst at once behind a pause.
type limiter struct{ next, missed atomic.Int64 }

const (
	lineEvery = int64(time.Second)
	lineBurst = 10
)

// allow reports whether a line may be written, and how many were not since the last.
func (l *limiter) allow(now time.Time) (ok bool, missed int64) {
	for {
		at, t := l.next.Load(), now.UnixNano()
		from := max(at, t-lineBurst*lineEvery)
		if from+lineEvery > t {
			l.missed.Add(1)
			return false, 0
		}
		if l.next.CompareAndSwap(at, from+lineEvery) {
			return true, l.missed.Swap(0)
		}
	}
}
