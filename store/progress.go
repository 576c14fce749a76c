package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// Steps of opening a store, in their order. Those that read the log count bytes, StepQueues counts queues,
// the others count nothing.
const (
	StepScan     = "scan"     // looks for the end of the CommitLog
	StepQueues   = "queues"   // loads the ConsumeQueues
	StepDispatch = "dispatch" // puts units back that queues miss
	StepRebuild  = "rebuild"  // builds queues anew that do not fit the CommitLog
	StepSync     = "sync"     // makes durable what was found
	StepIndex    = "index"    // checks the index files; what they miss is built behind Open
)

// Progress tells how far opening a store has come. Given in Options it can be asked while Open runs. The zero
// value is ready for use; its methods are safe for concurrent use.
type Progress struct {
	done   atomic.Int64 // a position, counted from base
	beyond atomic.Int64 // what others have done ahead of it, counted from base as well
	base   int64        // Open's goroutine only

	mu     sync.Mutex
	step   string
	total  int64
	opened time.Time // when Open began; zero: not yet
	begun  time.Time // when the step did
	took   time.Duration
	over   bool
}

// ProgressNow is a Progress at one moment.
type ProgressNow struct {
	// Step is one of the steps; "" before Open and behind it.
	Step string
	// Done and Total are bytes or queues of the step; Total 0: unknown. The log's last file counts as full, so a
	// scan may end sooner.
	Done, Total int64
	// Left estimates the rest of the step, 0 when nothing can be said.
	Left time.Duration
	// Took is how long Open has been running, or took.
	Took time.Duration
}

// Percent returns how much of the step is done, -1 when unknown.
func (p ProgressNow) Percent() int {
	if p.Total <= 0 {
		return -1
	}
	return int(float64(p.Done) / float64(p.Total) * 100)
}

// Now returns how far it is.
func (p *Progress) Now() ProgressNow {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := ProgressNow{Step: p.step, Total: p.total, Took: p.took}
	if p.over || p.opened.IsZero() {
		return n
	}
	n.Took = time.Since(p.opened)
	n.Done = min(max(p.done.Load(), p.beyond.Load()), p.total)
	if n.Done > 0 {
		n.Left = time.Duration(float64(time.Since(p.begun)) * float64(n.Total-n.Done) / float64(n.Done))
	}
	return n
}

// begin starts a step that goes from base on to base+total.
func (p *Progress) begin(step string, base, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
	if p.opened.IsZero() || p.over {
		p.opened, p.over = p.begun, false
	}
	p.step, p.base, p.total = step, base, max(total, 0)
	p.done.Store(0)
	p.beyond.Store(0)
}

// at says that the step has come to a position. It costs next to nothing.
func (p *Progress) at(position int64) { p.done.Store(position - p.base) }

// ahead says that n more were done, by whom and in which order ever.
func (p *Progress) ahead(n int64) { p.beyond.Add(n) }

// end is called when Open is through with it.
func (p *Progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over && !p.opened.IsZero() {
		p.took = time.Since(p.opened)
	}
	p.step, p.total, p.over = "", 0, true
}

// progressEvery is how often a running recovery is logged.
const progressEvery = time.Second

// logProgress logs how far Open has come until stop is called, which waits for its goroutine.
func (s *Store) logProgress() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
			}
			n := s.o.Progress.Now()
			e := s.o.Logger.Info().Str("step", n.Step)
			if n.Total > 0 {
				e = e.Int64("done", n.Done).Int64("total", n.Total).Int("percent", n.Percent()).Str("left", n.Left.Round(time.Second).String())
			}
			e.Str("running", n.Took.Round(time.Second).String()).Msg("the message store is recovering")
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
