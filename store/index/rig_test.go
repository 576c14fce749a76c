package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

// testLog stands for the CommitLog: records with offsets and properties, and what should be found of them.
type testLog struct {
	mu      sync.Mutex
	recs    []message.Record
	keys    map[int64][]string // by offset
	end     int64
	min     int64
	now     int64 // whole seconds apart, which is as fine as a file tells times
	scanErr error
	scans   int
}

func newLog() *testLog { return &testLog{keys: map[int64][]string{}, now: 1_700_000_000_000} }

func (l *testLog) add(topic string, properties ...string) *message.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := message.Record{Message: message.Message{Topic: topic}, Size: 100 + len(l.recs)%7, PhysicalOffset: l.end, StoreTimestamp: l.now}
	for i := 0; i < len(properties); i += 2 {
		r.Properties = string(message.AppendProperty([]byte(r.Properties), properties[i], properties[i+1]))
	}
	keys := strings.Fields(message.GetProperty(r.Properties, message.PropertyKeys))
	keys = append(keys, message.GetProperty(r.Properties, message.PropertyUniqKey), TagKey(message.GetProperty(r.Properties, message.PropertyTags)))
	l.keys[l.end] = keys
	l.recs = append(l.recs, r)
	l.end += int64(r.Size)
	return &l.recs[len(l.recs)-1]
}

// message adds a record with a unique key and, by chance, others, or none at all.
func (l *testLog) message(rnd *rand.Rand) *message.Record {
	l.now += rnd.Int64N(3) * 1000
	i := len(l.recs)
	var p []string
	if rnd.IntN(5) > 0 {
		p = append(p, message.PropertyUniqKey, fmt.Sprint("u", i))
	}
	if rnd.IntN(2) > 0 {
		p = append(p, message.PropertyKeys, strings.Repeat("all ", rnd.IntN(3))+fmt.Sprint("k", rnd.IntN(10)))
	}
	if rnd.IntN(3) > 0 {
		p = append(p, message.PropertyTags, fmt.Sprint("t", rnd.IntN(3)))
	}
	return l.add([]string{"A", "B"}[rnd.IntN(2)], p...)
}

// cut takes away the records from i on, as a power cut does.
func (l *testLog) cut(i int) {
	l.end = l.recs[i].PhysicalOffset
	l.recs = slices.Clone(l.recs[:i])
}

func (l *testLog) scan(from int64, fn func(r *message.Record) bool) (int64, error) {
	l.mu.Lock()
	l.scans++
	recs, err := l.recs, l.scanErr
	l.mu.Unlock()
	if err != nil {
		return from, err
	}
	i, ok := slices.BinarySearchFunc(recs, from, func(r message.Record, at int64) int { return int(r.PhysicalOffset - at) })
	if !ok {
		return from, nil
	}
	for ; i < len(recs); i++ {
		from = recs[i].PhysicalOffset + int64(recs[i].Size)
		if !fn(&recs[i]) {
			break
		}
	}
	return from, nil
}

// want returns what Query must find.
func (l *testLog) want(topic, key string, most int, begin, end, before int64) []int64 {
	var out []int64
	for i := len(l.recs) - 1; i >= 0 && len(out) < most; i-- {
		r := &l.recs[i]
		if r.Topic != topic || r.StoreTimestamp < begin || r.StoreTimestamp > end || before > 0 && r.PhysicalOffset >= before {
			continue
		}
		if slices.Contains(l.keys[r.PhysicalOffset], key) {
			out = append(out, r.PhysicalOffset)
		}
	}
	return out
}

// rig is an index over a testLog.
type rig struct {
	t   testing.TB
	log *testLog
	o   Options
	fs  *faulty
	x   *Index
	rnd *rand.Rand
}

func newRig(t testing.TB) *rig {
	l, fs := newLog(), &faulty{}
	return &rig{t: t, log: l, fs: fs, rnd: rand.New(rand.NewPCG(1, 2)), o: Options{
		FS:  fs,
		Dir: filepath.Join(t.TempDir(), "index"), Slots: 31, Entries: 50, Logger: zerolog.Nop(),
		Scan: l.scan, Min: func() int64 { return l.min }, Max: func() int64 { return l.end },
	}}
}

func (r *rig) open(clean bool) {
	r.t.Helper()
	x, err := Open(r.o, clean, 0)
	require.NoError(r.t, err)
	r.use(x)
}

func (r *rig) use(x *Index) {
	if x.writeAt == writeAt {
		x.maxPending, x.writeAt = 64, 16
	}
	x.writeEvery = time.Hour
	r.x = x
	r.t.Cleanup(func() { _ = x.Close() })
	x.Start()
}

// put adds n messages to the log and tells the index.
func (r *rig) put(n int) {
	for range n {
		r.tell(r.log.message(r.rnd))
	}
}

func (r *rig) tell(m *message.Record) {
	r.x.Put(m.PhysicalOffset, m.PhysicalOffset+int64(m.Size), m.StoreTimestamp, AppendRecordHashes(nil, m))
}

// settle has the builder write all it was told.
func (r *rig) settle() error {
	reply := make(chan error)
	select {
	case r.x.ask <- reply:
		return <-reply
	case <-r.x.done:
		return ErrClosed
	}
}

// check compares all answers with the log.
func (r *rig) check() {
	r.t.Helper()
	keys := []string{"all", TagKey("t0"), TagKey("t2"), "none"}
	for i := range 10 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	for i := range r.log.recs {
		keys = append(keys, fmt.Sprint("u", i))
	}
	for _, key := range keys {
		r.find("A", key, 1000, 0, math.MaxInt64, 0)
		r.find("B", key, 1000, 0, math.MaxInt64, 0)
	}
	for range 50 {
		begin := r.log.now - r.rnd.Int64N(300)*1000
		r.find("A", keys[r.rnd.IntN(len(keys))], 1+r.rnd.IntN(5), begin, begin+r.rnd.Int64N(100)*1000, r.rnd.Int64N(r.log.end+1))
	}
}

func (r *rig) find(topic, key string, most int, begin, end, before int64) {
	r.t.Helper()
	got, err := r.x.Query(topic, key, most, begin, end, before)
	require.NoError(r.t, err)
	want := r.log.want(topic, key, most, begin, end, before)
	if slices.Equal(want, got) {
		return // formatting would be most of the test's work
	}
	require.Equal(r.t, want, got, "%s#%s, %d from %d to %d, before %d", topic, key, most, begin, end, before)
}

// kill leaves the index as a process that dies does, and continues with a copy of the folder.
func (r *rig) kill() {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "index")
	if _, err := os.Stat(r.o.Dir); err == nil {
		require.NoError(r.t, os.CopyFS(dir, os.DirFS(r.o.Dir)))
	}
	r.o.Dir = dir
}

func (r *rig) names() []string {
	list, err := os.ReadDir(r.o.Dir)
	require.NoError(r.t, err)
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

var errDead = errors.New("the process is dead")
