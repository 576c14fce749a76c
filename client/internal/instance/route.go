package instance

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

const (
	// templateTopic is the topic after which brokers create others. Java: TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC.
	templateTopic = "TBW102"
	// templateQueues is how many queues such a topic has at most. Java: DefaultMQProducer.defaultTopicQueueNums.
	templateQueues = 4

	permWrite = 1 << 1 // Java: PermName
	permRead  = 1 << 2
)

// Route says where the queues of a topic are. It does not change.
type Route struct {
	// Writable and Readable are its queues, ordered as Java orders them. A queue is writable while its
	// broker has a master.
	Writable, Readable []message.MessageQueue

	next atomic.Uint32 // the queue that is to be written next
	raw  []byte        // what the name server said
	data body.TopicRouteData
}

// Route returns where a topic is: what was heard last, or what a name server says now.
func (i *Instance) Route(ctx context.Context, topic string) (*Route, error) {
	if r := i.cached(topic); r != nil {
		return r, nil
	}
	return i.Refresh(ctx, topic)
}

func (i *Instance) cached(topic string) *Route {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.routes[topic]
}

// PublishRoute is Route for a sender: a topic that does not exist yet is where the template for new ones is.
func (i *Instance) PublishRoute(ctx context.Context, topic string) (*Route, error) {
	i.mu.RLock()
	r := i.routes[topic]
	if r == nil {
		r = i.templates[topic]
	}
	i.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	r, err := i.Refresh(ctx, topic)
	if client.Code(err) != protocol.TopicNotExist {
		return r, err
	}
	t, terr := i.Refresh(ctx, templateTopic)
	if terr != nil {
		return nil, err // nobody creates topics: the first error says more
	}
	data := t.data
	data.QueueDatas = slices.Clone(data.QueueDatas)
	for n := range data.QueueDatas {
		q := &data.QueueDatas[n]
		q.ReadQueueNums = min(q.ReadQueueNums, templateQueues)
		q.WriteQueueNums = q.ReadQueueNums
	}
	r = newRoute(topic, nil, data)
	i.mu.Lock()
	i.templates[topic] = r
	i.mu.Unlock()
	return r, nil
}

// Refresh asks the name servers where a topic is. What was known before stays known when it fails.
func (i *Instance) Refresh(ctx context.Context, topic string) (*Route, error) {
	before := i.cached(topic)
	select {
	case i.fetch <- struct{}{}:
		defer func() { <-i.fetch }()
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot find topic %s: %w", topic, ctx.Err())
	}
	if r := i.cached(topic); r != before {
		return r, nil // another one has asked meanwhile
	}
	resp, err := i.ask(ctx, protocol.GetRouteInfoByTopic, header.GetRouteInfoRequest{Topic: topic, AcceptStandardJSONOnly: true})
	if err != nil {
		return nil, fmt.Errorf("cannot find topic %s: %w", topic, err)
	}
	if before != nil && bytes.Equal(before.raw, resp.Body) {
		return before, nil
	}
	var data body.TopicRouteData
	if err := body.Unmarshal(resp.Body, &data); err != nil {
		return nil, fmt.Errorf("cannot find topic %s: %w", topic, err)
	}
	if len(data.TopicQueueMappingByBroker) > 0 {
		return nil, fmt.Errorf("cannot use topic %s: static topics are not supported", topic)
	}
	r := newRoute(topic, resp.Body, data)
	i.learn(topic, r)
	return r, nil
}

// learn remembers a route, and announces this client to brokers that were not known.
func (i *Instance) learn(topic string, r *Route) {
	i.mu.Lock()
	i.routes[topic] = r
	delete(i.templates, topic)
	brokers := map[string]map[int64]string{} // only those that some topic is on: others may be gone
	for _, known := range i.routes {
		for _, b := range known.data.BrokerDatas {
			brokers[b.BrokerName] = b.BrokerAddrs
		}
	}
	unheard := false
	for _, b := range r.data.BrokerDatas { // the newest word counts
		unheard = unheard || !maps.Equal(i.brokers[b.BrokerName], b.BrokerAddrs)
		brokers[b.BrokerName] = b.BrokerAddrs
	}
	i.brokers = brokers
	i.mu.Unlock()
	if unheard {
		i.HeartbeatSoon()
	}
}

// newRoute orders the queues of a topic. Java: MQClientInstance.topicRouteData2TopicPublishInfo and its sibling.
func newRoute(topic string, raw []byte, data body.TopicRouteData) *Route {
	r := &Route{raw: raw, data: data}
	r.next.Store(rand.Uint32N(1 << 16))
	add := func(dst *[]message.MessageQueue, broker string, n int32) {
		for id := range n {
			*dst = append(*dst, message.MessageQueue{Topic: topic, BrokerName: broker, QueueID: id})
		}
	}
	slices.SortFunc(r.data.QueueDatas, func(a, b body.QueueData) int { return strings.Compare(a.BrokerName, b.BrokerName) })
	for _, q := range r.data.QueueDatas {
		if q.Perm&permRead != 0 {
			add(&r.Readable, q.BrokerName, q.ReadQueueNums)
		}
		if q.Perm&permWrite != 0 && data.OrderTopicConf == "" && hasMaster(data, q.BrokerName) {
			add(&r.Writable, q.BrokerName, q.WriteQueueNums)
		}
	}
	// An order is kept in the queues that an operator has named, whether their broker lives or not.
	for one := range strings.SplitSeq(data.OrderTopicConf, ";") {
		broker, count, ok := strings.Cut(one, ":")
		if n, err := strconv.ParseInt(count, 10, 16); ok && err == nil {
			add(&r.Writable, broker, int32(n))
		}
	}
	return r
}

func hasMaster(data body.TopicRouteData, broker string) bool {
	return slices.ContainsFunc(data.BrokerDatas, func(b body.BrokerData) bool { return b.BrokerName == broker && b.BrokerAddrs[masterID] != "" })
}

// ask sends a request to the name server that was asked last and, when it does not answer, to the others.
func (i *Instance) ask(ctx context.Context, code int32, h any) (*protocol.Command, error) {
	var last error
	for range i.o.Namesrv {
		at := i.namesrv.Load()
		addr := i.o.Namesrv[at%uint32(len(i.o.Namesrv))]
		resp, err := i.Call(ctx, addr, code, h, nil)
		if resp != nil {
			return resp, err
		}
		i.namesrv.CompareAndSwap(at, at+1)
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// refresh asks again where all topics in use are, at each interval.
func (i *Instance) refresh() {
	tick := time.NewTicker(i.o.RouteInterval)
	defer tick.Stop()
	for {
		select {
		case <-i.ctx.Done():
			return
		case <-tick.C:
		}
		i.mu.RLock()
		topics := slices.AppendSeq(slices.Collect(maps.Keys(i.routes)), maps.Keys(i.templates))
		i.mu.RUnlock()
		for _, topic := range topics {
			if _, err := i.Refresh(i.ctx, topic); err != nil && i.ctx.Err() == nil && client.Code(err) != protocol.TopicNotExist {
				i.o.Logger.Warn().Str("topic", topic).Err(err).Msg("cannot refresh a route")
			}
		}
	}
}

// Master returns the address of a broker's master, empty when none is known.
func (i *Instance) Master(broker string) string {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.brokers[broker][masterID]
}

// Readable returns the address of the member of a broker with that id or, when it has none, of its master or of any
// of its slaves, and whether that is the master; empty when none is known.
func (i *Instance) Readable(broker string, id int64) (addr string, master bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	addrs := i.brokers[broker]
	for _, id := range []int64{id, masterID} {
		if addr := addrs[id]; addr != "" {
			return addr, id == masterID
		}
	}
	for _, addr := range addrs {
		return addr, false
	}
	return "", false
}

// AnyBroker returns an address at which to ask of what all brokers of a topic know: of its groups.
func (i *Instance) AnyBroker(ctx context.Context, topic string) (string, error) {
	r, err := i.Route(ctx, topic)
	if err != nil {
		return "", err
	}
	n := len(r.data.BrokerDatas)
	for at := range n {
		b := r.data.BrokerDatas[(at+int(r.next.Add(1)))%n]
		if addr, _ := i.Readable(b.BrokerName, masterID); addr != "" {
			return addr, nil
		}
	}
	return "", fmt.Errorf("cannot find a broker of topic %s", topic)
}
