package store

import (
	"runtime"
	"sync"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// stretch is a part of the log between two records.
type stretch struct {
	from, to int64
	whole    bool // nothing but whole records, as the start has found
	units    chan []found
	err      error // to be read when units is closed
}

// found is a unit that a record should have in a queue. Without a queue it is a record that stands for lost ones.
type found struct {
	q *consumequeue.Queue
	u consumequeue.BatchUnit
}

const (
	// foundBatch is how many units are handed on at once.
	foundBatch = 256
	// foundBatches is how many times that may wait of one stretch: 1.8 MB.
	foundBatches = 128
)

// each calls fn for the units that the records from start on should have, in their order, those in light queues
// included. Several goroutines look at stretches of the log ahead of it.
func (s *Store) each(start int64, fn func(q *consumequeue.Queue, u consumequeue.BatchUnit) error) error {
	workers := runtime.GOMAXPROCS(0)
	l := looker{s: s, quit: make(chan struct{}), used: make(chan []found, foundBatches)}
	order, next := make(chan *stretch, workers), make(chan *stretch)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(order)
		defer close(next)
		for _, st := range s.stretches(start) {
			st.units = make(chan []found, foundBatches)
			select {
			case order <- &st:
				next <- &st
			case <-l.quit:
				return
			}
		}
	})
	for range workers {
		running.Go(func() {
			for st := range next {
				st.err = l.look(st)
				close(st.units)
			}
		})
	}
	defer running.Wait()
	defer close(l.quit)
	for st := range order {
		if err := l.take(st, fn); err != nil {
			return err
		}
	}
	return nil
}

// stretches returns the log from start on in pieces: what the start has found to be whole, and what lies between.
func (s *Store) stretches(start int64) []stretch {
	var all []stretch
	for _, st := range s.whole {
		if st.from < start {
			continue
		}
		if st.from > start {
			all = append(all, stretch{from: start, to: st.from})
		}
		all = append(all, st)
		start = st.to
	}
	return append(all, stretch{from: start, to: s.log.End()})
}

// looker looks at stretches of the log.
type looker struct {
	s    *Store
	quit chan struct{}
	used chan []found // batches to be used again
}

// take calls fn for the units of a stretch.
func (l *looker) take(st *stretch, fn func(q *consumequeue.Queue, u consumequeue.BatchUnit) error) error {
	for batch := range st.units {
		for _, f := range batch {
			if f.q == nil {
				l.s.noteFiller(f.u.PhysicalOffset, f.u.PhysicalOffset+int64(f.u.Size))
				continue
			}
			if err := fn(f.q, f.u); err != nil {
				return err
			}
			l.s.o.Progress.at(f.u.PhysicalOffset)
		}
		select {
		case l.used <- batch[:0]:
		default:
		}
	}
	return st.err
}

// look sends the units of a stretch on until quit is closed.
func (l *looker) look(st *stretch) error {
	s := l.s
	w := walker{s: s, sc: s.log.ScanAhead(st.from), end: s.log.End(), known: map[int64]int64{}}
	defer w.sc.Close()
	w.sc.Trust(s.verifiedFrom)
	if !st.whole {
		for _, d := range s.Damaged() {
			w.known[d.From] = d.To
		}
	}
	batch := l.batch()
	for w.sc.At() < st.to {
		r, ok, err := w.next()
		if err != nil {
			return err
		}
		if !ok || r.PhysicalOffset >= st.to {
			break
		}
		batch = l.add(batch, &r)
		if len(batch) < foundBatch {
			continue
		}
		select {
		case st.units <- batch:
		case <-l.quit:
			return nil
		}
		batch = l.batch()
	}
	select {
	case st.units <- batch:
	case <-l.quit:
	}
	return nil
}

func (l *looker) batch() []found {
	select {
	case b := <-l.used:
		return b
	default:
		return make([]found, 0, foundBatch)
	}
}

// add adds the units of a record.
func (l *looker) add(batch []found, r *message.Record) []found {
	if t := r.SysFlag & message.SysFlagTransaction; t == message.SysFlagPrepared || t == message.SysFlagRollback || r.QueueID < 0 {
		if IsFiller(r) {
			batch = append(batch, found{u: consumequeue.BatchUnit{Unit: consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: int32(r.Size)}}})
		}
		return batch
	}
	q := l.s.Queue(r.Topic, r.QueueID)
	batch = append(batch, found{q, l.s.entry(q, r)})
	l.s.eachLight(q, r, func(light *consumequeue.Queue, u consumequeue.BatchUnit) { batch = append(batch, found{light, u}) })
	return batch
}
