package store

import (
	"math"

	"github.com/skylarkmq/skylark/store/consumequeue"
)

// hotBytes returns how much of the log's end counts as being in memory for flow control.
// Java: DefaultMessageStore.checkInColdAreaByCommitOffset.
func hotBytes(o *Options, total int64) int64 {
	if !o.ColdDataFlowControlEnable {
		return math.MaxInt64
	}
	return total * int64(o.AccessMessageInMemoryHotRate) / 100
}

// Cold reports whether the message at a queue offset lies so far behind the end of the log, accessMessageInMemoryHotRatio
// of the machine's memory, that it has to be read from disk. Without coldDataFlowControlEnable nothing is cold.
func (s *Store) Cold(q *consumequeue.Queue, queueOffset int64) bool {
	if s.hot == math.MaxInt64 || q == nil {
		return false
	}
	u, ok, err := q.At(queueOffset)
	return err == nil && ok && s.log.End()-u.PhysicalOffset > s.hot
}

// ReadAhead sets whether the kernel may read ahead in the CommitLog (dataReadAheadEnable).
func (s *Store) ReadAhead(on bool) error { return s.log.ReadAhead(on) }
