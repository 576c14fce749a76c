// Package pop answers the codes of POP consumers: POP_MESSAGE, ACK_MESSAGE, BATCH_ACK_MESSAGE,
// CHANGE_MESSAGE_INVISIBLETIME, PEEK_MESSAGE, NOTIFICATION and POLLING_INFO.
//
// A group that pops shares every queue among all its consumers: a pop takes the next messages of a queue and
// hides them for the invisible time. Who has them is not remembered; that they were taken is written down
// first, as a checkpoint in the revive log (package revivelog), then the group's offset moves on, then the
// consumer is answered. Acknowledgements go to the same log. When the invisible time is over the reviver
// reads both and stores what was not acknowledged again, in the group's retry topic, from which pops take
// messages as well. With enablePopBufferMerge a checkpoint is first kept in memory, where it and its
// acknowledgements often cancel out before anything has to be written.
//
// A message is delivered until it is acknowledged, also across kill -9: the group's offset passes it only when its
// checkpoint is stored. An acknowledgement is stored when it is answered, and nothing acknowledged comes again
// because of a clean stop. After kill -9 what was popped since the offsets were last written
// (flushConsumerOffsetInterval) is popped again, acknowledged or not, and once more when the invisible time of the
// first pop is over, if that one was not acknowledged; with enablePopBufferMerge also what the buffer held. With
// ASYNC_FLUSH a power cut may take checkpoints of the last flushIntervalCommitLog, and with them deliveries, as
// with Java.
//
// Messages popped in order have no checkpoint: the queue is blocked until all are acknowledged or their
// invisible time is over (package inorder), and the group's offset moves only with acknowledgements.
//
// Goroutines: the reviver; those of package hold for POP_MESSAGE and NOTIFICATION; that of inorder's file;
// with enablePopBufferMerge one that writes what stays in memory too long. All sleep while no group pops.
//
// A queue's lock (queue.sem) is held from the look at the offset until the checkpoint is stored, across
// goroutines; it is tried, not waited for, but by acknowledgements in order. All mutexes are leaves.
package pop

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/pop/hold"
	"github.com/skylarkmq/skylark/broker/pop/inorder"
	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

const faq = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

// Offsets is what POP needs of the consumer offset table.
type Offsets interface {
	Commit(client, group, topic string, queueID int32, offset int64)
	Query(group, topic string, queueID int32) (int64, bool)
	HasReset(group, topic string, queueID int32) bool
	// TakeReset returns and forgets an offset that an operator has set for the queue.
	TakeReset(group, topic string, queueID int32) (int64, bool)
}

// Topics is what POP needs of the topic table.
type Topics interface {
	Get(topic string) *body.TopicConfig
	// CreateInSendBack makes a retry or dead letter topic, or returns the one there is.
	CreateInSendBack(topic string, queueNums, perm, sysFlag int32) *body.TopicConfig
}

// Config are the keys of Java's BrokerConfig that matter for POP, under Java's names. Times are in ms.
type Config struct {
	ReviveInterval                     int64 `prop:"reviveInterval"`
	PopPollingSize                     int32 `prop:"popPollingSize"`
	MaxPopPollingSize                  int64 `prop:"maxPopPollingSize"`
	PopLongPollingForceNotifyInterval  int64 `prop:"popLongPollingForceNotifyInterval"`
	PopFromRetryProbability            int32 `prop:"popFromRetryProbability"`            // %
	PopFromRetryProbabilityForPriority int32 `prop:"popFromRetryProbabilityForPriority"` // %
	PriorityOrderAsc                   bool  `prop:"priorityOrderAsc"`                   // queue 0 has the lowest priority
	PopResponseReturnActualRetryTopic  bool  `prop:"popResponseReturnActualRetryTopic"`
	EnableRetryTopicV2                 bool  `prop:"enableRetryTopicV2"`
	RetrieveMessageFromPopRetryTopicV1 bool  `prop:"retrieveMessageFromPopRetryTopicV1"`
	InitPopOffsetByCheckMsgInMem       bool  `prop:"initPopOffsetByCheckMsgInMem"`
	EnablePopMessageThreshold          bool  `prop:"enablePopMessageThreshold"`
	PopInflightMessageThreshold        int64 `prop:"popInflightMessageThreshold"`
	EnablePopBufferMerge               bool  `prop:"enablePopBufferMerge"`
	EnablePopBatchAck                  bool  `prop:"enablePopBatchAck"`
	PopCkStayBufferTime                int32 `prop:"popCkStayBufferTime"`
	PopCkStayBufferTimeOut             int32 `prop:"popCkStayBufferTimeOut"`
	PopCkMaxBufferSize                 int32 `prop:"popCkMaxBufferSize"`
	PopCkOffsetMaxQueueSize            int32 `prop:"popCkOffsetMaxQueueSize"`
	EnableNotifyAfterPopOrderLockFree  bool  `prop:"enableNotifyAfterPopOrderLockRelease"`
	SkipWhenCKRePutReachMaxTimes       bool  `prop:"skipWhenCKRePutReachMaxTimes"`
	UseMessageFilterForNotification    bool  `prop:"useMessageFilterForNotification"`
	MaxMessageFilterNumForNotification int32 `prop:"maxMessageFilterNumForNotification"`
}

// DefaultConfig returns Java's defaults (BrokerConfig, 5.5.0).
func DefaultConfig() Config {
	return Config{ReviveInterval: 1000, PopPollingSize: 1024, MaxPopPollingSize: 100000, PopLongPollingForceNotifyInterval: 800,
		PopFromRetryProbability: 20, PriorityOrderAsc: true, RetrieveMessageFromPopRetryTopicV1: true, InitPopOffsetByCheckMsgInMem: true, PopInflightMessageThreshold: 10000,
		PopCkStayBufferTime: 10000, PopCkStayBufferTimeOut: 3000, PopCkMaxBufferSize: 200000, PopCkOffsetMaxQueueSize: 20000,
		EnableNotifyAfterPopOrderLockFree: true, UseMessageFilterForNotification: true, MaxMessageFilterNumForNotification: 64}
}

// Options of a Popper.
type Options struct {
	// Config does not change, but for what Settings says.
	Config
	// Settings are those at first, Set changes them.
	Settings       Settings
	ReviveQueueNum int32
	Logger         zerolog.Logger
	ClusterName    string
	BrokerName     string
	BrokerIP       string
	StoreHost      netip.AddrPort
	// TimerWheel is timerWheelEnable, without which Java refuses to pop.
	TimerWheel bool
	// OrderPath is config/consumerOrderInfo.json, written within PersistEvery.
	OrderPath    string
	PersistEvery time.Duration

	Store   *store.Store
	Topics  Topics
	Group   func(group string) *body.SubscriptionGroupConfig
	Offsets Offsets
	// ParseFilter returns what a group's subscription to a topic lets pass. Its error is the client's to see.
	ParseFilter func(topic, group, expressionType, expression string) (Filter, error)
	// Put stores one message of the broker's own making and calls done once, unless it returns an error.
	Put func(m *message.Message, properties string, rec store.Rec, done func(err error, recs []store.Rec)) error
	// PutDelayed does so with one that waits for the time in its TIMER_DELIVER_MS, if that is ahead.
	PutDelayed func(m *message.Message, p message.Properties, done func(err error, recs []store.Rec)) error
	// DeliveredUpTo returns the time in ms up to which everything that waited in the timer topic has been delivered.
	DeliveredUpTo func() int64
	// Stats counts what is given to groups and what goes to and comes from the revive topic.
	Stats *stats.Stats
}

// Settings are what may change while a Popper runs.
type Settings struct {
	Readable bool // brokerPermission
	// MaxInvisible bounds the invisible time: the timer's timerMaxDelaySec.
	MaxInvisible time.Duration

	// These are of Config.
	PopFromRetryProbability            int32 // %
	PopResponseReturnActualRetryTopic  bool
	EnablePopMessageThreshold          bool
	PopInflightMessageThreshold        int64
	EnablePopBatchAck                  bool
	SkipWhenCKRePutReachMaxTimes       bool
	UseMessageFilterForNotification    bool
	MaxMessageFilterNumForNotification int32
}

// Settings returns those that are of Config.
func (c *Config) Settings() Settings {
	return Settings{PopFromRetryProbability: c.PopFromRetryProbability, PopResponseReturnActualRetryTopic: c.PopResponseReturnActualRetryTopic,
		EnablePopMessageThreshold: c.EnablePopMessageThreshold, PopInflightMessageThreshold: c.PopInflightMessageThreshold,
		EnablePopBatchAck: c.EnablePopBatchAck, SkipWhenCKRePutReachMaxTimes: c.SkipWhenCKRePutReachMaxTimes,
		UseMessageFilterForNotification: c.UseMessageFilterForNotification, MaxMessageFilterNumForNotification: c.MaxMessageFilterNumForNotification}
}

// Popper handles the POP codes.
type Popper struct {
	o         Options
	live      atomic.Pointer[Settings]
	started   int64 // ms; acknowledgements of older pops do not count for the messages in flight
	storeHost message.Host
	log       revivelog.Writer
	hold      *hold.Hold
	notify    *hold.Hold // NOTIFICATION
	order     *inorder.Table
	buffer    *buffer // nil: enablePopBufferMerge is off
	reviver   *reviver
	queues    queues
	pops      atomic.Uint32  // chooses the revive queue
	open      sync.WaitGroup // checkpoints and acknowledgements on their way to the store
	closed    atomic.Bool
}

// Open reads the order of consumers. Release and Close end what it starts.
func Open(o Options) (*Popper, error) {
	p := &Popper{o: o, started: time.Now().UnixMilli(), storeHost: message.HostOf(o.StoreHost)}
	p.Set(o.Settings)
	p.queues.m = map[queueKey]*queue{}
	p.log = revivelog.Writer{Topic: revivelog.Topic(o.ClusterName), StoreHost: p.storeHost, Put: o.PutDelayed, Written: p.written}
	ho := hold.Options{MaxTotal: int(o.MaxPopPollingSize), MaxPerKey: int(o.PopPollingSize), Queue: o.Store.Queue, ForceEvery: o.PopLongPollingForceNotifyInterval}
	io := inorder.Options{Path: o.OrderPath, Logger: o.Logger, PersistEvery: o.PersistEvery, Alive: p.alive}
	if o.EnableNotifyAfterPopOrderLockFree {
		io.Free = p.queueFree
	}
	p.hold = hold.Open(ho)
	ho.Last = true
	p.notify = hold.Open(ho)
	if o.EnablePopBufferMerge {
		p.buffer = openBuffer(p)
	}
	var err error
	if p.order, err = inorder.Open(io); err != nil {
		p.hold.Close()
		p.notify.Close()
		if p.buffer != nil {
			p.buffer.close()
		}
		return nil, err
	}
	return p, nil
}

// Set changes the settings for what comes from now on.
func (p *Popper) Set(to Settings) { p.live.Store(&to) }

// Start begins to revive. From then on the store tells of messages by Arrived.
func (p *Popper) Start() { p.reviver = openReviver(p) }

func (p *Popper) alive(topic, group string, queueID int32) bool {
	t := p.o.Topics.Get(topic)
	return t != nil && queueID < t.ReadQueueNums && p.o.Group(group) != nil
}

// Release answers all requests that are held.
func (p *Popper) Release() {
	p.hold.Close()
	p.notify.Close()
}

// Close stops reviving and writes everything down. No request may come any more.
func (p *Popper) Close() error {
	p.closed.Store(true)
	if p.reviver != nil {
		p.reviver.close()
	}
	p.open.Wait()
	if p.buffer != nil {
		p.buffer.close()
	}
	return p.order.Close()
}

// Routes returns the rows of the mux, on the port that Java serves them on.
func (p *Popper) Routes(pull, ack *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.PopMessage, Lane: pull, Handle: mux.Handle(p.pop), NoFastPort: true},
		{Code: protocol.PeekMessage, Lane: pull, Handle: mux.Handle(p.peek), NoFastPort: true},
		{Code: protocol.Notification, Lane: pull, Handle: mux.Handle(p.notification), NoFastPort: true},
		{Code: protocol.PollingInfo, Lane: pull, Handle: mux.Handle(p.pollingInfo), NoFastPort: true},
		{Code: protocol.AckMessage, Lane: ack, Handle: mux.Handle(p.ack)},
		{Code: protocol.BatchAckMessage, Lane: ack, Handle: mux.HandleBare(p.batchAck)},
		{Code: protocol.ChangeMessageInvisibleTime, Lane: ack, Handle: mux.Handle(p.changeInvisibleTime)},
	}
}

// Arrived tells of a message on a queue. It runs on a goroutine of the store.
func (p *Popper) Arrived(q *consumequeue.Queue, queueOffset, tagsCode int64, record []byte) {
	if q.Topic == p.log.Topic {
		p.reviver.nudge()
		return
	}
	p.hold.Arrived(q, queueOffset, tagsCode, record)
	p.notify.Arrived(q, queueOffset, tagsCode, record)
}

const permRead int32 = 4

// target is what POP_MESSAGE, PEEK_MESSAGE, NOTIFICATION and POLLING_INFO are about.
type target struct {
	topic, group string
	queueID      int32
	verb         string // what is forbidden, in Java's words
	checkMax     func() error
}

// check is Java's list of conditions, in its order (PopMessageProcessor.processRequest).
func (p *Popper) check(r *mux.Request, t target) (*body.TopicConfig, error) {
	if !p.live.Load().Readable {
		return nil, protocol.Errorf(protocol.NoPermission, "the broker[%s] %s is forbidden", p.o.BrokerIP, t.verb)
	}
	if t.checkMax != nil {
		if err := t.checkMax(); err != nil {
			return nil, err
		}
	}
	topic := p.o.Topics.Get(t.topic)
	if topic == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist, apply first please! %s", t.topic, faq)
	}
	if topic.Perm&permRead == 0 {
		return nil, protocol.Errorf(protocol.NoPermission, "the topic[%s] peeking message is forbidden", t.topic)
	}
	if t.queueID >= topic.ReadQueueNums {
		return nil, protocol.Errorf(protocol.InvalidParameter, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]",
			t.queueID, t.topic, topic.ReadQueueNums, r.Conn.Remote())
	}
	g := p.o.Group(t.group)
	if g == nil {
		return nil, protocol.Errorf(protocol.SubscriptionGroupNotExist, "subscription group [%s] does not exist, %s", t.group, faq)
	}
	if !g.ConsumeEnable {
		return nil, protocol.Errorf(protocol.NoPermission, "subscription group no permission, %s", t.group)
	}
	return topic, nil
}
