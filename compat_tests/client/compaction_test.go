package client_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// TestCompactionTopic: a topic with cleanup.policy=COMPACTION takes messages with keys only, and keeps the last one of
// each key, none of a key whose last one has no body. Files hold nine messages here, those of the last one are all there.
func TestCompactionTopic(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t, "compactionCqMappedFileSize=460", "compactionMappedFileSize=92000", "compactionScheduleInternal=300")
	topic := "Compacted"
	events := cluster.Java(t, cluster.ClientV5, "createtopic", c.Arg(), "broker="+c.Broker.Addr(), "topic="+topic, "queues=1",
		"attributes=+cleanup.policy:COMPACTION|+cleanup.policy:DELETE").Wait(t, limit)
	require.Contains(t, cluster.Of(events, "refused")[0].Str("error"), "attempt to update an unchangeable attribute. key: cleanup.policy")
	require.Equal(t, map[string]any{"cleanup.policy": "COMPACTION"}, cluster.Of(events, "topic")[1]["attributes"])
	c.Broker.AwaitRoute(t, topic)

	events = cluster.Java(t, cluster.ClientV4, "produce", c.Arg(), "topic="+topic, "retries=0").Wait(t, limit)
	require.Empty(t, cluster.Of(events, "sent"))
	why := cluster.Of(events, "sendError")[0].Str("error")
	require.Contains(t, why, "CODE: 13  DESC: Required message key is missing")

	sent := cluster.Of(cluster.Java(t, cluster.ClientV5, "produce", c.Arg(), "topic="+topic, "prefix=m", "keys=true", "keyCount=5", "count=40").Wait(t, limit), "sent")
	require.Len(t, sent, 40)
	require.EqualValues(t, 39, sent[39].QueueOffset())
	// Stock clients refuse to send an empty body, alone and in a batch.
	item := batchItem("", "KEYS\x01m-k1\x02UNIQ_KEY\x01D\x02")
	resp, err := cluster.Call(c.Broker.Addr(), 320, map[string]string{"a": "PID", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
		"g": strconv.FormatInt(time.Now().UnixMilli(), 10), "h": "0", "j": "0", "k": "false", "m": "true", "i": ""}, item)
	require.NoError(t, err)
	require.Equal(t, []any{0, "40"}, []any{resp.Code, resp.Ext["queueOffset"]}, resp.Remark)
	sent = cluster.Of(cluster.Java(t, cluster.ClientV5, "produce", c.Arg(), "topic="+topic, "prefix=f", "keys=true", "count=18").Wait(t, limit), "sent")
	require.Len(t, sent, 18)

	// The last file begins at 54.
	want := []int64{35, 37, 38, 39}
	var values []string
	for _, offset := range want {
		values = append(values, fmt.Sprint("m-", offset))
	}
	for i := range int64(18) {
		want = append(want, 41+i)
	}
	c.Broker.CreateGroup(t, "reader", 1)
	deadline := time.Now().Add(limit)
	for got := pullOffsets(t, c, topic, 0); !slices.Equal(want, got); got = pullOffsets(t, c, topic, 0) {
		require.True(t, time.Now().Before(deadline), "want %v, got %v", want, got)
		time.Sleep(50 * time.Millisecond)
	}
	require.Equal(t, want[1:], pullOffsets(t, c, topic, 36), "what is gone is passed over")
	bound := func(code int) string {
		resp, err := cluster.Call(c.Broker.Addr(), code, map[string]string{"topic": topic, "queueId": "0"}, nil)
		require.NoError(t, err)
		return resp.Ext["offset"]
	}
	require.Equal(t, []string{"59", "0"}, []string{bound(30), bound(31)})

	all := append(values, bodies("f", 0, 18)...)
	eachVersion(t, func(t *testing.T, version string) {
		events := received(t, consume(t, c, version, topic, name(t, "group"), "mode=orderly", fmt.Sprint("expect=", len(all))))
		require.Equal(t, all, cluster.Bodies(events))
		for i, e := range events {
			require.Equal(t, want[i], e.QueueOffset())
		}
	})
}

// batchItem is a message inside a batch.
func batchItem(body, properties string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(22+len(body)+len(properties)))
	b = append(b, make([]byte, 12)...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, body...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(properties)))
	return append(b, properties...)
}

// pullOffsets pulls all there is and returns the queue offsets.
func pullOffsets(t *testing.T, c *cluster.Cluster, topic string, from int64) (out []int64) {
	t.Helper()
	for at := strconv.FormatInt(from, 10); ; {
		resp, err := cluster.Call(c.Broker.Addr(), 11, map[string]string{"consumerGroup": "reader", "topic": topic, "queueId": "0", "queueOffset": at, "maxMsgNums": "10",
			"sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0", "expressionType": "TAG"}, nil)
		require.NoError(t, err)
		if resp.Code == 19 {
			return out
		}
		require.Contains(t, []int{0, 20}, resp.Code, resp.Remark)
		for b := resp.Body; len(b) > 0; b = b[binary.BigEndian.Uint32(b):] {
			out = append(out, int64(binary.BigEndian.Uint64(b[20:])))
		}
		at = resp.Ext["nextBeginOffset"]
	}
}
