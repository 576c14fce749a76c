package consumequeue

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/segment"
)

func batchConfig(t testing.TB, units int64) *Config {
	c := config(t, 1)
	c.Batch, c.FileSize = true, BatchUnitSize*units
	return c
}

func TestBatchQueueFindsOffsets(t *testing.T) {
	c := batchConfig(t, 3)
	q := New(c, "T", 0)
	base, n := int64(0), []int16{1, 7, 2, 1, MaxBatch, 3, 1, 1, 9}
	var units []BatchUnit
	for i, m := range n {
		if i == 4 {
			base += 5 // offsets that no unit covers
		}
		u := BatchUnit{Unit{int64(i) * 100, 100, int64(i)}, int64(1000 + i/2), base, m}
		q.AppendBatch(u)
		units = append(units, u)
		base = u.End()
		if i == 5 {
			flush(t, q)
		}
	}
	look := func(q *Queue) {
		t.Helper()
		require.Equal(t, [2]int64{0, base}, [2]int64{q.Min(), q.Max()})
		at := 0
		for offset := int64(0); offset < base; offset += 1 + offset/3000*500 {
			for units[at].End() <= offset {
				at++
			}
			u, ok, err := q.AtBatch(offset)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, units[at], u, "at %d", offset)
			plain, covered, err := q.At(offset)
			require.NoError(t, err)
			require.Equal(t, u.Base <= offset, covered)
			require.Equal(t, u.Unit, plain)
		}
		for _, offset := range []int64{base, base + 1, 1<<63 - 1} {
			_, ok, err := q.AtBatch(offset)
			require.NoError(t, err)
			require.False(t, ok)
		}
		b := make([]byte, 4*BatchUnitSize)
		got, err := q.ReadBatch(3, b)
		require.NoError(t, err)
		require.Equal(t, 4, got)
		for i := range got {
			require.Equal(t, units[1+i], GetBatchUnit(b[i*BatchUnitSize:]))
		}
	}
	look(q)
	flush(t, q)
	look(q)
	all := func(*Queue, int64, Unit) (bool, error) { return true, nil }
	qs, err := Load(c, all)
	require.NoError(t, err)
	require.Len(t, qs, 1)
	look(qs[0])
	require.NoError(t, qs[0].CorrectMin(350))
	require.Equal(t, units[4].Base, qs[0].Min())
	require.True(t, qs[0].Expired())
	removed, err := qs[0].RemoveExpired()
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	require.NoError(t, qs[0].CorrectMin(900)) // all are gone
	require.Equal(t, [2]int64{base, base}, [2]int64{qs[0].Min(), qs[0].Max()})
	_, err = qs[0].RemoveExpired()
	require.NoError(t, err)
	qs, err = Load(c, all)
	require.NoError(t, err)
	require.Equal(t, base, qs[0].Max(), "where the offsets go on")
}

// FuzzBatchFiles opens files of any bytes: nothing panics, and what is read are units.
func FuzzBatchFiles(f *testing.F) {
	var b [4 * BatchUnitSize]byte
	for i := range int64(3) {
		PutBatchUnit(b[i*BatchUnitSize:], BatchUnit{Unit{i * 100, 100, 7}, 1000 + i, i * 3, 3})
	}
	f.Add(b[:], int64(4), int64(100))
	f.Add(b[BatchUnitSize:], int64(1<<62), int64(1))
	f.Fuzz(func(t *testing.T, b []byte, offset, at int64) {
		c := batchConfig(t, 4)
		dir := filepath.Join(c.Dir, "T", "0")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for i := int64(0); i < 2; i++ {
			file := make([]byte, c.FileSize)
			b = b[copy(file, b):]
			require.NoError(t, os.WriteFile(filepath.Join(dir, segment.Name(i*c.FileSize)), file, 0o644))
		}
		qs, err := Load(c, func(_ *Queue, base int64, _ Unit) (bool, error) { return base != at, nil })
		if err != nil || len(qs) == 0 {
			return
		}
		q := qs[0]
		_, _, err = q.AtBatch(offset)
		require.NoError(t, err)
		_, err = q.ReadBatch(offset, make([]byte, 3*BatchUnitSize))
		require.NoError(t, err)
		_, err = q.SearchTime(at, offset%2 == 0)
		require.NoError(t, err)
		require.NoError(t, q.CorrectMin(at))
		_, err = q.RemoveExpired()
		require.NoError(t, err)
		q.AppendBatch(BatchUnit{Unit{max(at, 0), 1, 1}, 1, q.Max() & (1<<40 - 1), 1})
		flush(t, q)
	})
}

// FuzzExt opens a consumequeue_ext of any bytes, with units that point anywhere into it.
func FuzzExt(f *testing.F) {
	f.Add([]byte("\x00\x16\x00\x00\x00\x00\x00\x00\x00\x61\x00\x00\x01\x8b\xcf\xe5\x68\x00\x00\x02ab\xff\xff"), int64(0), int64(22))
	f.Add([]byte("\x7f\xff"), int64(64), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, first, last int64) {
		c := config(t, 10)
		c.ExtDir, c.ExtFileSize = t.TempDir(), 64
		q := New(c, "T", 0)
		for i, at := range []int64{first, last} {
			q.Append(Unit{int64(i) * 100, 100, -1<<63 + at&(1<<62-1)})
		}
		flush(t, q)
		dir := filepath.Join(c.ExtDir, "T", "0")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for i := int64(0); i < 2; i++ {
			file := make([]byte, 64)
			b = b[copy(file, b):]
			require.NoError(t, os.WriteFile(filepath.Join(dir, segment.Name(i*64)), file, 0o644))
		}
		qs, err := Load(c, func(*Queue, int64, Unit) (bool, error) { return true, nil })
		require.NoError(t, err)
		q = qs[0]
		for n := range int64(2) {
			u, ok, err := q.At(n)
			require.NoError(t, err)
			require.True(t, ok)
			e, ok, err := q.ExtAt(n)
			require.NoError(t, err)
			require.Equal(t, ok, u.TagsCode == e.TagsCode && ok)
		}
		q.AppendExt(Unit{200, 100, 5}, ExtUnit{5, 1, []byte("bits")})
		u, _, err := q.At(2)
		require.NoError(t, err)
		require.EqualValues(t, 5, u.TagsCode)
		flush(t, q)
		e, ok, err := q.ExtAt(2)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "bits", string(e.BitMap))
		require.NoError(t, q.CorrectMin(150))
		_, err = q.RemoveExpired()
		require.NoError(t, err)
	})
}
