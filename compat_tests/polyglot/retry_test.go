package polyglot

import (
	"strconv"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// Request codes (Java: RequestCode).
const (
	codeMaxOffset = 30  // GET_MAX_OFFSET
	codeView      = 33  // VIEW_MESSAGE_BY_ID
	codeHeartbeat = 34  // HEART_BEAT
	codeRoute     = 105 // GET_ROUTEINFO_BY_TOPIC
)

// awaitTotal waits until the runs have received n messages together.
func awaitTotal(t *testing.T, runs []*cluster.Run, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		got := 0
		for _, r := range runs {
			got += len(cluster.Of(r.Events(), "msg"))
		}
		return got >= n
	}, limit, 20*time.Millisecond)
}

// knowRetryTopic sends a heartbeat of the stage's group, which makes its retry topic. A client that starts
// earlier looks for the new topic's route again only after 30 s.
func knowRetryTopic(t *testing.T, s stage) {
	t.Helper()
	heartbeat := `{"clientID":"warm","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY",` +
		`"groupName":"` + s.group + `","messageModel":"CLUSTERING","subscriptionDataSet":[],"unitMode":false}],"producerDataSet":[]}`
	resp, err := cluster.Call(s.c.Broker.Addr(), codeHeartbeat, nil, []byte(heartbeat))
	require.NoError(t, err)
	require.Zero(t, resp.Code, resp.Remark)
	require.Eventually(t, func() bool {
		resp, err := cluster.Call(s.c.Namesrv.Addr(), codeRoute, map[string]string{"topic": "%RETRY%" + s.group}, nil)
		return err == nil && resp.Code == 0
	}, limit, 50*time.Millisecond, "no route of the retry topic after a heartbeat")
}

func TestRejectedMessageComesAgainLater(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			knowRetryTopic(t, s)
			const rejections = 2
			count := 4
			if l.name == "cpp" {
				count = 1 // its C binding sends all messages of a pull back when one is rejected
			}
			acks := byBody(t, s.send(t, count, "prefix=r", "tags=x", "keys=1", "prop.city=Zürich"))
			msgs := s.consume(t, count*(rejections+1), "failFirst=2")
			seen := map[string]int{}
			for _, m := range msgs {
				require.Equal(t, seen[m.Body()], m.Reconsume(), "reconsumeTimes of %s", m.Body())
				seen[m.Body()]++
				require.Equal(t, acks[m.Body()].MsgID(), m.MsgID(), "the unique id survives a retry")
				require.Equal(t, s.topic, m.Topic())
				require.Equal(t, "x", m.Tag())
				require.Equal(t, "Zürich", m.Props()["city"])
				if m.Reconsume() == 0 {
					continue
				}
				require.Equal(t, s.topic, m.Props()["RETRY_TOPIC"])
				require.NotEmpty(t, m.Props()["ORIGIN_MESSAGE_ID"])
				require.Equal(t, 0, m.QueueID(), "the retry topic has one queue")
			}
			require.Len(t, seen, count)
			for body, n := range seen {
				require.Equal(t, rejections+1, n, body)
			}
		})
	}
}

func TestMessageRejectedTooOftenGoesToTheDeadLetterTopic(t *testing.T) {
	s := newStage(t, golang())
	knowRetryTopic(t, s)
	s.send(t, 2, "prefix=dead")
	run := s.consumer(t, "failFirst=99", "maxReconsume=1")
	run.Collect(t, limit, "msg", 4)
	dlq := "%DLQ%" + s.group
	require.Eventually(t, func() bool { return maxOffset(t, s.c, dlq, 0) == 2 }, limit, 100*time.Millisecond)
	for _, m := range cluster.Of(run.Stop(t, limit), "msg") {
		require.LessOrEqual(t, m.Reconsume(), 1)
	}
}

// maxOffset returns the number of messages a queue has ever had, -1 when the broker refuses.
func maxOffset(t *testing.T, c *cluster.Cluster, topic string, queue int) int64 {
	t.Helper()
	resp, err := cluster.Call(c.Broker.Addr(), codeMaxOffset,
		map[string]string{"topic": topic, "queueId": strconv.Itoa(queue)}, nil)
	require.NoError(t, err)
	n, err := strconv.ParseInt(resp.Ext["offset"], 10, 64)
	if resp.Code != 0 || err != nil {
		return -1
	}
	return n
}

func TestDelayedMessageComesAfterItsLevel(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			acks := byBody(t, s.send(t, 4, "delay=6", "prefix=d")) // level 6 is 2 s here
			for _, m := range s.consume(t, 4) {
				require.GreaterOrEqual(t, m.Int("storeTimestamp")-m.Int("bornTimestamp"), int64(1900))
				require.Less(t, m.Int("storeTimestamp")-m.Int("bornTimestamp"), int64(6000))
				require.Equal(t, acks[m.Body()].MsgID(), m.MsgID())
				require.Equal(t, s.topic, m.Topic())
				require.Equal(t, s.topic, m.Props()["REAL_TOPIC"])
			}
		})
	}
}
