// Package admin answers the tools: mqadmin, the dashboard, and the admin calls of clients. It shows and
// changes the broker's tables, one file for each domain of request codes. Java: AdminBrokerProcessor, and
// VIEW_MESSAGE_BY_ID of QueryMessageProcessor.
//
// Everything runs on the lanes, where it may block on the disk; the package has no goroutine and no state
// of its own.
package admin

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/auth"
	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Store is what the handlers need of the message store. Offsets are queue offsets unless they say physical.
type Store interface {
	// MinOffset returns the offset of a queue's first message, 0 for an unknown queue.
	MinOffset(topic string, queueID int32) int64
	// MaxOffset returns the offset behind a queue's last message, 0 for an unknown queue.
	MaxOffset(topic string, queueID int32) int64
	// OffsetByTime returns the offset of the first message stored at or after timestamp (ms) or, with upper,
	// of the last one stored at or before it.
	OffsetByTime(topic string, queueID int32, timestamp int64, upper bool) int64
	// StoreTime returns the store timestamp (ms) of the message at an offset, -1 when there is none.
	StoreTime(topic string, queueID int32, queueOffset int64) int64
	// ReadRecord returns the record at a physical offset.
	ReadRecord(physicalOffset int64) ([]byte, error)
	// Find returns a queue, nil when it was never used.
	Find(topic string, queueID int32) *consumequeue.Queue
	// Query finds messages by key.
	Query(r store.QueryRequest) (store.QueryResult, error)
	// DeleteTopic removes the queues of a topic.
	DeleteTopic(topic string) error
}

// Lane is a lane whose figures GET_BROKER_RUNTIME_INFO shows under Key: "sendThreadPoolQueue" gives
// sendThreadPoolQueueSize, sendThreadPoolQueueCapacity and sendThreadPoolQueueHeadWaitTimeMills.
type Lane struct {
	Key  string
	Lane *mux.Lane
}

// Options of the handlers. Names of flags are those of Java's BrokerConfig.
type Options struct {
	Logger     zerolog.Logger
	BrokerName string
	BrokerAddr string // "ip:port"
	Topics     *topic.Table
	Mappings   *mapping.Table
	Groups     *group.Table
	Offsets    *offset.Table
	Sessions   *session.Table
	Stats      *stats.Stats
	Auth       *auth.Table
	// ForgetTopic is told of a deleted topic; it may be nil.
	ForgetTopic func(topic string)
	Store       Store
	Cleaner     Cleaner
	// Register tells the name servers of changed topics and waits for them until ctx ends, so that a client
	// that has made a topic finds its route; it may be nil.
	Register func(ctx context.Context)
	// Config returns the broker's configuration for GET_BROKER_CONFIG, and ConfigVersion its version.
	Config        func() []properties.KV
	ConfigVersion func() body.DataVersion
	// UpdateConfig changes the configuration as the body of UPDATE_BROKER_CONFIG asks, all of it or nothing. from is
	// the client's address.
	UpdateConfig func(text []byte, from string) error
	// DelayOffsets returns the table of GET_ALL_DELAY_OFFSET.
	DelayOffsets func() body.DelayOffsetTable
	// Timer is nil when timerWheelEnable is false.
	Timer Timer
	// Runtime returns figures of now for GET_BROKER_RUNTIME_INFO, and Lanes are those it shows. EndTransaction is
	// shown by other names, and may be nil.
	Runtime        func() Runtime
	Lanes          []Lane
	EndTransaction *mux.Lane
	// Settings are those at first, Set changes them.
	Settings Settings
}

// Settings are what may change while Handlers are in use, under Java's names (BrokerConfig).
type Settings struct {
	ValidateSystemTopicWhenUpdateTopic bool
	EnableMixedMessageType             bool
	ClearRetryTopicWhenDeleteTopic     bool
	EnableSplitMetadata                bool
	SplitMetadataSize                  int32
}

// Handlers answer the codes of Routes.
type Handlers struct {
	o    Options
	live atomic.Pointer[Settings]
}

// New returns the handlers.
func New(o Options) *Handlers {
	h := &Handlers{o: o}
	h.Set(o.Settings)
	return h
}

// Set changes the settings for what comes from now on.
func (h *Handlers) Set(to Settings) { h.live.Store(&to) }

// Routes returns the rows of the mux. All of them are served on the fast port too, as in Java.
func (h *Handlers) Routes(admin, query *mux.Lane) []mux.Route {
	return append(h.authRoutes(admin), []mux.Route{
		{Code: protocol.UpdateAndCreateTopic, Lane: admin, Handle: mux.HandleBare(h.updateTopic)},
		{Code: protocol.UpdateAndCreateTopicList, Lane: admin, Handle: mux.HandleBare(h.updateTopics)},
		{Code: protocol.UpdateAndCreateStaticTopic, Lane: admin, Handle: mux.Handle(h.updateStaticTopic)},
		{Code: protocol.DeleteTopicInBroker, Lane: admin, Handle: mux.Handle(h.deleteTopic)},
		{Code: protocol.GetAllTopicConfig, Lane: admin, Handle: mux.HandleBare(h.allTopics)},
		{Code: protocol.GetTopicConfig, Lane: admin, Handle: mux.Handle(h.topicConfig)},
		{Code: protocol.GetSystemTopicListFromBroker, Lane: admin, Handle: mux.HandleBare(h.systemTopics)},

		{Code: protocol.UpdateAndCreateSubscriptionGroup, Lane: admin, Handle: mux.HandleBare(h.updateGroup)},
		{Code: protocol.UpdateAndCreateSubscriptionGroupList, Lane: admin, Handle: mux.HandleBare(h.updateGroups)},
		{Code: protocol.GetAllSubscriptionGroupConfig, Lane: admin, Handle: mux.HandleBare(h.allGroups)},
		{Code: protocol.GetSubscriptionGroupConfig, Lane: admin, Handle: mux.Handle(h.groupConfig)},
		{Code: protocol.DeleteSubscriptionGroup, Lane: admin, Handle: mux.Handle(h.deleteGroup)},
		{Code: protocol.UpdateAndGetGroupForbidden, Lane: admin, Handle: mux.Handle(h.groupForbidden)},

		{Code: protocol.GetConsumerConnectionList, Lane: admin, Handle: mux.Handle(h.consumerConnections)},
		{Code: protocol.GetProducerConnectionList, Lane: admin, Handle: mux.Handle(h.producerConnections)},
		{Code: protocol.GetAllProducerInfo, Lane: admin, Handle: mux.HandleBare(h.allProducers)},

		{Code: protocol.GetTopicStatsInfo, Lane: admin, Handle: mux.Handle(h.topicStats)},
		{Code: protocol.GetConsumeStats, Lane: admin, Handle: mux.Handle(h.consumeStats)},
		{Code: protocol.QueryTopicConsumeByWho, Lane: admin, Handle: mux.Handle(h.groupsOfTopic)},
		{Code: protocol.QueryTopicsByConsumer, Lane: admin, Handle: mux.Handle(h.topicsOfGroup)},
		{Code: protocol.QuerySubscriptionByConsumer, Lane: admin, Handle: mux.Handle(h.subscription)},

		{Code: protocol.QueryConsumeTimeSpan, Lane: admin, Handle: mux.Handle(h.consumeTimeSpan)},
		{Code: protocol.QueryCorrectionOffset, Lane: admin, Handle: mux.Handle(h.correctionOffset)},
		{Code: protocol.CloneGroupOffset, Lane: admin, Handle: mux.Handle(h.cloneOffsets)},
		{Code: protocol.GetBrokerConsumeStats, Lane: admin, Handle: mux.Handle(h.brokerConsumeStats)},
		{Code: protocol.QueryConsumeQueue, Lane: admin, Handle: mux.Handle(h.consumeQueue)},

		{Code: protocol.SearchOffsetByTimestamp, Lane: admin, Handle: mux.Handle(h.searchOffset)},
		{Code: protocol.GetMaxOffset, Lane: admin, Handle: mux.Handle(h.maxOffset)},
		{Code: protocol.GetMinOffset, Lane: admin, Handle: mux.Handle(h.minOffset)},
		{Code: protocol.GetEarliestMsgStoreTime, Lane: admin, Handle: mux.Handle(h.earliestStoreTime)},
		{Code: protocol.QueryMessage, Lane: query, Handle: mux.Handle(h.queryMessage)},
		{Code: protocol.ViewMessageByID, Lane: query, Handle: mux.Handle(h.viewMessage)},

		{Code: protocol.CleanExpiredConsumeQueue, Lane: admin, Handle: mux.HandleBare(h.cleanExpiredConsumeQueue)},
		{Code: protocol.CleanUnusedTopic, Lane: admin, Handle: mux.HandleBare(h.cleanUnusedTopic)},
		{Code: protocol.DeleteExpiredCommitLog, Lane: admin, Handle: mux.HandleBare(h.deleteExpiredCommitLog)},

		{Code: protocol.GetAllConsumerOffset, Lane: admin, Handle: mux.HandleBare(h.allOffsets)},
		{Code: protocol.GetAllDelayOffset, Lane: admin, Handle: mux.HandleBare(h.allDelayOffsets)},
		{Code: protocol.GetTimerCheckPoint, Lane: admin, Handle: mux.HandleBare(h.timerCheckPoint)},
		{Code: protocol.SwitchTimerEngine, Lane: admin, Handle: mux.HandleBare(h.switchTimerEngine)},
		{Code: protocol.GetTimerMetrics, Lane: admin, Handle: mux.HandleBare(h.timerMetrics)},
		{Code: protocol.UpdateBrokerConfig, Lane: admin, Handle: mux.HandleBare(h.updateConfig)},
		{Code: protocol.GetBrokerConfig, Lane: admin, Handle: mux.HandleBare(h.config)},
		{Code: protocol.GetBrokerRuntimeInfo, Lane: admin, Handle: mux.HandleBare(h.runtimeInfo)},
		{Code: protocol.GetBrokerHAStatus, Lane: admin, Handle: mux.HandleBare(h.haStatus)},
		{Code: protocol.GetBrokerEpochCache, Lane: admin, Handle: mux.HandleBare(h.epochCache)},
		{Code: protocol.ResetMasterFlushOffset, Lane: admin, Handle: mux.HandleBare(h.resetMasterFlushOffset)},
		{Code: protocol.ViewBrokerStatsData, Lane: admin, Handle: mux.Handle(h.viewStats)},
	}...)
}

// registerWait bounds how long a change of topics waits for name servers; admin clients give up after 3
// to 5 s. Java waits up to registerBrokerTimeoutMills, 24 s, when one hangs.
const registerWait = 2 * time.Second

// register lets the name servers know of changed topics.
func (h *Handlers) register() {
	if h.o.Register == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerWait)
	defer cancel()
	h.o.Register(ctx)
}

// notSet is the remark that Java leaves on some successes: it sets the code and not the remark.
// Java: RemotingCommand.createResponseCommand.
const notSet = "not set any response code"

func success() *protocol.Command { return protocol.NewResponse(protocol.Success, "") }

// decode reads a request's body. Java answers an unreadable body with code 1 and an exception's text.
func decode(r *mux.Request, v any) error {
	if err := body.Unmarshal(r.Cmd.Body, v); err != nil {
		return protocol.Errorf(protocol.SystemError, "%v", err)
	}
	return nil
}

func invalid(remark string) error {
	return &protocol.Error{Code: protocol.InvalidParameter, Remark: remark}
}

// absent reports whether none of the ext fields is there.
func absent(ext protocol.Ext, names ...string) bool {
	for _, n := range names {
		if _, ok := ext.Get(n); ok {
			return false
		}
	}
	return true
}

// page returns the bounds of one page of a table: at most limit entries from seq on, where a page that does
// not begin the table must be of the table's present version. Java: TopicConfigManager.subTopicConfigTable.
func page(seq int32, version string, present body.DataVersion, limit int32, asked *int32) (from, n int) {
	if asked != nil {
		limit = min(limit, *asked)
	}
	if seq != 0 {
		var theirs body.DataVersion
		if version == "" || body.Unmarshal([]byte(version), &theirs) != nil || theirs != present {
			seq = 0
		}
	}
	return int(max(seq, 0)), int(max(limit, 0))
}
