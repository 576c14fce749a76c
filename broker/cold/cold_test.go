package cold_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/broker/cold"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func TestBytesOfAPeriod(t *testing.T) {
	now := time.UnixMilli(1e12)
	c := cold.New(cold.Options{GroupThreshold: 10, GlobalThreshold: 25, Now: func() time.Time { return now }})
	require.False(t, c.Over("a"))
	c.Add("a", 9)
	require.False(t, c.Over("a"))
	c.Add("a", 1)
	require.True(t, c.Over("a"))
	c.Add("b", 9)
	require.False(t, c.Over("b"), "another group")
	c.Add("TOOLS_CONSUMER", 100)
	c.Add("CID_RMQ_SYS_X", 100)
	require.False(t, c.Over("TOOLS_CONSUMER"))
	c.Add("c", 6)
	require.True(t, c.Over("b"), "all together")
	require.False(t, c.Over("d"), "one that has read nothing cold yet")
	now = now.Add(5 * time.Second)
	for _, g := range []string{"a", "b", "c"} {
		require.False(t, c.Over(g), "the next period")
	}
}

func call(t *testing.T, c *brokertest.Client, code int32, body string, kv ...string) *protocol.Command {
	t.Helper()
	cmd := &protocol.Command{Code: code, Version: protocol.Version, Body: []byte(body)}
	for i := 0; i < len(kv); i += 2 {
		cmd.Ext = append(cmd.Ext, protocol.Field{Key: kv[i], Value: kv[i+1]})
	}
	return c.Call(cmd)
}

func heartbeat(t *testing.T, c *brokertest.Client, group, kind string) {
	t.Helper()
	require.Equal(t, protocol.Success, call(t, c, protocol.HeartBeat, fmt.Sprintf(`{"clientID":"c","consumerDataSet":[{"groupName":%q,"consumeType":%q,
		"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":"T","subString":"*","subVersion":1}]}]}`, group, kind)).Code)
}

// pullAs pulls as a group, by its heartbeat's subscription.
func pullAs(group string, offset int64) *protocol.Command {
	cmd := brokertest.PullRequest("T", 0, offset, "*")
	for i := range cmd.Ext {
		if cmd.Ext[i].Key == "consumerGroup" {
			cmd.Ext[i].Value = group
		}
	}
	return cmd
}

// TestGroupsThatReadColdDataAreSlowedDown: everything is cold here, and a group that has read any is over the threshold
// of nothing, whenever the period ends. The first pull of a group is answered; then a
// push consumer is turned away, a pull consumer held and given one message. A consumer of POP goes on, and so does
// a group whose threshold was raised.
func TestGroupsThatReadColdDataAreSlowedDown(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, func(o *broker.Options) {
		o.Store.ColdDataFlowControlEnable, o.Store.AccessMessageInMemoryHotRate, o.CgColdReadThreshold = true, 0, 0
	})
	c := b.Dial(false)
	for i := range 5 {
		require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", fmt.Sprint(i))).Code)
	}
	count := func(resp *protocol.Command) int {
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		return len(brokertest.Records(t, resp.Body))
	}
	kinds := map[string]string{"pushed": "CONSUME_PASSIVELY", "pulling": "CONSUME_ACTIVELY", "popping": "CONSUME_POP", "raised": "CONSUME_PASSIVELY"}
	for group, kind := range kinds {
		heartbeat(t, c, group, kind)
	}
	require.Equal(t, protocol.Success, call(t, c, protocol.UpdateColdDataFlowCtrConfig, "raised=1000000\nnone=x\nother=7\n").Code)
	require.Equal(t, protocol.Success, call(t, c, protocol.RemoveColdDataFlowCtrConfig, "other").Code)
	for group := range kinds {
		require.Equal(t, 5, count(c.Call(pullAs(group, 0))))
	}
	resp, slow := c.Call(pullAs("pushed", 0)), c.Call(pullAs("pulling", 0))
	require.Equal(t, protocol.SystemBusy, resp.Code)
	require.Equal(t, "This consumer group is reading cold data. It has been flow control", resp.Remark)
	require.Equal(t, 1, count(slow))
	require.Equal(t, 5, count(c.Call(pullAs("popping", 0))))
	require.Equal(t, 5, count(c.Call(pullAs("raised", 0))))
	info := string(call(t, c, protocol.GetColdDataFlowCtrInfo, "").Body)
	require.Regexp(t, `^\{"runtimeTable":\{.+\},"configTable":\{"raised":1000000\},"cgColdReadThreshold":0,"globalColdReadThreshold":104857600,"globalAcc":\d+\}$`, info)
	require.Regexp(t, `"pushed":\{"coldAcc":\d+,"createTimeMills":1\d{12},"lastColdReadTimeMills":1\d{12}\}`, info)
}

func TestNothingIsColdByDefault(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) { o.Store.AccessMessageInMemoryHotRate, o.CgColdReadThreshold = 0, 1 })
	c := b.Dial(false)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "m")).Code)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "n")).Code)
	heartbeat(t, c, "g", "CONSUME_PASSIVELY")
	for range 3 {
		require.Equal(t, protocol.Success, c.Call(pullAs("g", 0)).Code)
	}
	require.Equal(t, `{"runtimeTable":{},"configTable":{},"cgColdReadThreshold":1,"globalColdReadThreshold":104857600,"globalAcc":0}`,
		string(call(t, c, protocol.GetColdDataFlowCtrInfo, "").Body))
}

func TestReadMode(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "m")).Code)
	for _, x := range []struct {
		kv     []string
		code   int32
		remark string
	}{
		{nil, protocol.SystemError, "set commitlog readahead mode param error"},
		{[]string{"x", "1"}, protocol.SystemError, "set commitlog readahead mode failed"},
		{[]string{"READ_AHEAD_MODE", "many"}, protocol.SystemError, "set commitlog readahead mode failed"},
		{[]string{"READ_AHEAD_MODE", "2"}, protocol.InvalidParameter, "set commitlog readahead mode param value error"},
		{[]string{"READ_AHEAD_MODE", "1"}, protocol.Success, "set commitlog readahead mode success, mode: 1"},
		{[]string{"READ_AHEAD_MODE", "0"}, protocol.Success, "set commitlog readahead mode success, mode: 0"},
	} {
		resp := call(t, c, protocol.SetCommitLogReadMode, "", x.kv...)
		require.Equal(t, x.code, resp.Code)
		require.Equal(t, x.remark, resp.Remark)
	}
}
