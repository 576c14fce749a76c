package store

import (
	"fmt"
	"sync/atomic"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
)

// roundWriter gathers the pieces of a round and writes them, file by file. A full disk costs the groups
// that it has no room for, each as a whole; any other error costs the store.
type roundWriter struct {
	s      *Store
	groups []*Group
	first  int  // groups[first:] are not written yet
	split  bool // groups[first] is partly written: it spans files
	end    int64
	now    int64
	pieces [][]byte
	full   error // the disk was full for some
	room   bool  // it had room where it might have had none
	err    error // the store cannot go on
}

func (w *roundWriter) run() {
	for i, g := range w.groups {
		g.err = nil
		if int64(w.s.stored(len(g.Buf), len(g.Recs)))+message.BlankSize > w.s.log.Left(w.end) || !w.s.log.Covers(w.end) {
			// It needs the next file: that there is one must be sure before anything of the group is written.
			if w.flush(i, 0); w.err != nil {
				return
			}
			err := w.s.log.Ready()
			if fsys.IsFull(err) {
				w.turnAway(g, err)
				w.first = i + 1
				continue
			}
			if w.err = err; err != nil {
				return
			}
			w.room = true
		}
		if w.group(i, g); w.err != nil {
			return
		}
	}
	w.flush(len(w.groups), 0)
}

func (w *roundWriter) group(i int, g *Group) {
	from, at := 0, 0 // Buf[from:at] is ready to be written
	lights := g.Lights
	for j := 0; j < len(g.Recs); {
		n := max(int(g.Recs[j].Unit), 1)
		unit := int64(0)
		for _, r := range g.Recs[j : j+n] {
			unit += int64(w.s.stored(int(r.Size), 1))
		}
		if unit+message.BlankSize > w.s.log.Left(w.end) {
			w.add(g.Buf[from:at])
			from = at
			if w.roll(i, j); w.err != nil || g.err != nil {
				return
			}
		}
		for ; n > 0; n-- {
			r := &g.Recs[j]
			if r.Queue.Deleted() { // its offsets must not go on behind those of the topic made again
				r.Queue = w.s.Queue(r.Queue.Topic, r.Queue.ID)
			}
			r.PhysicalOffset, r.QueueOffset, r.StoreTimestamp = w.end, r.Queue.Next, w.now
			r.Queue.Next++
			message.Patch(g.Buf[at:], r.QueueOffset, r.PhysicalOffset, r.StoreTimestamp)
			r.room = r.Size
			reserved := int(r.room)
			if r.Inner|r.Light != 0 {
				lights = w.finish(r, g.Buf[at:at+reserved], lights)
			}
			if seal := w.s.o.EnabledAppendPropCRC; seal || r.Inner|r.Light != 0 {
				w.add(g.Buf[from:at])
				rec, tail := g.Buf[at:at+int(r.Size):at+reserved], []byte(nil)
				if seal {
					rec, tail = w.seal(r, rec)
				}
				w.add(rec)
				w.add(tail)
				from = at + reserved
			}
			at += reserved
			w.end += int64(r.Size)
			j++
		}
	}
	w.add(g.Buf[from:at])
}

// finish finishes a record that holds offsets in its properties, which are known now: an inner batch its own once
// more, a message of light queues those that it has there. It returns the lights of the records that follow.
func (w *roundWriter) finish(r *Rec, rec []byte, lights []Light) []Light {
	if r.Light > 0 {
		w.s.assignLights(r, rec, lights[:r.Light])
		return lights[r.Light:]
	}
	r.Size = int32(message.SetInnerBase(rec, r.QueueOffset))
	if r.Queue.Batch() {
		r.Queue.Next += int64(r.Inner) - 1
	}
	return lights
}

// seal gives a record its checksum, of which what does not fit the group's buffer is returned as tail.
func (w *roundWriter) seal(r *Rec, rec []byte) (_, tail []byte) {
	at := len(w.s.tails)
	rec, w.s.tails = message.Seal(rec, w.s.tails)
	tail = w.s.tails[at:]
	r.Size = int32(len(rec) + len(tail))
	return rec, tail
}

func (w *roundWriter) add(b []byte) {
	if len(b) > 0 {
		w.pieces = append(w.pieces, b)
	}
}

// flush writes the pieces, which are of groups[first:i] and the first recs records of groups[i].
func (w *roundWriter) flush(i, recs int) {
	if len(w.pieces) == 0 || w.err != nil {
		return
	}
	err := w.s.log.Write(w.pieces)
	clear(w.pieces)
	w.pieces = w.pieces[:0]
	switch {
	case err == nil:
		w.first, w.split = i, recs > 0
		w.room = w.room || w.s.fullAtWrite
		w.s.fullAtWrite = false
	case fsys.IsFull(err) && !w.split:
		if w.err = w.s.log.Clear(w.end); w.err == nil {
			w.takeBack(i, recs, err)
			w.s.fullAtWrite = true
		}
	default:
		w.err = err
	}
}

// takeBack undoes what was given to the groups of a write that the disk had no room for.
func (w *roundWriter) takeBack(i, recs int, err error) {
	undo := func(g *Group, n int) {
		w.turnAway(g, err)
		lights := g.Lights
		for k := range g.Recs[:n] {
			r := &g.Recs[k]
			r.Queue.Next = min(r.Queue.Next, r.QueueOffset)
			for _, l := range lights[:r.Light] {
				l.Queue.Next = min(l.Queue.Next, l.QueueOffset)
			}
			lights = lights[r.Light:]
		}
	}
	for _, g := range w.groups[w.first:i] {
		if g.err == nil {
			undo(g, len(g.Recs))
		}
	}
	if recs > 0 {
		undo(w.groups[i], recs)
	}
	w.end = w.s.log.End()
	w.first = i
}

func (w *roundWriter) roll(i, recs int) {
	w.flush(i, recs)
	if w.err != nil || w.groups[i].err != nil {
		return
	}
	err := w.s.log.Fill()
	if fsys.IsFull(err) && !w.split {
		if err2 := w.s.log.Clear(w.end + message.BlankSize); err2 == nil {
			w.turnAway(w.groups[i], err)
			w.s.fullAtWrite = true
			return
		}
	}
	w.err, w.end = err, w.s.log.End()
}

func (w *roundWriter) turnAway(g *Group, err error) {
	g.err = fmt.Errorf("%w: %w", ErrNoSpace, err)
	w.full = g.err
}

// turnAway tells the owners of groups there was no room for, and returns the others.
func (s *Store) turnAway(groups []*Group) []*Group {
	stored := groups[:0]
	for _, g := range groups {
		if g.err == nil {
			stored = append(stored, g)
		} else {
			s.tell(g, g.err)
		}
	}
	return stored
}

// setFull notes whether the disk is full for one kind of file, and logs when that changes.
func (s *Store) setFull(at *atomic.Pointer[error], err error) {
	was := at.Load()
	switch {
	case err != nil:
		at.Store(&err)
		if was == nil {
			s.o.Logger.Error().Err(err).Msg("the disk is full, messages are refused")
			s.roundNow() // retention may make room
		}
	case was != nil:
		at.Store(nil)
		s.o.Logger.Info().Msg("the disk has space again")
	}
}
