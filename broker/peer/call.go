package peer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// masterID is the broker id of a group's master. Java: MixAll.MASTER_ID.
const masterID = 0

// mastersFor is how long an answer of the name servers about the cluster is good. Java: BrokerController refreshes it
// every 5 s.
const mastersFor = 5 * time.Second

// masters are the addresses of the cluster's masters by broker name.
type masters struct {
	mu    sync.Mutex // a leaf
	addrs map[string]string
	asked time.Time
}

// Call sends cmd to the master of another broker group and returns its answer, whatever its code.
// Java: RpcClientImpl.
func (r *Registrar) Call(ctx context.Context, broker string, cmd *protocol.Command) (*protocol.Command, error) {
	addr, err := r.master(ctx, broker)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Invoke(ctx, addr, cmd)
	if err != nil {
		r.masters.forget() // it may have moved
		return nil, fmt.Errorf("cannot ask broker %s: %w", broker, err)
	}
	return resp, nil
}

func (m *masters) forget() {
	m.mu.Lock()
	m.addrs = nil
	m.mu.Unlock()
}

func (m *masters) get(broker string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.asked) > mastersFor {
		return ""
	}
	return m.addrs[broker]
}

func (r *Registrar) master(ctx context.Context, broker string) (string, error) {
	if addr := r.masters.get(broker); addr != "" {
		return addr, nil
	}
	err := ErrNoNameServer
	for _, n := range r.all() {
		var info body.ClusterInfo
		if info, err = n.cluster(ctx); err != nil {
			continue
		}
		addrs := make(map[string]string, len(info.BrokerAddrTable))
		for name, g := range info.BrokerAddrTable {
			addrs[name] = g.BrokerAddrs[masterID]
		}
		r.masters.mu.Lock()
		r.masters.addrs, r.masters.asked = addrs, time.Now()
		r.masters.mu.Unlock()
		if addr := addrs[broker]; addr != "" {
			return addr, nil
		}
		err = fmt.Errorf("cannot find addr for broker %s", broker) // Java's text
	}
	return "", err
}

func (n *nameServer) cluster(ctx context.Context) (body.ClusterInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	var info body.ClusterInfo
	resp, err := n.call(ctx, protocol.NewRequest(protocol.GetBrokerClusterInfo, nil))
	if err != nil {
		return info, err
	}
	return info, body.Unmarshal(resp.Body, &info)
}
