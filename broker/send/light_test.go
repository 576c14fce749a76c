package send_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func withLMQ(o *broker.Options) { o.Store.EnableLmq, o.Store.EnableMultiDispatch = true, true }

const dispatch = "INNER_MULTI_DISPATCH\x01"

func pullLight(t *testing.T, c *brokertest.Client, name string, offset int64) []message.Record {
	t.Helper()
	resp := c.Call(brokertest.PullRequest(name, 0, offset, "*"))
	if resp.Code != protocol.Success {
		return nil
	}
	return brokertest.Records(t, resp.Body)
}

func bodies(recs []message.Record) (out []string) {
	for _, r := range recs {
		out = append(out, string(r.Body))
	}
	return out
}

func TestMessageGoesToItsLightQueues(t *testing.T) {
	b := brokertest.Start(t, withLMQ)
	c := b.Dial(false)
	for i := range 4 {
		names := "%LMQ%x"
		if i%2 == 1 {
			names = "%LMQ%y,%LMQ%x,%LMQ%y,"
		}
		resp := c.Call(brokertest.SendRequest("A", i%2, "UNIQ_KEY\x01k\x02TAGS\x01t\x02INNER_MULTI_QUEUE_OFFSET\x0177\x02"+dispatch+names+"\x02", fmt.Sprint("m", i)))
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		require.Equal(t, fmt.Sprint(i/2), brokertest.Field(t, resp, "queueOffset"))
	}
	look := func(c *brokertest.Client) {
		x, y := pullLight(t, c, "%LMQ%x", 0), pullLight(t, c, "%LMQ%y", 0)
		require.Equal(t, []string{"m0", "m1", "m2", "m3"}, bodies(x))
		require.Equal(t, []string{"m1", "m3"}, bodies(y))
		for i, r := range x {
			require.Equal(t, "A", r.Topic)
			at, ok := r.LightOffset("%LMQ%x")
			require.True(t, ok)
			require.EqualValues(t, i, at)
			require.Equal(t, 1, strings.Count(r.Properties, "INNER_MULTI_QUEUE_OFFSET"))
		}
		require.Equal(t, "1,3", message.GetProperty(x[3].Properties, "INNER_MULTI_QUEUE_OFFSET"))
		require.Equal(t, "%LMQ%y,%LMQ%x", message.GetProperty(x[3].Properties, "INNER_MULTI_DISPATCH"), "each name once")
		resp := c.Call(protocol.NewRequest(protocol.GetMaxOffset, header.GetMaxOffsetRequest{Topic: "%LMQ%x"}))
		require.Equal(t, "4", brokertest.Field(t, resp, "offset"))
	}
	look(c)
	b.Restart()
	c = b.Dial(false)
	look(c)

	// Delayed, it goes there when it comes back to its topic, and straight to a light queue it can be sent, too.
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("A", 0, "DELAY\x011\x02"+dispatch+"%LMQ%x\x02", "late")).Code)
	require.Empty(t, pullLight(t, c, "%LMQ%x", 4))
	resp := c.Call(brokertest.PullRequest("%LMQ%x", 0, 4, "*", field("sysFlag", "6"), field("suspendTimeoutMillis", "30000")))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.Equal(t, []string{"late"}, bodies(brokertest.Records(t, resp.Body)))
	resp = c.Call(brokertest.SendRequest("%LMQ%x", 0, dispatch+"%LMQ%x,%LMQ%y\x02", "straight"))
	require.Equal(t, "5", brokertest.Field(t, resp, "queueOffset"))
	require.Equal(t, []string{"late", "straight"}, bodies(pullLight(t, c, "%LMQ%x", 4)))
	require.Equal(t, []string{"straight"}, bodies(pullLight(t, c, "%LMQ%y", 2)))

	// Deleted, it begins anew.
	require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.DeleteTopicInBroker, header.DeleteTopicRequest{Topic: "%LMQ%y"})).Code)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("A", 0, dispatch+"%LMQ%y\x02", "new")).Code)
	require.Equal(t, []string{"new"}, bodies(pullLight(t, c, "%LMQ%y", 0)))
}

func TestHalfMessagesAndWithoutTheFeatureGoToNoLightQueue(t *testing.T) {
	b := brokertest.Start(t, withLMQ)
	c := b.Dial(false)
	half := stored(t, c, c.Call(brokertest.SendRequest("A", 0, "TRAN_MSG\x01true\x02PGROUP\x01g\x02"+dispatch+"%LMQ%x\x02", "half")))
	require.Empty(t, pullLight(t, c, "%LMQ%x", 0))
	require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.EndTransaction, header.EndTransactionRequest{ProducerGroup: "g",
		TranStateTableOffset: half.QueueOffset, CommitLogOffset: half.PhysicalOffset, CommitOrRollback: message.SysFlagCommit})).Code)
	require.Equal(t, []string{"half"}, bodies(pullLight(t, c, "%LMQ%x", 0)))

	b = brokertest.Start(t)
	c = b.Dial(false)
	r := stored(t, c, c.Call(brokertest.SendRequest("A", 0, "UNIQ_KEY\x01k\x02"+dispatch+"%LMQ%x\x02", "plain")))
	require.Contains(t, r.Properties, dispatch+"%LMQ%x\x02")
	require.NotContains(t, r.Properties, "QUEUE_OFFSET")
	require.Equal(t, protocol.TopicNotExist, c.Call(brokertest.PullRequest("%LMQ%x", 0, 0, "*")).Code)
}

func TestLightQueuesThatCannotBeAreRefused(t *testing.T) {
	b := brokertest.Start(t, withLMQ, func(o *broker.Options) { o.Store.EnableLmqQuota, o.Store.MaxLmqConsumeQueueNum = true, 2 })
	c := b.Dial(false)
	send := func(names string) *protocol.Command {
		return c.Call(brokertest.SendRequest("A", 0, dispatch+names+"\x02", "m"))
	}
	for _, names := range []string{"x", "%LMQ%a,,%LMQ%b", "%LMQ%a/b", "%LMQ%" + strings.Repeat("a", 251), strings.Repeat("%LMQ%a,", 5000), "%LMQ%a\x00"} {
		require.Equal(t, protocol.MessageIllegal, send(names).Code, "%.40q", names)
	}
	require.Equal(t, protocol.Success, send("%LMQ%a,%LMQ%b").Code)
	resp := send("%LMQ%b,%LMQ%c")
	require.Equal(t, protocol.LMQQuotaExceeded, resp.Code)
	require.Equal(t, "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]lmq consume queue num exceeded.", resp.Remark)
	require.Equal(t, protocol.Success, send("%LMQ%b").Code)
	require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.DeleteTopicInBroker, header.DeleteTopicRequest{Topic: "%LMQ%a"})).Code)
	require.Equal(t, protocol.Success, send("%LMQ%c").Code)
}

// TestOffsetsOfLightGroups: the groups need not be made, and their offsets stand in Java's file for them, into which
// those of the other file go over.
func TestOffsetsOfLightGroups(t *testing.T) {
	commit := func(c *brokertest.Client, group, topic string, offset int64) {
		t.Helper()
		require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.UpdateConsumerOffset,
			header.UpdateConsumerOffsetRequest{ConsumerGroup: group, Topic: topic, QueueID: 0, CommitOffset: offset})).Code)
	}
	query := func(c *brokertest.Client, group, topic string) string {
		t.Helper()
		resp := c.Call(protocol.NewRequest(protocol.QueryConsumerOffset, header.QueryConsumerOffsetRequest{ConsumerGroup: group, Topic: topic, QueueID: 0}))
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
		return brokertest.Field(t, resp, "offset")
	}
	b := brokertest.Start(t)
	c := b.Dial(false)
	require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("A", 0, "", "m")).Code)
	require.Equal(t, protocol.Success, c.Call(brokertest.PullRequest("A", 0, 0, "*")).Code) // makes the group
	commit(c, "consumers", "A", 1)
	b.Options.Store.EnableLmq, b.Options.Store.EnableMultiDispatch = true, true
	b.Restart()
	c = b.Dial(false)
	require.Equal(t, "1", query(c, "consumers", "A"), "from consumerOffset.json")
	for range 6 {
		require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("A", 0, dispatch+"%LMQ%x\x02", "m")).Code)
	}
	commit(c, "%LMQ%g", "%LMQ%x", 5)
	commit(c, "consumers", "%LMQ%x", 4)
	b.Restart()
	c = b.Dial(false)
	require.Equal(t, "5", query(c, "%LMQ%g", "%LMQ%x"))
	require.Equal(t, "4", query(c, "consumers", "%LMQ%x"))
	require.Equal(t, "1", query(c, "consumers", "A"))

	data, err := os.ReadFile(filepath.Join(b.Options.Store.StorePathRootDir, "config", "lmqConsumerOffset.json"))
	require.NoError(t, err)
	var file struct {
		LmqOffsetTable map[string]int64
		OffsetTable    map[string]map[string]int64
	}
	require.NoError(t, json.Unmarshal(data, &file), string(data))
	require.Equal(t, map[string]int64{"%LMQ%x@%LMQ%g": 5}, file.LmqOffsetTable)
	require.Equal(t, map[string]map[string]int64{"%LMQ%x@consumers": {"0": 4}, "A@consumers": {"0": 1}}, file.OffsetTable)
	for _, name := range []string{"topics.json", "subscriptionGroup.json"} {
		data, err := os.ReadFile(filepath.Join(b.Options.Store.StorePathRootDir, "config", name))
		require.NoError(t, err)
		require.NotContains(t, string(data), message.LMQPrefix)
	}
}
