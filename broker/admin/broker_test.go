package admin

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/auth"
	"github.com/skylarkmq/skylark/broker/client"
	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/order"
	"github.com/skylarkmq/skylark/broker/relay"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/rpc"
	"github.com/skylarkmq/skylark/remoting/server"
	"github.com/skylarkmq/skylark/store"
)

// The names are those peer.sh gives the Java broker the goldens come from.
const (
	clusterName = "DefaultCluster"
	brokerName  = "broker-a"
)

// testBroker is a broker of real tables, a real store and these handlers.
type testBroker struct {
	addr       string
	o          Options
	store      *store.Store
	registered atomic.Int32 // how often the name servers would have been told
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startBroker starts a broker; change, which may be nil, is given the handlers' options before.
func startBroker(t *testing.T, change func(o *Options)) *testBroker {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	b := &testBroker{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	nop := zerolog.Nop()
	o := Options{Logger: nop, BrokerName: brokerName, BrokerAddr: b.addr, Settings: Settings{ValidateSystemTopicWhenUpdateTopic: true,
		ClearRetryTopicWhenDeleteTopic: true, EnableSplitMetadata: true, SplitMetadataSize: 2000}}
	var err error
	o.Topics, err = topic.Open(topic.Options{Path: filepath.Join(dir, "topics.json"), Logger: nop, BrokerName: brokerName, ClusterName: clusterName,
		DefaultTopicQueueNums: 8, AutoCreateTopicEnable: true, ClusterTopicEnable: true, BrokerTopicEnable: true, TimerWheelEnable: true, ReviveQueueNum: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Topics.Close()) })
	o.Mappings, err = mapping.Open(mapping.Options{Path: filepath.Join(dir, "topicQueueMapping.json"), Logger: nop, BrokerName: brokerName})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Mappings.Close()) })
	o.Groups, err = group.Open(group.Options{Path: filepath.Join(dir, "subscriptionGroup.json"), Logger: nop, AutoCreateSubscriptionGroup: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Groups.Close()) })
	o.Offsets, err = offset.Open(offset.Options{Path: filepath.Join(dir, "consumerOffset.json"), Logger: nop, UseServerSideResetOffset: true})
	require.NoError(t, err)
	o.Sessions = session.Open(session.Options{Logger: nop})
	t.Cleanup(o.Sessions.Close)
	o.Stats = stats.Open(stats.Options{ClusterName: clusterName, IsSystem: o.Topics.IsSystem})
	t.Cleanup(o.Stats.Close)
	o.Auth, err = auth.Open(auth.Options{Path: filepath.Join(dir, "auth.json"), Logger: nop,
		Settings: auth.Settings{AuthenticationMetadataProvider: auth.UserProvider, AuthorizationMetadataProvider: auth.ACLProvider}})
	require.NoError(t, err)
	so := store.DefaultOptions()
	so.StorePathRootDir, so.MappedFileSizeCommitLog, so.Logger = filepath.Join(dir, "store"), 1<<20, nop
	b.store, err = store.Open(so)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.Close()) })
	o.Store, o.Cleaner = b.store, b.store
	o.Register = func(context.Context) { b.registered.Add(1) }
	o.Config = func() []properties.KV { return []properties.KV{{Key: "b", Value: "2"}, {Key: "a", Value: "x=1"}} }
	o.ConfigVersion = func() body.DataVersion { return body.DataVersion{Counter: 3, Timestamp: 1700000000000} }
	o.DelayOffsets = func() body.DelayOffsetTable { return body.DelayOffsetTable{} }
	o.Runtime = func() Runtime {
		s := b.store.Stats()
		return Runtime{Active: true, RootDir: so.StorePathRootDir, CommitLogDirs: []string{filepath.Join(so.StorePathRootDir, "commitlog")},
			ConsumeQueueDir: filepath.Join(so.StorePathRootDir, "consumequeue"), CommitLogMin: s.MinPhysical, CommitLogMax: s.MaxPhysical,
			Flushed: s.Flushed, Dispatched: s.Dispatched, EarliestStoreTime: -1, DelayOffsets: map[int32][2]int64{3: {1, 4}}}
	}
	if change != nil {
		change(&o)
	}
	b.o = o
	b.serve(t, port)
	return b
}

func (b *testBroker) serve(t *testing.T, port int) {
	m := mux.New(mux.Options{Logger: zerolog.Nop()})
	lane := m.NewLane(mux.LaneOptions{Name: "admin", Workers: 4, Capacity: 100})
	for _, name := range []string{"send", "pull", "query", "litePull"} {
		b.o.Lanes = append(b.o.Lanes, Lane{name + "ThreadPoolQueue", lane})
	}
	s := send.New(send.Options{Logger: zerolog.Nop(), BrokerIP: "127.0.0.1", ClusterName: clusterName, StoreHost: netip.MustParseAddrPort(b.addr),
		Settings: send.Settings{RegionID: "DefaultRegion", Writable: true}, Store: b.store, Topics: b.o.Topics, Group: b.o.Groups.Get,
		OrderLocked: func(string) bool { return false }, Validate: topic.ValidateName, NoSend: topic.NoSend, Stats: b.o.Stats})
	m.Add(s.Routes(lane)...)
	c := client.New(client.Options{Logger: zerolog.Nop(), Topics: b.o.Topics, Groups: b.o.Groups, Offsets: b.o.Offsets, Sessions: b.o.Sessions,
		Locks: order.New(nil), Store: b.store})
	m.Add(c.Routes(lane, lane, lane)...)
	m.Add(New(b.o).Routes(lane, lane)...)
	r := relay.New(relay.Options{Logger: zerolog.Nop(), BrokerName: brokerName, Settings: relay.Settings{RegionID: "DefaultRegion", TraceOn: true, StoreReplyMessageEnable: true}, StoreHost: message.HostOf(netip.MustParseAddrPort(b.addr)),
		Topics: b.o.Topics, Groups: b.o.Groups, Offsets: b.o.Offsets, Sessions: b.o.Sessions, Store: b.store, Put: s.Put, UseServerSideResetOffset: true})
	m.Add(r.Routes(lane, lane)...)
	srv, err := server.Open(server.Options{Logger: zerolog.Nop(), Bind: "127.0.0.1", Ports: []int{port}, Mux: m, Loops: 1})
	require.NoError(t, err)
	t.Cleanup(func() {
		r.Close()
		m.Close()
		require.NoError(t, srv.Close())
	})
}

// clients are connections to one broker, by name.
type clients struct {
	t    *testing.T
	addr string
	open map[string]*rpc.Client
}

func newClients(t *testing.T, addr string) *clients {
	c := &clients{t: t, addr: addr, open: map[string]*rpc.Client{}}
	t.Cleanup(func() {
		for _, r := range c.open {
			require.NoError(t, r.Close())
		}
	})
	return c
}

func (c *clients) call(from string, cmd *protocol.Command) *protocol.Command {
	c.t.Helper()
	if c.open[from] == nil {
		c.open[from] = rpc.New(rpc.Options{Logger: zerolog.Nop()})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := c.open[from].Invoke(ctx, c.addr, cmd)
	require.NoError(c.t, err)
	return resp
}

// request makes a request with ext fields given as "name=value".
func request(code int32, text string, ext ...string) *protocol.Command {
	c := protocol.NewRequest(code, nil)
	for _, f := range ext {
		k, v, _ := strings.Cut(f, "=")
		c.Ext = append(c.Ext, protocol.Field{Key: k, Value: v})
	}
	if text != "" {
		c.Body = []byte(text)
	}
	return c
}
