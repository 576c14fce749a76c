// Package peer holds the calls the broker makes to other servers of the cluster on its own account: it
// registers with the name servers, so that clients find its topics. Java: BrokerOuterAPI and the
// registration of BrokerController.
//
// Each name server has a goroutine of its own that registers at once, when topics change, and every
// period: one that is down or hangs holds up nobody else. Changes that come while a registration is on
// its way are told by one more, with all topics. A further goroutine exists while name servers are looked
// up by DNS, and one while they are asked for by HTTP. Close ends all of them, and unregisters.
//
// A registration always holds the whole topic table. Java also sends single changed topics; a name server
// that has just started refuses those.
//
// Lock order: Registrar.lists, Registrar.mu, then nameServer.mu; the body's mutex is a leaf. No I/O happens under
// any, but that lists is held while those who leave the list end.
package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// Bounds of Options.Period. Java: BrokerController.startBasicService.
const (
	minPeriod = 10 * time.Second
	maxPeriod = 60 * time.Second
)

const (
	// retryAfter is how long after a registration that failed the next one follows at the latest. It is
	// the delay of Java's first repetition.
	retryAfter = 10 * time.Second
	// unregisterTimeout is for all name servers together. Java: BrokerOuterAPI.unregisterBroker.
	unregisterTimeout = 3 * time.Second
)

// Topics is the topic table.
type Topics interface {
	// All returns all configurations; nothing of it is changed.
	All() []*body.TopicConfig
	// DataVersion changes with the table.
	DataVersion() body.DataVersion
}

// Options are what a Registrar needs. Names are those of Java's BrokerConfig where it has them.
type Options struct {
	Logger       zerolog.Logger
	ClusterName  string // brokerClusterName
	BrokerName   string
	BrokerID     int64
	BrokerAddr   string // "ip:port", announced to clients
	HAServerAddr string // "ip:port", announced to slaves
	// NameServers is namesrvAddr: "host:port;host:port". Hosts may be names. Empty: none.
	NameServers string
	// DNSLookup is fetchNameSrvAddrByDnsLookup: every address a host has counts as a name server, looked up
	// again every two minutes. Without it a name is one name server.
	DNSLookup bool
	// Period is registerNameServerPeriod; it is brought into 10 to 60 s. 0: 30 s.
	Period time.Duration
	// Timeout is registerBrokerTimeoutMills; 0: 24 s.
	Timeout time.Duration
	// ForceRegister registers every period; without it the name server is first asked whether it knows the
	// present version of the topic table.
	ForceRegister bool
	// CompressedRegister deflates the body.
	CompressedRegister bool
	// Permission returns brokerPermission, by which each topic's is limited; nil: no limit.
	Permission func() int32
	Topics     Topics
	// Mappings returns what clients are told of static topics; the version of Topics changes with it. nil: none.
	Mappings func() (map[string]body.Raw, error)
	// OnOrderTopics is given the topics that the name servers' ORDER_TOPIC_CONFIG names, on the goroutine
	// of a name server; it may be nil.
	OnOrderTopics func(topics []string)
	// AddressServer is a URL that gives the list of name servers while NameServers is empty and SetNameServers was not
	// called, asked every FetchEvery, 0: 10 s; "": nobody is asked. Java: fetchNamesrvAddrByAddressServer.
	AddressServer string
	FetchEvery    time.Duration
	// Lookup resolves a host; nil: net.DefaultResolver.LookupHost.
	Lookup func(ctx context.Context, host string) ([]string, error)
}

func (o Options) withDefaults() (Options, error) {
	if o.Topics == nil || o.BrokerName == "" || o.BrokerAddr == "" || o.ClusterName == "" {
		return o, errors.New("BUG: peer needs a topic table and the broker's cluster, name and address")
	}
	if o.Period == 0 {
		o.Period = 30 * time.Second
	}
	o.Period = min(max(o.Period, minPeriod), maxPeriod)
	if o.FetchEvery <= 0 {
		o.FetchEvery = 10 * time.Second
	}
	o.FetchEvery = max(o.FetchEvery, leastFetch)
	if o.Timeout <= 0 {
		o.Timeout = 24 * time.Second
	}
	return o, nil
}

// Registrar keeps the broker registered. All methods are safe from any goroutine.
type Registrar struct {
	o      Options
	client *rpc.Client
	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup
	asked  atomic.Uint64 // counts requests to register
	body   bodyCache

	masters masters
	// lists is held over a change of the list, outside of mu. told: SetNameServers was called.
	lists sync.Mutex
	told  bool

	relook chan struct{} // holds one token when names changed; with DNSLookup only

	mu      sync.Mutex
	names   []string // to be looked up; with DNSLookup only
	servers map[string]*nameServer
	closed  bool
}

// Open starts registering with all name servers; it waits for none of them. The broker must be serving
// already.
func Open(o Options) (*Registrar, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	addrs, err := ParseNameServers(o.NameServers)
	if err != nil {
		return nil, err
	}
	r := &Registrar{o: o, client: rpc.New(rpc.Options{Logger: o.Logger}), servers: map[string]*nameServer{}, relook: make(chan struct{}, 1)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if o.DNSLookup {
		r.names = addrs
		r.wg.Go(r.lookup)
	} else {
		r.set(addrs)
	}
	if len(addrs) == 0 && o.AddressServer != "" {
		r.wg.Go(r.fetch)
	}
	return r, nil
}

// ParseNameServers splits namesrvAddr into addresses; blanks and empty parts are dropped.
func ParseNameServers(list string) ([]string, error) {
	var out []string
	for addr := range strings.SplitSeq(list, ";") {
		if addr = strings.TrimSpace(addr); addr == "" || slices.Contains(out, addr) {
			continue
		}
		if i := strings.LastIndexByte(addr, ':'); i <= 0 || i == len(addr)-1 {
			return nil, fmt.Errorf("cannot use name server %q: it is not like host:port", addr)
		}
		out = append(out, addr)
	}
	return out, nil
}

// SetNameServers replaces the list of name servers. The broker is not unregistered from those that leave
// it: they forget it when its connection ends, which is now. With DNSLookup it does not wait for the lookup.
func (r *Registrar) SetNameServers(list string) error {
	addrs, err := ParseNameServers(list)
	if err != nil {
		return err
	}
	r.lists.Lock()
	defer r.lists.Unlock()
	r.told = true
	r.replace(addrs)
	return nil
}

func (r *Registrar) replace(addrs []string) {
	if !r.o.DNSLookup {
		r.set(addrs)
		return
	}
	r.mu.Lock()
	r.names = addrs
	r.mu.Unlock()
	select {
	case r.relook <- struct{}{}:
	default:
	}
}

// NameServers returns the addresses in use, in order.
func (r *Registrar) NameServers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.servers))
	for addr := range r.servers {
		out = append(out, addr)
	}
	slices.Sort(out)
	return out
}

func (r *Registrar) set(addrs []string) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	var gone []*nameServer
	for addr, n := range r.servers {
		if !slices.Contains(addrs, addr) {
			delete(r.servers, addr)
			gone = append(gone, n)
		}
	}
	for _, addr := range addrs {
		if r.servers[addr] == nil {
			n := newNameServer(r, addr)
			r.servers[addr] = n
			r.wg.Go(n.run)
		}
	}
	r.mu.Unlock()
	for _, n := range gone {
		n.cancel()
		<-n.ended
		r.client.Disconnect(n.addr)
		r.o.Logger.Info().Str("nameServer", n.addr).Msg("name server left the list")
	}
}

func (r *Registrar) all() []*nameServer {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*nameServer, 0, len(r.servers))
	for _, n := range r.servers {
		out = append(out, n)
	}
	return out
}

// Changed asks for a registration with every name server, because topics changed. It does not wait.
func (r *Registrar) Changed() { r.ask() }

func (r *Registrar) ask() uint64 {
	asked := r.asked.Add(1)
	for _, n := range r.all() {
		n.nudge()
	}
	return asked
}

// Register asks for a registration and waits until every name server has answered it, or has failed to,
// or ctx ends. The error names those that failed.
func (r *Registrar) Register(ctx context.Context) error {
	asked := r.ask()
	var problems []error
	for _, n := range r.all() {
		problems = append(problems, n.wait(ctx, asked))
	}
	return errors.Join(problems...)
}

// Close stops registering and takes the broker out of all name servers, which it gives three seconds.
// Calling it again is harmless.
func (r *Registrar) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	if closed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), unregisterTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range r.all() {
		wg.Go(func() {
			if err := n.unregister(ctx); err != nil {
				r.o.Logger.Warn().Err(err).Str("nameServer", n.addr).Msg("cannot unregister from name server")
			}
		})
	}
	wg.Wait()
	return r.client.Close()
}
