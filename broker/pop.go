package broker

import (
	"context"
	"time"

	"github.com/skylarkmq/skylark/broker/assign"
	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/broker/peer"
	"github.com/skylarkmq/skylark/broker/pop"
	"github.com/skylarkmq/skylark/broker/pull"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/timer"
)

// openPop opens what POP consumers need.
func (b *Broker) openPop() error {
	o := &b.o
	d := delivered{timer: b.timer, precision: timer.Precision(int64(o.TimerPrecisionMs))}
	var err error
	b.popper, err = pop.Open(pop.Options{Config: o.Config, Settings: b.settings().pop, ReviveQueueNum: o.ReviveQueueNum, Logger: o.Logger, ClusterName: o.BrokerClusterName, BrokerName: o.BrokerName,
		BrokerIP: o.BrokerIP1, StoreHost: o.storeHost(), TimerWheel: o.TimerWheelEnable,
		OrderPath: o.config("consumerOrderInfo.json"), PersistEvery: time.Duration(max(o.FlushConsumerOffsetInterval, 100)) * time.Millisecond,
		Store: b.store, Topics: b.topics, Group: b.groups.Get, Offsets: b.offsets, ParseFilter: b.popFilter, Put: b.sender.Put, PutDelayed: b.sender.PutDelayed,
		DeliveredUpTo: d.upTo, Stats: b.stats})
	if err != nil {
		return err
	}
	b.popper.Start()
	b.assigner, err = assign.Open(assign.Options{DefaultMode: o.DefaultMessageRequestMode, DefaultPopShare: o.DefaultPopShareQueueNum, ServerBalance: o.ServerLoadBalancerEnable,
		PollEvery: time.Duration(o.LoadBalancePollNameServerInterval) * time.Millisecond, Logger: o.Logger, Path: o.config("messageRequestMode.json"), BrokerName: o.BrokerName,
		Topic: b.topics.Get, Group: b.groups.Get, ConsumerIDs: b.sessions.ConsumerIDs, Route: b.route, Alone: o.NamesrvAddr == "" && !o.FetchNamesrvAddrByAddressServer})
	return err
}

// popFilter returns what POP is to give a group of a topic. Unlike pulling it needs no enablePropertyFilter for
// expressions, as in Java.
func (b *Broker) popFilter(topic, group, expressionType, expression string) (pop.Filter, error) {
	if filter.IsTag(expressionType) || expression == "" {
		f, ok := pull.ParseTags(expression)
		switch {
		case !ok:
			return pop.Filter{}, errNoSubscription
		case f.All:
			return pop.Filter{}, nil
		}
		return pop.Filter{Match: f.Match}, nil
	}
	// The strings alias the request, which lives as long as the filter does.
	d, err := b.filters.Build(topic, group, expression, expressionType, 0)
	if err != nil {
		return pop.Filter{}, errNoSubscription
	}
	return pop.Filter{MatchProperties: d.Match, Costly: d.Costly()}, nil
}

var errNoSubscription = protocol.Errorf(protocol.SubscriptionParseFailed, "parse the consumer's subscription failed")

// closePop stops what openPop opened. No request may come any more.
func (b *Broker) closePop() error {
	if b.popper == nil {
		return nil
	}
	return b.popper.Close()
}

// arrived tells those who wait of a message. It runs on a goroutine of the store.
func (b *Broker) arrived(q *consumequeue.Queue, queueOffset, tagsCode int64, record []byte) {
	b.puller.Arrived(q, queueOffset, tagsCode, record)
	b.popper.Arrived(q, queueOffset, tagsCode, record)
}

// route asks the name servers where a topic is.
func (b *Broker) route(ctx context.Context, topic string) (*body.TopicRouteData, error) {
	r := b.registrar.Load()
	if r == nil {
		return nil, peer.ErrNoNameServer
	}
	return r.Route(ctx, topic)
}

// delivered tells POP's reviver up to when the timer has delivered everything.
type delivered struct {
	timer     *timer.Timer // nil: timerWheelEnable is false
	precision int64        // ms
	at, come  int64        // of the look before: when it was, ms, and how many messages had come
	entered   int64        // what had come by then is entered, ms
}

// upTo returns the time in ms. It is called by one goroutine.
func (d *delivered) upTo() int64 {
	if d.timer == nil {
		return 0
	}
	s, now := d.timer.Stats(), time.Now().UnixMilli()
	if s.OffsetBehind == 0 {
		d.entered = now
	} else if s.Offset >= d.come {
		d.entered = d.at
	}
	d.at, d.come = now, s.Offset+s.OffsetBehind
	// A message may be due as long before it was stored as its time is rounded.
	return min(now-s.ReadBehind.Milliseconds()-1, d.entered-d.precision)
}
