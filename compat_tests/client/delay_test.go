package client_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDelayLevels sends with levels 3, 2, 1 and none: nothing comes early, and
// what was sent first with the longest delay comes last.
func TestDelayLevels(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic := topic(t, c, 2)
		consumer := consume(t, c, version, topic, name(t, "group"), "expect=14")
		warm(t, c, version, topic, 2, consumer)
		sent := produce(t, c, version, topic, 12, "prefix=d", "delay=3,2,1,0", "prop.colour=red")
		got := received(t, consumer)
		at := byBody(t, got)
		var order []int
		for i, s := range sent {
			level := 3 - i%4
			m := at[s.Body()]
			require.NotNil(t, m, "not delivered: %s", s.Body())
			waited := m.Int("recvTimestamp") - m.Int("bornTimestamp")
			require.GreaterOrEqual(t, waited, int64(level)*1000-5, "level %d came early", level)
			require.Less(t, waited, int64(level)*1000+15000, "level %d came late", level)
			require.Equal(t, topic, m.Topic())
			require.Equal(t, s.MsgID(), m.MsgID())
			require.Equal(t, "red", m.Props()["colour"])
			if level > 0 {
				// Java 5.5.0 leaves all three on the delivered copy.
				require.Equal(t, strconv.Itoa(level), m.Props()["DELAY"])
				require.Equal(t, topic, m.Props()["REAL_TOPIC"])
				require.Equal(t, strconv.Itoa(m.QueueID()), m.Props()["REAL_QID"])
				require.NotEqual(t, s.OffsetMsgID(), m.OffsetMsgID())
			}
		}
		for _, m := range got[2:] { // after the two that warmed up
			i, err := strconv.Atoi(m.Body()[2:])
			require.NoError(t, err)
			order = append(order, 3-i%4)
		}
		require.IsNonDecreasing(t, order, "levels in order of arrival")
	})
}
