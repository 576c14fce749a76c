package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
)

// sink waits for groups.
type sink struct {
	wg  sync.WaitGroup
	mu  sync.Mutex
	err error
}

func (k *sink) Appended(_ *Group, err error) {
	k.mu.Lock()
	if err != nil {
		k.err = err
	}
	k.mu.Unlock()
	k.wg.Done()
}

func testOptions(dir string) Options {
	o := DefaultOptions()
	o.StorePathRootDir = dir
	o.MappedFileSizeCommitLog = 16 << 10
	o.MappedFileSizeConsumeQueue = 20 * 50
	o.DiskUsage = func(string) (fsys.Disk, error) { return fsys.Disk{Total: 1 << 40, Free: 1 << 40, Usable: 1 << 40}, nil }
	o.MaxHashSlotNum, o.MaxIndexNum = 50, 400
	return o
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func group(s *Store, owner Owner, topic string, id int32, from, n int, batch bool) *Group {
	g := &Group{Owner: owner}
	for i := from; i < from+n; i++ {
		at := len(g.Buf)
		m := message.Message{Topic: topic, QueueID: id, Body: []byte(fmt.Sprintf("%s-%d-%d", topic, id, i))}
		g.Buf, _ = message.AppendRecord(g.Buf, &m, "TAGS\x01a\x02")
		g.Recs = append(g.Recs, Rec{Queue: s.Queue(topic, id), Size: int32(len(g.Buf) - at), TagsCode: 97})
	}
	if batch {
		g.Recs[0].Unit = int32(n)
	}
	return g
}

func put(t testing.TB, s *Store, gs ...*Group) {
	t.Helper()
	k := gs[0].Owner.(*sink)
	k.wg.Add(len(gs))
	for _, g := range gs {
		require.NoError(t, s.Submit(g))
	}
	k.wg.Wait()
	require.NoError(t, k.err)
}

func verify(t testing.TB, s *Store, topic string, id int32, n int) {
	t.Helper()
	q := s.Find(topic, id)
	require.NotNil(t, q)
	require.Equal(t, int64(n), q.Max())
	for at := int64(0); at < int64(n); {
		b, res, err := s.Get(nil, GetRequest{Queue: q, Offset: at, MaxMessages: 32})
		require.NoError(t, err)
		require.Equal(t, Found, res.Status)
		for range res.Messages {
			r, err := message.Parse(b, true)
			require.NoError(t, err)
			require.Equal(t, at, r.QueueOffset)
			require.Equal(t, fmt.Sprintf("%s-%d-%d", topic, id, at), string(r.Body))
			b = b[r.Size:]
			at++
		}
		require.Equal(t, at, res.NextOffset)
	}
}

func fill(t testing.TB, s *Store, rounds, base int) int {
	k := &sink{}
	for i := range rounds {
		put(t, s, group(s, k, "A", 0, base+i*7, 7, false), group(s, k, "B", 3, base+i*7, 7, true))
	}
	return base + rounds*7
}

func TestMessagesSurviveACleanStop(t *testing.T) {
	for _, mode := range []string{AsyncFlush, SyncFlush} {
		t.Run(mode, func(t *testing.T) {
			o := testOptions(t.TempDir())
			o.FlushDiskType = mode
			n := 0
			for range 4 {
				s := open(t, o)
				if n > 0 {
					verify(t, s, "A", 0, n)
				}
				n = fill(t, s, 40, n)
				verify(t, s, "A", 0, n)
				verify(t, s, "B", 3, n)
				require.NoError(t, s.Close())
				_, err := os.Stat(filepath.Join(o.StorePathRootDir, "abort"))
				require.ErrorIs(t, err, os.ErrNotExist)
			}
		})
	}
}

// snapshot copies a live store's folder, which is what a killed process leaves: everything written stands
// in the page cache, nothing of memory does.
func snapshot(t testing.TB, from string) string {
	to := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

func TestMessagesSurviveAKill(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := 0
	for range 6 {
		n = fill(t, s, 25, n)
		killed := o
		killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
		k := open(t, killed)
		verify(t, k, "A", 0, n)
		verify(t, k, "B", 3, n)
		m := fill(t, k, 3, n)
		verify(t, k, "A", 0, m)
	}
}

func TestRecoveryCutsATornRecordAndNothingComesBack(t *testing.T) {
	o := testOptions(t.TempDir())
	o.MappedFileSizeCommitLog = 1 << 20
	s := open(t, o)
	n := fill(t, s, 10, 0)
	dir := snapshot(t, o.StorePathRootDir)
	log := filepath.Join(dir, "commitlog", "00000000000000000000")
	b, err := os.ReadFile(log)
	require.NoError(t, err)
	end := int(s.Stats().MaxPhysical)
	b[end-13] ^= 1 // in the last record of B
	require.NoError(t, os.WriteFile(log, b, 0o644))
	o.StorePathRootDir = dir
	k := open(t, o)
	require.Less(t, k.Stats().MaxPhysical, int64(end))
	verify(t, k, "A", 0, n)
	verify(t, k, "B", 3, n-1)
	require.NoError(t, k.Close())
	b, err = os.ReadFile(log)
	require.NoError(t, err)
	for i, c := range b[k.Stats().MaxPhysical:] {
		require.Zero(t, c, i)
	}
}

func TestMissingQueueIsBuiltAnew(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 30, 0)
	dir := snapshot(t, o.StorePathRootDir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "consumequeue")))
	o.StorePathRootDir = dir
	k := open(t, o)
	verify(t, k, "A", 0, n)
	verify(t, k, "B", 3, n)
}

func TestDeletedTopicBeginsAnew(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	fill(t, s, 5, 0)
	require.NoError(t, s.DeleteTopic("A"))
	require.Nil(t, s.Find("A", 0))
	k := &sink{}
	put(t, s, group(s, k, "A", 0, 0, 12, false))
	verify(t, s, "A", 0, 12)
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	verify(t, open(t, killed), "A", 0, 12)
}

func TestSecondStoreOnOneFolderIsRefused(t *testing.T) {
	o := testOptions(t.TempDir())
	open(t, o)
	_, err := Open(o)
	require.ErrorContains(t, err, "another process holds the lock")
}

func TestGetFollowsJavasRules(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	get := func(r GetRequest) GetResult {
		_, res, err := s.Get(nil, r)
		require.NoError(t, err)
		return res
	}
	require.Equal(t, NoMatchedLogicQueue, get(GetRequest{}).Status)
	require.Equal(t, NoMessageInQueue, get(GetRequest{Queue: s.Queue("A", 0)}).Status)
	fill(t, s, 10, 0)
	q := s.Find("A", 0)
	require.Equal(t, OffsetTooSmall, get(GetRequest{Queue: q, Offset: -1}).Status)
	require.Equal(t, OffsetOverflowOne, get(GetRequest{Queue: q, Offset: 70}).Status)
	res := get(GetRequest{Queue: q, Offset: 71})
	require.Equal(t, OffsetOverflowBadly, res.Status)
	require.Equal(t, int64(70), res.NextOffset)
	res = get(GetRequest{Queue: q, Offset: 3, MaxMessages: 5, Match: func(int64) bool { return false }})
	require.Equal(t, NoMatchedMessage, res.Status)
	require.Equal(t, int64(70), res.NextOffset)
	require.Equal(t, 32, get(GetRequest{Queue: q, Offset: 3, MaxMessages: 100}).Messages)
	first := s.StoreTime("A", 0, 0)
	require.Positive(t, first)
	require.Equal(t, int64(0), s.OffsetByTime("A", 0, first-1, false))
	require.Equal(t, int64(70), s.OffsetByTime("A", 0, first+1e9, false))
	require.Equal(t, int64(0), s.OffsetByTime("X", 0, 1, false))
}

// TestGetByRecord: what MatchRecord refuses is passed over, and one Get reads only so much in vain.
func TestGetByRecord(t *testing.T) {
	o := testOptions(t.TempDir())
	o.MappedFileSizeCommitLog = 8 << 20
	s := open(t, o)
	k := &sink{}
	put(t, s, group(s, k, "A", 0, 0, 40, false))
	ends := func(digit string) func([]byte) bool {
		return func(rec []byte) bool {
			r, err := message.Parse(rec, true)
			require.NoError(t, err)
			return strings.HasSuffix(string(r.Body), digit)
		}
	}
	get := func(r GetRequest) ([]string, GetResult) {
		r.Queue, r.MaxMessages = s.Queue("A", 0), 32
		b, res, err := s.Get([]byte("before"), r)
		require.NoError(t, err)
		require.Equal(t, "before", string(b[:6]))
		var bodies []string
		for b = b[6:]; len(b) > 0; {
			m, err := message.Parse(b, true)
			require.NoError(t, err)
			bodies = append(bodies, string(m.Body))
			b = b[m.Size:]
		}
		require.Len(t, bodies, res.Messages)
		return bodies, res
	}
	bodies, res := get(GetRequest{MatchRecord: ends("7")})
	require.Equal(t, []string{"A-0-7", "A-0-17", "A-0-27", "A-0-37"}, bodies)
	require.Equal(t, Found, res.Status)
	require.EqualValues(t, 40, res.NextOffset)
	_, res = get(GetRequest{Offset: 38, MatchRecord: ends("7")})
	require.Equal(t, NoMatchedMessage, res.Status)
	require.EqualValues(t, 40, res.NextOffset)
	bodies, _ = get(GetRequest{MatchRecord: ends("7"), Match: func(int64) bool { return false }})
	require.Empty(t, bodies)

	const size = 3 << 20
	for range 8 {
		m := message.Message{Topic: "A", Body: make([]byte, size)}
		buf, err := message.AppendRecord(nil, &m, "")
		require.NoError(t, err)
		put(t, s, &Group{Owner: k, Buf: buf, Recs: []Rec{{Queue: s.Queue("A", 0), Size: int32(len(buf))}}})
	}
	_, res = get(GetRequest{Offset: 40, MatchRecord: ends("7")})
	require.Equal(t, NoMatchedMessage, res.Status)
	require.EqualValues(t, 40+maxScan/size+1, res.NextOffset)
}
