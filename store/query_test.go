package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/index"
)

// keyed returns a group of messages n to n+count-1 of topic K, each with a unique key, a key of its own, one
// that it shares with every tenth, and a tag.
func keyed(s *Store, owner Owner, from, count int) *Group {
	g := &Group{Owner: owner}
	for i := from; i < from+count; i++ {
		at := len(g.Buf)
		m := message.Message{Topic: "K", QueueID: int32(i % 3), Body: []byte(fmt.Sprint("body-", i))}
		uniq, keys, tag := fmt.Sprint("U", i), fmt.Sprintf("k%d shared%d", i, i%10), fmt.Sprint("t", i%2)
		g.Buf, _ = message.AppendRecord(g.Buf, &m, fmt.Sprintf("UNIQ_KEY\x01%s\x02KEYS\x01%s\x02TAGS\x01%s\x02", uniq, keys, tag))
		n := len(g.Keys)
		g.Keys = index.AppendHashes(g.Keys, "K", uniq, keys, tag)
		g.Recs = append(g.Recs, Rec{Queue: s.Queue("K", m.QueueID), Size: int32(len(g.Buf) - at), Keys: int32(len(g.Keys) - n)})
	}
	return g
}

// bodies returns the bodies that a query finds.
func bodies(t *testing.T, s *Store, r QueryRequest) []string {
	t.Helper()
	r.Topic = "K"
	if r.End == 0 {
		r.End = 1 << 60
	}
	res, err := s.Query(r)
	require.NoError(t, err)
	var out []string
	for b := res.Records; len(b) > 0; {
		rec, err := message.Parse(b, true)
		require.NoError(t, err)
		out = append(out, string(rec.Body))
		b = b[rec.Size:]
	}
	require.Equal(t, len(out) == 0, res.LastPhysicalOffset == 0 && res.LastStoreTimestamp == 0)
	return out
}

// findable checks that each of n messages is found by its keys, once the index has caught up.
func findable(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(bodies(t, s, QueryRequest{Key: fmt.Sprint("U", n-1), Unique: true})) == 1 }, 20*time.Second, time.Millisecond)
	for i := range n {
		want := []string{fmt.Sprint("body-", i)}
		require.Equal(t, want, bodies(t, s, QueryRequest{Key: fmt.Sprint("U", i), Unique: true}))
		require.Equal(t, want, bodies(t, s, QueryRequest{Key: fmt.Sprint("k", i), Max: 9}))
	}
	require.Empty(t, bodies(t, s, QueryRequest{Key: fmt.Sprint("U", n), Unique: true}))
}

// TestKeysAreFound: at once, behind a stop, behind a kill, without the index's files, and behind the index of
// an earlier moment.
func TestKeysAreFound(t *testing.T) {
	for _, mode := range []string{AsyncFlush, SyncFlush} {
		o := testOptions(t.TempDir())
		o.FlushDiskType, o.MaxHashSlotNum, o.MaxIndexNum = mode, 20, 300
		s := open(t, o)
		k := &sink{}
		n := 0
		write := func(s *Store, groups int) {
			for range groups {
				put(t, s, keyed(s, k, n, 20))
				n += 20
			}
		}
		write(s, 5)
		findable(t, s, n)
		early := t.TempDir()
		killed := o
		killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
		r := open(t, killed)
		findable(t, r, n)
		require.NoError(t, r.Close())
		require.NoError(t, s.Close())
		copyPart(t, o.StorePathRootDir, early, "index")
		s = open(t, o)
		findable(t, s, n)
		write(s, 5)
		findable(t, s, n)
		require.NoError(t, s.Close())
		for _, old := range []string{"", early} {
			require.NoError(t, os.RemoveAll(filepath.Join(o.StorePathRootDir, "index")))
			if old != "" {
				copyPart(t, old, o.StorePathRootDir, "index")
			}
			s = open(t, o)
			findable(t, s, n)
			require.NoError(t, s.Close())
		}
	}
}

func TestQueryLimits(t *testing.T) {
	o := testOptions(t.TempDir())
	o.MaxHashSlotNum, o.MaxIndexNum = 20, 1000
	clock := time.UnixMilli(1_700_000_000_000)
	o.Now = func() time.Time { return clock }
	s := open(t, o)
	k := &sink{}
	for i := range 10 {
		put(t, s, keyed(s, k, i*10, 10))
		clock = clock.Add(time.Minute)
	}
	findable(t, s, 100)
	require.Equal(t, []string{"body-73", "body-83", "body-93"}, bodies(t, s, QueryRequest{Key: "shared3", Max: 3}), "the newest, in the log's order")
	require.Len(t, bodies(t, s, QueryRequest{Key: "shared3", Max: 1000}), 10)
	require.Empty(t, bodies(t, s, QueryRequest{Key: "shared3", Max: 0}))
	begin := int64(1_700_000_000_000) + 3*60_000
	require.Equal(t, []string{"body-33", "body-43"}, bodies(t, s, QueryRequest{Key: "shared3", Max: 9, Begin: begin - 1000, End: begin + 61_000}))
	require.Len(t, bodies(t, s, QueryRequest{Key: "t1", Tag: true, Max: 1000}), 50)
	require.Empty(t, bodies(t, s, QueryRequest{Key: "t1", Max: 1000}), "a tag is no key")
	require.Empty(t, bodies(t, s, QueryRequest{Key: "other", Max: 9}))
	require.NoError(t, s.Close())
	o.MessageIndexEnable = false
	s = open(t, o)
	require.Empty(t, bodies(t, s, QueryRequest{Key: "shared3", Max: 9}))
}

// TestIndexFilesMayRest: they are not read, or not written; what was sent meanwhile is found when they are again.
func TestIndexFilesMayRest(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	put(t, s, keyed(s, &sink{}, 0, 20))
	findable(t, s, 20)
	require.NoError(t, s.Close())
	for n, off := range []func(*Options){func(o *Options) { o.IndexFileReadEnable = false }, func(o *Options) { o.IndexFileWriteEnable = false }} {
		rests := o
		off(&rests)
		s = open(t, rests)
		put(t, s, keyed(s, &sink{}, 20+10*n, 10))
		require.Empty(t, bodies(t, s, QueryRequest{Key: "U1", Unique: true}))
		require.NoError(t, s.Close())
	}
	findable(t, open(t, o), 40)
}
