package compaction

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

func unitOf(m Message) consumequeue.BatchUnit {
	return consumequeue.BatchUnit{Unit: consumequeue.Unit{TagsCode: m.TagsCode}, StoreTimestamp: m.StoreTimestamp, Base: m.QueueOffset}
}

// tally is what was acknowledged: the last message of each key, and up to where the log must stand.
type tally struct {
	last    map[string]entry
	next    int64
	deleted bool // or may be
}

// missing returns what a log that a crash left lacks.
func (w *tally) missing(got []entry) error {
	newest := map[string]entry{}
	for _, e := range got {
		newest[e.key] = e
	}
	for key, e := range w.last {
		if g, ok := newest[key]; e.body != "" && (!ok || g.offset < e.offset) || ok && g.offset < e.offset {
			return fmt.Errorf("%s: %+v was acknowledged, %+v is there", key, e, g)
		}
	}
	return nil
}

func (w *tally) clone() tally {
	out := tally{last: map[string]entry{}, next: w.next, deleted: w.deleted}
	for k, e := range w.last {
		out.last[k] = e
	}
	return out
}

// TestCrashMatrix runs a script on a simulated disk. In front of each step that changes the disk, images are made of
// what a crash would leave: each opens, has the last acknowledged value of each key, and takes messages and a round;
// and Java's broker starts on those that a kill leaves.
func TestCrashMatrix(t *testing.T) {
	d := simfs.New()
	require.NoError(t, d.MkdirAll(root))
	require.NoError(t, d.SyncDir("/"))
	require.NoError(t, d.SyncDir("/data"))
	acked := tally{last: map[string]entry{}}
	var seed uint64
	var failures []string
	images, unserved := 0, 0
	d.SetHook(func(op *simfs.Op) simfs.Fault {
		if op.Change == 0 || len(failures) > 3 {
			return simfs.Fault{}
		}
		for _, p := range simfs.Policies() {
			seed++
			label := fmt.Sprintf("step %d (%s %s), %v", op.Change, op.Kind, filepath.Base(op.Path), p)
			img := d.Image(seed, p)
			why, serves := java(img, root)
			if p == simfs.Kill {
				images++
				if !serves {
					unserved++
				}
				if why != "" {
					failures = append(failures, label+": Java does not start: "+why)
				}
			}
			if err := goOn(t, img, &acked); err != nil {
				failures = append(failures, label+": "+err.Error())
			}
		}
		return simfs.Fault{}
	})
	l, err := open(d, root)
	require.NoError(t, err)
	next := int64(0)
	put := func(n int, keys int64) {
		var ms []Message
		for range n {
			body := fmt.Sprint("value", next)
			if next%9 == 4 {
				body = ""
			}
			ms = append(ms, record(t, next, fmt.Sprint("key", next%keys), body))
			next++
		}
		require.NoError(t, l.Append(ms, next))
		for _, m := range ms {
			key := fmt.Sprint("key", m.QueueOffset%keys)
			body := fmt.Sprint("value", m.QueueOffset)
			if m.QueueOffset%9 == 4 {
				body = ""
			}
			acked.last[key] = entry{m.QueueOffset, key, body}
		}
		acked.next = next
	}
	put(1, 5)
	put(2, 5)
	put(20, 5)
	require.NoError(t, l.Compact(never))
	put(13, 3)
	require.NoError(t, l.Compact(never))
	put(9, 7)
	require.NoError(t, l.Compact(never))
	acked.deleted = true
	require.NoError(t, l.Delete())
	require.Empty(t, failures)
	require.Less(t, unserved*2, images, "a switch file was there for too long")
	t.Logf("%d steps, of which Java serves all but %d", images, unserved)
}

// goOn opens what a crash left, checks it, goes on with it and crashes again.
func goOn(t testing.TB, img *simfs.Disk, acked *tally) error {
	l, err := open(img, root)
	if err != nil {
		return fmt.Errorf("cannot open: %w", err)
	}
	if acked.deleted {
		return nil
	}
	got, err := all(l, 0)
	if err != nil {
		return err
	}
	if err := acked.missing(got); err != nil {
		return err
	}
	if l.Next() < acked.next {
		return fmt.Errorf("stands at %d, acknowledged were %d", l.Next(), acked.next)
	}
	if why, serves := java(img, root); why != "" || !serves {
		return errors.New("Java does not serve what was opened: " + why)
	}
	want := acked.clone()
	next := l.Next()
	for _, e := range got { // what was not acknowledged may be there, too
		if e.offset >= acked.next {
			want.last[e.key] = e
		}
	}
	for i := range int64(16) {
		key := fmt.Sprint("key", i%3)
		if err := l.Append([]Message{record(t, next, key, "more")}, next+1); err != nil {
			return err
		}
		want.last[key] = entry{next, key, "more"}
		next++
	}
	if err := l.Compact(never); err != nil {
		return fmt.Errorf("cannot compact: %w", err)
	}
	if l, err = open(img.Crash(1, simfs.Synced), root); err != nil {
		return fmt.Errorf("cannot open again: %w", err)
	}
	if got, err = all(l, 0); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	if err := want.missing(got); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	return nil
}
