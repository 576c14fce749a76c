package transaction

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
)

func TestProducerIsAskedWithTheNewestCopy(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	require.NoError(t, w.trans.round())
	require.Empty(t, w.questions(), "too early")
	require.Zero(t, w.trans.passed.Load())
	asked := w.round()
	require.Len(t, asked, 1)
	q := asked[0]
	copied := w.records(topic.TransHalf, 0)[1]
	require.Equal(t, []int64{1, copied.PhysicalOffset}, []int64{q.asked.TranStateTableOffset, q.asked.CommitLogOffset})
	require.Equal(t, []string{topic.TransHalf, "Ux", "Ux", "broker-t"}, []string{q.asked.Topic, q.asked.MsgID, q.asked.TransactionID, q.asked.BrokerName})
	require.Equal(t, string(message.AppendOffsetID(nil, copied.StoreHost, copied.PhysicalOffset)), q.asked.OffsetMsgID)
	require.Equal(t, []any{realTopic, int32(2), "x", int32(7), copied.BornTimestamp}, []any{q.rec.Topic, q.rec.QueueID, string(q.rec.Body), q.rec.Flag, q.rec.BornTimestamp})
	require.Equal(t, []int64{1, copied.PhysicalOffset}, []int64{q.rec.QueueOffset, q.rec.PhysicalOffset})
	for _, p := range []string{q.rec.Properties, copied.Properties} {
		require.Equal(t, "1", message.GetProperty(p, "TRANSACTION_CHECK_TIMES"))
		require.Equal(t, realTopic, message.GetProperty(p, "REAL_TOPIC"))
		require.Equal(t, "false", message.GetProperty(p, "WAIT"))
	}
	require.Equal(t, int64(1), w.offset(topic.TransHalf))
	w.commit(q.EndTransactionRequest)
	require.Empty(t, w.round())
	require.Equal(t, []string{"x"}, w.delivered())
}

func TestAskedTooOftenIsMovedAndCanBeResumed(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	for i := range 3 {
		asked := w.round()
		require.Len(t, asked, 1)
		require.Equal(t, strconv.Itoa(i+1), message.GetProperty(asked[0].rec.Properties, "TRANSACTION_CHECK_TIMES"))
	}
	require.Empty(t, w.round())
	require.Equal(t, []string{topic.TransCheckMaxTime}, w.made)
	moved := w.records(topic.TransCheckMaxTime, 0)
	require.Len(t, moved, 1)
	require.Equal(t, "x", string(moved[0].Body))
	require.Equal(t, realTopic, message.GetProperty(moved[0].Properties, "REAL_TOPIC"))
	require.Equal(t, int64(4), w.offset(topic.TransHalf))
	require.Empty(t, w.round())
}

func TestOlderThanFileReservedTimeIsMovedUnasked(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	w.pass(72 * time.Hour)
	require.Empty(t, w.round())
	require.Len(t, w.records(topic.TransCheckMaxTime, 0), 1)
}

func TestCounterGrowsWithoutAProducer(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	w.conn.Close("gone")
	w.sessions.UnregisterProducer(producers, w.conn)
	require.Empty(t, w.round())
	w.producer(2)
	asked := w.round()
	require.Len(t, asked, 1)
	require.Equal(t, "2", message.GetProperty(asked[0].rec.Properties, "TRANSACTION_CHECK_TIMES"))
}

func TestMessagesOfTheFutureAreAskedForAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.ahead = time.Hour
	w.prepare("x")
	w.pass(time.Millisecond)
	require.NoError(t, w.trans.round())
	require.Len(t, w.questions(), 1)
}

func TestImmunityHoldsTheQuestionBack(t *testing.T) {
	w := newWorld(t, nil)
	h := w.prepare("a", property("CHECK_IMMUNITY_TIME_IN_SECONDS", "150"))
	late := w.prepare("b", property("CHECK_IMMUNITY_TIME_IN_SECONDS", "150"))
	w.prepare("c", property("CHECK_IMMUNITY_TIME_IN_SECONDS", "150"))
	require.Empty(t, w.round())
	require.Empty(t, w.round())
	recs := w.records(topic.TransHalf, 0)
	require.Len(t, recs, 9)
	for i, r := range recs[3:] {
		require.Equal(t, strconv.Itoa(i%3), message.GetProperty(r.Properties, "TRAN_PREPARED_QUEUE_OFFSET"), "of the first")
		require.Empty(t, message.GetProperty(r.Properties, "TRANSACTION_CHECK_TIMES"), "nobody was asked")
	}
	// Ended by what the producer knows, while the newest copies stand far behind.
	w.commit(h)
	w.rollback(late)
	require.Equal(t, []string{"0,6,1,7,"}, w.opBodies(), "the ops name them as well")
	asked := w.round()
	require.Len(t, asked, 1)
	require.Equal(t, "c", string(asked[0].rec.Body))
	require.Equal(t, []string{"a"}, w.delivered())
}

// TestLateCommitAndAnswer: the producer's commit comes when the checker has asked already, then the answer comes.
func TestLateCommitAndAnswer(t *testing.T) {
	for _, order := range []string{"commit first", "answer first", "late and never answered"} {
		t.Run(order, func(t *testing.T) {
			w := newWorld(t, nil)
			h := w.prepare("x")
			w.prepare("silent")
			asked := w.round()
			require.Len(t, asked, 2)
			answer := asked[0].EndTransactionRequest
			switch order {
			case "commit first":
				w.commit(h)
				w.commit(answer)
			case "answer first":
				w.commit(answer)
				w.commit(h)
			default:
				w.commit(h)
			}
			require.Equal(t, []string{"x"}, w.delivered())
			asked = w.round()
			require.Len(t, asked, 1)
			require.Equal(t, "silent", string(asked[0].rec.Body))
		})
	}
}

func TestRollbackOfAnOldCopyEndsTheNewest(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	first := w.round()
	require.Len(t, w.round(), 1)
	w.rollback(first[0].EndTransactionRequest)
	require.Empty(t, w.round())
	require.Empty(t, w.delivered())
}

// TestSameKeyTwice: a producer whose send was not answered sends its message again; both are half messages.
func TestSameKeyTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	w.pass(time.Second)
	h := w.prepare("x")
	w.kill()
	w.commit(h)
	asked := w.round()
	require.Len(t, asked, 1, "the first is a transaction of its own, which nobody has ended")
	w.rollback(asked[0].EndTransactionRequest)
	require.Equal(t, []string{"x"}, w.delivered())
}

func TestRoundGoesOnBehindAFailedPut(t *testing.T) {
	for _, bad := range []int{1, 20, 33, 50} {
		w := newWorld(t, nil)
		for i := range 60 {
			w.prepare(strconv.Itoa(i))
		}
		w.pass(time.Minute)
		w.failing(func(n int, _ *message.Message) bool { return n == bad })
		require.ErrorIs(t, w.trans.round(), errOnPurpose)
		w.failing(nil)
		require.Equal(t, int64(bad-1), w.trans.passed.Load())
		first := w.questions()
		require.Len(t, first, bad-1)
		seen := map[string]int{}
		for _, q := range append(first, w.round()...) {
			seen[string(q.rec.Body)]++
		}
		require.Len(t, seen, 60, "all are asked for")
		require.Empty(t, w.trans.ledger.entries)
	}
}

func TestWindowsOfOps(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settings.OpMsgMaxSize = 10 })
	w.trans.window = 7
	open := map[int]bool{3: true, 20: true, 21: true, 49: true}
	for i := range 50 {
		if h := w.prepare(strconv.Itoa(i)); !open[i] {
			w.commit(h)
		}
	}
	w.rollback(w.prepare("flushes"))
	asked := w.round()
	require.Len(t, asked, len(open))
	for _, q := range asked {
		n, err := strconv.Atoi(string(q.rec.Body))
		require.NoError(t, err)
		require.True(t, open[n])
	}
	require.Equal(t, []int64{51, int64(len(w.opBodies()))}, []int64{w.offset(topic.TransHalf), w.offset(topic.TransOpHalf)})
	require.Len(t, w.delivered(), 46)
}

// TestOpsInFrontOfAnUndecidedMessageStay: the checker must see them again, and Java's too.
func TestOpsInFrontOfAnUndecidedMessageStay(t *testing.T) {
	w := newWorld(t, nil)
	w.rollback(w.prepare("0"))
	w.rollback(w.prepare("1"))
	w.pass(time.Minute)
	fresh := w.prepare("fresh")
	w.rollback(w.prepare("3"))
	require.NoError(t, w.trans.round())
	require.Equal(t, []int64{2, 2}, []int64{w.offset(topic.TransHalf), w.offset(topic.TransOpHalf)})
	w.kill()
	w.rollback(fresh)
	require.Empty(t, w.round())
	require.Equal(t, []int64{4, 4}, []int64{w.offset(topic.TransHalf), w.offset(topic.TransOpHalf)})
}

func TestNothingToDoCostsNothing(t *testing.T) {
	w := newWorld(t, nil)
	require.Empty(t, w.round())
	w.commit(w.prepare("x"))
	w.restart()
	require.Empty(t, w.round())
	changes := w.disk.Changes()
	for range 100 {
		require.NoError(t, w.trans.round())
	}
	require.LessOrEqual(t, w.disk.Changes()-changes, 1, "at most the store's own")
}
