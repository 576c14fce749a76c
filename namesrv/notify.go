package namesrv

import (
	"sync"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// maxChanges bounds the changes that wait to be told; brokers also ask for the members of their group.
const maxChanges = 1024

// minIDChange says that the smallest broker id of a group is another one now.
type minIDChange struct {
	addrs   map[int64]string // who is left
	offline string           // who has gone; empty when somebody came
	haAddr  string           // of the one that came
}

// notifyMinBrokerIDChangeRequest is the header of NOTIFY_MIN_BROKER_ID_CHANGE (905).
// Java: NotifyMinBrokerIdChangeRequestHeader; a name server leaves brokerName out.
type notifyMinBrokerIDChangeRequest struct {
	MinBrokerID       int64  `rmq:"minBrokerId"`
	MinBrokerAddr     string `rmq:"minBrokerAddr"`
	OfflineBrokerAddr string `rmq:"offlineBrokerAddr"`
	HABrokerAddr      string `rmq:"haBrokerAddr"`
}

// notifier tells brokers of changes, one after the other, as dialling one may take seconds.
type notifier struct {
	log    zerolog.Logger
	client *rpc.Client
	wake   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	changes []minIDChange
	closed  bool
}

func newNotifier(log zerolog.Logger) *notifier {
	n := &notifier{log: log, client: rpc.New(rpc.Options{Logger: log}), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go n.run()
	return n
}

func (n *notifier) add(changes []minIDChange) {
	if len(changes) == 0 {
		return
	}
	n.mu.Lock()
	if room := maxChanges - len(n.changes); len(changes) > room {
		n.log.Warn().Int("changes", len(changes)-room).Msg("brokers are not told of their group's smallest id, too many changes wait")
		changes = changes[:room]
	}
	n.changes = append(n.changes, changes...)
	n.mu.Unlock()
	n.signal()
}

func (n *notifier) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notifier) run() {
	defer close(n.ended)
	for range n.wake {
		n.mu.Lock()
		changes, closed := n.changes, n.closed
		n.changes = nil
		n.mu.Unlock()
		if closed {
			return
		}
		for _, c := range changes {
			n.tell(c)
		}
	}
}

// tell sends one change to everybody it concerns: those who are left, or those who were there before.
func (n *notifier) tell(c minIDChange) {
	ids := sortedKeys(c.addrs)
	smallest := ids[0]
	cmd := protocol.NewRequest(protocol.NotifyMinBrokerIDChange, &notifyMinBrokerIDChangeRequest{
		MinBrokerID: smallest, MinBrokerAddr: c.addrs[smallest], OfflineBrokerAddr: c.offline, HABrokerAddr: c.haAddr,
	})
	if c.offline == "" && len(ids) > 1 {
		ids = ids[1:]
	}
	for _, id := range ids {
		if err := n.client.Oneway(c.addrs[id], cmd); err != nil {
			n.log.Warn().Err(err).Msg("broker not told of its group's smallest id")
		}
	}
}

// close drops what waits and ends the goroutine.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	_ = n.client.Close() // ends a dial under way
	n.signal()
	<-n.ended
}
