package mux_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// conn is a mux.Conn without a socket.
type conn struct {
	sent  chan *protocol.Command
	port  int
	calls mux.Inflight

	mu     sync.Mutex
	closed bool
}

func newConn() *conn { return &conn{sent: make(chan *protocol.Command, 1024), port: 10911} }

// next returns the next command that is written.
func (c *conn) next(t *testing.T) *protocol.Command {
	t.Helper()
	select {
	case cmd := <-c.sent:
		return cmd
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing was written")
		return nil
	}
}

func (c *conn) ID() uint64 { return 1 }

func (c *conn) Remote() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:40001") }

func (c *conn) LocalPort() int { return c.port }

func (c *conn) Write(b *mux.Buffer) {
	cmd := new(protocol.Command)
	if err := frame.Decode(b.Bytes(), cmd); err != nil {
		panic(err)
	}
	c.sent <- cmd.Clone()
	b.Release()
}

func (c *conn) Close(string) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.calls.Close()
}

func (c *conn) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *conn) Congested() bool { return false }

func (c *conn) OnClose(func()) {}

func (c *conn) Calls() *mux.Inflight { return &c.calls }
