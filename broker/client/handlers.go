// Package client answers what clients ask about themselves and their group: heartbeats, leaving, the
// group's consumers, its offsets, and the locks of ordered consumption. Java: ClientManageProcessor,
// ConsumerManageProcessor, and two codes of AdminBrokerProcessor.
package client

import (
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/order"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Topics is what heartbeats and offsets need of the topic table.
type Topics interface {
	Get(topic string) *body.TopicConfig
	IsOrder(topic string) bool
	// CreateRetry makes the retry topic of a group, or gives the one there is the order flag.
	CreateRetry(topic string, queueNums, perm int32, order bool, sysFlag int32) *body.TopicConfig
}

// Store is what QUERY_CONSUMER_OFFSET needs of the store.
type Store interface {
	// MinOffset returns the queue offset of the oldest message; 0 or less when nothing was deleted yet.
	MinOffset(topic string, queueID int32) int64
	// MaxOffset returns the queue offset behind the newest message.
	MaxOffset(topic string, queueID int32) int64
	// InMemory reports whether the message at a queue offset exists and is likely in the page cache.
	InMemory(topic string, queueID int32, queueOffset int64) bool
}

// Options of the handlers.
type Options struct {
	Logger   zerolog.Logger
	Topics   Topics
	Groups   *group.Table
	Offsets  *offset.Table
	Sessions *session.Table
	Locks    *order.Locks
	Store    Store
	// Filters compiles filter expressions.
	Filters *filter.Table
	// Settings are those at first, Set changes them.
	Settings Settings
}

// Settings are what may change while Handlers are in use.
type Settings struct {
	// PropertyFilter is enablePropertyFilter, without which filter expressions are refused.
	PropertyFilter bool
	// RejectPullConsumer is rejectPullConsumerEnable: heartbeats of pull consumers are ignored.
	RejectPullConsumer bool
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
func (h *Handlers) Routes(heartbeat, clientManage, consumerManage *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.HeartBeat, Lane: heartbeat, Handle: mux.HandleBare(h.heartbeat)},
		{Code: protocol.UnregisterClient, Lane: clientManage, Handle: mux.Handle(h.unregister)},
		{Code: protocol.CheckClientConfig, Lane: clientManage, Handle: mux.HandleBare(h.checkConfig)},
		{Code: protocol.GetConsumerListByGroup, Lane: consumerManage, Handle: mux.Handle(h.consumerList)},
		{Code: protocol.QueryConsumerOffset, Lane: consumerManage, Handle: mux.Handle(h.queryOffset)},
		{Code: protocol.UpdateConsumerOffset, Lane: consumerManage, Handle: h.updateOffset},
		{Code: protocol.LockBatchMQ, Lane: consumerManage, Handle: mux.HandleBare(h.lock)},
		{Code: protocol.UnlockBatchMQ, Lane: consumerManage, Handle: mux.HandleBare(h.unlock)},
	}
}
