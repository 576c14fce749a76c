package relay_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

const replyTopic = "DefaultCluster_REPLY_TOPIC"

// shortNames are those of SEND_REPLY_MESSAGE_V2. Java: SendMessageRequestHeaderV2.
var shortNames = map[string]string{"producerGroup": "a", "topic": "b", "defaultTopic": "c", "defaultTopicQueueNums": "d", "queueId": "e", "sysFlag": "f",
	"bornTimestamp": "g", "flag": "h", "properties": "i", "reconsumeTimes": "j", "unitMode": "k", "maxReconsumeTimes": "l", "batch": "m"}

// replying makes a reply to a client's request; changes are names and values.
func replying(code int32, to, text string, changes ...string) *protocol.Command {
	f := map[string]string{"producerGroup": "P2", "topic": replyTopic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "4", "queueId": "0", "sysFlag": "0",
		"bornTimestamp": "1700000000000", "flag": "7", "properties": "CORRELATION_ID\x01x\x02TAGS\x01r\x02REPLY_TO_CLIENT\x01" + to + "\x02", "reconsumeTimes": "0", "unitMode": "false", "batch": "false"}
	for i := 0; i < len(changes); i += 2 {
		f[changes[i]] = changes[i+1]
	}
	cmd := request(code, text)
	for k, v := range f {
		if code == protocol.SendReplyMessageV2 {
			k = shortNames[k]
		}
		cmd.Ext = append(cmd.Ext, protocol.Field{Key: k, Value: v})
	}
	return cmd
}

func TestReplyReachesWhoAskedAndIsStored(t *testing.T) {
	for _, code := range []int32{protocol.SendReplyMessage, protocol.SendReplyMessageV2} {
		w := start(t)
		asker, other := w.producer("asker"), w.producer("other")
		before := time.Now().UnixMilli()
		cmd := replying(code, "asker", "the answer", "sysFlag", "1")
		opaque := w.tool.Send(cmd)
		push := w.asked(asker, protocol.PushReplyMessageToClient)
		require.False(t, push.IsOneway(), "who asked says that it has it")
		require.Equal(t, "the answer", string(push.Body))
		got := fields(push)
		require.Equal(t, []string{"P2", replyTopic, "0", "1", "7", "1700000000000", "0"},
			[]string{got["producerGroup"], got["topic"], got["queueId"], got["sysFlag"], got["flag"], got["bornTimestamp"], got["reconsumeTimes"]})
		require.Equal(t, fmt.Sprintf("127.0.0.1:%d", w.Options.ListenPort), got["storeHost"])
		require.Contains(t, got["bornHost"], "127.0.0.1:")
		require.Equal(t, "x", message.GetProperty(got["properties"], "CORRELATION_ID"))
		pushed, err := strconv.ParseInt(message.GetProperty(got["properties"], "PUSH_REPLY_TIME"), 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, pushed, before)
		asker.Answer(push, protocol.NewResponse(protocol.Success, ""))

		resp := w.result(opaque)
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		out := fields(resp)
		require.Equal(t, []string{"0", "0", "DefaultRegion", "true"}, []string{out["queueId"], out["queueOffset"], out["MSG_REGION"], out["TRACE_ON"]})
		_, at, err := message.ParseOffsetID(out["msgId"])
		require.NoError(t, err)
		view := w.say(request(protocol.ViewMessageByID, "", "offset", fmt.Sprint(at)))
		r := brokertest.Records(t, view.Body)[0]
		require.Equal(t, []any{replyTopic, int32(0), int32(7), int32(1), "the answer"}, []any{r.Topic, r.QueueID, r.Flag, r.SysFlag, string(r.Body)})
		require.Equal(t, "r", message.GetProperty(r.Properties, "TAGS"))
		// Nothing came to the other producer: what it reads first is the answer to this.
		other.Call(request(protocol.GetMaxOffset, "", "topic", replyTopic, "queueId", "0"))
	}
}

func TestRepliesWithoutAQueueGetOne(t *testing.T) {
	w := start(t)
	asker := w.producer("asker")
	opaque := w.tool.Send(replying(protocol.SendReplyMessageV2, "asker", "a", "queueId", "-1"))
	push := w.asked(asker, protocol.PushReplyMessageToClient)
	asker.Answer(push, protocol.NewResponse(protocol.Success, ""))
	resp := w.result(opaque)
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.Equal(t, "0", brokertest.Field(t, resp, "queueId"), "the reply topic has one")
}

// Who replies is told when it was in vain; the reply is stored all the same.
func TestRepliesThatDoNotArrive(t *testing.T) {
	w := start(t)
	tells := func(resp *protocol.Command, remark string, stored int) {
		t.Helper()
		require.Equal(t, protocol.SystemError, resp.Code)
		require.Equal(t, remark, resp.Remark)
		require.Equal(t, strconv.Itoa(stored-1), brokertest.Field(t, resp, "queueOffset"))
	}
	tells(w.tool.Call(replying(protocol.SendReplyMessageV2, "nobody", "a")), "push reply message fail, channel of <nobody> not found.", 1)
	tells(w.tool.Call(replying(protocol.SendReplyMessageV2, "", "a", "properties", "CORRELATION_ID\x01x\x02")), "reply message properties[REPLY_TO_CLIENT] is null", 2)

	asker := w.producer("asker")
	opaque := w.tool.Send(replying(protocol.SendReplyMessageV2, "asker", "a"))
	asker.Answer(w.asked(asker, protocol.PushReplyMessageToClient), protocol.NewResponse(protocol.SystemError, "too late"))
	tells(w.result(opaque), "push reply message to asker fail. It answers 1: too late", 3)

	opaque = w.tool.Send(replying(protocol.SendReplyMessageV2, "asker", "a"))
	w.asked(asker, protocol.PushReplyMessageToClient)
	asker.Close()
	tells(w.result(opaque), "push reply message to asker fail. closed", 4)
}

func TestRepliesNeedNotBeStored(t *testing.T) {
	w := start(t, func(o *broker.Options) { o.StoreReplyMessageEnable = false })
	asker := w.producer("asker")
	opaque := w.tool.Send(replying(protocol.SendReplyMessageV2, "asker", "a"))
	asker.Answer(w.asked(asker, protocol.PushReplyMessageToClient), protocol.NewResponse(protocol.Success, ""))
	resp := w.result(opaque)
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.Equal(t, "0", brokertest.Field(t, resp, "msgId"), "which clients decode")
	end := w.say(request(protocol.GetMaxOffset, "", "topic", replyTopic, "queueId", "0"))
	require.Equal(t, "0", brokertest.Field(t, end, "offset"))

	resp = w.tool.Call(replying(protocol.SendReplyMessageV2, "nobody", "a"))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.NotContains(t, fields(resp), "msgId")
}

func TestRepliesThatAreRefused(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		field, value string
		code         int32
		remark       string
	}{
		{"topic", "nowhere", protocol.TopicNotExist, "topic[nowhere] not exist, apply first please!"},
		{"topic", "", protocol.InvalidParameter, "The specified topic is blank."},
		{"topic", "SCHEDULE_TOPIC_XXXX", protocol.NoPermission, "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden."},
		{"queueId", "1", protocol.InvalidParameter, "request queueId[1] is illegal, topic DefaultCluster_REPLY_TOPIC has 1"},
	} {
		resp := w.tool.Call(replying(protocol.SendReplyMessageV2, "nobody", "a", c.field, c.value))
		require.Equal(t, []any{c.code, c.remark}, []any{resp.Code, resp.Remark})
		require.Equal(t, "DefaultRegion", brokertest.Field(t, resp, "MSG_REGION"))
	}
	resp := w.tool.Call(request(protocol.SendReplyMessage, "a"))
	require.NotEqual(t, protocol.Success, resp.Code, "no fields")
	end := w.say(request(protocol.GetMaxOffset, "", "topic", replyTopic, "queueId", "0"))
	require.Equal(t, "0", brokertest.Field(t, end, "offset"), "nothing is stored")
}

func TestNoRepliesBeforeTheBrokerTakesMessages(t *testing.T) {
	until := time.Date(2100, 1, 2, 3, 4, 5, 0, time.Local)
	w := start(t, func(o *broker.Options) { o.StartAcceptSendRequest = until.UnixMilli() })
	w.refused(replying(protocol.SendReplyMessageV2, "nobody", "a"), protocol.SystemError, "broker unable to service, until 2100-01-02 03:04:05,000")
}
