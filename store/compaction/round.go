package compaction

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/segment"
)

// ErrDeleted ends the round of a queue that is deleted meanwhile.
var ErrDeleted = errors.New("the queue is deleted")

// keyMap holds the newest queue offset of each key. Java: CompactionLog.OffsetMap, with MD5.
type keyMap struct {
	offsets map[[16]byte]int64
	limit   int
	last    int64 // the newest offset of all
}

// keyCost is what a key costs in a keyMap at most, in bytes.
const keyCost = 64

// leastKeys is how many keys have room in any case. Java: CompactionLog.OffsetMap.
const leastKeys = 100

func newKeyMap(bytes int64) *keyMap {
	return &keyMap{offsets: map[[16]byte]int64{}, limit: int(max(bytes/keyCost, leastKeys)), last: -1}
}

func hash(key string) (h [16]byte) {
	sum := sha256.Sum256([]byte(key))
	copy(h[:], sum[:])
	return h
}

// put reports whether there was room.
func (m *keyMap) put(key string, offset int64) bool {
	h := hash(key)
	if _, there := m.offsets[h]; !there && len(m.offsets) >= m.limit {
		return false
	}
	m.offsets[h], m.last = offset, offset
	return true
}

// keeps reports whether a message stays. Java: CompactionLog.shouldRetainMsg.
func (m *keyMap) keeps(r *message.Record, offset int64) bool {
	if offset > m.last {
		return true
	}
	key := Key(r.Properties)
	if key == "" || len(r.Body) == 0 {
		return false
	}
	newest, there := m.offsets[hash(key)]
	return !there || offset >= newest
}

// Key returns the key of a message by which it is kept: all of its KEYS, "" when they are blank. Messages without are
// not kept.
func Key(properties string) string {
	key := message.GetProperty(properties, message.PropertyKeys)
	if strings.TrimSpace(key) == "" {
		return ""
	}
	return key
}

// pauseEvery is how many bytes a round reads between two pauses.
const pauseEvery = 4 << 20

// Compact is a round: the pairs but the last are written anew without what is out of date, when messages have come to
// them since the round before. It calls pause now and then, in which Append may be called, and whose error ends it.
// Keys that find no room in maxOffsetMapSize are left to the next round; in Java they end all rounds.
// Java: CompactionLog.doCompaction.
func (l *Log) Compact(pause func() error) error {
	pairs := *l.pairs.Load()
	if len(pairs) < 2 {
		return nil
	}
	closed := pairs[:len(pairs)-1]
	since := 0
	rest := func(bytes int) error {
		if since += bytes; since < pauseEvery {
			return nil
		}
		since = 0
		if err := pause(); err != nil {
			return err
		}
		if l.deleted.Load() {
			return ErrDeleted
		}
		return nil
	}
	keys, err := l.newKeys(closed, rest)
	if err != nil || keys.last < 0 {
		return err
	}
	err = l.rewrite(closed, keys, rest)
	if !l.deleted.Load() {
		err = errors.Join(err, l.clearStage())
	}
	if err != nil {
		return err
	}
	return l.s.positions.set(l.Name, keys.last)
}

// newKeys returns the keys of the messages behind the position.
func (l *Log) newKeys(closed []pair, rest func(bytes int) error) (*keyMap, error) {
	keys, position := newKeyMap(l.o.MapSize), l.s.positions.get(l.Name)
	var buf []byte
	full := false
	for _, x := range closed {
		if x.units == 0 || x.last <= position {
			continue
		}
		err := l.scan(x, &buf, func(u consumequeue.BatchUnit, record []byte) (bool, error) {
			if u.Base <= position {
				return true, rest(len(record))
			}
			r, err := message.Parse(record, false)
			if err != nil {
				return false, fmt.Errorf("cannot read queue offset %d: %w", u.Base, err)
			}
			full = !keys.put(Key(r.Properties), u.Base)
			return !full, rest(len(record))
		})
		if err != nil || full {
			return keys, err
		}
	}
	return keys, nil
}

// rewrite writes what stays of the closed pairs and has it take their places.
func (l *Log) rewrite(closed []pair, keys *keyMap, rest func(bytes int) error) error {
	w := writer{place: l.stage}
	var buf []byte
	kept, all := 0, 0
	for _, x := range closed {
		all += x.units
		err := l.scan(x, &buf, func(u consumequeue.BatchUnit, record []byte) (bool, error) {
			r, err := message.Parse(record, false)
			if err != nil {
				return false, fmt.Errorf("cannot read queue offset %d: %w", u.Base, err)
			}
			if !keys.keeps(&r, u.Base) {
				return true, rest(len(record))
			}
			kept++
			return true, errors.Join(w.add(record, u), rest(len(record)))
		})
		if err != nil {
			return err
		}
	}
	if kept == all {
		return nil
	}
	if err := w.seal(); err != nil {
		return err
	}
	now := *l.pairs.Load() // pairs may have come behind the closed ones
	behind := now[len(closed):]
	if n := len(w.pairs); n > 0 && w.pairs[n-1].base >= behind[0].base {
		return fmt.Errorf("a round has made %d pairs of %d", n, len(closed)) // cannot be, as long as file sizes do not change
	}
	var old []string
	for _, x := range closed {
		old = append(old, "log/"+segment.Name(x.base), "cq/"+segment.Name(x.base))
	}
	l.switching.Lock()
	defer l.switching.Unlock()
	if err := l.replace(old, w.pairs); err != nil {
		return err
	}
	l.publish(append(w.pairs, behind...))
	l.o.Logger.Info().Str("topic", l.Topic).Int32("queueId", l.ID).Int("messages", all).Int("kept", kept).Int("files", len(w.pairs)).Msg("compacted")
	return nil
}
