package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
)

func compactedOptions(dir string) Options {
	o := DefaultOptions()
	o.StorePathRootDir = dir
	o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue = 1<<20, 20*1000
	o.CompactionMappedFileSize, o.CompactionCqMappedFileSize = 46*1000*10, 46*10
	o.CompactionScheduleInternal, o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = 20, 10, 20
	o.DiskUsage = func(string) (fsys.Disk, error) { return fsys.Disk{Total: 1 << 40, Free: 1 << 40, Usable: 1 << 40}, nil }
	o.CompactedTopic = func(topic string) bool { return topic == "Compacted" }
	return o
}

func putKey(t *testing.T, s *Store, topic, key, body string) int64 {
	t.Helper()
	var p message.Properties
	if key != "" {
		p.Set(message.PropertyKeys, key)
	}
	p.Set(message.PropertyTags, "tag-"+key)
	b, err := message.AppendRecord(nil, &message.Message{Topic: topic, Body: []byte(body), BornTimestamp: 1}, p.String())
	require.NoError(t, err)
	acked := make(chan error, 1)
	g := &Group{Buf: b, Recs: []Rec{{Queue: s.Queue(topic, 0), Size: int32(len(b)), TagsCode: message.TagsCode("tag-" + key)}}, Owner: ownerFunc(func(_ *Group, err error) { acked <- err })}
	require.NoError(t, s.Submit(g))
	require.NoError(t, <-acked)
	return g.Recs[0].QueueOffset
}

type ownerFunc func(g *Group, err error)

func (f ownerFunc) Appended(g *Group, err error) { f(g, err) }

// pullAll reads a queue as a consumer does and returns the offsets with the bodies.
func pullAll(t *testing.T, s *Store, topic string, from int64, match func(int64) bool) (got map[int64]string) {
	t.Helper()
	got = map[int64]string{}
	for at := from; ; {
		b, res, err := s.Get(nil, GetRequest{Queue: s.Queue(topic, 0), Offset: at, MaxMessages: 5, Match: match})
		require.NoError(t, err)
		for n := 0; len(b) > 0; n++ {
			r, err := message.Parse(b, true)
			require.NoError(t, err)
			require.GreaterOrEqual(t, r.QueueOffset, at)
			require.Less(t, r.QueueOffset, res.NextOffset)
			got[r.QueueOffset] = string(r.Body)
			b = b[r.Size:]
		}
		if res.Status == OffsetOverflowOne || res.Status == NoMessageInQueue {
			return got
		}
		require.Contains(t, []Status{Found, NoMatchedMessage}, res.Status)
		require.Greater(t, res.NextOffset, at)
		at = res.NextOffset
	}
}

// await waits for something that a goroutine of the store does.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, time.Minute, time.Millisecond, what)
}

func TestCompactedTopic(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(compactedOptions(dir))
	require.NoError(t, err)
	want := map[int64]string{}
	last := map[string]int64{}
	put := func(key, body string) {
		at := putKey(t, s, "Compacted", key, body)
		if before, ok := last[key]; ok {
			delete(want, before)
		}
		last[key], want[at] = at, body
	}
	require.Zero(t, len(pullAll(t, s, "Compacted", 0, nil)))
	s.Compact("Compacted")
	for i := range 100 {
		put(fmt.Sprint("key", i%6), fmt.Sprint("value", i))
		putKey(t, s, "Other", "key", "x")
	}
	putKey(t, s, "Compacted", "", "without a key, as a batch may bring it")
	l := func() int64 { // pairs hold nine messages, the last one is not compacted
		if l := s.compacted(s.Queue("Compacted", 0)); l != nil {
			return l.Next()
		}
		return 0
	}
	await(t, "the compaction log follows", func() bool { return l() == 101 })
	put("key0", "the last") // may be read from either
	for i := range 9 {
		put(fmt.Sprint("filler", i), "x")
	}
	all := func() map[int64]string { return pullAll(t, s, "Compacted", 0, nil) }
	await(t, "what is out of date goes", func() bool { return len(all()) <= len(want)+9 && l() == 111 })
	got := all()
	for at, body := range want {
		require.Equal(t, body, got[at], "offset %d", at)
	}
	for at := range got {
		require.GreaterOrEqual(t, at, int64(90))
	}
	require.Len(t, pullAll(t, s, "Other", 0, nil), 100)
	one := func(match func(int64) bool) map[int64]string { return pullAll(t, s, "Compacted", 0, match) }
	require.Equal(t, "the last", one(func(c int64) bool { return c == message.TagsCode("tag-key0") })[101])
	require.Empty(t, one(func(c int64) bool { return c == 1 }))
	_, res, err := s.Get(nil, GetRequest{Queue: s.Queue("Compacted", 0), Offset: 1000, MaxMessages: 1})
	require.NoError(t, err)
	require.Equal(t, GetResult{Status: OffsetOverflowBadly, NextOffset: 111, MinOffset: res.MinOffset, MaxOffset: 111}, res)
	require.GreaterOrEqual(t, res.MinOffset, int64(90))
	require.EqualValues(t, 0, s.MinOffset("Compacted", 0), "as Java's broker, which asks the consume queue")

	require.NoError(t, s.Close())
	s, err = Open(compactedOptions(dir))
	require.NoError(t, err)
	s.Compact("Compacted")
	after := pullAll(t, s, "Compacted", 0, nil)
	for at, body := range want {
		require.Equal(t, body, after[at])
	}
	require.NoError(t, s.DeleteTopic("Compacted"))
	require.NoDirExists(t, filepath.Join(dir, "compaction/compactionLog/Compacted"))
	require.NoDirExists(t, filepath.Join(dir, "compaction/compactionCq/Compacted"))
	s.Compact("Compacted")
	require.Zero(t, putKey(t, s, "Compacted", "new", "value"))
	await(t, "the new topic's log follows", func() bool { return l() == 1 })
	require.Equal(t, map[int64]string{0: "value"}, pullAll(t, s, "Compacted", 0, nil))
	require.NoError(t, s.Close())
}

// TestCompactionLogAndQueueFitTogether: at the start a compaction log that is ahead of a queue is cut, and a queue that
// has lost all goes on behind it.
func TestCompactionLogAndQueueFitTogether(t *testing.T) {
	dir := t.TempDir()
	o := compactedOptions(dir)
	o.CompactionScheduleInternal = 1 << 30
	reopen := func(lose ...string) *Store {
		for _, name := range lose {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
		}
		s, err := Open(o)
		require.NoError(t, err)
		s.Compact("Compacted")
		return s
	}
	s := reopen()
	for i := range 30 {
		putKey(t, s, "Compacted", fmt.Sprint("key", i), "x")
	}
	require.NoError(t, s.Close())
	s = reopen("commitlog", "consumequeue", "checkpoint", "skylark/watermark", "index")
	require.Len(t, pullAll(t, s, "Compacted", 0, nil), 30)
	require.EqualValues(t, 30, putKey(t, s, "Compacted", "more", "x"))
	require.NoError(t, s.Close())
	s = reopen()
	require.Len(t, pullAll(t, s, "Compacted", 0, nil), 31)
	require.NoError(t, s.Close())

	s = reopen("commitlog", "consumequeue", "checkpoint", "skylark/watermark", "index", "compaction")
	for i := range 5 {
		putKey(t, s, "Compacted", fmt.Sprint("key", i), "y")
	}
	require.NoError(t, s.Close())
	kept := filepath.Join(t.TempDir(), "compaction")
	require.NoError(t, os.Rename(filepath.Join(dir, "compaction"), kept))
	s = reopen("commitlog", "consumequeue", "checkpoint", "skylark/watermark", "index")
	require.Zero(t, putKey(t, s, "Compacted", "key", "z"))
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "compaction")))
	require.NoError(t, os.Rename(kept, filepath.Join(dir, "compaction")))
	s = reopen()
	require.Equal(t, map[int64]string{0: "y"}, pullAll(t, s, "Compacted", 0, nil))
	require.EqualValues(t, 1, putKey(t, s, "Compacted", "key", "z"))
	require.Equal(t, map[int64]string{0: "y", 1: "z"}, pullAll(t, s, "Compacted", 0, nil))
	require.NoError(t, s.Close())
}

func TestWithoutCompaction(t *testing.T) {
	o := compactedOptions(t.TempDir())
	o.EnableCompaction = false
	s, err := Open(o)
	require.NoError(t, err)
	s.Compact("Compacted")
	putKey(t, s, "Compacted", "key", "1")
	putKey(t, s, "Compacted", "", "2")
	require.Equal(t, map[int64]string{0: "1", 1: "2"}, pullAll(t, s, "Compacted", 0, nil))
	require.NoError(t, s.DeleteTopic("Compacted"))
	require.NoError(t, s.Close())
	require.NoDirExists(t, filepath.Join(o.StorePathRootDir, "compaction"))
}

// TestCheckpointWaitsForCompaction: a checkpoint names nothing that is not in the compaction logs: from there on Java's
// broker dispatches to them again when this one was killed.
func TestCheckpointWaitsForCompaction(t *testing.T) {
	o := compactedOptions(t.TempDir())
	o.FlushIntervalConsumeQueue = 1 << 30 // the test checkpoints, and says when messages are copied
	s, err := Open(o)
	require.NoError(t, err)
	logic := func() int64 {
		require.NoError(t, s.checkpoint())
		cp, err := readCheckpoint(o.FS, o.StorePathRootDir)
		require.NoError(t, err)
		return cp.logicsPhysicalOffset
	}
	o = s.Options()
	putKey(t, s, "Other", "key", "x")
	require.Equal(t, s.log.End(), logic())
	s.compactor.mu.Lock()
	s.Compact("Compacted")
	before := s.log.End()
	putKey(t, s, "Compacted", "key", "x")
	putKey(t, s, "Other", "key", "x")
	require.Equal(t, before, logic())
	s.compactor.mu.Unlock()
	await(t, "the messages are copied", func() bool {
		s.compactor.wake <- struct{}{}
		return s.compactor.copied.Load().logic == s.log.End()
	})
	require.Equal(t, s.log.End(), logic())
	require.NoError(t, s.Close())
}
