package inspect

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
)

// requireClean checks that a repair left nothing.
func requireClean(t *testing.T, root string, steps, lines []string) {
	t.Helper()
	require.Empty(t, lines, "%s", strings.Join(steps, "\n"))
	after, _ := look(t, sizes(root))
	require.Empty(t, after)
}

func TestRepairBuildsQueuesAnew(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, 30)
	for name, damage := range map[string]func(d string){
		"unit": func(d string) { flip(t, queuePath(d, "A", 0, 1), 5*20+7, 1) },
		"hole": func(d string) {
			edit(t, queuePath(d, "A", 0, 0), func(b []byte) []byte { clear(b[100:200]); return b })
		},
		"folder":  func(d string) { require.NoError(t, os.RemoveAll(filepath.Join(d, "consumequeue", "A"))) },
		"all":     func(d string) { require.NoError(t, os.RemoveAll(filepath.Join(d, "consumequeue"))) },
		"file":    func(d string) { require.NoError(t, os.Remove(queuePath(d, "A", 0, 1))) },
		"short":   func(d string) { require.NoError(t, os.Truncate(queuePath(d, "A", 0, 4), 10)) },
		"garbage": func(d string) { edit(t, queuePath(d, "A", 0, 4), func(b []byte) []byte { b[999] = 1; return b }) },
		"stray": func(d string) {
			require.NoError(t, os.WriteFile(filepath.Join(d, "consumequeue", "A", "0", "x"), nil, 0o644))
		},
		"stray and unit": func(d string) {
			require.NoError(t, os.WriteFile(filepath.Join(d, "consumequeue", "A", "0", "x"), nil, 0o644))
			flip(t, queuePath(d, "A", 0, 1), 5*20+7, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyTree(t, root)
			damage(dir)
			damaged := copyTree(t, dir)
			steps, lines, s := mend(t, sizes(dir), RepairOptions{})
			requireClean(t, dir, steps, lines)
			require.EqualValues(t, 420, s.Units)
			require.NotEmpty(t, steps)
			verify(t, dir, "A", 0, 210)
			verify(t, dir, "B", 3, 210)
			// What was there is aside, as it was.
			moved, err := filepath.Glob(filepath.Join(dir, "skylark", "moved-*", "consumequeue", "A", "0", "*"))
			require.NoError(t, err)
			for _, path := range moved {
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				was, err := os.ReadFile(filepath.Join(damaged, "consumequeue", "A", "0", filepath.Base(path)))
				require.NoError(t, err)
				require.Equal(t, was, b)
			}
		})
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	flip(t, queuePath(root, "A", 0, 1), 5*20+7, 1)
	flip(t, logPath(root, 0), recs["B"][3].PhysicalOffset+90, 1)
	before := tree(t, root)
	steps, lines, s := mend(t, sizes(root), RepairOptions{DryRun: true, Fill: true})
	require.Equal(t, before, tree(t, root))
	require.NotEmpty(t, lines)
	require.EqualValues(t, 2, s.Damaged)
	require.Len(t, steps, 4, "%s", strings.Join(steps, "\n")) // copy, fill, move, build
	for _, step := range steps {
		require.True(t, strings.HasPrefix(step, "would: "), step)
	}
}

func TestRepairRefusesARunningStore(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	defer s.Close()
	_, err = Repair(context.Background(), sizes(root), RepairOptions{})
	require.ErrorIs(t, err, fsys.ErrLocked)
	_, err = Repair(context.Background(), Options{Root: filepath.Join(root, "none")}, RepairOptions{})
	require.ErrorIs(t, err, ErrNoStore)
	require.NoDirExists(t, filepath.Join(root, "none"))
}

// TestFillKeepsEveryIntactMessage: damage in the log is filled, and all else is served, whether the queues
// still tell which records stood there or not.
func TestFillKeepsEveryIntactMessage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	middle := recs["A"][10].PhysicalOffset
	behind := func(topic string, offset int64) (out []int) { // the messages of the second file that end behind offset
		for i, r := range recs[topic] {
			if r.PhysicalOffset/testLogFile == 1 && r.PhysicalOffset+int64(r.Size) > offset {
				out = append(out, i)
			}
		}
		return out
	}
	for _, x := range []struct {
		name   string
		damage func(d string)
		lostA  []int
		lostB  []int
	}{
		{"one record", func(d string) { flip(t, logPath(d, 0), middle+90, 1) }, []int{10}, nil},
		{"one record and the queues", func(d string) {
			flip(t, logPath(d, 0), middle+90, 1)
			require.NoError(t, os.RemoveAll(filepath.Join(d, "consumequeue")))
		}, []int{10}, nil},
		{"a page", func(d string) {
			edit(t, logPath(d, 0), func(b []byte) []byte { clear(b[middle : recs["B"][11].PhysicalOffset+5]); return b })
		}, []int{10, 11, 12, 13}, []int{7, 8, 9, 10, 11}},
		{"a page and the queues", func(d string) {
			edit(t, logPath(d, 0), func(b []byte) []byte { clear(b[middle : recs["B"][11].PhysicalOffset+5]); return b })
			require.NoError(t, os.RemoveAll(filepath.Join(d, "consumequeue")))
		}, []int{10, 11, 12, 13}, []int{7, 8, 9, 10, 11}},
		{"the newest record", func(d string) { flip(t, logPath(d, 2), recs["B"][209].PhysicalOffset%testLogFile+90, 1) }, nil, []int{209}},
		{"a short file", func(d string) { require.NoError(t, os.Truncate(logPath(d, 1), 5000)) }, behind("A", testLogFile+5000), behind("B", testLogFile+5000)},
		{"a file of garbage", func(d string) {
			edit(t, logPath(d, 1), func(b []byte) []byte {
				for i := range b {
					b[i] = byte(i * i)
				}
				return b
			})
		}, behind("A", 0), behind("B", 0)},
		{"blank record", func(d string) { flip(t, logPath(d, 0), lastOf(recs, 0)+7, 1) }, nil, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := copyTree(t, root)
			x.damage(dir)
			before, err := os.ReadFile(logPath(dir, 0))
			require.NoError(t, err)
			steps, _, s := mend(t, sizes(dir), RepairOptions{})
			require.NotZero(t, s.Damaged, "without --fill the log stays")
			require.Contains(t, strings.Join(steps, "\n"), "--fill")
			after, err := os.ReadFile(logPath(dir, 0))
			require.NoError(t, err)
			require.Equal(t, before, after)
			o := sizes(dir)
			o.Now = func() time.Time { return time.Now().Add(time.Hour) } // a folder of its own
			steps, lines, _ := mend(t, o, RepairOptions{Fill: true})
			requireClean(t, dir, steps, lines)
			verify(t, dir, "A", 0, 210, x.lostA...)
			verify(t, dir, "B", 3, 210, x.lostB...)
			// Recovery after a crash walks over fillers as well.
			require.NoError(t, os.WriteFile(filepath.Join(dir, "abort"), []byte("1"), 0o644))
			require.NoError(t, os.Remove(filepath.Join(dir, "checkpoint")))
			verify(t, dir, "A", 0, 210, x.lostA...)
			verify(t, dir, "B", 3, 210, x.lostB...)
		})
	}
}

func TestRepairOfTheRest(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	end := recs["B"][209].PhysicalOffset + int64(recs["B"][209].Size)
	config := func(d, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(d, "config", name), []byte(text), 0o644))
	}
	for name, x := range map[string]struct {
		damage func(d string)
		left   int64 // findings after the repair
	}{
		"stray":      {func(d string) { require.NoError(t, os.WriteFile(filepath.Join(d, "commitlog", "x"), nil, 0o644)) }, 0},
		"stale tail": {func(d string) { flip(t, logPath(d, 2), end%testLogFile+50, 1) }, 0},
		"checkpoint": {func(d string) { flip(t, filepath.Join(d, "checkpoint"), 41, 1) }, 1}, // none is there then
		"config":     {func(d string) { config(d, "topics.json", "x"); config(d, "topics.json.bak", "{}") }, 0},
		"both":       {func(d string) { config(d, "topics.json", "x"); config(d, "topics.json.bak", "x") }, 2},
		"index": {func(d string) {
			require.NoError(t, os.MkdirAll(filepath.Join(d, "index"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(d, "index", "20260101000000000"), nil, 0o644))
		}, 0},
		"log hole": {func(d string) { require.NoError(t, os.Remove(logPath(d, 1))) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyTree(t, root)
			x.damage(dir)
			steps, lines, s := mend(t, sizes(dir), RepairOptions{Fill: true})
			require.EqualValues(t, x.left, s.Damaged+s.Warnings, "%s\n%s", strings.Join(steps, "\n"), strings.Join(lines, "\n"))
			require.NotEmpty(t, steps)
			if x.left == 0 {
				verify(t, dir, "A", 0, 210)
			}
		})
	}
}

// TestRepairKeepsTheMaximum: of a queue whose records are gone only its files know where it ends.
func TestRepairKeepsTheMaximum(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	old := put(t, s, "OLD", 0, 0, 70)
	for i := range 30 {
		put(t, s, "A", 0, i*7, 7)
	}
	require.NoError(t, s.Close())
	require.Less(t, old[69].PhysicalOffset, int64(testLogFile))
	require.NoError(t, os.Remove(logPath(root, 0)))
	edit(t, queuePath(root, "OLD", 0, 1), func(b []byte) []byte { b[999] = 1; return b }) // bytes behind the last unit
	edit(t, queuePath(root, "A", 0, 4), func(b []byte) []byte { b[999] = 1; return b })
	steps, lines, _ := mend(t, sizes(root), RepairOptions{})
	requireClean(t, root, steps, lines)
	k, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	defer k.Close()
	require.EqualValues(t, 70, k.Find("OLD", 0).Max())
	require.EqualValues(t, 70, k.Find("OLD", 0).Min())
	require.EqualValues(t, 70, put(t, k, "OLD", 0, 70, 1)[0].QueueOffset)
	require.EqualValues(t, 210, k.Find("A", 0).Max())
	require.NotZero(t, k.Find("A", 0).Min())
}

// TestWrongQueueOffsetIsNotSpread: no check sum covers it; a queue built from such a log would move others.
func TestWrongQueueOffsetIsNotSpread(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 10)
	flip(t, logPath(root, 0), recs["A"][10].PhysicalOffset+26, 1) // 10 becomes 266
	before := tree(t, filepath.Join(root, "consumequeue"))
	steps, _, s := mend(t, sizes(root), RepairOptions{Fill: true})
	require.NotZero(t, s.Damaged)
	require.Contains(t, strings.Join(steps, "\n"), "cannot: build queue A-0 anew: behind offset 9 its next record")
	require.Equal(t, before, tree(t, filepath.Join(root, "consumequeue")))
}

func TestLayoutCoversTheRange(t *testing.T) {
	t.Parallel()
	q := &queue{queueKey: queueKey{"T", 4}}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		from := random.Int64N(1000)
		s := span{from: from, to: from + 8 + random.Int64N(2000)}
		if random.IntN(300) == 0 {
			s.to += 3 * maxFiller
		}
		end := s.to
		if random.IntN(2) == 0 {
			end += message.BlankSize + random.Int64N(100)
		}
		var units []lost
		for range random.IntN(6) {
			units = append(units, lost{q, random.Int64N(100), from + random.Int64N(2000) - 10, int32(91 + random.IntN(200))})
		}
		pieces, err := layout(s, end, units)
		if err != nil {
			require.Less(t, s.to-s.from, int64(message.MinRecord))
			continue
		}
		at := s.from
		for _, p := range pieces {
			require.Equal(t, at, p.from)
			b, err := p.bytes(1000)
			require.NoError(t, err)
			if p.queueID == blankPiece {
				require.Equal(t, end, p.to)
			} else {
				r, err := message.Parse(b, true)
				require.NoError(t, err)
				require.True(t, store.IsFiller(&r))
				require.Equal(t, p.from, r.PhysicalOffset)
				require.Len(t, b, int(p.to-p.from))
				require.True(t, p.to+message.BlankSize <= end)
			}
			at = p.to
		}
		require.Equal(t, s.to, at)
	}
}

// TestRepairAfterRandomDamage: whatever bytes a store holds, check and repair end, and say the same twice.
func TestRepairAfterRandomDamage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, 20)
	rounds := uint64(25)
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		random := rand.New(rand.NewPCG(seed, 7))
		dir := copyTree(t, root)
		files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		require.NoError(t, err)
		deep, _ := filepath.Glob(filepath.Join(dir, "consumequeue", "*", "*", "*"))
		files = append(append(files, deep...), filepath.Join(dir, "checkpoint"))
		for range 1 + random.IntN(6) {
			path := files[random.IntN(len(files))]
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				continue
			}
			edit(t, path, func(b []byte) []byte { return hurt(random, b) })
		}
		lines, s := look(t, sizes(dir))
		again, _ := look(t, sizes(dir))
		require.Equal(t, lines, again)
		_, _, after := mend(t, sizes(dir), RepairOptions{Fill: true})
		if s.Damaged == 0 {
			require.Zero(t, after.Damaged, "seed %d", seed)
		}
		if after.Damaged == 0 {
			k, err := store.Open(storeOptions(copyTree(t, dir)))
			require.NoError(t, err, "seed %d: a store without damage opens", seed)
			require.NoError(t, k.Close())
		}
		third, _ := look(t, sizes(dir))
		_, _ = Check(t.Context(), Options{Root: dir}, func(Finding) {})
		require.Len(t, third, int(after.Damaged+after.Warnings), "seed %d", seed)
	}
}

func hurt(random *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{1}
	}
	at := random.IntN(len(b))
	switch n := min(len(b)-at, 1+random.IntN(300)); random.IntN(5) {
	case 0:
		return b[:at]
	case 1:
		clear(b[at : at+n])
	case 2:
		for i := range n {
			b[at+i] = byte(random.Uint32())
		}
	case 3:
		copy(b[at:at+n], b[random.IntN(len(b)):])
	default:
		b[at] ^= 1 << random.IntN(8)
	}
	return b
}

func TestUnitsAreJavas(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 20, consumequeue.UnitSize)
	require.Equal(t, 20, message.CRCPropertySize)
	require.Equal(t, "2␁", strings.Trim(visible("2\x01"), `"`))
	require.Equal(t, `"a\x1b"`, printable("a\x1b"))
	require.Equal(t, "a", printable("a"))
}
