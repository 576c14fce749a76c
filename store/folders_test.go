package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// newSimDisks is newSimDisk with a second disk.
func newSimDisks(t testing.TB) *simfs.Disk {
	d := newSimDisk(t)
	require.NoError(t, d.MkdirAll(otherMount))
	require.NoError(t, d.SyncDir("/"))
	d.Mount(otherMount)
	return d
}

// TestCrashMatrixOfTwoDisks: files go in turn to two disks, of which a power cut leaves different moments. The
// script rolls, without a sync between, is killed with both disks behind, and recovers.
func TestCrashMatrixOfTwoDisks(t *testing.T) {
	crashMatrix(t, func(r *recorder, t *testing.T) {
		d := newSimDisks(t)
		s := r.open(t, d)
		r.mixed(t, s, 0)
		require.NoError(t, s.Close()) // leaves a watermark
		d.SetHook(r.hook(d))
		s = r.open(t, d)
		r.mixed(t, s, 1)
		require.NoError(t, s.syncLog())
		for i := range 3 {
			r.mixed(t, s, 2+i)
		}
		k := d.Crash(0, simfs.Kill)
		k.SetHook(r.hook(k))
		r.live.Store(nil)
		d.SetHook(nil)
		d.Stop()
		_ = s.Close()
		s = r.open(t, k)
		k.SetHook(nil)
		require.NoError(t, s.Close())
		require.Len(t, logDirFiles(t, k, simRoot+"/commitlog"), 2)
		require.Len(t, logDirFiles(t, k, otherMount), 2)
	})
}

func logDirFiles(t testing.TB, d *simfs.Disk, dir string) []string {
	entries, err := d.List(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		if !e.Dir {
			out = append(out, e.Name)
		}
	}
	return out
}

// foldersOptions are those of a store with CommitLog folders a and b beside its root.
func foldersOptions(dir string) Options {
	o := testOptions(filepath.Join(dir, "root"))
	o.StorePathCommitLog = filepath.Join(dir, "a") + ", " + filepath.Join(dir, "b") + ","
	return o
}

// filesIn returns the numbers of the log files in a folder.
func filesIn(t testing.TB, o Options, dir string) []int64 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(o.StorePathRootDir), dir, "0*"))
	require.NoError(t, err)
	out := []int64{}
	for _, name := range names {
		var base int64
		_, err := fmt.Sscanf(filepath.Base(name), "%d", &base)
		require.NoError(t, err)
		out = append(out, base/o.MappedFileSizeCommitLog)
	}
	return out
}

// fillTo fills until the log has so many files.
func fillTo(t testing.TB, s *Store, files, n int) int {
	for len(s.log.FileStarts()) < files {
		n = fill(t, s, 1, n)
	}
	return n
}

func verifyBoth(t testing.TB, s *Store, n int) {
	t.Helper()
	verify(t, s, "A", 0, n)
	verify(t, s, "B", 3, n)
}

func TestFilesGoToTheFoldersInTurn(t *testing.T) {
	o := foldersOptions(t.TempDir())
	s := open(t, o)
	n := fillTo(t, s, 5, 0)
	require.Equal(t, []int64{0, 2, 4}, filesIn(t, o, "a"))
	require.Equal(t, []int64{1, 3}, filesIn(t, o, "b"))
	killed := o
	killed.StorePathRootDir = filepath.Join(snapshot(t, filepath.Dir(o.StorePathRootDir)), "root")
	killed.StorePathCommitLog = strings.ReplaceAll(o.StorePathCommitLog, filepath.Dir(o.StorePathRootDir), filepath.Dir(killed.StorePathRootDir))
	verifyBoth(t, open(t, killed), n)
	require.NoError(t, s.Close())
	s = open(t, o)
	verifyBoth(t, s, n)
	n = fillTo(t, s, 7, n)
	require.Equal(t, []int64{1, 3, 5}, filesIn(t, o, "b"))
	verifyBoth(t, s, n)
}

// TestFolderBecomesReadOnly: the file that was begun there is closed, and nothing is made there any more. Removed
// from both lists the folder is missed, in the middle of the log as at its end.
func TestFolderBecomesReadOnly(t *testing.T) {
	for _, last := range []int{5, 6} { // in a, in b
		t.Run(fmt.Sprint(last, " files"), func(t *testing.T) {
			dir := t.TempDir()
			o := foldersOptions(dir)
			s := open(t, o)
			n := fillTo(t, s, last, 0)
			end := s.log.End()
			require.NoError(t, s.Close())
			before := contents(t, dir, "b")

			only := o
			only.StorePathCommitLog = filepath.Join(dir, "a")
			_, err := Open(only)
			require.ErrorContains(t, err, segment.Name(o.MappedFileSizeCommitLog)+" (offset 16384); looked for in "+filepath.Join(dir, "a"))

			both := o // as Java wants it: in both lists
			both.ReadOnlyCommitLogStorePaths = filepath.Join(dir, "b") + "/"
			only.ReadOnlyCommitLogStorePaths = filepath.Join(dir, "b") + "," + filepath.Join(dir, "gone")
			for i, o := range []Options{both, only, only} {
				s = open(t, o)
				n = fillTo(t, s, last+2*(i+1), n)
				verifyBoth(t, s, n)
				require.NoError(t, s.Close())
			}
			after := contents(t, dir, "b")
			require.Len(t, after, len(before))
			for name, was := range before {
				if at := end - end%o.MappedFileSizeCommitLog; name == segment.Name(at) {
					require.Equal(t, 6, last)
					require.Equal(t, was[:end-at], after[name][:end-at])
					was = binary.BigEndian.AppendUint32(was[:end-at:end-at], uint32(at+o.MappedFileSizeCommitLog-end))
					was = binary.BigEndian.AppendUint32(was, 0xCBD43194)
					was = append(was, make([]byte, o.MappedFileSizeCommitLog-int64(len(was)))...)
				}
				require.Equal(t, was, after[name], name)
			}
			require.NoDirExists(t, filepath.Join(dir, "gone"), "a read-only folder is not made")
		})
	}
}

func contents(t testing.TB, dir ...string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(append(dir, "*")...))
	require.NoError(t, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		out[filepath.Base(name)] = b
	}
	return out
}

// TestMissingLastFileIsMissed: whoever stopped the store, a folder with the log's end that was left out stops the
// start, and what is there stays as it is.
func TestMissingLastFileIsMissed(t *testing.T) {
	for _, java := range []bool{false, true} {
		t.Run(fmt.Sprint("by Java ", java), func(t *testing.T) {
			dir := t.TempDir()
			o := foldersOptions(dir)
			s := open(t, o)
			n := fillTo(t, s, 2, 0) // one in each folder
			last := s.Find("B", 3).MaxPhysical()
			require.NoError(t, s.Close())
			if java { // its checkpoint names the newest record, and it has no watermark
				require.NoError(t, os.RemoveAll(filepath.Join(o.StorePathRootDir, "skylark")))
				u, ok, err := s.Find("B", 3).At(int64(n - 1))
				require.True(t, ok && err == nil)
				require.Equal(t, last, u.PhysicalOffset+int64(u.Size))
				patch(t, checkpointPath(o.StorePathRootDir), 40, binary.BigEndian.AppendUint64(nil, uint64(u.PhysicalOffset)))
			}
			units := contents(t, o.StorePathRootDir, "consumequeue", "B", "3")
			less := o
			less.StorePathCommitLog = filepath.Join(dir, "a")
			_, err := Open(less)
			require.ErrorContains(t, err, "the commit log ends at 16384")
			require.ErrorContains(t, err, "the file "+segment.Name(16384)+" is missing, looked for in "+filepath.Join(dir, "a"))
			require.Equal(t, units, contents(t, o.StorePathRootDir, "consumequeue", "B", "3"))
			verifyBoth(t, open(t, o), n)
		})
	}
}

func patch(t testing.TB, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestClosingAReadOnlyFolderMayCrash: the last start of a store crashes in front of each step; the next one finds
// all that there was.
func TestClosingAReadOnlyFolderMayCrash(t *testing.T) {
	d, tl := newSimDisks(t), newTally()
	options := func(d *simfs.Disk) Options {
		o := simOptions(SyncFlush, d)
		o.ReadOnlyCommitLogStorePaths = otherMount
		return o
	}
	s, err := Open(simOptions(SyncFlush, d))
	require.NoError(t, err)
	for len(s.log.FileStarts()) < 2 {
		require.NoError(t, tl.put(s, part{key: qa, sizes: []int{300}}))
	}
	acked := tl.end()
	d.Stop() // killed; what it had acknowledged is durable
	_ = s.Close()
	var images []*simfs.Disk
	base := d.Crash(0, simfs.Kill)
	base.SetHook(func(op *simfs.Op) simfs.Fault {
		for _, p := range []simfs.Policy{simfs.Kill, simfs.Synced, simfs.Scatter} {
			if op.Change > 0 {
				images = append(images, base.Image(uint64(len(images)), p))
			}
		}
		return simfs.Fault{}
	})
	s, err = Open(options(base))
	require.NoError(t, err)
	require.EqualValues(t, 2*s.log.FileSize(), s.log.End())
	require.NoError(t, tl.put(s, part{key: qa, sizes: []int{300, 300}}))
	base.SetHook(nil)
	require.NoError(t, s.Close())
	require.Greater(t, len(images), 30)
	for i, img := range images {
		s, err := Open(options(img))
		require.NoError(t, err, i)
		got, err := dump(s)
		require.NoError(t, err)
		require.NoError(t, tl.verify(got, acked), i)
		require.NoError(t, strictLog(s, img), i)
		require.Len(t, logDirFiles(t, img, otherMount), 1)
		require.NoError(t, s.Close())
	}
}

func TestFoldersThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for name, x := range map[string]struct {
		change func(o *Options)
		want   string
	}{
		"comma in the root":    {func(o *Options) { o.StorePathRootDir += ",b" }, "storePathRootDir"},
		"no writable folder":   {func(o *Options) { o.ReadOnlyCommitLogStorePaths = o.StorePathCommitLog }, "readOnlyCommitLogStorePaths"},
		"nothing but a comma":  {func(o *Options) { o.StorePathCommitLog = " , " }, "no folder of storePathCommitLog"},
		"the same file, twice": {func(o *Options) { twice(t, o, dir) }, "both " + filepath.Join(dir, "a", segment.Name(0)) + " and " + filepath.Join(dir, "b", segment.Name(0))},
	} {
		t.Run(name, func(t *testing.T) {
			o := foldersOptions(dir)
			x.change(&o)
			_, err := Open(o)
			require.ErrorContains(t, err, x.want)
		})
	}
	o := foldersOptions(t.TempDir())
	o.MultiPathSplitter = ";"
	o.StorePathCommitLog = strings.ReplaceAll(o.StorePathCommitLog, ",", ";")
	dirs, _ := o.CommitLogDirs()
	require.Len(t, dirs, 2)
	o.StorePathCommitLog = strings.ReplaceAll(o.StorePathCommitLog, ";", ",")
	dirs, _ = o.CommitLogDirs()
	require.Len(t, dirs, 1, "a comma is a letter then")
}

func twice(t *testing.T, o *Options, dir string) {
	for _, d := range []string{"a", "b"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, d, segment.Name(0)), make([]byte, o.MappedFileSizeCommitLog), 0o644))
	}
}

// disks are how full the disks of the folders are, in percent; each folder lies on its own.
type disks struct {
	mu   sync.Mutex
	used map[string]int64
}

func (d *disks) set(name string, percent int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used[name] = percent
}

func (d *disks) usage(dir string) (fsys.Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := int64(100-d.used[filepath.Base(dir)]) * 10 << 10
	return fsys.Disk{Total: 1000 << 10, Free: free, Usable: free, ID: uint64(filepath.Base(dir)[0])}, nil
}

// TestDisksOfDifferentFill: a full disk gets no new file and costs none as long as another has room; when all are
// full the oldest files go until one has.
func TestDisksOfDifferentFill(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.StorePathCommitLog = foldersOptions(filepath.Dir(o.StorePathRootDir)).StorePathCommitLog
	o.StorePathRootDir = filepath.Join(filepath.Dir(o.StorePathRootDir), "root")
	full := &disks{used: map[string]int64{}}
	o.DiskUsage = full.usage
	s := w.open(t, o)
	n := fillTo(t, s, 4, 0)
	full.set("b", 95)
	step(t, s)
	require.True(t, s.Stats().Writable)
	n = fillTo(t, s, 8, n)
	require.Equal(t, []int64{0, 2, 4, 5, 6, 7}, filesIn(t, o, "a"))
	s = w.reopened(t, s, o)
	n = fillTo(t, s, 9, n)
	require.Equal(t, []int64{1, 3}, filesIn(t, o, "b"), "a start knows it too")
	step(t, s)
	require.Equal(t, 0, int(s.log.Min()), "there is room")

	full.set("a", 93)
	step(t, s) // 8 and 10 percent of 1000 KiB are too much: 80 KiB of a are 5 files, 100 KiB of b are 7
	require.False(t, s.Stats().Writable)
	require.Contains(t, s.Stats().Refusal, "/a is 93 % full")
	require.Contains(t, s.Stats().Refusal, "/b is 95 % full")
	require.Equal(t, []int64{7, 8}, filesIn(t, o, "a"), "0, 2, 4, 5, 6")
	require.Empty(t, filesIn(t, o, "b"), "those between go with them")
	full.set("a", 85)
	step(t, s)
	require.True(t, s.Stats().Writable, "one has room")
	verifyFrom(t, s, "A", 0, n)
	fill(t, s, 3, n)
}

// TestFullFolderIsPassedBy: a disk without space for the next file costs nothing while another has some.
func TestFullFolderIsPassedBy(t *testing.T) {
	o := foldersOptions(t.TempDir())
	o.StorePathCommitLog = filepath.Join(filepath.Dir(o.StorePathRootDir), "b", "log") + "," + filepath.Join(filepath.Dir(o.StorePathRootDir), "a", "log")
	no := fullDisk(&o, "allocate", "/b/")
	s := open(t, o)
	no.Store(true)
	n := fillTo(t, s, 4, 0)
	require.Empty(t, filesIn(t, o, "b/log"))
	no.Store(false)
	n = fillTo(t, s, 7, n)
	require.NotEmpty(t, filesIn(t, o, "b/log"))
	verifyBoth(t, s, n)
	all := &faulty{}
	all.set(func(op, _ string) error {
		if op == "allocate" {
			return syscall.ENOSPC
		}
		return nil
	})
	require.NoError(t, s.Close())
	o.FS = all
	s = open(t, o)
	var err error
	for err == nil {
		if err = sendOne(t, s, 7); err == nil {
			n += 7
		}
	}
	require.ErrorIs(t, err, ErrNoSpace)
	require.NoError(t, s.Err())
}

// TestRemovalFromAnotherDisk: files leave a folder that is a mount of its own, read only by now, through that
// folder, and nothing stays there.
func TestRemovalFromAnotherDisk(t *testing.T) {
	d, tl := newSimDisks(t), newTally()
	o := simOptions(SyncFlush, d)
	o.DeleteCommitLogFilesInterval, o.MaxStoreBytes = 0, 2*o.MappedFileSizeCommitLog
	s, err := Open(o)
	require.NoError(t, err)
	for len(s.log.FileStarts()) < 6 {
		require.NoError(t, tl.put(s, part{key: qa, sizes: []int{300}}))
	}
	require.NoError(t, s.Close())
	require.Len(t, logDirFiles(t, d, otherMount), 3)
	o.ReadOnlyCommitLogStorePaths = otherMount
	s, err = Open(o)
	require.NoError(t, err)
	require.NoError(t, tl.put(s, part{key: qa, sizes: []int{300}}))
	step(t, s)
	require.EqualValues(t, 2, s.Stats().MaxPhysical/s.log.FileSize()-s.Stats().MinPhysical/s.log.FileSize()+1)
	left, err := s.log.Trash()
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, s.Close())
	entries, err := d.List(otherMount)
	require.NoError(t, err)
	for _, e := range entries {
		require.False(t, e.Dir, e.Name)
	}
}
