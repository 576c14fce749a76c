// Package namesrv is the name server: it knows which brokers live and which topics they have, tells
// clients the route of a topic, and keeps a small table of configuration values. Name servers know nothing
// of each other; a broker registers with each.
//
// Goroutines, all ended by Close: the event loops and lanes of remoting; the remover, which takes brokers
// out of the tables, as many at once as are waiting (removal.go); the scanner, which finds brokers that
// have gone silent (expiry.go); the notifier, if brokers are to be told of a new smallest broker id
// (notify.go).
//
// Lock order: kvTable.writing, topology.mu, then kvTable.mu, routeCache.mu or remover.mu. No I/O happens
// under any of them but kvTable.writing, which only those who change a value take; what there is to log
// under topology.mu is written behind it.
//
// Files: kvConfig.json as Java's KVConfigManager writes it, {"configTable":{namespace:{key:value}}},
// replaced whole by each change, with the version before beside it as kvConfig.json.bak. Beside it, in the same
// way, skylarkOverrides.properties: what was changed at run time. Routes are in memory only, brokers bring them
// again.
package namesrv

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/server"
)

// drainTime bounds how long Close waits for replies to leave.
const drainTime = time.Second

// Server is a running name server.
type Server struct {
	o        Options // as of the start: what may change is read from topology.current
	started  time.Time
	kv       *kvTable
	topology *topology
	remover  *remover
	notifier *notifier // nil unless Options.NotifyMinBrokerIDChanged
	mux      *mux.Mux
	net      *server.Server

	updating sync.Mutex    // a change of the configuration
	retimed  chan struct{} // the scanner's interval has changed

	stop    chan struct{} // ends the scanner
	wg      sync.WaitGroup
	closing sync.Once
	err     error
}

// Open reads the KV configuration and starts to serve. It fails when the port is taken or the KV
// configuration is there but cannot be read.
func Open(o Options) (*Server, error) {
	if o.overrides == nil {
		if err := o.LoadOverrides(); err != nil {
			return nil, err
		}
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.ClusterTest {
		o.Logger.Warn().Str("productEnvName", o.ProductEnvName).Msg("clusterTest has no effect: topics that are unknown here are not looked up elsewhere")
	}
	o.KnownKeys = properties.Names(&o, o.KnownKeys)
	s := &Server{o: o, started: o.Now(), retimed: make(chan struct{}, 1), stop: make(chan struct{})}
	if s.kv, err = openKV(o.KVConfigPath, o.Logger); err != nil {
		return nil, err
	}
	s.topology = newTopology(&s.o, s.kv)
	s.kv.onChange = s.topology.forgetRoutes
	s.remover = newRemover(s.topology, int(o.UnRegisterBrokerQueueCapacity), s.notify)
	if o.NotifyMinBrokerIDChanged {
		s.notifier = newNotifier(o.Logger)
	}
	s.mux = mux.New(mux.Options{Logger: o.Logger})
	s.mux.Add(s.routes()...)
	s.net, err = server.Open(server.Options{
		Logger: o.Logger, Bind: o.BindAddress, Ports: []int{int(o.ListenPort)}, Mux: s.mux,
		MaxIdle: time.Duration(o.ServerChannelMaxIdleTimeSeconds) * time.Second,
	})
	if err != nil {
		s.closeBehindNet()
		return nil, fmt.Errorf("cannot start the name server: %w", err)
	}
	s.wg.Go(s.scan)
	return s, nil
}

// Addr returns the address the server listens on, "bind address:port".
func (s *Server) Addr() string {
	return net.JoinHostPort(s.o.BindAddress, strconv.Itoa(int(s.o.ListenPort)))
}

// Close answers what has arrived, closes all connections and waits for every goroutine. Closing twice is
// fine.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.net.Refuse()
		s.mux.Close() // the lanes finish; the remover they may wait for still runs
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		s.net.Drain(ctx)
		cancel()
		if err := s.net.Close(); err != nil {
			s.err = fmt.Errorf("cannot close the name server's port: %w", err)
		}
		s.closeBehindNet()
	})
	return s.err
}

// closeBehindNet ends what the network part uses.
func (s *Server) closeBehindNet() {
	close(s.stop)
	s.wg.Wait()
	s.mux.Close()
	s.remover.close()
	if s.notifier != nil {
		s.notifier.close()
	}
}

// notify passes on that groups have a new smallest broker id.
func (s *Server) notify(changes []minIDChange) {
	if s.notifier != nil {
		s.notifier.add(changes)
	}
}

// ready tells whether routes may be given out. Java: needWaitForService, waitSecondsForService.
func (s *Server) ready() bool {
	o := s.topology.current.Load()
	return !o.NeedWaitForService || o.Now().Sub(s.started) >= time.Duration(o.WaitSecondsForService)*time.Second
}

// AddressList returns what the HTTP listener is to tell those who ask for name servers: the list, "" for this one, the
// subgroup that they must ask for, and the port of this one.
func (s *Server) AddressList() (list, subGroup string, port int32) {
	return s.o.NameServers, s.o.AddressServerSubGroup, s.o.ListenPort
}
