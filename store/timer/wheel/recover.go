package wheel

import (
	"errors"
	"fmt"
	"io/fs"
)

// recover loads checkpoint, wheel and log and makes them fit each other, or sets w.damage.
func (w *Wheel) recover() error {
	there, err := w.readCheckpoint()
	if err != nil {
		return err
	}
	if err := w.log.open(); err != nil {
		w.damage = err.Error()
		return nil
	}
	switch {
	case w.cp.LogPos == rebuilding:
		w.damage = "they were being built anew"
		return nil
	case !there:
		return w.guess()
	case w.cp.LogPos > w.log.files.End():
		w.damage = fmt.Sprintf("the log ends at %d, in front of %d", w.log.files.End(), w.cp.LogPos)
		return nil
	}
	return w.fit()
}

// readCheckpoint reads the checkpoint; there is false without one that can be used.
func (w *Wheel) readCheckpoint() (there bool, err error) {
	f, err := w.o.FS.Open(w.checkpointPath(), false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil || n == 0 {
		return false, err
	}
	b := make([]byte, min(n, CheckpointSize))
	if _, err := f.ReadAt(b, 0); err != nil {
		return false, fmt.Errorf("cannot read the timer checkpoint: %w", err)
	}
	cp, ok := parseCheckpoint(b)
	if ok {
		w.cp = cp
	}
	return ok, nil
}

// guess makes up for a missing checkpoint: all units of the log are taken, and the timer has come to the tick in
// which the last of them was entered.
func (w *Wheel) guess() error {
	var last Unit
	found := false
	end, err := w.log.scan(w.log.files.Min(), func(_ int64, u *Unit) bool {
		last, found = *u, true
		return true
	})
	if err != nil || !found {
		return err
	}
	offset, ok, _ := w.o.Locate(last.PhysicalOffset, last.Size)
	if !ok {
		w.damage = "there is no checkpoint, and the log's last message is not there"
		return nil
	}
	w.cp = Checkpoint{ReadTime: last.WriteTime, LogPos: end, QueueOffset: offset + 1, MasterOffset: offset + 1}
	w.o.Logger.Warn().Int64("readTime", last.WriteTime).Int64("queueOffset", offset+1).Msg("the timer checkpoint is missing, going on behind the last unit of the timer log")
	return w.fit()
}

// fit takes over the log up to what the checkpoint knows, and the wheel, or builds the wheel anew from the log.
func (w *Wheel) fit() error {
	from := w.cp.ReadTime / w.o.Precision
	l := &w.log
	l.end = l.files.End() // for now
	bad, err := w.loadSlots(from)
	if err != nil {
		return err
	}
	start := w.cp.LogPos - w.cp.LogPos%l.size
	if l.files.Find(start) == nil && start > 0 {
		start -= l.size
	}
	start = max(start, l.files.Min())
	reached := start
	var tail []int64 // a unit that may have to be entered, and its position
	var units []Unit
	end, err := l.scan(start, func(pos int64, u *Unit) bool {
		tick := u.Time() / w.o.Precision
		if pos >= w.cp.LogPos {
			offset, ok, gone := w.o.Locate(u.PhysicalOffset, u.Size)
			if ok && offset >= w.cp.QueueOffset || !ok && !gone {
				return false
			}
			tail, units = append(tail, pos), append(units, *u)
			return true
		}
		reached = pos + UnitSize
		if x, ok := w.s.get(tick); tick >= from && (!ok || x.last < pos) && bad == "" {
			bad = fmt.Sprintf("tick %d lacks the unit at %d", tick, pos)
		}
		return true
	})
	if err != nil {
		return err
	}
	if l.step(reached) < w.cp.LogPos {
		w.damage = fmt.Sprintf("the log has no unit at %d, in front of %d", reached, w.cp.LogPos)
		return nil
	}
	w.s.each(func(x slot) bool {
		if x.last >= end {
			bad = fmt.Sprintf("tick %d points to %d, behind the end at %d", x.tick, x.last, end)
		}
		return bad == ""
	})
	if bad != "" {
		if err := w.rebuildSlots(from, end, bad); err != nil {
			return err
		}
	}
	for i := range tail {
		if tick := units[i].Time() / w.o.Precision; tick >= from {
			w.s.add(tick, tail[i], &units[i])
		}
	}
	return w.settle(end)
}

// loadSlots reads the wheel; bad says why it cannot be used.
func (w *Wheel) loadSlots(from int64) (bad string, err error) {
	if w.cp.LogPos == 0 && len(w.log.files.All()) == 0 {
		return "", nil // nothing can be in it
	}
	if names := w.snapshots(); len(names) > 0 {
		return "there are snapshots, " + names[len(names)-1], nil
	}
	l := &w.log
	return w.s.load(from, func(x slot) bool {
		return l.aligned(x.last) && x.last+UnitSize <= l.end && x.first <= x.last && (x.first == -1 || l.aligned(x.first))
	})
}

// missing is why a wheel that is not there cannot be used.
const missing = "it is missing"

// rebuildSlots enters all units of the log up to end that are not delivered.
func (w *Wheel) rebuildSlots(from, end int64, why string) error {
	if why != missing {
		if err := w.moveAside(false); err != nil {
			return fmt.Errorf("cannot move the damaged timer wheel aside: %w", err)
		}
	}
	w.s.reset()
	n := 0
	if _, err := w.log.scan(w.log.files.Min(), func(pos int64, u *Unit) bool {
		if pos >= end {
			return false
		}
		if tick := u.Time() / w.o.Precision; tick >= from {
			w.s.add(tick, pos, u)
			n++
		}
		return true
	}); err != nil {
		return err
	}
	w.o.Logger.Warn().Str("why", why).Int("units", n).Msg("the timer wheel cannot be used, built anew from the timer log")
	return nil
}

// settle makes end the log's end and, after a crash, has everything written again that may not be durable.
func (w *Wheel) settle(end int64) error {
	l := &w.log
	if l.files.Find(end) == nil && end != l.files.End() && len(l.files.All()) > 0 {
		w.damage = fmt.Sprintf("the log has no file for %d", end)
		return nil
	}
	l.synced = min(w.cp.LogPos, end)
	if w.o.Clean && end == w.cp.LogPos {
		l.end = end
		return nil
	}
	if err := l.cut(end); err != nil {
		return err
	}
	if err := l.rewrite(l.synced); err != nil {
		return err
	}
	for n, p := range w.s.pages {
		if p != nil {
			w.s.mark(n, p)
		}
	}
	l.newNames = true
	return nil
}
