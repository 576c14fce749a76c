// Package filter holds the filters of consumer groups that subscribe by an expression other than tags: SQL92. They
// come with heartbeats, are kept in consumerFilter.json, and are forgotten some time after the group's last
// consumer has left. Java: ConsumerFilterManager and BloomFilter; the expressions themselves are package sql92.
//
// The one goroutine is that of the file's writer. The table's mutex is a leaf, but for that of the writer.
package filter

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/writebehind"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// writeDelay is how long a change may stay in memory only. Java writes the file every 10 s.
const writeDelay = 10 * time.Second

// Options of a Table, as in Java's BrokerConfig.
type Options struct {
	Path   string // consumerFilter.json
	Logger zerolog.Logger
	// CleanTimeSpan is filterDataCleanTimeSpan: how long the filter of a group without consumers is kept.
	CleanTimeSpan time.Duration
	// MaxErrorRate (percent) and ExpectedConsumers size the bloom filter: maxErrorRateOfBloomFilter and
	// expectConsumerNumUseFilter.
	MaxErrorRate, ExpectedConsumers int32
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Table holds the filters by topic and group. All methods are safe for concurrent use.
type Table struct {
	o      Options
	bloom  *Bloom
	writer *writebehind.Writer
	cache  cache
	used   atomic.Int64 // how many filters there are

	mu      sync.RWMutex
	byTopic map[string]map[string]*Data // topic, group
	byGroup map[string]map[string]*Data // group, topic
}

// Open reads the file, if there is one, and starts its writer; Close ends it. All groups that it names count as
// dead until their heartbeats come.
func Open(o Options) (*Table, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	bloom, err := NewBloom(o.MaxErrorRate, o.ExpectedConsumers)
	if err != nil {
		return nil, err
	}
	t := &Table{o: o, bloom: bloom, byTopic: map[string]map[string]*Data{}, byGroup: map[string]map[string]*Data{}}
	if err := t.load(); err != nil {
		return nil, err
	}
	t.writer = writebehind.Open(writebehind.Options{Delay: writeDelay, Write: t.write, Failed: func(err error) {
		o.Logger.Error().Err(err).Msg("consumer filters not stored")
	}})
	return t, nil
}

// Close stores what is not stored yet. Calling it again is harmless.
func (t *Table) Close() error { return t.writer.Close() }

// Bloom returns the filter that assigns bits to groups.
func (t *Table) Bloom() *Bloom { return t.bloom }

func (t *Table) now() int64 { return t.o.Now().UnixMilli() }

// Check reports why an expression does not compile; nil: it does. A compilation's outcome is kept for a while.
func (t *Table) Check(expression, expressionType string) error {
	_, err := t.compile(expression, expressionType)
	return err
}

func (t *Table) compile(expression, expressionType string) (*compiled, error) {
	if expressionType != SQL92 {
		return nil, fmt.Errorf("there is no filter for expressions of type %s", expressionType)
	}
	c := t.cache.compile(expression)
	return c, c.err
}

// Build returns the filter of an expression that is not kept in the table. Java: ConsumerFilterManager.build.
func (t *Table) Build(topic, group, expression, expressionType string, clientVersion int64) (*Data, error) {
	c, err := t.compile(expression, expressionType)
	if err != nil {
		return nil, err
	}
	return &Data{Group: group, Topic: topic, Expression: expression, Type: expressionType, BornTime: t.now(),
		ClientVersion: clientVersion, compiled: c, logger: &t.o.Logger}, nil
}

// Get returns the filter of a group on a topic, nil when there is none.
func (t *Table) Get(topic, group string) *Data {
	if t.used.Load() == 0 {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byTopic[topic][group]
}

// Register takes over what a heartbeat says of a group: all that one of its consumers subscribes to. Filters on
// other topics die. Java: ConsumerFilterManager.register.
func (t *Table) Register(group string, subs []body.SubscriptionData) {
	for i := range subs {
		if s := &subs[i]; !IsTag(s.ExpressionType) && s.SubString != "" {
			t.register(group, s)
		}
	}
	if t.used.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for topic, d := range t.byGroup[group] {
		if !d.Dead() && !subscribes(subs, topic) {
			t.kill(d)
		}
	}
}

func subscribes(subs []body.SubscriptionData, topic string) bool {
	for i := range subs {
		if subs[i].Topic == topic {
			return true
		}
	}
	return false
}

func (t *Table) register(group string, s *body.SubscriptionData) {
	version := int64(s.SubVersion)
	if old := t.Get(s.Topic, group); old != nil && version == old.ClientVersion && !old.Dead() {
		return // what nearly every heartbeat comes to
	}
	fresh, err := t.Build(strings.Clone(s.Topic), strings.Clone(group), strings.Clone(s.SubString), strings.Clone(s.ExpressionType), version)
	if err == nil {
		fresh.Bloom = t.bloom.Positions(group, s.Topic)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byTopic[s.Topic][group]
	switch {
	case old != nil && version < old.ClientVersion:
	case old != nil && version == old.ClientVersion:
		if old.Dead() {
			t.put(old.alive(version))
		}
	case old != nil && old.Expression == s.SubString && old.Type == s.ExpressionType:
		t.put(old.alive(version))
	case err != nil:
		t.o.Logger.Error().Err(err).Str("group", group).Str("topic", s.Topic).Str("expression", s.SubString).Msg("cannot compile a consumer's filter")
		if old != nil {
			t.remove(old) // the client is to hear of it
		}
	default:
		t.o.Logger.Info().Str("group", group).Str("topic", s.Topic).Str("expression", s.SubString).Msg("consumer filter registered")
		t.put(fresh)
	}
}

// alive returns a copy of d that is not dead.
func (d *Data) alive(version int64) *Data {
	c := *d
	c.DeadTime, c.ClientVersion = 0, version
	return &c
}

// Unregister notes that a group has no consumers any more. Java: ConsumerFilterManager.unRegister.
func (t *Table) Unregister(group string) {
	if t.used.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.byGroup[group] {
		if !d.Dead() {
			t.kill(d)
		}
	}
}

// kill replaces d by a dead copy; the caller holds t.mu.
func (t *Table) kill(d *Data) {
	c := *d
	c.DeadTime = max(t.now(), d.BornTime)
	t.put(&c)
	t.o.Logger.Info().Str("group", d.Group).Str("topic", d.Topic).Msg("consumer filter has no consumer")
}

// put stores d; the caller holds t.mu.
func (t *Table) put(d *Data) {
	groups, topics := t.byTopic[d.Topic], t.byGroup[d.Group]
	if groups == nil {
		groups = map[string]*Data{}
		t.byTopic[d.Topic] = groups
	}
	if topics == nil {
		topics = map[string]*Data{}
		t.byGroup[d.Group] = topics
	}
	if groups[d.Group] == nil {
		t.used.Add(1)
	}
	groups[d.Group], topics[d.Topic] = d, d
	t.changed()
}

// remove forgets d; the caller holds t.mu.
func (t *Table) remove(d *Data) {
	delete(t.byTopic[d.Topic], d.Group)
	if len(t.byTopic[d.Topic]) == 0 {
		delete(t.byTopic, d.Topic)
	}
	delete(t.byGroup[d.Group], d.Topic)
	if len(t.byGroup[d.Group]) == 0 {
		delete(t.byGroup, d.Group)
	}
	t.used.Add(-1)
	t.changed()
}

func (t *Table) changed() {
	if t.writer != nil { // nil while the file is being read
		t.writer.Mark()
	}
}

// Clean forgets the filters that have been dead for CleanTimeSpan. Java: ConsumerFilterManager.clean.
func (t *Table) Clean() {
	if t.used.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, groups := range t.byTopic {
		for _, d := range groups {
			if d.Dead() && now-d.DeadTime >= t.o.CleanTimeSpan.Milliseconds() {
				t.o.Logger.Info().Str("group", d.Group).Str("topic", d.Topic).Msg("consumer filter forgotten, it had no consumer for long")
				t.remove(d)
			}
		}
	}
}

// AppendBitMap appends the bit map of a message to dst: the bits of all groups whose filter on the topic lets it
// pass, dead ones included. ok is false, and nothing appended, when no group has a filter on the topic.
// Java: CommitLogDispatcherCalcBitMap.dispatch.
func (t *Table) AppendBitMap(dst []byte, topic, properties string) (_ []byte, ok bool) {
	if t.used.Load() == 0 {
		return dst, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	groups := t.byTopic[topic]
	if len(groups) == 0 {
		return dst, false
	}
	at := len(dst)
	dst = append(dst, make([]byte, t.bloom.bits/8)...)
	for _, d := range groups {
		if d.Match(properties) {
			d.Bloom.set(dst[at:])
		}
	}
	return dst, true
}
