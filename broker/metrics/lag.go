package metrics

import (
	"strings"

	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Java: BrokerMetricsManager.initLagAndDlqMetrics, ConsumerLagCalculator.
var (
	lagMessages     = instrument{"rocketmq_consumer_lag_messages", "", "Consumer lag messages", Gauge}
	lagLatency      = instrument{"rocketmq_consumer_lag_latency", "milliseconds", "Consumer lag time", Gauge}
	inFlight        = instrument{"rocketmq_consumer_inflight_messages", "", "Consumer inflight messages", Gauge}
	queueingLatency = instrument{"rocketmq_consumer_queueing_latency", "milliseconds", "Consumer queueing time", Gauge}
	ready           = instrument{"rocketmq_consumer_ready_messages", "", "Consumer ready messages", Gauge}
)

// Bounds of what one gathering reads for the lag of all groups. Beyond them what the gathering before has found stands in,
// or nothing.
const (
	maxTimes   = 20_000  // store times of messages
	maxUnits   = 1 << 20 // units of queues that are looked through for tags
	sampleSize = 5000    // units of one queue. Java: MessageStoreConfig.sampleCountThreshold
)

type lagKey struct {
	group, topic string
	id           int32
	pulled       bool // the place to which was pulled, not that to which was consumed
}

// known is what was read of a place in a queue.
type known struct {
	at    int64
	time  int64   // ms, of the message there; 0: not read
	share float64 // of the messages behind it that pass the tags; below 0: not read
}

// lagCache is what the last gathering has read, and what this one may still read.
type lagCache struct {
	old, new     map[lagKey]known
	times, units int
}

// consumerGroups returns the live consumer groups.
func (g *gathering) consumerGroups() (out []*session.Group) {
	g.o.Sessions.EachConsumer(func(v *session.Group) bool {
		out = append(out, v)
		return true
	})
	return out
}

func (g *gathering) lags() {
	g.lag.old, g.lag.new, g.lag.times, g.lag.units = g.lag.new, map[lagKey]known{}, maxTimes, maxUnits
	for _, v := range g.consumerGroups() {
		if !g.o.Groups.Contains(v.Name) {
			continue
		}
		for name, sub := range v.Subscriptions {
			c := g.o.Topics.Get(name)
			if strings.HasPrefix(name, topic.RetryPrefix) || c == nil || c.Perm&g.o.Permission()&(topic.PermRead|topic.PermWrite) == 0 {
				continue
			}
			if v.ConsumeType != body.ConsumePop {
				g.progress(v.Name, name, false, c, sub, false)
				continue
			}
			g.progress(v.Name, name, false, c, sub, true)
			g.progress(v.Name, name, true, g.popRetry(v.Name, name), sub, true)
		}
	}
}

// popRetry returns the retry topic that a group's pops of a topic read, nil when there is none. Java:
// ConsumerLagCalculator.processAllGroup, KeyBuilder.
func (g *gathering) popRetry(group, name string) *body.TopicConfig {
	usable := func(retry string) *body.TopicConfig {
		if c := g.o.Topics.Get(retry); c != nil && c.Perm&g.o.Permission()&(topic.PermRead|topic.PermWrite) != 0 {
			return c
		}
		return nil
	}
	v1 := topic.RetryPrefix + group + "_" + name
	if !g.o.EnableRetryTopicV2 {
		return usable(v1)
	}
	c := usable(topic.RetryPrefix + group + "+" + name)
	if c == nil && g.o.RetrieveRetryV1 {
		c = usable(v1)
	}
	return c
}

// behind is how far a group is in a topic.
type behind struct {
	lag, inFlight, ready float64
	consumed, pulled     int64 // ms, of the oldest message that is not; 0: none or not known
	unread               bool  // too many were to be read
}

// progress shows how far a group is in a topic; c is of the topic, or of its retry topic, which may be nil.
func (g *gathering) progress(group, name string, retry bool, c *body.TopicConfig, sub *session.Subscription, pop bool) {
	var b behind
	if c != nil {
		if retry {
			sub = nil // groups have all of their retry topics
		}
		for id := range c.WriteQueueNums {
			k := lagKey{group: group, topic: c.TopicName, id: id}
			if pop {
				g.popped(&b, k, sub)
			} else {
				g.pulled(&b, k, sub)
			}
		}
	}
	labels := []Label{{"consumer_group", group}, {"topic", name}, isTrue("is_retry", retry), isTrue("is_system", g.o.Topics.IsSystem(name) || systemGroup(group))}
	since := func(t int64) float64 {
		if t == 0 {
			return 0
		}
		return float64(max(g.now.UnixMilli()-t, 0))
	}
	g.value(&lagMessages, b.lag, labels...)
	g.value(&inFlight, b.inFlight, labels...)
	g.value(&ready, b.ready, labels...)
	if !b.unread {
		g.value(&lagLatency, since(b.consumed), labels...)
		g.value(&queueingLatency, since(b.pulled), labels...)
	}
}

func (g *gathering) pulled(b *behind, k lagKey, sub *session.Subscription) {
	q := g.o.Store.Find(k.topic, k.id)
	if q == nil {
		return
	}
	end := q.Max()
	consumed, ok := g.o.Offsets.Query(k.group, k.topic, k.id)
	at, pulled := g.o.Offsets.QueryPull(k.group, k.topic, k.id)
	b.ready += g.count(q, k, at, end, sub, pulled)
	if !ok { // new in the queue
		consumed = end
	} else if pulled {
		b.inFlight += g.count(q, k, consumed, at, sub, true)
	}
	b.lag += g.count(q, k, consumed, end, sub, true)
	g.oldest(&b.consumed, &b.unread, q, k, consumed)
	if pulled {
		k.pulled = true
		g.oldest(&b.pulled, &b.unread, q, k, at)
	}
}

func (g *gathering) popped(b *behind, k lagKey, sub *session.Subscription) {
	q := g.o.Store.Find(k.topic, k.id)
	if q == nil {
		return
	}
	next, flying := g.o.PopPosition(k.group, k.topic, k.id)
	if next < 0 {
		var ok bool
		if next, ok = g.o.Offsets.Query(k.group, k.topic, k.id); !ok {
			next = q.Max()
		}
	}
	n := g.count(q, k, next, q.Max(), sub, true)
	b.ready += n
	b.lag += n + float64(flying)
	b.inFlight += float64(flying)
	g.oldest(&b.consumed, &b.unread, q, k, next-flying)
	k.pulled = true
	g.oldest(&b.pulled, &b.unread, q, k, next)
}

// oldest takes the store time of the message at a queue offset over if it is older.
func (g *gathering) oldest(t *int64, unread *bool, q *consumequeue.Queue, k lagKey, at int64) {
	at = max(at, q.Min())
	if at >= q.Max() {
		return
	}
	x := g.remembered(k)
	if x.time == 0 || x.at != at && g.lag.times > 0 {
		if g.lag.times <= 0 {
			*unread = true
			return
		}
		g.lag.times--
		x.at, x.time = at, max(g.o.Store.StoreTime(k.topic, k.id, at), 0)
	}
	g.lag.new[k] = x
	if x.time > 0 && (*t == 0 || x.time < *t) {
		*t = x.time
	}
}

func (g *gathering) remembered(k lagKey) known {
	if x, ok := g.lag.new[k]; ok {
		return x
	}
	if x, ok := g.lag.old[k]; ok {
		return x
	}
	return known{share: -1}
}

// count returns how many messages from one queue offset up to another are for the group, estimated from the first of them
// when it wants some tags only. Java: ConsumerLagCalculator.calculateMessageCount.
func (g *gathering) count(q *consumequeue.Queue, k lagKey, from, to int64, sub *session.Subscription, counts bool) float64 {
	n := float64(max(to-from, 0))
	if n == 0 || !counts || !g.o.EstimateAccumulation || sub == nil || len(sub.Codes) == 0 || q.Batch() {
		if !counts {
			return 0
		}
		return n
	}
	x := g.remembered(k)
	if size := int(min(to-from, sampleSize)); g.lag.units >= size {
		g.lag.units -= size
		x.share = share(q, from, size, sub)
	}
	if x.share < 0 {
		return n
	}
	g.lag.new[k] = x
	return n * x.share
}

// share returns which part of the messages from a queue offset on a subscription lets pass.
func share(q *consumequeue.Queue, from int64, size int, sub *session.Subscription) float64 {
	from = max(from, q.Min())
	var buf [64 * consumequeue.UnitSize]byte
	seen, match := 0, 0
	for seen < size {
		n, err := q.Read(from, buf[:])
		if err != nil || n == 0 {
			break
		}
		for i := range min(n, size-seen) {
			if sub.Match(consumequeue.GetUnit(buf[i*consumequeue.UnitSize:]).TagsCode) {
				match++
			}
		}
		seen += n
		from += int64(n)
	}
	if seen == 0 {
		return 1
	}
	return float64(match) / float64(min(seen, size))
}
