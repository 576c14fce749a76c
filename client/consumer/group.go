// Package consumer receives messages: Push hands them to a listener, Pull has them polled. See package client for
// the whole.
//
// Goroutines: one for each queue pulls; one shares queues out with the other consumers of the group; one stores
// offsets; Push has Options.Workers that call the listener or, in order, one more for each queue, one that looks
// after what has to come again, and, in order, one that renews locks. Close ends and awaits all.
//
// Lock order: group.mu, processQueue.mu, offsets.mu.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/client/internal/trace"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// group is one consumer of a group: its queues and what fills them.
type group struct {
	o       *Options
	kind    body.ConsumeType
	ordered bool
	log     zerolog.Logger
	inst    *instance.Instance
	offsets *offsets
	trace   *trace.Dispatcher
	subs    map[string]body.SubscriptionData // by topic; does not change
	tasks   *tasks
	stats   stats
	started time.Time
	// took is called on the goroutine of a queue's pull with what came; consume, when there is one, is a goroutine
	// of each queue's that ends with its context.
	took    func(pq *processQueue, entries []*entry)
	consume func(pq *processQueue)
	ctx     context.Context // ends when nothing more is to be pulled
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	wake    chan struct{} // holds a token when queues are to be shared out at once

	mu     sync.Mutex
	queues map[client.MessageQueue]*processQueue
	ending map[client.MessageQueue]bool          // dropped, but their goroutines still run
	paused map[client.MessageQueue]chan struct{} // closed when the pause is over
	seeks  map[client.MessageQueue]int64         // where queues are to begin that are about to be taken
	fixed  []client.MessageQueue                 // assigned, not shared out; nil: none are
}

// open connects g; handlers are what a broker may ask beside the group's own.
func (g *group) open(ctx context.Context, handlers map[int32]func(string, *protocol.Command) *protocol.Command) error {
	g.log = g.o.Logger.With().Str("group", g.o.Group).Logger()
	g.tasks, g.wake, g.started = newTasks(), make(chan struct{}, 1), time.Now()
	g.queues, g.ending, g.paused = map[client.MessageQueue]*processQueue{}, map[client.MessageQueue]bool{}, map[client.MessageQueue]chan struct{}{}
	g.subs, g.seeks = map[string]body.SubscriptionData{}, map[client.MessageQueue]int64{}
	for _, s := range g.o.Subscriptions {
		g.subs[s.Topic] = s.subscription(g.started.UnixMilli())
	}
	if !g.o.Broadcasting && g.kind == body.ConsumePassively {
		retry := client.RetryPrefix + g.o.Group
		g.subs[retry] = Subscription{Topic: retry}.subscription(g.started.UnixMilli())
	}
	all := map[int32]func(string, *protocol.Command) *protocol.Command{
		protocol.NotifyConsumerIdsChanged:    g.onChange,
		protocol.ResetConsumerClientOffset:   g.onReset,
		protocol.GetConsumerStatusFromClient: g.onStatus,
		protocol.GetConsumerRunningInfo:      g.onRunningInfo,
	}
	maps.Copy(all, handlers)
	var err error
	g.inst, err = instance.Open(instance.Options{Options: g.o.Options, Consumer: g.data, Handlers: all})
	if err != nil {
		return err
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if g.o.Trace {
		g.trace = trace.Open(g.inst, g.o.Group, g.o.TraceTopic, g.o.Logger)
	}
	if err := g.introduce(ctx); err != nil {
		g.cancel()
		g.trace.Close()
		return errors.Join(err, g.inst.Close(ctx))
	}
	return nil
}

// introduce tells the brokers of the consumer, and has them check its filters.
func (g *group) introduce(ctx context.Context) error {
	var err error
	if g.offsets, err = newOffsets(g.inst, g.o); err != nil {
		return err
	}
	for topic, s := range g.subs {
		_, err := g.inst.Route(ctx, topic)
		if code := client.Code(err); err != nil && code != protocol.TopicNotExist {
			return err
		}
		if s.ExpressionType == "TAG" || err != nil {
			continue // a topic that does not exist yet may come
		}
		addr, err := g.inst.AnyBroker(ctx, topic)
		if err == nil {
			_, err = g.inst.Call(ctx, addr, protocol.CheckClientConfig, nil, body.CheckClientRequestBody{ClientID: g.inst.ClientID(), Group: g.o.Group, SubscriptionData: s})
		}
		if err != nil {
			return fmt.Errorf("cannot subscribe to topic %s: %w", topic, err)
		}
	}
	g.inst.Heartbeat(ctx)
	return nil
}

// run starts the group's goroutines.
func (g *group) run() {
	g.wg.Go(g.commits)
	g.wg.Go(g.rebalances)
}

// data is the group as heartbeats have it.
func (g *group) data() body.ConsumerData {
	d := body.ConsumerData{GroupName: g.o.Group, ConsumeType: g.kind, MessageModel: body.Clustering, ConsumeFromWhere: g.o.From}
	if g.o.Broadcasting {
		d.MessageModel = body.Broadcasting
	}
	for _, topic := range slices.Sorted(maps.Keys(g.subs)) {
		d.SubscriptionDataSet = append(d.SubscriptionDataSet, g.subs[topic])
	}
	return d
}

func (g *group) commits() {
	tick := time.NewTicker(g.o.CommitInterval)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		if err := g.offsets.store(g.ctx); err != nil && g.ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("cannot store offsets")
		}
	}
}

// rebalances shares queues out at each interval, when consumers come and go, and soon again when it could not.
func (g *group) rebalances() {
	for {
		wait := g.o.RebalanceInterval
		if !g.rebalance() {
			wait = min(wait, time.Second) // Java: RebalanceService.minInterval
		}
		timer := time.NewTimer(wait)
		select {
		case <-g.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-g.wake:
			timer.Stop()
		}
	}
}

// rebalance reports whether all topics could be shared out.
func (g *group) rebalance() bool {
	g.mu.Lock()
	fixed := g.fixed
	g.mu.Unlock()
	if fixed != nil {
		return g.balanced("", g.assign(func(client.MessageQueue) bool { return true }, fixed))
	}
	all := true
	for topic := range g.subs {
		queues, err := g.share(topic)
		if err == nil {
			err = g.assign(func(q client.MessageQueue) bool { return q.Topic == topic }, queues)
		}
		all = g.balanced(topic, err) && all
	}
	return all
}

// balanced logs why queues could not be taken, and tells whether all were, or that nothing changes soon.
func (g *group) balanced(topic string, err error) bool {
	switch {
	case err == nil || g.ctx.Err() != nil:
		return true
	case client.Code(err) == protocol.TopicNotExist:
		g.log.Debug().Str("topic", topic).Msg("the topic does not exist yet")
		return time.Since(g.started) > firstLook
	case errors.Is(err, errUnheard) || errors.Is(err, errLocked):
		g.log.Debug().Str("topic", topic).Err(err).Msg("cannot take queues yet")
	default:
		g.log.Warn().Str("topic", topic).Err(err).Msg("cannot take queues")
	}
	return false
}

// firstLook is for how long after its start a consumer looks for its topics each second: a broker makes the retry
// topic of a group when it hears of it.
const firstLook = 30 * time.Second

var (
	errUnheard = errors.New("the broker does not know this consumer yet")
	errLocked  = errors.New("another consumer has not unlocked queues yet")
)

// share returns the queues of a topic that are this consumer's.
func (g *group) share(topic string) ([]client.MessageQueue, error) {
	r, err := g.inst.Route(g.ctx, topic)
	if err != nil {
		return nil, err
	}
	if g.o.Broadcasting {
		return r.Readable, nil
	}
	addr, err := g.inst.AnyBroker(g.ctx, topic)
	if err != nil {
		return nil, err
	}
	list, err := instance.Get[body.GetConsumerListByGroupResponseBody](g.ctx, g.inst, addr, protocol.GetConsumerListByGroup, header.GetConsumerListByGroupRequest{ConsumerGroup: g.o.Group}, nil)
	if err != nil || !slices.Contains(list.ConsumerIDList, g.inst.ClientID()) {
		g.inst.HeartbeatSoon()
		return nil, errors.Join(err, errUnheard)
	}
	return allocate(g.inst.ClientID(), list.ConsumerIDList, slices.Clone(r.Readable)), nil
}

// assign drops the queues of a kind that are not wanted and takes those that are.
func (g *group) assign(kind func(client.MessageQueue) bool, wanted []client.MessageQueue) error {
	var gone []*processQueue
	var added []client.MessageQueue
	g.mu.Lock()
	for q, pq := range g.queues {
		if kind(q) && !slices.Contains(wanted, q) {
			gone = append(gone, pq)
		}
	}
	for _, q := range wanted {
		if g.queues[q] == nil && !g.ending[q] {
			added = append(added, q)
		}
	}
	g.mu.Unlock()
	for _, pq := range gone {
		g.drop(pq)
	}
	var errs []error
	if g.ordered && !g.o.Broadcasting && len(added) > 0 {
		locked, err := g.lock(g.ctx, added)
		if err == nil && len(locked) < len(added) {
			err = errLocked
		}
		added, errs = locked, append(errs, err)
	}
	for _, q := range added {
		from, err := g.from(g.ctx, q)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		g.take(q, from)
	}
	return errors.Join(errs...)
}

// take begins with a queue.
func (g *group) take(q client.MessageQueue, from int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.queues[q] != nil || g.ending[q] || g.ctx.Err() != nil {
		return
	}
	pq := newProcessQueue(g.ctx, q, from)
	g.queues[q] = pq
	g.log.Debug().Str("topic", q.Topic).Str("broker", q.BrokerName).Int32("queue", q.QueueID).Int64("from", from).Msg("queue taken")
	var running sync.WaitGroup
	running.Go(func() { g.pull(pq) })
	if g.consume != nil {
		running.Go(func() { g.consume(pq) })
	}
	g.wg.Go(func() {
		running.Wait()
		g.ended(pq)
	})
}

// drop lets go of a queue; what follows once its goroutines have ended is in ended.
func (g *group) drop(pq *processQueue) {
	g.mu.Lock()
	if g.queues[pq.q] == pq {
		delete(g.queues, pq.q)
		g.ending[pq.q] = true
	}
	g.mu.Unlock()
	pq.drop()
}

// ended stores how far a queue has come that was dropped, and unlocks it.
func (g *group) ended(pq *processQueue) {
	if g.ctx.Err() != nil {
		return // Close does so for all
	}
	if err := g.offsets.store(g.ctx, pq.q); err != nil {
		g.log.Warn().Err(err).Msg("cannot store the offset of a queue that is let go")
	}
	g.offsets.remove(pq.q)
	if g.ordered && !g.o.Broadcasting {
		g.unlock(g.ctx, []client.MessageQueue{pq.q})
	}
	g.mu.Lock()
	delete(g.ending, pq.q)
	g.mu.Unlock()
	signal(g.wake) // it may have become this consumer's again meanwhile
}

// from returns where a queue begins. Java: RebalancePushImpl.computePullFromWhereWithException.
func (g *group) from(ctx context.Context, q client.MessageQueue) (int64, error) {
	g.mu.Lock()
	to, ok := g.seeks[q]
	delete(g.seeks, q)
	g.mu.Unlock()
	if ok {
		return to, nil
	}
	offset, err := g.offsets.load(ctx, q)
	if err != nil {
		return 0, err
	}
	if offset >= 0 {
		g.offsets.adopt(q, offset)
		return offset, nil
	}
	retry := q.Topic == client.RetryPrefix+g.o.Group
	switch {
	case g.o.From == FromFirst || retry && g.o.From == FromLast:
		return 0, nil // a broker whose queue begins later says so
	case g.o.From == FromTimestamp && !retry:
		return g.offsetForTime(ctx, q, g.o.FromTime)
	}
	_, end, err := g.bounds(ctx, q)
	return end, err
}

// bounds returns the offsets of a queue's first message and behind its last.
func (g *group) bounds(ctx context.Context, q client.MessageQueue) (first, end int64, err error) {
	addr, err := g.addr(ctx, q)
	if err != nil {
		return 0, 0, err
	}
	low, err := instance.Fields[header.GetMinOffsetResponse](ctx, g.inst, addr, protocol.GetMinOffset, header.GetMinOffsetRequest{Topic: q.Topic, QueueID: q.QueueID})
	if err != nil {
		return 0, 0, err
	}
	high, err := instance.Fields[header.GetMaxOffsetResponse](ctx, g.inst, addr, protocol.GetMaxOffset, header.GetMaxOffsetRequest{Topic: q.Topic, QueueID: q.QueueID})
	if err != nil {
		return 0, 0, err
	}
	return low.Offset, high.Offset, nil
}

func (g *group) offsetForTime(ctx context.Context, q client.MessageQueue, t time.Time) (int64, error) {
	addr, err := g.addr(ctx, q)
	if err != nil {
		return 0, err
	}
	r, err := instance.Fields[header.SearchOffsetResponse](ctx, g.inst, addr, protocol.SearchOffsetByTimestamp,
		header.SearchOffsetRequest{Topic: q.Topic, QueueID: q.QueueID, Timestamp: t.UnixMilli(), BoundaryType: header.BoundaryLower})
	if err != nil {
		return 0, err
	}
	return r.Offset, nil
}

// addr returns where to ask of a queue: its master.
func (g *group) addr(ctx context.Context, q client.MessageQueue) (string, error) {
	if addr := g.inst.Master(q.BrokerName); addr != "" {
		return addr, nil
	}
	if _, err := g.inst.Refresh(ctx, q.Topic); err != nil {
		return "", err
	}
	if addr := g.inst.Master(q.BrokerName); addr != "" {
		return addr, nil
	}
	return "", fmt.Errorf("the broker[%s] not exist", q.BrokerName)
}

// begin runs fn on a goroutine that Close waits for; false when that has begun.
func (g *group) begin(fn func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return false
	}
	g.wg.Go(fn)
	return true
}

// stop ends the group's goroutines.
func (g *group) stop() {
	g.mu.Lock() // so that begin does not add one while Close waits
	g.cancel()
	g.mu.Unlock()
}

// held returns all queues in hand.
func (g *group) held() []*processQueue {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Values(g.queues))
}

// close stores offsets, unlocks queues and takes leave of the brokers, once all goroutines have ended.
func (g *group) close(ctx context.Context) error {
	err := g.offsets.store(ctx)
	if g.ordered && !g.o.Broadcasting {
		var list []client.MessageQueue
		for _, pq := range g.held() {
			list = append(list, pq.q)
		}
		g.mu.Lock()
		list = slices.AppendSeq(list, maps.Keys(g.ending))
		g.mu.Unlock()
		g.unlock(ctx, list)
	}
	g.trace.Close()
	return errors.Join(err, g.inst.Close(ctx))
}
