// Package writebehind writes a configuration file behind its table: one goroutine, one write for however
// many changes came meanwhile, and a way to wait for it.
package writebehind

import (
	"errors"
	"sync"
	"time"
)

// ErrClosed means that a change came after Close.
var ErrClosed = errors.New("closed")

// Options are what a Writer needs.
type Options struct {
	// Delay is how long a change may wait when nobody waits for it. Changes of that time are one write.
	Delay time.Duration
	// Write stores the table as it is when Write is called. It is never called twice at the same time.
	Write func() error
	// Failed is told of a write that failed; it is tried again after Delay. It may be nil.
	Failed func(error)
}

// Writer calls Options.Write after changes. All methods are safe for concurrent use. Its mutex is a leaf.
type Writer struct {
	o    Options
	wake chan struct{}
	done chan struct{}

	mu              sync.Mutex
	marked, written uint64 // changes so far; those that the last good write covers
	waiters         []waiter
	closed          bool
	last            error // of the last write
}

type waiter struct {
	upTo uint64
	ch   chan error
}

// Open starts the writer's goroutine; Close ends it.
func Open(o Options) *Writer {
	w := &Writer{o: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Mark notes a change, to be written within Delay.
func (w *Writer) Mark() {
	w.mu.Lock()
	w.marked++
	w.mu.Unlock()
	w.poke()
}

// Sync waits until every change marked so far is written. An error is the write's, or ErrClosed.
func (w *Writer) Sync() error {
	w.mu.Lock()
	if w.written == w.marked {
		w.mu.Unlock()
		return nil
	}
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	ch := make(chan error, 1)
	w.waiters = append(w.waiters, waiter{w.marked, ch})
	w.mu.Unlock()
	w.poke()
	return <-ch
}

// Close writes what is left and ends the goroutine. The error is that of the last write. Calling it
// again is harmless.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.poke()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written != w.marked {
		return w.last
	}
	return nil
}

func (w *Writer) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	running, due := false, false
	for {
		w.mu.Lock()
		dirty, urgent, closed := w.written != w.marked, len(w.waiters) > 0, w.closed
		w.mu.Unlock()
		switch {
		case dirty && (urgent || closed || due):
			timer.Stop()
			running, due = false, false
			w.write(closed)
			if !closed {
				continue
			}
			return
		case closed:
			return
		case dirty && !running:
			timer.Reset(w.o.Delay)
			running = true
		}
		select {
		case <-w.wake:
		case <-timer.C:
			due = true
		}
	}
}

// write writes once and answers who waited for it; final means that nothing follows.
func (w *Writer) write(final bool) {
	w.mu.Lock()
	upTo := w.marked
	w.mu.Unlock()
	err := w.o.Write()
	if err != nil && w.o.Failed != nil {
		w.o.Failed(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
	if err == nil {
		w.written = upTo
	}
	left := w.waiters[:0]
	for _, x := range w.waiters {
		if x.upTo > upTo && !final {
			left = append(left, x)
			continue
		}
		if x.upTo > upTo {
			err = ErrClosed
		}
		x.ch <- err
	}
	clear(w.waiters[len(left):])
	w.waiters = left
}
