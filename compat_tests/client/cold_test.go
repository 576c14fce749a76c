package client_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// TestColdData: everything is cold here and the threshold of a group is nothing. A pull consumer gets a first answer
// as always and the others late, one message each; a group with a threshold of its own gets all at once. The codes
// 2001 to 2004 answer alike.
func TestColdData(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t, "coldDataFlowControlEnable=true", "accessMessageInMemoryHotRatio=0", "cgColdReadThreshold=0")
	topic := "ColdTopic"
	c.Broker.CreateTopic(t, topic, 1)
	sent := cluster.Of(cluster.Java(t, cluster.ClientV5, "produce", c.Arg(), "topic="+topic, "count=12", "prefix=c").Wait(t, limit), "sent")
	require.Len(t, sent, 12)
	call := func(code int, body string, ext map[string]string) *cluster.Response {
		t.Helper()
		resp, err := cluster.Call(c.Broker.Addr(), code, ext, []byte(body))
		require.NoError(t, err)
		return resp
	}
	require.Zero(t, call(2001, "raised=1000000\nremoved=1\nbad=x\n", nil).Code)
	require.Zero(t, call(2002, "removed", nil).Code)
	pull := func(group string, from int) *cluster.Response {
		return call(11, "", map[string]string{"consumerGroup": group, "topic": topic, "queueId": "0", "queueOffset": fmt.Sprint(from), "maxMsgNums": "4",
			"sysFlag": "0", "commitOffset": "0", "suspendTimeoutMillis": "0", "subVersion": "0"})
	}
	for group, kind := range map[string]string{"raised": "CONSUME_PASSIVELY", "pushed": "CONSUME_PASSIVELY", "pulling": "CONSUME_ACTIVELY"} {
		c.Broker.CreateGroup(t, group, 1)
		consumer := consumer(t, c, group, kind, topic)
		first := pull(group, 0)
		require.Zero(t, first.Code, first.Remark)
		require.Equal(t, "4", first.Ext["nextBeginOffset"])
		second := pull(group, 4)
		switch group {
		case "raised":
			require.Zero(t, second.Code, second.Remark)
			require.Equal(t, "8", second.Ext["nextBeginOffset"])
		case "pushed":
			require.Equal(t, 2, second.Code)
			require.Equal(t, "This consumer group is reading cold data. It has been flow control", second.Remark)
		default:
			require.Zero(t, second.Code, second.Remark)
			require.Equal(t, "5", second.Ext["nextBeginOffset"])
		}
		consumer.Close()
	}
	var info struct {
		Config  map[string]int64            `json:"configTable"`
		Runtime map[string]map[string]int64 `json:"runtimeTable"`
		Group   int64                       `json:"cgColdReadThreshold"`
		Global  int64                       `json:"globalColdReadThreshold"`
		All     *int64                      `json:"globalAcc"`
	}
	require.NoError(t, json.Unmarshal(call(2003, "", nil).Body, &info))
	require.Equal(t, map[string]int64{"raised": 1000000}, info.Config)
	require.EqualValues(t, 0, info.Group)
	require.EqualValues(t, 100<<20, info.Global)
	require.NotNil(t, info.All)
	require.Len(t, info.Runtime, 3)
	for _, r := range info.Runtime {
		require.Len(t, r, 3)
		require.Positive(t, r["createTimeMills"])
		require.Positive(t, r["lastColdReadTimeMills"])
	}
	for mode, want := range map[string]string{"0": "set commitlog readahead mode success, mode: 0", "1": "set commitlog readahead mode success, mode: 1",
		"3": "set commitlog readahead mode param value error", "x": "set commitlog readahead mode failed"} {
		require.Equal(t, want, call(2004, "", map[string]string{"READ_AHEAD_MODE": mode}).Remark)
	}
}

// TestSlowGroupsAreSentToASlave: with slaveReadEnable the broker tells a group that reads what counts as not in memory,
// here all, from which broker to read on. There is none, so stock consumers stay with the master.
func TestSlowGroupsAreSentToASlave(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t, "slaveReadEnable=true", "accessMessageInMemoryMaxRatio=0")
	topic := topic(t, c, 2)
	sent := bodies("m", 0, 40)
	produce(t, c, cluster.ClientV5, topic, len(sent))
	for _, version := range []string{cluster.ClientV4, cluster.ClientV5} {
		got := received(t, consume(t, c, version, topic, name(t, "group"+version[:1]), fmt.Sprint("expect=", len(sent)), soon))
		require.ElementsMatch(t, sent, cluster.Bodies(got))
	}
	group := name(t, "slow")
	c.Broker.CreateGroup(t, group, 1)
	pull := func(from string) *cluster.Response {
		resp, err := cluster.Call(c.Broker.Addr(), 11, map[string]string{"consumerGroup": group, "topic": topic, "queueId": "0", "queueOffset": from, "maxMsgNums": "4",
			"sysFlag": "4", "subscription": "*", "commitOffset": "0", "suspendTimeoutMillis": "0", "subVersion": "0"}, nil)
		require.NoError(t, err)
		return resp
	}
	slow := pull("0")
	require.Zero(t, slow.Code, slow.Remark)
	require.Equal(t, "1", slow.Ext["suggestWhichBrokerId"], "whichBrokerWhenConsumeSlowly of the group")
	end := pull(slow.Ext["maxOffset"])
	require.Equal(t, 19, end.Code, end.Remark)
	require.Equal(t, "0", end.Ext["suggestWhichBrokerId"], "brokerId of the group")
}

// consumer joins a group that subscribes to a topic and stays in it until it is closed.
func consumer(t *testing.T, c *cluster.Cluster, group, kind, topic string) io.Closer {
	t.Helper()
	head := `{"code":34,"flag":0,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":495}`
	body := fmt.Sprintf(`{"clientID":%q,"consumerDataSet":[{"groupName":%q,"consumeType":%q,"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET",
		"subscriptionDataSet":[{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":0,"tagsSet":[],"topic":%q}],"unitMode":false}],"producerDataSet":[]}`,
		"c-"+group, group, kind, topic)
	conn, err := net.Dial("tcp", c.Broker.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(head)+len(body)))
	frame = append(append(binary.BigEndian.AppendUint32(frame, uint32(len(head))), head...), body...)
	_, err = conn.Write(frame)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(limit)))
	_, err = conn.Read(frame) // the answer, or the group's change, which comes behind it
	require.NoError(t, err)
	return conn
}
