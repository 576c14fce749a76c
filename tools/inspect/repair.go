package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/skylarkmq/skylark/store/fsys"
)

// RepairOptions say how far a repair goes.
type RepairOptions struct {
	// Fill allows to change the CommitLog: damaged ranges become filler records. What stood there is lost to
	// consumers for good, apart from the copy.
	Fill bool
	// DryRun only says what would be done.
	DryRun bool
	// Step is called with each thing done, or that would be done. Finding is called with what a check finds
	// after the repair, or before it in a dry run.
	Step    func(text string)
	Finding func(Finding)
}

// repairer mends one store under its lock.
type repairer struct {
	ctx   context.Context
	o     Options
	r     RepairOptions
	aside string // moved-<time>
	made  bool
}

// Repair mends what it can and returns the summary of a check afterwards. It fails with fsys.ErrLocked
// while a broker has the store.
func Repair(ctx context.Context, o Options, r RepairOptions) (Summary, error) {
	now := withDefaults(o).Now()
	m := &repairer{ctx: ctx, o: o, r: r, aside: filepath.Join(o.Root, "skylark", "moved-"+now.Format("20060102150405"))}
	if r.DryRun {
		c, err := check(ctx, o, r.Finding)
		if err != nil {
			return Summary{}, err
		}
		return c.sum, errors.Join(m.mendLog(c), m.mendRest(c))
	}
	v, err := open(o) // before the lock, whose file is made when it is not there
	if err != nil {
		return Summary{}, err
	}
	v.close()
	lock, err := fsys.LockFile(filepath.Join(o.Root, "lock"))
	if err != nil {
		return Summary{}, fmt.Errorf("cannot repair %s: %w", o.Root, err)
	}
	defer func() { _ = lock.Release() }()
	if err := m.repair(); err != nil {
		return Summary{}, fmt.Errorf("cannot repair %s: %w", o.Root, err)
	}
	c, err := m.check(r.Finding)
	if err != nil {
		return Summary{}, err
	}
	return c.sum, nil
}

func (m *repairer) repair() error {
	quiet := func(Finding) {}
	c, err := m.check(quiet)
	if err != nil {
		return err
	}
	if err := m.mendLog(c); err != nil {
		return err
	}
	if c, err = m.check(quiet); err != nil { // the fillers are part of the log now
		return err
	}
	return m.mendRest(c)
}

// check is a check under our own lock, which is not a broker's.
func (m *repairer) check(report func(Finding)) (*checker, error) {
	o := m.o
	o.locked = true
	return check(m.ctx, o, report)
}

func (m *repairer) step(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if m.r.DryRun {
		text = "would: " + text
	}
	m.r.Step(text)
}

func (m *repairer) cannot(format string, args ...any) {
	m.r.Step("cannot: " + fmt.Sprintf(format, args...))
}

// asidePath returns where a file of the store goes: the same path below the folder of this repair. A file of a
// log that lies elsewhere goes by its whole path: there may be several folders.
func (m *repairer) asidePath(path string) string {
	if rel, err := filepath.Rel(m.o.Root, path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return filepath.Join(m.aside, rel)
	}
	return filepath.Join(m.aside, "elsewhere", path)
}

// move renames a file or folder aside.
func (m *repairer) move(path, why string) error {
	to := m.asidePath(path)
	m.step("move %s to %s: %s", path, to, why)
	if m.r.DryRun {
		return nil
	}
	if err := m.makeAside(to); err != nil {
		return err
	}
	err := os.Rename(path, to)
	if errors.Is(err, syscall.EXDEV) { // storePathCommitLog may be another disk
		if err = copyFile(path, to); err == nil {
			err = os.Remove(path)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot move %s aside: %w", path, err)
	}
	return errors.Join(fsys.SyncDir(filepath.Dir(to)), fsys.SyncDir(filepath.Dir(path)))
}

// copy keeps a file as it is before it is changed in place. Once is enough.
func (m *repairer) copy(path string) error {
	to := m.asidePath(path)
	if m.r.DryRun {
		m.step("copy %s to %s", path, to)
		return nil
	}
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	m.step("copy %s to %s", path, to)
	if err := m.makeAside(to); err != nil {
		return err
	}
	if err := copyFile(path, to); err != nil {
		return fmt.Errorf("cannot copy %s aside: %w", path, err)
	}
	return fsys.SyncDir(filepath.Dir(to))
}

// makeAside makes the folder for a path; the first time the folder of this repair must be new.
func (m *repairer) makeAside(to string) error {
	if !m.made {
		if _, err := os.Lstat(m.aside); err == nil {
			return fmt.Errorf("%s is there already, try again in a second", m.aside)
		}
		m.made = true
	}
	return os.MkdirAll(filepath.Dir(to), 0o755)
}

// copyFile copies what is data of a file, durably; holes stay holes.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	info, err := in.Stat()
	if err == nil {
		err = eachData(in, 0, info.Size(), 1, func(off int64, b []byte) error {
			_, err := out.WriteAt(b, off)
			return err
		})
	}
	if err == nil {
		err = out.Truncate(info.Size())
	}
	if err == nil {
		err = os.Chtimes(to, info.ModTime(), info.ModTime()) // retention goes by it, should it be moved back
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// change applies fn to a file of the log, whose copy is aside, and makes it durable. Its time stays: Java
// and Skylark delete log files by their age.
func (m *repairer) change(path string, fn func(f fsys.File) error) error {
	if m.r.DryRun {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := fsys.OS{}.Open(path, false)
	if err != nil {
		return err
	}
	if err = fn(f); err == nil {
		err = f.Datasync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot change %s: %w", path, err)
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// mendLog changes the files of the log: strays, damaged ranges, the stale tail.
func (m *repairer) mendLog(c *checker) error {
	defer c.v.close()
	for _, path := range c.v.stray {
		if err := m.move(path, "it does not belong there"); err != nil {
			return err
		}
	}
	for _, s := range c.missing {
		m.cannot("give back the log files for [%d,%d)", s.from, s.to)
	}
	if !m.r.Fill && (len(c.damaged) > 0 || len(c.v.short) > 0 || c.v.watermark > c.sum.LogEnd) {
		m.cannot("mend %d damaged ranges of the log without --fill", max(len(c.damaged), 1))
	} else if err := m.fillLog(c); err != nil {
		return err
	}
	if c.tail == nil || c.v.unclean() {
		return nil // a start clears it
	}
	f := c.v.fileAt(c.tail.from)
	if err := m.copy(f.path); err != nil {
		return err
	}
	m.step("clear %s from %d on", f.path, c.tail.from-f.base)
	return m.change(f.path, func(x fsys.File) error {
		return x.Zero(c.tail.from-f.base, c.v.logLen-(c.tail.from-f.base))
	})
}

func (m *repairer) fillLog(c *checker) error {
	for _, f := range c.v.short {
		if err := m.copy(f.path); err != nil {
			return err
		}
		m.step("make %s %d bytes long", f.path, c.v.logLen)
		if err := m.change(f.path, func(x fsys.File) error { return x.Truncate(c.v.logLen) }); err != nil {
			return err
		}
	}
	for _, s := range c.damaged {
		if err := m.fill(c, s); err != nil {
			return err
		}
	}
	if c.v.watermark > c.sum.LogEnd {
		return m.move(filepath.Join(c.v.root, "skylark", "watermark"), "what it promises is gone from the log")
	}
	return nil
}

// fill writes fillers over one damaged range.
func (m *repairer) fill(c *checker, s span) error {
	f := c.v.fileAt(s.from)
	var units []lost
	for _, u := range c.lost {
		if u.phys >= s.from && u.phys < s.to {
			units = append(units, u)
		}
	}
	pieces, err := layout(s, f.base+c.v.logLen, units)
	if err != nil {
		m.cannot("fill [%d,%d) of the log: %v", s.from, s.to, err)
		return nil
	}
	if err := m.copy(f.path); err != nil {
		return err
	}
	stamp := s.stamp
	if stamp == 0 { // nothing stands in front of it
		stamp = c.oldest
	}
	m.step("write %d filler records over [%d,%d) of %s", len(pieces), s.from-f.base, s.to-f.base, f.path)
	return m.change(f.path, func(x fsys.File) error {
		// From the back: should the process die, what is in front is still damage and found again.
		for i := len(pieces) - 1; i >= 0; i-- {
			b, err := pieces[i].bytes(stamp)
			if err != nil {
				return err
			}
			if _, err := x.WriteAt(b, pieces[i].from-f.base); err != nil {
				return err
			}
		}
		return nil
	})
}
