package namesrv

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

func TestBareKeys(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"brokerAddrs":{"0":"a:1","10":"b:2"},"brokerName":"7"}`:         `{"brokerAddrs":{0:"a:1",10:"b:2"},"brokerName":"7"}`,
		`{"brokerAddrs":{},"5":{"6":"x"}}`:                                `{"brokerAddrs":{},"5":{"6":"x"}}`,
		`{"7":{"bname":"7","currIdMap":{"0":0,"1":1},"topic":"\"8\":"}}`:  `{"7":{"bname":"7","currIdMap":{0:0,1:1},"topic":"\"8\":"}}`,
		`{"a":"brokerAddrs","b":["brokerAddrs",{"1":"c"}]}`:               `{"a":"brokerAddrs","b":["brokerAddrs",{"1":"c"}]}`,
		`{"brokerAddrs":{"0":"}"},"1":"2"}`:                               `{"brokerAddrs":{0:"}"},"1":"2"}`,
		`{"brokerAddrs":{"0":"\"}"},"x":{"brokerAddrs":{"1":"y"},"2":3}}`: `{"brokerAddrs":{0:"\"}"},"x":{"brokerAddrs":{1:"y"},"2":3}}`,
		`{"brokerAddrs":["x"],"1":2,"brokerAddrs":{"name":"b","-3":4}}`:   `{"brokerAddrs":["x"],"1":2,"brokerAddrs":{"name":"b",-3:4}}`,
	} {
		require.Equal(t, want, string(bareKeys([]byte(in))))
	}
}

// Readers ask while a broker comes and goes: what they see is a whole route or none, and the last state
// is what the cache holds in the end.
func TestRoutesWhileBrokersComeAndGo(t *testing.T) {
	t.Parallel()
	c := newClients(t, start(t, testOptions(t)).Addr())
	client := rpc.New(rpc.Options{})
	defer client.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := client.Invoke(context.Background(), c.addr, route("T1"))
				if err != nil || resp.Code != protocol.Success && resp.Code != protocol.TopicNotExist {
					t.Errorf("%v %v", resp, err)
					return
				}
			}
		})
	}
	for i := range 200 {
		g := master.as(func(g *registration) { g.counter, g.topics = i, []string{topicJSON("T1", i+1, 6, 0), two[1]} })
		c.ok("m", g.command())
		require.Contains(t, string(c.ok("c", route("T1")).Body), fmt.Sprintf(`"readQueueNums":%d,`, i+1))
		if i%10 == 9 {
			c.ok("m", unregister(g))
			require.Equal(t, protocol.TopicNotExist, c.call("c", route("T1")).Code)
		}
	}
	close(stop)
	wg.Wait()
}

func TestOnewayRouteRequestIsNotAnswered(t *testing.T) {
	t.Parallel()
	c := newClients(t, start(t, testOptions(t)).Addr())
	c.ok("m", master.command())
	for range 3 { // by lane, then from the cache
		require.NoError(t, c.of["m"].Oneway(c.addr, route("T1")))
		c.ok("m", route("T1"))
	}
}

// populated has brokers groups of two brokers with topics topics each.
func populated(b *testing.B, brokers, topics int) *Server {
	s := offline(b)
	handle := mux.Handle(s.registerBroker)
	for i := range brokers {
		var configs []string
		for j := range topics {
			configs = append(configs, topicJSON(fmt.Sprintf("topic-%d", j), 8, 6, 0))
		}
		g := registration{cluster: "c", name: fmt.Sprintf("broker-%d", i), addr: fmt.Sprintf("10.0.%d.1:10911", i), topics: configs}
		require.Zero(b, handle(&mux.Request{Conn: &quietConn{id: uint64(i + 1)}, Cmd: *g.command()}).Code)
		g.id, g.addr = 1, fmt.Sprintf("10.0.%d.2:10911", i)
		require.Zero(b, handle(&mux.Request{Conn: &quietConn{id: uint64(i + 1000)}, Cmd: *g.command()}).Code)
	}
	return s
}

// BenchmarkRoute measures GET_ROUTEINFO_BY_TOPIC for 4 groups: from the cache on an event loop, and
// encoded anew.
func BenchmarkRoute(b *testing.B) {
	s := populated(b, 4, 1000)
	cmd := route("topic-77")
	b.Run("cached", func(b *testing.B) {
		_, err := s.topology.encodedRoute(readRouteQuery(cmd))
		require.NoError(b, err)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			in := s.openRouteInline(&quietConn{})
			for pb.Next() {
				if !in.Offer(cmd) {
					b.Error("not in the cache")
				}
				in.Flush()
			}
		})
	})
	b.Run("encoded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.topology.routes.clear()
			if _, err := s.topology.encodedRoute(readRouteQuery(cmd)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRegister measures a registration of 1000 topics that changes nothing, as each broker sends it
// every 30 s.
func BenchmarkRegister(b *testing.B) {
	s := populated(b, 1, 1000)
	var configs []string
	for j := range 1000 {
		configs = append(configs, topicJSON(fmt.Sprintf("topic-%d", j), 8, 6, 0))
	}
	cmd := registration{cluster: "c", name: "broker-0", addr: "10.0.0.1:10911", topics: configs}.command()
	handle := mux.Handle(s.registerBroker)
	conn := &quietConn{id: 1}
	b.ReportAllocs()
	b.SetBytes(int64(len(cmd.Body)))
	for b.Loop() {
		if resp := handle(&mux.Request{Conn: conn, Cmd: *cmd}); resp.Code != protocol.Success {
			b.Fatal(resp.Remark)
		}
	}
}

// BenchmarkRouteOverSocket measures the whole way with 8 callers on one connection.
func BenchmarkRouteOverSocket(b *testing.B) {
	s := start(b, testOptions(b))
	client := rpc.New(rpc.Options{})
	defer client.Close()
	_, err := client.Invoke(context.Background(), s.Addr(), master.command())
	require.NoError(b, err)
	cmd := route("T1")
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Invoke(context.Background(), s.Addr(), cmd)
			if err != nil || resp.Code != protocol.Success {
				b.Error(resp, err)
			}
		}
	})
}
