package timer

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// begin is the time at which tests begin, ms; a multiple of the precision.
const begin = 1_700_000_000_000

const root, realTopic = "/data/store", "T"

// rig is a store with a timer whose clock the test sets and whose turns it takes.
type rig struct {
	t     testing.TB
	fs    fsys.FS
	now   *atomic.Int64 // ms
	store *store.Store
	timer *Timer
	o     Options
}

func newDisk(t testing.TB) *simfs.Disk {
	d := simfs.New()
	require.NoError(t, d.MkdirAll(filepath.Dir(root)))
	require.NoError(t, d.SyncDir("/"))
	return d
}

// newRig returns a rig on a disk; its clock begins at now.
func newRig(t testing.TB, fs fsys.FS, now int64, change func(o *Options)) *rig {
	r := &rig{t: t, fs: fs, now: &atomic.Int64{}}
	r.now.Store(now)
	r.o = Options{Logger: zerolog.Nop(), Precision: 1000, RollWindow: 20, LogFileSize: 600, Slots: 256, FlushInterval: time.Second,
		Put: r.put, Now: func() time.Time { return time.UnixMilli(r.now.Load()) }}
	if change != nil {
		change(&r.o)
	}
	return r
}

func (r *rig) open() error {
	so := store.DefaultOptions()
	so.StorePathRootDir, so.FS, so.FlushDiskType, so.Now = root, r.fs, store.SyncFlush, r.o.Now
	so.MappedFileSizeCommitLog, so.MappedFileSizeConsumeQueue, so.MessageIndexEnable = 64<<10, 2000, false
	so.FlushIntervalConsumeQueue = 1 << 30
	so.CacheBytes = 1 << 16
	so.CleanResourceInterval, so.DiskUsage = 1<<30, func(string) (fsys.Disk, error) { return fsys.Disk{Total: 1 << 40, Free: 1 << 40, Usable: 1 << 40}, nil }
	so.FileReservedTime = 1 << 20
	var err error
	if r.store, err = store.Open(so); err != nil {
		return err
	}
	o := r.o
	o.Store = r.store
	if r.timer, err = load(o); err != nil {
		return err
	}
	close(r.timer.done) // no goroutine: the test takes the turns
	return nil
}

func (r *rig) close() error {
	if r.timer != nil {
		if err := r.timer.Close(); err != nil {
			return err
		}
	}
	return r.store.Close()
}

type owner struct {
	done func(err error, recs []store.Rec)
}

// Appended implements store.Owner.
func (o owner) Appended(g *store.Group, err error) { o.done(err, g.Recs) }

func (r *rig) put(m *message.Message, properties string, rec store.Rec, done func(err error, recs []store.Rec)) error {
	b, err := message.AppendRecord(nil, m, properties)
	if err != nil {
		return err
	}
	rec.Queue, rec.Size = r.store.Queue(m.Topic, m.QueueID), int32(len(b))
	return r.store.Submit(&store.Group{Buf: b, Recs: []store.Rec{rec}, Owner: owner{done}})
}

// send stores a message as sending does, to be delivered at a time; more are further properties. It waits for
// the acknowledgement.
func (r *rig) send(key string, at int64, more ...string) error {
	p := message.Properties{{Name: message.PropertyUniqKey, Value: key}, {Name: message.PropertyTags, Value: "tag"},
		{Name: message.PropertyTimerOutMs, Value: strconv.FormatInt((at-1)/1000*1000, 10)}, {Name: message.PropertyRealTopic, Value: realTopic},
		{Name: message.PropertyRealQueueID, Value: "0"}, {Name: message.PropertyTimerDeliverMs, Value: strconv.FormatInt(at, 10)}}
	for i := 0; i < len(more); i += 2 {
		p.Set(more[i], more[i+1])
	}
	acked := make(chan error, 1)
	m := message.Message{Topic: Topic, Body: []byte(key), BornTimestamp: r.now.Load()}
	err := r.put(&m, p.String(), store.Rec{TagsCode: message.TagsCode("tag")}, func(err error, _ []store.Rec) { acked <- err })
	if err != nil {
		return err
	}
	return <-acked
}

// recall stores what keeps a message from being delivered.
func (r *rig) recall(key string, at int64) error {
	return r.send(key, at, message.PropertyTimerDelUniqKey, key)
}

// turns takes turns until the timer has nothing to do.
func (r *rig) turns() error {
	for {
		wait, err := r.timer.turn()
		if err != nil || wait > 0 {
			return err
		}
	}
}

// pass lets time go by, a tick at a time.
func (r *rig) pass(until int64) error {
	for r.now.Load() < until {
		if err := r.turns(); err != nil {
			return err
		}
		r.now.Add(500)
	}
	return r.turns()
}

// delivered returns the records in the real topic.
func (r *rig) delivered() (out []message.Record, err error) {
	q := r.store.Find(realTopic, 0)
	if q == nil {
		return nil, nil
	}
	for n := q.Min(); n < q.Max(); n++ {
		u, _, err := q.At(n)
		if err != nil {
			return nil, err
		}
		rec, err := r.store.Record(u.PhysicalOffset)
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// tally is what was acknowledged: messages by key with the time they are due, ms.
type tally struct {
	mu      sync.Mutex
	due     map[string]int64
	deleted map[string]int64 // when that was acknowledged; 0: it was not
}

func newTally() *tally { return &tally{due: map[string]int64{}, deleted: map[string]int64{}} }

func (t *tally) clone() *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &tally{due: maps.Clone(t.due), deleted: maps.Clone(t.deleted)}
}

// check holds what was delivered against the tally; due messages must be there. copies is how often one message
// may have been delivered.
func (t *tally) check(recs []message.Record, now int64, copies int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[string]int{}
	for _, r := range recs {
		key := string(r.Body)
		at, _ := strconv.ParseInt(message.GetProperty(r.Properties, message.PropertyTimerDeliverMs), 10, 64)
		if r.StoreTimestamp < at {
			return fmt.Errorf("%s is due at %d and was delivered at %d", key, at, r.StoreTimestamp)
		}
		if by := t.deleted[key]; by > 0 && by < at-1000 {
			return fmt.Errorf("%s was deleted and delivered", key)
		}
		if seen[key]++; seen[key] > copies {
			return fmt.Errorf("%s was delivered %d times", key, seen[key])
		}
	}
	for key, at := range t.due {
		if _, gone := t.deleted[key]; !gone && at+1000 <= now && seen[key] == 0 {
			return fmt.Errorf("%s is due since %d and was not delivered", key, now-at)
		}
	}
	return nil
}

// script sends messages for near and far, late ones, and recalls, while time goes by; each step is entered into
// the tally when it is acknowledged.
func (r *rig) script(t *tally) error {
	n := 0
	send := func(in int64) error {
		key, at := "k"+strconv.Itoa(n), r.now.Load()+in
		n++
		if err := r.send(key, at); err != nil {
			return err
		}
		t.mu.Lock()
		t.due[key] = at
		t.mu.Unlock()
		return nil
	}
	for round := range int64(6) {
		for _, in := range []int64{1500, 2000, 2001, 700, 300, 4000, 25_000 + round*1000, 60_000} {
			if err := send(in); err != nil {
				return err
			}
		}
		key := "k" + strconv.Itoa(n-3) // due in 4 s
		t.mu.Lock()
		t.deleted[key] = 0
		t.mu.Unlock()
		if err := r.recall(key, t.due[key]); err != nil {
			return err
		}
		t.mu.Lock()
		t.deleted[key] = r.now.Load()
		t.mu.Unlock()
		if err := r.pass(r.now.Load() + 1500); err != nil {
			return err
		}
	}
	return nil
}

// last is behind everything that script sends.
const last = begin + 90_000

func bodies(recs []message.Record) string {
	var b strings.Builder
	for _, r := range recs {
		b.Write(r.Body)
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}
