// Package pull answers PULL_MESSAGE and LITE_PULL_MESSAGE: the checks, the filters, the commit that rides on a pull, and the holding of pulls that have come to the end of their queue.
package pull

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

const faq = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

// Why a pull is not permitted. Java: ForbiddenType.
const (
	forbiddenBroker       int32 = 1
	forbiddenGroup        int32 = 2
	forbiddenTopic        int32 = 3
	forbiddenBroadcast    int32 = 4
	forbiddenSubscription int32 = 5
)

// Consumers says what heartbeats have told of a group.
type Consumers struct {
	Known        bool // the group has live consumers
	Broadcasting bool
	Filter       *Filter // its subscription to the topic, nil: none
}

// Offsets is what pulling needs of the consumer offset table.
type Offsets interface {
	Commit(client, group, topic string, queueID int32, offset int64)
	CommitPull(group, topic string, queueID int32, offset int64)
	// TakeReset returns and forgets an offset that an operator has set for the queue.
	TakeReset(group, topic string, queueID int32) (int64, bool)
}

// maxSuspend bounds how long a pull asks to be held, in ms: it is the client's to say, and Java takes anything.
const maxSuspend = 24 * 3600 * 1000

// Options of a Puller.
type Options struct {
	Logger   zerolog.Logger
	BrokerIP string
	// Settings are those at first, Set changes them.
	Settings Settings
	Store    *store.Store
	Topic    func(topic string) *body.TopicConfig
	Group    func(group string) *body.SubscriptionGroupConfig
	Mappings *mapping.Table // static topics; nil: none
	// Remote asks the master of another broker group, for messages of a static topic that lie there. Close ends ctx.
	Remote func(ctx context.Context, broker string, cmd *protocol.Command) (*protocol.Command, error)
	// Forbidden reports whether the group may not read the topic (UPDATE_AND_GET_GROUP_FORBIDDEN).
	Forbidden func(group, topic string) bool
	Consumers func(group, topic string) Consumers
	Offsets   Offsets
	// Filters are the groups' expressions.
	Filters *filter.Table
	// Cold slows down groups that read what is no longer in memory; nil: coldDataFlowControlEnable is off.
	// ConsumeType returns how a group says that it consumes, "" for one without consumers.
	Cold        Cold
	ConsumeType func(group string) body.ConsumeType
	// Member reports whether a group's heartbeats came on the connection.
	Member func(group string, conn mux.Conn) bool
	// Count is told of messages given to a group, Missed of a look at a queue that found none.
	Count  func(group, topic string, messages, bytes int)
	Missed func()
}

// Settings are what may change while a Puller runs.
type Settings struct {
	Readable bool // brokerPermission
	// SlaveRead is slaveReadEnable: slow groups are told to read from a slave.
	SlaveRead bool
	// LitePull is litePullMessageEnable.
	LitePull bool
	// LongPolling is longPollingEnable; without it a pull is held for ShortPolling only.
	LongPolling  bool
	ShortPolling time.Duration
	// PropertyFilter is enablePropertyFilter, without which expressions are refused, FilterSupportRetry is
	// filterSupportRetry.
	PropertyFilter     bool
	FilterSupportRetry bool
	// RejectPullConsumer is rejectPullConsumerEnable: only groups of push consumers may pull.
	RejectPullConsumer bool
}

// Puller handles the pull codes.
type Puller struct {
	o       Options
	live    atomic.Pointer[Settings]
	hold    *hold
	remotes *remotes
}

// New returns a Puller; Close ends its goroutines.
func New(o Options) *Puller {
	p := &Puller{o: o, hold: newHold(), remotes: newRemotes()}
	p.Set(o.Settings)
	return p
}

// Set changes the settings for what is pulled from now on.
func (p *Puller) Set(to Settings) { p.live.Store(&to) }

// Close answers all held pulls and stops.
func (p *Puller) Close() {
	p.hold.close()
	p.remotes.close()
}

// Routes returns the rows of the mux. Neither code is served on the fast port, as in Java.
func (p *Puller) Routes(pull, litePull *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.PullMessage, Lane: pull, Handle: p.handle, NoFastPort: true},
		{Code: protocol.LitePullMessage, Lane: litePull, Handle: p.handle, NoFastPort: true},
	}
}

// refusal is an error with the forbiddenType field some refusals carry.
func refusal(forbidden int32, code int32, format string, args ...any) *protocol.Command {
	resp := protocol.NewResponse(code, fmt.Sprintf(format, args...))
	if forbidden != 0 {
		resp.Ext = protocol.Ext{{Key: "forbiddenType", Value: strconv.Itoa(int(forbidden))}}
	}
	return resp
}

func (p *Puller) handle(r *mux.Request) *protocol.Command {
	if r.Conn.Closed() {
		r.Drop() // nobody would read it
		return nil
	}
	if r.Conn.Congested() {
		p.hold.later(r) // the peer has not read what it pulled before
		return nil
	}
	var h header.PullMessageRequest
	if err := protocol.DecodeHeader(r.Cmd.Ext, &h); err != nil {
		return protocol.ErrorResponse(err)
	}
	group, topic, no := p.check(r, &h)
	if no != nil {
		return no
	}
	logical, no := p.place(r, &h, topic)
	if no != nil {
		return no
	}
	if logical != nil && !logical.here() {
		return p.forward(r, logical, &h)
	}
	wanted, no := p.subscription(&h, group)
	if no == nil {
		no = p.rejected(r, &h)
	}
	if no != nil {
		return no
	}
	q := p.o.Store.Queue(h.Topic, h.QueueID)
	if resp, done := p.chill(r, &h, q); done {
		return resp
	}
	if at, ok := p.o.Offsets.TakeReset(h.ConsumerGroup, h.Topic, h.QueueID); ok {
		res := store.GetResult{Status: store.OffsetReset, NextOffset: at, MinOffset: q.Min(), MaxOffset: q.Max()}
		return p.reply(r, &h, group, topic, nil, res, logical)
	}
	out := mux.NewBuffer(headerRoom + 40<<10)
	out.B = out.B[:headerRoom]
	var err error
	var res store.GetResult
	out.B, res, err = p.o.Store.Get(out.B, store.GetRequest{Queue: q, Offset: h.QueueOffset, MaxMessages: int(h.MaxMsgNums), Match: wanted.matcher(),
		MatchRecord: wanted.matchRecord()})
	if err != nil {
		out.Release()
		p.o.Logger.Error().Err(err).Str("topic", h.Topic).Int32("queueId", h.QueueID).Int64("offset", h.QueueOffset).Msg("cannot read messages")
		return protocol.NewResponse(protocol.SystemError, "store getMessage return null, "+err.Error())
	}
	p.countRead(&h, &res)
	first := r.Attempt == 0
	if first && h.SysFlag&header.PullCommitOffset != 0 {
		p.o.Offsets.Commit(r.Conn.Remote().String(), h.ConsumerGroup, h.Topic, h.QueueID, h.CommitOffset)
	}
	if first && h.SysFlag&header.PullSuspend != 0 && logical.told(&h, res).Code == protocol.PullNotFound {
		out.Release()
		o := p.live.Load()
		wait := o.ShortPolling
		if o.LongPolling {
			wait = time.Duration(min(h.SuspendTimeoutMillis, maxSuspend)) * time.Millisecond
		}
		p.hold.add(q, h.QueueOffset, wanted, r, wait)
		return nil
	}
	return p.reply(r, &h, group, topic, out, res, logical)
}

// check is Java's list of conditions (PullMessageProcessor.processRequest), in its order.
func (p *Puller) check(r *mux.Request, h *header.PullMessageRequest) (*body.SubscriptionGroupConfig, *body.TopicConfig, *protocol.Command) {
	o := p.live.Load()
	if !o.Readable {
		return nil, nil, refusal(forbiddenBroker, protocol.NoPermission, "the broker[%s] pulling message is forbidden", p.o.BrokerIP)
	}
	if r.Cmd.Code == protocol.LitePullMessage && !o.LitePull {
		return nil, nil, refusal(forbiddenBroker, protocol.NoPermission, "the broker[%s] for lite pull consumer is forbidden", p.o.BrokerIP)
	}
	g := p.o.Group(h.ConsumerGroup)
	if g == nil {
		return nil, nil, refusal(0, protocol.SubscriptionGroupNotExist, "subscription group [%s] does not exist, %s", h.ConsumerGroup, faq)
	}
	if !g.ConsumeEnable {
		return nil, nil, refusal(forbiddenGroup, protocol.NoPermission, "subscription group no permission, %s", h.ConsumerGroup)
	}
	t := p.o.Topic(h.Topic)
	if t == nil {
		return nil, nil, refusal(0, protocol.TopicNotExist, "topic[%s] not exist, apply first please! %s", h.Topic, faq)
	}
	if t.Perm&permRead == 0 {
		return nil, nil, refusal(forbiddenTopic, protocol.NoPermission, "the topic[%s] pulling message is forbidden", h.Topic)
	}
	return g, t, nil
}

// place is the last condition, on the queue; that of a static topic is put into physical terms before.
func (p *Puller) place(r *mux.Request, h *header.PullMessageRequest, t *body.TopicConfig) (l *logicalPull, no *protocol.Command) {
	if d := p.o.Mappings.Get(h.Topic); d != nil {
		if l, no = p.logical(r, d, h); no != nil || l != nil && !l.here() {
			return l, no
		}
	}
	if h.QueueID < 0 || h.QueueID >= t.ReadQueueNums {
		return nil, refusal(0, protocol.InvalidParameter, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]",
			h.QueueID, h.Topic, t.ReadQueueNums, r.Conn.Remote())
	}
	return l, nil
}

// permRead is the read bit of a topic's permission. Java: PermName.PERM_READ.
const permRead int32 = 4

// subscription finds the filter: of the subscription in the request, or of what the group's heartbeats said.
func (p *Puller) subscription(h *header.PullMessageRequest, g *body.SubscriptionGroupConfig) (*Filter, *protocol.Command) {
	if h.SysFlag&header.PullSubscription != 0 {
		return p.given(h)
	}
	c := p.o.Consumers(h.ConsumerGroup, h.Topic)
	switch {
	case !c.Known:
		return nil, refusal(0, protocol.SubscriptionNotExist, "the consumer's group info not exist%s", faq)
	case !g.ConsumeBroadcastEnable && c.Broadcasting:
		return nil, refusal(forbiddenBroadcast, protocol.NoPermission, "the consumer group[%s] can not consume by broadcast way", h.ConsumerGroup)
	case p.o.Forbidden(h.ConsumerGroup, h.Topic):
		return nil, refusal(forbiddenSubscription, protocol.NoPermission, "the consumer group[%s] is forbidden for topic[%s]", h.ConsumerGroup, h.Topic)
	case c.Filter == nil:
		return nil, refusal(0, protocol.SubscriptionNotExist, "the consumer's subscription not exist%s", faq)
	case c.Filter.SubVersion < h.SubVersion:
		return nil, refusal(0, protocol.SubscriptionNotLatest, "the consumer's subscription not latest")
	case filter.IsTag(c.Filter.ExpressionType):
		return c.Filter, nil
	}
	d := p.o.Filters.Get(h.Topic, h.ConsumerGroup)
	switch {
	case d == nil:
		return nil, refusal(0, protocol.FilterDataNotExist, "The broker's consumer filter data is not exist!Your expression may be wrong!")
	case d.ClientVersion < h.SubVersion:
		return nil, refusal(0, protocol.FilterDataNotLatest, "the consumer's consumer filter data not latest")
	case !p.live.Load().PropertyFilter:
		return nil, unsupported(c.Filter.ExpressionType)
	}
	return p.byExpression(h.Topic, d), nil
}

// rejected refuses pull consumers, whose heartbeats are ignored, when they are not wanted. Those that were there
// before stay. Java: PullMessageProcessor.processRequest.
func (p *Puller) rejected(r *mux.Request, h *header.PullMessageRequest) *protocol.Command {
	if !p.live.Load().RejectPullConsumer {
		return nil
	}
	if kind := p.o.ConsumeType(h.ConsumerGroup); kind != "" && kind != body.ConsumeActively || p.o.Member(h.ConsumerGroup, r.Conn) || group.PullsFreely(h.ConsumerGroup) {
		return nil
	}
	return refusal(0, protocol.SubscriptionNotExist, "the consumer's group info not exist, or the pull consumer is rejected by server.%s", faq)
}

// given returns the filter of the subscription in the request.
func (p *Puller) given(h *header.PullMessageRequest) (*Filter, *protocol.Command) {
	malformed := func() (*Filter, *protocol.Command) {
		return nil, refusal(0, protocol.SubscriptionParseFailed, "parse the consumer's subscription failed")
	}
	if filter.IsTag(h.ExpressionType) {
		f, ok := ParseTags(h.Subscription)
		if !ok {
			return malformed()
		}
		return f, nil
	}
	if h.Subscription == "" {
		return malformed()
	}
	if !p.live.Load().PropertyFilter {
		return nil, unsupported(h.ExpressionType)
	}
	// The strings alias the request, which lives as long as the filter does.
	d, err := p.o.Filters.Build(h.Topic, h.ConsumerGroup, h.Subscription, h.ExpressionType, h.SubVersion)
	if err != nil {
		return malformed() // Java lets every message pass
	}
	return p.byExpression(h.Topic, d), nil
}

func unsupported(expressionType string) *protocol.Command {
	return refusal(0, protocol.SystemError, "The broker does not support consumer to filter message by %s", expressionType)
}

// responseCode maps a store status as Java's PullMessageProcessor.composeResponseHeader does.
func responseCode(s store.Status, offset int64) int32 {
	switch s {
	case store.Found:
		return protocol.Success
	case store.NoMatchedMessage, store.MessageWasRemoving:
		return protocol.PullRetryImmediately
	case store.OffsetFoundNull, store.OffsetOverflowOne:
		return protocol.PullNotFound
	case store.NoMatchedLogicQueue, store.NoMessageInQueue:
		if offset == 0 {
			return protocol.PullNotFound
		}
	}
	return protocol.PullOffsetMoved
}

// headerRoom is left in front of the messages for prefix and header.
const headerRoom = 448

// reply writes the response by hand around the messages in out, which may be nil.
func (p *Puller) reply(r *mux.Request, h *header.PullMessageRequest, g *body.SubscriptionGroupConfig, t *body.TopicConfig, out *mux.Buffer, res store.GetResult, logical *logicalPull) *protocol.Command {
	told := logical.told(h, res)
	if out == nil {
		out = mux.NewBuffer(headerRoom)
		out.B = out.B[:headerRoom]
	}
	size := len(out.B) - headerRoom
	if res.Messages > 0 {
		p.o.Count(h.ConsumerGroup, h.Topic, res.Messages, size)
	}
	p.o.Offsets.CommitPull(h.ConsumerGroup, h.Topic, h.QueueID, res.NextOffset)
	var room [headerRoom]byte
	b := append(room[:frame.PrefixLength], `{"code":`...)
	b = strconv.AppendInt(b, int64(told.Code), 10)
	b = field(b, `,"extFields":{"groupSysFlag":"`, int64(g.GroupSysFlag))
	b = field(b, `","maxOffset":"`, told.Max)
	b = field(b, `","minOffset":"`, told.Min)
	b = field(b, `","nextBeginOffset":"`, told.Next)
	if logical != nil {
		b = field(b, `","offsetDelta":"`, told.Delta)
	}
	b = field(b, `","suggestWhichBrokerId":"`, p.suggested(g, &res))
	b = field(b, `","topicSysFlag":"`, int64(t.TopicSysFlag))
	b = field(b, `"},"flag":1,"language":"JAVA","opaque":`, int64(r.Cmd.Opaque))
	b = append(b, `,"remark":"`...)
	b = append(b, res.Status...)
	b = field(b, `","serializeTypeCurrentRPC":"JSON","version":`, int64(protocol.Version))
	b = append(b, '}')
	out.Skip = headerRoom - len(b)
	copy(out.B[out.Skip:], b)
	frame.Finish(out.B, out.Skip, len(b)-frame.PrefixLength)
	r.ReplyFrame(out, told.Code)
	return nil
}

// suggested returns the id of the broker from which a group should read on. Clients that do not find it read on from any
// other. Java: PullMessageProcessor.composeResponseHeader.
func (p *Puller) suggested(g *body.SubscriptionGroupConfig, res *store.GetResult) int64 {
	switch {
	case !p.live.Load().SlaveRead:
		return masterID
	case res.Slow:
		return g.WhichBrokerWhenConsumeSlowly
	}
	return g.BrokerID
}

// masterID is the id of every master. Java: MixAll.MASTER_ID.
const masterID = 0

func field(b []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(b, name...), v, 10)
}
