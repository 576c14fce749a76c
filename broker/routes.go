package broker

import (
	"time"

	"github.com/skylarkmq/skylark/broker/client"
	"github.com/skylarkmq/skylark/remoting/mux"
)

// lanes are the bounded queues of the broker, each with the sizes of Java's executor of that name.
type lanes struct {
	send, pull, litePull, query, admin, client, consumer, heartbeat *mux.Lane
}

func (b *Broker) openLanes() lanes {
	o := &b.o
	lane := func(name string, workers, capacity int32, wait int64) *mux.Lane {
		if !o.BrokerFastFailureEnable {
			wait = 0
		}
		return b.mux.NewLane(mux.LaneOptions{Name: name, Workers: int(workers), Capacity: int(capacity), MaxWait: time.Duration(wait) * time.Millisecond})
	}
	return lanes{
		send:      lane("send", o.SendMessageThreadPoolNums, o.SendThreadPoolQueueCapacity, o.WaitTimeMillsInSendQueue),
		pull:      lane("pull", o.PullMessageThreadPoolNums, o.PullThreadPoolQueueCapacity, o.WaitTimeMillsInPullQueue),
		litePull:  lane("litePull", o.LitePullMessageThreadPoolNums, o.LitePullThreadPoolQueueCapacity, o.WaitTimeMillsInLitePullQueue),
		query:     lane("query", o.QueryMessageThreadPoolNums, o.QueryThreadPoolQueueCapacity, 0),
		admin:     lane("admin", o.AdminBrokerThreadPoolNums, o.AdminBrokerThreadPoolQueue, o.WaitTimeMillsInAdminBrokerQueue),
		client:    lane("clientManage", o.ClientManageThreadPoolNums, o.ClientManagerThreadPoolQueue, 0),
		consumer:  lane("consumerManage", o.ConsumerManageThreadPoolNums, o.ConsumerManagerThreadPoolQueue, 0),
		heartbeat: lane("heartbeat", o.HeartbeatThreadPoolNums, o.HeartbeatThreadPoolQueueCapacity, o.WaitTimeMillsInHeartbeatQueue),
	}
}

// addRoutes is the table of request codes: each package brings its rows. A code without a row is answered
// REQUEST_CODE_NOT_SUPPORTED.
func (b *Broker) addRoutes() {
	l := &b.lanes
	b.mux.Add(b.sender.Routes(l.send)...)
	b.mux.Add(b.puller.Routes(l.pull, l.litePull)...)
	b.mux.Add(client.New(client.Options{Logger: b.o.Logger, Topics: b.topics, Groups: b.groups, Offsets: b.offsets, Sessions: b.sessions,
		Locks: b.locks, Store: b.store}).Routes(l.heartbeat, l.client, l.consumer)...)
}
