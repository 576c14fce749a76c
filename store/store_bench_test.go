package store

import (
	"fmt"
	"testing"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// benchOwner hands its group back, so that rounds reuse it.
type benchOwner chan error

func (o benchOwner) Appended(_ *Group, err error) { o <- err }

// BenchmarkAppend stores messages of 1 KiB through the append goroutine, 64 in a group; one operation is
// one message, dispatch to its ConsumeQueue included.
func BenchmarkAppend(b *testing.B) {
	for _, mode := range []string{AsyncFlush, SyncFlush} {
		b.Run(mode, func(b *testing.B) {
			o := DefaultOptions()
			o.StorePathRootDir = b.TempDir()
			o.FlushDiskType = mode
			s := open(b, o)
			done := make(benchOwner, 1)
			g := &Group{Owner: done}
			body := make([]byte, 1024)
			for i := range 64 {
				at := len(g.Buf)
				m := message.Message{Topic: "T", QueueID: int32(i % 4), Body: body}
				g.Buf, _ = message.AppendRecord(g.Buf, &m, "TAGS\x01a\x02")
				g.Recs = append(g.Recs, Rec{Queue: s.Queue("T", int32(i%4)), Size: int32(len(g.Buf) - at)})
			}
			b.SetBytes(1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%64 != 0 {
					continue
				}
				if err := s.Submit(g); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDispatch adds units of one round to their queues; one operation is one message.
func BenchmarkDispatch(b *testing.B) {
	o := DefaultOptions()
	o.StorePathRootDir = b.TempDir()
	s := open(b, o)
	g := &Group{}
	for i := range 64 {
		g.Recs = append(g.Recs, Rec{Queue: s.Queue("T", int32(i%4)), Size: 1024, TagsCode: 1})
	}
	groups := []*Group{g}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%64 == 0 {
			s.publish(groups)
		}
		if i%(1<<16) == 0 {
			s.throttle()
		}
	}
}

// BenchmarkPull reads 32 messages of 1 KiB of one of several interleaved queues; one operation is one pull.
func BenchmarkPull(b *testing.B) {
	for _, queues := range []int32{1, 8} {
		b.Run(fmt.Sprintf("%dqueues", queues), func(b *testing.B) {
			o := DefaultOptions()
			o.StorePathRootDir = b.TempDir()
			s := open(b, o)
			done := make(benchOwner, 1)
			body := make([]byte, 1024)
			const each = 4096
			for i := range int32(each) * queues {
				m := message.Message{Topic: "T", QueueID: i % queues, Body: body}
				buf, _ := message.AppendRecord(nil, &m, "TAGS\x01a\x02")
				if err := s.Submit(&Group{Owner: done, Buf: buf, Recs: []Rec{{Queue: s.Queue("T", i%queues), Size: int32(len(buf))}}}); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			var dst []byte
			var q *consumequeue.Queue
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				q = s.Find("T", int32(i)%queues)
				out, res, err := s.Get(dst[:0], GetRequest{Queue: q, Offset: i / int64(queues) * 32 % (each - 32), MaxMessages: 32})
				if err != nil || res.Messages != 32 {
					b.Fatal(res, err)
				}
				dst = out
			}
		})
	}
}
