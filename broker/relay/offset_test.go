package relay_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func byClients(o *broker.Options) { o.UseServerSideResetOffset = false }

func reset(timestamp string, force bool, more ...string) *protocol.Command {
	return request(protocol.InvokeBrokerToResetOffset, "", append([]string{"topic", "T", "group", "G", "timestamp", timestamp, "isForce", strconv.FormatBool(force)}, more...)...)
}

// consumed commits offsets of G, one for each queue from 0 on.
func (w *world) consumed(offsets ...int) {
	w.t.Helper()
	for q, at := range offsets {
		w.say(request(protocol.UpdateConsumerOffset, "", "consumerGroup", "G", "topic", "T", "queueId", strconv.Itoa(q), "commitOffset", strconv.Itoa(at)))
	}
}

// offsets takes the body of a reset apart: offsets by queue of T on this broker.
func offsets(t *testing.T, b []byte) map[int32]int64 {
	t.Helper()
	var table body.ResetOffsetBody
	require.NoError(t, body.Unmarshal(b, &table))
	out := map[int32]int64{}
	for q, at := range table.OffsetTable {
		require.Equal(t, message.MessageQueue{Topic: "T", BrokerName: "broker-t", QueueID: q.QueueID}, q)
		out[q.QueueID] = at
	}
	return out
}

// Each queue of T holds three messages; G is in the middle of some and has not begun with others.
func TestConsumersAreToldWhereToGoOn(t *testing.T) {
	w := start(t, byClients)
	one, two := w.consumer("one", protocol.Version), w.consumer("two", 28)
	for range 3 {
		w.fill(4)
	}
	w.consumed(0, 1, 2, 3)
	for _, c := range []struct {
		timestamp string
		force     bool
		want      map[int32]int64
	}{
		{"0", true, map[int32]int64{0: 0, 1: 0, 2: 0, 3: 0}},
		{"0", false, map[int32]int64{0: 0, 1: 0, 2: 0, 3: 0}},
		{"-1", true, map[int32]int64{0: 3, 1: 3, 2: 3, 3: 3}},
		{"-1", false, map[int32]int64{0: 0, 1: 1, 2: 2, 3: 3}}, // nobody is moved forward
	} {
		resp := w.say(reset(c.timestamp, c.force))
		require.Equal(t, c.want, offsets(t, resp.Body), "timestamp %s, force %v", c.timestamp, c.force)
		for _, consumer := range []*brokertest.Client{one, two} {
			push := w.asked(consumer, protocol.ResetConsumerClientOffset)
			require.True(t, push.IsOneway())
			require.Equal(t, c.want, offsets(t, push.Body))
			got := fields(push)
			require.Equal(t, []string{"T", "G", c.timestamp}, []string{got["topic"], got["group"], got["timestamp"]})
		}
	}
	at := w.say(request(protocol.QueryConsumerOffset, "", "consumerGroup", "G", "topic", "T", "queueId", "2"))
	require.Equal(t, "2", brokertest.Field(t, at, "offset"), "the consumers commit when they have moved, not the broker")
}

func TestConsumersInCPPGetAList(t *testing.T) {
	w := start(t, byClients)
	c := w.consumer("one", protocol.Version)
	w.fill(4)
	w.consumed(1, 1, 0, 1)
	cmd := reset("0", true)
	cmd.Language = protocol.LanguageCPP
	require.Len(t, offsets(t, w.say(cmd).Body), 4, "who asks gets a table")
	var list body.ResetOffsetBodyForC
	require.NoError(t, body.Unmarshal(w.asked(c, protocol.ResetConsumerClientOffset).Body, &list))
	want := []body.MessageQueueForC{}
	for q := range int32(4) {
		want = append(want, body.MessageQueueForC{Topic: "T", BrokerName: "broker-t", QueueID: q})
	}
	require.Equal(t, want, list.OffsetTable)
}

func TestResetsThatConsumersAreNotToldOf(t *testing.T) {
	w := start(t, byClients)
	w.fill(4)
	w.refused(reset("0", true), protocol.SystemError, "THe consumer group <G> not exist")
	w.say(request(protocol.GetSubscriptionGroupConfig, "", "group", "G")) // which makes it
	w.consumed(1, 1, 1)
	w.refused(reset("0", true), protocol.SystemError, "THe consumer group <G> not exist")
	w.consumed(1, 1, 1, 1)
	w.refused(reset("0", true), protocol.ConsumerNotOnline, "Consumer not online, so can not reset offset, Group: G Topic: T Timestamp: 0")
	w.refused(request(protocol.InvokeBrokerToResetOffset, "", "topic", "nowhere", "group", "G", "timestamp", "0", "isForce", "true"), protocol.TopicNotExist,
		"[reset-offset] reset offset failed, no topic in this broker. topic=nowhere")
	young := w.consumer("young", protocol.Version)
	w.consumer("old", 27)
	w.refused(reset("0", true), protocol.SystemError, "the client does not support this feature. version=27")
	// The young one is told of a new member of the group, and of no reset in front of what it asks for.
	opaque := young.Send(request(protocol.GetMaxOffset, "", "topic", "T", "queueId", "0"))
	for {
		cmd := young.Read()
		require.NotEqual(t, protocol.ResetConsumerClientOffset, cmd.Code, "half of the group was reset")
		if cmd.IsResponse() && cmd.Opaque == opaque {
			return
		}
	}
}

// By default the broker moves the group itself and tells it with its next pull.
func TestBrokerMovesAGroup(t *testing.T) {
	w := start(t)
	c := w.consumer("one", protocol.Version)
	for range 3 {
		w.fill(4)
	}
	w.consumed(3, 3, 3, 3)
	pull := func(queue int, at int64) *protocol.Command {
		return c.Call(brokertest.PullRequest("T", queue, at, "*", protocol.Field{Key: "consumerGroup", Value: "G"}, protocol.Field{Key: "sysFlag", Value: "0"}))
	}
	for _, s := range []struct {
		cmd  *protocol.Command
		want map[int32]int64
	}{
		{reset("0", true), map[int32]int64{0: 0, 1: 0, 2: 0, 3: 0}},
		{reset("-1", true, "queueId", "-1"), map[int32]int64{0: 3, 1: 3, 2: 3, 3: 3}},
		{reset("0", true, "queueId", "2", "offset", "1"), map[int32]int64{2: 1}},
		{reset("0", true, "queueId", "1", "offset", "-1"), map[int32]int64{1: 0}},
		{reset("-1", true, "queueId", "1"), map[int32]int64{1: 3}},
	} {
		resp := w.say(s.cmd)
		require.Equal(t, s.want, offsets(t, resp.Body), "%v", s.cmd.Ext)
		for q, at := range s.want {
			moved := pull(int(q), 2)
			require.Equal(t, protocol.PullOffsetMoved, moved.Code, "queue %d", q)
			require.Equal(t, fmt.Sprint(at), brokertest.Field(t, moved, "nextBeginOffset"))
			require.NotEqual(t, protocol.PullOffsetMoved, pull(int(q), at).Code, "told once")
		}
	}
}

func TestResetsThatTheBrokerRefuses(t *testing.T) {
	w := start(t)
	w.fill(4)
	w.refused(reset("0", true), protocol.SubscriptionGroupNotExist, "Group G does not exist")
	w.consumer("one", protocol.Version)
	w.refused(request(protocol.InvokeBrokerToResetOffset, "", "topic", "nowhere", "group", "G", "timestamp", "0", "isForce", "true"), protocol.TopicNotExist,
		"Topic nowhere does not exist")
	for _, at := range []string{"-2", "3", "9223372036854775807"} {
		w.refused(reset("0", true, "queueId", "0", "offset", at), protocol.SystemError, "Target offset "+at+" not in consume queue range [0-1]")
	}
	resp := w.tool.Call(request(protocol.InvokeBrokerToResetOffset, "", "topic", "T", "group", "G"))
	require.Equal(t, protocol.SystemError, resp.Code, "no timestamp")
}

func TestConsumersTellHowFarTheyAre(t *testing.T) {
	w := start(t)
	one, two, lost := w.consumer("one", protocol.Version), w.consumer("two", protocol.Version), w.consumer("lost", protocol.Version)
	status := func(client string) *protocol.Command {
		return request(protocol.InvokeBrokerToGetConsumerStatus, "", "topic", "T", "group", "G", "clientAddr", client)
	}
	opaque := w.tool.Send(status(""))
	first := w.asked(one, protocol.GetConsumerStatusFromClient)
	require.Equal(t, []string{"T", "G"}, []string{fields(first)["topic"], fields(first)["group"]})
	answer := protocol.NewResponse(protocol.Success, "")
	answer.Body = []byte(`{"messageQueueTable":{{"brokerName":"broker-t","queueId":1,"topic":"T"}:5}}`)
	one.Answer(first, answer)
	two.Answer(w.asked(two, protocol.GetConsumerStatusFromClient), protocol.NewResponse(protocol.SystemError, "not now"))
	w.asked(lost, protocol.GetConsumerStatusFromClient)
	lost.Close()
	resp := w.result(opaque)
	require.Equal(t, protocol.Success, resp.Code)
	var table body.GetConsumerStatusBody
	require.NoError(t, body.Unmarshal(resp.Body, &table))
	at := message.MessageQueue{Topic: "T", BrokerName: "broker-t", QueueID: 1}
	require.Equal(t, map[string]body.QueueMap[int64]{"one": {at: 5}}, table.ConsumerTable, "who says nothing is left out")

	opaque = w.tool.Send(status("two"))
	req := w.asked(two, protocol.GetConsumerStatusFromClient)
	bad := protocol.NewResponse(protocol.Success, "")
	bad.Body = []byte(`{"messageQueueTable":`)
	two.Answer(req, bad)
	resp = w.result(opaque)
	require.NoError(t, body.Unmarshal(resp.Body, &table))
	require.NotContains(t, string(resp.Body), "two")

	w.consumer("old", 27)
	w.refused(status(""), protocol.SystemError, "the client does not support this feature. version=27")
	w.refused(request(protocol.InvokeBrokerToGetConsumerStatus, "", "topic", "T", "group", "H"), protocol.SystemError, "No Any Consumer online in the consumer group: [H]")
}
