package broker

import (
	"context"
	"path/filepath"
	"time"

	"github.com/skylarkmq/skylark/broker/admin"
	"github.com/skylarkmq/skylark/broker/client"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// lanes are the bounded queues of the broker, each with the sizes of Java's executor of that name.
type lanes struct {
	send, pull, litePull, reply, query, admin, client, consumer, heartbeat, transaction, ack, balance *mux.Lane
}

func (b *Broker) openLanes() lanes {
	o := &b.o
	lane := func(name string, workers, capacity int32, wait int64) *mux.Lane {
		if !o.BrokerFastFailureEnable {
			wait = 0
		}
		lo := mux.LaneOptions{Name: name, Workers: int(workers), Capacity: int(capacity), MaxWait: time.Duration(wait) * time.Millisecond}
		if name == "send" {
			lo.Busy, lo.CleanBusy = b.stalled, o.BrokerFastFailureEnable
		}
		return b.mux.NewLane(lo)
	}
	return lanes{
		send:        lane("send", o.SendMessageThreadPoolNums, o.SendThreadPoolQueueCapacity, o.WaitTimeMillsInSendQueue),
		pull:        lane("pull", o.PullMessageThreadPoolNums, o.PullThreadPoolQueueCapacity, o.WaitTimeMillsInPullQueue),
		litePull:    lane("litePull", o.LitePullMessageThreadPoolNums, o.LitePullThreadPoolQueueCapacity, o.WaitTimeMillsInLitePullQueue),
		reply:       lane("reply", o.ProcessReplyThreadPoolNums, o.ReplyThreadPoolQueueCapacity, 0),
		query:       lane("query", o.QueryMessageThreadPoolNums, o.QueryThreadPoolQueueCapacity, 0),
		admin:       lane("admin", o.AdminBrokerThreadPoolNums, o.AdminBrokerThreadPoolQueue, o.WaitTimeMillsInAdminBrokerQueue),
		client:      lane("clientManage", o.ClientManageThreadPoolNums, o.ClientManagerThreadPoolQueue, 0),
		consumer:    lane("consumerManage", o.ConsumerManageThreadPoolNums, o.ConsumerManagerThreadPoolQueue, 0),
		heartbeat:   lane("heartbeat", o.HeartbeatThreadPoolNums, o.HeartbeatThreadPoolQueueCapacity, o.WaitTimeMillsInHeartbeatQueue),
		transaction: lane("endTransaction", o.EndTransactionThreadPoolNums, o.EndTransactionPoolQueueCapacity, o.WaitTimeMillsInTransactionQueue),
		ack:         lane("ack", o.AckMessageThreadPoolNums, o.AckThreadPoolQueueCapacity, o.WaitTimeMillsInAckQueue),
		balance:     lane("loadBalance", o.LoadBalanceProcessorThreadPoolNums, o.LoadBalanceThreadPoolQueueCapacity, 0),
	}
}

// stalled tells the send lane that the disk keeps the store from writing, and gives back what waits for it.
func (b *Broker) stalled() bool {
	stalled := b.store.Stalled()
	if stalled && b.o.BrokerFastFailureEnable {
		b.store.TurnAway(send.TurnedAway(b.store.Busy()))
	}
	return stalled
}

// addRoutes is the table of request codes: each package brings its rows. A code without a row is answered
// REQUEST_CODE_NOT_SUPPORTED.
func (b *Broker) addRoutes() {
	l := &b.lanes
	b.mux.Add(b.sender.Routes(l.send)...)
	b.mux.Add(b.trans.Routes(l.transaction, l.admin)...)
	b.mux.Add(b.puller.Routes(l.pull, l.litePull)...)
	b.mux.Add(b.cold.Routes(l.admin)...)
	b.mux.Add(b.popper.Routes(l.pull, l.ack)...)
	b.mux.Add(b.assigner.Routes(l.balance)...)
	b.mux.Add(b.static.Routes(client.New(client.Options{Logger: b.o.Logger, Topics: b.topics, Groups: b.groups, Offsets: b.offsets, Sessions: b.sessions,
		Locks: b.locks, Store: b.store, Filters: b.filters, PropertyFilter: b.o.EnablePropertyFilter}).Routes(l.heartbeat, l.client, l.consumer))...)
	b.mux.Add(b.relay.Routes(l.admin, l.reply)...)
	b.mux.Add(b.static.Routes(admin.New(b.adminOptions()).Routes(l.admin, l.query))...)
}

func (b *Broker) adminOptions() admin.Options {
	o := &b.o
	var t admin.Timer
	if b.timer != nil {
		t = b.timer
	}
	return admin.Options{Timer: t, Logger: o.Logger, BrokerName: o.BrokerName, BrokerAddr: o.Addr(), Topics: b.topics, Mappings: b.mappings, Groups: b.groups, Offsets: b.offsets,
		Sessions: b.sessions, Stats: b.stats, Store: b.store, Cleaner: b.store,
		Register: func(ctx context.Context) {
			if r := b.registrar.Load(); r != nil {
				_ = r.Register(ctx) // the registrar logs failures and tries again
			}
		},
		Config:        func() []properties.KV { return properties.List(&b.o, &b.o.Store) },
		ConfigVersion: func() body.DataVersion { return body.DataVersion{Timestamp: b.started.UnixMilli()} },
		DelayOffsets:  func() body.DelayOffsetTable { return b.scheduler.Table() },
		Runtime:       b.runtime,
		Lanes: []admin.Lane{{Key: "sendThreadPoolQueue", Lane: b.lanes.send}, {Key: "pullThreadPoolQueue", Lane: b.lanes.pull}, {Key: "queryThreadPoolQueue", Lane: b.lanes.query},
			{Key: "litePullThreadPoolQueue", Lane: b.lanes.litePull}, {Key: "ackThreadPoolQueue", Lane: b.lanes.ack}},
		EndTransaction:                     b.lanes.transaction,
		ValidateSystemTopicWhenUpdateTopic: o.ValidateSystemTopic, EnableMixedMessageType: o.EnableMixedMessageType,
		ClearRetryTopicWhenDeleteTopic: o.ClearRetryTopicWhenDelete, EnableSplitMetadata: o.EnableSplitMetadata, SplitMetadataSize: o.SplitMetadataSize}
}

// runtime gathers the figures of GET_BROKER_RUNTIME_INFO that only the broker knows.
func (b *Broker) runtime() admin.Runtime {
	st, o := b.store.Stats(), b.store.Options()
	return admin.Runtime{Active: true, RootDir: o.StorePathRootDir, CommitLogDirs: o.SplitPath(o.StorePathCommitLog),
		ConsumeQueueDir: filepath.Join(o.StorePathRootDir, "consumequeue"), CommitLogMin: st.MinPhysical, CommitLogMax: st.MaxPhysical,
		Flushed: st.Flushed, Dispatched: st.Dispatched, EarliestStoreTime: b.store.EarliestTime(), AppendLocked: b.store.Busy(),
		PutFailed: st.Failed, Refusal: st.Refusal, AcceptSendFrom: b.o.StartAcceptSendRequest, DelayOffsets: b.scheduler.Offsets()}
}
