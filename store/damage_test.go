package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

// served reads queue A from its first offset to its last as a consumer does, and returns the bodies by offset.
func served(t *testing.T, s *Store, topic string, id int32) map[int64]string {
	t.Helper()
	q := s.Find(topic, id)
	require.NotNil(t, q)
	out := map[int64]string{}
	for at := q.Min(); at < q.Max(); {
		b, res, err := s.Get(nil, GetRequest{Queue: q, Offset: at, MaxMessages: 32})
		require.NoError(t, err)
		require.Greater(t, res.NextOffset, at, "a consumer is held up at %d by %s", at, res.Status)
		for len(b) > 0 {
			r, err := message.Parse(b, true)
			require.NoError(t, err)
			out[r.QueueOffset] = string(r.Body)
			b = b[r.Size:]
		}
		at = res.NextOffset
	}
	return out
}

// spoil overwrites n bytes of the log from offset on.
func spoil(t *testing.T, o Options, offset int64, n int) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(o.StorePathRootDir, "commitlog", fileOf(offset, o)), os.O_WRONLY, 0)
	require.NoError(t, err)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(0x55 + i)
	}
	_, err = f.WriteAt(b, offset%o.MappedFileSizeCommitLog)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// damagedStore returns a stopped store with n messages in A-0 and in B-3, and the unit of message i of A.
func damagedStore(t *testing.T) (o Options, n int, at func(i int) int64) {
	o = testOptions(t.TempDir())
	s := open(t, o)
	n = fill(t, s, 30, 0)
	var offsets []int64
	for i := range n {
		u, ok, err := s.Find("A", 0).At(int64(i))
		require.NoError(t, err)
		require.True(t, ok)
		offsets = append(offsets, u.PhysicalOffset)
	}
	require.NoError(t, s.Close())
	return o, n, func(i int) int64 { return offsets[i] }
}

// TestDamageIsContained: what is whole is served, by old and by rebuilt queues, killed or not, with a
// watermark and without; new messages are taken; the damaged bytes stay as they are, and the next start
// finds the same.
func TestDamageIsContained(t *testing.T) {
	origin, n, at := damagedStore(t)
	for _, x := range []struct {
		name                     string
		first, bytes             int
		killed, rebuild, foreign bool
	}{
		{"a body", 30, 120, true, false, false},
		{"a body and queues rebuilt", 30, 120, true, true, false},
		{"a body and queues rebuilt after a clean stop", 30, 120, false, true, false},
		{"many records", 20, 3000, true, true, false},
		{"the first record", 0, 100, true, true, false},
		{"the last record", n - 1, 100, true, true, false},
		{"over the end of a file", 60, 20000, true, true, false},
		{"a log of Java's", 30, 120, true, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := origin
			o.StorePathRootDir = snapshot(t, origin.StorePathRootDir)
			root := o.StorePathRootDir
			from := at(x.first)
			size := o.MappedFileSizeCommitLog
			for done := 0; done < x.bytes; { // file by file
				m := min(x.bytes-done, int(size-(from+int64(done))%size))
				spoil(t, o, from+int64(done), m)
				done += m
			}
			if x.killed {
				setAbort(t, root)
			}
			if x.rebuild {
				require.NoError(t, os.RemoveAll(filepath.Join(root, "consumequeue")))
			}
			require.NoError(t, os.Remove(filepath.Join(root, "checkpoint")))
			if x.foreign {
				require.NoError(t, os.RemoveAll(filepath.Join(root, "skylark")))
			}
			bad := tree(t, filepath.Join(root, "commitlog"))
			for range 2 {
				s := open(t, o)
				require.NotEmpty(t, s.Damaged())
				require.LessOrEqual(t, s.Damaged()[0].From, from)
				lost := 0
				got := served(t, s, "A", 0)
				for i := range n {
					if body, ok := got[int64(i)]; ok {
						require.Equal(t, fmt.Sprintf("A-0-%d", i), body)
					} else {
						lost++
						require.True(t, at(i)+200 > from && at(i) < from+int64(x.bytes), "message %d at %d is whole", i, at(i))
					}
				}
				require.Positive(t, lost)
				if x.first < n-1 {
					require.Len(t, got, n-lost)
					require.EqualValues(t, n, s.Find("A", 0).Max())
				}
				require.NoError(t, s.Close())
				require.NoError(t, os.Remove(filepath.Join(root, "checkpoint")))
				require.Equal(t, bad, tree(t, filepath.Join(root, "commitlog")), "nothing may be changed")
			}
			s := open(t, o)
			next := int(s.Find("A", 0).Max())
			k := &sink{}
			put(t, s, group(s, k, "A", 0, next, 5, false))
			require.NoError(t, s.Close())
			setAbort(t, root)
			s = open(t, o)
			got := served(t, s, "A", 0)
			for i := next; i < next+5; i++ {
				require.Equal(t, fmt.Sprintf("A-0-%d", i), got[int64(i)])
			}
		})
	}
}

// TestLostTailIsRefused: zeros where records were durable are a disk that lost them, or a folder put back
// from a copy. Going on would hide that, and Java would cut there later.
func TestLostTailIsRefused(t *testing.T) {
	o, n, at := damagedStore(t)
	path := filepath.Join(o.StorePathRootDir, "commitlog", fileOf(at(n-2), o))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	clear(b[at(n-2)%o.MappedFileSizeCommitLog:])
	require.NoError(t, os.WriteFile(path, b, 0o644))
	require.NoError(t, os.Remove(filepath.Join(o.StorePathRootDir, "checkpoint")))
	setAbort(t, o.StorePathRootDir)
	_, err = Open(o)
	require.ErrorContains(t, err, "messages are lost")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, b, after)
	require.NoError(t, os.Remove(filepath.Join(o.StorePathRootDir, "skylark", "watermark")))
	verify(t, open(t, o), "A", 0, n-2)
}

// TestWhatJavaCutStaysCut: behind the end of a log that Java cut stand whole records of its earlier life.
func TestWhatJavaCutStaysCut(t *testing.T) {
	o, n, at := damagedStore(t)
	root := o.StorePathRootDir
	end := at(n - 8)
	f, err := os.OpenFile(filepath.Join(root, "commitlog", fileOf(end, o)), os.O_RDWR, 0)
	require.NoError(t, err)
	// One newer record lies over the first of those that were cut, and ends inside the next.
	m := message.Message{Topic: "A", Body: make([]byte, 100)}
	b, err := message.AppendRecord(nil, &m, "")
	require.NoError(t, err)
	message.Patch(b, int64(n-8), end, 1<<50)
	_, err = f.WriteAt(b, end%o.MappedFileSizeCommitLog)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for _, name := range []string{"checkpoint", "skylark", "consumequeue"} {
		require.NoError(t, os.RemoveAll(filepath.Join(root, name)))
	}
	setAbort(t, root)
	s := open(t, o)
	require.Equal(t, end+int64(len(b)), s.Stats().MaxPhysical)
	require.Empty(t, s.Damaged())
	require.EqualValues(t, n-7, s.Find("A", 0).Max())
	got := served(t, s, "A", 0)
	require.Equal(t, fmt.Sprintf("A-0-%d", n-9), got[int64(n-9)])
}

// TestGarbageInQueuesIsNotServed: units that point anywhere give a consumer nothing but whole messages.
func TestGarbageInQueuesIsNotServed(t *testing.T) {
	o, n, _ := damagedStore(t)
	files, err := filepath.Glob(filepath.Join(o.StorePathRootDir, "consumequeue", "A", "0", "*"))
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		k := o
		k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
		path := filepath.Join(k.StorePathRootDir, "consumequeue", "A", "0", filepath.Base(files[0]))
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for range 5 {
			b[rnd.IntN(min(len(b), n*20)/2)] ^= 1 << rnd.IntN(8)
		}
		require.NoError(t, os.WriteFile(path, b, 0o644))
		s := open(t, k)
		for offset, body := range served(t, s, "A", 0) {
			require.Contains(t, body, "-", "round %d, offset %d", round, offset)
		}
		require.NoError(t, s.Close())
	}
}
