package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Errors of Submit and Owner.Appended. Their callers test for them.
var (
	// ErrClosed: the store is closed or was never ready.
	ErrClosed = errors.New("the message store is closed")
	// ErrReadOnly: a disk error has stopped all writes; Store.Err says which.
	ErrReadOnly = errors.New("the message store refuses writes after a disk error")
	// ErrBusy: more waits for the append goroutine than Options allow, or it has waited too long.
	ErrBusy = errors.New("the message store is busy")
	// ErrNoSpace: the disk has no room; the store takes messages again when it has.
	ErrNoSpace = errors.New("the disk is full")
	// ErrFlushTimeout: SYNC_FLUSH could not make the group durable in time. It is stored, and becomes visible
	// when it is durable. Java: PutMessageStatus.FLUSH_DISK_TIMEOUT.
	ErrFlushTimeout = errors.New("the disk has not made the message durable in time")
	// ErrTooLarge: a record, or a batch, cannot fit a CommitLog file.
	ErrTooLarge = errors.New("the message does not fit a commit log file")
)

// Rec is one record of a group.
type Rec struct {
	Queue *consumequeue.Queue
	Size  int32 // bytes in Group.Buf; the store shortens an inner batch, and adds a checksum with EnabledAppendPropCRC
	room  int32 // Size as it was
	Keys  int32 // how many of Group.Keys
	// Unit is set on the first of several records that must stand in one file, as a batch does: how many
	// they are. 0 and 1 mean the record alone.
	Unit int32
	// Inner is set on an inner batch: how many messages the record holds. Its properties end as
	// message.AppendInnerBase leaves them. In a queue that is no batch queue it counts as one message.
	Inner int16
	// Light is how many of Group.Lights get the record too. Its properties are as message.SetMultiDispatch leaves them.
	Light    int16
	TagsCode int64
	// DelayMillis makes the unit's tags code the time of delivery, store timestamp + delay, as the queues of
	// SCHEDULE_TOPIC_XXXX have it. 0: none.
	DelayMillis int64

	// Set by the store before Owner.Appended.
	QueueOffset    int64
	PhysicalOffset int64
	StoreTimestamp int64 // ms
}

// Group is a run of records given to the store together. Until Owner.Appended is called it belongs to
// the store.
type Group struct {
	Buf  []byte // the records, back to back, as BeginRecord and FinishRecord make them
	Recs []Rec
	Keys []int32 // hashes of the records' keys, in their order (index.AppendHashes)
	// Lights are the light queues of the records, in their order (light.go).
	Lights []Light
	Owner  Owner
	// Impatient says that TurnAway may give the group back as long as the append goroutine has not taken it.
	Impatient bool

	err error
	at  time.Time
}

// Owner is told what became of a group.
type Owner interface {
	// Appended is called once, on a goroutine of the store, and must not block: with err nil when the records
	// are stored (in SYNC_FLUSH: durable) and visible, otherwise none of them is, but see ErrFlushTimeout. The
	// group is the owner's again.
	Appended(g *Group, err error)
}

// inbox is what waits for the append goroutine.
type inbox struct {
	mu     sync.Mutex
	wake   sync.Cond
	groups []*Group
	bytes  int64
	closed bool
	asleep bool
}

// Submit queues g. It never blocks. On an error the group stays the caller's and Appended is not called.
func (s *Store) Submit(g *Group) error {
	if why := s.refuse.Load(); why != nil {
		return s.countRefused(g, why)
	}
	if s.failed.Load() {
		return ErrReadOnly
	}
	if !s.Fits(s.stored(len(g.Buf), len(g.Recs))) && !s.unitsFit(g) {
		return ErrTooLarge
	}
	in := &s.in
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return ErrClosed
	}
	if held := in.bytes + s.fl.bytes.Load(); held > 0 && held+int64(len(g.Buf)) > s.o.MaxQueuedBytes {
		in.mu.Unlock()
		if full := s.unitsFull.Load(); full != nil {
			return *full // that is what holds the append goroutine
		}
		return ErrBusy
	}
	if len(in.groups) == 0 {
		g.at = s.o.Now()
	}
	in.groups = append(in.groups, g)
	in.bytes += int64(len(g.Buf))
	asleep := in.asleep
	in.mu.Unlock()
	if asleep {
		in.wake.Signal()
	}
	return nil
}

// maxRound bounds the bytes of one round, so that its producers are not kept waiting by those behind.
const maxRound = 2 << 20

func (s *Store) appendLoop() {
	defer close(s.appendDone)
	in := &s.in
	var taken []*Group
	for {
		in.mu.Lock()
		for len(in.groups) == 0 && !in.closed {
			in.asleep = true
			in.wake.Wait()
		}
		in.asleep = false
		if len(in.groups) == 0 {
			in.mu.Unlock()
			return
		}
		taken, in.groups = in.groups, taken[:0]
		in.bytes = 0
		in.mu.Unlock()
		for rest := taken; len(rest) > 0; {
			n, size := 0, 0
			for n < len(rest) && (n == 0 || size < maxRound) {
				size += len(rest[n].Buf)
				n++
			}
			s.round(rest[:n])
			s.roundSince.Store(0)
			rest = rest[n:]
		}
		clear(taken)
		s.throttle()
	}
}

// round writes the groups and publishes them, or hands them to the flush goroutine for that.
func (s *Store) round(groups []*Group) {
	if s.failed.Load() {
		s.finish(groups, ErrReadOnly)
		return
	}
	now := s.clock()
	s.roundSince.Store(now)
	w := roundWriter{s: s, groups: groups, end: s.log.End(), now: now, pieces: s.pieces[:0]}
	begun := time.Now()
	w.run()
	s.tails = s.tails[:0]
	s.took(&s.appendTimes, "append", begun)
	s.pieces = w.pieces[:0]
	if w.err != nil {
		s.fail(w.err)
		s.finish(groups, ErrReadOnly)
		return
	}
	if w.full != nil || w.room {
		s.setFull(&s.logFull, w.full)
		groups = s.turnAway(groups)
	}
	if len(groups) == 0 {
		return
	}
	s.lastStore.Store(now)
	o := s.live.Load()
	if s.flushFirst(o) {
		s.flushLater(groups)
		return
	}
	s.publish(groups)
	s.finish(groups, nil)
	if o.WakeFlushWhenPutMessage && !o.FlushCommitLogTimed {
		s.flushNow()
	}
}

// stored returns how long the given number of records of together size bytes may become in the log.
func (s *Store) stored(size, records int) int {
	if s.o.EnabledAppendPropCRC {
		size += records * message.MaxSeal
	}
	return size
}

// MaxProperties is how many bytes of properties a record may have.
func (s *Store) MaxProperties() int { return message.MaxProperties - s.stored(0, 1) }

// Fits reports whether a record or batch of n bytes can be stored at all.
func (s *Store) Fits(n int) bool {
	return int64(n)+message.BlankSize <= s.o.MappedFileSizeCommitLog
}

// unitsFit reports whether each unit of g can be stored.
func (s *Store) unitsFit(g *Group) bool {
	size, left := 0, int32(0)
	for _, r := range g.Recs {
		if left == 0 {
			size, left = 0, max(r.Unit, 1)
		}
		size += s.stored(int(r.Size), 1)
		if left--; !s.Fits(size) {
			return false
		}
	}
	return true
}

// clock returns the store timestamp for now, which never goes back within a store.
func (s *Store) clock() int64 {
	return max(s.o.Now().UnixMilli(), s.lastStore.Load())
}

// publish makes records visible to consumers.
func (s *Store) publish(groups []*Group) {
	defer s.dispatchTimes.Since(time.Now())
	for _, g := range groups {
		keys, lights := g.Keys, g.Lights
		for i := range g.Recs {
			r := &g.Recs[i]
			s.dispatch(r)
			if r.Light > 0 {
				s.dispatchLights(r, lights[:r.Light])
				lights = lights[r.Light:]
			}
			if s.index != nil {
				s.index.Put(r.PhysicalOffset, r.PhysicalOffset+int64(r.Size), r.StoreTimestamp, keys[:r.Keys])
				keys = keys[r.Keys:]
			}
		}
	}
	// Pulls are woken when the whole round is visible, so that they take all of it at once.
	for _, g := range groups {
		s.wake(g)
	}
	if n := len(groups); n > 0 {
		if recs := groups[n-1].Recs; len(recs) > 0 {
			last := &recs[len(recs)-1]
			s.dispStamp.Store(last.StoreTimestamp)
			s.dispatched.Store(last.PhysicalOffset + int64(last.Size))
		}
	}
}

// wake tells the listener of a group's messages on queues that somebody waits at.
func (s *Store) wake(g *Group) {
	if s.o.Listener == nil {
		return
	}
	at, lights := 0, g.Lights
	record := func(r *Rec) []byte {
		if end := at + int(r.Size); end <= len(g.Buf) && !s.o.EnabledAppendPropCRC { // else its end is not there
			return g.Buf[at:end]
		}
		return nil
	}
	for i := range g.Recs {
		r := &g.Recs[i]
		if r.Queue.Waiters.Load() > 0 {
			s.o.Listener(r.Queue, r.QueueOffset, r.TagsCode, record(r))
		}
		for _, l := range lights[:r.Light] {
			if l.Queue.Waiters.Load() > 0 {
				s.o.Listener(l.Queue, l.QueueOffset, r.TagsCode, record(r))
			}
		}
		lights = lights[r.Light:]
		at += int(r.room)
	}
}

func (s *Store) dispatch(r *Rec) {
	if r.DelayMillis > 0 {
		r.TagsCode = r.StoreTimestamp + r.DelayMillis
	}
	u := consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: r.Size, TagsCode: r.TagsCode}
	if r.Queue.Batch() {
		s.addBatch(r.Queue, consumequeue.BatchUnit{Unit: u, StoreTimestamp: r.StoreTimestamp, Base: r.QueueOffset, Messages: int16(max(r.Inner, 1))})
		return
	}
	if s.o.EnableConsumeQueueExt {
		s.addExt(r.Queue, u, r.StoreTimestamp, s.bitMap(r.PhysicalOffset))
		return
	}
	s.addUnit(r.Queue, u)
}

// flushUnits is how many bytes of units a queue gathers before it is written without waiting for the
// flush interval; a whole number of units.
const flushUnits = (64 << 10) / consumequeue.UnitSize * consumequeue.UnitSize

func (s *Store) addUnit(q *consumequeue.Queue, u consumequeue.Unit) {
	dirty, size := q.Append(u)
	s.added(q, dirty, size, consumequeue.UnitSize, flushUnits)
}

// added does what follows on a unit of unitSize bytes: it stands among size bytes that wait, 0 when it was dropped, and
// dirty says that it is the first of them. At full bytes they are written.
func (s *Store) added(q *consumequeue.Queue, dirty bool, size, unitSize, full int) {
	if size > 0 {
		s.dirtyUnits.Add(int64(unitSize))
	}
	if dirty {
		s.noteDirty(q)
	}
	if size == full {
		s.tidySoon()
	}
}

// noteDirty enters a queue whose first units wait to be written.
func (s *Store) noteDirty(q *consumequeue.Queue) {
	s.dirtyMu.Lock()
	s.dirtyQueues = append(s.dirtyQueues, q)
	s.dirtyMu.Unlock()
}

// tidySoon has the units written without waiting for the flush interval.
func (s *Store) tidySoon() {
	select {
	case s.tidyNow <- struct{}{}:
	default:
	}
}

// maxDirtyUnits bounds the units in memory; past it the append goroutine waits for the disk, unless the
// store is closing: a disk that stays full must not hold a stop.
const maxDirtyUnits = 32 << 20

func (s *Store) throttle() {
	if s.dirtyUnits.Load() < maxDirtyUnits {
		return
	}
	s.dirtyMu.Lock()
	for s.dirtyUnits.Load() >= maxDirtyUnits && !s.failed.Load() && !s.closing {
		s.dirtyCond.Wait()
	}
	s.dirtyMu.Unlock()
}

func (s *Store) finish(groups []*Group, err error) {
	for _, g := range groups {
		s.tell(g, err)
	}
}

// tell gives a group back to its owner.
func (s *Store) tell(g *Group, err error) {
	if err != nil {
		s.refused.Add(int64(len(g.Recs)))
	}
	g.Owner.Appended(g, err)
}

// fail makes the store refuse writes for good.
func (s *Store) fail(err error) {
	if s.failed.Swap(true) {
		return
	}
	s.errMu.Lock()
	s.err = err
	s.errMu.Unlock()
	s.dirtyMu.Lock()
	s.dirtyCond.Broadcast()
	s.dirtyMu.Unlock()
	s.o.Logger.Error().Err(err).Msg("FATAL: the message store refuses writes from now on")
	if s.o.OnFatal != nil {
		s.o.OnFatal(err)
	}
}

// Err returns the disk error that stopped writes, or nil.
func (s *Store) Err() error {
	s.errMu.Lock()
	defer s.errMu.Unlock()
	if s.err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrReadOnly, s.err)
}
