// Package instance is what a producer or a consumer stands on: it knows where topics are, holds the connections,
// tells brokers that the client is there and hands on what brokers ask. Java: MQClientInstance, but that each
// producer and consumer has one of its own.
//
// Goroutines: one refreshes routes, one sends heartbeats, those of package rpc, and while a round of heartbeats
// lasts one for each broker. Close ends and awaits all.
package instance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/call"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// DefaultInstance is Java's instance name where none is given: ClientConfig.instanceName.
const DefaultInstance = "DEFAULT"

// Options of an instance.
type Options struct {
	client.Options
	// Producers are the producer groups to announce.
	Producers []string
	// Consumer returns the consumer group to announce as it is now; nil: none.
	Consumer func() body.ConsumerData
	// Handlers answer what brokers ask, by request code. They run on the connection's own goroutine, one after
	// the other, and must not wait for long.
	Handlers map[int32]func(addr string, cmd *protocol.Command) *protocol.Command
}

// Instance is one client as brokers see it. All methods are safe from any goroutine.
type Instance struct {
	o      Options
	id     string
	ids    *message.UniqKeys
	calls  call.Caller
	ctx    context.Context // ends when Close begins to let go
	cancel context.CancelFunc
	wg     sync.WaitGroup
	beat   chan struct{} // holds a token when heartbeats are due now

	namesrv atomic.Uint32 // which of Options.Namesrv is asked
	fetch   chan struct{} // a lock that a context can give up on: one at a time asks for a route

	mu        sync.RWMutex
	routes    map[string]*Route
	templates map[string]*Route           // of topics that do not exist yet: where their first message goes
	brokers   map[string]map[int64]string // addresses by broker name and id
	known     map[string]bool             // addresses of brokers that know this client
}

// Open returns an instance; it connects when it is used.
func Open(o Options) (*Instance, error) {
	if len(o.Namesrv) == 0 {
		return nil, client.ErrNoNamesrv
	}
	o.Options = o.Options.WithDefaults()
	ip := localIP(o.IP)
	if o.IP == "" {
		o.IP = ip.String()
	}
	if o.Instance == "" {
		o.Instance = strconv.Itoa(os.Getpid()) + "#" + strconv.FormatUint(rand.Uint64(), 36)
	}
	i := &Instance{o: o, id: o.IP + "@" + o.Instance, ids: message.NewUniqKeys(ip, rand.Uint32()), beat: make(chan struct{}, 1), fetch: make(chan struct{}, 1),
		routes: map[string]*Route{}, templates: map[string]*Route{}, brokers: map[string]map[int64]string{}, known: map[string]bool{}}
	i.namesrv.Store(rand.Uint32N(uint32(len(o.Namesrv))))
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.calls = call.Caller{RPC: rpc.New(rpc.Options{Logger: o.Logger, DialTimeout: o.Timeout, Handle: i.handle}), Credentials: o.Credentials}
	i.wg.Go(i.refresh)
	i.wg.Go(i.heartbeats)
	return i, nil
}

// localIP is the address of this machine: that of the options if it is one, or that of its first interface.
func localIP(given string) netip.Addr {
	if ip, err := netip.ParseAddr(given); err == nil {
		return ip
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
				return p.Addr()
			}
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// ClientID returns what brokers call this client.
func (i *Instance) ClientID() string { return i.id }

// NewID returns a new message id.
func (i *Instance) NewID() string { return string(i.ids.Append(nil, time.Now())) }

func (i *Instance) handle(addr string, cmd *protocol.Command) *protocol.Command {
	if h := i.o.Handlers[cmd.Code]; h != nil {
		return h(addr, cmd)
	}
	return protocol.NewResponse(protocol.RequestCodeNotSupported, fmt.Sprintf(" request type %d not supported", cmd.Code))
}

// Call sends one request and returns its answer. h is a struct of package header or nil, in the body: bytes, a
// value that becomes JSON, or nil. A code other than SUCCESS is returned as a *client.Error beside the answer. The
// time is bounded by ctx and by Options.Timeout.
func (i *Instance) Call(ctx context.Context, addr string, code int32, h, in any) (*protocol.Command, error) {
	return i.CallWithin(ctx, i.o.Timeout, addr, code, h, in)
}

// CallWithin is Call with a time of its own; 0: none but that of ctx.
func (i *Instance) CallWithin(ctx context.Context, timeout time.Duration, addr string, code int32, h, in any) (*protocol.Command, error) {
	return i.calls.Call(ctx, timeout, addr, code, h, in)
}

// Oneway sends a request that has no answer. No error means that it was queued.
func (i *Instance) Oneway(addr string, code int32, h, in any) error {
	return i.calls.Oneway(addr, code, h, in)
}

// Get is Call with the answer's body read into a T.
func Get[T any](ctx context.Context, i *Instance, addr string, code int32, h, in any) (*T, error) {
	resp, err := i.Call(ctx, addr, code, h, in)
	if err != nil {
		return nil, err
	}
	return call.Body[T](addr, code, resp)
}

// Fields is Call with the answer's header read into a T.
func Fields[T any](ctx context.Context, i *Instance, addr string, code int32, h any) (*T, error) {
	resp, err := i.Call(ctx, addr, code, h, nil)
	if err != nil {
		return nil, err
	}
	return call.Fields[T](addr, code, resp)
}

// Close takes the client off the brokers that know it, for as long as ctx allows, and ends all connections.
func (i *Instance) Close(ctx context.Context) error {
	i.cancel()
	i.wg.Wait()
	i.mu.RLock()
	addrs := make([]string, 0, len(i.known))
	for a := range i.known {
		addrs = append(addrs, a)
	}
	i.mu.RUnlock()
	var wg sync.WaitGroup
	for _, addr := range addrs {
		wg.Go(func() {
			for _, h := range i.farewells() {
				if _, err := i.Call(ctx, addr, protocol.UnregisterClient, h, nil); err != nil {
					i.o.Logger.Debug().Str("broker", addr).Err(err).Msg("cannot unregister")
				}
			}
		})
	}
	wg.Wait()
	return i.calls.RPC.Close()
}

func (i *Instance) farewells() []header.UnregisterClientRequest {
	var out []header.UnregisterClientRequest
	for _, g := range i.o.Producers {
		out = append(out, header.UnregisterClientRequest{ClientID: i.id, ProducerGroup: g})
	}
	if i.o.Consumer != nil {
		out = append(out, header.UnregisterClientRequest{ClientID: i.id, ConsumerGroup: i.o.Consumer().GroupName})
	}
	return out
}
