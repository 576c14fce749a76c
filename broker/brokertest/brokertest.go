// Package brokertest starts whole brokers for tests: real sockets on free ports, a store in a temporary
// folder, no name server.
package brokertest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Broker is a running broker of a test.
type Broker struct {
	*broker.Broker
	Options broker.Options
	t       testing.TB
}

// Start runs a broker; it ends with the test. Files are small: 1 MiB of commit log, 100 units of queue.
func Start(t testing.TB, change ...func(*broker.Options)) *Broker {
	t.Helper()
	o := broker.DefaultOptions()
	o.Logger = zerolog.Nop()
	o.BrokerName, o.BrokerIP1, o.BrokerIP2, o.BindAddress, o.NamesrvAddr = "broker-t", "127.0.0.1", "127.0.0.1", "127.0.0.1", ""
	o.ListenPort = freePort(t)
	o.Store.StorePathRootDir = t.TempDir()
	o.Store.MappedFileSizeCommitLog = 1 << 20
	o.Store.MappedFileSizeConsumeQueue = 2000
	o.Store.DiskUsage = func(string) (fsys.Disk, error) { return fsys.Disk{Total: 2, Free: 2, Usable: 2}, nil } // not this machine's
	for _, fn := range change {
		fn(&o)
	}
	b := &Broker{Options: o, t: t}
	b.open()
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func (b *Broker) open() {
	b.t.Helper()
	var err error
	b.Broker, err = broker.Open(b.Options)
	require.NoError(b.t, err)
}

// Restart stops the broker cleanly and starts it on the same folder.
func (b *Broker) Restart() {
	b.t.Helper()
	require.NoError(b.t, b.Close())
	b.open()
}

// freePort returns a port that is free together with the one two below it.
func freePort(t testing.TB) int32 {
	t.Helper()
	for range 100 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := a.Addr().(*net.TCPAddr).Port
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port-2))
		_ = a.Close()
		if err == nil {
			_ = b.Close()
			return int32(port)
		}
	}
	t.Fatal("no free port")
	return 0
}

// Client is a connection that speaks the protocol.
type Client struct {
	t      testing.TB
	c      net.Conn
	r      *bufio.Reader
	opaque atomic.Int32
}

// patience bounds how long a test waits for a reply.
const patience = 20 * time.Second

// Dial connects to the broker; fast chooses the second listener.
func (b *Broker) Dial(fast bool) *Client {
	b.t.Helper()
	port := b.Options.ListenPort
	if fast {
		port -= 2
	}
	return dial(b.t, port)
}

// Dial connects to a broker that was not started here.
func Dial(t testing.TB, o broker.Options) *Client { return dial(t, o.ListenPort) }

func dial(t testing.TB, port int32) *Client {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(2*patience)))
	return &Client{t: t, c: c, r: bufio.NewReader(c)}
}

// Close closes the connection.
func (c *Client) Close() { _ = c.c.Close() }

// Send writes a request and returns its opaque.
func (c *Client) Send(cmd *protocol.Command) int32 {
	c.t.Helper()
	cmd.Opaque = c.opaque.Add(1)
	_, err := c.c.Write(frame.Append(nil, cmd))
	require.NoError(c.t, err)
	return cmd.Opaque
}

// Answer writes the response to a request of the broker's.
func (c *Client) Answer(to, resp *protocol.Command) {
	c.t.Helper()
	resp.Opaque = to.Opaque
	resp.Flag |= protocol.FlagResponse
	_, err := c.c.Write(frame.Append(nil, resp))
	require.NoError(c.t, err)
}

// Read returns the next command the broker sends.
func (c *Client) Read() *protocol.Command {
	c.t.Helper()
	pre, err := c.r.Peek(4)
	require.NoError(c.t, err)
	b := make([]byte, 4+binary.BigEndian.Uint32(pre))
	_, err = io.ReadFull(c.r, b)
	require.NoError(c.t, err)
	cmd := &protocol.Command{}
	require.NoError(c.t, frame.Decode(b, cmd))
	return cmd
}

// Call sends a request and returns the reply to it; what else comes meanwhile is passed over.
func (c *Client) Call(cmd *protocol.Command) *protocol.Command {
	c.t.Helper()
	opaque := c.Send(cmd)
	for {
		if resp := c.Read(); resp.Opaque == opaque && resp.IsResponse() {
			return resp
		}
	}
}

// Field returns an ext field of a command, which must be there.
func Field(t testing.TB, cmd *protocol.Command, key string) string {
	t.Helper()
	v, ok := cmd.Ext.Get(key)
	require.True(t, ok, "no field %s in %v", key, cmd.Ext)
	return v
}

// Records takes the body of a pull reply apart.
func Records(t testing.TB, b []byte) []message.Record {
	t.Helper()
	var out []message.Record
	for len(b) > 0 {
		r, err := message.Parse(b, true)
		require.NoError(t, err)
		out = append(out, r)
		b = b[r.Size:]
	}
	return out
}

// SendRequest returns a send of one message, V2 names; more fields replace or add.
func SendRequest(topic string, queueID int, properties, body string, more ...protocol.Field) *protocol.Command {
	ext := protocol.Ext{{Key: "a", Value: "producers"}, {Key: "b", Value: topic}, {Key: "c", Value: "TBW102"}, {Key: "d", Value: "4"},
		{Key: "e", Value: fmt.Sprint(queueID)}, {Key: "f", Value: "0"}, {Key: "g", Value: "1700000000000"}, {Key: "h", Value: "7"},
		{Key: "i", Value: properties}, {Key: "j", Value: "0"}, {Key: "k", Value: "false"}, {Key: "l", Value: "0"}, {Key: "m", Value: "false"}}
	return &protocol.Command{Code: protocol.SendMessageV2, Version: protocol.Version, Ext: with(ext, more), Body: []byte(body)}
}

// PullRequest returns a pull of 32 messages with a tag expression; more fields replace or add.
func PullRequest(topic string, queueID int, offset int64, tags string, more ...protocol.Field) *protocol.Command {
	ext := protocol.Ext{{Key: "consumerGroup", Value: "consumers"}, {Key: "topic", Value: topic}, {Key: "queueId", Value: fmt.Sprint(queueID)},
		{Key: "queueOffset", Value: fmt.Sprint(offset)}, {Key: "maxMsgNums", Value: "32"}, {Key: "sysFlag", Value: "4"}, {Key: "commitOffset", Value: "0"},
		{Key: "suspendTimeoutMillis", Value: "15000"}, {Key: "subscription", Value: tags}, {Key: "subVersion", Value: "0"}, {Key: "expressionType", Value: "TAG"}}
	return &protocol.Command{Code: protocol.PullMessage, Version: protocol.Version, Ext: with(ext, more)}
}

func with(ext protocol.Ext, more []protocol.Field) protocol.Ext {
next:
	for _, m := range more {
		for i := range ext {
			if ext[i].Key == m.Key {
				ext[i].Value = m.Value
				continue next
			}
		}
		ext = append(ext, m)
	}
	return ext
}
