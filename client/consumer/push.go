package consumer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/trace"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// PushOptions of a Push. Zero values take the defaults named.
type PushOptions struct {
	Options
	// Listener is called with messages. Required.
	Listener Listener
	// Orderly has the messages of each queue consumed one behind the other, in their order, by one consumer at a time,
	// which locks the queue at its broker.
	Orderly bool
	// Workers is how many listeners run at a time; 0: 20. Java: consumeThreadMin.
	Workers int
	// Batch is how many messages a listener is given at most; 0: 1. Java: consumeMessageBatchMaxSize.
	Batch int
	// MaxReconsume is how often a message comes again before it goes to the dead letter queue, %DLQ% and the group;
	// 0: 16 or, in order, without end; below 0: never again. Java: maxReconsumeTimes.
	MaxReconsume int
	// Suspend is how long a queue rests, in order, when its listener has failed; 0: 1 s.
	// Java: suspendCurrentQueueTimeMillis.
	Suspend time.Duration
	// ConsumeTimeout is how long a listener may take; a message that takes longer is sent back to come again,
	// but in order; 0: 15 min. Java: consumeTimeout.
	ConsumeTimeout time.Duration
}

func (o *PushOptions) prepare() error {
	if err := o.Options.prepare(); err != nil {
		return err
	}
	if o.Listener == nil {
		return errors.New("no listener is given")
	}
	if len(o.Subscriptions) == 0 {
		return errors.New("no subscription is given")
	}
	if o.Workers <= 0 {
		o.Workers = 20
	}
	if o.Batch <= 0 {
		o.Batch = 1
	}
	switch {
	case o.MaxReconsume < 0:
		o.MaxReconsume = 0
	case o.MaxReconsume == 0 && o.Orderly:
		o.MaxReconsume = math.MaxInt32
	case o.MaxReconsume == 0:
		o.MaxReconsume = 16
	}
	if o.Suspend <= 0 {
		o.Suspend = time.Second
	}
	if o.ConsumeTimeout <= 0 {
		o.ConsumeTimeout = 15 * time.Minute
	}
	return nil
}

// Push hands the messages of its group to a listener. All methods are safe from any goroutine.
type Push struct {
	group
	o          PushOptions
	listen     context.Context // what listeners are given; ends when Close has waited long enough
	stopListen context.CancelFunc
	workers    chan struct{} // in order: a token for each listener that runs
	closing    sync.Once

	laterMu sync.Mutex
	later   []delayed
}

// delayed is a task that is to be tried again.
type delayed struct {
	at   time.Time
	task task
}

// NewPush returns a consumer that has begun. ctx bounds the beginning: finding the topics, and having the brokers
// check filters.
func NewPush(ctx context.Context, o PushOptions) (*Push, error) {
	if err := o.prepare(); err != nil {
		return nil, err
	}
	p := &Push{o: o, workers: make(chan struct{}, o.Workers)}
	p.group.o, p.kind, p.ordered = &p.o.Options, body.ConsumePassively, o.Orderly
	p.listen, p.stopListen = context.WithCancel(context.Background())
	p.took = p.submit
	if o.Orderly {
		p.took = func(*processQueue, []*entry) {}
		p.consume = p.orderly
	}
	if err := p.open(ctx, map[int32]func(string, *protocol.Command) *protocol.Command{protocol.ConsumeMessageDirectly: p.onDirect}); err != nil {
		p.stopListen()
		return nil, err
	}
	if o.Orderly {
		if !o.Broadcasting {
			p.wg.Go(p.locks)
		}
	} else {
		for range o.Workers {
			p.wg.Go(p.work)
		}
	}
	p.wg.Go(p.keep)
	p.run()
	return p, nil
}

// ClientID returns what brokers call this consumer.
func (p *Push) ClientID() string { return p.inst.ClientID() }

// Queues returns the queues that are this consumer's now, those of the group's retry topic too.
func (p *Push) Queues() []client.MessageQueue {
	var out []client.MessageQueue
	for _, pq := range p.held() {
		out = append(out, pq.q)
	}
	return out
}

// Close stops pulling, waits for the listeners that run, stores offsets, unlocks queues and takes leave of the brokers.
// When ctx ends before the listeners have returned their context is cancelled, and Close goes on waiting. Messages
// that no listener has been given come again. Closing twice is fine. A listener must not call Close.
func (p *Push) Close(ctx context.Context) error {
	var err error
	p.closing.Do(func() {
		p.stop()
		idle := make(chan struct{})
		go func() { // ends with the listeners, which Close waits for
			p.wg.Wait()
			close(idle)
		}()
		select {
		case <-idle:
		case <-ctx.Done():
			p.stopListen()
			<-idle
		}
		p.stopListen()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.o.Timeout)
		defer cancel()
		err = p.close(last)
	})
	return err
}

// keep looks after what is to be tried again, and after listeners that take too long.
func (p *Push) keep() {
	tick := time.NewTicker(time.Second)
	snap := time.NewTicker(statInterval)
	defer tick.Stop()
	defer snap.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-snap.C:
			p.stats.snap()
			if !p.o.Orderly && !p.o.Broadcasting {
				p.giveUp()
			}
		case now := <-tick.C:
			if due := p.due(now); len(due) > 0 {
				p.tasks.put(due...)
			}
		}
	}
}

func (p *Push) due(now time.Time) []task {
	p.laterMu.Lock()
	defer p.laterMu.Unlock()
	var out []task
	rest := p.later[:0]
	for _, d := range p.later {
		if d.at.After(now) {
			rest = append(rest, d)
		} else {
			out = append(out, d.task)
		}
	}
	p.later = rest
	return out
}

func (p *Push) tryLater(t task, wait time.Duration) {
	p.laterMu.Lock()
	p.later = append(p.later, delayed{time.Now().Add(wait), t})
	p.laterMu.Unlock()
}

// giveUp sends messages back whose listener takes too long, so that their queue goes on.
// Java: ProcessQueue.cleanExpiredMsg.
func (p *Push) giveUp() {
	for _, pq := range p.held() {
		var done []*entry
		for _, e := range pq.stuck(time.Now().Add(-p.o.ConsumeTimeout)) {
			if err := p.sendBack(e.m, 3); err == nil {
				done = append(done, e)
			}
		}
		if len(done) > 0 {
			pq.finish(done, func(offset int64) { p.offsets.update(pq.q, offset) })
		}
	}
}

// call runs the listener and returns what it said.
func (p *Push) call(list []*client.MessageExt) (err error) {
	done := p.trace.Begin(p.o.Group, list)
	result := trace.ConsumeSuccess
	begin := time.Now()
	defer func() {
		if r := recover(); r != nil {
			p.log.Error().Str("msgId", list[0].ID()).Str("stack", string(debug.Stack())).Msgf("the listener panicked: %v", r)
			err, result = fmt.Errorf("the listener panicked: %v", r), trace.ConsumeException
		}
		took := time.Since(begin)
		if err == nil && took >= p.o.ConsumeTimeout {
			result = trace.ConsumeTimeout
		}
		done(result)
		if err == nil {
			p.stats.of(list[0].Topic).consumed(len(list), 0, took)
		} else {
			p.stats.of(list[0].Topic).consumed(0, len(list), took)
		}
	}()
	for _, m := range list {
		if m.Err != nil {
			result = trace.ConsumeFailed
			return m.Err
		}
	}
	if err = p.o.Listener(p.listen, list); err != nil {
		p.log.Debug().Str("msgId", list[0].ID()).Err(err).Msg("the listener failed")
		result = trace.ConsumeFailed
	}
	return err
}

func messagesOf(list []*entry) []*client.MessageExt {
	out := make([]*client.MessageExt, len(list))
	for i, e := range list {
		out[i] = e.m
	}
	return out
}
