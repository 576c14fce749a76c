package fsys_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// version is a configuration file of these tests, longer than a sector, and those of n differ in length.
func version(n int) []byte {
	return fmt.Appendf(nil, "{%d%s}", n, strings.Repeat(" ", 600*(1+n%3)))
}

// parsed takes what version makes.
func parsed(into *int) func([]byte) error {
	return func(b []byte) error {
		var n int
		if _, err := fmt.Sscanf(string(b), "{%d", &n); err != nil || !bytes.Equal(b, version(n)) {
			return errors.New("no version")
		}
		*into = n
		return nil
	}
}

// scene is what a disk holds before the script of TestConfigCrashMatrix.
type scene struct {
	name string
	make func(t *testing.T, d *simfs.Disk)
	has  int // version, 0: none
}

const configPath = "/data/store/config/topics.json"

func scenes() []scene {
	put := func(t *testing.T, d *simfs.Disk, path string, b []byte) {
		require.NoError(t, d.MkdirAll(filepath.Dir(configPath)))
		require.NoError(t, d.SyncAll("/"))
		require.NoError(t, d.WriteFile(path, b))
	}
	return []scene{
		{"nothing", func(*testing.T, *simfs.Disk) {}, 0},
		{"one version", func(t *testing.T, d *simfs.Disk) { put(t, d, configPath, version(100)) }, 100},
		{"both, and temporary files of a crash", func(t *testing.T, d *simfs.Disk) {
			put(t, d, configPath, version(100))
			put(t, d, configPath+".bak", version(99))
			put(t, d, configPath+".skylark-tmp", bytes.Repeat([]byte("x"), 9999))
			put(t, d, configPath+".bak.skylark-tmp", []byte("x"))
		}, 100},
		{"killed between backup and replacement", func(t *testing.T, d *simfs.Disk) {
			put(t, d, configPath, version(100))
			require.NoError(t, d.Link(configPath, configPath+".bak"))
			require.NoError(t, d.SyncDir(filepath.Dir(configPath)))
		}, 100},
		{"broken, good backup", func(t *testing.T, d *simfs.Disk) {
			put(t, d, configPath, []byte("garbage"))
			put(t, d, configPath+".bak", version(99))
		}, 99},
		{"only a backup, as a Java that died while writing leaves it", func(t *testing.T, d *simfs.Disk) {
			put(t, d, configPath+".bak", version(99))
		}, 99},
	}
}

// script is a process: it reads, then writes versions until the disk stops. acked is the last one whose write
// returned, tried the last one begun.
func script(d *simfs.Disk, from int) (acked, tried int, err error) {
	var has int
	if _, err := fsys.ReadConfigOn(d, configPath, zerolog.Nop(), parsed(&has)); err != nil {
		return 0, 0, err
	}
	acked, tried = has, has
	for n := from; n < from+4; n++ {
		tried = n
		if err := fsys.WriteConfigIn(d, configPath, version(n)); err != nil {
			return acked, tried, err
		}
		acked = n
	}
	return acked, tried, nil
}

// TestConfigCrashMatrix stops a process that reads and writes a configuration at each step that changes the
// disk, in each way to crash; the next start must find the last version that was acknowledged or a newer one,
// whole. So must the start behind a crash of that one.
func TestConfigCrashMatrix(t *testing.T) {
	images := 0
	for _, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			base := simfs.New()
			require.NoError(t, base.MkdirAll("/data"))
			require.NoError(t, base.SyncDir("/"))
			sc.make(t, base)
			steps := func(d *simfs.Disk, from int) int {
				before := d.Changes()
				_, _, err := script(d, from)
				require.NoError(t, err)
				return d.Changes() - before
			}(base.Crash(0, simfs.Kill), 200)
			require.Greater(t, steps, 20)
			for step := 1; step <= steps+1; step++ {
				for _, p := range simfs.Policies() {
					for seed := range uint64(3) {
						images++
						d := crashAt(base, step)
						acked, tried, _ := script(d, 200)
						acked = max(acked, sc.has)
						img := d.Crash(seed, p)
						what := fmt.Sprintf("step %d, %v, seed %d", step, p, seed)
						if sc.has == 99 && strings.HasPrefix(sc.name, "broken") {
							requireGarbage(t, what, img)
						}
						got := mustHold(t, what, img, acked, tried)
						again := crashAt(img, 1+int(seed)*4+step%4)
						acked, tried, _ = script(again, 300)
						mustHold(t, what+", crashed again", again.Crash(seed, p), max(acked, got), tried)
					}
				}
			}
		})
	}
	require.Greater(t, images, 3000)
}

// requireGarbage: the broken file is in its place or kept.
func requireGarbage(t *testing.T, what string, img *simfs.Disk) {
	t.Helper()
	for _, path := range img.Paths() {
		if path == configPath || strings.HasPrefix(path, "/data/store/skylark/broken/topics.json-") {
			if b, err := img.ReadFile(path); err == nil && string(b) == "garbage" {
				return
			}
		}
	}
	require.Fail(t, "the broken file is gone", what)
}

// crashAt returns a copy of a disk that stops in front of the step.
func crashAt(d *simfs.Disk, step int) *simfs.Disk {
	c := d.Crash(0, simfs.Kill)
	c.SetHook(func(op *simfs.Op) simfs.Fault {
		if op.Change >= step {
			return simfs.Fault{Err: simfs.ErrCrashed, Crash: true}
		}
		return simfs.Fault{}
	})
	return c
}

// mustHold starts on an image and returns the version it finds.
func mustHold(t *testing.T, what string, img *simfs.Disk, acked, tried int) int {
	t.Helper()
	var got int
	found, err := fsys.ReadConfigOn(img.Crash(0, simfs.Kill), configPath, zerolog.Nop(), parsed(&got))
	require.NoError(t, err, what)
	require.Equal(t, got > 0, found, what)
	require.True(t, got == acked || got == tried, "%s: found %d, acknowledged %d, tried %d", what, got, acked, tried)
	return got
}

// TestConfigErrorMatrix lets the nth call fail, without and with space again behind it: the write says so, the
// old version stays, the next write goes through.
func TestConfigErrorMatrix(t *testing.T) {
	for _, sc := range scenes() {
		for call := 1; ; call++ {
			d := simfs.New()
			require.NoError(t, d.MkdirAll("/data"))
			sc.make(t, d)
			failed := 0
			d.SetHook(func(op *simfs.Op) simfs.Fault {
				if failed++; failed == call {
					return simfs.Fault{Err: syscall.ENOSPC, Short: op.Len / 2}
				}
				return simfs.Fault{}
			})
			acked, tried, err := script(d, 200)
			if failed < call {
				require.NoError(t, err)
				break
			}
			d.SetHook(nil)
			if err == nil {
				require.Equal(t, 203, acked, "%s, call %d: an error that did not matter", sc.name, call)
			}
			got := mustHold(t, fmt.Sprintf("%s, call %d", sc.name, call), d, max(acked, sc.has), max(tried, sc.has))
			acked, _, err = script(d, 300)
			require.NoError(t, err, "%s, call %d", sc.name, call)
			require.Equal(t, 303, mustHold(t, sc.name, d, acked, got))
		}
	}
}

func TestConfigKeepsThePreviousVersion(t *testing.T) {
	p := filepath.Join(t.TempDir(), "new", "config", "topics.json")
	var log bytes.Buffer
	var got int
	read := func() (bool, error) {
		log.Reset()
		got = 0
		return fsys.ReadConfig(p, zerolog.New(&log), parsed(&got))
	}
	found, err := read()
	require.NoError(t, err)
	require.False(t, found)
	for n := 1; n <= 3; n++ {
		require.NoError(t, fsys.WriteConfig(p, version(n)))
	}
	found, err = read()
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 3, got)
	require.Empty(t, log.String())
	names, err := filepath.Glob(filepath.Join(filepath.Dir(p), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{p, p + ".bak"}, names)
	for _, broken := range []string{"", "garbage", "\x00\x00\x00"} {
		require.NoError(t, os.WriteFile(p, []byte(broken), 0o644))
		found, err = read()
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 2, got)
		require.Contains(t, log.String(), `"level":"warn"`)
		require.Contains(t, log.String(), `"used":"`+p+`.bak","of":"`)
		require.Contains(t, log.String(), `"why":"`)
		kept, err := filepath.Glob(filepath.Join(filepath.Dir(p), "..", "skylark", "broken", "topics.json-*Z"))
		require.NoError(t, err)
		require.Len(t, kept, 1, "the operator finds it")
		b, err := os.ReadFile(kept[0])
		require.NoError(t, err)
		require.Equal(t, broken, string(b))
		require.NoError(t, os.Remove(kept[0]))
		require.NoFileExists(t, p, "the next write must not put it over the backup")
		found, err = read() // a start that failed elsewhere is made again
		require.NoError(t, err)
		require.True(t, found)
		require.Contains(t, log.String(), "is missing, its backup is used")
	}
	require.NoError(t, fsys.WriteConfig(p, version(4)))
	b, err := os.ReadFile(p + ".bak")
	require.NoError(t, err)
	require.Equal(t, version(2), b)
}

func TestNoUsableVersionIsRefused(t *testing.T) {
	for name, x := range map[string]struct{ main, backup string }{
		"broken, no backup":    {"x", ""},
		"both broken":          {"x", "y"},
		"empty, broken backup": {"0", "y"},
		"only a broken backup": {"", "y"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := filepath.Join(dir, "kvConfig.json")
			for path, text := range map[string]string{p: x.main, p + ".bak": x.backup} {
				if text != "" {
					require.NoError(t, os.WriteFile(path, bytes.TrimPrefix([]byte(text), []byte("0")), 0o644))
				}
			}
			for range 2 { // nothing was changed
				var n int
				_, err := fsys.ReadConfig(p, zerolog.Nop(), parsed(&n))
				require.ErrorContains(t, err, "cannot use "+p+": ")
				require.ErrorContains(t, err, "nor "+p+".bak: ")
				require.ErrorContains(t, err, "move both away to start without")
				require.NoDirExists(t, filepath.Join(dir, "skylark"))
			}
		})
	}
}

// TestUnreadableIsNotBroken: a file that cannot be read may be good, so its older backup is no answer.
func TestUnreadableIsNotBroken(t *testing.T) {
	for _, call := range []string{configPath, configPath + ".bak"} {
		d := simfs.New()
		require.NoError(t, d.MkdirAll(filepath.Dir(configPath)))
		require.NoError(t, d.WriteFile(configPath+".bak", version(1)))
		if call == configPath {
			require.NoError(t, d.WriteFile(configPath, version(2)))
		}
		d.SetHook(func(op *simfs.Op) simfs.Fault {
			if op.Kind == "read" && op.Path == call {
				return simfs.Fault{Err: syscall.EIO}
			}
			return simfs.Fault{}
		})
		var n int
		_, err := fsys.ReadConfigOn(d, configPath, zerolog.Nop(), parsed(&n))
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorContains(t, err, "cannot read "+call+": ")
		require.ErrorContains(t, err, "move it away")
		require.Zero(t, n)
	}
	p := filepath.Join(t.TempDir(), "a.json")
	require.NoError(t, os.Mkdir(p, 0o755))
	_, err := fsys.ReadConfig(p, zerolog.Nop(), func([]byte) error { return nil })
	require.ErrorContains(t, err, p)
	require.NotErrorIs(t, err, fs.ErrNotExist)
}
