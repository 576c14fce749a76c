package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// javaLights is what scripts/golden/java/LmqGolden.java wrote: the messages it gave to Java's store, the log that came
// of them, and physical offset, size and tags code of each unit of the light queues.
type javaLights struct {
	Sent []struct {
		Topic      string
		QueueID    int32
		Properties string
	}
	Queues map[string][][3]int64
	log    []byte
}

func readJavaLights(t *testing.T) javaLights {
	t.Helper()
	var j javaLights
	b, err := os.ReadFile("testdata/lmq.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &j))
	b, err = os.ReadFile("testdata/lmq_log.golden")
	require.NoError(t, err)
	_, digits, _ := strings.Cut(string(b), "\n")
	j.log, err = hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
	require.NoError(t, err)
	return j
}

func lightOptions(t *testing.T) Options {
	o := testOptions(t.TempDir())
	o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue = 64<<10, 2000
	return o
}

func (j *javaLights) check(t *testing.T, s *Store) {
	t.Helper()
	for name, units := range j.Queues {
		q := s.Find(name, 0)
		require.NotNil(t, q, name)
		require.EqualValues(t, len(units), q.Max())
		for at, want := range units {
			u, ok, err := q.At(int64(at))
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, want, [3]int64{u.PhysicalOffset, int64(u.Size), u.TagsCode}, "%s at %d", name, at)
		}
	}
	require.Equal(t, len(j.Queues), s.Lights())
}

func TestRecordsInLightQueuesAreThoseOfJava(t *testing.T) {
	j := readJavaLights(t)
	o := lightOptions(t)
	var now int64
	o.Now = func() time.Time { return time.UnixMilli(now) }
	s := open(t, o)
	host := func(port uint16) message.Host {
		return message.HostOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 2, 3}), port))
	}
	rest := j.log
	for i, sent := range j.Sent {
		now = message.StoreTimestamp(rest)
		rest = rest[message.Size(rest):]
		all := message.ParseProperties(sent.Properties)
		g := &Group{Owner: &sink{}}
		rec := Rec{Queue: s.Queue(sent.Topic, sent.QueueID), TagsCode: message.TagsCode(all.Get(message.PropertyTags))}
		if v := all.Get(message.PropertyMultiDispatch); v != "" && message.AllowsLMQ(sent.Topic) {
			names, err := message.LightQueues(v, sent.Topic)
			require.NoError(t, err)
			all.SetMultiDispatch(names)
			rec.Light = int16(len(names))
			for _, name := range names {
				g.Lights = append(g.Lights, Light{Queue: s.LightQueue(name)})
			}
		}
		m := message.Message{Topic: sent.Topic, QueueID: sent.QueueID, BornTimestamp: 1700000000123, BornHost: host(54321), StoreHost: host(10911), Body: fmt.Append(nil, "body ", i)}
		text := all.String()
		if rec.Light == 0 { // the order of its properties is that of its client here
			r, err := message.Parse(j.log[s.log.End():], true)
			require.NoError(t, err)
			text = r.Properties
		}
		var err error
		g.Buf, err = message.AppendRecord(nil, &m, text)
		require.NoError(t, err)
		rec.Size = int32(len(g.Buf))
		g.Recs = []Rec{rec}
		put(t, s, g)
		at := g.Recs[0].PhysicalOffset
		got, err := s.ReadRecord(at)
		require.NoError(t, err)
		require.Equal(t, string(j.log[at:at+int64(message.Size(j.log[at:]))]), string(got), "message %d", i)
	}
	require.EqualValues(t, len(j.log), s.log.End())
	j.check(t, s)
	require.NoError(t, s.Close())
	j.check(t, open(t, o))
}

// TestLightQueuesAreBuiltFromALogOfJava also shows that a copy for a retry or dead letter, whose properties still name
// the light queues, is in none.
func TestLightQueuesAreBuiltFromALogOfJava(t *testing.T) {
	j := readJavaLights(t)
	o := lightOptions(t)
	path := filepath.Join(o.StorePathRootDir, "commitlog", fmt.Sprintf("%020d", 0))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, append(j.log, make([]byte, 64<<10-len(j.log))...), 0o644))
	s := open(t, o)
	j.check(t, s)
	require.NoError(t, s.Close())

	// One that is gone is built anew, the others stay.
	require.NoError(t, os.RemoveAll(filepath.Join(o.StorePathRootDir, "consumequeue", "%LMQ%x")))
	require.NoError(t, os.WriteFile(filepath.Join(o.StorePathRootDir, "abort"), nil, 0o644))
	require.NoError(t, os.Remove(filepath.Join(o.StorePathRootDir, "checkpoint")))
	s = open(t, o)
	j.check(t, s)
	// The offsets go on.
	require.EqualValues(t, len(j.Queues["%LMQ%x"]), s.LightQueue("%LMQ%x").Next)
}

// TestListenerIsToldOfLightQueues: a pull waits at a light queue, another one at none.
func TestListenerIsToldOfLightQueues(t *testing.T) {
	o := lightOptions(t)
	type told struct {
		topic  string
		at     int64
		record []byte
	}
	var got []told
	o.BatchTopic = batchTopic
	o.Listener = func(q *consumequeue.Queue, at, _ int64, record []byte) {
		got = append(got, told{q.Topic, at, bytes.Clone(record)})
	}
	s := open(t, o)
	s.LightQueue(ly).Waiters.Add(1)
	ta := newTally()
	require.NoError(t, ta.put(s, part{key: qe, sizes: []int{5, 5, 5}}, part{key: qa, sizes: []int{10, 20}, light: []string{lx, ly}}, part{key: qb, sizes: []int{5}}, part{key: qb, sizes: []int{7}, light: []string{ly}}))
	require.NoError(t, s.Close())
	require.Len(t, got, 3)
	for i, w := range got {
		require.Equal(t, ly, w.topic)
		require.EqualValues(t, i, w.at)
		r, err := message.Parse(w.record, true)
		require.NoError(t, err)
		require.Contains(t, string(r.Body), fmt.Sprintf("%s/0/0/%d|", ly, i))
	}
}

// TestRetentionOfLightQueues: they follow the log as other queues do, and one whose messages are all gone goes on
// where it was.
func TestRetentionOfLightQueues(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.MaxStoreBytes = 2 * o.MappedFileSizeCommitLog
	s := w.open(t, o)
	ta := newTally()
	send := func(n int, light ...string) {
		t.Helper()
		for range n {
			require.NoError(t, ta.put(s, part{key: qa, sizes: []int{200}, light: light}))
		}
	}
	send(10, lx, ly)
	send(290, lx)
	s = w.reopened(t, s, o)
	w.now.Add(time.Hour.Milliseconds())
	for range 10 {
		step(t, s)
	}
	require.Equal(t, 2, logFiles(t, o))
	for range 2 {
		requireTight(t, s, lx, 0)
		x, y := s.Find(lx, 0), s.Find(ly, 0)
		require.Greater(t, x.Min(), int64(50), "the test needs a queue file to go")
		require.EqualValues(t, 300, x.Max())
		require.Equal(t, [2]int64{10, 10}, [2]int64{y.Min(), y.Max()})
		require.Equal(t, OffsetTooSmall, get(t, s, GetRequest{Queue: x, Offset: 0, MaxMessages: 1}).Status)
		b, res, err := s.Get(nil, GetRequest{Queue: x, Offset: x.Min(), MaxMessages: 32})
		require.NoError(t, err)
		require.Equal(t, Found, res.Status)
		r, err := message.Parse(b, true)
		require.NoError(t, err)
		at, ok := r.LightOffset(lx)
		require.True(t, ok)
		require.Equal(t, x.Min(), at)
		require.NoError(t, s.Close())
		require.NoError(t, os.WriteFile(filepath.Join(o.StorePathRootDir, "abort"), nil, 0o644)) // as behind a crash
		s = w.open(t, o)
	}
	send(1, lx, ly)
	require.EqualValues(t, 301, s.Find(lx, 0).Max())
	require.EqualValues(t, 11, s.Find(ly, 0).Max())
	require.Equal(t, 2, s.Lights())
}
