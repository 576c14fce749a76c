package statictopic_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

const topic = "Static"

// pair is a cluster of two brokers, a and b.
type pair struct {
	t      *testing.T
	ns     int32 // port of the name server
	a, b   *brokertest.Broker
	ca, cb *brokertest.Client
}

func newPair(t *testing.T) *pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	o := namesrv.DefaultOptions()
	o.Logger, o.ListenPort, o.BindAddress, o.KVConfigPath = zerolog.Nop(), int32(port), "127.0.0.1", t.TempDir()+"/kvConfig.json"
	ns, err := namesrv.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	start := func(name string) *brokertest.Broker {
		return brokertest.Start(t, func(o *broker.Options) { o.BrokerName, o.NamesrvAddr = name, fmt.Sprintf("127.0.0.1:%d", port) })
	}
	p := &pair{t: t, ns: int32(port), a: start("a"), b: start("b")}
	p.ca, p.cb = p.a.Dial(false), p.b.Dial(false)
	return p
}

type item = body.LogicQueueMappingItem

func at(gen int32, broker string, queue int32, logic int64) item {
	return item{Gen: gen, Bname: broker, QueueID: queue, LogicOffset: logic, EndOffset: -1, TimeOfStart: -1, TimeOfEnd: -1}
}

func fields(kv ...string) protocol.Ext {
	var ext protocol.Ext
	for i := 0; i < len(kv); i += 2 {
		ext = append(ext, protocol.Field{Key: kv[i], Value: kv[i+1]})
	}
	return ext
}

// static sends UPDATE_AND_CREATE_STATIC_TOPIC for a topic of one logical queue with these items.
func (p *pair) static(c *brokertest.Client, broker string, epoch int64, physical int, items ...item) *protocol.Command {
	p.t.Helper()
	d := body.TopicQueueMappingDetail{Topic: topic, Bname: broker, Scope: body.ScopeGlobal, Epoch: epoch, TotalQueues: 1,
		HostedQueues: body.IntMap[[]item]{0: items}}
	if len(items) == 0 {
		d.HostedQueues = nil
	}
	b, err := body.Marshal(d)
	require.NoError(p.t, err)
	n := strconv.Itoa(physical)
	return c.Call(&protocol.Command{Code: protocol.UpdateAndCreateStaticTopic, Version: protocol.Version, Body: b,
		Ext: fields("topic", topic, "defaultTopic", "TBW102", "readQueueNums", n, "writeQueueNums", n, "perm", "6", "topicFilterType", "SINGLE_TAG", "order", "false")})
}

// ordinary is a request that makes a topic of one queue.
func ordinary(name string) *protocol.Command {
	return &protocol.Command{Code: protocol.UpdateAndCreateTopic, Version: protocol.Version,
		Ext: fields("topic", name, "defaultTopic", "TBW102", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6", "topicFilterType", "SINGLE_TAG", "order", "false")}
}

// move brings the queue with 3 messages on a to queue 0 of b, in mqadmin's order; it stops before the offset is decided.
func (p *pair) move() (decide func()) {
	p.t.Helper()
	ok := func(resp *protocol.Command) {
		p.t.Helper()
		require.Equal(p.t, protocol.Success, resp.Code, resp.Remark)
	}
	ok(p.static(p.ca, "a", 1000, 1, at(0, "a", 0, 0)))
	ok(p.static(p.cb, "b", 1000, 0))
	for i := range 3 {
		require.Equal(p.t, fmt.Sprint(i), p.send(p.ca, "0", fmt.Sprint("m", i)))
	}
	ok(p.static(p.cb, "b", 2000, 1, at(0, "a", 0, 0), at(1, "b", 0, -1)))
	ok(p.static(p.ca, "a", 2000, 1, at(0, "a", 0, 0), at(1, "b", 0, -1)))
	return func() {
		p.t.Helper()
		ok(p.static(p.cb, "b", 2000, 1, at(0, "a", 0, 0), at(1, "b", 0, 10000)))
	}
}

// send returns the queue offset of the reply.
func (p *pair) send(c *brokertest.Client, queue, text string) string {
	p.t.Helper()
	resp := c.Call(brokertest.SendRequest(topic, 0, "", text, protocol.Field{Key: "e", Value: queue}))
	require.Equal(p.t, protocol.Success, resp.Code, resp.Remark)
	require.Equal(p.t, "0", brokertest.Field(p.t, resp, "queueId"))
	return brokertest.Field(p.t, resp, "queueOffset")
}

func call(c *brokertest.Client, code int32, kv ...string) *protocol.Command {
	ext := fields("topic", topic, "queueId", "0")
	return c.Call(&protocol.Command{Code: code, Version: protocol.Version, Ext: append(ext, fields(kv...)...)})
}

// number returns a field of a success.
func (p *pair) number(resp *protocol.Command, key string) int64 {
	p.t.Helper()
	require.Equal(p.t, protocol.Success, resp.Code, resp.Remark)
	n, err := strconv.ParseInt(brokertest.Field(p.t, resp, key), 10, 64)
	require.NoError(p.t, err)
	return n
}

type pulled struct {
	code             int32
	next, delta, max int64
	bodies           []string
}

func (p *pair) pull(c *brokertest.Client, offset int64, more ...protocol.Field) pulled {
	p.t.Helper()
	resp := c.Call(brokertest.PullRequest(topic, 0, offset, "*", more...))
	var h header.PullMessageResponse
	require.NoError(p.t, protocol.DecodeHeader(resp.Ext, &h), "%d %s", resp.Code, resp.Remark)
	require.NotNil(p.t, h.OffsetDelta)
	out := pulled{code: resp.Code, next: h.NextBeginOffset, delta: *h.OffsetDelta, max: h.MaxOffset}
	for _, r := range brokertest.Records(p.t, resp.Body) {
		out.bodies = append(out.bodies, string(r.Body))
	}
	return out
}

func TestOneQueueOverTwoBrokers(t *testing.T) {
	p := newPair(t)
	p.move()()
	for _, code := range []int32{protocol.GetMaxOffset, protocol.GetMinOffset, protocol.GetEarliestMsgStoreTime} {
		resp := call(p.ca, code)
		require.Equal(t, protocol.NotLeaderForQueue, resp.Code)
		require.Equal(t, "Static-0 does not exit in request process of current broker a", resp.Remark)
	}
	require.Equal(t, protocol.NotLeaderForQueue, p.ca.Call(brokertest.SendRequest(topic, 0, "", "m")).Code)
	require.Equal(t, protocol.NotLeaderForQueue, p.ca.Call(brokertest.PullRequest(topic, 0, 0, "*")).Code)
	require.Equal(t, protocol.NotLeaderForQueue, call(p.ca, protocol.QueryConsumerOffset, "consumerGroup", "g").Code)
	require.Equal(t, protocol.NotLeaderForQueue, call(p.ca, protocol.UpdateConsumerOffset, "consumerGroup", "g", "commitOffset", "1").Code)
	require.Equal(t, protocol.NotLeaderForQueue, call(p.ca, protocol.SearchOffsetByTimestamp, "timestamp", "0").Code)
	require.EqualValues(t, 3, p.number(call(p.ca, protocol.GetMaxOffset, "lo", "false"), "offset"), "who asks for the physical queue gets it")

	before := time.Now().UnixMilli()
	for time.Now().UnixMilli() == before { // the messages so far are older
	}
	require.Equal(t, "10000", p.send(p.cb, "0", "m3"))
	require.Equal(t, "10001", p.send(p.cb, "-1", "m4"))
	require.EqualValues(t, 10002, p.number(call(p.cb, protocol.GetMaxOffset), "offset"))
	require.EqualValues(t, 0, p.number(call(p.cb, protocol.GetMinOffset), "offset"))
	earliest := p.number(call(p.cb, protocol.GetEarliestMsgStoreTime), "timestamp")
	require.True(t, earliest > 0 && earliest <= before)
	for _, c := range []struct {
		boundary string
		at, want int64
	}{{"LOWER", 0, 0}, {"LOWER", before + 1, 10000}, {"LOWER", before + 1e9, 10002}, {"UPPER", 0, 0}, {"UPPER", before, 2}, {"UPPER", before + 1e9, 10001}, {"", 0, 0}} {
		resp := call(p.cb, protocol.SearchOffsetByTimestamp, "timestamp", fmt.Sprint(c.at), "boundaryType", c.boundary)
		require.Equal(t, c.want, p.number(resp, "offset"), "%+v", c)
	}

	require.Equal(t, pulled{protocol.Success, 3, 0, 10000, []string{"m0", "m1", "m2"}}, p.pull(p.cb, 0), "by the other broker")
	require.Equal(t, pulled{code: protocol.PullRetryImmediately, next: 10000, delta: 10000, max: 10000}, p.pull(p.cb, 3), "on to the next item")
	require.Equal(t, pulled{protocol.Success, 10002, 10000, 10002, []string{"m3", "m4"}}, p.pull(p.cb, 10000))
	require.Equal(t, pulled{code: protocol.PullNotFound, next: 10002, delta: 10000, max: 10002}, p.pull(p.cb, 10002))
	require.Equal(t, pulled{code: protocol.PullOffsetMoved, next: 10002, delta: 10000, max: 10002}, p.pull(p.cb, 10500))
	waiting := p.b.Dial(false)
	waiting.Send(brokertest.PullRequest(topic, 0, 10002, "*", fields("sysFlag", "6", "suspendTimeoutMillis", "30000")...))
	require.Equal(t, "10002", p.send(p.cb, "0", "m5"))
	require.Equal(t, "m5", string(brokertest.Records(t, waiting.Read().Body)[0].Body), "a pull that waits is woken")
}

// TestOffsetsOfAGroup follows a group from one item to the next.
func TestOffsetsOfAGroup(t *testing.T) {
	p := newPair(t)
	p.move()()
	p.send(p.cb, "0", "m3")
	for _, c := range []*brokertest.Client{p.ca, p.cb} { // makes the group
		c.Call(brokertest.PullRequest(topic, 0, 0, "*", fields("consumerGroup", "g")...))
	}
	update := func(offset string) {
		t.Helper()
		resp := call(p.cb, protocol.UpdateConsumerOffset, "consumerGroup", "g", "commitOffset", offset)
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	}
	query := func(c *brokertest.Client, more ...string) *protocol.Command {
		return call(c, protocol.QueryConsumerOffset, append([]string{"consumerGroup", "g"}, more...)...)
	}
	require.Equal(t, protocol.QueryNotFound, query(p.cb).Code)
	update("2")
	require.EqualValues(t, 2, p.number(query(p.cb), "offset"))
	require.EqualValues(t, 2, p.number(query(p.ca, "lo", "false"), "offset"), "it is kept where the messages are")
	require.Equal(t, protocol.QueryNotFound, query(p.cb, "lo", "false", "setZeroIfNotFound", "false").Code)
	update("10001")
	require.EqualValues(t, 10001, p.number(query(p.cb), "offset"))
	require.EqualValues(t, 1, p.number(query(p.cb, "lo", "false"), "offset"))

	// The commit of a pull goes where the offset lies; that of another broker is left to the client's update.
	p.pull(p.cb, 10000, fields("sysFlag", "5", "commitOffset", "10000", "consumerGroup", "g")...)
	require.EqualValues(t, 0, p.number(query(p.cb, "lo", "false"), "offset"))
	p.pull(p.cb, 10000, fields("sysFlag", "5", "commitOffset", "1", "consumerGroup", "g")...)
	require.EqualValues(t, 10000, p.number(query(p.cb), "offset"))

	var stats body.ConsumeStats
	resp := p.ca.Call(&protocol.Command{Code: protocol.GetConsumeStats, Version: protocol.Version, Ext: fields("consumerGroup", "nobody", "topic", topic)})
	require.NoError(t, body.Unmarshal(resp.Body, &stats))
	require.Len(t, stats.OffsetTable, 1)
	for _, w := range stats.OffsetTable {
		require.EqualValues(t, -1, w.ConsumerOffset, "no offset is told from offset 0")
	}
}

// TestAQueueOnItsWay looks at the moment in which the new leader takes messages and does not know their offsets.
func TestAQueueOnItsWay(t *testing.T) {
	p := newPair(t)
	decide := p.move()
	require.Equal(t, "-1", p.send(p.cb, "0", "m3"))
	require.EqualValues(t, 3, p.number(call(p.cb, protocol.GetMaxOffset), "offset"))
	require.Equal(t, pulled{protocol.Success, 3, 0, 3, []string{"m0", "m1", "m2"}}, p.pull(p.cb, 0))
	require.Equal(t, pulled{code: protocol.PullNotFound, next: 3, max: 3}, p.pull(p.cb, 3))
	decide()
	require.Equal(t, protocol.PullRetryImmediately, p.pull(p.cb, 3).code)
	require.Equal(t, []string{"m3"}, p.pull(p.cb, 10000).bodies)
}

func TestTheMappingIsShownKeptAndForgotten(t *testing.T) {
	p := newPair(t)
	p.move()()
	p.b.Restart()
	p.cb = p.b.Dial(false)
	config := func(lo string) (c body.TopicConfigAndQueueMapping) {
		t.Helper()
		resp := call(p.cb, protocol.GetTopicConfig, "lo", lo)
		require.Equal(t, protocol.Success, resp.Code)
		require.NoError(t, body.Unmarshal(resp.Body, &c))
		return c
	}
	require.Equal(t, []item{at(0, "a", 0, 0), at(1, "b", 0, 10000)}, config("true").MappingDetail.HostedQueues[0])
	require.Nil(t, config("false").MappingDetail)
	var all body.TopicConfigAndMappingSerializeWrapper
	require.NoError(t, body.Unmarshal(p.cb.Call(&protocol.Command{Code: protocol.GetAllTopicConfig, Version: protocol.Version}).Body, &all))
	require.Contains(t, all.TopicQueueMappingDetailMap, topic)
	require.NotZero(t, all.MappingDataVersion.Counter)

	require.Equal(t, "Can't accept data with small epoch 1 < 2000", p.static(p.cb, "b", 1, 1, at(0, "a", 0, 0)).Remark)
	require.Equal(t, protocol.SystemError, p.static(p.cb, "a", 3000, 1, at(0, "a", 0, 0)).Code)
	require.EqualValues(t, 2000, config("true").MappingDetail.Epoch)
	cmd := ordinary(topic)
	cmd.Code, cmd.Body = protocol.UpdateAndCreateStaticTopic, []byte("null")
	require.Equal(t, protocol.SystemError, p.cb.Call(cmd).Code)
	cmd = ordinary("TBW102")
	cmd.Code, cmd.Body = protocol.UpdateAndCreateStaticTopic, []byte(`{"topic":"TBW102","bname":"b"}`)
	require.Equal(t, protocol.InvalidParameter, p.cb.Call(cmd).Code)

	require.Equal(t, protocol.Success, call(p.cb, protocol.DeleteTopicInBroker).Code)
	require.Equal(t, protocol.Success, p.cb.Call(ordinary(topic)).Code)
	require.Nil(t, config("true").MappingDetail, "an ordinary topic of that name begins anew")
	require.Equal(t, "0", p.send(p.cb, "0", "m"))
}

// TestClientsAreToldOfTheMapping looks at the route, in both dialects, and at what is left of it.
func TestClientsAreToldOfTheMapping(t *testing.T) {
	p := newPair(t)
	p.move()()
	ns := brokertest.Dial(t, broker.Options{ListenPort: p.ns})
	route := func(version int32) []byte {
		t.Helper()
		resp := ns.Call(&protocol.Command{Code: protocol.GetRouteInfoByTopic, Version: version, Ext: fields("topic", topic)})
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		return resp.Body
	}
	mine := `"b":{"bname":"b","currIdMap":{%s:0},"dirty":false,"epoch":2000,"scope":"__global__","topic":"Static","totalQueues":1}`
	require.Contains(t, string(route(protocol.Version)), fmt.Sprintf(mine, `"0"`))
	require.Contains(t, string(route(1)), fmt.Sprintf(mine, `0`))
	require.Contains(t, string(route(1)), `"a":{"bname":"a","currIdMap":{},`)

	for _, c := range []*brokertest.Client{p.ca, p.cb} {
		require.Equal(t, protocol.Success, call(c, protocol.DeleteTopicInBroker).Code)
	}
	require.Equal(t, protocol.Success, call(ns, protocol.DeleteTopicInNamesrv).Code)
	require.Equal(t, protocol.Success, p.cb.Call(ordinary(topic)).Code)
	require.NotContains(t, string(route(1)), "topicQueueMappingByBroker")
}

// TestAPullThatWaitsLearnsThatItsQueueIsGone: it does not wait for messages that come elsewhere.
func TestAPullThatWaitsLearnsThatItsQueueIsGone(t *testing.T) {
	p := newPair(t)
	require.Equal(t, protocol.Success, p.static(p.ca, "a", 1000, 1, at(0, "a", 0, 0)).Code)
	waiting := p.a.Dial(false)
	waiting.Send(brokertest.PullRequest(topic, 0, 0, "*", fields("sysFlag", "6", "suspendTimeoutMillis", "600000")...))
	// Whether it is held already or comes later, the answer is the same.
	require.Equal(t, protocol.Success, p.static(p.ca, "a", 2000, 1, at(0, "a", 0, 0), at(1, "b", 0, -1)).Code)
	require.Equal(t, protocol.NotLeaderForQueue, waiting.Read().Code)
}

// TestABrokerThatIsGone answers for what lies there with an error, not with what is left.
func TestABrokerThatIsGone(t *testing.T) {
	p := newPair(t)
	p.move()()
	require.Equal(t, "10000", p.send(p.cb, "0", "m3"))
	p.ca.Close()
	require.NoError(t, p.a.Close())
	for _, resp := range []*protocol.Command{call(p.cb, protocol.GetMinOffset), call(p.cb, protocol.QueryConsumerOffset, "consumerGroup", "g"),
		p.cb.Call(brokertest.PullRequest(topic, 0, 0, "*"))} {
		require.Equal(t, protocol.SystemError, resp.Code)
		require.Contains(t, resp.Remark, "broker a")
	}
	require.Equal(t, []string{"m3"}, p.pull(p.cb, 10000).bodies)
	require.EqualValues(t, 10001, p.number(call(p.cb, protocol.GetMaxOffset), "offset"))
}
