package compaction

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

func mustOpen(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := open(fsys.OS{}, dir)
	require.NoError(t, err)
	t.Cleanup(l.s.Close)
	return l
}

func add(t *testing.T, l *Log, ms ...Message) {
	t.Helper()
	require.NoError(t, l.Append(ms, ms[len(ms)-1].QueueOffset+1))
}

func read(t *testing.T, l *Log, from int64) []entry {
	t.Helper()
	es, err := all(l, from)
	require.NoError(t, err)
	return es
}

func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, Dir), func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); err == nil && !d.IsDir() {
			out = append(out, rel)
		}
		return err
	}))
	return out
}

// TestSizes holds the sizes of files against those that Java's broker has made, with its defaults and others.
func TestSizes(t *testing.T) {
	for _, c := range [][4]int64{{100 << 20, 10 << 20, 104857460, 10485746}, {1, 10 << 20, 5 * 10485746, 10485746}, {4600, 460, 5060, 460}, {4800, 460, 4600, 460}, {4900, 460, 5060, 460}} {
		log, cq := FileSizes(c[0], c[1])
		require.Equal(t, c[2:], []int64{log, cq}, "%v", c)
	}
}

func TestLastValueOfEachKeyStays(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	require.True(t, l.Empty())
	var ms []Message
	for i := range int64(40) {
		ms = append(ms, record(t, i, fmt.Sprint("key", i%4), fmt.Sprint("value", i)))
	}
	ms[33] = record(t, 33, "key1", "") // the last of key1 in a closed file
	ms[37] = record(t, 37, "other", "x")
	add(t, l, ms...)
	require.Len(t, read(t, l, 0), 40)
	before := len(*l.pairs.Load())
	require.Greater(t, before, 3)
	closed := (*l.pairs.Load())[before-1].first // what is in the last pair stays
	require.NoError(t, l.Compact(never))
	got := read(t, l, 0)
	var want []int64
	for i := range closed {
		if m := i % 4; i+4 >= closed && !(m == 1) {
			want = append(want, i)
		}
	}
	for i := closed; i < 40; i++ {
		want = append(want, i)
	}
	require.Equal(t, want, offsets(got))
	require.EqualValues(t, want[0], l.Min())
	require.EqualValues(t, 40, l.Next())
	require.Equal(t, []int64{want[3], want[4]}, offsets(read(t, l, want[2]+1)[:2]), "a gap is passed over")
	require.Empty(t, read(t, l, 40))
	require.NoDirExists(t, filepath.Join(dir, "skylark", "compaction", "T", "3"))

	again := mustOpen(t, dir)
	require.Equal(t, got, read(t, again, 0))
	require.EqualValues(t, 40, again.Next())
	add(t, again, record(t, 50, "key2", "new"), record(t, 51, "key3", "new"))
	add(t, again, record(t, 51, "key3", "again"), record(t, 52, "key0", "new")) // the first is there already
	es := read(t, again, 50)
	require.Equal(t, []entry{{50, "key2", "new"}, {51, "key3", "new"}, {52, "key0", "new"}}, es)
	require.NoError(t, again.Compact(never))
	// Nothing is left to do in the closed files.
	names := files(t, dir)
	require.NoError(t, again.Compact(never))
	require.Equal(t, names, files(t, dir))
}

// TestRoundBehindOneWithoutWork: a round that finds nothing out of date leaves nothing that the next one, which makes
// files of the same names, would take for its own.
func TestRoundBehindOneWithoutWork(t *testing.T) {
	l := mustOpen(t, t.TempDir())
	l.o.Handles = segment.NewHandles(fsys.OS{}, 256)
	next := int64(0)
	fill := func(key string) {
		var ms []Message
		for i := range 20 {
			ms = append(ms, record(t, next, fmt.Sprint(key, i), fmt.Sprint("value", next)))
			next++
		}
		add(t, l, ms...)
		require.NoError(t, l.Compact(never))
	}
	fill("a")
	fill("b")
	require.Len(t, read(t, l, 0), 40)
	fill("a")
	fill("c")
	got := map[string]int64{}
	for _, e := range read(t, l, 0) {
		got[e.key] = e.offset
	}
	require.Len(t, got, 60)
	for i := range 20 {
		require.EqualValues(t, 40+i, got[fmt.Sprint("a", i)])
		require.EqualValues(t, 20+i, got[fmt.Sprint("b", i)])
	}
	require.Less(t, len(read(t, l, 0)), 80)
}

// TestFewKeysFit: with room for 100 keys a round does what it can, and the next one the rest.
func TestFewKeysFit(t *testing.T) {
	l := mustOpen(t, t.TempDir())
	l.o.MapSize = 1
	next := int64(0)
	var ms []Message
	for range 2 {
		for i := range 150 {
			ms = append(ms, record(t, next, fmt.Sprint("key", i), fmt.Sprint("value", next)))
			next++
		}
	}
	add(t, l, ms...)
	for range 4 {
		require.NoError(t, l.Compact(never))
	}
	last := (*l.pairs.Load())[len(*l.pairs.Load())-1].first
	seen := map[string]int64{}
	for _, e := range read(t, l, 0) {
		if before, ok := seen[e.key]; ok {
			require.GreaterOrEqual(t, e.offset, last, "%s also at %d", e.key, before)
		}
		seen[e.key] = e.offset
	}
	require.Len(t, seen, 150)
	for _, offset := range seen {
		require.GreaterOrEqual(t, offset, int64(150))
	}
}

// TestRoundLetsOthersIn: messages come, and pairs, while a round runs; and a queue is deleted meanwhile.
func TestRoundLetsOthersIn(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	body := string(make([]byte, 1000))
	l.o.LogFileSize, l.o.CqFileSize = 46*1000*100, 46*1000
	next := int64(0)
	fill := func(n int) {
		var ms []Message
		for range n {
			ms = append(ms, record(t, next, fmt.Sprint("key", next%10), body))
			next++
		}
		add(t, l, ms...)
	}
	fill(10000)
	pauses := 0
	require.NoError(t, l.Compact(func() error {
		pauses++
		fill(1000)
		return nil
	}))
	require.Greater(t, pauses, 2)
	es := read(t, l, 0)
	require.EqualValues(t, next-1, es[len(es)-1].offset)
	require.Less(t, es[0].offset, es[len(es)-1].offset)
	require.Less(t, len(es), int(next)-8000)

	require.ErrorIs(t, l.Compact(func() error { return l.Delete() }), ErrDeleted)
	require.Empty(t, read(t, l, 0))
	require.Equal(t, []string{"compaction/position-checkpoint", "compaction/position-checkpoint.bak"}, files(t, dir))
	require.NoError(t, l.Append([]Message{record(t, next, "k", "v")}, next+1))
	require.Len(t, files(t, dir), 2, "a deleted queue takes nothing")
}

func TestCut(t *testing.T) {
	for from := range int64(31) {
		dir := t.TempDir()
		l := mustOpen(t, dir)
		var ms []Message
		for i := range int64(30) {
			ms = append(ms, record(t, i, "key", fmt.Sprint("value", i)))
		}
		add(t, l, ms...)
		require.NoError(t, l.Cut(from))
		require.EqualValues(t, from, l.Next())
		for _, x := range []*Log{l, mustOpen(t, dir)} {
			require.Len(t, read(t, x, 0), int(from))
			require.EqualValues(t, from, x.Next())
		}
		why, serves := java(fsys.OS{}, dir)
		require.Empty(t, why)
		require.True(t, serves)
		add(t, l, record(t, from, "new", "x"))
		require.Equal(t, entry{from, "new", "x"}, read(t, mustOpen(t, dir), from)[0])
	}
}

// TestInterruptedByJava: what Java's broker leaves when it is killed at any point of CompactionLog.replaceFiles is put
// together again without a loss.
func TestInterruptedByJava(t *testing.T) {
	prepare := func(t *testing.T) (dir string, l *Log, bases []int64, want map[string]int64) {
		dir = t.TempDir()
		l = mustOpen(t, dir)
		want = map[string]int64{}
		var ms []Message
		for i := range int64(33) {
			key := fmt.Sprint("key", i%5)
			ms = append(ms, record(t, i, key, fmt.Sprint("value", i)))
			want[key] = i
		}
		add(t, l, ms...)
		// The files of a round, where Java makes them.
		keys, err := l.newKeys((*l.pairs.Load())[:4], func(int) error { return nil })
		require.NoError(t, err)
		w := writer{place: place{l.o, filepath.Join(l.logDir, compactingDir), filepath.Join(l.cqDir, compactingDir)}}
		for _, e := range read(t, l, 0) {
			if r := record(t, e.offset, e.key, e.body); e.offset < 28 && keys.offsets[hash(e.key)] <= e.offset {
				require.NoError(t, w.add(r.Record, unitOf(r)))
			}
		}
		require.NoError(t, w.flush())
		require.Len(t, w.pairs, 1)
		return dir, l, []int64{0, logSize, 2 * logSize, 3 * logSize}, want
	}
	steps := func(l *Log, bases []int64) (out []func() error) {
		for _, dir := range []string{l.logDir, l.cqDir} {
			for _, b := range bases {
				path := filepath.Join(dir, segment.Name(b))
				out = append(out, func() error { return os.Rename(path, path+DeleteSuffix) })
			}
			out = append(out, func() error {
				return os.Rename(filepath.Join(dir, compactingDir, segment.Name(0)), filepath.Join(dir, segment.Name(0)))
			})
			for _, b := range bases {
				out = append(out, func() error { return os.Remove(filepath.Join(dir, segment.Name(b)) + DeleteSuffix) })
			}
		}
		return out
	}
	for at := range 19 {
		dir, l, bases, want := prepare(t)
		all := steps(l, bases)
		require.Len(t, all, 18)
		for _, step := range all[:at] {
			require.NoError(t, step())
		}
		l = mustOpen(t, dir)
		got := map[string]int64{}
		for _, e := range read(t, l, 0) {
			got[e.key] = e.offset
		}
		require.Equal(t, want, got, "step %d", at)
		require.EqualValues(t, 33, l.Next())
		why, serves := java(fsys.OS{}, dir)
		require.Empty(t, why)
		require.True(t, serves)
		var ms []Message
		for i := range int64(10) {
			ms = append(ms, record(t, 33+i, "more", "x"))
		}
		add(t, l, ms...)
		require.NoError(t, l.Compact(never))
		require.Equal(t, read(t, l, 0), read(t, mustOpen(t, dir), 0))
	}
}

func TestForeignFilesStay(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	add(t, l, record(t, 0, "key", "value"))
	for _, name := range []string{"compactionLog/T/3/notes.txt", "compactionLog/T/x/f", "compactionCq/T/3/notes.txt"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, Dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, Dir, name), []byte("mine"), 0o644))
	}
	before := files(t, dir)
	require.Len(t, read(t, mustOpen(t, dir), 0), 1)
	require.Equal(t, before, files(t, dir))
	require.NoError(t, os.Truncate(l.logPath(0), logSize-1))
	_, err := open(fsys.OS{}, dir)
	require.ErrorContains(t, err, "compactionMappedFileSize")
}

func FuzzSwitchFile(f *testing.F) {
	f.Add((&change{old: []string{"log/00000000000000000000", "cq/x"}, bases: []int64{0, 1840}}).text())
	f.Add("replace\nold log/../../x\nend\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseChange(text); err == nil {
			for _, name := range c.old {
				require.NotContains(t, filepath.Clean(name), "..")
			}
		}
	})
}
