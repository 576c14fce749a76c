package index

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
)

// benchOptions has files of Java's size.
func benchOptions(b *testing.B) Options {
	return Options{FS: &faulty{}, Dir: filepath.Join(b.TempDir(), "index"), Slots: 5_000_000, Entries: 20_000_000, Logger: zerolog.Nop(),
		Min: func() int64 { return 0 }, Max: func() int64 { return 0 }}
}

func BenchmarkHashes(b *testing.B) {
	dst := make([]int32, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendHashes(dst[:0], "TopicTest", "7F0000010B6018B4AAC2130CB3C20000", "order-1234567 user-42", "TagA")
	}
}

// BenchmarkPut tells of messages with two keys; the builder is not there.
func BenchmarkPut(b *testing.B) {
	x, err := Open(benchOptions(b), true, 0)
	require.NoError(b, err)
	x.live = true
	hashes := []int32{1, 2}
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		x.Put(i*100, i*100+100, 1_700_000_000_000+i, hashes)
		if x.batch.n > maxPending-4 {
			x.batch = batch{}
		}
	}
}

// BenchmarkBuild writes batches of entries whose hashes lie anywhere; an op is an entry.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1000, 16 << 10, writeAt} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, err := Open(benchOptions(b), true, 0)
			require.NoError(b, err)
			b.Cleanup(func() { _ = x.Close() })
			f, err := x.writable()
			require.NoError(b, err)
			rnd := rand.New(rand.NewPCG(1, 2))
			entries := make([]entry, n)
			at := int64(0)
			b.ReportAllocs()
			for done := 0; done < b.N; done += n {
				b.StopTimer()
				for i := range entries {
					at += 100
					entries[i] = entry{at, 1_700_000_000_000 + at/1000, rnd.Int32()}
				}
				if f.head.count > f.entries-int32(n) {
					f.head = header{count: 1}
				}
				b.StartTimer()
				f.head, err = writeBatch(f, [][]entry{entries})
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkRepair checks and mends a file after an unclean stop; an op is an entry.
func BenchmarkRepair(b *testing.B) {
	x, err := Open(benchOptions(b), true, 0)
	require.NoError(b, err)
	b.Cleanup(func() { _ = x.Close() })
	f, err := x.writable()
	require.NoError(b, err)
	rnd := rand.New(rand.NewPCG(1, 2))
	entries := make([]entry, writeAt)
	for at := int64(0); int(f.head.count) < b.N; {
		for i := range entries {
			at += 100
			entries[i] = entry{at, 1_700_000_000_000 + at/1000, rnd.Int32()}
		}
		f.head, err = writeBatch(f, [][]entry{entries})
		require.NoError(b, err)
	}
	b.ResetTimer()
	end, err := f.valid(math.MaxInt64)
	require.NoError(b, err)
	require.Equal(b, f.head.count, end)
	require.NoError(b, f.rebuild(end))
}

// BenchmarkQuery looks a unique key up in a file with three million entries, all in the page cache.
func BenchmarkQuery(b *testing.B) {
	o := benchOptions(b)
	o.FS = fsys.OS{}
	x, err := Open(o, true, 0)
	require.NoError(b, err)
	b.Cleanup(func() { _ = x.Close() })
	x.live = true
	const n = 3 << 20
	for i := range int64(n) {
		x.Put(i*100, i*100+100, 1_700_000_000_000+i, []int32{Hash("T", fmt.Sprint(i))})
		if i%writeAt == 0 {
			require.NoError(b, x.writeAll())
		}
	}
	require.NoError(b, x.writeAll())
	rnd := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		i := rnd.Int64N(n)
		got, err := x.Query("T", fmt.Sprint(i), 32, 0, math.MaxInt64, 0)
		if err != nil || len(got) == 0 {
			b.Fatal(i, got, err)
		}
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	x, err := Open(newRig(t).o, true, 0)
	require.NoError(t, err)
	x.live = true
	var hashes []int32
	require.Less(t, testing.AllocsPerRun(10_000, func() {
		hashes = AppendHashes(hashes[:0], "TopicTest", "7F0000010B6018B4AAC2130CB3C20000", "order ключ", "TagA")
		x.Put(x.next, x.next+100, 1, hashes)
	}), 1.0)
	require.Equal(t, 40_004, x.batch.n)
	x.batch = batch{}
	require.NoError(t, x.Close())
}
