package faults

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

const (
	killTopic    = "KILL9"
	killQueues   = 8
	connections  = 4
	lanesPerConn = 6
	batchSize    = 5
	// killFileSize makes files so small that kills meet their ends, too.
	killFileSize = 2 << 20
	// fullEvery says how often the whole topic is read again; between, only what is new.
	fullEvery = 5
)

// number from the environment, or def.
func fromEnv(t *testing.T, key string, def uint64) uint64 {
	t.Helper()
	text := os.Getenv(key)
	if text == "" {
		return def
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, key)
	return n
}

// TestKillNineLosesNothingAcknowledged kills the broker SKYLARK_KILL_ROUNDS times (default 5, one round of
// each kind), restarts it on the same folder and audits topic and consumer offsets. SKYLARK_KILL_SEED
// repeats the moments.
func TestKillNineLosesNothingAcknowledged(t *testing.T) {
	killRounds(t, int(fromEnv(t, "SKYLARK_KILL_ROUNDS", 5)))
}

// TestSoakKillNine is the long form, SKYLARK_SOAK_ROUNDS rounds; without that variable it is skipped.
// `make soak` runs it.
func TestSoakKillNine(t *testing.T) {
	rounds := int(fromEnv(t, "SKYLARK_SOAK_ROUNDS", 0))
	if rounds == 0 {
		t.Skip("SKYLARK_SOAK_ROUNDS is not set")
	}
	killRounds(t, rounds)
}

// soak is the rounds of one test.
type soak struct {
	t    *testing.T
	rng  *rand.Rand
	b    *cluster.Server
	conf []byte // the part of the configuration that is the same in all rounds
	l    *ledger
	a    *audit
	book *offsetBook
	aims map[bool]time.Duration // how long a recovery takes about, without and with all queues to build

	rounds, kills, early, inStore, trims, trash, moved int
}

func killRounds(t *testing.T, rounds int) {
	seed := fromEnv(t, "SKYLARK_KILL_SEED", uint64(time.Now().UnixNano()))
	t.Logf("SKYLARK_KILL_SEED=%d SKYLARK_KILL_ROUNDS=%d", seed, rounds)
	s := &soak{t: t, rng: rand.New(rand.NewPCG(seed, 0)), l: newLedger(killQueues), book: newOffsetBook(killQueues),
		aims: map[bool]time.Duration{false: 30 * time.Millisecond, true: 100 * time.Millisecond}}
	s.b = cluster.StartBroker(t, cluster.Options{Dir: keptDir(t), Unlisted: true, ExtraConf: []string{
		"mappedFileSizeCommitLog=" + strconv.Itoa(killFileSize), "mappedFileSizeConsumeQueue=20000",
		"cleanResourceInterval=100", "deleteCommitLogFilesInterval=0", "deleteConsumeQueueFilesInterval=0", "deleteFileBatchMax=3"}})
	var err error
	s.conf, err = os.ReadFile(s.b.ConfFile())
	require.NoError(t, err)
	s.b.CreateTopic(t, killTopic, killQueues)
	s.a = newAudit(t, s.l, killTopic, s.store(), killFileSize)
	defer s.report()
	s.b.Kill(t)
	p := s.plan(0)
	s.start(p)
	for round := range rounds {
		p = s.round(round, p, round == rounds-1)
	}
	if rounds >= 100 { // else chance has too much of a say
		require.GreaterOrEqual(t, s.early, rounds/5, "too few kills in recovery")
		require.GreaterOrEqual(t, s.trims, rounds/10, "too few rounds in which files were deleted")
		require.GreaterOrEqual(t, s.book.bound, s.book.checks/10, "too few offsets that had to be there")
	}
}

// keptDir is a temp folder that stays when the test fails.
func keptDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "skylark-kill-")
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the broker's folder is kept: %s", dir)
			return
		}
		require.NoError(t, os.RemoveAll(dir))
	})
	return dir
}

// round loads the broker that p has started, kills it, starts it for the next round, whose plan it returns,
// and audits it.
func (s *soak) round(round int, p plan, last bool) (next plan) {
	began := time.Now()
	sent, _ := s.l.counts()
	kill := s.loadUntilKilled(p, round)
	s.kills++
	next = s.plan(round + 1)
	early := 0
	if p.recovery {
		early = s.killInRecovery(next)
	}
	s.start(next)
	conn, err := dial(s.b.Addr())
	require.NoError(s.t, err)
	defer conn.close()
	front := s.a.front
	if last || round%fullEvery == fullEvery-1 {
		s.a.again()
	}
	s.a.run(conn, p.limit)
	if s.a.front > front {
		s.trims++
	}
	s.book.check(s.t, conn, kill.at.Add(-p.offsets-kill.margin))
	s.rounds++
	now, acked := s.l.counts()
	s.t.Logf("round %d, %s: killed after %s, %d times in recovery; %d sent (%d in all, %d acknowledged, %d found, %d deleted); %d of %d offsets had to be there, margin %s; took %s",
		round, p, p.load, early, now-sent, now, acked, s.l.found, s.l.deleted, s.book.bound, s.book.checks, kill.margin.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	return next
}

// report prints what all rounds did.
func (s *soak) report() {
	sent, acked := s.l.counts()
	s.t.Logf("SUMMARY rounds %d, kills %d, kills in recovery %d (%d of them in the store's, %d with queues to build anew), rounds with files deleted %d (%d kills while a file went), "+
		"sent %d, acknowledged %d, found %d, deleted by retention %d (%d of them before they were audited), offset checks %d (%d had a lower bound), lost %d; a recovery takes about %v",
		s.rounds, s.kills, s.early, s.inStore, s.moved, s.trims, s.trash, sent, acked, s.l.found, s.l.deleted, s.l.unaudited, s.book.checks, s.book.bound, s.l.lost, s.aims)
}

// killed says when a kill was, and how far behind its time the machine was.
type killed struct {
	at     time.Time
	margin time.Duration
}

// loadUntilKilled runs senders and consumers against the broker, kills it at the moment planned and returns
// when all have noticed.
func (s *soak) loadUntilKilled(p plan, round int) killed {
	t := s.t
	t.Helper()
	var dead atomic.Bool
	var all sync.WaitGroup
	early := make(chan error, connections*lanesPerConn+len(committers)+2)
	run := func(fn func() error) {
		all.Go(func() {
			if err := fn(); !dead.Load() || failure(err) {
				early <- err
			}
		})
	}
	var conns []*client
	connect := func() *client {
		conn, err := dial(s.b.Addr())
		require.NoError(t, err)
		conns = append(conns, conn)
		return conn
	}
	_, ackedBefore := s.l.counts()
	seed := s.rng.Uint64()
	for i := range connections {
		conn := connect()
		for j := range lanesPerConn {
			by := lane{round, i*lanesPerConn + j}
			rng := rand.New(rand.NewPCG(seed, uint64(by.id)))
			run(func() error { return sendForever(conn, s.l, by, rng, p.pause) })
		}
	}
	for i := range committers {
		conn := connect()
		run(func() error { return s.book.consume(conn, s.l, killTopic, killQueues, i) })
	}
	if p.limit > 0 && !p.burst {
		remover := connect()
		run(func() error { return deleteForever(remover) })
	}
	delay := watchDelay(t)
	select {
	case <-time.After(p.load): // the moment of the kill is the test
	case err := <-early:
		early <- err
	}
	if p.limit > 0 {
		if p.burst {
			remover := connect()
			run(func() error { return deleteForever(remover) })
		}
		s.awaitDeletion()
	}
	at := time.Now()
	dead.Store(true)
	s.b.Kill(t)
	all.Wait()
	for _, conn := range conns {
		conn.close()
	}
	close(early)
	for err := range early {
		require.NoError(t, err, "failed without a kill")
	}
	_, acked := s.l.counts()
	require.Greater(t, acked, ackedBefore, "nothing was acknowledged in round %d", round)
	s.countTrash()
	return killed{at, delay()}
}

// sendForever sends one message (or batch) after another until the connection breaks. Each goes to a
// random queue; the next is sent when the last was answered, so a lane's messages are in order in every queue.
func sendForever(c *client, l *ledger, by lane, rng *rand.Rand, pause time.Duration) error {
	for {
		count := 1
		if by.id%4 == 3 {
			count = 1 + rng.IntN(batchSize)
		}
		ids := l.willSend(by, count)
		var bodies [][]byte
		for _, id := range ids {
			bodies = append(bodies, bodyOf(id.String()))
		}
		queue := rng.IntN(killQueues)
		offset, physical, err := c.sendAt(killTopic, queue, bodies...)
		if errors.As(err, new(refusal)) {
			continue // busy: it may or may not be stored
		}
		if err != nil {
			return err
		}
		if err := l.ack(queue, offset, ids, physical); err != nil {
			return brokenPromise{err}
		}
		if pause > 0 {
			select {
			case <-c.done:
			case <-time.After(pause): // fewer messages in a long round
			}
		}
	}
}

// deleteForever asks for rounds of retention, which by itself begins only a minute after a start.
func deleteForever(c *client) error {
	for {
		r, err := c.call(codeDeleteExpired, nil, nil)
		if err != nil {
			return err
		}
		if r.Code != respSuccess {
			return refusal{r.Code, r.Remark}
		}
		select {
		case <-c.done:
		case <-time.After(5 * time.Millisecond):
		}
	}
}
