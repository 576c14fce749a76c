package commitlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

const fileSize = 4 << 10

func open(t testing.TB, dir string, size int64) *Log {
	t.Helper()
	l, err := Open(Options{FS: fsys.OS{}, Dirs: []string{filepath.Join(dir, "commitlog")}, FileSize: size, CacheBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// record returns a record of exactly size bytes for offset at.
func record(t testing.TB, at int64, size int) []byte {
	t.Helper()
	m := message.Message{Topic: "T", BornTimestamp: 1}
	b, err := message.AppendRecord(nil, &m, "")
	require.NoError(t, err)
	m.Body = bytes.Repeat([]byte{byte(at/7 + 1)}, size-len(b))
	b, err = message.AppendRecord(nil, &m, "")
	require.NoError(t, err)
	require.Len(t, b, size)
	message.Patch(b, at, at, 1000+at)
	return b
}

// write appends a record of size bytes as the store does, rolling when it does not fit.
func write(t testing.TB, l *Log, size int) (at int64, b []byte) {
	t.Helper()
	if int64(size)+message.BlankSize > l.Left(l.End()) {
		require.NoError(t, l.Fill())
	}
	at = l.End()
	b = record(t, at, size)
	require.NoError(t, l.Write([][]byte{b[:size/2], b[size/2:]}))
	return at, b
}

// scan returns where the records from offset on begin, and the scanner.
func scan(l *Log, offset int64) (starts []int64, s *Scanner) {
	s = l.Scan(offset)
	for {
		r, b, ok := s.Next()
		if !ok {
			return starts, s
		}
		if len(b) != r.Size {
			panic("length")
		}
		starts = append(starts, r.PhysicalOffset)
	}
}

func TestRecordsNeverSpanFiles(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, fileSize)
	want := map[int64][]byte{}
	var starts []int64
	add := func(size int) {
		at, b := write(t, l, size)
		want[at] = b
		starts = append(starts, at)
	}
	add(1000)
	add(fileSize - 1000 - message.BlankSize) // just fits: 8 bytes stay for the blank
	require.EqualValues(t, fileSize-message.BlankSize, l.End())
	add(200) // a new file
	require.EqualValues(t, fileSize, starts[2])
	add(fileSize - 200 - message.BlankSize + 1) // one byte too many
	require.EqualValues(t, 2*fileSize, starts[3])
	for at, b := range want {
		for _, dense := range []bool{true, false} {
			got, err := l.Read([]byte("x"), at, len(b), dense)
			require.NoError(t, err)
			require.Equal(t, b, got[1:])
		}
		size, stamp, err := l.Head(at)
		require.NoError(t, err)
		require.Equal(t, len(b), size)
		require.Equal(t, 1000+at, stamp)
	}
	first, err := os.ReadFile(filepath.Join(dir, "commitlog", segment.Name(0)))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 8, 0xCB, 0xD4, 0x31, 0x94}, first[fileSize-8:], "the blank record: what is left, and CommitLog.BLANK_MAGIC_CODE")

	got, s := scan(l, 0)
	require.Equal(t, starts, got)
	require.NoError(t, s.Err())
	require.Equal(t, l.End(), s.At())
}

func TestOutsideIsNoRecord(t *testing.T) {
	l := open(t, t.TempDir(), fileSize)
	at, b := write(t, l, 200)
	for _, x := range [][2]int64{{-1, 10}, {at, 201}, {l.End(), 1}, {at, 0}, {1 << 40, 10}} {
		_, err := l.Read(nil, x[0], int(x[1]), false)
		require.ErrorIs(t, err, ErrNoRecord, x)
		_, err = l.Read(nil, x[0], int(x[1]), true)
		require.ErrorIs(t, err, ErrNoRecord, x)
	}
	for _, offset := range []int64{1, 100, l.End(), -8, fileSize - 1} {
		_, _, err := l.Head(offset)
		require.ErrorIs(t, err, ErrNoRecord, offset)
	}
	_, r, err := l.Record(nil, at)
	require.NoError(t, err)
	require.Equal(t, len(b), r.Size)
}

// TestTornTailIsCut cuts the last record at every length, and flips a bit in every byte.
func TestTornTailIsCut(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, fileSize)
	write(t, l, 300)
	last, b := write(t, l, 150)
	path := filepath.Join(dir, "commitlog", segment.Name(0))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	check := func(damaged []byte, what string, i int) {
		_, err := f.WriteAt(damaged, last)
		require.NoError(t, err)
		got, s := scan(l, 0)
		require.Equal(t, []int64{0}, got, "%s %d", what, i)
		require.Equal(t, last, s.At(), "%s %d", what, i)
	}
	for n := range b {
		torn := make([]byte, len(b))
		copy(torn, b[:n])
		if bytes.Equal(torn, b) {
			continue // the bytes behind are zeros anyway
		}
		check(torn, "cut at", n)
	}
	free := map[int]bool{} // fields nothing in the record vouches for: the log has no checksum over its headers
	for i := range b {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x10
		_, err := f.WriteAt(flipped, last)
		require.NoError(t, err)
		if got, _ := scan(l, 0); len(got) == 2 {
			free[i] = true
			continue
		}
		check(flipped, "flipped", i)
	}
	for i := range free {
		require.False(t, i < 8 || i >= 28 && i < 36 || i >= 88 && i < len(b)-4, "a flipped bit in byte %d was not seen: size, magic, own offset and body must be", i)
	}
}

func TestScannerTellsDamageFromTheEnd(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, fileSize)
	var starts []int64
	for range 30 {
		at, _ := write(t, l, 500)
		starts = append(starts, at)
	}
	_, found := l.ValidBehind(l.End())
	require.False(t, found, "nothing follows the end")
	path := filepath.Join(dir, "commitlog", segment.Name(fileSize))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("garbage!"), 500) // the second record of the second file
	require.NoError(t, err)
	_, s := scan(l, 0)
	require.Error(t, s.Err())
	require.EqualValues(t, fileSize+500, s.At())
	r, found := l.ValidBehind(s.At())
	require.True(t, found)
	require.Contains(t, starts, r.PhysicalOffset)
}

func TestWhatIsCutNeverComesBack(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, fileSize)
	var starts []int64
	for range 20 {
		at, _ := write(t, l, 500)
		starts = append(starts, at)
	}
	cut := starts[3]
	require.NoError(t, l.SetEnd(cut, true))
	require.NoError(t, l.Close())
	l = open(t, dir, fileSize)
	got, s := scan(l, 0)
	require.Equal(t, starts[:3], got)
	require.NoError(t, s.Err())
	require.NoError(t, l.SetEnd(s.At(), false))
	require.Equal(t, cut, l.End())
	// A record of the same length must not make the old ones behind it visible again.
	at, _ := write(t, l, 500)
	require.Equal(t, cut, at)
	got, _ = scan(l, 0)
	require.Equal(t, starts[:4], got)
	require.Len(t, l.FileStarts(), 1)
}

// TestCacheReadsWhatTheFilesHold reads ranges across cache blocks and file ends while the log grows.
func TestCacheReadsWhatTheFilesHold(t *testing.T) {
	const size = 5*blockSize + 12345 // files end inside a block
	l := open(t, t.TempDir(), size)
	rng := rand.New(rand.NewPCG(1, 2))
	type rec struct {
		at int64
		b  []byte
	}
	var recs []rec
	for l.End() < 3*size {
		at, b := write(t, l, 1000+rng.IntN(60000))
		recs = append(recs, rec{at, b})
		for range 3 {
			r := recs[rng.IntN(len(recs))]
			from := rng.IntN(len(r.b))
			n := 1 + rng.IntN(len(r.b)-from)
			got, err := l.Read(nil, r.at+int64(from), n, true)
			require.NoError(t, err)
			require.True(t, bytes.Equal(r.b[from:from+n], got), "%d bytes at %d", n, r.at)
		}
		if rng.IntN(10) == 0 {
			l.Trim()
		}
	}
	require.LessOrEqual(t, len(l.cache.ring), l.cache.limit)
	l.Trim()
	l.Trim()
	require.Empty(t, l.cache.ring, "memory nobody uses is given back")
}

func TestUnfinishedNextFileIsThrownAway(t *testing.T) {
	dir := t.TempDir()
	prep := filepath.Join(dir, "skylark", "prep")
	require.NoError(t, os.MkdirAll(prep, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(prep, "next"), []byte("half"), 0o644))
	l := open(t, dir, fileSize)
	for range 10 {
		write(t, l, 1000)
	}
	require.NoError(t, l.Sync(0, l.End()))
	require.NoError(t, l.Close())
	left, err := os.ReadDir(prep)
	require.NoError(t, err)
	require.Empty(t, left)
}

// FuzzScanner makes one file of arbitrary bytes. Whatever they are, the scanner ends, inside the file, and
// what it returns is whole.
func FuzzScanner(f *testing.F) {
	f.Add(record(f, 0, 100), int64(0))
	f.Add(append(record(f, 0, 100), record(f, 100, 200)...), int64(100))
	f.Add(message.AppendBlank(nil, fileSize), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, from int64) {
		if len(b) > 2*fileSize || from < 0 || from > 2*fileSize {
			return
		}
		dir := t.TempDir()
		all := make([]byte, 2*fileSize)
		copy(all, b)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "commitlog"), 0o755))
		for i := range int64(2) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "commitlog", segment.Name(i*fileSize)), all[i*fileSize:(i+1)*fileSize], 0o644))
		}
		l := open(t, dir, fileSize)
		at := from
		s := l.Scan(from)
		for {
			r, rec, ok := s.Next()
			if !ok {
				break
			}
			if r.PhysicalOffset < at || len(rec) != r.Size || s.At() != r.PhysicalOffset+int64(r.Size) || s.At() > 2*fileSize ||
				!bytes.Equal(rec, all[r.PhysicalOffset:s.At()]) {
				t.Fatal(fmt.Sprint("record at ", r.PhysicalOffset, " of ", r.Size, " bytes, scanner at ", s.At()))
			}
			at = s.At()
		}
		l.ValidBehind(s.At())
	})
}
