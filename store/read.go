package store

import (
	"errors"
	"sort"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Status says what a Get found. Java: GetMessageStatus; the names are what clients see as remark.
type Status string

// The statuses of Get.
const (
	Found               Status = "FOUND"
	NoMatchedMessage    Status = "NO_MATCHED_MESSAGE"
	MessageWasRemoving  Status = "MESSAGE_WAS_REMOVING"
	OffsetFoundNull     Status = "OFFSET_FOUND_NULL"
	OffsetOverflowBadly Status = "OFFSET_OVERFLOW_BADLY"
	OffsetOverflowOne   Status = "OFFSET_OVERFLOW_ONE"
	OffsetTooSmall      Status = "OFFSET_TOO_SMALL"
	NoMatchedLogicQueue Status = "NO_MATCHED_LOGIC_QUEUE"
	NoMessageInQueue    Status = "NO_MESSAGE_IN_QUEUE"
	OffsetReset         Status = "OFFSET_RESET"
)

// GetRequest asks for messages of one queue.
type GetRequest struct {
	Queue       *consumequeue.Queue // nil: the queue was never used
	Offset      int64
	MaxMessages int
	// Match selects units by tags code; nil takes all.
	Match func(tagsCode int64) bool
	// MatchRecord selects further by the record, which it must not keep; nil takes all.
	MatchRecord func(record []byte) bool
}

// GetResult describes what Get found.
type GetResult struct {
	Status                           Status
	NextOffset, MinOffset, MaxOffset int64
	Messages                         int
	// Behind is how many bytes of log follow the last record looked at.
	Behind int64
	// Slow reports that the last record looked at lies so far behind the log's end that it does not count as being in
	// memory (accessMessageInMemoryMaxRatio). Java: GetMessageResult.isSuggestPullingFromSlave.
	Slow bool
	// Cold is how many bytes of cold records were read, see Store.Cold; 0 without coldDataFlowControlEnable.
	Cold int64
}

// maxPull bounds the messages that one Get may ask for: a client may name any number.
const maxPull = 1 << 15

// maxReply bounds the bytes of one reply. Java: ManyMessageTransfer, 128 MiB; a frame holds 16 MiB.
const maxReply = 12 << 20

// maxScan bounds the bytes of records that one Get reads and does not give. Java bounds only their number.
const maxScan = 16 << 20

var unitBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Get appends the records that the request asks for to dst. The rules are Java's
// (DefaultMessageStore.getMessage, spec/store.md 3.5).
func (s *Store) Get(dst []byte, r GetRequest) ([]byte, GetResult, error) {
	var res GetResult
	r.MaxMessages = min(r.MaxMessages, maxPull)
	q := r.Queue
	if q == nil {
		res.Status = NoMatchedLogicQueue
		return dst, res, nil
	}
	if l := s.compacted(q); l != nil {
		return s.getCompacted(dst, r, l)
	}
	res.MinOffset, res.MaxOffset = q.Min(), q.Max()
	switch {
	case res.MaxOffset == 0:
		res.Status, res.NextOffset = NoMessageInQueue, 0
	case r.Offset < res.MinOffset:
		res.Status, res.NextOffset = OffsetTooSmall, res.MinOffset
	case r.Offset == res.MaxOffset:
		res.Status, res.NextOffset = OffsetOverflowOne, r.Offset
	case r.Offset > res.MaxOffset:
		res.Status, res.NextOffset = OffsetOverflowBadly, res.MaxOffset
	default:
		defer s.longestGet.Since(time.Now())
		return s.collect(dst, r, res)
	}
	return dst, res, nil
}

func (s *Store) collect(dst []byte, r GetRequest, res GetResult) ([]byte, GetResult, error) {
	batch, unitSize := r.Queue.Batch(), consumequeue.UnitSize
	if batch {
		unitSize = consumequeue.BatchUnitSize
	}
	n := max(r.MaxMessages, 1)
	reach := max(n, int(s.live.Load().MaxFilterMessageSize)/unitSize) // how many units a filter may pass over
	if r.Match != nil || r.MatchRecord != nil {
		n = reach
	}
	buf := unitBuffers.Get().(*[]byte)
	defer unitBuffers.Put(buf)
	if need := n * unitSize; cap(*buf) < need {
		*buf = make([]byte, need)
	}
	units := (*buf)[:n*unitSize]
	var err error
	if batch {
		n, err = r.Queue.ReadBatch(r.Offset, units)
	} else {
		n, err = r.Queue.Read(r.Offset, units)
	}
	if err != nil {
		return dst, res, err
	}
	if n == 0 {
		res.Status, res.NextOffset = OffsetFoundNull, r.Offset
		if first := r.Queue.Min(); r.Offset < first { // cleaned since it was looked at
			res.Status, res.NextOffset, res.MinOffset = OffsetTooSmall, first, first
		}
		return dst, res, nil
	}
	res.Status, res.NextOffset = NoMatchedMessage, r.Offset
	c := collection{s: s, r: r, dst: dst, start: len(dst), end: s.log.End(), res: res}
	if batch {
		err = c.batches(units[:n*unitSize], r.Offset+int64(reach))
	} else {
		err = c.messages(units[:n*unitSize])
	}
	c.res.Slow = c.res.Behind > s.memory.Load()
	return c.dst, c.res, err
}

// collection is the reply that one Get puts together.
type collection struct {
	s      *Store
	r      GetRequest
	dst    []byte
	start  int   // of the reply in dst
	end    int64 // of the log
	res    GetResult
	passed int // bytes of records that were read and did not match
}

// full reports whether the record of u is one too many.
func (c *collection) full(u consumequeue.Unit) bool {
	c.res.Behind = c.end - u.PhysicalOffset
	return c.res.Messages > 0 && c.s.full(c.res.Messages, c.r.MaxMessages, len(c.dst)-c.start, int(u.Size), c.res.Behind)
}

// messages reads the records of the units that match, up to the limits of a reply.
func (c *collection) messages(units []byte) error {
	dense, match := isDense(units), c.r.Match
	for more := true; more && len(units) > 0; units = units[consumequeue.UnitSize:] {
		u := consumequeue.GetUnit(units)
		if c.full(u) {
			break
		}
		if match != nil && !match(u.TagsCode) && !consumequeue.IsExtAddr(u.TagsCode) { // of an address left nobody knows
			c.res.NextOffset++
			continue
		}
		var err error
		if more, err = c.take(u, dense, 1, c.res.NextOffset+1); err != nil {
			return err
		}
	}
	return nil
}

// take reads the record of a unit, which holds so many messages, and adds it to the reply if it matches; the pull then
// goes on at next. more is false when nothing is to be read behind it.
func (c *collection) take(u consumequeue.Unit, dense bool, messages int, next int64) (more bool, err error) {
	res, at := &c.res, len(c.dst)
	c.dst, err = c.s.record(c.dst, u, dense)
	switch {
	case errors.Is(err, commitlog.ErrNoRecord):
		if res.Messages == 0 {
			res.Status = MessageWasRemoving
		}
		res.NextOffset = next
		return true, nil
	case err != nil && res.Messages > 0:
		return false, nil // the next pull, which begins here, is told
	case err != nil:
		c.dst = c.dst[:c.start]
		return false, err
	}
	if res.Behind > c.s.hot {
		res.Cold += int64(u.Size)
	}
	res.NextOffset = next
	if c.r.MatchRecord != nil && !c.r.MatchRecord(c.dst[at:]) {
		if res.Messages == 0 {
			res.Status = NoMatchedMessage
		}
		c.dst, c.passed = c.dst[:at], c.passed+int(u.Size)
		return c.passed <= maxScan, nil
	}
	res.Messages += messages
	res.Status = Found
	return true, nil
}

// record appends the record of a unit; commitlog.ErrNoRecord means that there is none to be given to clients.
func (s *Store) record(dst []byte, u consumequeue.Unit, dense bool) ([]byte, error) {
	at := len(dst)
	dst, err := s.log.Read(dst, u.PhysicalOffset, int(u.Size), dense)
	if err == nil && !message.Consumable(dst[at:], u.PhysicalOffset) {
		// Damage of the log or of the queue. Given to a client, it would spoil the whole reply.
		s.o.Logger.Error().Int64("physicalOffset", u.PhysicalOffset).Int32("size", u.Size).Msg("damaged: a consume queue unit and the commit log do not fit together, passing over the message")
		dst, err = dst[:at], commitlog.ErrNoRecord
	}
	return dst, err
}

// full reports whether a reply with messages records of size bytes may take no further one.
func (s *Store) full(messages, limit, size, next int, behind int64) bool {
	o := s.live.Load()
	bytes, count := int(o.MaxTransferBytesInMemory), int(o.MaxTransferCountInMemory)
	if behind > s.memory.Load() {
		bytes, count = int(o.MaxTransferBytesInDisk), int(o.MaxTransferCountInDisk)
	}
	return messages >= limit || messages >= count || size+next > bytes || size+next > maxReply
}

// isDense reports whether the records of the units lie close enough together for the cache to pay: each
// block read for them holds several, of these or of neighbouring queues.
func isDense(units []byte) bool {
	n := len(units) / consumequeue.UnitSize
	if n < 4 {
		return false
	}
	n = min(n, 32)
	first, last := consumequeue.GetUnit(units), consumequeue.GetUnit(units[(n-1)*consumequeue.UnitSize:])
	bytes := int64(first.Size+last.Size) / 2 * int64(n)
	return last.PhysicalOffset-first.PhysicalOffset <= 32*bytes
}

// MinOffset returns the first queue offset there is, 0 for an unknown queue.
func (s *Store) MinOffset(topic string, queueID int32) int64 {
	if q := s.Find(topic, queueID); q != nil {
		return q.Min()
	}
	return 0
}

// MaxOffset returns the next queue offset, 0 for an unknown queue.
func (s *Store) MaxOffset(topic string, queueID int32) int64 {
	if q := s.Find(topic, queueID); q != nil {
		return q.Max()
	}
	return 0
}

// InMemory reports whether the message at a queue offset is young enough to count as being in memory.
// Java: ConsumeQueueStore.checkInMemByConsumeOffset.
func (s *Store) InMemory(topic string, queueID int32, queueOffset int64) bool {
	q := s.Find(topic, queueID)
	if q == nil {
		return true
	}
	u, ok, err := q.At(queueOffset)
	return err == nil && ok && s.log.End()-u.PhysicalOffset <= s.memory.Load()
}

// StoreTime returns the store timestamp in ms of the message at a queue offset, -1 when there is none.
func (s *Store) StoreTime(topic string, queueID int32, queueOffset int64) int64 {
	q := s.Find(topic, queueID)
	if q == nil || queueOffset < q.Min() {
		return -1
	}
	return s.storeTime(q, queueOffset)
}

func (s *Store) storeTime(q *consumequeue.Queue, queueOffset int64) int64 {
	u, ok, err := q.At(queueOffset)
	if err != nil || !ok {
		return -1
	}
	_, t, err := s.log.Head(u.PhysicalOffset)
	if err != nil {
		return -1
	}
	return t
}

// EarliestTime returns the store timestamp in ms of the oldest record in the log, -1 when it is empty.
func (s *Store) EarliestTime() int64 {
	for {
		first := s.log.Min()
		_, t, err := s.log.Head(first)
		switch {
		case err == nil:
			return t
		case s.log.Min() == first:
			return -1
		}
	}
}

// OffsetByTime returns the offset of the first message stored at or after timestamp (ms) or, with upper,
// of the last one stored at or before it. Outside the queue's time it returns the nearest end; for an
// unknown queue 0. Java: ConsumeQueue.binarySearchInQueueByTime. In a batch queue it is the offset of the first
// message of a record; see consumequeue.SearchTime.
func (s *Store) OffsetByTime(topic string, queueID int32, timestamp int64, upper bool) int64 {
	q := s.Find(topic, queueID)
	if q == nil {
		return 0
	}
	if q.Batch() {
		return s.searchBatch(q, timestamp, upper)
	}
	lo, hi := q.Min(), q.Max()
	if lo == hi {
		return hi
	}
	n := sort.Search(int(hi-lo), func(i int) bool {
		t := s.storeTime(q, lo+int64(i))
		if upper {
			return t > timestamp
		}
		return t >= timestamp
	})
	at := lo + int64(n)
	if upper && n > 0 {
		at--
	}
	return at
}

// ReadRecord returns a copy of the record at a physical offset. It fails with commitlog.ErrNoRecord when
// there is none.
func (s *Store) ReadRecord(physicalOffset int64) ([]byte, error) {
	b, _, err := s.log.Record(nil, physicalOffset)
	return b, err
}

// Record returns the record at a physical offset, parsed.
func (s *Store) Record(physicalOffset int64) (message.Record, error) {
	_, r, err := s.log.Record(nil, physicalOffset)
	return r, err
}

// SizedRecord is Record for a reader that knows the record's size, from a queue's unit for instance; it appends
// the record to dst, which the result aliases.
func (s *Store) SizedRecord(dst []byte, physicalOffset int64, size int32) ([]byte, message.Record, error) {
	at := len(dst)
	dst, err := s.log.Read(dst, physicalOffset, int(size), false)
	if err != nil {
		return dst, message.Record{}, err
	}
	if !message.Consumable(dst[at:], physicalOffset) {
		return dst[:at], message.Record{}, commitlog.ErrNoRecord
	}
	r, err := message.Parse(dst[at:], true)
	return dst, r, err
}
