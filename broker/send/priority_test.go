package send_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestPriorityChoosesTheQueue: that of its number or the last one, whatever the producer chose, of any topic. A
// message that is ordered, delayed or half of a transaction, too, loses its priority.
func TestPriorityChoosesTheQueue(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.DefaultTopicQueueNums = 4 })
	c := b.Dial(false)
	const name = "_SYS_MSG_PRIORITY_"
	for _, x := range []struct{ value, queue string }{{"0", "0"}, {"2", "2"}, {"+3", "3"}, {"2147483647", "3"}, {"-1", "1"}, {"high", "1"}, {"2147483648", "1"}, {"", "1"}} {
		resp := c.Call(brokertest.SendRequest("T", 1, property(name, x.value), "m"))
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		require.Equal(t, x.queue, brokertest.Field(t, resp, "queueId"), x.value)
		require.Equal(t, x.value, message.GetProperty(stored(t, c, resp).Properties, name))
	}
	resp := c.Call(brokertest.SendRequest("T", 1, property(name, 2)+property("__SHARDINGKEY", "k")+property("colour", "red"), "m"))
	require.Equal(t, "1", brokertest.Field(t, resp, "queueId"))
	props := stored(t, c, resp).Properties
	require.NotContains(t, props, name)
	require.Equal(t, "red", message.GetProperty(props, "colour"))
	resp = c.Call(brokertest.SendRequest("T", 1, property(name, 2)+property("TIMER_DELAY_SEC", 100), "m"))
	require.NotContains(t, waiting(t, c, resp).Properties, name)
	c.Call(brokertest.SendRequest("T", 1, property("DELAY", 18)+property(name, 2), "m"))
	delayed := brokertest.Records(t, c.Call(brokertest.PullRequest("SCHEDULE_TOPIC_XXXX", 17, 0, "*")).Body)
	require.Len(t, delayed, 1)
	require.NotContains(t, delayed[0].Properties, name)
	c.Call(brokertest.SendRequest("T", 1, property(name, 2)+property("TRAN_MSG", "true"), "m"))
	half := brokertest.Records(t, c.Call(brokertest.PullRequest("RMQ_SYS_TRANS_HALF_TOPIC", 0, 0, "*")).Body)
	require.Len(t, half, 1)
	require.NotContains(t, half[0].Properties, name)
}

// TestTimerEngine: the wheel that was to take no messages takes them when it is switched to.
func TestTimerEngine(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.TimerStopEnqueue = true })
	c := b.Dial(false)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 1, property("TIMER_DELAY_SEC", 1), "m")).Code)
	for _, x := range []struct {
		cmd    *protocol.Command
		code   int32
		remark string
	}{
		{request(protocol.SwitchTimerEngine), protocol.InvalidParameter, "param error, extFields is null"},
		{request(protocol.SwitchTimerEngine, "E_T", "X"), protocol.InvalidParameter, "param error"},
		{request(protocol.SwitchTimerEngine, "E_T", "R"), protocol.InvalidParameter, "timerRocksDBEnable must be configured true when broker start"},
		{request(protocol.SwitchTimerEngine, "E_T", "F"), protocol.Success, "switch timer engine success"},
	} {
		resp := c.Call(x.cmd)
		require.Equal(t, x.code, resp.Code)
		require.Equal(t, x.remark, resp.Remark)
	}
	resp := c.Call(brokertest.PullRequest("T", 1, 0, "*", field("sysFlag", "6"), field("suspendTimeoutMillis", "30000")))
	require.Len(t, brokertest.Records(t, resp.Body), 1)

	off := brokertest.Start(t, func(o *broker.Options) { o.TimerWheelEnable = false })
	resp = off.Dial(false).Call(request(protocol.SwitchTimerEngine, "E_T", "F"))
	require.Equal(t, "broker timerWheelEnable is false", resp.Remark)
}
