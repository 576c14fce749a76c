package namesrv

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// waiting bounds every wait of the tests.
const waiting = 10 * time.Second

// clients are connections to one name server, one for each name.
type clients struct {
	t    *testing.T
	addr string
	of   map[string]*rpc.Client
}

func newClients(t *testing.T, addr string) *clients {
	t.Helper()
	c := &clients{t: t, addr: addr, of: map[string]*rpc.Client{}}
	t.Cleanup(func() {
		for _, client := range c.of {
			_ = client.Close()
		}
	})
	return c
}

// call sends cmd on from's connection and returns the reply.
func (c *clients) call(from string, cmd *protocol.Command) *protocol.Command {
	c.t.Helper()
	if c.of[from] == nil {
		c.of[from] = rpc.New(rpc.Options{})
	}
	ctx, cancel := context.WithTimeout(context.Background(), waiting)
	defer cancel()
	resp, err := c.of[from].Invoke(ctx, c.addr, cmd)
	require.NoError(c.t, err)
	return resp
}

// ok is call that requires SUCCESS.
func (c *clients) ok(from string, cmd *protocol.Command) *protocol.Command {
	c.t.Helper()
	resp := c.call(from, cmd)
	require.Equal(c.t, protocol.Success, resp.Code, "code %d: %s", resp.Code, resp.Remark)
	return resp
}

// hangUp closes from's connection.
func (c *clients) hangUp(from string) {
	c.t.Helper()
	require.NoError(c.t, c.of[from].Close())
	delete(c.of, from)
}

// freePort returns a port nobody listens on, below those the kernel hands out to outgoing connections.
func freePort(t testing.TB) int32 {
	t.Helper()
	for range 200 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			require.NoError(t, l.Close())
			return int32(port)
		}
	}
	t.Fatal("cannot find a free port")
	return 0
}

// testOptions are options for a server of its own.
func testOptions(t testing.TB) Options {
	t.Helper()
	o := DefaultOptions()
	o.BindAddress, o.ListenPort = "127.0.0.1", freePort(t)
	o.KVConfigPath = filepath.Join(t.TempDir(), "kvConfig.json")
	o.Logger = zerolog.Nop()
	return o
}

// start opens a server that the test's end closes. Another process may take the port in between, so it
// tries several.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Open(o)
	for range 5 {
		if err == nil {
			break
		}
		o.ListenPort = freePort(t)
		s, err = Open(o)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
