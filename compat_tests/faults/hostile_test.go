package faults

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const (
	// rssLimit bounds the broker's anonymous memory under every attack, in bytes.
	rssLimit = 300 << 20
	// unknownCode is a request code that no release has used.
	unknownCode = 31337
)

// attack is one hostile behaviour against the broker's address. It closes what it opens.
type attack struct {
	name string
	run  func(t *testing.T, addr string)
}

// TestHostilePeersDoNotDisturbOthers runs one attack after another while a well-behaved client sends
// and pulls; it must see no error, and the broker's memory stays bounded.
func TestHostilePeersDoNotDisturbOthers(t *testing.T) {
	c := cluster.Standalone(t, "mappedFileSizeCommitLog=16777216")
	c.Broker.CreateTopic(t, "GOOD", 1)
	c.Broker.CreateTopic(t, "BULK", 1)
	fillBulk(t, c.Broker.Addr())
	attacks := []attack{
		{"garbage bytes", garbage},
		{"half frames", halfFrames},
		{"impossible lengths", impossibleLengths},
		{"long frames that never come", longFrames},
		{"unknown serialize type", unknownSerializeType},
		{"broken headers", brokenHeaders},
		{"unknown request code", unknownRequestCode},
		{"replies nobody asked for", strayReplies},
		{"body over the limit", hugeMessage},
		{"held pulls whose peer goes", goneHeldPulls},
		{"many connections", manyConnections},
		{"pulls that are never read", deafPuller}, // last: memory that it took would count for the others
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			g := behave(t, c.Broker.Addr())
			a.run(t, c.Broker.Addr())
			g.stop(t)
			checkMemory(t, c.Broker)
		})
	}
	require.True(t, c.Broker.Running())
}

// behaved is a client that does nothing wrong and expects the same.
type behaved struct {
	quit chan struct{}
	done chan struct{}
	c    *client

	mu     sync.Mutex
	rounds int
	err    error
}

func behave(t *testing.T, addr string) *behaved {
	t.Helper()
	c, err := dial(addr)
	require.NoError(t, err)
	g := &behaved{quit: make(chan struct{}), done: make(chan struct{}), c: c}
	go func() {
		defer close(g.done)
		for i := 0; ; i++ {
			select {
			case <-g.quit:
				return
			case <-time.After(time.Millisecond): // a polite pace
			}
			err := g.once(i)
			g.mu.Lock()
			g.rounds, g.err = i+1, err
			g.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	g.progress(t, 1)
	return g
}

// once sends a message and reads it back.
func (g *behaved) once(i int) error {
	body := bodyOf("good-" + strconv.Itoa(i))
	offset, err := g.c.send("GOOD", 0, body)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	recs, err := g.c.pull("GOOD", 0, offset)
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	if len(recs) == 0 { // acknowledged, but the consume queue is a moment behind
		return g.again(offset, body)
	}
	return same(recs, offset, body)
}

func (g *behaved) again(offset int64, body []byte) error {
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		recs, err := g.c.pull("GOOD", 0, offset)
		if err != nil {
			return fmt.Errorf("pull: %w", err)
		}
		if len(recs) > 0 {
			return same(recs, offset, body)
		}
	}
	return fmt.Errorf("message at %d not readable within 5 s", offset)
}

func same(recs []record, offset int64, body []byte) error {
	if recs[0].queueOffset != offset || !bytes.Equal(recs[0].body, body) {
		return fmt.Errorf("pull at %d gives another message (offset %d)", offset, recs[0].queueOffset)
	}
	return nil
}

// progress waits for n more rounds.
func (g *behaved) progress(t *testing.T, n int) {
	t.Helper()
	g.mu.Lock()
	want := g.rounds + n
	g.mu.Unlock()
	require.Eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.rounds >= want || g.err != nil
	}, 20*time.Second, 5*time.Millisecond, "the well-behaved client stands still")
}

func (g *behaved) stop(t *testing.T) {
	t.Helper()
	g.progress(t, 20)
	close(g.quit)
	<-g.done
	g.c.close()
	require.NoError(t, g.err, "the well-behaved client was disturbed")
}

// anonMemory reads RssAnon, in bytes.
func anonMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return kb << 10
		}
	}
	t.Fatalf("no RssAnon in /proc/%d/status", pid)
	return 0
}

func checkMemory(t *testing.T, b *cluster.Server) {
	t.Helper()
	used := anonMemory(t, b.PID())
	t.Logf("RssAnon %d MB", used>>20)
	if !cluster.PeerIsJava() { // a JVM's heap is sized by its flags
		require.Less(t, used, rssLimit, "the broker's memory grew to %d MB", used>>20)
	}
}

// open dials n connections; the test's end closes them at the latest.
func open(t *testing.T, addr string, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.DialTimeout("tcp", addr, callTimeout)
		require.NoError(t, err, "connection %d of %d", i, n)
		t.Cleanup(func() { conn.Close() })
		conns[i] = conn
	}
	return conns
}

// write sends bytes; the broker may close the connection meanwhile.
func write(conn net.Conn, b []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(callTimeout))
	_, err := conn.Write(b)
	return err
}

// requireClosed waits until the broker closes the connection, whatever it says before.
func requireClosed(t *testing.T, conn net.Conn, why string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(callTimeout))
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "%s: connection stays open", why)
}

func garbage(t *testing.T, addr string) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, conn := range open(t, addr, 50) {
		b := make([]byte, 1+rng.IntN(16<<10))
		for i := range b {
			b[i] = byte(rng.UintN(256))
		}
		_ = write(conn, b) // the broker may have closed it after the first bytes
	}
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: broker\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "PROXY TCP4 x y z\r\n", "\r\n\r\n\x00\r\nQUIT\n"} {
		_ = write(open(t, addr, 1)[0], []byte(text))
	}
}

func pullFrame() []byte {
	return encode(header{Code: codePull, Opaque: 1, ExtFields: pullExt("BULK", 0, 0)}, nil)
}

func halfFrames(t *testing.T, addr string) {
	frame := pullFrame()
	for i, conn := range open(t, addr, 100) {
		require.NoError(t, write(conn, frame[:1+i%(len(frame)-1)]))
		if i%2 == 0 {
			require.NoError(t, conn.Close())
		}
	}
}

func impossibleLengths(t *testing.T, addr string) {
	for _, total := range []uint32{0x7fffffff, 0xffffffff, 0x80000000, 16<<20 + 1} {
		conn := open(t, addr, 1)[0]
		frame := binary.BigEndian.AppendUint32(nil, total)
		frame = binary.BigEndian.AppendUint32(frame, 100)
		require.NoError(t, write(conn, append(frame, make([]byte, 100)...)))
		requireClosed(t, conn, fmt.Sprintf("length %#x", total))
	}
	for _, lens := range [][2]uint32{{0, 0}, {1, 0}, {3, 0}, {4, 1}, {100, 0xffffff}, {100, 97}} {
		conn := open(t, addr, 1)[0]
		frame := binary.BigEndian.AppendUint32(nil, lens[0])
		frame = binary.BigEndian.AppendUint32(frame, lens[1])
		_ = write(conn, append(frame, make([]byte, 200)...)) // closed or not: Java differs by case
	}
}

// longFrames announces frames just under the limit and sends little of them: a broker that reserves
// what is announced would need 1.6 GB.
func longFrames(t *testing.T, addr string) {
	for _, conn := range open(t, addr, 100) {
		frame := binary.BigEndian.AppendUint32(nil, 16<<20-8)
		frame = binary.BigEndian.AppendUint32(frame, 100)
		require.NoError(t, write(conn, append(frame, make([]byte, 1000)...)))
	}
}

func unknownSerializeType(t *testing.T, addr string) {
	for _, kind := range []byte{2, 7, 0x7f, 0xff} {
		frame := pullFrame()
		frame[4] = kind
		conn := open(t, addr, 1)[0]
		require.NoError(t, write(conn, frame))
		requireClosed(t, conn, fmt.Sprintf("serialize type %d", kind))
	}
}

func brokenHeaders(t *testing.T, addr string) {
	deep := strings.Repeat(`{"extFields":`, 100_000)
	for _, head := range []string{"", "{", "null", "[]", `"x"`, "{}", `{"code":"x"}`, `{"code":1e99}`, `{"code":11,"extFields":7}`,
		`{"code":310,"extFields":{}}`, `{"code":310,"extFields":{"e":"99999999999999999999"}}`, `{"code":310,"extFields":{"b":"GOOD","e":"-5"}}`,
		`{"code":11,"extFields":{"topic":"GOOD","queueId":"-1","queueOffset":"-9223372036854775808"}}`,
		`{"code":34}`, `{"code":105}`, `{"code":41}`, `{"code":15}`, "\x00\xff\xfe", strings.Repeat("[", 100_000), deep} {
		for _, kind := range []uint32{0, 1} { // JSON; binary, where the same bytes are lengths
			frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(head)))
			frame = binary.BigEndian.AppendUint32(frame, kind<<24|uint32(len(head)))
			_ = write(open(t, addr, 1)[0], append(frame, head...))
		}
	}
}

func unknownRequestCode(t *testing.T, addr string) {
	c, err := dial(addr)
	require.NoError(t, err)
	defer c.close()
	for _, code := range []int{unknownCode, -1, 0} {
		r, err := c.call(code, map[string]string{"x": "y"}, []byte("body"))
		require.NoError(t, err, "code %d", code)
		require.Equal(t, respUnknownCode, r.Code, "code %d: %s", code, r.Remark)
	}
	_, err = c.maxOffset("GOOD", 0)
	require.NoError(t, err, "the connection goes on")
}

func strayReplies(t *testing.T, addr string) {
	c, err := dial(addr)
	require.NoError(t, err)
	defer c.close()
	for i := range 2000 {
		require.NoError(t, write(c.conn, encode(header{Code: 0, Flag: flagReply, Opaque: i * 7}, []byte("{}"))))
	}
	_, err = c.maxOffset("GOOD", 0)
	require.NoError(t, err)
}

func hugeMessage(t *testing.T, addr string) {
	c, err := dial(addr)
	require.NoError(t, err)
	defer c.close()
	for range 4 {
		_, err = c.send("GOOD", 0, make([]byte, 5<<20)) // maxMessageSize is 4 MB
		require.ErrorAs(t, err, new(refusal))
	}
	_, err = c.maxOffset("GOOD", 0)
	require.NoError(t, err)
}

// fillBulk stores enough that one pull returns about 256 KB.
func fillBulk(t *testing.T, addr string) {
	t.Helper()
	c, err := dial(addr)
	require.NoError(t, err)
	defer c.close()
	for range 64 {
		_, err := c.send("BULK", 0, make([]byte, 8<<10))
		require.NoError(t, err)
	}
}

// deafPuller asks for 2.5 GB of answers and reads none of them.
func deafPuller(t *testing.T, addr string) {
	if cluster.PeerIsJava() {
		t.Skip("the Java broker queues all answers and stops serving anybody")
	}
	frame := pullFrame()
	conns := open(t, addr, 10)
	var all sync.WaitGroup
	for _, conn := range conns {
		all.Add(1)
		go func() {
			defer all.Done()
			_ = conn.SetWriteDeadline(time.Now().Add(3 * time.Second))
			for range 1000 {
				if _, err := conn.Write(frame); err != nil {
					return // closed, or the broker has stopped to read: both are right
				}
			}
		}()
	}
	all.Wait()
	g := behave(t, addr)
	g.progress(t, 200)
	g.stop(t)
}

// goneHeldPulls leaves thousands of pulls at the broker that wait for messages, and goes.
func goneHeldPulls(t *testing.T, addr string) {
	c, err := dial(addr)
	require.NoError(t, err)
	end, err := c.maxOffset("BULK", 0)
	require.NoError(t, err)
	c.close()
	ext := pullExt("BULK", 0, end)
	ext["sysFlag"], ext["suspendTimeoutMillis"] = "6", "15000" // 2: hold, 4: subscription inside
	for _, conn := range open(t, addr, 20) {
		out := bufio.NewWriter(conn)
		for i := range 200 {
			_, err := out.Write(encode(header{Code: codePull, Opaque: i, ExtFields: ext}, nil))
			require.NoError(t, err)
		}
		require.NoError(t, out.Flush())
		require.NoError(t, conn.Close())
	}
	c, err = dial(addr)
	require.NoError(t, err)
	defer c.close()
	_, err = c.send("BULK", 0, []byte("wakes them"))
	require.NoError(t, err)
}

func manyConnections(t *testing.T, addr string) {
	conns := open(t, addr, 800)
	for _, conn := range conns[:400] {
		require.NoError(t, write(conn, pullFrame()[:6]))
	}
	g := behave(t, addr)
	g.progress(t, 100)
	g.stop(t)
}
