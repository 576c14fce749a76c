package simfs

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
)

var _ fsys.FS = (*Disk)(nil)

func create(t *testing.T, d fsys.FS, path string) fsys.File {
	t.Helper()
	f, err := d.Open(path, true)
	require.NoError(t, err)
	return f
}

func write(t *testing.T, f fsys.File, s string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(s), off)
	require.NoError(t, err)
}

func content(t *testing.T, d *Disk, path string) string {
	t.Helper()
	b, err := d.ReadFile(path)
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
		return "none"
	}
	return string(b)
}

func sectors(letters string) string {
	var b strings.Builder
	for _, c := range letters {
		if c == '0' {
			c = 0
		}
		b.WriteString(strings.Repeat(string(c), Sector))
	}
	return b.String()
}

func TestPolicies(t *testing.T) {
	d := New()
	require.NoError(t, d.MkdirAll("/s/dir"))
	require.NoError(t, d.SyncDir("/"))
	require.NoError(t, d.SyncDir("/s"))
	f := create(t, d, "/s/dir/a")
	write(t, f, sectors("abc"), 0)
	require.NoError(t, f.Datasync())
	require.NoError(t, d.SyncDir("/s/dir"))
	write(t, f, sectors("BCD"), Sector) // "aBCD"
	create(t, d, "/s/dir/new")
	require.NoError(t, d.Rename("/s/dir/new", "/s/dir/b"))
	for p, want := range map[Policy][2]string{
		Kill:      {sectors("aBCD"), ""},
		Synced:    {sectors("abc"), "none"},
		NamesOnly: {sectors("abc"), ""},
		Zeros:     {sectors("abc0"), ""},
		NoNames:   {sectors("aBCD"), "none"},
	} {
		c := d.Crash(1, p)
		require.Equal(t, want, [2]string{content(t, c, "/s/dir/a"), content(t, c, "/s/dir/b")}, p)
		require.Equal(t, "none", content(t, c, "/s/dir/new"), p)
	}
	seen := map[string]bool{}
	for seed := range uint64(200) {
		c := d.Crash(seed, Scatter)
		seen[content(t, c, "/s/dir/a")] = true
		require.Equal(t, content(t, c, "/s/dir/a"), content(t, d.Crash(seed, Scatter), "/s/dir/a"), "the seed does not decide")
	}
	require.Equal(t, 12, len(seen), "2 sectors with two versions, and one that is there, zero or cut")
	seen = map[string]bool{}
	for seed := range uint64(100) {
		c := d.Crash(seed, Prefix)
		seen[content(t, c, "/s/dir/a")+"/"+content(t, c, "/s/dir/b")+"/"+content(t, c, "/s/dir/new")] = true
	}
	require.Equal(t, 4, len(seen), "before the write, behind it, with the new file, with its last name")
}

func TestNameNeedsItsFolder(t *testing.T) {
	d := New()
	require.NoError(t, d.MkdirAll("/s/x"))
	write(t, create(t, d, "/s/x/a"), "a", 0)
	require.NoError(t, d.SyncDir("/s/x"))
	require.Empty(t, d.Crash(1, Synced).Paths())
	require.NoError(t, d.SyncDir("/"))
	require.Empty(t, d.Crash(1, Synced).Paths())
	require.NoError(t, d.SyncDir("/s"))
	require.Equal(t, []string{"/s/x/a"}, d.Crash(1, Synced).Paths())
	require.NoError(t, d.RemoveAll("/s/x"))
	require.Equal(t, []string{"/s/x/a"}, d.Crash(1, Synced).Paths(), "a removal is a change like any")
	require.NoError(t, d.SyncDir("/s"))
	require.Empty(t, d.Crash(1, Synced).Paths())
}

func TestRenameIsWhole(t *testing.T) {
	d := New()
	require.NoError(t, d.MkdirAll("/from"))
	require.NoError(t, d.MkdirAll("/to"))
	require.NoError(t, d.SyncDir("/"))
	f := create(t, d, "/from/x")
	write(t, f, "x", 0)
	require.NoError(t, f.Datasync())
	require.NoError(t, d.Rename("/from/x", "/to/y"))
	require.Empty(t, d.Crash(1, Synced).Paths())
	require.NoError(t, d.SyncDir("/to"))
	require.Equal(t, []string{"/to/y"}, d.Crash(1, Synced).Paths())
	write(t, f, "z", 0) // an open file follows its new name
	require.Equal(t, "z", content(t, d, "/to/y"))
}

func TestKillKeepsWhatIsNotDurableSo(t *testing.T) {
	d := New()
	f := create(t, d, "/a")
	write(t, f, "x", 0)
	k := d.Crash(1, Kill)
	require.Equal(t, "x", content(t, k, "/a"))
	require.Equal(t, "none", content(t, k.Crash(1, Synced), "/a"))
	g, err := k.Open("/a", false)
	require.NoError(t, err)
	write(t, g, "y", 0)
	require.Equal(t, "x", content(t, d, "/a"), "an image shares nothing with its disk")
	require.NoError(t, g.Datasync())
	require.NoError(t, k.SyncDir("/"))
	require.Equal(t, "y", content(t, k.Crash(1, Synced), "/a"))
}

func TestFaults(t *testing.T) {
	d := New()
	f := create(t, d, "/a")
	require.NoError(t, d.SyncDir("/"))
	fault := func(x Fault) {
		d.SetHook(func(*Op) Fault { return x })
	}
	fault(Fault{Err: syscall.ENOSPC, Short: 2})
	n, err := f.WriteAt([]byte("abcd"), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 2, n)
	require.Equal(t, "ab", content(t, d, "/a"))
	fault(Fault{Lost: true})
	write(t, f, "zz", 0)
	require.Equal(t, "ab", content(t, d, "/a"))
	fault(Fault{Err: syscall.EIO, Drop: true})
	require.ErrorIs(t, f.Datasync(), syscall.EIO)
	d.SetHook(nil)
	require.NoError(t, f.Datasync())
	require.Equal(t, "ab", content(t, d, "/a"))
	require.Equal(t, "\x00\x00", content(t, d.Crash(1, Synced), "/a"), "what a failed sync dropped came back")
	fault(Fault{Crash: true})
	write(t, f, "c", 2)
	require.ErrorIs(t, f.Datasync(), ErrCrashed)
	_, err = d.List("/")
	require.ErrorIs(t, err, ErrCrashed)
	require.NoError(t, f.Close())
	require.Equal(t, "abc", content(t, d.Crash(1, Kill), "/a"))
	require.NoError(t, d.Flip("/a", 9))
	require.Equal(t, "a`c", content(t, d, "/a"))
}

func TestLockExcludesUntilItsProcessIsGone(t *testing.T) {
	d := New()
	l, err := d.Lock("/lock")
	require.NoError(t, err)
	_, err = d.Lock("/lock")
	require.ErrorIs(t, err, fsys.ErrLocked)
	_, err = d.Crash(1, Kill).Lock("/lock")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = d.Lock("/lock")
	require.NoError(t, err)
}

// TestLikeTheRealOne gives the disk and the real file system the same random calls.
func TestLikeTheRealOne(t *testing.T) {
	root, d := t.TempDir(), New()
	require.NoError(t, d.MkdirAll(root))
	r := rand.New(rand.NewPCG(7, 7))
	for _, x := range []fsys.FS{d, fsys.OS{}} {
		require.NoError(t, x.MkdirAll(filepath.Join(root, "x", "y")))
	}
	places := []string{"a", "b", "x/a", "x/y/a", "x/y", "none/a"}
	for step := range 3000 {
		p, q := filepath.Join(root, places[r.IntN(len(places))]), filepath.Join(root, places[r.IntN(4)])
		kind, off, n := r.IntN(10), r.Int64N(3000), r.Int64N(1500)
		var results [2]string
		for i, x := range []fsys.FS{d, fsys.OS{}} {
			results[i] = act(x, kind, p, q, off, n)
		}
		require.Equal(t, results[1], results[0], "step %d: %d %s %s", step, kind, p, q)
	}
}

// act does one thing and returns what can be seen of it.
func act(x fsys.FS, kind int, p, q string, off, n int64) string {
	ok := func(err error) string {
		if err != nil {
			return "error"
		}
		return "fine"
	}
	switch kind {
	case 0:
		if filepath.Ext(p) != "" || strings.HasSuffix(p, "y") {
			return ""
		}
		return ok(x.Rename(p, q))
	case 1:
		return ok(x.Remove(p))
	case 9:
		if strings.HasSuffix(p, "y") {
			return "" // folders have one name
		}
		return ok(x.Link(p, q))
	case 2:
		list, err := x.List(filepath.Dir(p))
		var b strings.Builder
		for _, e := range list {
			b.WriteString(e.Name)
			if !e.Dir {
				b.WriteString(strings.Repeat("+", int(e.Size)))
			}
		}
		return b.String() + ok(err)
	}
	f, err := x.Open(p, kind < 6)
	if err != nil {
		return "error"
	}
	defer f.Close()
	switch kind {
	case 3:
		err = f.Allocate(n + 1)
	case 4:
		err = f.Truncate(n)
	case 5:
		err = f.Zero(off, n)
	case 6:
		err = f.WriteVec([][]byte{bytes.Repeat([]byte{byte(n)}, int(n)), {1, 2, 3}}, off)
	case 7:
		_, err = f.WriteAt(bytes.Repeat([]byte{byte(n)}, int(n)), off)
	}
	b := make([]byte, 2000)
	m, err2 := f.ReadAt(b, off)
	size, _ := f.Size()
	return ok(err) + string(b[:m]) + ok(err2) + strings.Repeat("+", int(size))
}
