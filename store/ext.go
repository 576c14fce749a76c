package store

import (
	"fmt"
	"path/filepath"

	"github.com/skylarkmq/skylark/store/consumequeue"
)

// openExt makes the queues use consumequeue_ext where it is wanted, or there from a time when it was: units point
// to it still.
func (s *Store) openExt() error {
	dir := filepath.Join(s.o.StorePathRootDir, "consumequeue_ext")
	there, err := s.o.FS.List(dir)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", dir, err)
	}
	if s.o.EnableConsumeQueueExt || len(there) > 0 {
		s.cq.ExtDir, s.cq.ExtFileSize = dir, s.o.MappedFileSizeConsumeQueueExt
	}
	return nil
}

// addExt is addUnit with enableConsumeQueueExt.
func (s *Store) addExt(q *consumequeue.Queue, u consumequeue.Unit, stamp int64, bitMap []byte) {
	dirty, size := q.AppendExt(u, consumequeue.ExtUnit{TagsCode: u.TagsCode, StoreTimestamp: stamp, BitMap: bitMap})
	s.added(q, dirty, size, consumequeue.UnitSize, flushUnits)
}

// bitMap returns the bit map of a record.
func (s *Store) bitMap(physicalOffset int64) []byte {
	if s.o.BitMap == nil || !s.o.EnableCalcFilterBitMap {
		return nil
	}
	_, r, err := s.log.Record(nil, physicalOffset)
	if err != nil {
		s.o.Logger.Error().Err(err).Int64("physicalOffset", physicalOffset).Msg("cannot read a message for its bit map, it gets none")
		return nil
	}
	b := s.o.BitMap(&r)
	return b[:min(len(b), int(max(s.o.BitMapLengthConsumeQueueExt, 0)/8), consumequeue.MaxExtBitMap)]
}
