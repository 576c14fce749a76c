package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestRetryAndDeadLetter refuses each message twice: it comes back through
// %RETRY%group with reconsumeTimes 1 and 2, under its own topic and unique id.
// A second group refuses for ever: after maxReconsume its messages are in %DLQ%group.
func TestRetryAndDeadLetter(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, retries, gives := topic(t, c, 2), name(t, "retries"), name(t, "givesup")
		// Made here, because a client learns of a retry topic that comes with its
		// first heartbeat only 30 s later.
		c.Broker.CreateTopic(t, "%RETRY%"+retries, 1)
		c.Broker.CreateTopic(t, "%RETRY%"+gives, 1)
		ok := consume(t, c, version, topic, retries, "failFirst=2", "maxReconsume=5", "expect=9")
		bad := consume(t, c, version, topic, gives, "failFirst=99", "maxReconsume=1", "expect=6")
		sent := produce(t, c, version, topic, 3, "prefix=r", "tag=t", "keys=1", "prop.colour=red")
		checkRetries(t, topic, sent, received(t, ok), 2)
		checkRetries(t, topic, sent, received(t, bad), 1)

		dead := byBody(t, received(t, consume(t, c, version, "%DLQ%"+gives, name(t, "undertaker"), "expect=3")))
		for _, s := range sent {
			d := dead[s.Body()]
			require.NotNil(t, d, "not in the DLQ: %s", s.Body())
			require.Equal(t, "%DLQ%"+gives, d.Topic())
			require.Equal(t, s.MsgID(), d.MsgID())
			require.Equal(t, "t", d.Tag())
			props := d.Props()
			require.Equal(t, "red", props["colour"])
			require.Equal(t, topic, props["RETRY_TOPIC"])
			require.Equal(t, s.OffsetMsgID(), props["ORIGIN_MESSAGE_ID"])
		}
	})
}

// checkRetries expects each sent message 1+times times, reconsumeTimes counting
// from 0, not before the delay of its retry (levels 3 and 4: 3 s and 1 s).
func checkRetries(t *testing.T, topic string, sent, got []cluster.Event, times int) {
	t.Helper()
	require.Len(t, got, len(sent)*(1+times))
	last := map[string]cluster.Event{}
	for _, m := range got {
		require.Equal(t, topic, m.Topic())
		before := last[m.Body()]
		last[m.Body()] = m
		if before == nil {
			require.Equal(t, 0, m.Reconsume())
			continue
		}
		require.Equal(t, before.Reconsume()+1, m.Reconsume())
		require.Equal(t, before.MsgID(), m.MsgID())
		require.Equal(t, "red", m.Props()["colour"])
		require.Equal(t, topic, m.Props()["RETRY_TOPIC"])
		delay := int64(3000)
		if m.Reconsume() == 2 {
			delay = 1000
		}
		waited := m.Int("recvTimestamp") - before.Int("recvTimestamp")
		require.GreaterOrEqual(t, waited, delay-20)
		require.Less(t, waited, delay+35000) // see warm: the retry queue cannot be warmed up
	}
	for _, s := range sent {
		require.NotNil(t, last[s.Body()], "not delivered: %s", s.Body())
		require.Equal(t, s.OffsetMsgID(), last[s.Body()].Props()["ORIGIN_MESSAGE_ID"])
	}
}
