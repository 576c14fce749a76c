package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// scanEntries calls fn for the entries from 1 up to the one in front of end, with their bytes, until it
// returns false. fn may change the bytes and say so by changed: they are written back.
func (f *file) scanEntries(end int32, fn func(n int32, e stored, b []byte) (more, changed bool)) error {
	const per = piece / entrySize
	buf := make([]byte, min(int64(per), int64(end))*entrySize)
	for from := int32(1); from < end; from += per {
		b := buf[:min(int64(per), int64(end-from))*entrySize]
		if err := f.read(b, f.entryAt(from)); err != nil {
			return err
		}
		dirty, goOn := false, true
		for i := 0; i < len(b) && goOn; i += entrySize {
			more, changed := fn(from+int32(i/entrySize), parseEntry(b[i:]), b[i:i+entrySize])
			goOn = more
			dirty = dirty || changed
		}
		if dirty {
			if err := f.write(b, f.entryAt(from)); err != nil {
				return err
			}
		}
		if !goOn || end-from <= per {
			return nil
		}
	}
	return nil
}

// valid returns the number of the first entry that cannot be: a power cut leaves pages of zeros, and entries
// of records the CommitLog has lost.
func (f *file) valid(max int64) (int32, error) {
	if f.head.count <= 1 {
		return 1, nil // without a header no entry has a time
	}
	end, last := f.entries, f.head.beginPhysical
	err := f.scanEntries(f.entries, func(n int32, e stored, _ []byte) (bool, bool) {
		ok := e.hash >= 0 && e.diff >= 0 && e.prev >= 0 && e.prev < n && e.physical >= last && e.physical < max &&
			(n > 1 || e.physical == last) && (e.physical > 0 || e.hash > 0)
		if !ok {
			end = n
		}
		last = e.physical
		return ok, false
	})
	return end, err
}

// trailing returns how many of the entries in front of end are of the last message.
func (f *file) trailing(end int32) (int, error) {
	if end <= 1 {
		return 0, nil
	}
	last, err := f.entry(end - 1)
	n := int32(1)
	for w := (window{f: f}); err == nil && n < end-1; n++ {
		var e stored
		if e, err = w.entry(end - 1 - n); e.physical != last.physical {
			break
		}
	}
	return int(n), err
}

// repair brings file i to a state that can be trusted and returns the number of the last file that is done.
// Killed at any point it is done again at the next start.
func (l *loader) repair(i int) (int, error) {
	f := l.files[i]
	end, err := f.valid(l.max)
	if err != nil {
		return 0, err
	}
	if end < f.entries || i == len(l.files)-1 {
		// Nothing is known to follow. The last message may have had more keys, and its last entry may be half written.
		if err := l.removeFrom(i + 1); err != nil {
			return 0, err
		}
		n, err := f.trailing(end)
		if err != nil {
			return 0, err
		}
		end -= int32(n)
	}
	l.x.o.Logger.Info().Str("file", f.path).Int32("entriesBefore", f.head.count-1).Int32("entries", end-1).Msg("repairing an index file")
	if end <= 1 {
		if err := l.removeFrom(i); err != nil {
			return 0, err
		}
		return max(i-2, -1), nil // the file before is the last one now
	}
	return i, f.rebuild(end)
}

// rebuild cuts f in front of entry end, zeroes what follows, and makes slots and header fit the entries.
func (f *file) rebuild(end int32) error {
	for _, size := range []int64{f.entryAt(end), f.size()} { // zeros that take no space
		if err := f.Truncate(size); err != nil {
			return fmt.Errorf("cannot cut %s: %w", f.path, err)
		}
	}
	table := make([]int32, f.slots)
	h := f.head
	h.count, h.slots = end, 0
	err := f.scanEntries(end, func(n int32, e stored, b []byte) (bool, bool) {
		slot := f.slotOf(e.hash)
		prev := table[slot]
		table[slot] = n
		if prev == 0 {
			h.slots++
		}
		if n == end-1 {
			h.endPhysical = e.physical
			// The header knows the milliseconds if it was written behind this entry's message.
			if t := h.time(n, &e); h.endTimestamp < t || h.endTimestamp >= t+1000 {
				h.endTimestamp = t
			}
		}
		binary.BigEndian.PutUint32(b[16:], uint32(prev))
		return true, prev != e.prev
	})
	if err == nil {
		err = f.writeSlots(table)
	}
	if err == nil {
		err = f.write(h.bytes(), 0)
	}
	if err == nil {
		err = f.sync()
	}
	f.head = h
	return err
}

// writeSlots writes what of the slots is not so already: most of a young file's take no space on the disk, and
// a full one has none to give.
func (f *file) writeSlots(table []int32) error {
	b := make([]byte, 0, min(piece, len(table)*slotSize))
	was := make([]byte, cap(b))
	for i := 0; i < len(table); {
		b = b[:0]
		at := f.slotAt(int32(i))
		for ; i < len(table) && len(b)+slotSize <= cap(b); i++ {
			b = binary.BigEndian.AppendUint32(b, uint32(table[i]))
		}
		if err := f.read(was[:len(b)], at); err != nil {
			return err
		}
		if bytes.Equal(was[:len(b)], b) {
			continue
		}
		if err := f.write(b, at); err != nil {
			return err
		}
	}
	return nil
}
