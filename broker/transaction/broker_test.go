package transaction_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

const tran = "TRAN_MSG\x01true\x02PGROUP\x01producers\x02TAGS\x01a\x02"

// half sends a half message and returns its record and what ends it.
func half(t *testing.T, c *brokertest.Client, properties, text string) (message.Record, header.EndTransactionRequest) {
	t.Helper()
	resp := c.Call(brokertest.SendRequest("T", 3, properties, text, protocol.Field{Key: "f", Value: "4"},
		protocol.Field{Key: "g", Value: fmt.Sprint(time.Now().UnixMilli())}))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.Equal(t, "3", brokertest.Field(t, resp, "queueId"), "the queue that was asked for")
	_, offset, err := message.ParseOffsetID(brokertest.Field(t, resp, "msgId"))
	require.NoError(t, err)
	view := c.Call(protocol.NewRequest(protocol.ViewMessageByID, header.ViewMessageRequest{Offset: offset}))
	require.Equal(t, protocol.Success, view.Code, view.Remark)
	r := brokertest.Records(t, view.Body)[0]
	require.Equal(t, brokertest.Field(t, resp, "queueOffset"), fmt.Sprint(r.QueueOffset))
	return r, header.EndTransactionRequest{ProducerGroup: "producers", TranStateTableOffset: r.QueueOffset, CommitLogOffset: offset,
		MsgID: brokertest.Field(t, resp, "transactionId"), CommitOrRollback: message.SysFlagCommit}
}

func heartbeat(t *testing.T, c *brokertest.Client) {
	t.Helper()
	resp := c.Call(&protocol.Command{Code: protocol.HeartBeat, Version: protocol.Version,
		Body: []byte(`{"clientID":"p@1","producerDataSet":[{"groupName":"producers"}],"consumerDataSet":[]}`)})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

func TestHalfMessageIsJavas(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	r, h := half(t, c, tran+"UNIQ_KEY\x01U\x02REAL_TOPIC\x01evil\x02DELAY\x012\x02", "one")
	require.Equal(t, []any{"RMQ_SYS_TRANS_HALF_TOPIC", int32(0), int32(0), int32(7)}, []any{r.Topic, r.QueueID, r.SysFlag, r.Flag})
	want := map[string]string{"TRAN_MSG": "true", "PGROUP": "producers", "TAGS": "a", "UNIQ_KEY": "U", "DELAY": "2", "__transactionId__": "U", "REAL_TOPIC": "T", "REAL_QID": "3",
		"MSG_REGION": "DefaultRegion", "TRACE_ON": "true", "CLUSTER": "DefaultCluster"}
	got := map[string]string{}
	for _, p := range message.ParseProperties(r.Properties) {
		got[p.Name] = p.Value
	}
	require.Equal(t, want, got)
	require.Equal(t, "U", h.MsgID)
	r, _ = half(t, c, tran, "without a key")
	key := message.GetProperty(r.Properties, message.PropertyUniqKey)
	require.Len(t, key, 32)
	require.Equal(t, key, message.GetProperty(r.Properties, message.PropertyTransactionID))
	require.Equal(t, protocol.PullNotFound, c.Call(brokertest.PullRequest("T", 3, 0, "*", protocol.Field{Key: "sysFlag", Value: "4"})).Code)
	timer := c.Call(brokertest.SendRequest("T", 3, tran+"TIMER_DELAY_SEC\x019999999\x02", "x", protocol.Field{Key: "f", Value: "4"}))
	require.Equal(t, protocol.MessageIllegal, timer.Code, "at its end it would be too late to refuse a time")
	// A message that is tried again after a delay is none of a transaction: Java, for clients before 4.6.1.
	plain := c.Call(brokertest.SendRequest("T", 3, tran+"DELAY\x013\x02", "x", protocol.Field{Key: "j", Value: "1"}))
	require.Equal(t, protocol.Success, plain.Code)
	half, _ := half(t, c, tran, "third")
	require.Equal(t, int64(2), half.QueueOffset)
}

func TestCommitOverTheWire(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	_, first := half(t, c, tran, "one")
	_, second := half(t, c, tran, "two")
	_, third := half(t, c, tran, "three")
	oneway := protocol.NewRequest(protocol.EndTransaction, &first)
	oneway.Flag |= protocol.FlagOneway
	c.Send(oneway)
	second.CommitOrRollback = message.SysFlagRollback
	require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.EndTransaction, &second)).Code)
	resp := c.Call(protocol.NewRequest(protocol.EndTransaction, &third))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	third.ProducerGroup = "thieves"
	resp = c.Call(protocol.NewRequest(protocol.EndTransaction, &third))
	require.Equal(t, []any{protocol.SystemError, "The producer group wrong"}, []any{resp.Code, resp.Remark})
	b.Restart()
	c = b.Dial(false)
	got := []string{}
	for _, r := range brokertest.Records(t, c.Call(brokertest.PullRequest("T", 3, 0, "a")).Body) {
		got = append(got, string(r.Body))
	}
	require.ElementsMatch(t, []string{"one", "three"}, got)
	ops := brokertest.Records(t, c.Call(brokertest.PullRequest("RMQ_SYS_TRANS_OP_HALF_TOPIC", 0, 0, "d")).Body)
	require.NotEmpty(t, ops)
}

func TestTimeOfDeliveryIsFollowedWhenCommitted(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	at := time.Now().Add(2 * time.Second).UnixMilli()
	r, h := half(t, c, fmt.Sprintf("%sTIMER_DELIVER_MS\x01%d\x02", tran, at), "later")
	require.Equal(t, "RMQ_SYS_TRANS_HALF_TOPIC", r.Topic)
	require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.EndTransaction, &h)).Code)
	waits := brokertest.Records(t, c.Call(brokertest.PullRequest("rmq_sys_wheel_timer", 0, 0, "*")).Body)
	require.Len(t, waits, 1)
	require.Equal(t, int32(message.SysFlagCommit), waits[0].SysFlag)
	resp := c.Call(brokertest.PullRequest("T", 3, 0, "*", protocol.Field{Key: "sysFlag", Value: "6"}))
	final := brokertest.Records(t, resp.Body)
	require.Len(t, final, 1)
	require.GreaterOrEqual(t, final[0].StoreTimestamp, at)
	require.Equal(t, "later", string(final[0].Body))
}

func TestQuestionOverTheWireAndResume(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) {
		o.TransactionTimeOut, o.TransactionCheckInterval, o.TransactionCheckMax = 50, 100, 1
	})
	c := b.Dial(false)
	heartbeat(t, c)
	r, _ := half(t, c, tran, "one")
	cmd := c.Read()
	require.Equal(t, protocol.CheckTransactionState, cmd.Code)
	asked := brokertest.Records(t, cmd.Body)[0]
	require.Equal(t, []any{"T", int32(3), "one"}, []any{asked.Topic, asked.QueueID, string(asked.Body)})
	// Not answered: it is moved to the topic of those asked for too often, from where it can be brought back.
	var moved message.Record
	for moved.Topic == "" {
		for _, one := range brokertest.Records(t, c.Call(brokertest.PullRequest("TRANS_CHECK_MAX_TIME_TOPIC", 0, 0, "*")).Body) {
			moved = one
		}
	}
	require.Equal(t, "1", message.GetProperty(moved.Properties, message.PropertyCheckTimes))
	resume := func(offset int64) *protocol.Command {
		return c.Call(protocol.NewRequest(protocol.ResumeCheckHalfMessage,
			&header.ResumeCheckHalfMessageRequest{MsgID: string(message.AppendOffsetID(nil, moved.StoreHost, offset))}))
	}
	require.Equal(t, protocol.SystemError, resume(r.PhysicalOffset+1).Code)
	require.Equal(t, protocol.Success, resume(moved.PhysicalOffset).Code)
	cmd = c.Read()
	require.Equal(t, protocol.CheckTransactionState, cmd.Code)
	var h header.CheckTransactionStateRequest
	require.NoError(t, protocol.DecodeHeader(cmd.Ext, &h))
	answer := header.EndTransactionRequest{ProducerGroup: "producers", TranStateTableOffset: h.TranStateTableOffset, CommitLogOffset: h.CommitLogOffset,
		CommitOrRollback: message.SysFlagCommit, FromTransactionCheck: true, MsgID: h.MsgID}
	require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.EndTransaction, &answer)).Code)
	final := brokertest.Records(t, c.Call(brokertest.PullRequest("T", 3, 0, "*")).Body)
	require.Len(t, final, 1)
	require.Equal(t, h.CommitLogOffset, final[0].PreparedTransactionOffset)
}
