package session

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Client is who sent a heartbeat.
type Client struct {
	Conn     mux.Conn
	ID       string
	Language protocol.Language
	Version  int32
}

func (t *Table) channel(c *Client) *Channel {
	ch := &Channel{Conn: c.Conn, ClientID: strings.Clone(c.ID), Language: c.Language, Version: c.Version}
	ch.seen.Store(t.o.Now().UnixNano())
	return ch
}

// Subscription is what a group wants of a topic. It never changes.
type Subscription struct {
	Data *body.SubscriptionData
	// All says that every message passes; otherwise Codes are the hashes of the tags that do. Both are
	// for tag expressions only.
	All   bool
	Codes []int32
	// Filter is what Options.Compile made of Data.
	Filter any
}

// Match reports whether a ConsumeQueue unit with tagsCode passes. Collisions of hashes are the
// consumer's to sort out. Java: ExpressionMessageFilter.isMatchedByConsumeQueue.
func (s *Subscription) Match(tagsCode int64) bool {
	return s.All || slices.Contains(s.Codes, int32(tagsCode))
}

// compile returns the subscription of data, of which nothing is kept.
func (t *Table) compile(data *body.SubscriptionData) *Subscription {
	d := *data
	d.Topic, d.SubString, d.ExpressionType = strings.Clone(d.Topic), strings.Clone(d.SubString), strings.Clone(d.ExpressionType)
	d.CodeSet = slices.Clone(d.CodeSet)
	d.TagsSet = slices.Clone(d.TagsSet)
	for i, tag := range d.TagsSet {
		d.TagsSet[i] = strings.Clone(tag)
	}
	s := &Subscription{Data: &d, All: d.SubString == "" || d.SubString == body.SubAll}
	if s.Codes = d.CodeSet; !s.All && len(s.Codes) == 0 {
		// client-cpp sends neither tags nor codes.
		for tag := range strings.SplitSeq(d.SubString, "||") {
			if tag = strings.TrimSpace(tag); tag != "" {
				s.Codes = append(s.Codes, message.HashCode(tag))
			}
		}
	}
	if t.o.Compile != nil {
		s.Filter = t.o.Compile(&d)
	}
	return s
}

// Group is a consumer group as of a moment. It never changes.
type Group struct {
	Name             string
	Channels         []*Channel
	ConsumeType      body.ConsumeType
	MessageModel     body.MessageModel
	ConsumeFromWhere body.ConsumeFromWhere
	Subscriptions    map[string]*Subscription // by topic
}

func (g *Group) broadcasting() bool { return g.MessageModel == body.Broadcasting }

type consumerGroup struct {
	view     atomic.Pointer[Group]
	notified bool // waits in the notifier; guarded by its mutex

	mu          sync.Mutex
	byConn      map[uint64]*Channel
	dead        bool // out of the table: whoever holds it has to look the group up again
	fingerprint int32
	hasPrint    bool
}

// Heartbeat is what beside the consumer data matters for RegisterConsumer.
type Heartbeat struct {
	Fingerprint int32 // 0: a client without heartbeat V2
	WithoutSub  bool  // the subscriptions are left out because the fingerprint is thought known
	Notify      bool  // notifyConsumerIdsChangedEnable of the group
}

// RegisterConsumer notes a client of a consumer group and what it subscribes to: newer versions of a
// subscription replace older ones, topics that are gone are removed. changed reports a new client or
// another set of topics, of which the group is told. resend is the answer to a heartbeat V2: the client
// has to send its subscriptions again. Java: ConsumerManager.registerConsumer and
// ClientManageProcessor.heartBeatV2.
//
// Unlike Java's, resend is also true when a client leaves its subscriptions out and the broker, perhaps
// started anew, has none of the group.
func (t *Table) RegisterConsumer(c Client, d *body.ConsumerData, hb Heartbeat) (changed, resend bool) {
	for {
		g, _ := t.consumers.LoadOrCreate(d.GroupName, func(name string) *consumerGroup {
			g := &consumerGroup{byConn: map[uint64]*Channel{}}
			g.view.Store(&Group{Name: name})
			return g
		})
		g.mu.Lock()
		if g.dead {
			g.mu.Unlock()
			continue
		}
		joined := g.byConn[c.Conn.ID()] == nil
		changed = t.update(g, &c, d, hb.WithoutSub)
		if t.o.Subscribed != nil && !hb.WithoutSub {
			t.o.Subscribed(d.GroupName, d.SubscriptionDataSet)
		}
		resend = g.hasPrint && g.fingerprint != hb.Fingerprint || !g.hasPrint && hb.WithoutSub
		g.fingerprint, g.hasPrint = hb.Fingerprint, true
		name := g.view.Load().Name
		g.mu.Unlock()
		if joined && !t.join(c.Conn, func(s *connState) { s.consumers[name] = struct{}{} }) {
			t.leaveConsumer(name, c.Conn.ID(), true)
			return changed, resend
		}
		if changed && hb.Notify {
			t.changed(g)
		}
		return changed, resend
	}
}

// update brings a group up to date; the caller holds g.mu.
func (t *Table) update(g *consumerGroup, c *Client, d *body.ConsumerData, withoutSub bool) (changed bool) {
	old := g.view.Load()
	v := *old
	replace := v.ConsumeType != d.ConsumeType || v.MessageModel != d.MessageModel || v.ConsumeFromWhere != d.ConsumeFromWhere
	v.ConsumeType, v.MessageModel, v.ConsumeFromWhere = d.ConsumeType, d.MessageModel, d.ConsumeFromWhere
	ch := g.byConn[c.Conn.ID()]
	switch {
	case ch == nil:
		ch = t.channel(c)
		changed, replace = true, true
		v.Channels = append(slices.Clip(v.Channels), ch)
		t.o.Logger.Info().Str("group", v.Name).Str("clientId", ch.ClientID).Stringer("remote", c.Conn.Remote()).Msg("consumer connected")
	case ch.ClientID != c.ID:
		t.o.Logger.Error().Str("group", v.Name).Str("clientId", c.ID).Str("before", ch.ClientID).Stringer("remote", c.Conn.Remote()).Msg("a connection changed its client id")
		was := ch
		ch = t.channel(c)
		v.Channels = slices.Clone(v.Channels)
		v.Channels[slices.Index(v.Channels, was)] = ch
		replace = true
	default:
		ch.seen.Store(t.o.Now().UnixNano())
	}
	g.byConn[c.Conn.ID()] = ch
	if !withoutSub {
		subs, topics, newer := t.subscriptions(v.Subscriptions, d.SubscriptionDataSet)
		if topics || newer {
			v.Subscriptions, replace = subs, true
		}
		if topics {
			t.o.Logger.Info().Str("group", v.Name).Str("clientId", ch.ClientID).Int("topics", len(subs)).Msg("subscription changed")
		}
		changed = changed || topics
	}
	if replace {
		g.view.Store(&v)
	}
	return changed
}

// subscriptions returns what becomes of a group's subscriptions: topics reports another set of topics,
// newer that one was replaced by a newer version.
func (t *Table) subscriptions(old map[string]*Subscription, list []body.SubscriptionData) (subs map[string]*Subscription, topics, newer bool) {
	subs = make(map[string]*Subscription, len(list))
	for i := range list {
		d := &list[i]
		have := subs[d.Topic]
		if have == nil {
			have = old[d.Topic]
		}
		if have == nil || d.SubVersion > have.Data.SubVersion {
			topics, newer = topics || have == nil, true
			have = t.compile(d)
		}
		subs[have.Data.Topic] = have
	}
	for topic := range old {
		if subs[topic] == nil {
			topics = true
		}
	}
	return subs, topics, newer
}

// UnregisterConsumer takes a connection out of a consumer group; notify is the group's
// notifyConsumerIdsChangedEnable. Java: ConsumerManager.unregisterConsumer.
func (t *Table) UnregisterConsumer(group string, conn mux.Conn, notify bool) {
	t.forget(conn.ID(), func(s *connState) { delete(s.consumers, group) })
	t.leaveConsumer(group, conn.ID(), notify)
}

func (t *Table) leaveConsumer(group string, conn uint64, notify bool) {
	g := t.consumers.Load(group)
	if g == nil {
		return
	}
	g.mu.Lock()
	ch := g.byConn[conn]
	if ch == nil {
		g.mu.Unlock()
		return
	}
	delete(g.byConn, conn)
	v := *g.view.Load()
	v.Channels = slices.DeleteFunc(slices.Clone(v.Channels), func(c *Channel) bool { return c == ch })
	g.view.Store(&v)
	if len(g.byConn) == 0 {
		g.dead = true
		if t.o.Left != nil {
			t.o.Left(group) // before a new group of the name can be made
		}
		t.consumers.CompareAndDelete(group, g)
	}
	g.mu.Unlock()
	t.o.Logger.Info().Str("group", v.Name).Str("clientId", ch.ClientID).Stringer("remote", ch.Conn.Remote()).Msg("consumer gone")
	if notify {
		t.changed(g)
	}
}

// Find returns a group's subscription to a topic, nil when it has none, whether the group has live
// consumers, and whether they consume by broadcasting. It takes no lock and allocates nothing.
func (t *Table) Find(group, topic string) (sub *Subscription, known, broadcasting bool) {
	g := t.consumers.Load(group)
	if g == nil {
		return nil, false, false
	}
	v := g.view.Load()
	return v.Subscriptions[topic], len(v.Channels) > 0, v.broadcasting()
}

// Group returns a consumer group, nil when it has no live consumers.
func (t *Table) Group(group string) *Group {
	if g := t.consumers.Load(group); g != nil {
		if v := g.view.Load(); len(v.Channels) > 0 {
			return v
		}
	}
	return nil
}

// ConsumeType returns how a group consumes, "" when it has no live consumers.
func (t *Table) ConsumeType(group string) body.ConsumeType {
	if g := t.Group(group); g != nil {
		return g.ConsumeType
	}
	return ""
}

// Member reports whether a live consumer of a group is on the connection.
func (t *Table) Member(group string, conn mux.Conn) bool {
	g := t.Group(group)
	return g != nil && slices.ContainsFunc(g.Channels, func(c *Channel) bool { return c.Conn == conn })
}

// ConsumerIDs returns the client ids of a group's consumers, each once, in order; nil when there are
// none. A client that has reconnected before its old connection ended counts once, where Java lists it
// twice and so leaves queues to nobody.
func (t *Table) ConsumerIDs(group string) []string {
	g := t.Group(group)
	if g == nil {
		return nil
	}
	out := make([]string, len(g.Channels))
	for i, c := range g.Channels {
		out[i] = c.ClientID
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// FindChannel returns the newest channel of a client in a consumer group, nil when there is none.
func (t *Table) FindChannel(group, clientID string) *Channel {
	g := t.Group(group)
	if g == nil {
		return nil
	}
	for _, c := range slices.Backward(g.Channels) {
		if c.ClientID == clientID {
			return c
		}
	}
	return nil
}

// EachConsumer calls fn for every consumer group that has live consumers until it returns false.
func (t *Table) EachConsumer(fn func(g *Group) bool) {
	t.consumers.Range(func(_ string, g *consumerGroup) bool {
		v := g.view.Load()
		return len(v.Channels) == 0 || fn(v)
	})
}

// GroupsOf returns the live consumer groups that subscribe to a topic, in order. It looks at every group.
// Java: ConsumerManager.queryTopicConsumeByWho.
func (t *Table) GroupsOf(topic string) []string {
	var out []string
	t.EachConsumer(func(g *Group) bool {
		if g.Subscriptions[topic] != nil {
			out = append(out, g.Name)
		}
		return true
	})
	slices.Sort(out)
	return out
}
