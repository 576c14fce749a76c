package peer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/remoting/server"
)

const limit = 10 * time.Second

// nameServerStub is a name server that keeps what it is told.
type nameServerStub struct {
	t        *testing.T
	addr     string
	requests chan *protocol.Command // what it has answered, in order
	srv      *server.Server
	m        *mux.Mux

	mu      sync.Mutex
	answers map[int32]func(*protocol.Command) *protocol.Command // by code; nil: success
	hold    chan struct{}                                       // not nil: registrations wait for it
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func startStub(t *testing.T, port int) *nameServerStub {
	s := &nameServerStub{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), requests: make(chan *protocol.Command, 100),
		answers: map[int32]func(*protocol.Command) *protocol.Command{}}
	s.m = mux.New(mux.Options{Logger: zerolog.Nop()})
	lane := s.m.NewLane(mux.LaneOptions{Name: "ns", Workers: 4, Capacity: 100})
	for _, code := range []int32{protocol.RegisterBroker, protocol.UnregisterBroker, protocol.QueryDataVersion} {
		s.m.Add(mux.Route{Code: code, Lane: lane, Handle: s.handle})
	}
	var err error
	s.srv, err = server.Open(server.Options{Logger: zerolog.Nop(), Bind: "127.0.0.1", Ports: []int{port}, Mux: s.m, Loops: 1})
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

func (s *nameServerStub) close() {
	s.mu.Lock()
	if s.hold != nil {
		close(s.hold)
		s.hold = nil
	}
	s.mu.Unlock()
	s.m.Close()
	require.NoError(s.t, s.srv.Close())
}

func (s *nameServerStub) handle(r *mux.Request) *protocol.Command {
	cmd := r.Cmd.Clone()
	s.mu.Lock()
	answer, hold := s.answers[cmd.Code], s.hold
	s.mu.Unlock()
	s.requests <- cmd
	if cmd.Code == protocol.RegisterBroker && hold != nil {
		<-hold
	}
	if answer != nil {
		return answer(cmd)
	}
	return protocol.NewResponse(protocol.Success, "")
}

func (s *nameServerStub) answer(code int32, fn func(*protocol.Command) *protocol.Command) {
	s.mu.Lock()
	s.answers[code] = fn
	s.mu.Unlock()
}

// holdBack makes registrations wait until the channel is closed, by close at the latest.
func (s *nameServerStub) holdBack() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = make(chan struct{})
	return s.hold
}

// next returns the next request and checks its code.
func (s *nameServerStub) next(code int32) *protocol.Command {
	s.t.Helper()
	select {
	case cmd := <-s.requests:
		require.Equal(s.t, code, cmd.Code)
		return cmd
	case <-time.After(limit):
		require.Fail(s.t, "no request came")
		return nil
	}
}

func (s *nameServerStub) nextTopics(t *testing.T) (header.RegisterBrokerRequest, body.TopicConfigAndMappingSerializeWrapper) {
	t.Helper()
	cmd := s.next(protocol.RegisterBroker)
	var h header.RegisterBrokerRequest
	require.NoError(t, protocol.DecodeHeader(cmd.Ext, &h))
	require.EqualValues(t, crc32.ChecksumIEEE(cmd.Body)&0x7fffffff, h.BodyCRC32)
	var b body.RegisterBrokerBody
	if h.Compressed {
		require.NoError(t, b.DecodeCompressed(cmd.Body, true))
	} else {
		require.NoError(t, body.Unmarshal(cmd.Body, &b))
	}
	return h, b.TopicConfigSerializeWrapper
}

// table is a topic table.
type table struct {
	mu      sync.Mutex
	topics  []*body.TopicConfig
	version body.DataVersion
}

func newTable(names ...string) *table {
	t := &table{version: body.DataVersion{Timestamp: 1700000000000}}
	for _, n := range names {
		t.add(n)
	}
	return t
}

func (t *table) add(name string) {
	c := body.NewTopicConfig(name)
	t.mu.Lock()
	t.topics = append(t.topics[:len(t.topics):len(t.topics)], &c)
	t.version.Counter++
	t.mu.Unlock()
}

func (t *table) All() []*body.TopicConfig {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.topics
}

func (t *table) DataVersion() body.DataVersion {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

func options(topics Topics, servers string) Options {
	return Options{Logger: zerolog.Nop(), ClusterName: "c1", BrokerName: "b1", BrokerAddr: "10.0.0.1:10911", HAServerAddr: "10.0.0.2:10912",
		NameServers: servers, ForceRegister: true, Topics: topics}
}

func open(t *testing.T, o Options) *Registrar {
	t.Helper()
	r, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func register(t *testing.T, r *Registrar) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return r.Register(ctx)
}

func TestRegistersAtOnceOnChangeAndUnregisters(t *testing.T) {
	ns := startStub(t, freePort(t))
	topics := newTable("t1", "t2")
	r := open(t, options(topics, ns.addr))
	h, w := ns.nextTopics(t)
	notActing := false
	require.Equal(t, header.RegisterBrokerRequest{BrokerName: "b1", BrokerAddr: "10.0.0.1:10911", ClusterName: "c1", HAServerAddr: "10.0.0.2:10912",
		EnableActingMaster: &notActing, BodyCRC32: h.BodyCRC32}, h)
	require.Equal(t, topics.version, w.DataVersion)
	require.Len(t, w.TopicConfigTable, 2)
	require.EqualValues(t, 6, w.TopicConfigTable["t1"].Perm)

	topics.add("t3")
	require.NoError(t, register(t, r))
	_, w = ns.nextTopics(t)
	require.EqualValues(t, 3, w.DataVersion.Counter)
	require.Contains(t, w.TopicConfigTable, "t3")

	require.NoError(t, r.Close())
	cmd := ns.next(protocol.UnregisterBroker)
	var u header.UnRegisterBrokerRequest
	require.NoError(t, protocol.DecodeHeader(cmd.Ext, &u))
	require.Equal(t, header.UnRegisterBrokerRequest{BrokerName: "b1", BrokerAddr: "10.0.0.1:10911", ClusterName: "c1"}, u)
	require.NoError(t, r.Close())
	require.Empty(t, ns.requests)
	require.Error(t, register(t, r), "a closed registrar registers nothing")
}

func TestChangesMeanwhileMakeOneRegistration(t *testing.T) {
	ns := startStub(t, freePort(t))
	hold := ns.holdBack()
	topics := newTable("t1", "t2")
	r := open(t, options(topics, ns.addr))
	ns.next(protocol.RegisterBroker)
	for i := range 50 {
		topics.add(fmt.Sprintf("more%d", i))
		r.Changed()
	}
	ns.mu.Lock()
	ns.hold = nil
	ns.mu.Unlock()
	close(hold)
	_, w := ns.nextTopics(t)
	require.Len(t, w.TopicConfigTable, 52)
	require.NoError(t, register(t, r))
	ns.next(protocol.RegisterBroker)
	require.Empty(t, ns.requests)
}

func TestNameServersDoNotWaitForEachOther(t *testing.T) {
	good, hung := startStub(t, freePort(t)), startStub(t, freePort(t))
	hung.holdBack()
	down := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	topics := newTable("t1", "t2")
	r := open(t, options(topics, down+"; "+hung.addr+";"+good.addr+";"))
	require.Len(t, r.NameServers(), 3)
	good.next(protocol.RegisterBroker)
	hung.next(protocol.RegisterBroker)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Register(ctx) }()
	good.next(protocol.RegisterBroker)
	for _, n := range r.all() {
		if n.addr == good.addr {
			require.NoError(t, n.wait(context.Background(), r.asked.Load()))
		}
	}
	cancel()
	err := <-done
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, hung.addr)
	require.NotContains(t, err.Error(), good.addr)
	require.NoError(t, r.Close())
	good.next(protocol.UnregisterBroker)
}

func TestUnchangedTablesAreOnlyAskedAbout(t *testing.T) {
	topics := newTable("t1", "t2")
	version := func(v body.DataVersion) []byte {
		b, err := body.Marshal(v)
		require.NoError(t, err)
		return b
	}
	other := topics.version
	other.Counter++
	for name, c := range map[string]struct {
		answer    *protocol.Command
		registers bool
	}{
		"same":       {protocol.Reply(header.QueryDataVersionResponse{}, version(topics.version)), false},
		"unchanged":  {protocol.Reply(header.QueryDataVersionResponse{}, nil), false},
		"changed":    {protocol.Reply(header.QueryDataVersionResponse{Changed: true}, nil), true},
		"other":      {protocol.Reply(header.QueryDataVersionResponse{}, version(other)), true},
		"too old":    {protocol.NewResponse(protocol.RequestCodeNotSupported, "no"), true},
		"unreadable": {protocol.Reply(header.QueryDataVersionResponse{}, []byte("{")), true},
	} {
		t.Run(name, func(t *testing.T) {
			ns := startStub(t, freePort(t))
			ns.answer(protocol.QueryDataVersion, func(*protocol.Command) *protocol.Command { return c.answer })
			r := open(t, options(topics, ns.addr))
			ns.next(protocol.RegisterBroker)
			n := r.all()[0]
			require.NoError(t, n.register(false))
			cmd := ns.next(protocol.QueryDataVersion)
			require.JSONEq(t, string(version(topics.version)), string(cmd.Body))
			if c.registers {
				ns.next(protocol.RegisterBroker)
			}
			require.Empty(t, ns.requests)
			require.NoError(t, n.register(true))
			ns.next(protocol.RegisterBroker)
		})
	}
}

func TestBrokerPermissionLimitsTopics(t *testing.T) {
	ns := startStub(t, freePort(t))
	topics := newTable("t1", "t2")
	topics.topics[1].Perm = 7
	permission := int32(4)
	o := options(topics, ns.addr)
	var mu sync.Mutex
	o.Permission = func() int32 {
		mu.Lock()
		defer mu.Unlock()
		return permission
	}
	r := open(t, o)
	_, w := ns.nextTopics(t)
	require.EqualValues(t, 4, w.TopicConfigTable["t1"].Perm)
	require.EqualValues(t, 4, w.TopicConfigTable["t2"].Perm)
	require.EqualValues(t, 7, topics.topics[1].Perm, "the table itself stays")
	mu.Lock()
	permission = 6
	mu.Unlock()
	require.NoError(t, register(t, r))
	_, w = ns.nextTopics(t)
	require.EqualValues(t, 6, w.TopicConfigTable["t1"].Perm)
	require.EqualValues(t, 6, w.TopicConfigTable["t2"].Perm)
}

func TestCompressedBodySaysSo(t *testing.T) {
	ns := startStub(t, freePort(t))
	o := options(newTable("t1", "t2", "t3"), ns.addr)
	o.CompressedRegister = true
	open(t, o)
	h, w := ns.nextTopics(t)
	require.True(t, h.Compressed)
	require.Len(t, w.TopicConfigTable, 3)
}

func TestOneTopicIsNotRegistered(t *testing.T) {
	ns := startStub(t, freePort(t))
	r := open(t, options(newTable("t1"), ns.addr))
	require.ErrorIs(t, register(t, r), errOneTopic)
	require.Empty(t, ns.requests)
}

func TestOrderTopicsAreHandedOn(t *testing.T) {
	ns := startStub(t, freePort(t))
	ns.answer(protocol.RegisterBroker, func(*protocol.Command) *protocol.Command {
		return protocol.Reply(nil, []byte(`{"table":{"t2":"b1:8","t1":"b1:4"}}`))
	})
	got := make(chan []string, 10)
	o := options(newTable("t1", "t2"), ns.addr)
	o.OnOrderTopics = func(topics []string) { got <- topics }
	r := open(t, o)
	require.NoError(t, register(t, r))
	require.Equal(t, []string{"t1", "t2"}, <-got)
	for _, reply := range []string{`{"table":{}}`, `nonsense`} {
		ns.answer(protocol.RegisterBroker, func(*protocol.Command) *protocol.Command { return protocol.Reply(nil, []byte(reply)) })
		for len(got) > 0 {
			<-got
		}
		require.NoError(t, register(t, r))
		require.Empty(t, got)
	}
}

func TestRefusalIsAnErrorAndIsRetried(t *testing.T) {
	ns := startStub(t, freePort(t))
	ns.answer(protocol.RegisterBroker, func(*protocol.Command) *protocol.Command {
		return protocol.NewResponse(protocol.SystemError, "register broker failed")
	})
	r := open(t, options(newTable("t1", "t2"), ns.addr))
	err := register(t, r)
	var pe *protocol.Error
	require.ErrorAs(t, err, &pe)
	require.Equal(t, "register broker failed", pe.Remark)
	ns.answer(protocol.RegisterBroker, nil)
	require.NoError(t, register(t, r))
}

func TestNameServerThatRestartsIsFoundAgain(t *testing.T) {
	port := freePort(t)
	ns := startStub(t, port)
	r := open(t, options(newTable("t1", "t2"), ns.addr))
	ns.next(protocol.RegisterBroker)
	ns.m.Close()
	require.NoError(t, ns.srv.Close())
	require.Error(t, register(t, r))
	again := startStub(t, port)
	require.NoError(t, register(t, r))
	again.next(protocol.RegisterBroker)
}

func TestNameServerListCanChange(t *testing.T) {
	first, second := startStub(t, freePort(t)), startStub(t, freePort(t))
	r := open(t, options(newTable("t1", "t2"), first.addr))
	first.next(protocol.RegisterBroker)
	require.NoError(t, r.SetNameServers(second.addr))
	second.next(protocol.RegisterBroker)
	require.Equal(t, []string{second.addr}, r.NameServers())
	require.NoError(t, register(t, r))
	second.next(protocol.RegisterBroker)
	require.ErrorContains(t, r.SetNameServers("nonsense"), "nonsense")
	require.NoError(t, r.SetNameServers(""))
	require.NoError(t, register(t, r))
	require.Empty(t, first.requests)
	require.Empty(t, second.requests)
}

func TestNamesAreLookedUp(t *testing.T) {
	ns := startStub(t, freePort(t))
	_, port, err := net.SplitHostPort(ns.addr)
	require.NoError(t, err)
	o := options(newTable("t1", "t2"), "localhost:"+port)
	r := open(t, o)
	ns.next(protocol.RegisterBroker)
	require.NoError(t, r.Close())
	ns.next(protocol.UnregisterBroker)

	o.DNSLookup, o.NameServers = true, "names.test:"+port
	o.Lookup = func(_ context.Context, host string) ([]string, error) {
		require.Equal(t, "names.test", host)
		return []string{"127.0.0.1"}, nil
	}
	r = open(t, o)
	ns.next(protocol.RegisterBroker)
	require.Equal(t, []string{ns.addr}, r.NameServers())
	require.NoError(t, r.SetNameServers(o.NameServers+";names.test:1"))
	require.Eventually(t, func() bool { return len(r.NameServers()) == 2 }, limit, time.Millisecond)
	require.NoError(t, r.Close())

	o.NameServers = "localhost:" + port
	failed := make(chan struct{}, 10)
	o.Lookup = func(context.Context, string) ([]string, error) {
		failed <- struct{}{}
		return nil, errors.New("no such host")
	}
	ns.next(protocol.UnregisterBroker)
	r = open(t, o)
	<-failed
	ns.next(protocol.RegisterBroker)
	require.Equal(t, []string{"localhost:" + port}, r.NameServers())
}

func TestWithoutNameServersNothingHappens(t *testing.T) {
	r := open(t, options(newTable("t1", "t2"), " ; "))
	require.NoError(t, register(t, r))
	require.Empty(t, r.NameServers())
}

func TestOptionsAreChecked(t *testing.T) {
	for _, list := range []string{"host", "host:", ":9876", "a:1;b"} {
		_, err := Open(options(newTable(), list))
		require.Error(t, err, list)
	}
	_, err := Open(Options{})
	require.Error(t, err)
	for period, want := range map[time.Duration]time.Duration{0: 30 * time.Second, time.Second: 10 * time.Second, time.Hour: time.Minute, 20 * time.Second: 20 * time.Second} {
		o := options(newTable(), "")
		o.Period = period
		o, err := o.withDefaults()
		require.NoError(t, err)
		require.Equal(t, want, o.Period)
		require.Equal(t, 24*time.Second, o.Timeout)
	}
}
