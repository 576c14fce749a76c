package send_test

import (
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
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func field(k, v string) protocol.Field { return protocol.Field{Key: k, Value: v} }

// stored returns the record behind the reply to a send.
func stored(t *testing.T, c *brokertest.Client, resp *protocol.Command) message.Record {
	t.Helper()
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	_, offset, err := message.ParseOffsetID(brokertest.Field(t, resp, "msgId"))
	require.NoError(t, err)
	view := c.Call(protocol.NewRequest(protocol.ViewMessageByID, header.ViewMessageRequest{Offset: offset}))
	require.Equal(t, protocol.Success, view.Code, view.Remark)
	return brokertest.Records(t, view.Body)[0]
}

func TestReplyAndRecordAreJavas(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	resp := c.Call(brokertest.SendRequest("T", 2, "TAGS\x01tagA\x02UNIQ_KEY\x01U1\x02WAIT\x01false\x02MSG_REGION\x01old\x02POP_CK\x01x", "hello"))
	r := stored(t, c, resp)
	require.Equal(t, "2", brokertest.Field(t, resp, "queueId"))
	require.Equal(t, "0", brokertest.Field(t, resp, "queueOffset"))
	require.Equal(t, "U1", brokertest.Field(t, resp, "transactionId"))
	require.Equal(t, "DefaultRegion", brokertest.Field(t, resp, "MSG_REGION"))
	require.Equal(t, "true", brokertest.Field(t, resp, "TRACE_ON"))
	require.Equal(t, "hello", string(r.Body))
	require.Equal(t, int32(7), r.Flag)
	require.Equal(t, int64(1700000000000), r.BornTimestamp)
	require.Equal(t, "127.0.0.1", r.BornHost.AddrPort().Addr().String())
	require.Equal(t, int(b.Options.ListenPort), int(r.StoreHost.AddrPort().Port()))
	require.Equal(t, message.Properties{{Name: "TAGS", Value: "tagA"}, {Name: "UNIQ_KEY", Value: "U1"}, {Name: "WAIT", Value: "false"},
		{Name: "MSG_REGION", Value: "DefaultRegion"}, {Name: "TRACE_ON", Value: "true"}, {Name: "CLUSTER", Value: "DefaultCluster"}}, message.ParseProperties(r.Properties))
	require.Equal(t, byte(message.PropertySeparator), r.Properties[len(r.Properties)-1])

	resp = c.Call(brokertest.SendRequest("T", -1, "", "x"))
	r = stored(t, c, resp)
	key := message.GetProperty(r.Properties, message.PropertyUniqKey)
	require.Len(t, key, 32)
	require.Equal(t, key, brokertest.Field(t, resp, "transactionId"))
}

func TestChecksAnswerAsJava(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.Store.MaxMessageSize, o.RejectTransactionMessage = 1000, true })
	c := b.Dial(false)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "x")).Code)
	for _, x := range []struct {
		name   string
		cmd    *protocol.Command
		code   int32
		remark string
	}{
		{"bad topic", brokertest.SendRequest("a b", 0, "", "x"), protocol.InvalidParameter, "The specified topic: a b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"},
		{"blank topic", brokertest.SendRequest(" ", 0, "", "x"), protocol.InvalidParameter, "The specified topic is blank."},
		{"no-send topic", brokertest.SendRequest("SCHEDULE_TOPIC_XXXX", 0, "", "x"), protocol.NoPermission, "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden."},
		{"no template", brokertest.SendRequest("N", 0, "", "x", field("c", "nope")), protocol.TopicNotExist, "topic[N] not exist, apply first please!"},
		{"queue id", brokertest.SendRequest("T", 4, "", "x"), protocol.InvalidParameter, "request queueId[4] is illegal, "},
		{"body", brokertest.SendRequest("T", 0, "", strings.Repeat("x", 1001)), protocol.MessageIllegal, "the message is illegal, maybe msg body or properties length not matched. msg body length limit 1000B, msg properties length limit 32KB."},
		{"properties", brokertest.SendRequest("T", 0, "k\x01"+strings.Repeat("v", 32760), "x"), protocol.MessageIllegal, "the message is illegal"},
		{"no body", brokertest.SendRequest("T", 0, "", ""), protocol.MessageIllegal, "empty"},
		{"transaction", brokertest.SendRequest("T", 0, "TRAN_MSG\x01true\x02", "x"), protocol.NoPermission, "sending transaction message is forbidden"},
		{"recall is off", request(protocol.RecallMessage, "topic", "T", "recallHandle", "h"), protocol.NoPermission, "recall failed, operation is forbidden"},
		{"retry group", brokertest.SendRequest("%RETRY%"+strings.Repeat("g", 130), 0, "", "x"), protocol.SubscriptionGroupNotExist, "subscription group not exist, "},
		{"batch to retry", brokertest.SendRequest("%RETRY%g", 0, "", "x", field("m", "true")), protocol.MessageIllegal, "batch request does not support retry group %RETRY%g"},
		{"garbled batch", brokertest.SendRequest("T", 0, "", "x", field("m", "true")), protocol.SystemError, "cannot decode the batch body"},
		{"missing field", brokertest.SendRequest("T", 0, "", "x", field("d", "x")), protocol.SystemError, "<d>"},
	} {
		resp := c.Call(x.cmd)
		require.Equal(t, x.code, resp.Code, x.name+": "+resp.Remark)
		require.Contains(t, resp.Remark, x.remark, x.name)
		require.Equal(t, "DefaultRegion", brokertest.Field(t, resp, "MSG_REGION"), x.name)
	}
	oneway := brokertest.SendRequest("T", 0, "", "last")
	oneway.Flag = protocol.FlagOneway
	c.Send(oneway)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "behind it")).Code)
	recs := brokertest.Records(t, c.Call(brokertest.PullRequest("T", 0, 0, "*")).Body)
	require.Len(t, recs, 3, "the first send, the one-way one and the last")
	require.Equal(t, "last", string(recs[1].Body))
}

func TestBatchesOfAllForms(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	var body []byte
	for i := range 3 {
		body = message.AppendBatchItem(body, message.BatchItem{Flag: int32(i), Body: []byte(fmt.Sprint("m", i)), Properties: "TAGS\x01t\x02UNIQ_KEY\x01k" + strconv.Itoa(i)})
	}
	for round, code := range []int32{protocol.SendBatchMessage, protocol.SendMessageV2} {
		req := brokertest.SendRequest("T", 1, "UNIQ_KEY\x01k0,k1,k2\x02", string(body), field("m", "true"))
		req.Code = code
		resp := c.Call(req)
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		require.Len(t, strings.Split(brokertest.Field(t, resp, "msgId"), ","), 3)
		require.Equal(t, strconv.Itoa(round*3), brokertest.Field(t, resp, "queueOffset"))
		require.Equal(t, "k0,k1,k2", brokertest.Field(t, resp, "transactionId"))
	}
	recs := brokertest.Records(t, c.Call(brokertest.PullRequest("T", 1, 0, "t")).Body)
	require.Len(t, recs, 6)
	for i, r := range recs {
		require.Equal(t, int64(i), r.QueueOffset)
		require.Equal(t, int32(i%3), r.Flag)
		require.Equal(t, "TAGS\x01t\x02UNIQ_KEY\x01k"+strconv.Itoa(i%3), r.Properties, "properties stay as they are")
	}
}

// until pulls a queue until it has n messages.
func until(t *testing.T, c *brokertest.Client, topic string, queueID, n int) []message.Record {
	t.Helper()
	var out []message.Record
	for len(out) < n {
		resp := c.Call(brokertest.PullRequest(topic, queueID, int64(len(out)), "*", field("sysFlag", "6")))
		out = append(out, brokertest.Records(t, resp.Body)...)
	}
	return out
}

func TestDelayedMessageComesBackInTime(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.Store.MessageDelayLevel = "1s 2s" })
	c := b.Dial(false)
	resp := c.Call(brokertest.SendRequest("T", 3, "DELAY\x011\x02UNIQ_KEY\x01U\x02TAGS\x01a\x02", "later"))
	require.Equal(t, "3", brokertest.Field(t, resp, "queueId"), "the queue that was asked for")
	r := stored(t, c, resp)
	require.Equal(t, "SCHEDULE_TOPIC_XXXX", r.Topic)
	require.Equal(t, int32(0), r.QueueID)
	over := stored(t, c, c.Call(brokertest.SendRequest("T", 3, "DELAY\x0199\x02", "clamped")))
	require.Equal(t, int32(1), over.QueueID)
	b.Restart()
	c = b.Dial(false)
	recs := until(t, c, "T", 3, 2)
	for i, wait := range []int64{1000, 2000} {
		require.Equal(t, []string{"later", "clamped"}[i], string(recs[i].Body))
		require.GreaterOrEqual(t, recs[i].StoreTimestamp-[]int64{r.StoreTimestamp, over.StoreTimestamp}[i], wait)
		p := message.ParseProperties(recs[i].Properties)
		require.Equal(t, "T", p.Get(message.PropertyRealTopic))
		require.Equal(t, "3", p.Get(message.PropertyRealQueueID))
		require.Equal(t, strconv.Itoa(i+1), p.Get(message.PropertyDelay))
	}
	b.Restart()
	resp = b.Dial(false).Call(brokertest.PullRequest("T", 3, 2, "*"))
	require.Equal(t, protocol.PullNotFound, resp.Code, "nothing is delivered twice after a clean stop")
}

func TestSendBackRetriesThenGivesUp(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.Store.MessageDelayLevel = "1s 1s 1s 1s 1s" })
	c := b.Dial(false)
	first := stored(t, c, c.Call(brokertest.SendRequest("T", 0, "KEYS\x01k\x02", "work")))
	id := string(message.AppendOffsetID(nil, first.StoreHost, first.PhysicalOffset))
	back := func(offset int64, level, limit int) *protocol.Command {
		return &protocol.Command{Code: protocol.ConsumerSendMsgBack, Version: protocol.Version, Ext: protocol.Ext{field("offset", fmt.Sprint(offset)),
			field("group", "G"), field("delayLevel", fmt.Sprint(level)), field("originMsgId", "x"), field("unitMode", "false"), field("maxReconsumeTimes", fmt.Sprint(limit))}}
	}
	require.Equal(t, protocol.Success, c.Call(back(first.PhysicalOffset, 0, 2)).Code)
	r := until(t, c, "%RETRY%G", 0, 1)[0]
	p := message.ParseProperties(r.Properties)
	require.Equal(t, int32(1), r.ReconsumeTimes)
	require.Equal(t, "work", string(r.Body))
	require.Equal(t, "T", p.Get(message.PropertyRetryTopic))
	require.Equal(t, id, p.Get(message.PropertyOriginMessageID))
	require.Equal(t, "3", p.Get(message.PropertyDelay))
	require.GreaterOrEqual(t, r.StoreTimestamp-first.StoreTimestamp, int64(1000))
	// Tried as often as allowed, and a consumer that gives up at once.
	require.Equal(t, protocol.Success, c.Call(back(r.PhysicalOffset, 0, 1)).Code)
	require.Equal(t, protocol.Success, c.Call(back(first.PhysicalOffset, -1, 9)).Code)
	dead := until(t, c, "%DLQ%G", 0, 2)
	require.Equal(t, int32(2), dead[0].ReconsumeTimes)
	require.Equal(t, int32(1), dead[1].ReconsumeTimes)
	resp := c.Call(back(12345678, 0, 9))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "look message by offset failed, 12345678", resp.Remark)
	// The client's own way to a retry topic, over its limit.
	resp = c.Call(brokertest.SendRequest("%RETRY%G", 0, "", "over", field("j", "3"), field("l", "2")))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	dead = until(t, c, "%DLQ%G", 0, 3)
	require.Equal(t, "over", string(dead[2].Body))
	require.Equal(t, "-1", message.GetProperty(dead[2].Properties, message.PropertyDelay))
}

func BenchmarkSend(b *testing.B) {
	br := brokertest.Start(b, func(o *broker.Options) { o.Store.MappedFileSizeCommitLog = 1 << 30 })
	c := br.Dial(false)
	require.Equal(b, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "x")).Code)
	req := func() *protocol.Command {
		return brokertest.SendRequest("T", 0, "TAGS\x01a\x02", strings.Repeat("x", 1024))
	}
	b.ReportAllocs() // of client and server together
	b.ResetTimer()
	const window = 64
	start := time.Now()
	for i := range b.N {
		c.Send(req())
		if i >= window {
			c.Read()
		}
	}
	for range min(window, b.N) {
		c.Read()
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "msgs/s")
}
