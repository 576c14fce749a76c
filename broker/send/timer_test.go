package send_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/timer"
	"github.com/skylarkmq/skylark/store/timer/wheel"
)

func property(name string, value any) string {
	return string(message.AppendProperty(nil, name, fmt.Sprint(value)))
}

func request(code int32, fields ...string) *protocol.Command {
	cmd := &protocol.Command{Code: code, Version: protocol.Version}
	for i := 0; i < len(fields); i += 2 {
		cmd.Ext = append(cmd.Ext, field(fields[i], fields[i+1]))
	}
	return cmd
}

// waiting returns the newest message of the timer's topic.
func waiting(t *testing.T, c *brokertest.Client, resp *protocol.Command) message.Record {
	t.Helper()
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	at, err := strconv.ParseInt(brokertest.Field(t, resp, "queueOffset"), 10, 64)
	require.NoError(t, err)
	recs := brokertest.Records(t, c.Call(brokertest.PullRequest(timer.Topic, 0, at, "*")).Body)
	require.NotEmpty(t, recs)
	return recs[0]
}

func TestTimerMessagesWait(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	now := time.Now().UnixMilli()
	for _, x := range []struct {
		properties string
		from, to   int64 // the delivery, ms from now
	}{
		{property("TIMER_DELAY_SEC", 100), 100_000, 200_000},
		{property("TIMER_DELAY_MS", 100_001), 100_001, 200_000},
		{property("TIMER_DELIVER_MS", now/1000*1000+100_000), now/1000*1000 + 100_000 - now, now/1000*1000 + 100_000 - now},
		{property("TIMER_DELIVER_MS", now+100_000), 100_000, 100_000},
		{property("TIMER_DELIVER_MS", 5) + property("TIMER_DELAY_MS", 9) + property("TIMER_DELAY_SEC", 100), 100_000, 200_000},
	} {
		resp := c.Call(brokertest.SendRequest("T", 3, x.properties+property("UNIQ_KEY", "U"), "x"))
		r := waiting(t, c, resp)
		require.Equal(t, "3", brokertest.Field(t, resp, "queueId"), "the one that was asked for")
		out, err := strconv.ParseInt(message.GetProperty(r.Properties, "TIMER_OUT_MS"), 10, 64)
		require.NoError(t, err)
		require.Zero(t, out%1000)
		require.GreaterOrEqual(t, out+1000, now+x.from, "it would come early: %q", x.properties)
		require.Less(t, out, now+x.to, x.properties)
		require.Equal(t, "T", message.GetProperty(r.Properties, "REAL_TOPIC"))
		require.Equal(t, "3", message.GetProperty(r.Properties, "REAL_QID"))
		raw, err := base64.URLEncoding.DecodeString(brokertest.Field(t, resp, "recallHandle"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("v1 T %s %d U", b.Options.BrokerName, out+1), string(raw))
	}
	// What is due goes straight to its queue, and a level goes before a time.
	for _, p := range []string{property("TIMER_DELIVER_MS", now-1), property("TIMER_DELAY_SEC", -5), property("TIMER_DELAY_MS", 0)} {
		resp := c.Call(brokertest.SendRequest("T", 1, p, "x"))
		require.Equal(t, protocol.Success, resp.Code)
		require.Empty(t, message.GetProperty(stored(t, c, resp).Properties, "TIMER_OUT_MS"))
	}
	resp := c.Call(brokertest.SendRequest("T", 0, property("TIMER_DELAY_SEC", 100)+property("DELAY", 18), "x"))
	require.Equal(t, protocol.Success, resp.Code)
	recs := brokertest.Records(t, c.Call(brokertest.PullRequest("SCHEDULE_TOPIC_XXXX", 17, 0, "*")).Body)
	require.Len(t, recs, 1)
	require.NotContains(t, recs[0].Properties, "TIMER_")

	// What the tools are told of it.
	require.Eventually(t, func() bool {
		return strings.Contains(string(c.Call(request(protocol.GetTimerMetrics)).Body), `"T":{"count":5,`)
	}, 20*time.Second, 20*time.Millisecond)
	require.Len(t, c.Call(request(protocol.GetTimerCheckPoint)).Body, wheel.CheckpointSize)
	var info struct{ Table map[string]string }
	require.NoError(t, json.Unmarshal(c.Call(request(protocol.GetBrokerRuntimeInfo)).Body, &info))
	require.Equal(t, "5", info.Table["timerCongestNum"])
	require.Equal(t, "0", info.Table["timerOffsetBehind"])
}

func TestTimerRefusalsAreJavas(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.TimerMaxDelaySec, o.TimerCongestNumEachSlot = 50, 3 })
	c := b.Dial(false)
	far := "timer message illegal, the delay time should not be bigger than the max delay 50000ms; or if set del msg, the delay time should be bigger than the current time"
	for _, p := range []string{property("TIMER_DELAY_SEC", 51), property("TIMER_DELAY_MS", 50_100), property("TIMER_DELAY_SEC", "soon"), property("TIMER_DELAY_SEC", math.MaxInt64),
		property("TIMER_DELIVER_MS", time.Now().UnixMilli()+60_000), property("TIMER_DELAY_MS", -1) + property("TIMER_DEL_UNIQKEY", "k")} {
		resp := c.Call(brokertest.SendRequest("T", 0, p, "x"))
		require.Equal(t, protocol.MessageIllegal, resp.Code, p)
		require.Equal(t, far, resp.Remark, p)
	}
	at := property("TIMER_DELIVER_MS", time.Now().UnixMilli()+40_000)
	var resp *protocol.Command
	require.Eventually(t, func() bool { // the timer counts what it has entered
		resp = c.Call(brokertest.SendRequest("T", 0, at, "x"))
		return resp.Code != protocol.Success
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "timer message is under flow control, max num limit is 6 or the current value is greater than 3 and less than 6, trigger random flow control", resp.Remark)

	b = brokertest.Start(t, func(o *broker.Options) { o.TimerWheelEnable = false })
	c = b.Dial(false)
	resp = c.Call(brokertest.SendRequest("T", 0, property("TIMER_DELAY_SEC", 5), "x"))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "accurate timer message is not enabled, timerWheelEnable is false", resp.Remark)
	require.Equal(t, protocol.SystemError, c.Call(request(protocol.GetTimerMetrics)).Code)
}

func TestRecallAnswersAsJava(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.RecallMessageEnable = true })
	c := b.Dial(false)
	sent := c.Call(brokertest.SendRequest("T", 0, property("TIMER_DELAY_SEC", 100)+property("UNIQ_KEY", "U"), "x"))
	out := message.GetProperty(waiting(t, c, sent).Properties, "TIMER_OUT_MS")
	recall := func(topic, handle string) *protocol.Command {
		return c.Call(request(protocol.RecallMessage, "producerGroup", "G", "topic", topic, "recallHandle", handle))
	}
	handle := func(parts ...any) string {
		return base64.URLEncoding.EncodeToString([]byte(strings.TrimSpace(fmt.Sprintln(parts...))))
	}
	name, later := b.Options.BrokerName, time.Now().UnixMilli()+50_000
	for _, x := range []struct {
		topic, handle string
		code          int32
		remark        string
	}{
		{"none", "x", protocol.TopicNotExist, "recall failed, the topic[none] not exist"},
		{"T", "?", protocol.IllegalOperation, "recall handle is invalid"},
		{"T", handle("v2", "T", name, later, "U"), protocol.IllegalOperation, "recall handle is invalid"},
		{"T", handle("v1", "T", name, later), protocol.IllegalOperation, "recall handle is invalid"},
		{"T", handle("v1", "S", name, later, "U"), protocol.IllegalOperation, "recall failed, topic not match"},
		{"T", handle("v1", "T", "other", later, "U"), protocol.IllegalOperation, "recall failed, broker service not available"},
		{"T", handle("v1", "T", name, 5, "U"), protocol.IllegalOperation, "recall failed, timestamp invalid"},
		{"T", handle("v1", "T", name, "x", "U"), protocol.IllegalOperation, "recall failed, timestamp invalid"},
		{"T", handle("v1", "T", name, later+1e9, "U"), protocol.IllegalOperation, "recall failed, timestamp invalid"},
	} {
		resp := recall(x.topic, x.handle)
		require.Equal(t, x.code, resp.Code, resp.Remark)
		require.Equal(t, x.remark, resp.Remark)
	}
	resp := recall("T", brokertest.Field(t, sent, "recallHandle"))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.Equal(t, "U", brokertest.Field(t, resp, "msgId"))
	recs := brokertest.Records(t, c.Call(brokertest.PullRequest(timer.Topic, 0, 1, "*")).Body)
	require.Len(t, recs, 1)
	p := message.ParseProperties(recs[0].Properties)
	require.Equal(t, "0", string(recs[0].Body))
	for name, want := range map[string]string{"TAGS": "_RECALL_TAG_", "TIMER_DEL_UNIQKEY": "U", "UNIQ_KEY": "U", "TIMER_OUT_MS": out, "REAL_TOPIC": "T", "REAL_QID": "0", "PGROUP": "G"} {
		require.Equal(t, want, p.Get(name), name)
	}
}
