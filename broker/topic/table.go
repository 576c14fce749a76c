// Package topic holds the broker's topic configurations: config/topics.json, the topics that are there
// from the start, the rules by which topics are made on a send, and those for changing one.
//
// A *body.TopicConfig that the table has given out never changes; an update puts a new one in its place.
// Get takes no lock and allocates nothing. Administrative changes are on disk when they return, topics
// made on the way within a second and at Close. The package owns one goroutine, the file's writer.
package topic

import (
	"maps"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/conftable"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Options are what a Table needs. The names are those of Java's properties (BrokerConfig,
// MessageStoreConfig).
type Options struct {
	Path                  string // .../config/topics.json
	Logger                zerolog.Logger
	BrokerName            string
	ClusterName           string // brokerClusterName
	DefaultTopicQueueNums int32
	AutoCreateTopicEnable bool
	ClusterTopicEnable    bool
	BrokerTopicEnable     bool
	TraceTopicEnable      bool
	MsgTraceTopicName     string // empty: RMQ_SYS_TRACE_TOPIC
	TimerWheelEnable      bool
	ReviveQueueNum        int32
	// EnableLmq makes every name that begins with %LMQ% a topic of one queue. None of them is kept.
	EnableLmq bool
	// StateVersion is the state machine's version for the data version; nil means 0.
	StateVersion func() int64
	// OnChange is told of topics that were made, changed or deleted, on the goroutine that did it, when
	// the table shows it. It must not block for long: a send may wait for it. It may be nil.
	OnChange func(topics ...string)
}

// Table holds the topic configurations. All methods are safe for concurrent use, and none keeps a string
// it is called with.
type Table struct {
	o          Options
	t          *conftable.Table[body.TopicConfig]
	system     map[string]struct{} // never changed after Open
	autoCreate atomic.Bool
}

// Open loads the table and starts its writer; Close ends it.
func Open(o Options) (*Table, error) {
	if o.MsgTraceTopicName == "" {
		o.MsgTraceTopicName = Trace
	}
	t := &Table{o: o, system: map[string]struct{}{}}
	t.autoCreate.Store(o.AutoCreateTopicEnable)
	first := defaults(&o)
	for _, name := range staticSystem() {
		t.system[name] = struct{}{}
	}
	for name := range first {
		t.system[name] = struct{}{}
	}
	var err error
	t.t, err = conftable.Open(conftable.Options[body.TopicConfig]{Path: o.Path, Logger: o.Logger, StateVersion: o.StateVersion,
		Defaults: first, Decode: decode, Encode: encode})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Close stores what is not stored yet. Calling it again is harmless.
func (t *Table) Close() error { return t.t.Close() }

// Sync waits until every change so far is on disk.
func (t *Table) Sync() error { return t.t.Sync() }

// Get returns a topic's configuration, nil when there is no such topic. It must not be changed.
func (t *Table) Get(topic string) *body.TopicConfig {
	if t.light(topic) {
		return newConfig(strings.Clone(topic), 1, PermRead|PermWrite)
	}
	return t.t.Get(topic)
}

// light reports whether a topic is a light queue. Java: LmqTopicConfigManager.
func (t *Table) light(topic string) bool { return t.o.EnableLmq && message.IsLMQ(topic) }

// IsOrder reports whether a topic is an ordered one.
func (t *Table) IsOrder(topic string) bool {
	c := t.t.Get(topic)
	return c != nil && c.Order
}

// Len returns the number of topics.
func (t *Table) Len() int { return t.t.Len() }

// All returns every configuration in the order of their names. Neither the slice nor what is in it may
// be changed.
func (t *Table) All() []*body.TopicConfig { return t.t.All() }

// Page returns at most n configurations from index seq on, in the order of their names.
func (t *Table) Page(seq, n int) []*body.TopicConfig { return t.t.Page(seq, n) }

// DataVersion returns the version that changes with every change of the table.
func (t *Table) DataVersion() body.DataVersion { return t.t.DataVersion() }

// SetAutoCreate changes autoCreateTopicEnable at run time. The template of topics that are made, TBW102, is made
// when it is not there (Java makes it at the next start only).
func (t *Table) SetAutoCreate(enable bool) {
	t.autoCreate.Store(enable)
	if enable {
		t.ensure(AutoCreate, t.o.DefaultTopicQueueNums, PermInherit|PermRead|PermWrite)
	}
}

// EnsureTrace makes the topic that clients send traces to, when it is not there: traceTopicEnable at run time.
func (t *Table) EnsureTrace() { t.ensure(t.o.MsgTraceTopicName, 1, PermRead|PermWrite) }

// ensure makes a topic of the broker's own.
func (t *Table) ensure(name string, queues, perm int32) {
	if _, created := t.t.Create(name, func(name string) *body.TopicConfig { return newConfig(name, queues, perm) }); created {
		t.tell(name)
	}
}

// CreateInSend returns the topic, or makes it after the template defaultTopic, normally TBW102: with at
// most queueNums queues, and the template's perm without INHERIT. It returns nil when that is not
// allowed. remote is for the log. Java: TopicConfigManager.createTopicInSendMessageMethod.
func (t *Table) CreateInSend(topic, defaultTopic, remote string, queueNums, sysFlag int32) *body.TopicConfig {
	if c := t.Get(topic); c != nil {
		return c
	}
	template := t.t.Get(defaultTopic)
	if template == nil {
		t.o.Logger.Warn().Str("topic", topic).Str("defaultTopic", defaultTopic).Str("producer", remote).Msg("topic not made: the default topic does not exist")
		return nil
	}
	if template.Perm&PermInherit == 0 || defaultTopic == AutoCreate && !t.autoCreate.Load() {
		t.o.Logger.Warn().Str("topic", topic).Str("defaultTopic", defaultTopic).Int32("perm", template.Perm).Str("producer", remote).Msg("topic not made: the default topic is not inherited from")
		return nil
	}
	return t.create(topic, func(name string) *body.TopicConfig {
		c := newConfig(name, max(min(queueNums, template.WriteQueueNums), 0), template.Perm&^PermInherit)
		c.TopicSysFlag, c.TopicFilterType = sysFlag, template.TopicFilterType
		return c
	})
}

// CreateInSendBack returns the topic, or makes it as asked; retry and dead letter topics are made so.
// Java: TopicConfigManager.createTopicInSendMessageBackMethod.
func (t *Table) CreateInSendBack(topic string, queueNums, perm, sysFlag int32) *body.TopicConfig {
	return t.create(topic, func(name string) *body.TopicConfig {
		c := newConfig(name, queueNums, perm)
		c.TopicSysFlag = sysFlag
		return c
	})
}

// CreateRetry is CreateInSendBack for the retry topic of a group that sends a heartbeat: a topic that is
// there takes over order.
func (t *Table) CreateRetry(topic string, queueNums, perm int32, order bool, sysFlag int32) *body.TopicConfig {
	c := t.create(topic, func(name string) *body.TopicConfig {
		c := newConfig(name, queueNums, perm)
		c.TopicSysFlag, c.Order = sysFlag, order
		return c
	})
	if c.Order == order {
		return c
	}
	if t.setOrder(c.TopicName, order) {
		t.tell(c.TopicName)
	}
	if now := t.t.Get(c.TopicName); now != nil {
		return now
	}
	return c // deleted meanwhile
}

func (t *Table) create(topic string, makeNew func(name string) *body.TopicConfig) *body.TopicConfig {
	if t.light(topic) {
		return t.Get(topic)
	}
	c, created := t.t.Create(topic, makeNew)
	if created {
		t.o.Logger.Info().Str("topic", c.TopicName).Int32("queues", c.WriteQueueNums).Int32("perm", c.Perm).Msg("topic made")
		t.tell(c.TopicName)
	}
	return c
}

func (t *Table) setOrder(topic string, order bool) bool {
	changed, _ := t.t.Update(topic, func(current *body.TopicConfig) (*body.TopicConfig, error) {
		if current == nil || current.Order == order {
			return nil, nil
		}
		c := *current
		c.Order = order
		return &c, nil
	})
	return changed
}

func (t *Table) tell(topics ...string) {
	if t.o.OnChange != nil && len(topics) > 0 {
		t.o.OnChange(topics...)
	}
}

func equal(a, b *body.TopicConfig) bool {
	return a.TopicName == b.TopicName && a.ReadQueueNums == b.ReadQueueNums && a.WriteQueueNums == b.WriteQueueNums && a.Perm == b.Perm &&
		a.TopicFilterType == b.TopicFilterType && a.TopicSysFlag == b.TopicSysFlag && a.Order == b.Order && maps.Equal(a.Attributes, b.Attributes)
}
