package transaction

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func TestCommitStoresTheFinalMessageAndThenTheOp(t *testing.T) {
	w := newWorld(t, nil)
	h := w.prepare("one", property("CHECK_IMMUNITY_TIME_IN_SECONDS", "60"), property("user", "x"))
	half := w.records(topic.TransHalf, 0)[0]
	w.pass(time.Second)
	w.commit(h)
	final := w.records(realTopic, 2)[0]
	require.Equal(t, "one", string(final.Body))
	require.Equal(t, int32(message.SysFlagCommit|message.SysFlagCompressed), final.SysFlag)
	require.Equal(t, half.PhysicalOffset, final.PreparedTransactionOffset)
	require.Equal(t, half.BornHost, final.BornHost)
	require.Equal(t, half.BornTimestamp, final.BornTimestamp)
	require.Equal(t, half.StoreHost, final.StoreHost)
	require.Equal(t, []int32{7, 1}, []int32{final.Flag, final.ReconsumeTimes})
	require.Equal(t, message.Properties{{Name: "TRAN_MSG", Value: "true"}, {Name: "PGROUP", Value: producers}, {Name: "UNIQ_KEY", Value: "Uone"}, {Name: "TAGS", Value: "a"},
		{Name: "__transactionId__", Value: "Uone"}, {Name: "CHECK_IMMUNITY_TIME_IN_SECONDS", Value: "60"}, {Name: "user", Value: "x"}}, message.ParseProperties(final.Properties))
	require.Empty(t, w.opBodies(), "commits wait for a batch")
	for i := range 3 {
		w.commit(w.prepare(strconv.Itoa(i)))
	}
	w.restart()
	require.Equal(t, []string{"0,1,2,3,"}, w.opBodies())
	op := w.records(topic.TransOpHalf, 0)[0]
	require.Equal(t, "WAIT\x01true\x02TAGS\x01d\x02", op.Properties)
	require.Empty(t, w.round())
	require.Equal(t, []int64{4, 1}, []int64{w.offset(topic.TransHalf), w.offset(topic.TransOpHalf)})
	b, err := os.ReadFile(w.trans.o.Path)
	require.NoError(t, err)
	require.Contains(t, string(b), `"transactionCount":{"Orders":{"count":0,"timeStamp":1700000001000}}`)
}

func TestDelayOfATransactionBeginsWithItsCommit(t *testing.T) {
	for _, x := range []struct {
		p     message.Property
		topic string
		queue int32
	}{{property("DELAY", "3"), "SCHEDULE_TOPIC_XXXX", 2}, {property("TIMER_DELAY_SEC", "1000"), "rmq_sys_wheel_timer", 0}} {
		w := newWorld(t, nil)
		w.commit(w.prepare("later", x.p))
		require.Empty(t, w.delivered())
		waits := w.records(x.topic, x.queue)[0]
		require.Equal(t, int32(message.SysFlagCommit|message.SysFlagCompressed), waits.SysFlag)
		p := message.ParseProperties(waits.Properties)
		require.Equal(t, []string{realTopic, "2"}, []string{p.Get("REAL_TOPIC"), p.Get("REAL_QID")})
		w.kill()
		require.Empty(t, w.round(), "the waiting message is the final one")
		require.Len(t, w.records(x.topic, x.queue), 1)
	}
}

func TestOpMessagesAreBatchedBySizeAndRollbacksAtOnce(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settings.OpMsgMaxSize = 5 })
	for i := range 3 {
		w.commit(w.prepare(strconv.Itoa(i)))
	}
	w.rollback(w.prepare("no")) // whose answer comes when its op is stored
	require.Equal(t, "0,1,2,3,", strings.Join(w.opBodies(), ""))
	for _, one := range w.opBodies() {
		require.LessOrEqual(t, len(one), 6)
	}
	require.Equal(t, bodies("", 3), w.delivered())
	require.Empty(t, w.round())
}

func TestEndIsRefusedAsByJava(t *testing.T) {
	w := newWorld(t, nil)
	h := w.prepare("x", property("CHECK_IMMUNITY_TIME_IN_SECONDS", "9"))
	w.commit(w.prepare("done"))
	final := w.records(realTopic, 2)[0]
	with := func(fn func(h *header.EndTransactionRequest)) header.EndTransactionRequest {
		bad := h
		fn(&bad)
		return bad
	}
	for _, x := range []struct {
		h      header.EndTransactionRequest
		kind   int32
		code   int32
		remark string
	}{
		{with(func(h *header.EndTransactionRequest) { h.ProducerGroup = "other" }), message.SysFlagCommit, protocol.SystemError, "The producer group wrong"},
		{with(func(h *header.EndTransactionRequest) { h.TranStateTableOffset++ }), message.SysFlagRollback, protocol.SystemError, "The transaction state table offset wrong"},
		{with(func(h *header.EndTransactionRequest) { h.CommitLogOffset++ }), message.SysFlagCommit, protocol.SystemError, "Find prepared transaction message failed"},
		{with(func(h *header.EndTransactionRequest) { h.CommitLogOffset = -1 }), message.SysFlagCommit, protocol.SystemError, "Find prepared transaction message failed"},
		{with(func(h *header.EndTransactionRequest) { h.CommitLogOffset = final.PhysicalOffset }), message.SysFlagCommit, protocol.SystemError, "Find prepared transaction message failed"},
		{h, 4, protocol.SystemError, "commitOrRollback field wrong"},
	} {
		var e *protocol.Error
		require.ErrorAs(t, <-w.begin(x.h, x.kind), &e)
		require.Equal(t, []any{x.code, x.remark}, []any{e.Code, e.Remark})
	}
	w.pass(9*time.Second + time.Millisecond)
	var e *protocol.Error
	require.ErrorAs(t, <-w.begin(h, message.SysFlagCommit), &e)
	require.Equal(t, protocol.IllegalOperation, e.Code, "too late for a message with a time of immunity")
	h.FromTransactionCheck = true
	w.commit(h)
	require.Equal(t, []string{"done", "x"}, w.delivered())
}

func TestSecondEndChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	h := w.prepare("x")
	w.commit(h)
	w.commit(h)
	require.ErrorContains(t, <-w.begin(h, message.SysFlagRollback), "committed already")
	other := w.prepare("y")
	w.failing(func(_ int, m *message.Message) bool { return m.Topic == topic.TransOpHalf })
	first := w.begin(other, message.SysFlagRollback)
	require.ErrorContains(t, <-w.begin(other, message.SysFlagCommit), "rolled back already")
	w.failing(nil)
	require.NoError(t, <-first, "its op is tried again")
	require.Equal(t, []string{"x"}, w.delivered())
}

func TestFailedCommitIsAskedForAgain(t *testing.T) {
	w := newWorld(t, nil)
	h := w.prepare("x")
	w.failing(func(int, *message.Message) bool { return true })
	require.ErrorIs(t, <-w.begin(h, message.SysFlagCommit), errOnPurpose)
	w.failing(nil)
	asked := w.round()
	require.Len(t, asked, 1)
	w.commit(asked[0].EndTransactionRequest)
	require.Equal(t, []string{"x"}, w.delivered())
}

func FuzzEachEnd(f *testing.F) {
	for _, s := range []string{"1,2,", "1", "", ",,", "-1,9223372036854775808,7", "1 ,2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := message.Record{Message: message.Message{Body: b}, Properties: "TAGS\x01d\x02"}
		w := newWindow(5, 200, 0)
		eachEnd(&r, func(offset int64) {
			require.GreaterOrEqual(t, offset, int64(0))
			w.set(offset)
		})
	})
}
