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

// forget makes the next call ask the name servers.
func (m *masters) forget() {
	m.mu.Lock()
	m.asked = time.Time{}
	m.mu.Unlock()
}

// get returns the address that is known, "" when there is none, and whether it need not be asked for again.
func (m *masters) get(broker string) (addr string, fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addrs[broker], m.addrs[broker] != "" && time.Since(m.asked) < mastersFor
}

func (m *masters) set(info *body.ClusterInfo) {
	addrs := make(map[string]string, len(info.BrokerAddrTable))
	for name, g := range info.BrokerAddrTable {
		addrs[name] = g.BrokerAddrs[masterID]
	}
	m.mu.Lock()
	m.addrs, m.asked = addrs, time.Now()
	m.mu.Unlock()
}

// master returns where the master of a broker group is: as one of the name servers says or, when none can be asked,
// as one said last.
func (r *Registrar) master(ctx context.Context, broker string) (string, error) {
	known, fresh := r.masters.get(broker)
	if fresh {
		return known, nil
	}
	err := ErrNoNameServer
	for _, n := range r.all() {
		var info body.ClusterInfo
		if info, err = n.cluster(ctx); err != nil {
			continue
		}
		r.masters.set(&info)
		if known, _ = r.masters.get(broker); known != "" {
			return known, nil
		}
		err = fmt.Errorf("cannot find addr for broker %s", broker) // Java's text
	}
	if known != "" {
		return known, nil
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
