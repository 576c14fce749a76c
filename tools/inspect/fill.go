package inspect

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

// A filler is a record that says nothing, of exactly the length of what it replaces: its sysFlag is that of
// a rolled back transaction, which neither Java nor Skylark puts into a queue or an index, and its checksum
// holds, so that a walk through the log goes past it. Where the queues still tell which records stood in the
// range, there is one filler for each, with its queue id and queue offset: consumers that get it go on
// behind it as they should.

// maxFiller is the largest filler, in bytes; Java's clients take no larger frames than 16 MiB.
const maxFiller = 4 << 20

// piece is one filler to be written, or a blank record when its queue id is blankPiece.
type piece struct {
	from, to    int64
	queueID     int32
	queueOffset int64
}

const blankPiece = -1

// layout cuts the range s into fillers. end is where its file ends: what reaches to there may be a blank
// record. units are those of the lost records, in any order.
func layout(s span, end int64, units []lost) ([]piece, error) {
	slices.SortFunc(units, func(a, b lost) int { return cmp.Compare(a.phys, b.phys) })
	var out []piece
	at := s.from
	for _, u := range units {
		to := u.phys + int64(u.size)
		room := fits(s.to - to)
		if s.to == end {
			room = to+message.BlankSize <= end
		}
		if u.phys < at || to > s.to || u.size < message.MinRecord || !fits(u.phys-at) || !room {
			continue // two units cannot both be right; the filler around covers it
		}
		out = append(anonymous(out, at, u.phys), piece{u.phys, to, u.q.id, u.offset})
		at = to
	}
	switch {
	case at == s.to:
	case s.to == end && s.to-at < message.MinRecord+message.BlankSize:
		if s.to-at < message.BlankSize {
			return nil, fmt.Errorf("%d bytes at %d are too few for a record", s.to-at, at)
		}
		out = append(out, piece{at, s.to, blankPiece, 0})
	case s.to == end:
		// A record must leave room for the blank one that closes the file.
		out = append(anonymous(out, at, end-message.BlankSize), piece{end - message.BlankSize, end, blankPiece, 0})
	case fits(s.to - at):
		out = anonymous(out, at, s.to)
	default:
		return nil, fmt.Errorf("%d bytes at %d are too few for a record", s.to-at, at)
	}
	return out, nil
}

func fits(n int64) bool { return n == 0 || n >= message.MinRecord }

// anonymous adds fillers for [from, to) that stand for no record known.
func anonymous(out []piece, from, to int64) []piece {
	for from < to {
		n := to - from
		if n > maxFiller {
			n = min(maxFiller, n-message.MinRecord)
		}
		out = append(out, piece{from, from + n, 0, 0})
		from += n
	}
	return out
}

// bytes returns the record of p, stored at stamp (ms).
func (p piece) bytes(stamp int64) ([]byte, error) {
	n := int(p.to - p.from)
	if p.queueID == blankPiece {
		return message.AppendBlank(nil, n), nil
	}
	topic := store.FillerTopic[:max(0, min(len(store.FillerTopic), n-message.MinRecord))]
	m := message.Message{Topic: topic, QueueID: p.queueID, SysFlag: message.SysFlagRollback, BornTimestamp: stamp,
		BornHost: store.FillerHost, StoreHost: store.FillerHost, Body: make([]byte, n-message.MinRecord-len(topic))}
	b, err := message.AppendRecord(make([]byte, 0, n), &m, "")
	if err == nil && len(b) != n {
		err = fmt.Errorf("BUG: a filler of %d bytes for %d", len(b), n)
	}
	if err != nil {
		return nil, err
	}
	message.Patch(b, p.queueOffset, p.from, stamp)
	return b, nil
}
