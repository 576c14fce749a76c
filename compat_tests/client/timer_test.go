package client_test

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// TestTimer sends messages for arbitrary times with the stock client, recalls two, restarts the broker, kills
// it, and holds against each message what was asked for.
func TestTimer(t *testing.T) {
	c := pool.Cluster(t, "timer", "recallMessageEnable=true", "timerMaxDelaySec=600")
	topic := topic(t, c, 2)
	// Those that come at once, those that come behind a restart and a kill, and one that is too far away.
	timers := []string{"delayMs:2500", "delaySec:2", "deliverMs:3000", "delayMs:9001", "delaySec:9", "deliverMs:10000", "delaySec:601"}
	const rounds, far = 4, 6
	run := cluster.Java(t, cluster.ClientV5, "produce", c.Arg(), "topic="+topic, "prefix=t", "tag=TagT", "prop.colour=red", "retries=0",
		"count="+strconv.Itoa(rounds*len(timers)), "timer="+strings.Join(timers, ",")).Wait(t, limit)
	sent := map[string]cluster.Event{}
	for _, s := range cluster.Of(run, "sent") {
		sent[s.Body()] = s
	}
	refused := cluster.Of(run, "sendError")
	require.Len(t, refused, rounds)
	require.Len(t, sent, rounds*(len(timers)-1))
	for i, e := range refused {
		require.Equal(t, fmt.Sprintf("t-%d", i*len(timers)+far), e.Body())
		require.Contains(t, e.Str("error"), "CODE: 13")
		require.Contains(t, e.Str("error"), "timer message illegal, the delay time should not be bigger than the max delay 600000ms; or if set del msg, the delay time should be bigger than the current time")
	}

	// Two of those that are far enough away come never.
	recalled := []string{"t-3", "t-12"}
	taken := cluster.Java(t, cluster.ClientV5, "recall", c.Arg(), "topic="+topic, "handles="+strings.Join([]string{
		sent[recalled[0]].Str("recallHandle"), sent[recalled[1]].Str("recallHandle"), base64.URLEncoding.EncodeToString([]byte("v1 " + topic + " nobody 5 k")),
	}, ",")).Wait(t, limit)
	ids := cluster.Of(taken, "recalled")
	require.Len(t, ids, 2, "%v", taken)
	for i, e := range ids {
		require.Equal(t, sent[recalled[i]].MsgID(), e.MsgID())
		delete(sent, recalled[i])
	}
	errs := cluster.Of(taken, "recallError")
	require.Len(t, errs, 1)
	require.Equal(t, int64(604), errs[0].Int("code"))
	require.Equal(t, "recall failed, broker service not available", errs[0].Str("error"))

	c.Broker.Restart(t)
	c.Broker.Kill(t)
	c.Broker.Restart(t)
	consumer := consume(t, c, cluster.ClientV5, topic, name(t, "group"))
	missing := map[string]bool{}
	for body := range sent {
		missing[body] = true
	}
	consumer.Until(t, limit, func(e cluster.Event) bool {
		if e.Kind() == "msg" {
			checkTimed(t, e, sent, timers, topic)
			delete(missing, e.Body())
		}
		return len(missing) == 0
	})
	consumer.Stop(t, limit)
}

// checkTimed holds a delivered message against what was sent.
func checkTimed(t *testing.T, m cluster.Event, sent map[string]cluster.Event, timers []string, topic string) {
	t.Helper()
	s, p := sent[m.Body()], m.Props()
	require.NotNil(t, s, "%s was refused or recalled", m.Body())
	n, err := strconv.Atoi(strings.TrimPrefix(m.Body(), "t-"))
	require.NoError(t, err)
	kind, value, _ := strings.Cut(timers[n%len(timers)], ":")
	delay, err := strconv.ParseInt(value, 10, 64)
	require.NoError(t, err)
	at, err := strconv.ParseInt(p["TIMER_OUT_MS"], 10, 64)
	require.NoError(t, err)
	switch kind {
	case "delaySec":
		delay *= 1000
		require.Equal(t, value, p["TIMER_DELAY_SEC"])
	case "delayMs":
		require.Equal(t, value, p["TIMER_DELAY_MS"])
	case "deliverMs":
		due, err := strconv.ParseInt(p["TIMER_DELIVER_MS"], 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, m.Int("storeTimestamp"), due, "%s came early", m.Body())
		require.Equal(t, (due-1)/1000*1000, at)
		delay -= 100 // the client has read its clock before
	}
	require.GreaterOrEqual(t, m.Int("storeTimestamp"), m.Int("bornTimestamp")+delay, "%s came early", m.Body())
	require.GreaterOrEqual(t, m.Int("storeTimestamp"), at+1000)
	require.Zero(t, at%1000)
	require.Equal(t, topic, m.Topic())
	require.Equal(t, s.MsgID(), m.MsgID())
	require.Equal(t, s.QueueID(), m.QueueID())
	require.NotEqual(t, s.OffsetMsgID(), m.OffsetMsgID())
	require.Equal(t, "TagT", m.Tag())
	require.Equal(t, "red", p["colour"])
	require.Equal(t, topic, p["REAL_TOPIC"])
	require.Equal(t, strconv.Itoa(m.QueueID()), p["REAL_QID"])
	dequeued, err := strconv.ParseInt(p["TIMER_DEQUEUE_MS"], 10, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, dequeued, at+1000)
	require.LessOrEqual(t, dequeued, m.Int("storeTimestamp"))
	entered, err := strconv.ParseInt(p["TIMER_ENQUEUE_MS"], 10, 64)
	require.NoError(t, err)
	require.True(t, entered == 1<<63-1 || entered%1000 == 0 && entered <= at, "TIMER_ENQUEUE_MS=%d", entered)
	require.Empty(t, p["TIMER_ROLL_TIMES"])
}
