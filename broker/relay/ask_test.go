package relay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func TestStateIsAskedOfTheClientThatIsNamed(t *testing.T) {
	w := start(t)
	one, two := w.consumer("one", protocol.Version), w.consumer("two", protocol.Version)
	for id, c := range map[string]*brokertest.Client{"one": one, "two": two} {
		opaque := w.tool.Send(request(protocol.GetConsumerRunningInfo, "", "consumerGroup", "G", "clientId", id, "jstackEnable", "true", "metricsFromTheFuture", "1"))
		req := w.asked(c, protocol.GetConsumerRunningInfo)
		require.Equal(t, map[string]string{"consumerGroup": "G", "clientId": id, "jstackEnable": "true", "metricsFromTheFuture": "1"}, fields(req))
		answer := protocol.NewResponse(protocol.Success, "")
		answer.Body = []byte(`{"properties":{"of":"` + id + `"}}`)
		c.Answer(req, answer)
		resp := w.result(opaque)
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		require.JSONEq(t, `{"properties":{"of":"`+id+`"}}`, string(resp.Body))
	}
}

func TestRefusalsOfAClientArePassedOn(t *testing.T) {
	w := start(t)
	c := w.consumer("one", protocol.Version)
	opaque := w.tool.Send(request(protocol.GetConsumerRunningInfo, "", "consumerGroup", "G", "clientId", "one"))
	req := w.asked(c, protocol.GetConsumerRunningInfo)
	answer := protocol.NewResponse(protocol.SystemError, "The Consumer Group <G> not exist in this consumer")
	answer.Ext = protocol.Ext{{Key: "why", Value: "stopping"}}
	c.Answer(req, answer)
	resp := w.result(opaque)
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "The Consumer Group <G> not exist in this consumer", resp.Remark)
	require.Equal(t, "stopping", brokertest.Field(t, resp, "why"))
}

func TestClientsThatCannotBeAsked(t *testing.T) {
	w := start(t)
	w.consumer("old", 61)
	state := func(group, id string) *protocol.Command {
		return request(protocol.GetConsumerRunningInfo, "", "consumerGroup", group, "clientId", id)
	}
	w.refused(state("G", "nobody"), protocol.SystemError, "The Consumer <G> <nobody> not online")
	w.refused(state("H", "old"), protocol.SystemError, "The Consumer <H> <old> not online")
	w.refused(state("G", "old"), protocol.SystemError, "The Consumer <old> Version <61> too low to finish, please upgrade it to V3_1_8_SNAPSHOT")

	leaves := w.consumer("leaves", protocol.Version)
	opaque := w.tool.Send(state("G", "leaves"))
	w.asked(leaves, protocol.GetConsumerRunningInfo)
	leaves.Close()
	resp := w.result(opaque)
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "invoke consumer <G> <leaves> Exception: closed", resp.Remark)
}

// A broker that stops does not wait ten seconds for a client that says nothing.
func TestStopEndsTheWaiting(t *testing.T) {
	w := start(t)
	silent := w.consumer("silent", protocol.Version)
	w.tool.Send(request(protocol.GetConsumerRunningInfo, "", "consumerGroup", "G", "clientId", "silent"))
	w.asked(silent, protocol.GetConsumerRunningInfo)
	require.NoError(t, w.Close())
	resp := w.tool.Read()
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "invoke consumer <G> <silent> Exception: context canceled", resp.Remark)
}

func TestOneMessageIsConsumedDirectly(t *testing.T) {
	w := start(t)
	c := w.consumer("one", protocol.Version)
	id := w.fill(1)[0]
	group := w.say(request(protocol.GetSubscriptionGroupConfig, "", "group", "G"))
	require.Contains(t, string(group.Body), `"groupSysFlag":0`)

	opaque := w.tool.Send(request(protocol.ConsumeMessageDirectly, "", "consumerGroup", "G", "clientId", "one", "msgId", id, "topic", "T"))
	req := w.asked(c, protocol.ConsumeMessageDirectly)
	require.Equal(t, map[string]string{"consumerGroup": "G", "clientId": "one", "msgId": id, "brokerName": "broker-t", "topic": "T", "topicSysFlag": "2", "groupSysFlag": "0"}, fields(req))
	records := brokertest.Records(t, req.Body)
	require.Len(t, records, 1)
	require.Equal(t, "to queue 0", string(records[0].Body))
	answer := protocol.NewResponse(protocol.Success, "")
	answer.Body = []byte(`{"order":false,"autoCommit":true,"consumeResult":"CR_SUCCESS","spentTimeMills":1}`)
	c.Answer(req, answer)
	resp := w.result(opaque)
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.JSONEq(t, string(answer.Body), string(resp.Body))

	// A tool that leaves the topic out, as older ones do, is not told of its flags.
	opaque = w.tool.Send(request(protocol.ConsumeMessageDirectly, "", "consumerGroup", "G", "clientId", "one", "msgId", id))
	req = w.asked(c, protocol.ConsumeMessageDirectly)
	require.NotContains(t, fields(req), "topicSysFlag")
	c.Answer(req, protocol.NewResponse(protocol.SystemError, "no listener"))
	require.Equal(t, "no listener", w.result(opaque).Remark)
}

func TestMessagesThatCannotBeConsumedDirectly(t *testing.T) {
	w := start(t)
	w.consumer("one", protocol.Version)
	id := w.fill(1)[0]
	direct := func(client, id string) *protocol.Command {
		return request(protocol.ConsumeMessageDirectly, "", "consumerGroup", "G", "clientId", client, "msgId", id, "topic", "T")
	}
	w.refused(direct("nobody", id), protocol.SystemError, "The Consumer <G> <nobody> not online")
	for _, bad := range []string{"", "nothing", id[:31], id + "00"} {
		resp := w.tool.Call(direct("one", bad))
		require.Equal(t, protocol.SystemError, resp.Code, bad)
		require.Contains(t, resp.Remark, `cannot read the offset message id "`+bad+`"`)
	}
	w.refused(direct("one", id[:16]+"0000000000000007"), protocol.SystemError, "can not find message by the offset, 7")
	w.refused(direct("one", id[:16]+"FFFFFFFFFFFFFFFF"), protocol.SystemError, "can not find message by the offset, -1")
}
