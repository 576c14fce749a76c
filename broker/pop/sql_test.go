package pop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// with returns the fields of a subscription by expression, and further ones.
func with(expression string, more ...string) []string {
	return append([]string{"expType", "SQL92", "exp", expression}, more...)
}

func property(name, value string) string { return string(message.AppendProperty(nil, name, value)) }

// TestPopByExpression pops what an expression selects, past what it does not, and gets what it does not acknowledge
// through the retry topic, for which the expression holds as well. enablePropertyFilter is off, as by default.
func TestPopByExpression(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	for _, n := range []string{"1", "2", "3", "x", ""} {
		props := ""
		if n != "" {
			props = property("n", n)
		}
		send(t, c, 1, "m"+n, props)
	}
	for _, bad := range [][]string{with("n > "), with("n > 1", "expType", "XYZ"), with("n BETWEEN 3 AND 1")} {
		resp := c.Call(request(bad...))
		require.Equal(t, protocol.SubscriptionParseFailed, resp.Code)
		require.Equal(t, "parse the consumer's subscription failed", resp.Remark)
	}
	list := popped(t, c.Call(request(with("n > 1", "invisibleTime", "1000")...)))
	require.Equal(t, []string{"m2", "m3"}, bodies(list))
	none(t, c)
	ack(t, c, list[0])
	again := poll(t, c, 1, with("n = 3")...)
	require.Equal(t, []string{"m3"}, bodies(again))
	require.Equal(t, int32(1), again[0].ReconsumeTimes)
	ack(t, c, again...)
	send(t, c, 1, "anything", "")
	require.Equal(t, []string{"anything"}, bodies(popped(t, c.Call(request(with("")...)))))
}

// TestHeldPopsAreWokenByTheirExpression: a pop that waits is woken by what it wants; one whose expression takes long
// to evaluate by anything. NOTIFICATION likewise.
func TestHeldPopsAreWokenByTheirExpression(t *testing.T) {
	t.Parallel()
	b, c := start(t)
	waiting, told := b.Dial(false), b.Dial(false)
	opaque := waiting.Send(request(with("n = 7", "pollTime", "30000")...))
	held(t, c, "1")
	asked := told.Send(notify(with("n = 7", "pollTime", "30000")...))
	has := func(resp *protocol.Command) string { return brokertest.Field(t, resp, "hasMsg") }
	send(t, c, 0, "not wanted", property("n", "5"))
	held(t, c, "1")
	send(t, c, 0, "wanted", property("n", "7"))
	resp := waiting.Read()
	require.Equal(t, opaque, resp.Opaque)
	require.Equal(t, []string{"wanted"}, bodies(popped(t, resp)))
	resp = told.Read()
	require.Equal(t, asked, resp.Opaque)
	require.Equal(t, "true", has(resp))
	require.Equal(t, "false", has(c.Call(notify(with("n = 7", "pollTime", "0")...))))

	waiting.Send(request(with(strings.Repeat("n = 7 OR ", 200)+"n = 8", "pollTime", "30000")...))
	held(t, c, "1")
	send(t, c, 0, "not wanted", property("n", "5"))
	at := &protocol.Command{Code: protocol.QueryConsumerOffset, Version: protocol.Version, Ext: fields("consumerGroup", group, "topic", topic, "queueId", "0")}
	require.Eventually(t, func() bool { // it is woken, finds nothing, and is held again
		return brokertest.Field(t, c.Call(at), "offset") == "3"
	}, 30*time.Second, time.Millisecond)
	send(t, c, 0, "wanted", property("n", "8"))
	require.Equal(t, []string{"wanted"}, bodies(popped(t, waiting.Read())))
	// NOTIFICATION does not look through what is there, as in Java: the pop will tell.
	send(t, c, 1, "not wanted", property("n", "5"))
	require.Equal(t, "true", has(c.Call(notify(with("n = 8", "pollTime", "0")...))))
}
