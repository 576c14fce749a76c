package stats

import (
	"sync"
	"sync/atomic"
	"time"
)

// MessageType is what a message that comes in is, by its properties. Java: BrokerMetricsManager.getMessageType.
type MessageType uint8

// The types that Java tells apart when it counts.
const (
	Normal MessageType = iota
	FIFO
	Delay
	Transaction

	messageTypes
)

// String returns the type as the label message_type has it.
func (t MessageType) String() string {
	return [messageTypes]string{"normal", "fifo", "delay", "transaction"}[t]
}

// sizeClasses is how many classes SizeBounds make.
const sizeClasses = 7

// Received is what requests of one type have put into one topic. The zero value is empty.
type Received struct {
	Type            MessageType
	Messages, Bytes int
	sizes           [sizeClasses]uint32
	sum             int64
}

// Add counts one request.
func (r *Received) Add(messages, bytes int) {
	size := int64(bytes / max(messages, 1))
	r.Messages += messages
	r.Bytes += bytes
	r.sizes[class(SizeBounds, size)]++
	r.sum += size
}

// inflow is what came into a topic of one type.
type inflow struct {
	nums, bytes atomic.Int64
	sizes       *Distribution
}

// Receive counts what clients, or the broker for them, have put into a topic.
func (s *Stats) Receive(topicName string, r *Received) {
	t := s.topic(topicName)
	t.put.Add(r.Messages, r.Bytes)
	in := t.in[r.Type].Load()
	if in == nil {
		t.in[r.Type].CompareAndSwap(nil, &inflow{sizes: NewDistribution(SizeBounds)})
		in = t.in[r.Type].Load()
	}
	in.nums.Add(int64(r.Messages))
	in.bytes.Add(int64(r.Bytes))
	in.sizes.merge(r.sizes[:], r.sum)
}

// Reply counts a reply to a request message that was stored.
func (s *Stats) Reply(topicName string, bytes int) { s.one(topicName, Normal, bytes) }

// ScheduleGroup is as which group the delay levels are read. Java: MixAll.SCHEDULE_CONSUMER_GROUP.
const ScheduleGroup = "SCHEDULE_CONSUMER"

// Scheduled counts a message of a delay level that was put from the schedule topic into its own.
// Java: ScheduleMessageService.PutResultProcess.onSuccess.
func (s *Stats) Scheduled(schedule, topicName string, bytes int) {
	g := s.group(ScheduleGroup, schedule)
	g.get.Add(1, bytes)
	g.out[Pulled].add(1, bytes)
	s.one(topicName, Delay, bytes)
}

func (s *Stats) one(topicName string, kind MessageType, bytes int) {
	r := Received{Type: kind}
	r.Add(1, bytes)
	s.Receive(topicName, &r)
}

// Way is how messages are given to a group.
type Way uint8

// The ways; with POP Java tells the messages of retry topics from others.
const (
	Pulled Way = iota
	Popped
	PoppedRetry

	ways
)

type outflow struct{ nums, bytes atomic.Int64 }

// Pull counts messages of bytes in all that a group was given of a topic by one request.
func (s *Stats) Pull(groupName, topicName string, messages, bytes int) {
	g := s.group(groupName, topicName)
	g.get.Add(messages, bytes)
	g.out[Pulled].add(messages, bytes)
}

// Pop counts messages of bytes in all that a group was given of a queue of real by a pop of topic: they differ when
// real is the retry topic.
func (s *Stats) Pop(groupName, topicName, real string, messages, bytes int) {
	way := Popped
	if real != topicName {
		way = PoppedRetry
	}
	s.GroupGet(groupName, real).Add(messages, bytes)
	s.group(groupName, topicName).out[way].add(messages, bytes)
}

// Take counts messages of the broker's own that a part of it has read, as which group.
func (s *Stats) Take(groupName, topicName string, messages, bytes int) {
	s.group(groupName, topicName).out[Pulled].add(messages, bytes)
}

func (o *outflow) add(messages, bytes int) {
	o.nums.Add(int64(messages))
	o.bytes.Add(int64(bytes))
}

// DeadLetter counts a message of a topic that a group has had too often.
func (s *Stats) DeadLetter(groupName, topicName string) { s.group(groupName, topicName).dead.Add(1) }

// waited is what is counted of the transactions and the timed messages of a topic.
type waited struct {
	commits, rollbacks atomic.Int64
	finish             *Distribution // s
	entered, left      atomic.Int64  // of the timer
	delays             *Distribution // s
}

func (s *Stats) waited(topicName string) *waited {
	t := s.topic(topicName)
	if w := t.waited.Load(); w != nil {
		return w
	}
	t.waited.CompareAndSwap(nil, &waited{finish: NewDistribution(FinishBounds), delays: NewDistribution(DelayBounds)})
	return t.waited.Load()
}

// Commit counts a transaction of a topic that is committed, so long after its message was made.
func (s *Stats) Commit(topicName string, age time.Duration) {
	w := s.waited(topicName)
	w.commits.Add(1)
	w.finish.Observe(int64(age / time.Second))
}

// Rollback counts a transaction of a topic that is rolled back.
func (s *Stats) Rollback(topicName string) { s.waited(topicName).rollbacks.Add(1) }

// TimerEntered counts a message of a topic that the timer has taken, to be delivered so long after it was made.
func (s *Stats) TimerEntered(topicName string, delay time.Duration) {
	w := s.waited(topicName)
	w.entered.Add(1)
	w.delays.Observe(int64(delay / time.Second))
}

// TimerLeft counts a message that has left the timer for its topic, or to come again.
func (s *Stats) TimerLeft(topicName string) { s.waited(topicName).left.Add(1) }

// Revive is what POP writes to the revive topic.
type Revive uint8

// What there is in the revive topic. Java: PopReviveMessageType.
const (
	CheckPoint Revive = iota
	Ack

	revives
)

// String returns the label revive_message_type.
func (r Revive) String() string { return [revives]string{"CK", "ACK"}[r] }

// PutStatus is the outcome of a write, as Java's PutMessageStatus names it.
type PutStatus string

// The outcomes that there can be.
const (
	PutOK               PutStatus = "PUT_OK" // also when it was not durable in time
	OSPageCacheBusy     PutStatus = "OS_PAGE_CACHE_BUSY"
	ServiceNotAvailable PutStatus = "SERVICE_NOT_AVAILABLE"
	MessageIllegal      PutStatus = "MESSAGE_ILLEGAL"
	UnknownError        PutStatus = "UNKNOWN_ERROR"
)

// ReviveIn is what a group's pops of a topic put into the revive topic.
type ReviveIn struct {
	What   Revive
	Status PutStatus
}

// ReviveOut is what of it was taken out of a queue of the revive topic.
type ReviveOut struct {
	What    Revive
	QueueID int32
}

// ReviveRetry is what was put into the retry topic.
type ReviveRetry struct{ Status PutStatus }

// creations are how long it took to make or change topics and groups, ms.
type creations struct {
	topics [2][2]*Distribution // by success, and whether the topic is the broker's own
	groups [2]*Distribution    // by success
}

func newCreations() (c creations) {
	for i := range c.topics {
		c.topics[i] = [2]*Distribution{NewDistribution(CreateBounds), NewDistribution(CreateBounds)}
		c.groups[i] = NewDistribution(CreateBounds)
	}
	return c
}

func index(is bool) int {
	if is {
		return 1
	}
	return 0
}

// TopicMade counts a request to make or change topics, one of them named.
func (s *Stats) TopicMade(name string, success bool, took time.Duration) {
	s.created.topics[index(success)][index(s.o.IsSystem(name))].Observe(took.Milliseconds())
}

// GroupMade counts a request to make or change groups.
func (s *Stats) GroupMade(success bool, took time.Duration) {
	s.created.groups[index(success)].Observe(took.Milliseconds())
}

// TopicsMade returns how long requests to make topics took, ms.
func (s *Stats) TopicsMade(success, system bool) Histogram {
	return s.created.topics[index(success)][index(system)].Snapshot()
}

// GroupsMade returns how long requests to make groups took, ms.
func (s *Stats) GroupsMade(success bool) Histogram {
	return s.created.groups[index(success)].Snapshot()
}

// revived counts by ReviveIn, ReviveOut or ReviveRetry. Each of them is a write or a read of the log: a lock is little.
type revived struct {
	mu sync.Mutex
	n  map[any]int64
}

// Revive counts messages by what, a ReviveIn, ReviveOut or ReviveRetry.
func (s *Stats) Revive(groupName, topicName string, what any) {
	g := s.group(groupName, topicName)
	r := g.revived.Load()
	if r == nil {
		g.revived.CompareAndSwap(nil, &revived{n: map[any]int64{}})
		r = g.revived.Load()
	}
	r.mu.Lock()
	r.n[what]++
	r.mu.Unlock()
}
