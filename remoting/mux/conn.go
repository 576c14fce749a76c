package mux

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Conn is one connection of a peer, whatever engine carries it. All methods are safe from any goroutine.
type Conn interface {
	// ID tells connections of one process apart; it is never used twice.
	ID() uint64
	// Remote is the peer's address. It stays known after the connection is closed.
	Remote() netip.AddrPort
	// LocalPort is the port of the listener that accepted the connection.
	LocalPort() int
	// Write queues an encoded frame, or several, and takes ownership of b, which is recycled once it is
	// sent. It never blocks. What is written to a closed connection is dropped. A peer that does not read
	// and lets its backlog grow over the limit is closed.
	Write(b *Buffer)
	// Close closes the connection; reason is logged.
	Close(reason string)
	// Closed reports whether the connection is closed: work for it may be left undone.
	Closed() bool
	// Congested reports that the peer does not keep up with reading: who can make large replies later should.
	Congested() bool
	// OnClose registers fn, called once when the connection is closed, from the engine's goroutine; it
	// must not block. On a connection that is closed already it is called at once.
	OnClose(fn func())
	// Calls are the requests this server has sent on the connection and that are not answered yet.
	Calls() *Inflight
}

// Buffer is a pooled byte slice. What stands in front of Skip is not part of its content: a reply whose
// header is known only after its body leaves room there.
type Buffer struct {
	B    []byte
	Skip int
}

// Bytes returns the content.
func (b *Buffer) Bytes() []byte { return b.B[b.Skip:] }

// bufferClasses are the capacities that are pooled; what is larger is left to the garbage collector.
var bufferClasses = [...]int{1 << 10, 8 << 10, 64 << 10, 320 << 10}

var bufferPools [len(bufferClasses)]sync.Pool

// NewBuffer returns an empty buffer with room for at least n bytes.
func NewBuffer(n int) *Buffer {
	for i, c := range bufferClasses {
		if n <= c {
			if b, ok := bufferPools[i].Get().(*Buffer); ok {
				return b
			}
			return &Buffer{B: make([]byte, 0, c)}
		}
	}
	return &Buffer{B: make([]byte, 0, n)}
}

// Release gives the buffer back; it must not be used afterwards.
func (b *Buffer) Release() {
	c := cap(b.B)
	if c > 2*bufferClasses[len(bufferClasses)-1] {
		return
	}
	for i := len(bufferClasses) - 1; i >= 0; i-- {
		if c >= bufferClasses[i] {
			b.B, b.Skip = b.B[:0], 0
			bufferPools[i].Put(b)
			return
		}
	}
}

// Inflight holds the requests sent to one peer until they are answered, their deadline passes or the
// connection closes. The zero value is ready.
type Inflight struct {
	mu     sync.Mutex
	next   int32
	calls  map[int32]chan *protocol.Command
	closed bool
}

// Begin reserves an opaque and returns it with the channel on which the answer comes; the channel is
// closed without an answer when the connection closes. End must be called with the opaque.
func (f *Inflight) Begin() (int32, <-chan *protocol.Command) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan *protocol.Command, 1)
	f.next++
	if f.closed {
		close(ch)
		return f.next, ch
	}
	if f.calls == nil {
		f.calls = map[int32]chan *protocol.Command{}
	}
	f.calls[f.next] = ch
	return f.next, ch
}

// End forgets a call.
func (f *Inflight) End(opaque int32) {
	f.mu.Lock()
	delete(f.calls, opaque)
	f.mu.Unlock()
}

// Answer hands resp, which the caller gives away, to its call. It reports whether one was waiting.
func (f *Inflight) Answer(resp *protocol.Command) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch, ok := f.calls[resp.Opaque]
	if ok {
		delete(f.calls, resp.Opaque)
		ch <- resp
	}
	return ok
}

// Waiting reports whether any call waits for an answer.
func (f *Inflight) Waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls) > 0
}

// Close ends all calls, now and later.
func (f *Inflight) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, ch := range f.calls {
		close(ch)
	}
	f.calls = nil
}

// Call sends req on c and waits for the answer. The error is context's, or ErrClosed.
func Call(ctx context.Context, c Conn, req *protocol.Command, timeout time.Duration) (*protocol.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	opaque, answer := c.Calls().Begin()
	defer c.Calls().End(opaque)
	req.Opaque = opaque
	Send(c, req)
	select {
	case resp, ok := <-answer:
		if !ok {
			return nil, ErrClosed
		}
		return resp, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
