package namesrv

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// quietConn is a connection that leads nowhere.
type quietConn struct {
	id      uint64
	written atomic.Int64
	calls   mux.Inflight
}

func (c *quietConn) ID() uint64             { return c.id }
func (c *quietConn) Remote() netip.AddrPort { return netip.AddrPort{} }
func (c *quietConn) LocalPort() int         { return 9876 }
func (c *quietConn) Close(string)           {}
func (c *quietConn) OnClose(func())         {}
func (c *quietConn) Calls() *mux.Inflight   { return &c.calls }

// Closed implements mux.Conn: a test's connection stays open.
func (c *quietConn) Closed() bool { return false }

// Congested implements mux.Conn.
func (c *quietConn) Congested() bool { return false }
func (c *quietConn) Write(b *mux.Buffer) {
	c.written.Add(int64(len(b.B)))
	b.Release()
}

// offline returns a server without network.
func offline(t testing.TB) *Server {
	t.Helper()
	o := DefaultOptions()
	o.KVConfigPath, o.Logger = filepath.Join(t.TempDir(), "kvConfig.json"), zerolog.Nop()
	o.OrderMessageEnable, o.SupportActingMaster, o.DeleteTopicWithBrokerRegistration = true, true, true
	o, err := o.withDefaults()
	require.NoError(t, err)
	kv, err := openKV(o.KVConfigPath, zerolog.Nop())
	require.NoError(t, err)
	s := &Server{o: o, kv: kv, stop: make(chan struct{})}
	s.topology = newTopology(&s.o, kv)
	s.remover = newRemover(s.topology, 10, s.notify)
	t.Cleanup(s.remover.close)
	return s
}

// FuzzRegister takes any body through the handler of REGISTER_BROKER: it is refused, or every route that
// comes of it is JSON.
func FuzzRegister(f *testing.F) {
	compressed := brokerC.compressed([]string{"TopicA 2 2 6 SINGLE_TAG {}", "TopicD 3 3 6 SINGLE_TAG"}, `{"bname":"b","currIdMap":{0:0},"topic":"TopicD"}`)
	f.Add([]byte(brokerB.body()), false, int32(513), int64(0))
	f.Add(compressed.Body, true, int32(513), int64(1))
	f.Add(compressed.Body, true, int32(399), int64(0))
	f.Add([]byte(`{"dataVersion":{},"topicConfigTable":{"a":null,"b":{}}}`), false, int32(1), int64(0))
	f.Add([]byte(`{"filterServerList":null,"topicConfigSerializeWrapper":null}`), false, int32(513), int64(0))
	f.Add([]byte(`{"topicConfigSerializeWrapper":{"topicConfigTable":{"a":{"topicName":"x\"y"},"b":{}},"topicQueueMappingInfoMap":{"a":{"bname":"n","currIdMap":{0:1}}}}}`), false, int32(513), int64(-1))
	s := offline(f)
	handle := mux.Handle(s.registerBroker)
	conn := &quietConn{id: 1}
	f.Fuzz(func(t *testing.T, data []byte, deflated bool, version int32, id int64) {
		g := registration{cluster: "c", name: "b", addr: "10.0.0.1:1", id: id, ext: []string{"compressed", "false", "enableActingMaster", "true"}}
		if deflated {
			g.ext[1] = "true"
		}
		cmd := request(protocol.RegisterBroker, string(data), append(g.ids(), append(g.ext, "haServerAddr", "h")...)...)
		cmd.Version = version
		resp := handle(&mux.Request{Conn: conn, Cmd: *cmd})
		require.Contains(t, []int32{protocol.Success, protocol.SystemError}, resp.Code)
		for topic := range s.topology.topics {
			b, err := s.topology.encodedRoute(routeQuery{topic: topic})
			require.NoError(t, err)
			require.True(t, json.Valid(b), "%s", b)
			_, err = s.topology.encodedRoute(routeQuery{topic: topic, bare: true})
			require.NoError(t, err)
		}
		s.topology.remove([]departure{{addr: brokerAddr{"c", g.addr}, name: "b", id: id}})
		require.Empty(t, s.topology.topics)
		require.Empty(t, s.topology.groups)
		require.Empty(t, s.topology.clusters)
		require.Empty(t, s.topology.live)
		require.Empty(t, s.topology.filters)
		clear(s.topology.mappings)
	})
}
