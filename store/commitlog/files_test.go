package commitlog

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// noted is the real file system; it notes what is done and fails what fail names.
type noted struct {
	fsys.OS
	mu   sync.Mutex
	ops  []string
	fail map[string]error
}

type notedFile struct {
	fsys.File
	fs   *noted
	name string
}

func (n *noted) note(op, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ops = append(n.ops, op+" "+name)
	return n.fail[op]
}

func (n *noted) set(op string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ops, n.fail = nil, map[string]error{op: err}
}

func (n *noted) taken() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	ops := n.ops
	n.ops = nil
	return ops
}

func (n *noted) Open(path string, create bool) (fsys.File, error) {
	f, err := n.OS.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &notedFile{f, n, strings.TrimLeft(filepath.Base(path), "0")}, nil
}

func (n *noted) SyncDir(dir string) error {
	if err := n.note("syncdir", filepath.Base(dir)); err != nil {
		return err
	}
	return n.OS.SyncDir(dir)
}

func (n *noted) Rename(from, to string) error {
	if err := n.note("rename", strings.TrimLeft(filepath.Base(to), "0")); err != nil {
		return err
	}
	return n.OS.Rename(from, to)
}

func (f *notedFile) Allocate(size int64) error {
	if err := f.fs.note("allocate", f.name); err != nil {
		return err
	}
	return f.File.Allocate(size)
}

func (f *notedFile) Datasync() error {
	if err := f.fs.note("sync", f.name); err != nil {
		return err
	}
	return f.File.Datasync()
}

func (f *notedFile) WriteVec(p [][]byte, off int64) error {
	if err := f.fs.note("write", f.name); err != nil {
		return err
	}
	return f.File.WriteVec(p, off)
}

func (f *notedFile) Zero(off, n int64) error {
	if err := f.fs.note("zero", f.name); err != nil {
		return err
	}
	return f.File.Zero(off, n)
}

func openNoted(t *testing.T) (*Log, *noted, string) {
	fs, dir := &noted{}, t.TempDir()
	l, err := Open(Options{FS: fs, Dirs: []string{filepath.Join(dir, "commitlog")}, FileSize: fileSize, CacheBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l, fs, dir
}

// TestNextFileIsMadeAhead: once half a file is written the next one is allocated and durable beside the row,
// so that the append that needs it only renames it.
func TestNextFileIsMadeAhead(t *testing.T) {
	l, fs, dir := openNoted(t)
	write(t, l, 2000)
	require.Equal(t, []string{"allocate next", "sync next", "rename ", "write "}, fs.taken())
	require.NoFileExists(t, filepath.Join(dir, "skylark", "prep", "next"))
	write(t, l, 100) // past the half
	<-l.prepare()
	require.Equal(t, []string{"write ", "allocate next", "sync next"}, fs.taken()[:3])
	info, err := os.Stat(filepath.Join(dir, "skylark", "prep", "next"))
	require.NoError(t, err)
	require.EqualValues(t, fileSize, info.Size())
	require.Len(t, l.FileStarts(), 1, "Java must not find a file that is not needed yet")
	write(t, l, 1500)
	write(t, l, 2000)
	require.Equal(t, []string{"write ", "rename 4096", "write 4096"}, fs.taken())
	require.Equal(t, []int64{0, fileSize}, l.FileStarts())
}

// TestSyncNamesThenFiles: a new file's name is made durable with its first sync, and only then; every file
// with something new is synced.
func TestSyncNamesThenFiles(t *testing.T) {
	l, fs, _ := openNoted(t)
	from, _ := write(t, l, 1500)
	fs.taken()
	require.NoError(t, l.Sync(from, l.End()))
	require.Equal(t, []string{"syncdir commitlog", "sync "}, fs.taken())
	from, _ = write(t, l, 300)
	for range 4 {
		write(t, l, 2000)
	}
	<-l.prepare()
	fs.taken()
	require.NoError(t, l.Sync(from, l.End()))
	require.Equal(t, []string{"syncdir commitlog", "sync ", "sync 4096", "sync 8192"}, fs.taken())
	require.NoError(t, l.Sync(l.End(), l.End()))
	require.Empty(t, fs.taken(), "nothing is new")
	for _, op := range []string{"sync", "syncdir"} {
		l.newNames.Store(true)
		fs.set(op, syscall.EIO)
		require.ErrorIs(t, l.Sync(from, l.End()), syscall.EIO, op)
	}
}

func TestErrorsLeaveTheEndWhereItWas(t *testing.T) {
	l, fs, _ := openNoted(t)
	_, b := write(t, l, 1000)
	end := l.End()
	fs.set("write", syscall.EIO)
	require.ErrorIs(t, l.Write([][]byte{b}), syscall.EIO)
	require.Equal(t, end, l.End())
	fs.set("", nil)
	require.ErrorContains(t, l.Write([][]byte{make([]byte, fileSize-1000), {0}}), "do not fit")
	require.Equal(t, end, l.End())
	require.Empty(t, fs.taken(), "nothing may be written over a file's end")

	write(t, l, 1000)
	write(t, l, 1000) // past the half
	<-l.prepare()
	require.NoError(t, l.Fill())
	fs.set("rename", syscall.ENOSPC)
	require.ErrorIs(t, l.Write([][]byte{b}), syscall.ENOSPC)
	require.EqualValues(t, fileSize, l.End())
	require.Len(t, l.FileStarts(), 1)
}

// TestFullDiskShowsWhenTheFileIsNeeded: preparing fails ahead of need, the records that still fit are taken.
func TestFullDiskShowsWhenTheFileIsNeeded(t *testing.T) {
	l, fs, _ := openNoted(t)
	write(t, l, 1000)
	fs.set("allocate", syscall.ENOSPC)
	write(t, l, 1500) // past the half
	<-l.prepare()
	at, b := write(t, l, 1000)
	got, err := l.Read(nil, at, len(b), false)
	require.NoError(t, err)
	require.Equal(t, b, got)
	require.NoError(t, l.Fill())
	require.ErrorIs(t, l.Write([][]byte{b}), syscall.ENOSPC)
}

// TestDiskThatWasFullForAWhile: space that came back before the next file was needed must do.
func TestDiskThatWasFullForAWhile(t *testing.T) {
	l, fs, _ := openNoted(t)
	write(t, l, 1000)
	fs.set("allocate", syscall.ENOSPC)
	write(t, l, 1500)
	<-l.prepare()
	fs.set("", nil)
	write(t, l, 1000)
	at, _ := write(t, l, 1000)
	require.EqualValues(t, fileSize, at)
}

func TestSetEndAtEveryPlace(t *testing.T) {
	for name, x := range map[string]struct {
		end   int64
		clear bool
		ops   []string
		files int
	}{
		"behind the last file":          {3 * fileSize, true, nil, 3},
		"first byte of a file":          {2 * fileSize, true, []string{"syncdir commitlog"}, 2},
		"first byte of all":             {0, true, []string{"syncdir commitlog"}, 0},
		"inside the last file":          {2*fileSize + 500, true, []string{"zero 8192", "sync 8192"}, 3},
		"inside a file":                 {fileSize + 500, true, []string{"syncdir commitlog", "zero 4096", "sync 4096"}, 2},
		"inside a file, not to clear":   {fileSize + 500, false, []string{"syncdir commitlog"}, 2},
		"inside the last, not to clear": {2*fileSize + 500, false, nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, fileSize)
			for l.End() < 2*fileSize+3000 {
				write(t, l, 500)
			}
			require.NoError(t, l.Close())
			fs := &noted{}
			l, err := Open(Options{FS: fs, Dirs: []string{filepath.Join(dir, "commitlog")}, FileSize: fileSize})
			require.NoError(t, err)
			defer l.Close()
			before, err := os.ReadFile(filepath.Join(dir, "commitlog", segment.Name(x.end-x.end%fileSize)))
			if x.end < 3*fileSize {
				require.NoError(t, err)
			}
			require.NoError(t, l.SetEnd(x.end, x.clear))
			require.Equal(t, x.end, l.End())
			require.Equal(t, x.ops, fs.taken())
			require.Len(t, l.FileStarts(), x.files)
			at := x.end % fileSize
			if at == 0 {
				return
			}
			after, err := os.ReadFile(filepath.Join(dir, "commitlog", segment.Name(x.end-at)))
			require.NoError(t, err)
			require.Equal(t, before[:at], after[:at], "what stands in front of the end stays")
			if x.clear {
				require.Equal(t, make([]byte, fileSize-at), after[at:])
			} else {
				require.Equal(t, before, after)
			}
		})
	}
	for _, op := range []string{"zero", "sync"} {
		l, fs, _ := openNoted(t)
		write(t, l, 500)
		write(t, l, 500)
		fs.set(op, syscall.EIO)
		require.ErrorIs(t, l.SetEnd(500, true), syscall.EIO, op)
	}
}

// TestHeadOfAMessageFromIPv6: the born host moves the store timestamp 12 bytes back.
func TestHeadOfAMessageFromIPv6(t *testing.T) {
	l := open(t, t.TempDir(), fileSize)
	v6 := message.HostOf(netip.MustParseAddrPort("[2001:db8::1]:9876"))
	m := message.Message{Topic: "T", BornHost: v6, StoreHost: v6, Body: []byte("x")}
	b, err := message.AppendRecord(nil, &m, "")
	require.NoError(t, err)
	message.Patch(b, 0, 0, 77)
	require.NoError(t, l.Write([][]byte{b}))
	size, stamp, err := l.Head(0)
	require.NoError(t, err)
	require.Equal(t, len(b), size)
	require.EqualValues(t, 77, stamp)
	got, r, err := l.Record(nil, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(b, got))
	require.Equal(t, v6, r.BornHost)
}
