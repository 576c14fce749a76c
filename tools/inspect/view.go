package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// view is a store seen from outside.
type view struct {
	o      Options
	levels []time.Duration
	root   string
	files  *segment.Handles // read-only

	log    []logFile // by base
	live   int       // files in front of the zero ones at the end
	logLen int64     // size of each log file
	odd    []Finding // of the log's folders
	stray  []string  // paths in the log's folders that Java refuses
	short  []logFile // shorter than they should be

	queueLen  int64 // size of each queue file
	batchLen  int64 // size of each batch queue file
	running   bool  // the lock is held
	aborted   bool  // the abort file is there
	cp        [6]int64
	cpSize    int64 // -1: no checkpoint
	watermark int64
}

// logFile is one file of the CommitLog.
type logFile struct {
	path string
	base int64
	size int64
}

// open finds out what is there. It fails with ErrNoStore when nothing is.
func open(o Options) (*view, error) {
	o = withDefaults(o)
	levels, err := store.ParseDelayLevels(o.DelayLevels)
	if err != nil {
		return nil, err
	}
	v := &view{o: o, levels: levels, root: o.Root, files: segment.NewHandles(readOnly{}, o.QueueFileLimit), cpSize: -1}
	if !slices.ContainsFunc(o.CommitLog, isDir) && !isDir(filepath.Join(v.root, "consumequeue")) {
		return nil, fmt.Errorf("%w in %s: neither %s nor %s is a folder", ErrNoStore, v.root, v.logDir(), filepath.Join(v.root, "consumequeue"))
	}
	if err := refuseForeign(v.root); err != nil {
		return nil, err
	}
	if !o.locked {
		if v.running, err = lockHeld(v.root); err != nil {
			return nil, err
		}
	}
	_, err = os.Stat(filepath.Join(v.root, "abort"))
	v.aborted = err == nil
	// The checkpoint is read before the log: what it promises must then be found even beside a broker.
	if err := v.readState(); err != nil {
		return nil, err
	}
	if err := v.listLog(); err != nil {
		return nil, err
	}
	if v.queueLen, err = v.findQueueSize("consumequeue", v.o.QueueFileSize, store.DefaultOptions().MappedFileSizeConsumeQueue, consumequeue.UnitSize); err != nil {
		return nil, err
	}
	v.batchLen, err = v.findQueueSize(batchFolder, v.o.BatchFileSize, store.DefaultOptions().MapperFileSizeBatchConsumeQueue, batchUnitSize)
	return v, err
}

func withDefaults(o Options) Options {
	d := store.DefaultOptions()
	if len(o.CommitLog) == 0 {
		o.CommitLog = []string{filepath.Join(o.Root, "commitlog")}
	}
	if o.DelayLevels == "" {
		o.DelayLevels = d.MessageDelayLevel
	}
	if o.HashSlots <= 0 {
		o.HashSlots = 5_000_000
	}
	if o.IndexEntries <= 0 {
		o.IndexEntries = 20_000_000
	}
	if o.QueueFileLimit <= 0 {
		o.QueueFileLimit = 512
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// logDir names the folders of the log.
func (v *view) logDir() string { return strings.Join(v.o.CommitLog, " and ") }

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// refuseForeign stops at data this package would not see. Java: storeType=defaultRocksDB, DLedger.
func refuseForeign(root string) error {
	if _, err := os.Stat(filepath.Join(root, "consumequeue", "CURRENT")); err == nil {
		return fmt.Errorf("cannot check %s: its consume queues are a RocksDB", root)
	}
	if m, _ := filepath.Glob(filepath.Join(root, "dledger-*")); len(m) > 0 {
		return fmt.Errorf("cannot check %s: %s holds a DLedger log", root, m[0])
	}
	return nil
}

// close closes the files.
func (v *view) close() { v.files.Close() }

// unclean reports whether a start would recover the store, so that its tails may be behind.
func (v *view) unclean() bool { return v.running || v.aborted }

// readState reads checkpoint and watermark. spec/store.md 1.7; store/checkpoint.go.
func (v *view) readState() error {
	b, err := readHead(filepath.Join(v.root, "checkpoint"), 48)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("cannot read the checkpoint: %w", err)
	default:
		v.cpSize = int64(len(b))
		for i := range v.cp {
			if 8*i+8 <= len(b) {
				v.cp[i] = int64(binary.BigEndian.Uint64(b[8*i:]))
			}
		}
	}
	b, err = readHead(filepath.Join(v.root, "skylark", "watermark"), 4096+20)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot read the watermark: %w", err)
	}
	newest := int64(0)
	for at := 0; at+20 <= len(b); at += 4096 {
		w := b[at : at+20]
		if seq := int64(binary.BigEndian.Uint64(w[8:])); crc32.ChecksumIEEE(w[:16]) == binary.BigEndian.Uint32(w[16:]) && seq > newest {
			newest, v.watermark = seq, int64(binary.BigEndian.Uint64(w))
		}
	}
	return nil
}

func readHead(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	got, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:got], err
}

// segments returns the files of a folder whose names are offsets, by offset, and the names of the others.
func segments(dir string) (row []logFile, stray []string, err error) {
	entries, err := fsys.OS{}.List(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Dir {
			continue // Java passes over folders
		}
		base, err := strconv.ParseInt(e.Name, 10, 64)
		if err != nil || base < 0 || segment.Name(base) != e.Name {
			stray = append(stray, filepath.Join(dir, e.Name))
			continue
		}
		row = append(row, logFile{filepath.Join(dir, e.Name), base, e.Size})
	}
	sort.Slice(row, func(i, j int) bool { return row[i].base < row[j].base })
	return row, stray, nil
}

// settle looks again at a row of files of size bytes that a broker was making files of while its folder was
// listed: a listing is no snapshot, and may hold a file without one that was made before it.
func settle(row []logFile, size int64) []logFile {
	look := func(f *logFile) bool {
		info, err := os.Stat(f.path)
		if err == nil {
			f.size = info.Size()
		}
		return err == nil
	}
	out := make([]logFile, 0, len(row))
	for i, f := range row {
		for n := len(out); i > 0 && n > 0 && out[n-1].base+size < f.base; n++ {
			base := out[n-1].base + size
			between := logFile{path: filepath.Join(filepath.Dir(f.path), segment.Name(base)), base: base}
			if !look(&between) {
				break
			}
			out = append(out, between)
		}
		if f.size == size || look(&f) {
			out = append(out, f)
		}
	}
	return out
}

// commonSize adds the sizes of row to count and returns the size most files have; of two, the larger.
func commonSize(count map[int64]int, row []logFile) int64 {
	for _, f := range row {
		if f.size > 0 {
			count[f.size]++
		}
	}
	best := int64(0)
	for size, n := range count {
		if n > count[best] || n == count[best] && size > best {
			best = size
		}
	}
	return best
}

func (v *view) find(s Severity, file string, at int64, format string, args ...any) {
	v.odd = append(v.odd, Finding{s, file, at, fmt.Sprintf(format, args...)})
}

func (v *view) listLog() error {
	var row []logFile
	for _, dir := range v.o.CommitLog {
		files, stray, err := segments(dir)
		if err != nil {
			return err
		}
		row = append(row, files...)
		v.stray = append(v.stray, stray...)
	}
	sort.SliceStable(row, func(i, j int) bool { return row[i].base < row[j].base })
	for _, path := range v.stray {
		v.find(Damaged, path, 0, "the file does not belong into the commit log's folder, Java refuses to start")
	}
	if v.logLen = v.o.LogFileSize; v.logLen <= 0 {
		v.logLen = commonSize(map[int64]int{}, row)
	}
	if v.logLen <= 0 {
		v.logLen = store.DefaultOptions().MappedFileSizeCommitLog
	}
	if v.running {
		row = settle(row, v.logLen)
	}
	for i, f := range row {
		switch {
		case f.size == 0 && i == len(row)-1:
			v.find(Warning, f.path, 0, "the last file is empty, a start removes it")
			continue
		case f.base%v.logLen != 0:
			v.find(Damaged, f.path, 0, "the name is no multiple of the file size %d", v.logLen)
			v.stray = append(v.stray, f.path)
			continue
		case f.size != v.logLen:
			v.find(Damaged, f.path, min(f.size, v.logLen), "%d bytes long, files here have %d", f.size, v.logLen)
			if f.size < v.logLen {
				v.short = append(v.short, f)
			}
		}
		if n := len(v.log); n > 0 && v.log[n-1].base == f.base {
			v.find(Damaged, f.path, 0, "the file is in %s too, a start is refused while both are there", filepath.Dir(v.log[n-1].path))
			continue
		} else if n > 0 && v.log[n-1].base+v.logLen != f.base {
			v.find(Damaged, v.logDir(), 0, "the files between %s and %s are missing", filepath.Base(v.log[n-1].path), filepath.Base(f.path))
		}
		v.log = append(v.log, f)
	}
	return v.findLive()
}

// findLive passes over files of zeros at the end: Java makes the next file ahead.
func (v *view) findLive() error {
	for v.live = len(v.log); v.live > 1; v.live-- {
		f := v.log[v.live-1]
		if first, _, err := nonZero(f.path, 0, v.logLen); err != nil {
			return err
		} else if first < v.logLen {
			break
		}
		if !v.unclean() {
			v.find(Warning, f.path, 0, "a file of zeros behind the end of the log, a start removes it")
		}
	}
	return nil
}

// logMin returns the first offset there is.
func (v *view) logMin() int64 {
	if len(v.log) == 0 {
		return 0
	}
	return v.log[0].base
}

// fileAt returns the log file that holds offset, nil when there is none.
func (v *view) fileAt(offset int64) *logFile {
	i := sort.Search(len(v.log), func(i int) bool { return v.log[i].base > offset }) - 1
	if i < 0 || offset >= v.log[i].base+v.logLen {
		return nil
	}
	return &v.log[i]
}

// where returns file and position of a log offset, the folder for one that no file holds.
func (v *view) where(offset int64) (string, int64) {
	if f := v.fileAt(offset); f != nil {
		return f.path, offset - f.base
	}
	return v.logDir(), offset
}

// readLog reads up to len(p) bytes at offset, none across the end of a file.
func (v *view) readLog(p []byte, offset int64) (int, error) {
	f := v.fileAt(offset)
	if f == nil {
		return 0, nil
	}
	n := 0
	err := v.files.Use(f.path, false, 0, func(x fsys.File) error {
		var err error
		n, err = x.ReadAt(p[:min(int64(len(p)), f.base+v.logLen-offset)], offset-f.base)
		return err
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("cannot read the commit log at %d: %w", offset, err)
	}
	return n, nil
}

// findQueueSize returns the size that most queue files in a folder have, unless it is given; whole units.
func (v *view) findQueueSize(folder string, given, usual, unit int64) (size int64, err error) {
	if size = (given + unit - 1) / unit * unit; size > 0 {
		return size, nil
	}
	count := map[int64]int{}
	err = v.eachQueueDir(folder, func(_ string, _ int32, dir string) error {
		row, _, err := segments(dir)
		size = commonSize(count, row) / unit * unit
		return err
	})
	if size <= 0 {
		size = usual
	}
	return size, err
}

// eachQueueDir calls fn for each queue's folder below a folder of the store, sorted by topic and name. Names that
// are no queue are passed over, as in Java.
func (v *view) eachQueueDir(folder string, fn func(topic string, id int32, dir string) error) error {
	top := filepath.Join(v.root, folder)
	topics, err := fsys.OS{}.List(top)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", top, err)
	}
	for _, t := range topics {
		if !t.Dir {
			continue
		}
		ids, err := fsys.OS{}.List(filepath.Join(top, t.Name))
		if err != nil {
			return fmt.Errorf("cannot list queues of %s: %w", t.Name, err)
		}
		for _, d := range ids {
			id, err := strconv.ParseInt(d.Name, 10, 32)
			if !d.Dir || err != nil || id < 0 {
				continue
			}
			if err := fn(t.Name, int32(id), filepath.Join(top, t.Name, d.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}
