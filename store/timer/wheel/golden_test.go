package wheel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
)

// javaEntries is entries.json of scripts/golden/java/TimerGolden.java.
type javaEntries struct {
	LogFileSize, LogPos, All, CheckpointLength int64
	Entries                                    []struct {
		Slot, Write, Offset int64
		Magic, Size         int32
		Topic               string
	}
}

const goldenStart = 1_700_000_000_000

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	_, digits, _ := strings.Cut(string(b), "\n")
	raw, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
	require.NoError(t, err)
	return raw
}

func readEntries(t *testing.T) (e javaEntries) {
	t.Helper()
	b, err := os.ReadFile("testdata/entries.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &e))
	return e
}

// logFiles are the names of Java's timer log files.
var logFiles = []string{"00000000000000000000", "00000000000000001000", "00000000000000002000"}

func goldenOptions(root string, e *javaEntries) Options {
	return Options{FS: fsys.OS{}, Root: root, LogFileSize: e.LogFileSize, Precision: 1000, Logger: zerolog.Nop(),
		Now:    func() time.Time { return time.UnixMilli(goldenStart + 4567) },
		Locate: func(offset int64, _ int32) (int64, bool, bool) { return offset / 313, true, false }}
}

// TestFilesAreJavas enters what Java's classes entered and compares the files.
func TestFilesAreJavas(t *testing.T) {
	e := readEntries(t)
	root := t.TempDir()
	w, err := Open(goldenOptions(root, &e))
	require.NoError(t, err)
	for i := 0; i < len(e.Entries); i += 7 { // in batches
		var list []Entry
		for _, x := range e.Entries[i:min(i+7, len(e.Entries))] {
			list = append(list, Entry{x.Slot, x.Write, x.Magic, x.Offset, x.Size, message.HashCode(x.Topic)})
		}
		w.Add(list)
	}
	require.Equal(t, e.All, w.All())
	fatal, err := w.Sync(goldenStart+4000, 45)
	require.NoError(t, err)
	require.False(t, fatal)
	require.Equal(t, e.LogPos, w.Checkpoint().LogPos)
	w.cp.Counter = 11
	_, err = w.Sync(goldenStart+4000, 45)
	require.NoError(t, err)
	w.Close()
	for _, name := range logFiles {
		b, err := os.ReadFile(filepath.Join(root, "timerlog", name))
		require.NoError(t, err)
		require.Equal(t, golden(t, "timerlog-"+name+".golden"), b, name)
	}
	check, err := os.ReadFile(filepath.Join(root, "config", "timercheck"))
	require.NoError(t, err)
	require.Len(t, check, int(e.CheckpointLength))
	require.Equal(t, golden(t, "timercheck.golden"), check[:64])
	whole, err := os.ReadFile(filepath.Join(root, "timerwheel"))
	require.NoError(t, err)
	requireWheel(t, whole)
}

// requireWheel compares a wheel with Java's.
func requireWheel(t *testing.T, whole []byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/timerwheel.json")
	require.NoError(t, err)
	var want map[string]any
	require.NoError(t, json.Unmarshal(b, &want))
	require.Len(t, whole, int(want["length"].(float64)))
	got := map[string]any{"source": want["source"], "length": want["length"]}
	var empty [slotSize]byte
	for at := 0; at < len(whole); at += slotSize {
		if !bytes.Equal(whole[at:at+slotSize], empty[:]) {
			got[strconv.Itoa(at)] = hex.EncodeToString(whole[at : at+slotSize])
		}
	}
	require.Equal(t, want, got)
}

// plant writes Java's files below root.
func plant(t *testing.T, root string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "timerlog"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "config"), 0o755))
	for _, name := range logFiles {
		require.NoError(t, os.WriteFile(filepath.Join(root, "timerlog", name), golden(t, "timerlog-"+name+".golden"), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "config", "timercheck"), append(golden(t, "timercheck.golden"), make([]byte, 4032)...), 0o644))
	b, err := os.ReadFile("testdata/timerwheel.json")
	require.NoError(t, err)
	var slots map[string]any
	require.NoError(t, json.Unmarshal(b, &slots))
	whole := make([]byte, int(slots["length"].(float64)))
	for at, text := range slots {
		if n, err := strconv.Atoi(at); err == nil {
			raw, err := hex.DecodeString(text.(string))
			require.NoError(t, err)
			copy(whole[n:], raw)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "timerwheel"), whole, 0o644))
}

// contents returns the physical offsets of the units of each slot, in order.
func contents(t testing.TB, w *Wheel) map[int64][]int64 {
	t.Helper()
	out := map[int64][]int64{}
	w.s.each(func(x slot) bool {
		at := x.tick * w.o.Precision
		for pos := x.last; pos != -1; {
			u, ok, err := w.Unit(at, pos)
			require.NoError(t, err)
			require.True(t, ok)
			out[at] = append([]int64{u.PhysicalOffset}, out[at]...)
			pos = u.Prev
		}
		return true
	})
	return out
}

func (e *javaEntries) contents(until int) map[int64][]int64 {
	out := map[int64][]int64{}
	for _, x := range e.Entries[:until] {
		out[x.Slot] = append(out[x.Slot], x.Offset)
	}
	return out
}

// TestJavasFilesAreRead opens Java's files whole, with a wheel that is missing, damaged or behind, without a
// checkpoint, and with a checkpoint that is behind the log, as a kill leaves it.
func TestJavasFilesAreRead(t *testing.T) {
	e := readEntries(t)
	check := func(t *testing.T, root string, n int, number bool) *Wheel {
		t.Helper()
		w, err := Open(goldenOptions(root, &e))
		require.NoError(t, err)
		t.Cleanup(w.Close)
		require.Empty(t, w.Damage())
		require.Equal(t, e.contents(n), contents(t, w))
		if number {
			require.Equal(t, e.All, w.All())
		}
		return w
	}
	flip := func(t *testing.T, path string, at int64, bit byte) {
		t.Helper()
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		b[at] ^= bit
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
	checkpoint := func(t *testing.T, root string, change func(c *Checkpoint)) {
		t.Helper()
		path := filepath.Join(root, "config", "timercheck")
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		c, ok := parseCheckpoint(b)
		require.True(t, ok)
		change(&c)
		require.NoError(t, os.WriteFile(path, append(c.Append(nil), make([]byte, 4040)...), 0o644))
	}
	for name, breakIt := range map[string]func(t *testing.T, root string){
		"whole":         func(*testing.T, string) {},
		"wheel missing": func(t *testing.T, root string) { require.NoError(t, os.Remove(filepath.Join(root, "timerwheel"))) },
		"wheel shorter": func(t *testing.T, root string) {
			require.NoError(t, os.Truncate(filepath.Join(root, "timerwheel"), 38707200-32))
		},
		"tick flipped":     func(t *testing.T, root string) { flip(t, filepath.Join(root, "timerwheel"), 16384160+7, 1) },
		"position flipped": func(t *testing.T, root string) { flip(t, filepath.Join(root, "timerwheel"), 16384160+23, 1<<2) },
		"far position":     func(t *testing.T, root string) { flip(t, filepath.Join(root, "timerwheel"), 16384160+18, 1<<7) },
		"snapshot": func(t *testing.T, root string) {
			require.NoError(t, os.Rename(filepath.Join(root, "timerwheel"), filepath.Join(root, "timerwheel.2000")))
		},
		"checkpoint behind": func(t *testing.T, root string) {
			checkpoint(t, root, func(c *Checkpoint) { c.LogPos = 1000 + 3*UnitSize })
		},
		"no checkpoint": func(t *testing.T, root string) {
			require.NoError(t, os.Remove(filepath.Join(root, "config", "timercheck")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			plant(t, root)
			breakIt(t, root)
			w := check(t, root, len(e.Entries), true)
			require.Equal(t, int64(45), w.Checkpoint().QueueOffset)
			_, err := w.Sync(w.Checkpoint().ReadTime, 45)
			require.NoError(t, err)
			w.Close()
			check(t, root, len(e.Entries), true)
		})
	}
	// What the checkpoint's queue offset does not cover goes from log and wheel: it comes from the topic again.
	root := t.TempDir()
	plant(t, root)
	checkpoint(t, root, func(c *Checkpoint) { c.LogPos, c.QueueOffset = 1000, 30 })
	w := check(t, root, 30, false)
	require.Less(t, w.log.end, int64(2000))
	require.Len(t, w.log.files.All(), 2)
	b, err := os.ReadFile(filepath.Join(root, "timerlog", logFiles[1]))
	require.NoError(t, err)
	require.Equal(t, make([]byte, 2000-w.log.end), b[w.log.end-1000:], "what was cut is zeroed")

	// A log that cannot be used says so, and can be built anew.
	for name, breakIt := range map[string]func(root string) error{
		"file missing": func(root string) error { return os.Remove(filepath.Join(root, "timerlog", logFiles[1])) },
		"all missing":  func(root string) error { return os.RemoveAll(filepath.Join(root, "timerlog")) },
		"wrong length": func(root string) error { return os.Truncate(filepath.Join(root, "timerlog", logFiles[2]), 999) },
		"bad unit": func(root string) error {
			flip(t, filepath.Join(root, "timerlog", logFiles[2]), 3, 1)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			plant(t, root)
			require.NoError(t, breakIt(root))
			w, err := Open(goldenOptions(root, &e))
			require.NoError(t, err)
			require.NotEmpty(t, w.Damage())
			require.NoError(t, w.Reset(w.Checkpoint().ReadTime, w.Checkpoint().QueueOffset))
			w.Close()
			w, err = Open(goldenOptions(root, &e))
			require.NoError(t, err)
			require.NotEmpty(t, w.Damage(), "it was being built")
			require.NoError(t, w.Reset(goldenStart+4000, 45))
			w.Add([]Entry{{goldenStart + 9000, goldenStart + 4000, 1, 77, 100, 5}})
			_, err = w.Sync(goldenStart+4000, 45)
			require.NoError(t, err)
			w.Close()
			w, err = Open(goldenOptions(root, &e))
			require.NoError(t, err)
			require.Empty(t, w.Damage())
			require.Equal(t, map[int64][]int64{goldenStart + 9000: {77}}, contents(t, w))
			w.Close()
		})
	}
}

// TestCleanFollowsTheCommitLog removes files whose messages are gone; what is left can be read.
func TestCleanFollowsTheCommitLog(t *testing.T) {
	e := readEntries(t)
	root := t.TempDir()
	plant(t, root)
	w, err := Open(goldenOptions(root, &e))
	require.NoError(t, err)
	require.NoError(t, w.Clean(17*313)) // the first file's last unit points there
	require.Equal(t, int64(0), w.log.files.Min())
	require.NoError(t, w.Clean(45*313))
	require.Equal(t, int64(2000), w.log.files.Min(), "the last file stays")
	w.Close()
	w, err = Open(goldenOptions(root, &e))
	require.NoError(t, err)
	defer w.Close()
	require.Empty(t, w.Damage())
	at := e.Entries[len(e.Entries)-1].Slot
	pos, ok := w.Last(at)
	require.True(t, ok)
	n := 0
	for ; pos != -1; n++ {
		u, ok, err := w.Unit(at, pos)
		require.NoError(t, err)
		if !ok {
			break
		}
		pos = u.Prev
	}
	require.Positive(t, n)
	require.GreaterOrEqual(t, pos, int64(0), "the chain goes on in a file that is gone")
}

// FuzzUnit: any bytes are a unit that is written as it was read, or none.
func FuzzUnit(f *testing.F) {
	f.Add(appendUnit(nil, &Unit{Prev: -1, Magic: 1, Size: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < UnitSize {
			return
		}
		if u, ok := parseUnit(b); ok {
			require.Equal(t, b[:44], appendUnit(nil, &u)[:44])
		}
	})
}
