package index

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

// soundFiles checks that each file is what Java would have made of its entries.
func soundFiles(t testing.TB, r *rig) {
	t.Helper()
	last := int64(-1)
	g := geometry{r.o.Slots, r.o.Entries}
	for _, name := range r.names() {
		b, err := os.ReadFile(filepath.Join(r.o.Dir, name))
		require.NoError(t, err)
		require.Len(t, b, int(g.size()))
		h := parseHeader(b)
		table, used := make([]int32, g.slots), int32(0)
		var e stored
		for n := int32(1); n < h.count; n++ {
			e = parseEntry(b[g.entryAt(n):])
			slot := e.hash % g.slots
			require.Equal(t, table[slot], e.prev, "entry %d of %s", n, name)
			if table[slot] == 0 {
				used++
			}
			table[slot] = n
			require.GreaterOrEqual(t, e.physical, last)
			last = e.physical
			if n == 1 {
				require.Equal(t, e.physical, h.beginPhysical)
			}
		}
		require.Equal(t, h.endPhysical, e.physical)
		require.Equal(t, h.slots, used)
		for i, n := range table {
			require.EqualValues(t, n, int32(binary.BigEndian.Uint32(b[g.slotAt(int32(i)):])), "slot %d of %s", i, name)
		}
		for _, c := range b[g.entryAt(h.count):] {
			require.Zero(t, c, "behind the last entry of %s", name)
		}
	}
}

// dieAfter makes every change from the n-th on fail, the first one half done. It reports whether it came to that.
func dieAfter(fs *faulty, n int) func() bool {
	fs.torn = true
	k := 0
	fs.set(func(string, string) error {
		if k++; k > n {
			return errDead
		}
		return nil
	})
	return func() bool {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		return k > n
	}
}

// TestKilledAtEachStep dies in front of each change of the disk, starts again, dies in each step of that repair,
// and starts once more.
func TestKilledAtEachStep(t *testing.T) {
	for n := 0; ; n += 1 + n/25 {
		r := newRig(t)
		r.rnd = rand.New(rand.NewPCG(uint64(n), 1))
		r.open(true)
		r.put(40)
		require.NoError(t, r.x.Close())
		fs := r.fs
		died := dieAfter(fs, n)
		r.open(true)
		for range 12 {
			_ = r.settle()
			r.put(7)
		}
		_ = r.settle()
		dead := died()
		_ = r.x.Close()
		for m := r.rnd.IntN(9); ; m += 9 {
			dir := r.o.Dir
			r.kill()
			died := dieAfter(fs, m)
			x, err := Open(r.o, false, 0)
			if err == nil {
				r.use(x)
				_ = r.settle()
				_ = r.x.Close()
			}
			if !died() {
				r.o.Dir = dir
				break
			}
			fs.set(nil)
			r.open(false)
			require.NoError(t, r.settle())
			r.check()
			require.NoError(t, r.x.Close())
			soundFiles(t, r)
			r.o.Dir = dir
		}
		fs.set(nil)
		r.open(false)
		require.NoError(t, r.settle())
		r.put(10)
		r.check()
		require.NoError(t, r.x.Close())
		soundFiles(t, r)
		if !dead {
			require.Greater(t, n, 20)
			return
		}
	}
}

// TestPowerCut keeps of what was not synced some pages and loses others, and the log's end with them.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(20) {
		r := newRig(t)
		r.rnd = rand.New(rand.NewPCG(seed, 2))
		r.o.Slots, r.o.Entries = 3000, 1500
		fs := r.fs
		durable := map[string][]byte{}
		fs.set(func(op, path string) error {
			if op == "sync" { // what the sync will have made durable
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				durable[path] = b
			}
			return nil
		})
		r.open(true)
		for range 10 + r.rnd.IntN(20) {
			r.put(100)
			require.NoError(t, r.settle())
		}
		r.kill()
		stamp := r.x.Durable()
		for path, old := range durable {
			durable[filepath.Base(path)] = old
		}
		for _, name := range r.names() {
			path := filepath.Join(r.o.Dir, name)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			old := durable[name]
			if old == nil {
				old = make([]byte, len(b))
			}
			for at := 0; at < len(b); at += pageSize {
				if r.rnd.IntN(4) == 0 {
					copy(b[at:min(at+pageSize, len(b))], old[at:])
				}
			}
			require.NoError(t, os.WriteFile(path, b, 0o644))
		}
		fs.set(nil)
		_ = r.x.Close()
		r.log.cut(len(r.log.recs) - r.rnd.IntN(300))
		x, err := Open(r.o, false, stamp)
		require.NoError(t, err)
		r.use(x)
		require.NoError(t, r.settle())
		r.put(20)
		require.NoError(t, r.settle())
		for i := len(r.log.recs) - 400; i < len(r.log.recs); i++ {
			m := r.log.recs[i]
			if key := message.GetProperty(m.Properties, message.PropertyUniqKey); key != "" {
				r.find(m.Topic, key, 10, 0, math.MaxInt64, 0)
			}
		}
		r.find("A", "all", 10000, 0, math.MaxInt64, 0)
		r.find("B", TagKey("t1"), 10000, 0, math.MaxInt64, 0)
		require.NoError(t, r.x.Close())
		soundFiles(t, r)
	}
}

// TestDamagedFolders: whatever is in the folder, all is found again, and what is not ours stays.
func TestDamagedFolders(t *testing.T) {
	write := func(t *testing.T, dir, name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	for name, damage := range map[string]func(t *testing.T, dir string, names []string){
		"folder gone": func(t *testing.T, dir string, _ []string) { require.NoError(t, os.RemoveAll(dir)) },
		"first gone": func(t *testing.T, dir string, n []string) {
			for _, name := range n[:len(n)-1] {
				require.NoError(t, os.Remove(filepath.Join(dir, name)))
			}
			require.NoError(t, os.Remove(filepath.Join(dir, n[len(n)-1])))
		},
		"last gone": func(t *testing.T, dir string, n []string) {
			require.NoError(t, os.Remove(filepath.Join(dir, n[len(n)-1])))
		},
		"short": func(t *testing.T, dir string, n []string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, n[1]), 100))
		},
		"without its end": func(t *testing.T, dir string, n []string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, n[1]), 400))
		},
		"long": func(t *testing.T, dir string, n []string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, n[1]), 4000))
		},
		"empty": func(t *testing.T, dir string, n []string) { write(t, dir, n[len(n)-1], nil) },
		"zeros in front": func(t *testing.T, dir string, _ []string) {
			write(t, dir, "20000101000000000", make([]byte, 40+31*4+50*20))
		},
		"zeros behind": func(t *testing.T, dir string, _ []string) {
			write(t, dir, "29990101000000000", make([]byte, 40+31*4+50*20))
		},
		"others": func(t *testing.T, dir string, _ []string) {
			write(t, dir, "notes.txt", []byte("x"))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "29990101000000000"), 0o755))
		},
		"header of ones": func(t *testing.T, dir string, n []string) {
			b, err := os.ReadFile(filepath.Join(dir, n[1]))
			require.NoError(t, err)
			write(t, dir, n[1], append(slices.Repeat([]byte{255}, 40), b[40:]...))
		},
		"wrong order": func(t *testing.T, dir string, n []string) {
			require.NoError(t, os.Rename(filepath.Join(dir, n[0]), filepath.Join(dir, "29990101000000000")))
		},
	} {
		for _, clean := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", clean), func(t *testing.T) {
				r := newRig(t)
				r.open(true)
				r.put(150)
				require.NoError(t, r.settle())
				require.NoError(t, r.x.Close())
				damage(t, r.o.Dir, r.names())
				r.open(clean)
				require.NoError(t, r.settle())
				r.check()
				r.put(60)
				require.NoError(t, r.settle())
				r.check()
				if name == "others" {
					require.FileExists(t, filepath.Join(r.o.Dir, "notes.txt"))
					require.DirExists(t, filepath.Join(r.o.Dir, "29990101000000000"))
				}
			})
		}
	}
}

// FuzzOpen gives any bytes as a file of the right size.
func FuzzOpen(f *testing.F) {
	for _, b := range javaFiles(f) {
		f.Add(b, true, int64(0))
		f.Add(b, false, int64(0))
	}
	f.Add([]byte{}, false, int64(1))
	f.Fuzz(func(t *testing.T, b []byte, clean bool, stamp int64) {
		r := newRig(t)
		r.o.Slots, r.o.Entries = 23, 39
		g := geometry{23, 39}
		b = append(b, make([]byte, max(0, int(g.size())-len(b)))...)[:g.size()]
		require.NoError(t, os.MkdirAll(r.o.Dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(r.o.Dir, "20260101000000000"), b, 0o644))
		for range 70 {
			r.log.message(r.rnd)
		}
		x, err := Open(r.o, clean, stamp)
		require.NoError(t, err)
		_, err = x.Query("A", "all", math.MaxInt, math.MinInt64, math.MaxInt64, 0)
		require.NoError(t, err)
		r.use(x)
		require.NoError(t, r.settle())
		r.put(30)
		require.NoError(t, r.settle())
		for _, key := range []string{"all", "k1", TagKey("t0")} {
			_, err := r.x.Query("B", key, math.MaxInt, 0, math.MaxInt64, 0)
			require.NoError(t, err)
		}
		require.NoError(t, r.x.Close())
	})
}

// TestFullDiskAtAStartBehindACrash: the index is no reason not to start. What cannot be repaired is built anew
// when there is space.
func TestFullDiskAtAStartBehindACrash(t *testing.T) {
	for _, n := range []int{20, 130} {
		for fails := 1; fails < 12; fails++ {
			r := newRig(t)
			r.open(true)
			require.NoError(t, r.settle())
			r.put(n)
			require.NoError(t, r.settle())
			r.put(10)
			r.kill()
			var k atomic.Int32 // the builder writes as well
			r.fs.set(func(op, _ string) error {
				if k.Add(1) >= int32(fails) && (op == "write" || op == "truncate") {
					return syscall.ENOSPC
				}
				return nil
			})
			r.open(false)
			r.fs.set(nil)
			require.NoError(t, r.settle())
			r.check()
			require.NoError(t, r.x.Close())
			soundFiles(t, r)
		}
	}
}
