package transaction

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func TestKillBetweenHalfMessageAndEnd(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("x")
	w.kill()
	asked := w.round()
	require.Len(t, asked, 1)
	w.kill()
	require.Len(t, w.round(), 1, "undecided is asked for again, once")
	w.commit(w.round()[0].EndTransactionRequest)
	require.Equal(t, []string{"x"}, w.delivered())
}

func TestKillBetweenFinalMessageAndOp(t *testing.T) {
	w := newWorld(t, nil)
	h := w.prepare("x")
	w.commit(h)
	require.Empty(t, w.opBodies())
	w.kill()
	require.Empty(t, w.round(), "the final message stands for the op")
	w.restart()
	require.Equal(t, []string{"0,"}, w.opBodies(), "and the op is made up for")
	require.Equal(t, []string{"x"}, w.delivered())
}

func TestKillBehindARollback(t *testing.T) {
	w := newWorld(t, nil)
	w.rollback(w.prepare("x"))
	w.kill()
	require.Empty(t, w.round())
	require.Empty(t, w.delivered())
}

// TestKillInTheMiddleOfARound: messages were stored again, but the consumer offset that says so is lost.
func TestKillInTheMiddleOfARound(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 40 {
		w.prepare(strconv.Itoa(i))
	}
	w.pass(time.Minute)
	w.failing(func(n int, _ *message.Message) bool { return n > 35 })
	require.Error(t, w.trans.round())
	w.questions()
	w.kill()
	seen := map[string]bool{}
	for _, q := range w.round() {
		require.False(t, seen[q.MsgID], "only the newest copy is asked for")
		seen[q.MsgID] = true
		w.commit(q.EndTransactionRequest)
	}
	require.Len(t, seen, 40)
	require.Empty(t, w.round())
	require.Len(t, w.delivered(), 40)
}

func TestWithoutIndexCommitsAreWrittenAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.index = false
	w.restart()
	w.commit(w.prepare("x"))
	w.rollback(w.prepare("y")) // behind whose op stands that of x
	w.kill()
	require.Empty(t, w.round())
	require.Equal(t, []string{"x"}, w.delivered())
}

// TestChecksWaitForTheIndex: it is built anew at a start, which may take its time.
func TestChecksWaitForTheIndex(t *testing.T) {
	w := newWorld(t, nil)
	w.commit(w.prepare("x"))
	w.kill()
	r := &round{t: w.trans}
	m := halfOf(w.records(topic.TransHalf, 0)[0])
	w.trans.ledger.renew(0)
	ready, known, err := r.known(m)
	require.NoError(t, err)
	require.True(t, ready && known)
}

// TestModel plays random histories of many transactions, with late ends, silent producers, rounds, failing writes,
// stops and kills, and holds what consumers and producers see against what was answered.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := &model{world: newWorld(t, func(o *Options) { o.Settings.CheckMax, o.Settings.OpMsgMaxSize = 1000, 30 }), r: rand.New(rand.NewPCG(seed, 7)), txs: map[string]*tx{}}
			m.trans.window = 5
			for range 120 {
				m.step()
			}
			m.verify()
		})
	}
}

// tx is what the producer knows of a transaction. Its mind is made up from the start; it may just not say so.
type tx struct {
	kind  int32 // commit or rollback
	ended bool  // and that was answered
	heads []header.EndTransactionRequest
}

type model struct {
	*world
	r   *rand.Rand
	txs map[string]*tx
	all []string
}

func (m *model) step() {
	m.pass(time.Duration(m.r.IntN(4000)) * time.Millisecond)
	switch n := m.r.IntN(100); {
	case n < 35:
		m.add()
	case n < 65:
		m.end()
	case n < 75:
		bad := rand.New(rand.NewPCG(m.r.Uint64(), 1))
		m.failing(func(int, *message.Message) bool { return bad.IntN(4) == 0 })
		_ = m.trans.round()
		m.failing(nil)
		m.listen()
	case n < 90:
		require.NoError(m.t, m.trans.round())
		m.listen()
	case n < 93:
		require.NoError(m.t, m.offsets.Persist())
	case n < 95:
		m.restart()
		m.trans.window = 5
	default:
		m.kill()
		m.trans.window = 5
	}
}

func (m *model) add() {
	name := "t" + strconv.Itoa(len(m.all))
	one := &tx{kind: message.SysFlagCommit}
	if m.r.IntN(3) == 0 {
		one.kind = message.SysFlagRollback
	}
	var more []message.Property
	if m.r.IntN(4) == 0 {
		more = append(more, property("CHECK_IMMUNITY_TIME_IN_SECONDS", strconv.Itoa(m.r.IntN(90))))
	}
	one.heads = append(one.heads, m.prepare(name, more...))
	m.txs["U"+name] = one
	m.all = append(m.all, name)
}

// listen takes the producer's questions; it will answer some, some time.
func (m *model) listen() {
	for _, q := range m.questions() {
		one := m.txs[q.MsgID]
		require.NotNil(m.t, one)
		require.False(m.t, one.ended, "%s is asked for although it has ended", q)
		one.heads = append(one.heads, q.EndTransactionRequest)
	}
}

// end ends a transaction, by any of the ways that the producer has learned; some twice.
func (m *model) end() {
	if len(m.all) == 0 {
		return
	}
	one := m.txs["U"+m.all[max(0, len(m.all)-1-m.r.IntN(12))]]
	if one.ended && len(one.heads) == 1 {
		return // no client sends it twice
	}
	err := <-m.begin(one.heads[m.r.IntN(len(one.heads))], one.kind)
	one.ended = one.ended || err == nil
}

func (m *model) verify() {
	for range 8 { // whoever is undecided is asked for in the end, and answers
		for _, q := range m.round() {
			one := m.txs[q.MsgID]
			require.False(m.t, one.ended, "%s is asked for although it has ended", q)
			require.NoError(m.t, <-m.begin(q.EndTransactionRequest, one.kind))
			one.ended = true
		}
	}
	want := []string{}
	for _, name := range m.all {
		one := m.txs["U"+name]
		require.True(m.t, one.ended, "%s is never asked for", name)
		if one.kind == message.SysFlagCommit {
			want = append(want, name)
		}
	}
	got := m.delivered()
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(m.t, want, got, "each commit once, no rollback")
	require.Empty(m.t, m.round())
}

// TestFirstOpOfAllComesDuringARound: the op queue comes into being behind the checker's back.
func TestFirstOpOfAllComesDuringARound(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare("a")
	h := w.prepare("b")
	w.commit(h)
	w.pass(time.Minute)
	w.failing(func(n int, m *message.Message) bool {
		if n == 1 { // the checker stores a again
			w.mu.Unlock()
			defer w.mu.Lock()
			require.True(t, w.trans.flushOps())
		}
		return false
	})
	require.NoError(t, w.trans.round())
	asked := w.questions()
	require.Len(t, asked, 1)
	require.Equal(t, "a", string(asked[0].rec.Body))
}
