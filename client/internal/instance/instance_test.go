package instance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// server answers requests as its function says and keeps them.
type server struct {
	addr string
	mu   sync.Mutex
	got  []*protocol.Command
	came chan struct{}
}

func serve(t *testing.T, handle func(cmd *protocol.Command) *protocol.Command) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: l.Addr().String(), came: make(chan struct{}, 1000)}
	var wg sync.WaitGroup
	var conns sync.Map
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(c, true)
			wg.Go(func() { s.connection(c, handle) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

func (s *server) connection(c net.Conn, handle func(cmd *protocol.Command) *protocol.Command) {
	r := bufio.NewReader(c)
	for {
		prefix, err := r.Peek(frame.PrefixLength)
		if err != nil {
			return
		}
		n, err := frame.Length(prefix)
		if err != nil {
			return
		}
		b := make([]byte, n)
		cmd := new(protocol.Command)
		if _, err := io.ReadFull(r, b); err != nil || frame.Decode(b, cmd) != nil {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, cmd)
		s.mu.Unlock()
		s.came <- struct{}{}
		if resp := handle(cmd); resp != nil {
			resp.Opaque, resp.Flag = cmd.Opaque, protocol.FlagResponse
			_, _ = c.Write(frame.Append(nil, resp))
		}
	}
}

func (s *server) of(code int32) []*protocol.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*protocol.Command
	for _, c := range s.got {
		if c.Code == code {
			out = append(out, c)
		}
	}
	return out
}

// await waits for the n-th request of a code.
func (s *server) await(t *testing.T, code int32, n int) *protocol.Command {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		if list := s.of(code); len(list) >= n {
			return list[n-1]
		}
		select {
		case <-s.came:
		case <-timeout:
			require.FailNow(t, "a request did not come")
		}
	}
}

// namesrv serves routes, which can be changed.
type namesrv struct {
	*server
	mu     sync.Mutex
	routes map[string]body.TopicRouteData
}

func newNamesrv(t *testing.T) *namesrv {
	n := &namesrv{routes: map[string]body.TopicRouteData{}}
	n.server = serve(t, func(cmd *protocol.Command) *protocol.Command {
		n.mu.Lock()
		defer n.mu.Unlock()
		topic, _ := cmd.Ext.Get("topic")
		data, ok := n.routes[topic]
		if !ok {
			return protocol.NewResponse(protocol.TopicNotExist, "No topic route info in name server for the topic: "+topic)
		}
		text, _ := body.Marshal(data)
		return protocol.Reply(nil, text)
	})
	return n
}

// put says that a topic has n queues on each of brokers, "name=addr".
func (n *namesrv) put(topic string, queues int32, brokers ...string) {
	var data body.TopicRouteData
	for _, b := range brokers {
		name, addr, _ := strings.Cut(b, "=")
		data.BrokerDatas = append(data.BrokerDatas, body.BrokerData{BrokerName: name, BrokerAddrs: body.IntMap[string]{0: addr}})
		data.QueueDatas = append(data.QueueDatas, body.QueueData{BrokerName: name, Perm: permRead | permWrite, ReadQueueNums: queues, WriteQueueNums: queues})
	}
	n.mu.Lock()
	n.routes[topic] = data
	n.mu.Unlock()
}

// newBroker stores messages, or refuses them with the code that it takes from refuse.
func newBroker(t *testing.T, refuse *int32) *server {
	var mu sync.Mutex
	return serve(t, func(cmd *protocol.Command) *protocol.Command {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case cmd.Code != protocol.SendMessageV2:
			return protocol.NewResponse(protocol.Success, "")
		case refuse != nil && *refuse != 0:
			return protocol.NewResponse(*refuse, "refused")
		}
		return protocol.Reply(header.SendMessageResponse{MsgID: "0A", QueueID: 1, QueueOffset: 7}, nil)
	})
}

func open(t *testing.T, o Options) *Instance {
	t.Helper()
	o.Timeout = 30 * time.Second
	i, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, i.Close(context.Background())) })
	return i
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAnotherBrokerIsTriedOnlyWhenItMayHelp(t *testing.T) {
	ns := newNamesrv(t)
	refusal := protocol.SystemBusy
	bad, good := newBroker(t, &refusal), newBroker(t, nil)
	ns.put("T", 4, "a="+bad.addr, "b="+good.addr, "c=127.0.0.1:1")
	i := open(t, Options{Options: client.Options{Namesrv: []string{ns.addr}}})
	m := &Outgoing{Group: "g", Topic: "T", ID: "ID", Body: []byte("x")}
	for range 12 { // wherever it begins
		s, err := i.Publish(within(t), m, 11, false)
		require.NoError(t, err)
		require.Equal(t, client.SendResult{Status: client.SendOK, MsgID: "ID", OffsetMsgID: "0A", QueueOffset: 7, Queue: message.MessageQueue{Topic: "T", BrokerName: "b", QueueID: 1}}, s.SendResult)
	}
	require.NotEmpty(t, bad.of(protocol.SendMessageV2))

	only := newNamesrv(t)
	only.put("T", 4, "a="+bad.addr)
	i = open(t, Options{Options: client.Options{Namesrv: []string{only.addr}}})
	for _, c := range []struct {
		code int32
		sent int
	}{{protocol.SystemBusy, 3}, {protocol.MessageIllegal, 1}, {protocol.TopicNotExist, 3}, {protocol.InvalidParameter, 1}} {
		refusal = c.code
		before := len(bad.of(protocol.SendMessageV2))
		_, err := i.Publish(within(t), m, 2, false)
		require.Equal(t, c.code, client.Code(err))
		require.ErrorContains(t, err, "refused")
		require.Equal(t, c.sent, len(bad.of(protocol.SendMessageV2))-before, "code %d", c.code)
	}
	refusal = 0
}

// TestSilentBrokerDoesNotUseUpTheTime has one of two brokers take messages and not answer.
func TestSilentBrokerDoesNotUseUpTheTime(t *testing.T) {
	ns, silent, good := newNamesrv(t), serve(t, func(*protocol.Command) *protocol.Command { return nil }), newBroker(t, nil)
	ns.put("T", 1, "a="+silent.addr, "b="+good.addr)
	i := open(t, Options{Options: client.Options{Namesrv: []string{ns.addr}}})
	i.o.Timeout = 20 * time.Millisecond
	for range 2 {
		s, err := i.Publish(within(t), &Outgoing{Group: "g", Topic: "T", ID: "ID", Body: []byte("x")}, 20, false)
		require.NoError(t, err)
		require.Equal(t, "b", s.Queue.BrokerName)
	}
	require.NotEmpty(t, silent.of(protocol.SendMessageV2))
}

func TestQueuesTakeTurns(t *testing.T) {
	ns, b := newNamesrv(t), newBroker(t, nil)
	ns.put("T", 2, "a="+b.addr, "b="+b.addr)
	i := open(t, Options{Options: client.Options{Namesrv: []string{ns.addr}}})
	seen := map[string]int{}
	for range 8 {
		q, err := i.NextQueue(within(t), "T", "")
		require.NoError(t, err)
		seen[fmt.Sprint(q.BrokerName, q.QueueID)]++
	}
	for range 8 {
		q, err := i.NextQueue(within(t), "T", "a")
		require.NoError(t, err)
		require.Equal(t, "b", q.BrokerName)
	}
	require.Equal(t, map[string]int{"a0": 2, "a1": 2, "b0": 2, "b1": 2}, seen)
	require.Len(t, ns.of(protocol.GetRouteInfoByTopic), 1, "a route is asked for once")
}

func TestOtherNameServersAreAsked(t *testing.T) {
	ns := newNamesrv(t)
	ns.put("T", 1, "a=127.0.0.1:1")
	for range 4 {
		i := open(t, Options{Options: client.Options{Namesrv: []string{"127.0.0.1:1", ns.addr}}})
		_, err := i.Route(within(t), "T")
		require.NoError(t, err)
		_, err = i.Route(within(t), "U")
		require.Equal(t, protocol.TopicNotExist, client.Code(err))
	}
}

func TestNewTopicsGoWhereTheTemplateIs(t *testing.T) {
	ns := newNamesrv(t)
	i := open(t, Options{Options: client.Options{Namesrv: []string{ns.addr}}})
	_, err := i.PublishRoute(within(t), "New")
	require.ErrorContains(t, err, "topic: New")
	ns.put(templateTopic, 8, "a=127.0.0.1:1")
	r, err := i.PublishRoute(within(t), "New")
	require.NoError(t, err)
	require.Len(t, r.Writable, templateQueues)
	require.Equal(t, "New", r.Writable[0].Topic)
	_, err = i.Route(within(t), "New")
	require.Equal(t, protocol.TopicNotExist, client.Code(err), "there is nothing to consume")
	ns.put("New", 2, "a=127.0.0.1:1")
	_, err = i.Refresh(within(t), "New")
	require.NoError(t, err)
	r, err = i.PublishRoute(within(t), "New")
	require.NoError(t, err)
	require.Len(t, r.Writable, 2)
}

func TestRouteHasJavasQueues(t *testing.T) {
	data := body.TopicRouteData{BrokerDatas: []body.BrokerData{{BrokerName: "b", BrokerAddrs: body.IntMap[string]{0: "b:1"}}, {BrokerName: "a", BrokerAddrs: body.IntMap[string]{1: "a:1"}},
		{BrokerName: "c", BrokerAddrs: body.IntMap[string]{0: "c:1"}}}, QueueDatas: []body.QueueData{{BrokerName: "c", Perm: permRead, ReadQueueNums: 1, WriteQueueNums: 1},
		{BrokerName: "b", Perm: permRead | permWrite, ReadQueueNums: 1, WriteQueueNums: 2}, {BrokerName: "a", Perm: permRead | permWrite, ReadQueueNums: 1, WriteQueueNums: 1}}}
	q := func(broker string, id int32) message.MessageQueue {
		return message.MessageQueue{Topic: "T", BrokerName: broker, QueueID: id}
	}
	r := newRoute("T", nil, data)
	require.Equal(t, []message.MessageQueue{q("a", 0), q("b", 0), q("c", 0)}, r.Readable)
	require.Equal(t, []message.MessageQueue{q("b", 0), q("b", 1)}, r.Writable, "a has no master, c cannot be written")
	data.OrderTopicConf = "a:1;c:2"
	require.Equal(t, []message.MessageQueue{q("a", 0), q("c", 0), q("c", 1)}, newRoute("T", nil, data).Writable)
}

func TestBrokersHearOfTheClientAndOfItsEnd(t *testing.T) {
	ns, b := newNamesrv(t), newBroker(t, nil)
	ns.put("T", 1, "a="+b.addr)
	i, err := Open(Options{Options: client.Options{Namesrv: []string{ns.addr}, IP: "10.1.2.3", Instance: "me", HeartbeatInterval: time.Hour, Timeout: 30 * time.Second},
		Producers: []string{"p"}, Consumer: func() body.ConsumerData {
			return body.ConsumerData{GroupName: "c", ConsumeType: body.ConsumePassively, MessageModel: body.Clustering}
		}})
	require.NoError(t, err)
	_, err = i.Route(within(t), "T")
	require.NoError(t, err)
	var data body.HeartbeatData
	require.NoError(t, body.Unmarshal(b.await(t, protocol.HeartBeat, 1).Body, &data), "by itself, when the broker was heard of")
	require.Equal(t, "10.1.2.3@me", data.ClientID)
	require.Equal(t, "p", data.ProducerDataSet[0].GroupName)
	require.Equal(t, "c", data.ConsumerDataSet[0].GroupName)
	i.HeartbeatSoon()
	b.await(t, protocol.HeartBeat, 2)
	i.Heartbeat(within(t))
	n := len(b.of(protocol.HeartBeat))
	require.NoError(t, i.Introduce(within(t), b.addr))
	require.NoError(t, i.IntroduceAll(within(t)))
	require.Len(t, b.of(protocol.HeartBeat), n, "it knows")
	require.True(t, strings.HasPrefix(i.NewID(), "0A010203"))

	ns.put("T", 1, "a=127.0.0.1:1") // it has moved: the old address is not announced to any more
	_, err = i.Refresh(within(t), "T")
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1:1"}, i.audience())
	require.NoError(t, i.Close(within(t)))
	require.Len(t, b.of(protocol.UnregisterClient), 2)
	require.ErrorIs(t, errOf(i.Route(within(t), "U")), errOf(i.Call(within(t), b.addr, 1, nil, nil)))
}

func errOf(_ any, err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}
