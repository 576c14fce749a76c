package store

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// longs reads the six fields of the checkpoint in root.
func longs(t testing.TB, root string) (out [6]int64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	require.NoError(t, err)
	require.Len(t, b, checkpointSize)
	for i := range out {
		out[i] = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	require.Equal(t, make([]byte, checkpointSize-48), b[48:])
	return out
}

func setLongs(t testing.TB, root string, v [6]int64) {
	t.Helper()
	b := make([]byte, checkpointSize)
	for i := range v {
		binary.BigEndian.PutUint64(b[8*i:], uint64(v[i]))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "checkpoint"), b, 0o644))
}

func setAbort(t testing.TB, root string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(root, "abort"), []byte("1"), 0o644))
}

func TestFirstStopLeavesAnEmptyCheckpoint(t *testing.T) {
	o := testOptions(t.TempDir())
	require.NoError(t, open(t, o).Close())
	require.Equal(t, [6]int64{}, longs(t, o.StorePathRootDir))
	s := open(t, o)
	fill(t, s, 3, 0)
}

// TestCheckpointIsWrittenWhileRunning: not only a stop writes it; what Java's other roles put there stays.
func TestCheckpointIsWrittenWhileRunning(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = fs, 1<<30, 10
	now := time.UnixMilli(1_700_000_000_000)
	o.Now = func() time.Time { return now }
	require.NoError(t, os.MkdirAll(o.StorePathRootDir, 0o755))
	setLongs(t, o.StorePathRootDir, [6]int64{0, 0, 11, 22, 33, 0})
	s := open(t, o)
	wrote := make(chan struct{}, 1000)
	fs.set(func(op, path string) error {
		if op == "write" && filepath.Base(path) == "watermark" { // comes right behind the checkpoint
			wrote <- struct{}{}
		}
		return nil
	})
	fill(t, s, 2, 0)
	end := s.Stats().MaxPhysical
	for longs(t, o.StorePathRootDir)[5] != end {
		<-wrote
	}
	require.Equal(t, [6]int64{now.UnixMilli(), now.UnixMilli(), 11, 22, 33, end}, longs(t, o.StorePathRootDir))
	require.Equal(t, end, s.Stats().Flushed)
}

// TestStaleCheckpointCostsOnlyTime starts with the checkpoint of an earlier moment, and as from Java before
// 5.4, which has no sixth field.
func TestStaleCheckpointCostsOnlyTime(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 20, 0)
	require.NoError(t, s.Close())
	early := longs(t, o.StorePathRootDir)
	s = open(t, o)
	n = fill(t, s, 60, n)
	require.NoError(t, s.Close())
	late := longs(t, o.StorePathRootDir)
	require.Greater(t, late[5], early[5]+4*o.MappedFileSizeCommitLog)
	for name, cp := range map[string][6]int64{
		"stale":       early,
		"Java 5.3":    {late[0], late[1], 0, 0, 0, 0},
		"stale 5.3":   {early[0], early[1], 0, 0, 0, 0},
		"after times": {late[0] + 1e6, late[1] + 1e6, 0, 0, 0, 0},
	} {
		for _, killed := range []bool{false, true} {
			t.Run(name+" killed "+strconv.FormatBool(killed), func(t *testing.T) {
				k := o
				k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
				setLongs(t, k.StorePathRootDir, cp)
				if killed {
					setAbort(t, k.StorePathRootDir)
				}
				s := open(t, k)
				verify(t, s, "A", 0, n)
				verify(t, s, "B", 3, n)
				require.Equal(t, late[5], s.Stats().MaxPhysical)
				verify(t, s, "A", 0, fill(t, s, 2, n))
			})
		}
	}
}

// TestCheckpointAheadOfTheLog: Java never takes its sixth field back when a recovery cuts the log.
func TestCheckpointAheadOfTheLog(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 5, 0)
	end := s.Stats().MaxPhysical
	require.NoError(t, s.Close())
	cp := longs(t, o.StorePathRootDir)
	cp[5] += 1000
	setLongs(t, o.StorePathRootDir, cp)
	s = open(t, o)
	require.Equal(t, end, s.Stats().MaxPhysical)
	n = fill(t, s, 2, n)
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	verify(t, open(t, killed), "A", 0, n)
}

// TestCheckpointAnywhereInTheLastBytes: a damaged checkpoint names the last bytes of a file.
func TestCheckpointAnywhereInTheLastBytes(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 30, 0)
	require.NoError(t, s.Close())
	for left := range int64(8) {
		k := o
		k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
		setLongs(t, k.StorePathRootDir, [6]int64{5: o.MappedFileSizeCommitLog - left - 1})
		verify(t, open(t, k), "A", 0, n)
	}
}

// TestGarbageTimesAreNotTaken: the checkpoint has no checksum, and store timestamps never go back.
func TestGarbageTimesAreNotTaken(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 5, 0)
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(filepath.Join(o.StorePathRootDir, "checkpoint"), []byte(strings.Repeat("garbage!", 512)), 0o644))
	s = open(t, o)
	m := fill(t, s, 1, n)
	verify(t, s, "A", 0, m)
	require.Less(t, s.StoreTime("A", 0, int64(n)), time.Now().Add(time.Hour).UnixMilli())
}

// slot returns the bytes of one watermark slot.
func slot(t *testing.T, root string, i int) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "skylark", "watermark"))
	require.NoError(t, err)
	require.Len(t, b, 2*watermarkSlot)
	return b[i*watermarkSlot:][:watermarkSize]
}

// TestWatermarkSlots pins the bytes, that the slots are written in turn, and that a torn one leaves the other.
func TestWatermarkSlots(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 2, 0)
	require.NoError(t, s.Close())
	end := s.Stats().MaxPhysical
	w := mark(t, s)
	require.Equal(t, end, w.offset)
	b := binary.BigEndian.AppendUint64(nil, uint64(end))
	b = binary.BigEndian.AppendUint64(b, uint64(w.sequence))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	require.Equal(t, b, slot(t, o.StorePathRootDir, int(w.sequence%2)))

	s = open(t, o)
	n = fill(t, s, 2, n)
	require.NoError(t, s.Close())
	newer := mark(t, s)
	require.Greater(t, newer.sequence, w.sequence)
	require.Equal(t, s.Stats().MaxPhysical, newer.offset)
	path := filepath.Join(o.StorePathRootDir, "skylark", "watermark")
	all, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range watermarkSize {
		torn := append([]byte(nil), all...)
		torn[int(newer.sequence%2)*watermarkSlot+i] ^= 1
		require.NoError(t, os.WriteFile(path, torn, 0o644))
		got := mark(t, s)
		require.Equal(t, newer.sequence-1, got.sequence, "bit in byte %d", i)
	}
	require.NoError(t, os.Truncate(path, watermarkSlot+7))
	mark(t, s)
	require.NoError(t, os.Remove(path))
	require.Zero(t, mark(t, s))
	verify(t, open(t, o), "A", 0, n)
}

// TestAbortFile: there while the store runs, its process id in it, gone after a clean stop only.
func TestAbortFile(t *testing.T) {
	o := testOptions(t.TempDir())
	abort := filepath.Join(o.StorePathRootDir, "abort")
	for range 2 {
		s := open(t, o)
		b, err := os.ReadFile(abort)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(os.Getpid()), string(b))
		_, err = Open(o) // refused; it must not touch the file of the one that runs
		require.Error(t, err)
		require.FileExists(t, abort)
		require.NoError(t, s.Close())
		require.NoFileExists(t, abort)
	}
	require.NoError(t, os.WriteFile(filepath.Join(o.StorePathRootDir, "commitlog", "stray"), []byte("x"), 0o644))
	_, err := Open(o)
	require.Error(t, err)
	require.NoFileExists(t, abort, "a start that was refused is no crash")
}

func TestAbortFileOfALongerProcessID(t *testing.T) {
	o := testOptions(t.TempDir())
	require.NoError(t, os.WriteFile(filepath.Join(o.StorePathRootDir, "abort"), []byte("12345678901234"), 0o644))
	open(t, o)
	b, err := os.ReadFile(filepath.Join(o.StorePathRootDir, "abort"))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid()), string(b))
}

func mark(t *testing.T, s *Store) watermark {
	t.Helper()
	w, err := readWatermark(s.o.FS, s.o.StorePathRootDir)
	require.NoError(t, err)
	return w
}
