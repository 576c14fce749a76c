package stats

import (
	"sync/atomic"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
	"github.com/skylarkmq/skylark/remoting/message"
)

// Counter counts one topic's puts, or one group's gets of a topic, or the messages it sent back. A caller
// may keep it for as long as Gone is false.
type Counter struct {
	nums, bytes, times atomic.Int64
	// broker is where the whole broker's part goes; nil for messages sent back, which are puts besides.
	broker *flow
	gone   atomic.Bool

	windows windows // guarded by Stats.mu
}

// flow is the puts or the gets of the whole broker.
type flow struct {
	nums, bytes, times atomic.Int64
	_                  [40]byte // keeps two of them off one cache line
}

type padded struct {
	atomic.Int64
	_ [56]byte
}

// topic holds the counters of a topic.
type topic struct {
	system int // users or system
	put    Counter
	in     [messageTypes]atomic.Pointer[inflow]
	waited atomic.Pointer[waited] // nil: no transactions and no timed messages
	groups *strmap.Map[group]
}

// group holds the counters of a group in a topic.
type group struct {
	get, back Counter
	out       [ways]outflow
	dead      atomic.Int64            // letters
	revived   atomic.Pointer[revived] // nil: it does not pop
}

// Add counts one operation that moved messages of bytes in all.
func (c *Counter) Add(messages, bytes int) {
	c.nums.Add(int64(messages))
	c.bytes.Add(int64(bytes))
	c.times.Add(1)
	if c.broker != nil {
		c.broker.nums.Add(int64(messages))
		c.broker.bytes.Add(int64(bytes))
		c.broker.times.Add(1)
	}
}

// Gone reports that the topic or group was deleted: what is added now only counts for the broker, and
// the next lookup makes a new counter.
func (c *Counter) Gone() bool { return c.gone.Load() }

func (c *Counter) sample() sample {
	return sample{c.nums.Load(), c.bytes.Load(), c.times.Load()}
}

func (c *Counter) window(w int, at *clock) { c.windows.take(w, at, c.sample()) }

// TopicPut returns the counter of what is put into a topic. It takes no lock and allocates nothing once
// the topic is known. Java: TOPIC_PUT_NUMS, TOPIC_PUT_SIZE.
func (s *Stats) TopicPut(name string) *Counter { return &s.topic(name).put }

// GroupGet returns the counter of what a group is given of a topic.
// Java: GROUP_GET_NUMS, GROUP_GET_SIZE.
func (s *Stats) GroupGet(groupName, topicName string) *Counter {
	return &s.group(groupName, topicName).get
}

// GroupBack returns the counter of what a group sends back of a topic. Java: SNDBCK_PUT_NUMS.
func (s *Stats) GroupBack(groupName, topicName string) *Counter {
	return &s.group(groupName, topicName).back
}

// Put counts messages of bytes in all that one request put into a topic.
func (s *Stats) Put(topicName string, messages, bytes int) {
	s.TopicPut(topicName).Add(messages, bytes)
}

// Miss counts a request for messages that found none. Java: StoreStatsService.getMessageTimesTotalMiss.
func (s *Stats) Miss() { s.misses.Add(1) }

// SendBack counts a message that a group sent back.
func (s *Stats) SendBack(groupName, topicName string) { s.GroupBack(groupName, topicName).Add(1, 0) }

// fold returns the name under which a topic or group is counted.
func (s *Stats) fold(name string) string {
	if s.o.FoldLMQ && message.IsLMQ(name) {
		return message.LMQPrefix
	}
	return name
}

func (s *Stats) topic(name string) *topic {
	name = s.fold(name)
	if t := s.topics.Load(name); t != nil {
		return t
	}
	kind := users
	if s.o.IsSystem(name) {
		kind = system
	}
	t, _ := s.topics.LoadOrCreate(name, func(string) *topic {
		t := &topic{system: kind, groups: strmap.New[group](0)}
		t.put.broker = &s.put[kind]
		return t
	})
	return t
}

func (s *Stats) group(groupName, topicName string) *group {
	t := s.topic(topicName)
	groupName = s.fold(groupName)
	if g := t.groups.Load(groupName); g != nil {
		return g
	}
	g, _ := t.groups.LoadOrCreate(groupName, func(string) *group {
		g := new(group)
		g.get.broker = &s.get[t.system]
		return g
	})
	return g
}

func (g *group) drop() {
	g.get.gone.Store(true)
	g.back.gone.Store(true)
}

// RemoveTopic forgets a deleted topic. Java: BrokerStatsManager.onTopicDeleted.
func (s *Stats) RemoveTopic(name string) {
	t := s.topics.Delete(name)
	if t == nil {
		return
	}
	t.put.gone.Store(true)
	t.groups.Range(func(_ string, g *group) bool {
		g.drop()
		return true
	})
}

// RemoveGroup forgets a deleted group in all topics. Java: BrokerStatsManager.onGroupDeleted.
func (s *Stats) RemoveGroup(name string) {
	s.topics.Range(func(_ string, t *topic) bool {
		if g := t.groups.Delete(name); g != nil {
			g.drop()
		}
		return true
	})
}
