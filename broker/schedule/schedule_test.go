package schedule

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

// world is a store with a clock that the test moves and a Put that the test watches.
type world struct {
	t    *testing.T
	s    *store.Store
	path string
	mu   sync.Mutex
	now  time.Time
	fail bool
	got  chan string
}

func newWorld(t *testing.T) *world {
	o := store.DefaultOptions()
	o.StorePathRootDir = t.TempDir()
	o.MappedFileSizeCommitLog = 1 << 20
	o.MessageDelayLevel = "1h 2h"
	o.Logger = zerolog.Nop()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "delayOffset.json"), now: time.UnixMilli(1_700_000_000_000), got: make(chan string, 1000)}
	o.Now = w.clock
	var err error
	w.s, err = store.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.s.Close()) })
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) move(d time.Duration, fail bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.fail = w.now.Add(d), fail
}

func (w *world) open() *Scheduler {
	s, err := Open(Options{Logger: zerolog.Nop(), Path: w.path, Store: w.s, PersistEvery: time.Hour, Now: w.clock,
		Put: func(m *message.Message, _ string, _ store.Rec, done func(error, []store.Rec)) error {
			w.mu.Lock()
			fail := w.fail
			w.mu.Unlock()
			if fail {
				return errors.New("on purpose")
			}
			w.got <- m.Topic + ":" + string(m.Body)
			done(nil, nil)
			return nil
		}})
	require.NoError(w.t, err)
	return s
}

// Appended implements store.Owner.
func (w *world) Appended(_ *store.Group, err error) {
	if err != nil {
		w.got <- err.Error()
	} else {
		w.got <- "stored"
	}
}

func (w *world) put(level int, properties, body string) {
	w.t.Helper()
	q := w.s.Queue(store.ScheduleTopic, int32(level-1))
	m := message.Message{Topic: store.ScheduleTopic, QueueID: q.ID, Body: []byte(body)}
	b, err := message.AppendRecord(nil, &m, properties)
	require.NoError(w.t, err)
	rec := store.Rec{Queue: q, Size: int32(len(b)), DelayMillis: w.s.DelayLevels()[level-1].Milliseconds()}
	require.NoError(w.t, w.s.Submit(&store.Group{Buf: b, Recs: []store.Rec{rec}, Owner: w}))
	require.Equal(w.t, "stored", <-w.got)
}

const real = "REAL_TOPIC\x01T\x02REAL_QID\x010\x02"

func (w *world) nothing() {
	w.t.Helper()
	select {
	case g := <-w.got:
		w.t.Fatalf("delivered early: %s", g)
	case <-time.After(3 * lookEvery): // absence can only be waited for
	}
}

func TestDeliversInOrderAndNotEarly(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	w.put(1, real, "a")
	w.put(1, "no real topic\x01x\x02", "passed over")
	w.put(1, real, "b")
	w.put(2, real, "c")
	w.nothing()
	w.move(time.Hour-time.Second, false)
	w.nothing()
	w.move(time.Second, true)
	w.nothing() // due, but it cannot be stored
	w.move(0, false)
	require.Equal(t, "T:a", <-w.got)
	require.Equal(t, "T:b", <-w.got)
	w.nothing()
	require.NoError(t, s.Close())
	require.Equal(t, map[int32][2]int64{1: {3, 3}}, s.Offsets())

	w.move(time.Hour, false)
	s = w.open()
	require.Equal(t, "T:c", <-w.got)
	w.nothing()
	require.NoError(t, s.Close())
	require.Equal(t, map[int32][2]int64{1: {3, 3}, 2: {1, 1}}, s.Offsets())
}

func TestClockSetBackDeliversAtOnce(t *testing.T) {
	w := newWorld(t)
	w.put(1, real, "a")
	w.move(-24*time.Hour, false)
	s := w.open()
	require.Equal(t, "T:a", <-w.got, "due further ahead than its delay")
	require.NoError(t, s.Close())
}

func TestJavasFileIsReadAndABrokenOneRefused(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.put(1, real, string(rune('a'+i)))
	}
	w.move(time.Hour, false)
	require.NoError(t, os.WriteFile(w.path, []byte("{\n\t\"dataVersion\":{\n\t\t\"counter\":4,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1\n\t},\n\t\"offsetTable\":{1:2,18:9\n\t}\n}"), 0o644))
	s := w.open()
	require.Equal(t, "T:c", <-w.got)
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(w.path, []byte("garbage"), 0o644))
	require.NoError(t, os.Remove(w.path+".bak"))
	_, err := Open(Options{Path: w.path, Store: w.s})
	require.ErrorContains(t, err, "cannot load delay offsets")
}
