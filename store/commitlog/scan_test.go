package commitlog

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// image makes a log of these files, whose bytes past those given are zero.
func image(t testing.TB, files ...[]byte) *Log {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "commitlog"), 0o755))
	for i, b := range files {
		all := make([]byte, fileSize)
		require.LessOrEqual(t, copy(all, b), fileSize)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "commitlog", segment.Name(int64(i)*fileSize)), all, 0o644))
	}
	return open(t, dir, fileSize)
}

func records(t testing.TB, at int64, sizes ...int) []byte {
	var b []byte
	for _, n := range sizes {
		b = append(b, record(t, at+int64(len(b)), n)...)
	}
	return b
}

func TestScanStartsAtAnyRecord(t *testing.T) {
	first := message.AppendBlank(records(t, 0, 1000, 2000), fileSize-3000)
	l := image(t, first, records(t, fileSize, 300, 400))
	all := []int64{0, 1000, fileSize, fileSize + 300}
	for i, from := range all {
		got, s := scan(l, from)
		require.Equal(t, all[i:], got)
		require.NoError(t, s.Err())
		require.EqualValues(t, fileSize+700, s.At())
	}
	got, s := scan(l, 3000) // at the blank
	require.Equal(t, all[2:], got)
	require.NoError(t, s.Err())
	for _, outside := range []int64{2 * fileSize, 100 * fileSize} {
		got, s := scan(l, outside)
		require.Empty(t, got)
		require.NoError(t, s.Err())
		require.Equal(t, outside, s.At())
	}
	got, s = scan(l, 500) // inside a record
	require.Empty(t, got)
	require.Error(t, s.Err())
	require.EqualValues(t, 500, s.At())
}

// TestBlankMustFillItsFile: a blank that does not reach exactly to the file's end, or of which only a part
// was written, is where the log ends. What stands behind its 8 bytes may be anything, as Java leaves it.
func TestBlankMustFillItsFile(t *testing.T) {
	recs, next := records(t, 0, 1000), records(t, fileSize, 300)
	whole := message.AppendBlank(nil, fileSize-1000)
	for name, x := range map[string]struct {
		blank []byte
		ok    bool
		err   bool
	}{
		"whole":              {whole, true, false},
		"stale bytes behind": {append(bytes.Clone(whole), bytes.Repeat([]byte{0xAA}, 500)...), true, false},
		"too long":           {message.AppendBlank(nil, fileSize-999), false, true},
		"too short":          {message.AppendBlank(nil, fileSize-1001), false, true},
		"no size":            {message.AppendBlank(nil, 0), false, true},
		"no magic":           {whole[:4], false, true},
		"half a magic":       {whole[:6], false, true},
		"never written":      {nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, s := scan(image(t, append(bytes.Clone(recs), x.blank...), next), 0)
			require.Equal(t, x.err, s.Err() != nil)
			if x.ok {
				require.Equal(t, []int64{0, fileSize}, got)
				return
			}
			require.Equal(t, []int64{0}, got)
			require.EqualValues(t, 1000, s.At())
		})
	}
}

// TestSizesThatCannotBe: a record must leave 8 bytes of its file and be large enough to be one.
func TestSizesThatCannotBe(t *testing.T) {
	const fits = fileSize - message.BlankSize
	got, _ := scan(image(t, records(t, 0, fits)), 0)
	require.Equal(t, []int64{0}, got)
	for _, size := range []int32{fits + 1, fileSize, fileSize + 1, message.MinRecord - 1, 8, 1, -1, -1 << 31, 1<<31 - 1} {
		b := records(t, 0, fits)
		binary.BigEndian.PutUint32(b, uint32(size))
		got, s := scan(image(t, b), 0)
		require.Empty(t, got, size)
		require.Error(t, s.Err(), size)
	}
}

// TestRecordOfAnotherPlaceIsNotTaken: a whole record that says it is elsewhere got here by a misdirected
// write, or was left by an earlier owner of the file.
func TestRecordOfAnotherPlaceIsNotTaken(t *testing.T) {
	l := image(t, append(records(t, 0, 1000), records(t, 1001, 500)...))
	got, s := scan(l, 0)
	require.Equal(t, []int64{0}, got)
	require.ErrorContains(t, s.Err(), "says it is at 1001")
	_, found := l.ValidBehind(0)
	require.False(t, found)
}

func TestScanNearAFilesEnd(t *testing.T) {
	l := image(t, records(t, 0, 1000))
	for left := range int64(message.BlankSize) {
		got, s := scan(l, fileSize-left)
		require.Empty(t, got)
		require.Equal(t, fileSize-left, s.At())
	}
}

// TestPropertiesMayEndInAnything: the elements of a client's batch are stored as they are.
func TestPropertiesMayEndInAnything(t *testing.T) {
	m := message.Message{Topic: "T", Body: []byte("x")}
	b, err := message.AppendRecord(nil, &m, "KEYS\x01a\x00")
	require.NoError(t, err)
	message.Patch(b, 0, 0, 1)
	n := int64(len(b))
	got, s := scan(image(t, append(b, records(t, n, 200)...)), 0)
	require.NoError(t, s.Err())
	require.Equal(t, []int64{0, n}, got)
}

// TestValidBehindFindsTheNearest looks in the rest of the file, and at the start of later files.
func TestValidBehindFindsTheNearest(t *testing.T) {
	junk := bytes.Repeat([]byte{0x5A}, 700)
	last := int64(fileSize - message.BlankSize - 200)
	atTheEnd := make([]byte, last)
	atTheEnd = append(atTheEnd, records(t, last, 200)...)
	for name, x := range map[string]struct {
		files [][]byte
		from  int64
		want  int64 // -1: nothing
	}{
		"odd offset":            {[][]byte{append(bytes.Clone(junk[:333]), records(t, 333, 200)...)}, 0, 333},
		"last place of a file":  {[][]byte{atTheEnd}, 0, last},
		"start of a later file": {[][]byte{junk, junk, records(t, 2*fileSize, 150)}, 100, 2 * fileSize},
		"inside a later file":   {[][]byte{junk, append(bytes.Clone(junk), records(t, fileSize+700, 150)...)}, 0, fileSize + 700},
		"itself does not count": {[][]byte{records(t, 0, 200)}, 0, -1},
		"torn one does not":     {[][]byte{append(bytes.Clone(junk), records(t, 700, 200)[:180]...)}, 0, -1},
		"magics alone":          {[][]byte{bytes.Repeat([]byte{0, 0, 0, 100, 0xDA, 0xA3, 0x20, 0xA7}, 400)}, 0, -1},
		"empty":                 {[][]byte{nil}, 0, -1},
		"no file":               {nil, 0, -1},
		"behind all files":      {[][]byte{junk}, 5 * fileSize, -1},
	} {
		t.Run(name, func(t *testing.T) {
			r, found := image(t, x.files...).ValidBehind(x.from)
			require.Equal(t, x.want >= 0, found)
			if found {
				require.Equal(t, x.want, r.PhysicalOffset)
			}
		})
	}
}

// TestScanOverPieces has records across the scanner's read size, so that its buffer is filled anew inside one.
func TestScanOverPieces(t *testing.T) {
	const size = 2*scanPiece + 100_000
	l, err := Open(Options{FS: fsys.OS{}, Dirs: []string{filepath.Join(t.TempDir(), "commitlog")}, FileSize: size})
	require.NoError(t, err)
	defer l.Close()
	var want []int64
	for l.End() < size+200_000 {
		at, _ := write(t, l, 70_001)
		want = append(want, at)
	}
	got, s := scan(l, 0)
	require.Equal(t, want, got)
	require.NoError(t, s.Err())
}

// TestDenseReadOverAFilesEndIsNoRecord: a unit that is wrong must look the same by either way of reading.
func TestDenseReadOverAFilesEndIsNoRecord(t *testing.T) {
	for _, size := range []int64{fileSize, 2 * blockSize} {
		l := open(t, t.TempDir(), size)
		for l.End() < 2*size {
			write(t, l, 2000)
		}
		for _, dense := range []bool{false, true} {
			_, err := l.Read(nil, size-100, 200, dense)
			require.ErrorIs(t, err, ErrNoRecord, "dense %v, files of %d", dense, size)
		}
	}
}
