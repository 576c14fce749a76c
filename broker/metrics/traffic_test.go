package metrics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// heartbeat is of a client that is in a producer group, a push group and a POP group.
const heartbeat = `{"clientID":"c1","producerDataSet":[{"groupName":"producers"}],"consumerDataSet":[
{"groupName":"pushers","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","unitMode":false,
"subscriptionDataSet":[{"topic":"T","subString":"a","tagsSet":["a"],"codeSet":[97],"subVersion":1,"expressionType":"TAG","classFilterMode":false}]},
{"groupName":"poppers","consumeType":"CONSUME_POP","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","unitMode":false,
"subscriptionDataSet":[{"topic":"P","subString":"*","tagsSet":[],"codeSet":[],"subVersion":1,"expressionType":"TAG","classFilterMode":false}]}]}`

func fields(kv ...string) (ext protocol.Ext) {
	for i := 0; i < len(kv); i += 2 {
		ext = append(ext, protocol.Field{Key: kv[i], Value: kv[i+1]})
	}
	return ext
}

func command(code int32, kv ...string) *protocol.Command {
	return &protocol.Command{Code: code, Version: protocol.Version, Ext: fields(kv...)}
}

// traffic is what a client does that uses all that is counted. It returns when everything has come to its end.
type traffic struct {
	t *testing.T
	c *brokertest.Client
}

func (x *traffic) call(cmd *protocol.Command) *protocol.Command {
	x.t.Helper()
	resp := x.c.Call(cmd)
	require.Equal(x.t, protocol.Success, resp.Code, "%d: %s", cmd.Code, resp.Remark)
	return resp
}

func (x *traffic) send(topic, properties, body string) *protocol.Command {
	x.t.Helper()
	return x.call(brokertest.SendRequest(topic, 0, properties, body))
}

// until pulls a topic until want messages are there. At its end the pulls are held.
func (x *traffic) until(topic string, want int) {
	x.t.Helper()
	for deadline, at := time.Now().Add(time.Minute), 0; at < want; {
		resp := x.c.Call(brokertest.PullRequest(topic, 0, int64(at), "*", fields("sysFlag", "6", "suspendTimeoutMillis", "1000")...))
		at += len(brokertest.Records(x.t, resp.Body))
		require.True(x.t, time.Now().Before(deadline), topic)
	}
}

func (x *traffic) run(brokerName string) {
	x.call(command(protocol.UpdateAndCreateTopic, "topic", "T", "defaultTopic", "TBW102", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6",
		"topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false", "attributes", ""))
	x.call(command(protocol.UpdateAndCreateTopic, "topic", "P", "defaultTopic", "TBW102", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6",
		"topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false", "attributes", ""))
	group := command(protocol.UpdateAndCreateSubscriptionGroup)
	group.Body = []byte(`{"groupName":"pushers","retryQueueNums":1,"retryMaxTimes":1}`)
	x.call(group)
	beat := command(protocol.HeartBeat)
	beat.Body = []byte(heartbeat)
	x.call(beat)
	x.sendAll()
	x.transactions()
	x.pull()
	x.pop(brokerName)
	x.c.Call(command(protocol.GetTopicConfig, "topic", "none"))
	x.c.Call(command(77777))
}

func (x *traffic) sendAll() {
	x.send("T", "TAGS\x01a\x02UNIQ_KEY\x01u1\x02", "normal")
	x.send("T", "TAGS\x01b\x02UNIQ_KEY\x01u2\x02", strings.Repeat("big", 1000))
	x.send("T", "__SHARDINGKEY\x01s\x02UNIQ_KEY\x01u3\x02", "fifo")
	x.send("T", "DELAY\x011\x02UNIQ_KEY\x01u4\x02", "by level")
	x.send("T", "TIMER_DELAY_MS\x011500\x02UNIQ_KEY\x01u5\x02", "by time")
	oneway := brokertest.SendRequest("T", 0, "UNIQ_KEY\x01u6\x02", "oneway")
	oneway.Flag |= protocol.FlagOneway
	x.c.Send(oneway)
	x.until("T", 6)
}

func (x *traffic) transactions() {
	for i, end := range []int32{message.SysFlagCommit, message.SysFlagRollback} {
		resp := x.send("T", fmt.Sprintf("TRAN_MSG\x01true\x02PGROUP\x01producers\x02UNIQ_KEY\x01tx%d\x02", i), "half")
		id := brokertest.Field(x.t, resp, "msgId")
		h := header.EndTransactionRequest{Topic: "T", ProducerGroup: "producers", MsgID: id, TransactionID: fmt.Sprint("tx", i), CommitOrRollback: end}
		_, err := fmt.Sscanf(id[len(id)-16:], "%x", &h.CommitLogOffset)
		require.NoError(x.t, err)
		_, err = fmt.Sscan(brokertest.Field(x.t, resp, "queueOffset"), &h.TranStateTableOffset)
		require.NoError(x.t, err)
		x.call(protocol.NewRequest(protocol.EndTransaction, &h))
	}
	x.until("T", 7)
}

// pull reads with a filter, waits at the end of the queue and gives messages back.
func (x *traffic) pull() {
	resp := x.call(brokertest.PullRequest("T", 0, 0, "a", fields("consumerGroup", "pushers", "commitOffset", "0")...))
	first := brokertest.Records(x.t, resp.Body)[0]
	next := brokertest.Field(x.t, resp, "nextBeginOffset")
	held := brokertest.PullRequest("T", 0, 0, "*", fields("consumerGroup", "pushers", "queueOffset", next, "sysFlag", "6", "suspendTimeoutMillis", "200")...)
	require.Equal(x.t, protocol.PullNotFound, x.c.Call(held).Code)
	x.call(command(protocol.UpdateConsumerOffset, "consumerGroup", "pushers", "topic", "T", "queueId", "0", "commitOffset", "2"))
	for _, level := range []string{"1", "-1"} {
		x.call(command(protocol.ConsumerSendMsgBack, "offset", fmt.Sprint(first.PhysicalOffset), "group", "pushers", "delayLevel", level,
			"originMsgId", "x", "originTopic", "T", "unitMode", "false", "maxReconsumeTimes", "16"))
	}
	x.until("%RETRY%pushers", 1)
	x.until("%DLQ%pushers", 1)
}

// pop acknowledges one message, lets another come again, and takes that from the retry topic.
func (x *traffic) pop(brokerName string) {
	x.send("P", "TAGS\x01a\x02UNIQ_KEY\x01p1\x02", "popped")
	x.send("P", "TAGS\x01a\x02UNIQ_KEY\x01p2\x02", "popped twice")
	taken := 0
	for deadline := time.Now().Add(time.Minute); taken < 3; {
		resp := x.c.Call(command(protocol.PopMessage, "consumerGroup", "poppers", "topic", "P", "queueId", "-1", "maxMsgNums", "32", "invisibleTime", "2000",
			"pollTime", "2000", "bornTime", fmt.Sprint(time.Now().UnixMilli()), "initMode", "0", "expType", "TAG", "exp", "*", "order", "false"))
		for _, r := range brokertest.Records(x.t, resp.Body) {
			taken++
			if string(r.Body) == "popped twice" && taken < 3 {
				continue
			}
			handle := message.GetProperty(r.Properties, message.PropertyPopCK)
			if handle == "" {
				start := strings.Fields(brokertest.Field(x.t, resp, "startOffsetInfo"))
				handle = strings.Join([]string{start[2], brokertest.Field(x.t, resp, "popTime"), "2000", brokertest.Field(x.t, resp, "reviveQid"),
					start[0], brokerName, fmt.Sprint(r.QueueID), fmt.Sprint(r.QueueOffset)}, " ")
			}
			real := "P"
			if strings.Fields(handle)[4] == "1" {
				real = "%RETRY%poppers_P"
			}
			x.call(command(protocol.AckMessage, "consumerGroup", "poppers", "topic", real, "queueId", fmt.Sprint(r.QueueID), "extraInfo", handle, "offset", fmt.Sprint(r.QueueOffset)))
		}
		require.True(x.t, time.Now().Before(deadline))
	}
}
