package broker

import (
	"context"
	"path/filepath"
	"time"

	"github.com/skylarkmq/skylark/broker/admin"
	"github.com/skylarkmq/skylark/broker/client"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// lanes are the bounded queues of the broker, each with the sizes of Java's executor of that name.
type lanes struct {
	send, pull, litePull, reply, query, admin, client, consumer, heartbeat, transaction, ack, balance *mux.Lane
}

func (b *Broker) openLanes() lanes {
	o, w := &b.o, b.settings().waits
	lane := func(name string, workers, capacity int32, wait time.Duration) *mux.Lane {
		lo := mux.LaneOptions{Name: name, Workers: int(workers), Capacity: int(capacity), MaxWait: wait}
		if name == "send" {
			lo.Busy, lo.CleanBusy = b.stalled, o.BrokerFastFailureEnable
		}
		return b.mux.NewLane(lo)
	}
	return lanes{
		send:        lane("send", o.SendMessageThreadPoolNums, o.SendThreadPoolQueueCapacity, w.send),
		pull:        lane("pull", o.PullMessageThreadPoolNums, o.PullThreadPoolQueueCapacity, w.pull),
		litePull:    lane("litePull", o.LitePullMessageThreadPoolNums, o.LitePullThreadPoolQueueCapacity, w.litePull),
		reply:       lane("reply", o.ProcessReplyThreadPoolNums, o.ReplyThreadPoolQueueCapacity, 0),
		query:       lane("query", o.QueryMessageThreadPoolNums, o.QueryThreadPoolQueueCapacity, 0),
		admin:       lane("admin", o.AdminBrokerThreadPoolNums, o.AdminBrokerThreadPoolQueue, w.admin),
		client:      lane("clientManage", o.ClientManageThreadPoolNums, o.ClientManagerThreadPoolQueue, 0),
		consumer:    lane("consumerManage", o.ConsumerManageThreadPoolNums, o.ConsumerManagerThreadPoolQueue, 0),
		heartbeat:   lane("heartbeat", o.HeartbeatThreadPoolNums, o.HeartbeatThreadPoolQueueCapacity, w.heartbeat),
		transaction: lane("endTransaction", o.EndTransactionThreadPoolNums, o.EndTransactionPoolQueueCapacity, w.transaction),
		ack:         lane("ack", o.AckMessageThreadPoolNums, o.AckThreadPoolQueueCapacity, w.ack),
		balance:     lane("loadBalance", o.LoadBalanceProcessorThreadPoolNums, o.LoadBalanceThreadPoolQueueCapacity, 0),
	}
}

// stalled tells the send lane that the disk keeps the store from writing, and gives back what waits for it.
func (b *Broker) stalled() bool {
	stalled := b.store.Stalled()
	if stalled && b.live.Load().BrokerFastFailureEnable {
		b.store.TurnAway(send.TurnedAway(b.store.Busy()))
	}
	return stalled
}

// set changes how long requests may wait.
func (l *lanes) set(w waits) {
	l.send.SetCleanBusy(w.fastFailure)
	l.send.SetMaxWait(w.send)
	l.pull.SetMaxWait(w.pull)
	l.litePull.SetMaxWait(w.litePull)
	l.heartbeat.SetMaxWait(w.heartbeat)
	l.transaction.SetMaxWait(w.transaction)
	l.ack.SetMaxWait(w.ack)
	l.admin.SetMaxWait(w.admin)
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
	b.clients = client.New(client.Options{Logger: b.o.Logger, Topics: b.topics, Groups: b.groups, Offsets: b.offsets, Sessions: b.sessions,
		Locks: b.locks, Store: b.store, Filters: b.filters, Settings: b.settings().client})
	b.mux.Add(b.static.Routes(b.clients.Routes(l.heartbeat, l.client, l.consumer))...)
	b.mux.Add(b.relay.Routes(l.admin, l.reply)...)
	b.admin = admin.New(b.adminOptions())
	b.mux.Add(b.static.Routes(b.admin.Routes(l.admin, l.query))...)
}

func (b *Broker) adminOptions() admin.Options {
	o := &b.o
	var t admin.Timer
	if b.timer != nil {
		t = b.timer
	}
	return admin.Options{Timer: t, Logger: o.Logger, BrokerName: o.BrokerName, BrokerAddr: o.Addr(), Topics: b.topics, Mappings: b.mappings, Groups: b.groups, Offsets: b.offsets,
		Sessions: b.sessions, Stats: b.stats, Auth: b.auth, ForgetTopic: b.trans.ForgetTopic, Store: b.store, Cleaner: b.store,
		Register: func(ctx context.Context) {
			if r := b.registrar.Load(); r != nil {
				_ = r.Register(ctx) // the registrar logs failures and tries again
			}
		},
		Config:        b.config,
		ConfigVersion: b.version,
		UpdateConfig:  b.updateConfig,
		DelayOffsets:  func() body.DelayOffsetTable { return b.scheduler.Table() },
		Runtime:       b.runtime,
		Lanes: []admin.Lane{{Key: "sendThreadPoolQueue", Lane: b.lanes.send}, {Key: "pullThreadPoolQueue", Lane: b.lanes.pull}, {Key: "queryThreadPoolQueue", Lane: b.lanes.query},
			{Key: "litePullThreadPoolQueue", Lane: b.lanes.litePull}, {Key: "ackThreadPoolQueue", Lane: b.lanes.ack}},
		EndTransaction: b.lanes.transaction, Settings: b.settings().admin}
}

// runtime gathers the figures of GET_BROKER_RUNTIME_INFO that only the broker knows.
func (b *Broker) runtime() admin.Runtime {
	st, o := b.store.Stats(), b.store.Options()
	return admin.Runtime{Active: true, RootDir: o.StorePathRootDir, CommitLogDirs: o.SplitPath(o.StorePathCommitLog),
		ConsumeQueueDir: filepath.Join(o.StorePathRootDir, "consumequeue"), CommitLogMin: st.MinPhysical, CommitLogMax: st.MaxPhysical,
		Flushed: st.Flushed, Dispatched: st.Dispatched, EarliestStoreTime: b.store.EarliestTime(), AppendLocked: b.store.Busy(), LongestGet: b.store.Meters().LongestGet,
		PutFailed: st.Failed, Refusal: st.Refusal, AcceptSendFrom: b.live.Load().StartAcceptSendRequest, DelayOffsets: b.scheduler.Offsets()}
}
