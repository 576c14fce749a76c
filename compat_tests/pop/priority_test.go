package pop_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// TestPriority sends with priorities to a topic of that message type and pops one message after the other: the
// highest come first. What is ordered as well has no priority.
func TestPriority(t *testing.T) {
	t.Parallel()
	c := pool.Cluster(t, "shared")
	topic, group := t.Name(), t.Name()+"-group"
	call := func(code int, ext map[string]string) *cluster.Response {
		t.Helper()
		resp, err := cluster.Call(c.Broker.Addr(), code, ext, nil)
		require.NoError(t, err)
		return resp
	}
	made := call(17, map[string]string{"topic": topic, "defaultTopic": "TBW102", "readQueueNums": "4", "writeQueueNums": "4", "perm": "6",
		"topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false", "attributes": "+message.type=PRIORITY"})
	require.Zero(t, made.Code, made.Remark)
	c.Broker.AwaitRoute(t, topic)
	c.Broker.CreateGroup(t, group, 16)
	for _, s := range produce(t, c, topic, 20, "prefix=p", "priority=0,2,1,9") {
		_, n, _ := strings.Cut(s.Body(), "-")
		require.Contains(t, map[int][]string{0: {"0", "4", "8", "12", "16"}, 2: {"1", "5", "9", "13", "17"}, 1: {"2", "6", "10", "14", "18"}, 3: {"3", "7", "11", "15", "19"}}[s.QueueID()], n)
	}
	last := 3
	popped := cluster.Of(java(t, c, "pop", topic, group, "max=1", "expect=20").Wait(t, limit), "msg")
	require.Len(t, popped, 20)
	for _, m := range popped {
		require.LessOrEqual(t, m.QueueID(), last)
		last = m.QueueID()
	}
	send := func(properties string) *cluster.Response {
		t.Helper()
		resp, err := cluster.Call(c.Broker.Addr(), 10, map[string]string{"producerGroup": "p", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "4",
			"queueId": "0", "sysFlag": "0", "bornTimestamp": "1700000000000", "flag": "0", "properties": properties, "reconsumeTimes": "0", "unitMode": "false", "batch": "false"}, []byte("m"))
		require.NoError(t, err)
		require.Zero(t, resp.Code, resp.Remark)
		return resp
	}
	require.Equal(t, "2", send("_SYS_MSG_PRIORITY_\x012\x02").Ext["queueId"])
	require.Equal(t, "0", send("_SYS_MSG_PRIORITY_\x012\x02__SHARDINGKEY\x01k\x02").Ext["queueId"])
	for engine, want := range map[string]string{"F": "switch timer engine success", "X": "param error", "R": "timerRocksDBEnable must be configured true when broker start"} {
		require.Equal(t, want, call(5001, map[string]string{"E_T": engine}).Remark)
	}
	require.Equal(t, "param error, extFields is null", call(5001, nil).Remark)
}
