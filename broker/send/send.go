// Package send stores what producers send: SEND_MESSAGE, SEND_MESSAGE_V2, SEND_BATCH_MESSAGE,
// CONSUMER_SEND_MSG_BACK and RECALL_MESSAGE.
//
// A send runs on the event loop of its connection (mux.Inline): the header is decoded, checked, and the
// record built straight from the loop's read buffer into the connection's batch, the one copy of the
// body between socket and file. When the loop has taken all frames of a read, the batch goes to the
// store's append goroutine, which calls back with the outcome, and the replies of the batch leave
// together. Nothing of this waits or allocates for each message. What may touch the disk otherwise,
// such as creating a topic, goes by the lane and joins the same path with a batch of its own.
package send

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// Prefixes of the topics made for a consumer group. Java: MixAll.
const (
	RetryPrefix = "%RETRY%"
	DLQPrefix   = "%DLQ%"
)

// halfTopic holds the messages of transactions that have not ended. Java: TopicValidator.RMQ_SYS_TRANS_HALF_TOPIC.
const halfTopic = "RMQ_SYS_TRANS_HALF_TOPIC"

// Faq is the hint Java appends to some remarks. Java: FAQUrl.suggestTodo.
const Faq = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

// Topics is what sending needs of the topic table. Get must be cheap: it runs on event loops.
type Topics interface {
	Get(topic string) *body.TopicConfig
	// CreateInSend makes a topic after the template, nil when that is not allowed.
	CreateInSend(topic, defaultTopic, remote string, queueNums, sysFlag int32) *body.TopicConfig
	// CreateInSendBack makes a retry or dead letter topic, or returns the one there is.
	CreateInSendBack(topic string, queueNums, perm, sysFlag int32) *body.TopicConfig
	IsOrder(topic string) bool
}

// Options of a Sender.
type Options struct {
	Logger      zerolog.Logger
	BrokerIP    string
	ClusterName string
	StoreHost   netip.AddrPort
	// Settings are those at first, Set changes them.
	Settings   Settings
	BrokerName string
	Store      *store.Store
	Topics     Topics
	Mappings   *mapping.Table // static topics; nil: none
	// Group returns a group's configuration, nil when it is unknown and may not be made.
	Group func(group string) *body.SubscriptionGroupConfig
	// OrderLocked reports whether a queue is locked for ordered consumption by the group.
	OrderLocked func(group string) bool
	// Validate returns why a topic name is no good, or "".
	Validate func(topic string) string
	// NoSend reports topics nobody may send to.
	NoSend func(topic string) bool
	// Stats counts what is stored; nil: nothing does.
	Stats *stats.Stats
	// Observe is told of requests of a code that were answered on the event loop, or by the store for them.
	Observe func(code int32, of mux.Outcome, n int, took time.Duration)
	// CountHalf is told the real topic of each half message stored. It must be cheap and keep no string.
	CountHalf func(topic string)
	// Journal logs what is refused on event loops and by the store; nil: nothing does.
	Journal *mux.Journal
}

// Sender handles the send codes.
type Sender struct {
	o         Options
	live      atomic.Pointer[live]
	storeHost message.Host
	keys      *message.UniqKeys
	batches   sync.Pool
	maxLevel  int
	lmq       bool
	maxLights int // -1: no limit
	refused   refusals

	open     atomic.Int64 // batches that the store has
	settling atomic.Bool
	settled  chan struct{}
}

// New returns a Sender.
func New(o Options) *Sender {
	s := &Sender{o: o, storeHost: message.HostOf(o.StoreHost), keys: message.NewUniqKeys(o.StoreHost.Addr(), uint32(time.Now().UnixNano())),
		settled: make(chan struct{}, 1)}
	so := o.Store.Options()
	s.lmq, s.maxLights = so.EnableLmq && so.EnableMultiDispatch, -1
	if so.EnableLmqQuota {
		s.maxLights = int(so.MaxLmqConsumeQueueNum)
	}
	s.maxLevel = len(o.Store.DelayLevels())
	if s.o.Observe == nil {
		s.o.Observe = func(int32, mux.Outcome, int, time.Duration) {}
	}
	s.Set(o.Settings)
	s.batches.New = func() any { return &batch{s: s} }
	return s
}

// Routes returns the rows of the mux: sends on the loop or the send lane.
func (s *Sender) Routes(lane *mux.Lane) []mux.Route {
	in := &mux.InlineFactory{Open: func(c mux.Conn) mux.Inline { return &inline{s: s, conn: c, from: message.HostOf(c.Remote())} }}
	return []mux.Route{
		{Code: protocol.SendMessage, Lane: lane, Inline: in, Handle: s.handle},
		{Code: protocol.SendMessageV2, Lane: lane, Inline: in, Handle: s.handle},
		{Code: protocol.SendBatchMessage, Lane: lane, Inline: in, Handle: s.handle},
		{Code: protocol.ConsumerSendMsgBack, Lane: lane, Handle: mux.Handle(s.sendBack)},
		{Code: protocol.RecallMessage, Lane: lane, Handle: s.handleRecall},
	}
}

// inline is the sending side of one connection, on its event loop.
type inline struct {
	s    *Sender
	conn mux.Conn
	from message.Host
	b    *batch
	h    header.SendMessageRequestV2
	last last
}

// Offer implements mux.Inline.
func (in *inline) Offer(cmd *protocol.Command) bool {
	if err := in.last.decode(cmd, &in.h); err != nil {
		in.s.refuse(in.conn, cmd, err)
		return true
	}
	if strings.HasPrefix(in.h.Topic, RetryPrefix) {
		return false
	}
	topic := in.s.o.Topics.Get(in.h.Topic)
	if topic == nil {
		return false
	}
	if in.b == nil {
		in.b = in.s.take(in.conn)
	}
	if err := in.s.add(in.b, cmd, &in.h, topic, in.from); err != nil {
		in.s.refuse(in.conn, cmd, err)
	}
	if len(in.b.Buf) >= fullBatch {
		in.Flush()
	}
	return true
}

// fullBatch is the size at which a batch is handed over without waiting for the end of the read.
const fullBatch = 512 << 10

// Flush implements mux.Inline.
func (in *inline) Flush() {
	in.h = header.SendMessageRequestV2{} // it points into the loop's read buffer
	if in.b == nil {
		return
	}
	b := in.b
	in.b = nil
	in.s.submit(b)
}

// handle is the way by the lane: retry topics, and topics that have to be made first.
func (s *Sender) handle(r *mux.Request) *protocol.Command {
	var h header.SendMessageRequestV2
	err := decode(&r.Cmd, &h)
	var topic *body.TopicConfig
	if err == nil {
		topic, err = s.topicFor(r, &h)
	}
	if err == nil {
		b := s.take(r.Conn)
		b.req = r
		if err = s.add(b, &r.Cmd, &h, topic, message.HostOf(r.Conn.Remote())); err == nil {
			s.submit(b)
			return nil
		}
		s.give(b)
	}
	s.countRefused(err, 1)
	return s.withRegion(protocol.ErrorResponse(err))
}

// topicFor returns the topic, made if need be.
func (s *Sender) topicFor(r *mux.Request, h *header.SendMessageRequestV2) (*body.TopicConfig, error) {
	if err := s.check(h); err != nil {
		return nil, err
	}
	if t := s.o.Topics.Get(h.Topic); t != nil {
		return t, nil
	}
	retry := strings.HasPrefix(h.Topic, RetryPrefix)
	var sysFlag int32
	if h.UnitMode {
		if sysFlag = topicSysFlagUnit; retry {
			sysFlag = topicSysFlagUnitSub
		}
	}
	t := s.o.Topics.CreateInSend(h.Topic, h.DefaultTopic, r.Conn.Remote().String(), h.DefaultTopicQueueNums, sysFlag)
	if t == nil && retry {
		t = s.o.Topics.CreateInSendBack(h.Topic, 1, permReadWrite, sysFlag)
	}
	if t == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist, apply first please!%s", h.Topic, Faq)
	}
	return t, nil
}

// Topic flags and permissions. Java: TopicSysFlag, PermName.
const (
	topicSysFlagUnit    int32 = 1
	topicSysFlagUnitSub int32 = 2
	permReadWrite       int32 = 6
)

// check is what must hold before the topic is looked up. Java: AbstractSendMessageProcessor.msgCheck.
func (s *Sender) check(h *header.SendMessageRequestV2) error {
	o := s.live.Load()
	if from := o.AcceptFrom; from > 0 && time.Now().UnixMilli() < from {
		return protocol.Errorf(protocol.SystemError, "broker unable to service, until %s", time.UnixMilli(from).Format("2006-01-02 15:04:05,000"))
	}
	if !o.Writable && s.o.Topics.IsOrder(h.Topic) {
		return protocol.Errorf(protocol.NoPermission, "the broker[%s] sending message is forbidden", s.o.BrokerIP)
	}
	if why := s.o.Validate(h.Topic); why != "" {
		return protocol.Errorf(protocol.InvalidParameter, "%s", why)
	}
	if s.o.NoSend(h.Topic) {
		return protocol.Errorf(protocol.NoPermission, "Sending message to topic[%s] is forbidden.", h.Topic)
	}
	return nil
}

func (s *Sender) refuse(c mux.Conn, cmd *protocol.Command, err error) {
	s.countRefused(err, 1)
	resp := s.withRegion(protocol.ErrorResponse(err))
	if s.o.Journal != nil {
		s.o.Journal.Refused(c.Remote(), cmd.Code, cmd.Ext, resp)
	}
	s.o.Observe(cmd.Code, mux.Outcome{Response: resp.Code, Result: mux.Sent(c, cmd.IsOneway())}, 1, 0)
	if cmd.IsOneway() {
		return
	}
	resp.Opaque = cmd.Opaque
	mux.Send(c, resp)
}

// withRegion adds what Java puts on every reply to a send.
func (s *Sender) withRegion(resp *protocol.Command) *protocol.Command {
	return s.live.Load().withRegion(resp)
}

func (l *live) withRegion(resp *protocol.Command) *protocol.Command {
	trace := "false"
	if l.TraceOn {
		trace = "true"
	}
	resp.Ext = append(resp.Ext, protocol.Field{Key: message.PropertyMsgRegion, Value: l.RegionID}, protocol.Field{Key: message.PropertyTraceOn, Value: trace})
	return resp
}
