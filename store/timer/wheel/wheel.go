// Package wheel keeps Java's timer files: which message of the timer topic is due when.
//
//   - timerwheel: 1,209,600 slots of 32 bytes, one for each tick of 14 days, that of tick t at t mod 1,209,600:
//     0 tick 8   8 position of its first unit 8   16 of its last unit 8   24 number 4   28 unused 4;
//   - timerlog/: units of 52 bytes in files of mappedFileSizeTimerLog, each with the position of the unit in
//     front of it in its slot: 0 size 4   4 previous 8   12 magic 4   16 write time 8   24 delay 4
//     28 physical offset 8   36 record size 4   40 topic hash 4   44 zero 8;
//   - config/timercheck: how far both are durable, and how far the timer has come (Checkpoint).
//
// All of it is derived: the messages in the timer topic are the truth. Log and wheel are written like this: units
// go to the log's files as they come; Sync makes the log durable, then writes the pages of the wheel that changed
// and makes them durable, then the checkpoint. Open cuts from the log what the checkpoint does not know, for
// which the owner reads the topic again from the checkpoint's offset, and enters into the wheel what it lacks. A
// wheel that is missing or does not fit the log is built anew from the log; when the log is damaged, Damage says
// so and the owner builds both anew from the topic (Reset). What is damaged is moved aside, not deleted.
//
// In memory stand the pages of the wheel, 128 ticks in 4 KiB, that hold a slot in use: nothing without timers,
// 5.4 MB when there is one in each second of the two days that the wheel is used for (timerRollWindowSlot), 19 MB
// at most. The units stay in the files. Files appear with the first timer; they take no space before it is
// written.
//
// A Wheel is its owner's, one goroutine; Num, All and Checkpoint may be called by any.
package wheel

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/store/fsys"
)

// Slots is the number of ticks a message can be ahead. The file has twice as many slots.
// Java: TimerMessageStore.TIMER_WHEEL_TTL_DAY * DAY_SECS.
const Slots = 7 * 24 * 3600

// Options of a Wheel.
type Options struct {
	FS          fsys.FS
	Root        string // storePathRootDir
	LogFileSize int64  // mappedFileSizeTimerLog, bytes
	Precision   int64  // timerPrecisionMs
	Slots       int64  // 0: Slots; tests have fewer
	Clean       bool   // the last stop was clean
	Logger      zerolog.Logger
	Now         func() time.Time
	// Locate returns the queue offset of the message of the timer topic whose record stands at a physical offset.
	// ok is false when another or none stands there; gone says that the log does not reach there any more.
	Locate func(physicalOffset int64, size int32) (queueOffset int64, ok, gone bool)
}

// Wheel is the open timer files.
type Wheel struct {
	o      Options
	damage string
	cpFile fsys.File

	mu  sync.Mutex // guards what other goroutines look at: slots and cp
	s   slots
	cp  Checkpoint
	log unitLog
}

// Entry is a message to be entered.
type Entry struct {
	Slot           int64 // ms, a multiple of the precision
	WriteTime      int64 // ms, of the tick that runs
	Magic          int32
	PhysicalOffset int64
	Size           int32
	TopicHash      int32
}

// ErrDamaged means that log and wheel cannot be used: they have to be built anew.
var ErrDamaged = errors.New("the timer log is damaged")

// Open opens the files in Root and recovers them.
func Open(o Options) (*Wheel, error) {
	if o.Slots == 0 {
		o.Slots = Slots
	}
	if o.LogFileSize < 4*UnitSize {
		return nil, fmt.Errorf("cannot open the timer wheel: mappedFileSizeTimerLog %d is too small", o.LogFileSize)
	}
	w := &Wheel{o: o}
	w.s = slots{fs: o.FS, path: filepath.Join(o.Root, "timerwheel"), total: 2 * o.Slots}
	w.log = unitLog{fs: o.FS, dir: filepath.Join(o.Root, "timerlog"), own: filepath.Join(o.Root, "skylark"), size: o.LogFileSize}
	if err := w.recover(); err != nil {
		w.release()
		return nil, fmt.Errorf("cannot open the timer wheel: %w", err)
	}
	return w, nil
}

// Damage returns why the files cannot be used, "" when they can. Then only Reset may be called.
func (w *Wheel) Damage() string { return w.damage }

// Checkpoint returns what was written last.
func (w *Wheel) Checkpoint() Checkpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cp
}

// Num returns the number of messages that wait in the slot of a time, ms, less those that delete one.
func (w *Wheel) Num(at int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, _ := w.s.get(at / w.o.Precision)
	return int64(x.num)
}

// All returns the sum of Num over all slots.
func (w *Wheel) All() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.s.num
}

// Ready writes what an earlier call could not. While it fails, nothing may be entered.
func (w *Wheel) Ready() error { return w.log.flush() }

// Add enters messages. What of it cannot be written now waits in memory for Ready or Sync.
func (w *Wheel) Add(entries []Entry) {
	w.mu.Lock()
	for _, e := range entries {
		tick := e.Slot / w.o.Precision
		u := Unit{Prev: -1, Magic: e.Magic, WriteTime: e.WriteTime, Delay: int32(e.Slot - e.WriteTime),
			PhysicalOffset: e.PhysicalOffset, Size: e.Size, TopicHash: e.TopicHash}
		if x, ok := w.s.get(tick); ok {
			u.Prev = x.last
		}
		w.s.add(tick, w.log.append(&u), &u)
	}
	w.mu.Unlock()
	if err := w.log.flush(); err != nil {
		w.o.Logger.Warn().Err(err).Msg("cannot write the timer log, trying again")
	}
}

// Last returns the position of the last unit in the slot of a time, ms; ok is false when the slot is empty.
func (w *Wheel) Last(at int64) (pos int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, ok := w.s.get(at / w.o.Precision)
	return x.last, ok
}

// Unit returns the unit at pos, which stands in the slot of a time. ok is false when its file has been removed
// with the messages of that age. The error is ErrDamaged when no such unit is there.
func (w *Wheel) Unit(at, pos int64) (u Unit, ok bool, err error) {
	if err := w.log.flush(); err != nil {
		return u, false, err
	}
	if pos >= 0 && pos < w.log.files.Min() {
		return u, false, nil
	}
	u, ok, err = w.log.read(pos)
	if err == nil && (!ok || u.Time()/w.o.Precision != at/w.o.Precision || u.Prev >= pos) {
		return u, false, fmt.Errorf("%w: at %d stands no unit for %d", ErrDamaged, pos, at)
	}
	return u, ok, err
}

// Clear empties the slot of a time, ms, whose messages are delivered.
func (w *Wheel) Clear(at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.s.clear(at / w.o.Precision)
}

// Sync makes everything durable and then notes how far the timer has come: the first slot that is not delivered
// and the first message of the topic that is not entered. What both refer to must be durable already. fatal
// says of an error that nothing is known about the files any more.
func (w *Wheel) Sync(readTime, queueOffset int64) (fatal bool, err error) {
	if err := w.sync(readTime, queueOffset, false); err != nil {
		return errors.As(err, &fatalError{}), err
	}
	return false, nil
}

func (w *Wheel) sync(readTime, queueOffset int64, building bool) error {
	if err := w.log.sync(); err != nil {
		return err
	}
	if err := w.syncSlots(); err != nil {
		return err
	}
	cp := w.Checkpoint()
	cp.ReadTime, cp.LogPos, cp.QueueOffset, cp.MasterOffset = readTime, w.log.end, queueOffset, queueOffset
	if building {
		cp.LogPos = rebuilding
	}
	cp.next(w.o.Now())
	return w.writeCheckpoint(cp)
}

// syncSlots writes the wheel. Others only read slots, so that no lock is held meanwhile.
func (w *Wheel) syncSlots() error {
	if len(w.s.dirty) == 0 {
		return nil
	}
	made, err := w.s.write()
	if err != nil {
		return err
	}
	if err := w.s.file.Datasync(); err != nil {
		return fatalError{fmt.Errorf("cannot sync the timer wheel: %w", err)}
	}
	if made {
		if err := w.o.FS.SyncDir(w.o.Root); err != nil {
			return fatalError{err}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.s.written()
	return nil
}

func (w *Wheel) writeCheckpoint(cp Checkpoint) error {
	path := w.checkpointPath()
	made := false
	if w.cpFile == nil {
		if err := w.o.FS.MkdirAll(filepath.Dir(path)); err != nil {
			return err
		}
		f, err := w.o.FS.Open(path, true)
		if err != nil {
			return fmt.Errorf("cannot open the timer checkpoint: %w", err)
		}
		w.cpFile = f
		n, err := f.Size()
		if err != nil {
			return err
		}
		if made = n < checkpointFile; made {
			if err := f.Truncate(checkpointFile); err != nil {
				return err
			}
		}
	}
	if _, err := w.cpFile.WriteAt(cp.Append(nil), 0); err != nil {
		return fmt.Errorf("cannot write the timer checkpoint: %w", err)
	}
	if err := w.cpFile.Datasync(); err != nil {
		return fatalError{fmt.Errorf("cannot sync the timer checkpoint: %w", err)}
	}
	if made {
		if err := w.o.FS.SyncDir(filepath.Dir(path)); err != nil {
			return fatalError{err}
		}
	}
	w.mu.Lock()
	w.cp = cp
	w.mu.Unlock()
	return nil
}

func (w *Wheel) checkpointPath() string { return filepath.Join(w.o.Root, "config", "timercheck") }

// Clean removes the files of the log whose messages all stand in front of a physical offset.
func (w *Wheel) Clean(minPhysical int64) error { return w.log.removeBefore(minPhysical) }

// Reset moves what there is of log and wheel aside and begins both anew, empty. Until the next Sync the
// checkpoint says that they are being built.
func (w *Wheel) Reset(readTime, queueOffset int64) error {
	w.release()
	if err := w.moveAside(true); err != nil {
		return fmt.Errorf("cannot move the damaged timer files aside: %w", err)
	}
	w.mu.Lock()
	w.s.reset()
	w.mu.Unlock()
	w.log = unitLog{fs: w.o.FS, dir: w.log.dir, own: w.log.own, size: w.log.size, newNames: w.log.newNames}
	if err := w.log.open(); err != nil {
		return err
	}
	w.damage = ""
	return w.sync(readTime, queueOffset, true)
}

// moveAside moves the wheel, and with log the log too, to a folder of Skylark's.
func (w *Wheel) moveAside(log bool) error {
	aside := filepath.Join(w.log.own, fmt.Sprintf("timer-damaged-%d", w.o.Now().UnixMilli()))
	moves := map[string]string{}
	for _, name := range append(w.snapshots(), "timerwheel") {
		moves[filepath.Join(w.o.Root, name)] = filepath.Join(aside, name)
	}
	if log {
		entries, err := w.o.FS.List(w.log.dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			moves[filepath.Join(w.log.dir, e.Name)] = filepath.Join(aside, "timerlog-"+e.Name)
		}
		w.log.newNames = len(entries) > 0
	}
	if err := w.o.FS.MkdirAll(aside); err != nil {
		return err
	}
	for from, to := range moves {
		if err := w.o.FS.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, d := range []string{aside, w.log.own, w.o.Root} {
		if err := w.o.FS.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// snapshots returns the wheels that Java has written with timerWheelSnapshotFlush; then timerwheel itself is old.
func (w *Wheel) snapshots() (names []string) {
	entries, _ := w.o.FS.List(w.o.Root)
	for _, e := range entries {
		if strings.HasPrefix(e.Name, "timerwheel.") {
			names = append(names, e.Name)
		}
	}
	return names
}

func (w *Wheel) release() {
	w.log.close()
	w.s.close()
	if w.cpFile != nil {
		_ = w.cpFile.Close()
		w.cpFile = nil
	}
}

// Close closes the files. What was not synced is read from the topic again.
func (w *Wheel) Close() { w.release() }
