package pop_test

import (
	"fmt"
	"os"
	"path/filepath"
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

// merging keeps checkpoints in memory first.
func merging(o *broker.Options) { o.EnablePopBufferMerge = true }

// TestCleanStopForgetsNothing pops, acknowledges some, and stops the broker: what was acknowledged does not come
// again, the rest does, with and without the buffer.
func TestCleanStopForgetsNothing(t *testing.T) {
	t.Parallel()
	var brokers []*brokertest.Broker
	var clients []*brokertest.Client
	for _, change := range []func(*broker.Options){func(*broker.Options) {}, merging, func(o *broker.Options) { o.EnablePopBufferMerge, o.EnablePopBatchAck = true, true }} {
		b, c := start(t, change)
		for i := range 9 {
			send(t, c, 0, fmt.Sprint("m", i), "")
		}
		brokers, clients = append(brokers, b), append(clients, c)
	}
	for i, b := range brokers {
		list := popped(t, clients[i].Call(request("invisibleTime", "5000", "maxMsgNums", "6")))
		require.Len(t, list, 6)
		ack(t, clients[i], list[:2]...)
		b.Restart()
		clients[i] = b.Dial(false)
		require.Equal(t, []string{"m6", "m7", "m8"}, bodies(popped(t, clients[i].Call(request()))))
		ack(t, clients[i], list[2:3]...) // a handle of before the stop
	}
	for _, c := range clients {
		require.ElementsMatch(t, []string{"m3", "m4", "m5"}, bodies(poll(t, c, 3)))
		none(t, c)
	}
}

// TestBufferWritesNothingForWhatIsAcknowledged looks at the timer's queue and the group's offset.
func TestBufferWritesNothingForWhatIsAcknowledged(t *testing.T) {
	b, c := start(t, merging)
	for i := range 3 {
		send(t, c, 0, fmt.Sprint("m", i), "")
	}
	first := popped(t, c.Call(request("maxMsgNums", "1")))
	second := popped(t, c.Call(request("maxMsgNums", "2")))
	require.Equal(t, []string{"m1", "m2"}, bodies(second))
	ack(t, c, second...)
	require.EqualValues(t, 0, committed(t, c), "the first message is neither acknowledged nor written")
	ack(t, c, first...)
	require.EqualValues(t, 3, committed(t, c))
	none(t, c)
	require.NoError(t, b.Close())
	_, err := os.Stat(filepath.Join(b.Options.Store.StorePathRootDir, "consumequeue", "rmq_sys_wheel_timer"))
	require.ErrorIs(t, err, os.ErrNotExist)
	b.Restart()
}

func committed(t *testing.T, c *brokertest.Client) int64 {
	t.Helper()
	resp := c.Call(&protocol.Command{Code: protocol.QueryConsumerOffset, Version: protocol.Version, Ext: fields("consumerGroup", group, "topic", topic, "queueId", "0")})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	var n int64
	_, err := fmt.Sscan(brokertest.Field(t, resp, "offset"), &n)
	require.NoError(t, err)
	return n
}

// TestBufferIsWrittenInTime pops with an invisible time that the buffer cannot wait for.
func TestBufferIsWrittenInTime(t *testing.T) {
	t.Parallel()
	_, c := start(t, merging, func(o *broker.Options) { o.PopCkStayBufferTime, o.PopCkStayBufferTimeOut = 300, 100 })
	send(t, c, 0, "late", "")
	send(t, c, 0, "acked", "")
	list := popped(t, c.Call(request("invisibleTime", "1700")))
	ack(t, c, list[1])
	require.Equal(t, []string{"late"}, bodies(poll(t, c, 1)))
	none(t, c)
	require.EqualValues(t, 2, committed(t, c))
}

func TestPopInOrder(t *testing.T) {
	t.Parallel()
	b, c := start(t)
	for i := range 6 {
		send(t, c, 1, fmt.Sprint("m", i), "")
	}
	order := []string{"order", "true", "invisibleTime", "60000", "maxMsgNums", "2"}
	list := popped(t, c.Call(request(append(order, "attemptId", "a")...)))
	require.Equal(t, []string{"m0", "m1"}, bodies(list))
	require.Equal(t, "999", strings.Split(list[0].handle, " ")[3])
	none(t, c, append(order, "attemptId", "b")...)
	again := c.Call(request(append(order, "attemptId", "a")...))
	require.Equal(t, []string{"m0", "m1"}, bodies(popped(t, again)), "the same attempt")
	list = popped(t, again)

	waiting := b.Dial(false)
	waiting.Send(request(append(order, "attemptId", "c", "pollTime", "15000")...))
	held(t, c, "1")
	ack(t, c, list[0])
	b.Restart() // who waits is told that there is nothing
	require.Equal(t, protocol.PollingTimeout, waiting.Read().Code)
	c, waiting = b.Dial(false), b.Dial(false)
	none(t, c, append(order, "attemptId", "d")...)
	waiting.Send(request(append(order, "attemptId", "e", "pollTime", "15000")...))
	held(t, c, "1")
	resp := c.Call(list[1].ack(protocol.ChangeMessageInvisibleTime, "invisibleTime", "300"))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	resp = waiting.Read() // m1 is visible again, and with it the queue is free
	require.Equal(t, []string{"m1", "m2"}, bodies(popped(t, resp)))
	require.Equal(t, "0 qo1%1 1;0 1 0", brokertest.Field(t, resp, "orderCountInfo"))
	stale := c.Call(list[1].ack(protocol.AckMessage))
	require.Equal(t, protocol.Success, stale.Code, "an acknowledgement of an earlier pop changes nothing")
	ack(t, c, popped(t, resp)...)
	list = popped(t, c.Call(request(order...)))
	require.Equal(t, []string{"m3", "m4"}, bodies(list))
	require.Equal(t, protocol.MessageIllegal, c.Call(list[0].with("offset", "5")).Code, "m5 was not popped")
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	g := body.NewSubscriptionGroupConfig(group)
	g.RetryMaxTimes = 1
	text, err := body.Marshal(g)
	require.NoError(t, err)
	resp := c.Call(&protocol.Command{Code: protocol.UpdateAndCreateSubscriptionGroup, Version: protocol.Version, Body: text})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	send(t, c, 0, "poison", "")
	popped(t, c.Call(request("invisibleTime", "300")))
	require.EqualValues(t, 1, poll(t, c, 1, "invisibleTime", "300")[0].ReconsumeTimes)
	pull := brokertest.PullRequest("%DLQ%"+group, 0, 0, "*")
	require.Eventually(t, func() bool {
		resp = c.Call(pull)
		return resp.Code == protocol.Success
	}, 20*time.Second, 10*time.Millisecond)
	dead := brokertest.Records(t, resp.Body)
	require.Equal(t, "poison", string(dead[0].Body))
	require.EqualValues(t, 2, dead[0].ReconsumeTimes)
	require.Equal(t, topic, message.GetProperty(dead[0].Properties, message.PropertyRetryTopic))
	none(t, c)
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	b, c := start(t, func(o *broker.Options) { o.EnablePopMessageThreshold, o.PopInflightMessageThreshold = true, 1 })
	for i := range 4 {
		send(t, c, 0, fmt.Sprint("m", i), "")
	}
	list := popped(t, c.Call(request("maxMsgNums", "2")))
	none(t, c)
	waiting := b.Dial(false)
	waiting.Send(request("pollTime", "15000"))
	held(t, c, "1")
	ack(t, c, list[0])
	require.Equal(t, []string{"m2", "m3"}, bodies(popped(t, waiting.Read())))
}

// notify is a NOTIFICATION with further fields.
func notify(kv ...string) *protocol.Command {
	return &protocol.Command{Code: protocol.Notification, Version: protocol.Version, Ext: append(fields("consumerGroup", group, "topic", topic, "queueId", "-1",
		"bornTime", fmt.Sprint(time.Now().UnixMilli())), fields(kv...)...)}
}

func TestPeekAndNotification(t *testing.T) {
	t.Parallel()
	b, c := start(t)
	peek := &protocol.Command{Code: protocol.PeekMessage, Version: protocol.Version, Ext: fields("consumerGroup", group, "topic", topic, "queueId", "-1", "maxMsgNums", "8")}
	require.Equal(t, protocol.PullNotFound, c.Call(peek).Code)
	require.Equal(t, "false", brokertest.Field(t, c.Call(notify("pollTime", "0")), "hasMsg"))
	waiting := b.Dial(false)
	waiting.Send(notify("pollTime", "15000"))
	send(t, c, 2, "m", "TAGS\x01a\x02")
	require.Equal(t, "true", brokertest.Field(t, waiting.Read(), "hasMsg"))
	waiting.Send(notify("pollTime", "15000", "expType", "TAG", "exp", "b"))
	for range 2 {
		resp := c.Call(peek)
		require.Equal(t, protocol.Success, resp.Code)
		require.Equal(t, "1", brokertest.Field(t, resp, "restNum"))
		require.Equal(t, "m", string(brokertest.Records(t, resp.Body)[0].Body))
	}
	send(t, c, 2, "n", "TAGS\x01b\x02")
	require.Equal(t, "true", brokertest.Field(t, waiting.Read(), "hasMsg"))
	require.Len(t, popped(t, c.Call(request())), 2)
	require.Equal(t, "false", brokertest.Field(t, c.Call(notify("pollTime", "0")), "hasMsg"))
	require.Equal(t, protocol.PullNotFound, c.Call(peek).Code)
}

// TestRefusals are Java's codes and remarks.
func TestRefusals(t *testing.T) {
	_, c := start(t)
	send(t, c, 0, "m", "")
	one := popped(t, c.Call(request()))[0]
	for name, x := range map[string]struct {
		cmd    *protocol.Command
		code   int32
		remark string
	}{
		"too many":        {request("maxMsgNums", "33"), protocol.InvalidParameter, "the broker[127.0.0.1] pop message's num is greater than 32"},
		"none":            {request("maxMsgNums", "0"), protocol.InvalidParameter, "is not greater than 0"},
		"too long":        {request("invisibleTime", "259200001"), protocol.InvalidParameter, "invisible time"},
		"no topic":        {request("topic", "NOWHERE"), protocol.TopicNotExist, "topic[NOWHERE] not exist, apply first please!"},
		"no queue":        {request("queueId", "4"), protocol.InvalidParameter, "queueId[4] is illegal, topic:[POPPED] topicConfig.readQueueNums:[4]"},
		"filter":          {request("exp", "||"), protocol.SubscriptionParseFailed, "parse the consumer's subscription failed"},
		"missing":         {&protocol.Command{Code: protocol.PopMessage, Version: protocol.Version}, protocol.SystemError, "the custom field"},
		"ack: queue":      {one.with("queueId", "9"), protocol.MessageIllegal, "queueId[9] is illegal"},
		"ack: offset":     {one.with("offset", "7"), protocol.NoMessage, "offset is illegal, key:POPPED@0, commit:7, store:0~1"},
		"ack: handle":     {one.with("extraInfo", "1 2"), protocol.SystemError, "has not enough fields"},
		"ack: revive":     {one.with("extraInfo", "0 1 1 77 0 broker-t 0 0"), protocol.SystemError, "there is no revive queue 77"},
		"ack: times":      {one.with("extraInfo", "0 1 999999999999 7 0 broker-t 0 0"), protocol.SystemError, "illegal"},
		"ack: lite":       {one.with("liteTopic", "x"), protocol.InvalidParameter, "group type or bind topic not match."},
		"change: offset":  {one.ack(protocol.ChangeMessageInvisibleTime, "invisibleTime", "-1"), protocol.SystemError, "invisible time"},
		"batch: nothing":  {&protocol.Command{Code: protocol.BatchAckMessage, Version: protocol.Version}, protocol.NoMessage, ""},
		"batch: no json":  {&protocol.Command{Code: protocol.BatchAckMessage, Version: protocol.Version, Body: []byte("{")}, protocol.SystemError, "cannot decode"},
		"batch: bits":     {batchOf(`"b":"!","q":0,"r":"0"`), protocol.SystemError, "bit set"},
		"batch: retry":    {batchOf(`"b":"AQ==","q":0,"r":"7"`), protocol.SystemError, "retry flag"},
		"batch: no queue": {batchOf(`"b":"AQ==","q":3,"r":"1"`), protocol.Success, ""},
	} {
		resp := c.Call(x.cmd)
		require.Equal(t, x.code, resp.Code, "%s: %s", name, resp.Remark)
		require.Contains(t, resp.Remark, x.remark, name)
	}
	none(t, c)
}

func (g *got) with(key, value string) *protocol.Command {
	cmd := g.ack(protocol.AckMessage)
	for i := range cmd.Ext {
		if cmd.Ext[i].Key == key {
			cmd.Ext[i].Value = value
			return cmd
		}
	}
	cmd.Ext = append(cmd.Ext, protocol.Field{Key: key, Value: value})
	return cmd
}

func batchOf(entry string) *protocol.Command {
	return &protocol.Command{Code: protocol.BatchAckMessage, Version: protocol.Version,
		Body: []byte(`{"acks":[{"c":"poppers","t":"POPPED","so":0,"rq":0,"pt":1,"it":1,` + entry + `}],"brokerName":"broker-t"}`)}
}
