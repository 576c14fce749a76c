package send_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func createBatchTopic(t *testing.T, c *brokertest.Client, topic string) {
	t.Helper()
	resp := c.Call(protocol.NewRequest(protocol.UpdateAndCreateTopic, header.CreateTopicRequest{Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: 2,
		WriteQueueNums: 2, Perm: 6, TopicFilterType: "SINGLE_TAG", Attributes: "+queue.type=BatchCQ"}))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

func batchBody(n int) string {
	var b []byte
	for i := range n {
		b = message.AppendBatchItem(b, message.BatchItem{Flag: int32(i), Body: fmt.Append(nil, "m", i), Properties: fmt.Sprintf("TAGS\x01t\x02UNIQ_KEY\x01k%d\x02", i)})
	}
	return string(b)
}

// innerBatch is a batch as Java's producer sends it.
func innerBatch(topic, properties, body string, more ...protocol.Field) *protocol.Command {
	req := brokertest.SendRequest(topic, 1, properties, body, append([]protocol.Field{field("m", "true"), field("h", "0")}, more...)...)
	req.Code = protocol.SendBatchMessage
	return req
}

func TestBatchForABatchQueueIsOneRecord(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	createBatchTopic(t, c, "B")
	resp := c.Call(innerBatch("B", "UNIQ_KEY\x01U\x02KEYS\x01k1 k2\x02WAIT\x01true\x02INNER_NUM\x0199\x02", batchBody(12)))
	r := stored(t, c, resp)
	require.Equal(t, "0", brokertest.Field(t, resp, "queueOffset"))
	require.Equal(t, "U", brokertest.Field(t, resp, "transactionId"))
	require.Equal(t, "U", brokertest.Field(t, resp, "batchUniqId"))
	require.Equal(t, batchBody(12), string(r.Body))
	require.EqualValues(t, 0xC0, r.SysFlag)
	require.Equal(t, "UNIQ_KEY\x01U\x02KEYS\x01k1 k2\x02WAIT\x01true\x02MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02CLUSTER\x01DefaultCluster\x02INNER_NUM\x0112\x02INNER_BASE\x010\x02", r.Properties)
	// A plain message, and a batch without a key of its own, take one record for each message.
	one := stored(t, c, c.Call(brokertest.SendRequest("B", 1, "TAGS\x01t\x02", "single")))
	require.EqualValues(t, 12, one.QueueOffset)
	require.Zero(t, one.SysFlag)
	resp = c.Call(innerBatch("B", "", batchBody(3)))
	require.Len(t, strings.Split(brokertest.Field(t, resp, "msgId"), ","), 3)
	require.Equal(t, "13", brokertest.Field(t, resp, "queueOffset"))
	r = stored(t, c, c.Call(innerBatch("B", "UNIQ_KEY\x01V\x02", batchBody(4))))
	require.Equal(t, "16", message.GetProperty(r.Properties, "INNER_BASE"))
	require.EqualValues(t, 16, r.QueueOffset)

	look := func(c *brokertest.Client) {
		offset := func(code int32) string {
			return brokertest.Field(t, c.Call(protocol.NewRequest(code, header.GetMaxOffsetRequest{Topic: "B", QueueID: 1})), "offset")
		}
		require.Equal(t, "0", offset(protocol.GetMinOffset))
		require.Equal(t, "20", offset(protocol.GetMaxOffset))
		resp := c.Call(brokertest.PullRequest("B", 1, 7, "*"))
		require.Equal(t, "20", brokertest.Field(t, resp, "nextBeginOffset"))
		var offsets []int64
		for _, r := range brokertest.Records(t, resp.Body) {
			offsets = append(offsets, r.QueueOffset)
		}
		require.Equal(t, []int64{0, 12, 13, 14, 15, 16}, offsets)
	}
	look(c)
	b.Restart()
	look(b.Dial(false))
}

func TestInnerBatchesAreRefusedAsByJava(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	createBatchTopic(t, c, "B")
	inner := field("f", "192")
	illegal := "the message is illegal, maybe msg body or properties length not matched"
	for what, req := range map[string]*protocol.Command{
		"a flag on one message":      brokertest.SendRequest("B", 1, "INNER_NUM\x011\x02", "x", inner),
		"a flag for a simple queue":  brokertest.SendRequest("T", 1, "INNER_NUM\x011\x02", "x", inner),
		"a number without a flag":    brokertest.SendRequest("B", 1, "INNER_NUM\x011\x02", "x"),
		"an empty batch":             innerBatch("B", "UNIQ_KEY\x01U\x02", ""),
		"too many messages":          innerBatch("B", "UNIQ_KEY\x01U\x02", strings.Repeat(batchBody(1), 1<<15)),
		"a delayed batch":            innerBatch("B", "UNIQ_KEY\x01U\x02DELAY\x012\x02", batchBody(2)),
		"a batch for the timer":      innerBatch("B", "UNIQ_KEY\x01U\x02TIMER_DELAY_SEC\x012\x02", batchBody(2)),
		"a batch of half messages":   innerBatch("B", "UNIQ_KEY\x01U\x02", batchBody(2), field("f", "4")),
		"a key longer than can be":   innerBatch("B", "UNIQ_KEY\x01"+strings.Repeat("U", 33000)+"\x02", batchBody(2)),
		"a batch longer than can be": innerBatch("B", "UNIQ_KEY\x01U\x02", strings.Repeat(batchBody(1), 200000)),
	} {
		resp := c.Call(req)
		require.Equal(t, protocol.MessageIllegal, resp.Code, "%s: %s", what, resp.Remark)
		if what != "an empty batch" {
			require.Contains(t, resp.Remark, illegal, what)
		}
	}
	broken := batchBody(3)
	resp := c.Call(innerBatch("B", "UNIQ_KEY\x01U\x02", broken[:len(broken)-1]))
	require.Equal(t, protocol.SystemError, resp.Code)
	// A consumer that cannot use a message of a batch sends that message itself when its broker refuses the batch.
	r := stored(t, c, c.Call(innerBatch("B", "UNIQ_KEY\x01U\x02", batchBody(3))))
	resp = c.Call(protocol.NewRequest(protocol.ConsumerSendMsgBack, header.ConsumerSendMsgBackRequest{Offset: r.PhysicalOffset, Group: "consumers", DelayLevel: 3}))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "MESSAGE_ILLEGAL", resp.Remark)
}

func TestHeldPullGetsABatch(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	createBatchTopic(t, c, "B")
	require.Equal(t, protocol.Success, c.Call(innerBatch("B", "UNIQ_KEY\x01U\x02", batchBody(5))).Code)
	for i, properties := range []string{"UNIQ_KEY\x01U\x02", "UNIQ_KEY\x01U\x02TAGS\x01t\x02"} {
		waiting := b.Dial(false)
		opaque := waiting.Send(brokertest.PullRequest("B", 1, int64(5+5*i), "t", field("sysFlag", "6")))
		require.Equal(t, protocol.Success, c.Call(innerBatch("B", properties, batchBody(5))).Code)
		resp := waiting.Read()
		require.Equal(t, opaque, resp.Opaque)
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		recs := brokertest.Records(t, resp.Body)
		require.Len(t, recs, 1)
		require.EqualValues(t, 5+5*i, recs[0].QueueOffset)
	}
}
