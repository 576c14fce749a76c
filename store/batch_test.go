package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

func batchOptions(t testing.TB) Options {
	o := testOptions(t.TempDir())
	o.MapperFileSizeBatchConsumeQueue = 46 * 20
	o.BatchTopic = batchTopic
	return o
}

// putInner stores an inner batch of n messages, a plain record for 0, and returns its queue offset.
func putInner(t testing.TB, s *Store, topic, tag string, n int32) int64 {
	t.Helper()
	k := &sink{}
	g := &Group{Owner: k}
	props := ""
	if tag != "" {
		props = "TAGS\x01" + tag + "\x02"
	}
	g.Buf = appendRecord(nil, &message.Message{Topic: topic, Body: fmt.Appendf(nil, "%d messages", n)}, props, n)
	g.Recs = []Rec{{Queue: s.Queue(topic, 0), Size: int32(len(g.Buf)), TagsCode: message.TagsCode(tag), Inner: int16(n)}}
	put(t, s, g)
	return g.Recs[0].QueueOffset
}

// bases pulls until limit messages have come and returns the queue offsets of the records.
func bases(t testing.TB, s *Store, r GetRequest) ([]int64, GetResult) {
	t.Helper()
	b, res, err := s.Get(nil, r)
	require.NoError(t, err)
	var out []int64
	for len(b) > 0 {
		rec, err := message.Parse(b, true)
		require.NoError(t, err)
		out = append(out, rec.QueueOffset)
		b = b[rec.Size:]
	}
	return out, res
}

func TestGetGivesWholeBatches(t *testing.T) {
	s := open(t, batchOptions(t))
	q := s.Queue("Batch", 0)
	require.True(t, q.Batch())
	require.False(t, s.Queue("A", 0).Batch())
	require.Equal(t, NoMessageInQueue, get(t, s, GetRequest{Queue: q}).Status)
	for i, n := range []int32{3, 0, 10, 1, 30, 5} {
		require.Equal(t, []int64{0, 3, 4, 14, 15, 45}[i], putInner(t, s, "Batch", []string{"a", "", "b"}[i%3], n))
	}
	require.Equal(t, [2]int64{0, 50}, [2]int64{q.Min(), q.Max()})
	for _, c := range []struct {
		offset   int64
		max      int
		match    string
		want     []int64
		messages int
		next     int64
	}{
		{0, 32, "", []int64{0, 3, 4, 14}, 15, 15},
		{1, 32, "", []int64{0, 3, 4, 14}, 15, 15}, // in the middle of a batch: all of it
		{3, 11, "", []int64{3, 4}, 11, 14},
		{3, 10, "", []int64{3}, 1, 4},
		{5, 1, "", []int64{4}, 10, 14}, // the first always comes whole
		{44, 32, "", []int64{15}, 30, 45},
		{45, 32, "", []int64{45}, 5, 50},
		{0, 32, "a", []int64{0, 3, 14}, 5, 15}, // what has no tag is for the client to filter
		{15, 32, "b", []int64{15}, 30, 45},     // no tag either
		{45, 32, "a", nil, 0, 50},
	} {
		r := GetRequest{Queue: q, Offset: c.offset, MaxMessages: c.max}
		if c.match != "" {
			r.Match = func(code int64) bool { return code == message.TagsCode(c.match) }
		}
		got, res := bases(t, s, r)
		require.Equal(t, c.want, got, "%+v", c)
		require.Equal(t, c.messages, res.Messages, "%+v", c)
		require.Equal(t, c.next, res.NextOffset, "%+v", c)
	}
	require.Equal(t, OffsetOverflowOne, get(t, s, GetRequest{Queue: q, Offset: 50}).Status)
	require.Equal(t, OffsetOverflowBadly, get(t, s, GetRequest{Queue: q, Offset: 51}).Status)
	require.Equal(t, OffsetTooSmall, get(t, s, GetRequest{Queue: q, Offset: -1}).Status)
	require.NoFileExists(t, filepath.Join(s.o.StorePathRootDir, "consumequeue", "Batch", "0", "00000000000000000000"))
}

func get(t testing.TB, s *Store, r GetRequest) GetResult {
	t.Helper()
	_, res := bases(t, s, r)
	return res
}

func TestOffsetByTimeInABatchQueue(t *testing.T) {
	o := batchOptions(t)
	now := int64(1_700_000_000_000)
	o.Now = func() time.Time { return time.UnixMilli(now) }
	s := open(t, o)
	require.Zero(t, s.OffsetByTime("Batch", 0, now, false))
	// Units at 0, 2, 4 (10 ms), 6 (20 ms), 8 (30 ms).
	for _, ms := range []int64{0, 10, 0, 10, 10} {
		now += ms
		putInner(t, s, "Batch", "", 2)
	}
	base := now - 30
	for _, c := range []struct {
		ms    int64
		upper bool
		want  int64
	}{{-5, false, 0}, {0, true, 0}, {1, false, 2}, {10, false, 2}, {10, true, 4}, {11, true, 6}, {20, false, 6}, {30, false, 8}, {99, false, 8}, {99, true, 8}} {
		require.Equal(t, c.want, s.OffsetByTime("Batch", 0, base+c.ms, c.upper), "%+v", c)
	}
	require.Equal(t, base+10, s.StoreTime("Batch", 0, 5))
	require.Equal(t, int64(-1), s.StoreTime("Batch", 0, 10))
}

// fillBatch stores rounds of batches on a batch and a simple queue.
func fillBatch(t testing.TB, s *Store, rounds int) {
	for i := range rounds {
		putInner(t, s, "Batch", "a", int32(i%5))
		fill(t, s, 1, i*7)
	}
}

func dumped(t testing.TB, s *Store) map[queueKey][]item {
	t.Helper()
	got, err := dump(s)
	require.NoError(t, err)
	return got
}

func TestBatchQueueIsBuiltAnew(t *testing.T) {
	file := filepath.Join("batchconsumequeue", "Batch", "0", "00000000000000000000")
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"all queues missing": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "batchconsumequeue")))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "consumequeue")))
		},
		"its folder missing": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "batchconsumequeue")))
			require.NoError(t, os.Remove(filepath.Join(dir, "checkpoint")))
		},
		"its head gone": func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, file), 0, make([]byte, 46*3)) },
		"its middle gone": func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, file), 46*7, make([]byte, 46))
		},
		"its end gone": func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, filepath.Dir(file), "00000000000000000920"), 46, make([]byte, 460))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := batchOptions(t)
			s := open(t, o)
			fillBatch(t, s, 33)
			want := dumped(t, s)
			require.NoError(t, s.Close())
			killed := o
			killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
			require.NoError(t, os.WriteFile(filepath.Join(killed.StorePathRootDir, "abort"), nil, 0o644))
			overwrite(t, filepath.Join(killed.StorePathRootDir, "checkpoint"), 0, make([]byte, 48))
			spoil(t, killed.StorePathRootDir)
			k := open(t, killed)
			require.Equal(t, want, dumped(t, k))
			fillBatch(t, k, 2)
			more := dumped(t, k)
			require.NoError(t, k.Close())
			require.Equal(t, more, dumped(t, open(t, killed)))
		})
	}
}

func overwrite(t testing.TB, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestOffsetsThatJavaGaveAndLeftOut: Java gives a plain message in a batch queue an offset but no unit, and after a
// restart the offsets of the last ones again.
func TestOffsetsThatJavaGaveAndLeftOut(t *testing.T) {
	o := batchOptions(t)
	s := open(t, o)
	for _, n := range []int32{3, 2} {
		putInner(t, s, "Batch", "", n)
	}
	q := s.Find("Batch", 0)
	q.Next = 6 // a plain message had offset 5
	putInner(t, s, "Batch", "", 4)
	q.Next = 12 // 10 and 11
	putInner(t, s, "Batch", "", 2)
	check := func(s *Store) {
		for _, c := range []struct{ offset, base, next int64 }{{4, 3, 5}, {5, 6, 10}, {6, 6, 10}, {10, 12, 14}, {11, 12, 14}, {13, 12, 14}} {
			got, res := bases(t, s, GetRequest{Queue: s.Find("Batch", 0), Offset: c.offset, MaxMessages: 1})
			require.Equal(t, []int64{c.base}, got, c)
			require.Equal(t, c.next, res.NextOffset, c)
		}
	}
	check(s)
	require.NoError(t, s.Close())
	check(open(t, o))
}

func TestOffsetsThatJavaGaveTwice(t *testing.T) {
	o := batchOptions(t)
	s := open(t, o)
	putInner(t, s, "Batch", "", 3)
	putInner(t, s, "Batch", "", 0) // offset 3, of which Java's queue does not know
	s.Find("Batch", 0).Next = 3
	putInner(t, s, "Batch", "", 2)
	putInner(t, s, "Batch", "", 2)
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(o.StorePathRootDir, "batchconsumequeue")))
	s = open(t, o)
	got, res := bases(t, s, GetRequest{Queue: s.Find("Batch", 0), MaxMessages: 32})
	require.Equal(t, []int64{0, 3, 5}, got)
	require.Equal(t, int64(7), res.MaxOffset)
}

func TestBatchQueueOfAnotherFormIsRefused(t *testing.T) {
	o := batchOptions(t)
	s := open(t, o)
	putInner(t, s, "Batch", "", 3)
	require.NoError(t, s.Close())
	simple := o
	simple.BatchTopic = func(string) (bool, bool) { return false, true }
	_, err := Open(simple)
	require.ErrorContains(t, err, "the queue type of topic: Batch should be BatchCQ, but is SimpleCQ")
	simple.BatchTopic = nil // nobody knows the topic
	s = open(t, simple)
	require.True(t, s.Find("Batch", 0).Batch())
	require.NoError(t, s.DeleteTopic("Batch"))
	require.NoDirExists(t, filepath.Join(o.StorePathRootDir, "batchconsumequeue", "Batch"))
}

func TestRetentionMovesABatchQueueOn(t *testing.T) {
	o := batchOptions(t)
	s := open(t, o)
	fillBatch(t, s, 90)
	require.NoError(t, s.checkpoint())
	want := dumped(t, s)[queueKey{"Batch", 0}]
	first := s.log.FileStarts()[5]
	require.NoError(t, s.onKeeper(func() {
		for range 5 {
			f, _, err := s.log.RemoveFirst()
			require.NoError(t, err)
			require.NotNil(t, f)
		}
	}))
	require.NoError(t, s.CleanQueues())
	for len(want) > 0 && want[0].phys < first {
		want = want[1:]
	}
	hold := func(s *Store) {
		q := s.Find("Batch", 0)
		require.Equal(t, want[0].at, q.Min())
		require.Equal(t, OffsetTooSmall, get(t, s, GetRequest{Queue: q, Offset: want[0].at - 1}).Status)
		at := q.Min()
		for i := 0; at < q.Max(); {
			got, res := bases(t, s, GetRequest{Queue: q, Offset: at, MaxMessages: 32})
			for _, base := range got {
				require.Equal(t, want[i].at, base)
				i++
			}
			at = res.NextOffset
		}
		require.NoFileExists(t, filepath.Join(s.bcq.Dir, "Batch", "0", "00000000000000000000"))
	}
	hold(s)
	require.NoError(t, s.Close())
	hold(open(t, o))
}
