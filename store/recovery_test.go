package store

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/segment"
)

// tree returns the contents of all files under dir by their path.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path[len(dir):]] = string(b)
		return err
	}))
	return out
}

// idle opens a store whose goroutines write nothing by themselves.
func idle(o Options) Options {
	o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = 1<<30, 1<<30
	return o
}

// TestKillBeforeAnyUnitWasWritten: the log holds all, the queues' files nothing. Offsets go on behind them.
func TestKillBeforeAnyUnitWasWritten(t *testing.T) {
	o := idle(testOptions(t.TempDir()))
	s := open(t, o)
	n := fill(t, s, 30, 0)
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	require.Empty(t, tree(t, filepath.Join(killed.StorePathRootDir, "consumequeue")))
	k := open(t, killed)
	verify(t, k, "A", 0, n)
	verify(t, k, "B", 3, n)
	sent := &sink{}
	g := group(k, sent, "A", 0, n, 3, true)
	put(t, k, g)
	for i, r := range g.Recs {
		require.EqualValues(t, n+i, r.QueueOffset)
	}
	require.Equal(t, s.Stats().MaxPhysical, g.Recs[0].PhysicalOffset, "the log goes on where it stopped")
	verify(t, k, "A", 0, n+3)
	require.NoError(t, k.Close())
	verify(t, open(t, killed), "A", 0, n+3)
}

// cut zeroes the file of queue A from byte at on.
func cut(t *testing.T, root string, at int) {
	t.Helper()
	path := filepath.Join(root, "consumequeue", "A", "0", "00000000000000000000")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	clear(b[at:])
	require.NoError(t, os.WriteFile(path, b, 0o644))
}

// lostTails runs check on copies of a killed store whose queue A lost everything behind each byte of its
// last units.
func lostTails(t *testing.T, check func(s *Store, n, bytes int)) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 2, 0)
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(o.StorePathRootDir, "checkpoint")))
	setAbort(t, o.StorePathRootDir)
	for bytes := (n - 2) * consumequeue.UnitSize; bytes < n*consumequeue.UnitSize; bytes++ {
		k := o
		k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
		cut(t, k.StorePathRootDir, bytes)
		r, err := Open(k)
		require.NoError(t, err)
		check(r, n, bytes)
		require.NoError(t, r.Close())
	}
}

func TestQueueTornAtEveryByte(t *testing.T) {
	lostTails(t, func(s *Store, n, _ int) {
		verify(t, s, "A", 0, n)
		require.EqualValues(t, n, s.Find("A", 0).Next)
	})
}

func TestTornTagsCodeIsWrittenAnew(t *testing.T) {
	lostTails(t, func(s *Store, n, bytes int) {
		for i := range n {
			u, ok, err := s.Find("A", 0).At(int64(i))
			require.NoError(t, err)
			require.True(t, ok)
			require.EqualValues(t, 97, u.TagsCode, "unit %d, torn at byte %d", i, bytes)
		}
	})
}

// TestQueuesLostBehindACleanStop is what operators do: stop, remove consumequeue, start (Java: E1); and E2,
// where only the last unit misses.
func TestQueuesLostBehindACleanStop(t *testing.T) {
	for name, damage := range map[string]func(root string){
		"all queues":    func(root string) { require.NoError(t, os.RemoveAll(filepath.Join(root, "consumequeue"))) },
		"the last unit": func(root string) { cut(t, root, 16*consumequeue.UnitSize) },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			s := open(t, o)
			n := fill(t, s, 2, 0)
			put(t, s, group(s, &sink{}, "A", 0, n, 3, false)) // the last record is A's
			require.NoError(t, s.Close())
			damage(o.StorePathRootDir)
			s = open(t, o)
			verify(t, s, "A", 0, n+3)
			require.EqualValues(t, n+3, s.Find("A", 0).Next)
		})
	}
}

// TestRecoveryIsIdempotent damages a killed store in three ways, recovers it, and recovers a copy taken right
// behind the recovery: the files of both are the same in the end.
func TestRecoveryIsIdempotent(t *testing.T) {
	o := testOptions(t.TempDir())
	o.MappedFileSizeConsumeQueue = 6000
	s := open(t, o)
	n := fill(t, s, 30, 0)
	require.NoError(t, s.Close())
	root := o.StorePathRootDir
	end := s.Stats().MaxPhysical
	require.NoError(t, os.RemoveAll(filepath.Join(root, "skylark"))) // durable once, but we need a torn end
	setAbort(t, root)
	cut(t, root, 100*consumequeue.UnitSize)
	require.NoError(t, os.RemoveAll(filepath.Join(root, "consumequeue", "B")))
	path := filepath.Join(root, "commitlog", fileOf(end, o))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	clear(b[end%o.MappedFileSizeCommitLog-20:])
	require.NoError(t, os.WriteFile(path, b, 0o644))
	o = idle(o)
	once := open(t, o)
	twice := o
	twice.StorePathRootDir = snapshot(t, root)
	again := open(t, twice)
	require.Equal(t, once.Stats(), again.Stats())
	require.Less(t, once.Stats().MaxPhysical, end)
	for _, s := range []*Store{once, again} {
		verify(t, s, "A", 0, n)
		verify(t, s, "B", 3, n-1)
		require.NoError(t, s.Close())
	}
	for _, dir := range []string{"commitlog", "consumequeue", "checkpoint"} {
		require.Equal(t, tree(t, filepath.Join(root, dir)), tree(t, filepath.Join(twice.StorePathRootDir, dir)))
	}
}

func fileOf(offset int64, o Options) string {
	return segment.Name(offset - offset%o.MappedFileSizeCommitLog)
}

// TestStartBehindAMessageFromIPv6: its unit is the last of its queue, so the start looks at its record.
func TestStartBehindAMessageFromIPv6(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	k := &sink{}
	g := group(s, k, "A", 0, 0, 1, false)
	m := message.Message{Topic: "A", BornHost: message.HostOf(netip.MustParseAddrPort("[2001:db8::1]:9876")), Body: []byte("A-0-0")}
	g.Buf, _ = message.AppendRecord(nil, &m, "")
	g.Recs[0].Size = int32(len(g.Buf))
	put(t, s, g)
	require.Positive(t, s.StoreTime("A", 0, 0))
	require.NoError(t, s.Close())
	verify(t, open(t, o), "A", 0, 1)
}

// TestTransactionsHaveNoUnits: half messages that are prepared or rolled back are passed over by a rebuild.
func TestTransactionsHaveNoUnits(t *testing.T) {
	o := idle(testOptions(t.TempDir()))
	s := open(t, o)
	log := []byte{}
	for i, flag := range []int32{0, message.SysFlagPrepared, message.SysFlagCommit, message.SysFlagRollback} {
		m := message.Message{Topic: "A", SysFlag: flag, Body: []byte{byte(i)}}
		at := len(log)
		log, _ = message.AppendRecord(log, &m, "")
		message.Patch(log[at:], int64(i/2), int64(at), 1)
	}
	require.NoError(t, s.log.Write([][]byte{log}))
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	k := open(t, killed)
	require.EqualValues(t, 2, k.MaxOffset("A", 0))
	for offset, body := range []byte{0, 2} {
		b, res, err := k.Get(nil, GetRequest{Queue: k.Find("A", 0), Offset: int64(offset), MaxMessages: 1})
		require.NoError(t, err)
		require.Equal(t, Found, res.Status)
		r, err := message.Parse(b, true)
		require.NoError(t, err)
		require.Equal(t, []byte{body}, r.Body)
	}
}
