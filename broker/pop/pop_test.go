package pop_test

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

const (
	topic = "POPPED"
	group = "poppers"
)

// quick makes what is popped come again soon.
func quick(o *broker.Options) { o.ReviveInterval = 100 }

func start(t *testing.T, change ...func(*broker.Options)) (*brokertest.Broker, *brokertest.Client) {
	t.Helper()
	b := brokertest.Start(t, append([]func(*broker.Options){quick}, change...)...)
	c := b.Dial(false)
	create(t, c, topic, 4)
	return b, c
}

func create(t *testing.T, c *brokertest.Client, topic string, queues int) {
	t.Helper()
	resp := c.Call(&protocol.Command{Code: protocol.UpdateAndCreateTopic, Version: protocol.Version, Ext: fields("topic", topic, "defaultTopic", "TBW102",
		"readQueueNums", fmt.Sprint(queues), "writeQueueNums", fmt.Sprint(queues), "perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false")})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

func fields(kv ...string) protocol.Ext {
	var ext protocol.Ext
	for i := 0; i < len(kv); i += 2 {
		ext = append(ext, protocol.Field{Key: kv[i], Value: kv[i+1]})
	}
	return ext
}

// request is a POP_MESSAGE; kv replaces fields or adds some.
func request(kv ...string) *protocol.Command {
	ext := fields("consumerGroup", group, "topic", topic, "queueId", "-1", "maxMsgNums", "32", "invisibleTime", "60000",
		"pollTime", "0", "bornTime", fmt.Sprint(time.Now().UnixMilli()), "initMode", "0", "expType", "TAG", "exp", "*", "order", "false")
	for i := 0; i < len(kv); i += 2 {
		found := false
		for j := range ext {
			if ext[j].Key == kv[i] {
				ext[j].Value, found = kv[i+1], true
			}
		}
		if !found {
			ext = append(ext, protocol.Field{Key: kv[i], Value: kv[i+1]})
		}
	}
	return &protocol.Command{Code: protocol.PopMessage, Version: protocol.Version, Ext: ext}
}

func send(t *testing.T, c *brokertest.Client, queue int, body, properties string) {
	t.Helper()
	resp := c.Call(brokertest.SendRequest(topic, queue, properties, body))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

// got is a popped message with the handle that a Java client makes for it.
type got struct {
	message.Record
	body, handle string
}

// popped takes a reply apart as MQClientAPIImpl.processPopResponse does.
func popped(t *testing.T, resp *protocol.Command) []got {
	t.Helper()
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	entries := func(key string) map[string]string {
		m := map[string]string{}
		for e := range strings.SplitSeq(brokertest.Field(t, resp, key), ";") {
			p := strings.Split(e, " ")
			require.Len(t, p, 3, key)
			require.NotContains(t, m, p[0]+"@"+p[1], key)
			m[p[0]+"@"+p[1]] = p[2]
		}
		return m
	}
	starts, offsets := entries("startOffsetInfo"), entries("msgOffsetInfo")
	var out []got
	for _, r := range brokertest.Records(t, resp.Body) {
		g := got{Record: r, body: string(r.Body), handle: message.GetProperty(r.Properties, message.PropertyPopCK)}
		if g.handle == "" {
			flag := "0"
			if strings.HasPrefix(r.Topic, "%RETRY%") {
				flag = "1"
			}
			key := fmt.Sprintf("%s@%d", flag, r.QueueID)
			require.Contains(t, strings.Split(offsets[key], ","), strconv.FormatInt(r.QueueOffset, 10))
			g.handle = strings.Join([]string{starts[key], brokertest.Field(t, resp, "popTime"), brokertest.Field(t, resp, "invisibleTime"),
				brokertest.Field(t, resp, "reviveQid"), flag, "broker-t", fmt.Sprint(r.QueueID), fmt.Sprint(r.QueueOffset)}, " ")
		}
		out = append(out, g)
	}
	return out
}

// realTopic is what MQClientAPIImpl acknowledges under.
func (g *got) realTopic() string {
	switch strings.Split(g.handle, " ")[4] {
	case "1":
		return "%RETRY%" + group + "_" + topic
	case "2":
		return "%RETRY%" + group + "+" + topic
	}
	return topic
}

func (g *got) ack(code int32, kv ...string) *protocol.Command {
	p := strings.Split(g.handle, " ")
	return &protocol.Command{Code: code, Version: protocol.Version, Ext: append(fields("consumerGroup", group, "topic", g.realTopic(),
		"queueId", p[6], "extraInfo", g.handle, "offset", p[7]), fields(kv...)...)}
}

func ack(t *testing.T, c *brokertest.Client, list ...got) {
	t.Helper()
	for _, g := range list {
		resp := c.Call(g.ack(protocol.AckMessage))
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	}
}

func bodies(list []got) (out []string) {
	for _, g := range list {
		out = append(out, g.body)
	}
	return out
}

// poll pops with long polling until want messages are there.
func poll(t *testing.T, c *brokertest.Client, want int, kv ...string) []got {
	t.Helper()
	var out []got
	for deadline := time.Now().Add(20 * time.Second); len(out) < want; {
		require.True(t, time.Now().Before(deadline), "%d of %d messages", len(out), want)
		if resp := c.Call(request(append([]string{"pollTime", "10000"}, kv...)...)); resp.Code != protocol.PollingTimeout {
			out = append(out, popped(t, resp)...)
		}
	}
	return out
}

// none pops and finds nothing.
func none(t *testing.T, c *brokertest.Client, kv ...string) {
	t.Helper()
	resp := c.Call(request(kv...))
	require.Equal(t, protocol.PollingTimeout, resp.Code, resp.Remark)
	require.Empty(t, resp.Body)
}

func TestPopTakesFromAllQueuesOnce(t *testing.T) {
	_, c := start(t)
	for i := range 12 {
		send(t, c, i%4, fmt.Sprint("m", i), "")
	}
	list := popped(t, c.Call(request()))
	require.Len(t, list, 12)
	require.ElementsMatch(t, []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10", "m11"}, bodies(list))
	none(t, c)
	ack(t, c, list...)
}

// TestWhatIsNotAcknowledgedComesAgain pops, acknowledges half, and finds the other half in the retry topic, with
// its times counted; the same again from there.
func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	t.Parallel()
	type rig struct {
		c    *brokertest.Client
		want []string
		flag string
		time string
	}
	var rigs []rig
	for _, v2 := range []bool{false, true} {
		_, c := start(t, func(o *broker.Options) { o.EnableRetryTopicV2 = v2 })
		for i := range 4 {
			send(t, c, i, fmt.Sprint("m", i), "TAGS\x01a\x02colour\x01red\x02")
		}
		first := popped(t, c.Call(request("invisibleTime", "1000")))
		require.Len(t, first, 4)
		ack(t, c, first[:2]...)
		rigs = append(rigs, rig{c, bodies(first[2:]), map[bool]string{false: "1", true: "2"}[v2], strings.Split(first[0].handle, " ")[1]})
	}
	for times := int32(1); times <= 2; times++ {
		for _, r := range rigs {
			again := poll(t, r.c, 2, "invisibleTime", "1000")
			require.ElementsMatch(t, r.want, bodies(again))
			for _, g := range again {
				require.Equal(t, topic, g.Topic)
				require.Equal(t, times, g.ReconsumeTimes)
				require.Equal(t, "red", message.GetProperty(g.Properties, "colour"))
				require.Equal(t, group, message.GetProperty(g.Properties, "ORIGIN_GROUP"))
				require.Equal(t, r.time, message.GetProperty(g.Properties, "1ST_POP_TIME"))
				require.Equal(t, r.flag, strings.Split(g.handle, " ")[4])
			}
			if times == 2 {
				ack(t, r.c, again...)
				none(t, r.c)
			}
		}
	}
}

func TestChangedInvisibleTime(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	send(t, c, 0, "soon", "")
	send(t, c, 1, "late", "")
	list := popped(t, c.Call(request("invisibleTime", "2000")))
	require.Len(t, list, 2)
	for i, g := range list {
		after := map[string]string{"soon": "500", "late": "60000"}[g.body]
		resp := c.Call(g.ack(protocol.ChangeMessageInvisibleTime, "invisibleTime", after, "suspend", fmt.Sprint(i == 0)))
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		require.Equal(t, after, brokertest.Field(t, resp, "invisibleTime"))
		require.Equal(t, strings.Split(g.handle, " ")[3], brokertest.Field(t, resp, "reviveQid"))
	}
	again := poll(t, c, 1)
	require.Equal(t, []string{"soon"}, bodies(again))
	require.Equal(t, map[bool]int32{true: 0, false: 1}[list[0].body == "soon"], again[0].ReconsumeTimes, "suspend does not count")
	none(t, c)
}

func TestBatchAck(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	for i := range 6 {
		send(t, c, 2, fmt.Sprint("m", i), "")
	}
	list := popped(t, c.Call(request("invisibleTime", "1000")))
	require.Len(t, list, 6)
	p := strings.Split(list[0].handle, " ")
	number := func(i int) int64 { n, _ := strconv.ParseInt(p[i], 10, 64); return n }
	text, err := body.Marshal(body.BatchAckMessageRequestBody{BrokerName: "broker-t", Acks: []body.BatchAck{{ConsumerGroup: group, Topic: topic, Retry: "0", StartOffset: 0,
		QueueID: 2, ReviveQueueID: int32(number(3)), PopTime: number(1), InvisibleTime: number(2), BitSet: base64.StdEncoding.EncodeToString([]byte{0b110111})}}})
	require.NoError(t, err)
	resp := c.Call(&protocol.Command{Code: protocol.BatchAckMessage, Version: protocol.Version, Body: text})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	again := poll(t, c, 1)
	require.Equal(t, []string{"m3"}, bodies(again))
	none(t, c)
}

// held waits until that many pops for any queue are held.
func held(t *testing.T, c *brokertest.Client, want string) {
	t.Helper()
	info := &protocol.Command{Code: protocol.PollingInfo, Version: protocol.Version, Ext: fields("consumerGroup", group, "topic", topic, "queueId", "-1")}
	require.Eventually(t, func() bool { return brokertest.Field(t, c.Call(info), "pollingNum") == want }, 10*time.Second, time.Millisecond)
}

func TestLongPollingWakesForWantedMessages(t *testing.T) {
	t.Parallel()
	b, c := start(t)
	waiting := b.Dial(false)
	opaque := waiting.Send(request("pollTime", "15000", "exp", "wanted || other"))
	held(t, c, "1")
	send(t, c, 3, "no", "TAGS\x01unwanted\x02")
	send(t, c, 3, "yes", "TAGS\x01wanted\x02")
	resp := waiting.Read()
	require.Equal(t, opaque, resp.Opaque)
	require.Equal(t, []string{"yes"}, bodies(popped(t, resp)))
	held(t, c, "0")
	none(t, c, "exp", "*") // the offset has passed what was not wanted
}

func TestPollingLimits(t *testing.T) {
	t.Parallel()
	b, c := start(t, func(o *broker.Options) { o.MaxPopPollingSize = 1 })
	b.Dial(false).Send(request("pollTime", "15000"))
	held(t, c, "1")
	resp := c.Call(request("pollTime", "15000"))
	require.Equal(t, protocol.PollingFull, resp.Code)
	require.Equal(t, "NO_MESSAGE_IN_QUEUE", resp.Remark)
	resp = c.Call(request("pollTime", "10", "bornTime", fmt.Sprint(time.Now().UnixMilli()-2000)))
	require.Equal(t, protocol.PollingTimeout, resp.Code)
	require.Contains(t, resp.Remark, "pop message is timeout too much")
}
