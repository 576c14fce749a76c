package store

import (
	"errors"
	"path/filepath"
	"slices"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/index"
)

// QueryRequest asks for messages by key.
type QueryRequest struct {
	Topic, Key string
	Unique     bool  // Key is a UNIQ_KEY; then Max is defaultQueryMaxNum
	Tag        bool  // Key is a TAGS property
	Max        int   // at most maxMsgsNumBatch count
	Begin, End int64 // store timestamps, ms, both included
}

// QueryResult is what Query found.
type QueryResult struct {
	Records []byte // whole records back to back, in the order of the log; nil: none
	// Of the newest message that the index knows; 0 without a result, as in Java.
	LastStoreTimestamp, LastPhysicalOffset int64
}

// Query finds the newest messages that have a key: a UNIQ_KEY, or a word of KEYS. The index knows hashes
// only, so that others may be among them; clients look at the keys of what they get. What is found beyond the
// bytes of one reply is left out. Without an index (messageIndexEnable,
// indexFileWriteEnable), or when it is not to be read (indexFileReadEnable), nothing is found.
// Java: DefaultMessageStore.queryMessage.
func (s *Store) Query(r QueryRequest) (QueryResult, error) {
	var res QueryResult
	if r.Unique {
		r.Max = int(s.live.Load().DefaultQueryMaxNum)
	}
	limit := min(r.Max, int(s.live.Load().MaxMsgsNumBatch))
	if s.index == nil || !s.live.Load().IndexFileReadEnable || limit <= 0 {
		return res, nil
	}
	key := r.Key
	if r.Tag {
		key = index.TagKey(key)
	}
	offsets, err := s.index.Query(r.Topic, key, limit, r.Begin, r.End, 0)
	if err != nil || len(offsets) == 0 {
		return res, err
	}
	slices.Sort(offsets)
	res.LastStoreTimestamp, res.LastPhysicalOffset = s.index.Last()
	for _, offset := range offsets {
		before := len(res.Records)
		b, _, err := s.log.Record(res.Records, offset)
		if errors.Is(err, commitlog.ErrNoRecord) {
			continue // removed meanwhile
		}
		if err != nil {
			s.o.Logger.Error().Err(err).Str("topic", r.Topic).Str("key", r.Key).Msg("a message found by its key cannot be read")
			continue
		}
		if before > 0 && len(b) > maxReply {
			break
		}
		res.Records = b
	}
	return res, nil
}

// Indexed reports whether Query finds every message that is visible: not without an index, nor while the index
// reads what it lacks from the log, as at a start.
func (s *Store) Indexed() bool { return s.index != nil && s.index.Live() }

// openIndex opens the key index behind a finished recovery.
func (s *Store) openIndex() (err error) {
	if !s.o.MessageIndexEnable || !s.o.IndexFileWriteEnable {
		return nil
	}
	s.index, err = index.Open(index.Options{FS: s.o.FS, Dir: filepath.Join(s.o.StorePathRootDir, "index"), Slots: s.o.MaxHashSlotNum, Entries: s.o.MaxIndexNum,
		Now: s.o.Now, Logger: s.o.Logger, Scan: s.scan, Min: s.log.Min, Max: s.dispatched.Load}, s.cleanStop, s.cp.indexMsgTimestamp)
	if err == nil {
		s.keeper.index = s.index
	}
	return err
}

// closeIndex makes the index durable, when nothing is published any more.
func (s *Store) closeIndex() error {
	if s.index == nil {
		return nil
	}
	err := s.index.Close()
	s.cp.indexMsgTimestamp = max(s.cp.indexMsgTimestamp, s.index.Durable())
	return err
}

// scan is index.Options.Scan.
func (s *Store) scan(from int64, fn func(r *message.Record) bool) (int64, error) {
	end := s.dispatched.Load()
	sc := s.log.Scan(from)
	for next := from; ; {
		r, _, ok := sc.Next()
		if !ok && sc.At() < end {
			// Damage, which recovery has reported.
			if behind, found := s.log.ValidBehind(sc.At()); found && behind.PhysicalOffset < end {
				sc.Skip(behind.PhysicalOffset)
				continue
			}
		}
		if !ok || sc.At() > end {
			return next, nil
		}
		if next == from && r.PhysicalOffset != from && !s.gap(from) {
			return from, nil
		}
		next = sc.At()
		if !fn(&r) {
			return next, nil
		}
	}
}

// gap reports whether a blank record or known damage begins at offset.
func (s *Store) gap(offset int64) bool {
	if slices.ContainsFunc(s.damaged, func(d Damage) bool { return d.From == offset }) {
		return true
	}
	b, err := s.log.Read(nil, offset, message.BlankSize, false)
	return err == nil && message.Magic(b) == message.MagicBlank
}
