package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/segment"
)

// Damage is a range of the CommitLog in which no whole record stands, with whole ones behind it or within
// what was durable once. Nothing of it is served, and nothing is done to it.
type Damage struct {
	From, To int64
	Why      error
}

// Damaged returns the damage that the start has come upon. It looks only at what may differ from the last
// checkpoint: `skylark store check` looks at everything.
func (s *Store) Damaged() []Damage {
	s.damageMu.Lock()
	defer s.damageMu.Unlock()
	return slices.Clone(s.damaged)
}

func (s *Store) noteDamage(d Damage) {
	s.damageMu.Lock()
	defer s.damageMu.Unlock()
	for _, known := range s.damaged {
		if known.From == d.From {
			return
		}
	}
	s.damaged = append(s.damaged, d)
	s.o.Logger.Error().Int64("from", d.From).Int64("to", d.To).AnErr("why", d.Why).
		Msg("the commit log is damaged; what is whole is served, nothing was changed")
}

// walker passes over the whole records of the log, and over damage between them.
type walker struct {
	s      *Store
	sc     *commitlog.Scanner
	end    int64           // of the log; -1: the walk is to find it
	known  map[int64]int64 // damage that was found before: where it begins and ends
	newest int64           // store timestamp of the records seen
}

func (w *walker) next() (message.Record, bool, error) {
	for {
		if to, ok := w.known[w.sc.At()]; ok {
			w.sc.Skip(to)
			continue
		}
		r, _, ok := w.sc.Next()
		if ok {
			w.newest = max(w.newest, r.StoreTimestamp)
			if w.end < 0 {
				w.s.o.Progress.at(w.sc.At())
			}
			return r, w.end < 0 || w.sc.At() <= w.end, nil
		}
		at := w.sc.At()
		to, err := w.behind(at)
		if err != nil || to <= at {
			return r, false, err
		}
		w.s.noteDamage(Damage{at, to, w.sc.Err()})
		w.sc.Skip(to)
	}
}

// behind returns where the log goes on behind at, where no record stands; not behind at when it ends there.
// Records older than those in front of them are of an earlier life of the log: Java does not clear what it
// cuts.
func (w *walker) behind(at int64) (int64, error) {
	wm := w.s.wm
	switch {
	case w.end >= 0 && at >= w.end:
		return at, nil
	case w.end < 0 && at >= wm.offset && (wm.sequence > 0 || w.sc.Err() == nil || w.s.cleanStop && at >= w.s.cp.logicsPhysicalOffset):
		return at, nil
	}
	if r, ok := w.s.log.ValidBehind(at); ok && (r.StoreTimestamp >= w.newest || w.end > r.PhysicalOffset) {
		return r.PhysicalOffset, nil
	}
	switch {
	case w.end >= 0:
		return w.end, nil
	case at >= wm.offset:
		return at, nil
	case w.sc.Err() != nil:
		return wm.offset, nil
	}
	return at, fmt.Errorf("the commit log ends at %d, below %d, up to which it was durable: messages are lost%s; nothing was changed; to go on without them, remove %s",
		at, wm.offset, w.s.missing(at), watermarkPath(w.s.o.StorePathRootDir))
}

// missing says which file is not there, when the one that should hold offset is not.
func (s *Store) missing(offset int64) string {
	if s.log.Covers(offset) {
		return ""
	}
	return fmt.Sprintf(", the file %s is missing, looked for in %s", segment.Name(offset), s.log.Where())
}

// holeSize is the size in units that stand for messages lost in damage: no record is so small, so that
// reading passes over them.
const holeSize = message.MinRecord - 1

// FillerTopic is the topic of the records, rolled back ones, that `skylark store repair --fill` puts over
// damage, so that Java walks over it.
const FillerTopic = "SKYLARK_DAMAGED"

// FillerHost is the store host of these records: no broker has port 0 of this address.
var FillerHost = message.HostOf(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))

// IsFiller recognises these records; short ones hold only the beginning of the topic.
func IsFiller(r *message.Record) bool {
	return r.SysFlag&message.SysFlagTransaction == message.SysFlagRollback && strings.HasPrefix(FillerTopic, r.Topic) && r.StoreHost == FillerHost
}

// noteFiller remembers a record that stands for lost ones.
func (s *Store) noteFiller(from, to int64) {
	if n := len(s.fillers); n == 0 || s.fillers[n-1].From < from {
		s.fillers = append(s.fillers, Damage{From: from, To: to})
	}
}

// hole returns where records were lost between two physical offsets, and how many there may have been.
func (s *Store) hole(from, to int64) (at, room int64) {
	s.damageMu.Lock()
	defer s.damageMu.Unlock()
	for _, d := range slices.Concat(s.damaged, s.fillers) {
		if d.From >= from && d.To <= to {
			if room == 0 {
				at = d.From
			}
			room += (d.To - d.From) / message.MinRecord
		}
	}
	return at, room
}

// addHoles puts n units into q that stand for messages lost at a physical offset.
func (s *Store) addHoles(q *consumequeue.Queue, n, physicalOffset int64) {
	for range n {
		s.addUnit(q, consumequeue.Unit{PhysicalOffset: physicalOffset, Size: holeSize})
	}
}

// bridge puts n holes into q when damage in front of the record at physical offset to explains them.
func (s *Store) bridge(q *consumequeue.Queue, n, to int64) bool {
	at, room := s.hole(q.MaxPhysical(), to)
	switch {
	case q.Batch() && room > 0: // a record may hold any number of messages, and their offsets need no units
	case n > room:
		return false
	default:
		s.addHoles(q, n, at)
	}
	s.o.Logger.Error().Str("topic", q.Topic).Int32("queueId", q.ID).Int64("messages", n).Int64("before", q.Max()).Msg("messages were lost in damage of the commit log")
	return true
}
