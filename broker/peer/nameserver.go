package peer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// nameServer is one name server and the goroutine that registers with it.
type nameServer struct {
	r      *Registrar
	addr   string
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // holds one token when a registration is asked for
	ended  chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	served  uint64        // Registrar.asked as of the start of the last attempt
	err     error         // of the last attempt
	attempt chan struct{} // closed at the end of the next attempt
}

func newNameServer(r *Registrar, addr string) *nameServer {
	n := &nameServer{r: r, addr: addr, wake: make(chan struct{}, 1), ended: make(chan struct{}), attempt: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(r.ctx)
	return n
}

func (n *nameServer) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run registers until the registrar closes or the name server leaves the list.
func (n *nameServer) run() {
	defer close(n.ended)
	defer n.cancel()
	timer := time.NewTimer(n.r.o.Period)
	defer timer.Stop()
	told := true // the first attempt does not ask, whatever ForceRegister says
	failing, first := false, true
	for {
		select {
		case <-n.wake: // what it asks for is what comes now
			told = true
		default:
		}
		asked := n.r.asked.Load()
		err := n.register(told || n.r.o.ForceRegister)
		if n.ctx.Err() != nil {
			n.finish(asked, context.Cause(n.ctx))
			return
		}
		n.log(err, failing, first)
		failing, first = err != nil, false
		n.finish(asked, err)
		next := n.r.o.Period
		if failing {
			next = min(next, retryAfter)
		}
		timer.Reset(next)
		select {
		case <-n.ctx.Done():
			n.finish(n.r.asked.Load(), context.Cause(n.ctx))
			return
		case <-n.wake:
			told = true
		case <-timer.C:
			told = failing // a change that could not be told is told now
		}
	}
}

// log says what changed; that nothing did is no news.
func (n *nameServer) log(err error, failing, first bool) {
	l := n.r.o.Logger
	switch {
	case err != nil:
		l.Warn().Err(err).Msg("not registered with name server, trying again")
	case failing || first:
		l.Info().Str("nameServer", n.addr).Msg("registered with name server")
	default:
		l.Debug().Str("nameServer", n.addr).Msg("registered with name server again")
	}
}

func (n *nameServer) finish(asked uint64, err error) {
	n.mu.Lock()
	n.served, n.err = asked, err
	close(n.attempt)
	n.attempt = make(chan struct{})
	n.mu.Unlock()
}

// wait waits for the end of an attempt that began after asked.
func (n *nameServer) wait(ctx context.Context, asked uint64) error {
	for {
		n.mu.Lock()
		served, err, attempt := n.served, n.err, n.attempt
		n.mu.Unlock()
		if served >= asked {
			return err
		}
		select {
		case <-attempt:
		case <-n.ended:
			return fmt.Errorf("cannot register with name server %s: it left the list", n.addr)
		case <-ctx.Done():
			return fmt.Errorf("cannot register with name server %s: %w", n.addr, ctx.Err())
		}
	}
}

// register registers; unless it is forced it does so only when the name server does not know the present
// version of the topic table.
func (n *nameServer) register(force bool) error {
	o := &n.r.o
	data, err := n.r.body.get(o)
	if err != nil {
		return fmt.Errorf("cannot register with name server %s: %w", n.addr, err)
	}
	if !force && !n.changed(data) {
		return nil
	}
	notActing := false
	req := protocol.NewRequest(protocol.RegisterBroker, header.RegisterBrokerRequest{
		BrokerName: o.BrokerName, BrokerAddr: o.BrokerAddr, ClusterName: o.ClusterName, HAServerAddr: o.HAServerAddr, BrokerID: o.BrokerID,
		// The field's presence tells the name server that this is a broker of 5.x.
		EnableActingMaster: &notActing,
		// Java 5.5 always says false here, and its name server then cannot read the compressed body.
		Compressed: o.CompressedRegister, BodyCRC32: data.crc,
	})
	req.Body = data.bytes
	resp, err := n.call(n.ctx, req)
	if err != nil {
		return err
	}
	if len(resp.Body) == 0 || o.OnOrderTopics == nil {
		return nil
	}
	var order body.KVTable
	if err := body.Unmarshal(resp.Body, &order); err != nil {
		o.Logger.Warn().Err(err).Str("nameServer", n.addr).Msg("cannot read the name server's order topics")
		return nil
	}
	if len(order.Table) > 0 {
		o.OnOrderTopics(slices.Sorted(maps.Keys(order.Table)))
	}
	return nil
}

// changed asks whether the name server has another version of the topic table; one that does not say
// counts as yes. Asking also keeps the registration alive. Java: BrokerOuterAPI.needRegister.
func (n *nameServer) changed(data *registration) bool {
	o := &n.r.o
	req := protocol.NewRequest(protocol.QueryDataVersion, header.QueryDataVersionRequest{
		BrokerName: o.BrokerName, BrokerAddr: o.BrokerAddr, ClusterName: o.ClusterName, BrokerID: o.BrokerID})
	var err error
	if req.Body, err = body.Marshal(data.version); err != nil {
		return true
	}
	resp, err := n.call(n.ctx, req)
	if err != nil {
		return true
	}
	var h header.QueryDataVersionResponse
	var theirs body.DataVersion
	if protocol.DecodeHeader(resp.Ext, &h) != nil || h.Changed {
		return true
	}
	return len(resp.Body) > 0 && (body.Unmarshal(resp.Body, &theirs) != nil || theirs != data.version)
}

func (n *nameServer) unregister(ctx context.Context) error {
	o := &n.r.o
	_, err := n.call(ctx, protocol.NewRequest(protocol.UnregisterBroker, header.UnRegisterBrokerRequest{
		BrokerName: o.BrokerName, BrokerAddr: o.BrokerAddr, ClusterName: o.ClusterName, BrokerID: o.BrokerID}))
	return err
}

// call sends req and returns the answer if it is a success.
func (n *nameServer) call(ctx context.Context, req *protocol.Command) (*protocol.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, n.r.o.Timeout)
	defer cancel()
	resp, err := n.r.client.Invoke(ctx, n.addr, req)
	if err != nil {
		return nil, err
	}
	if resp.Code != protocol.Success {
		return nil, fmt.Errorf("name server %s refused request %d: %w", n.addr, req.Code, &protocol.Error{Code: resp.Code, Remark: resp.Remark})
	}
	return resp, nil
}
