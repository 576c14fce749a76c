package namesrv

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// clock is a clock that the test moves.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time           { return time.UnixMilli(1_700_000_000_000 + c.ms.Load()) }
func (c *clock) advance(by time.Duration) { c.ms.Add(by.Milliseconds()) }

// gone waits until a topic has no route any more.
func (c *clients) gone(topic string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.call("client", route(topic)).Code == protocol.TopicNotExist }, waiting, 2*time.Millisecond)
}

func only(name string, topics ...string) registration {
	g := master
	g.name, g.addr, g.topics = name, name+":1", nil
	for _, topic := range append(topics, topics[0]+"-second") { // never one alone
		g.topics = append(g.topics, topicJSON(topic, 1, 6, 0))
	}
	return g
}

func TestSilentBrokersExpire(t *testing.T) {
	t.Parallel()
	var clk clock
	o := testOptions(t)
	o.Now, o.ScanNotActiveBrokerInterval = clk.now, 5
	c := newClients(t, start(t, o).Addr())
	quick := only("quick", "Q")
	quick.ext = []string{"heartbeatTimeoutMillis", "1000"}
	beating, asking, silent := only("beating", "B"), only("asking", "A"), only("silent", "S")
	for _, g := range []registration{quick, beating, asking, silent} {
		c.ok(g.name, g.command())
	}
	clk.advance(900 * time.Millisecond)
	c.ok("quick", request(protocol.BrokerHeartbeat, "", quick.ids()...))
	clk.advance(900 * time.Millisecond)
	c.ok("client", route("Q"))
	clk.advance(200 * time.Millisecond)
	c.gone("Q")
	for range 3 {
		clk.advance(39 * time.Second)
		c.ok("client", route("S"))
		c.ok("beating", request(protocol.BrokerHeartbeat, "", beating.ids()...))
		c.ok("asking", request(protocol.QueryDataVersion, versionJSON(1, 0), asking.ids()...))
	}
	clk.advance(5 * time.Second)
	c.gone("S")
	c.ok("client", route("B"))
	c.ok("client", route("A"))
	c.ok("silent", silent.command()) // it comes back
	c.ok("client", route("S"))
}

// dial opens a bare connection and sends a request on it, whose reply it waits for.
func dial(t *testing.T, addr string, cmd *protocol.Command) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waiting)))
	_, err = conn.Write(frame.Append(nil, cmd))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 4))
	require.NoError(t, err)
	return conn
}

func TestConnectionOfASilentBrokerIsClosed(t *testing.T) {
	t.Parallel()
	var clk clock
	o := testOptions(t)
	o.Now, o.ScanNotActiveBrokerInterval = clk.now, 5
	c := newClients(t, start(t, o).Addr())
	conn := dial(t, c.addr, only("silent", "S").command())
	clk.advance(121 * time.Second)
	_, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	c.gone("S")
}

func TestEndOfAConnectionUnregistersItsBrokersAtOnce(t *testing.T) {
	t.Parallel()
	c := newClients(t, start(t, testOptions(t)).Addr())
	c.ok("x", only("a", "A").command())
	c.ok("x", only("b", "B").command())
	c.ok("y", only("c", "C").command())
	c.hangUp("x")
	c.gone("A")
	c.gone("B")
	c.ok("client", route("C"))
}

func TestEndOfAnEarlierConnectionDoesNotUnregister(t *testing.T) {
	t.Parallel()
	c := newClients(t, start(t, testOptions(t)).Addr())
	c.ok("old", only("a", "A").command())
	c.ok("old", only("sign", "S").command())
	c.ok("new", only("a", "A").command())
	c.hangUp("old")
	c.gone("S")
	c.ok("client", route("A"))
}

func TestRoutesHaveToWaitWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	var clk clock
	o := testOptions(t)
	o.Now, o.NeedWaitForService = clk.now, true
	c := newClients(t, start(t, o).Addr())
	c.ok("m", master.command())
	clk.advance(44 * time.Second)
	resp := c.call("client", route("T1"))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "name server not ready", resp.Remark)
	clk.advance(time.Second)
	c.ok("client", route("T1"))
	c.ok("client", route("T1")) // from the cache
}

// brokerEnd listens as a broker and passes on what it is told.
func brokerEnd(t *testing.T) (addr string, told <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	got, ended := make(chan string, 16), make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			b := make([]byte, frame.PrefixLength)
			if _, err := io.ReadFull(conn, b); err != nil {
				return
			}
			n, err := frame.Length(b)
			if err != nil {
				return
			}
			b = append(b, make([]byte, n-len(b))...)
			if _, err := io.ReadFull(conn, b[frame.PrefixLength:]); err != nil {
				return
			}
			var cmd protocol.Command
			if frame.Decode(b, &cmd) != nil || !cmd.IsOneway() || cmd.Code != protocol.NotifyMinBrokerIDChange {
				return
			}
			var text []string
			for _, f := range cmd.Ext {
				text = append(text, f.Key+"="+f.Value)
			}
			got <- strings.Join(text, " ")
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String(), got
}

func TestBrokersAreToldOfANewSmallestID(t *testing.T) {
	t.Parallel()
	addr0, told0 := brokerEnd(t)
	addr1, told1 := brokerEnd(t)
	addr2, told2 := brokerEnd(t)
	o := testOptions(t)
	o.NotifyMinBrokerIDChanged = true
	c := newClients(t, start(t, o).Addr())
	member := func(id int64, addr string) registration {
		return registration{cluster: "c", name: "b", addr: addr, id: id, topics: two, ext: []string{"enableActingMaster", "true"}}
	}
	c.ok("2", member(2, addr2).command())
	c.ok("1", member(1, addr1).command())
	require.Equal(t, "minBrokerId=1 minBrokerAddr="+addr1+" haBrokerAddr="+addr1+"9", <-told2)
	c.ok("0", member(0, addr0).command())
	want := "minBrokerId=0 minBrokerAddr=" + addr0 + " haBrokerAddr=" + addr0 + "9"
	require.Equal(t, want, <-told1)
	require.Equal(t, want, <-told2)
	c.ok("0", unregister(member(0, addr0)))
	want = "minBrokerId=1 minBrokerAddr=" + addr1 + " offlineBrokerAddr=" + addr0
	require.Equal(t, want, <-told1)
	require.Equal(t, want, <-told2)
	c.hangUp("1")
	require.Equal(t, "minBrokerId=2 minBrokerAddr="+addr2+" offlineBrokerAddr="+addr1, <-told2)
	require.Empty(t, told0)
	require.Empty(t, told1)
}
