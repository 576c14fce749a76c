package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const (
	killTopic    = "KILL9"
	killQueues   = 8
	connections  = 4
	lanesPerConn = 6
	batchSize    = 5
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

// TestKillNineLosesNothingAcknowledged kills the broker under load, SKYLARK_KILL_ROUNDS times (default
// 5), restarts it on the same folder and audits the topic. SKYLARK_KILL_SEED repeats the moments.
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

func killRounds(t *testing.T, rounds int) {
	seed := fromEnv(t, "SKYLARK_KILL_SEED", uint64(time.Now().UnixNano()))
	t.Logf("SKYLARK_KILL_SEED=%d SKYLARK_KILL_ROUNDS=%d", seed, rounds)
	rng := rand.New(rand.NewPCG(seed, 0))
	// Small files, so that a kill meets file ends too.
	c := cluster.Standalone(t, "mappedFileSizeCommitLog=2097152", "mappedFileSizeConsumeQueue=20000")
	c.Broker.CreateTopic(t, killTopic, killQueues)
	l := newLedger()
	var a *audit
	for round := range rounds {
		// A clean stop is not part of this test: whatever the flush policy, what a process has
		// acknowledged must be in the kernel's hands when it dies.
		setFlush(t, c.Broker, []string{"ASYNC_FLUSH", "SYNC_FLUSH"}[round%2])
		after := time.Duration(100+rng.IntN(1400)) * time.Millisecond
		before, _ := l.counts()
		loadUntilKilled(t, c.Broker, l, round, rng.Uint64(), after)
		c.Broker.Restart(t)
		if rng.IntN(3) == 0 {
			c.Broker.Kill(t) // again, with a recovery just done
			c.Broker.Restart(t)
		}
		conn, err := dial(c.Broker.Addr())
		require.NoError(t, err)
		if a == nil || round%fullEvery == fullEvery-1 || round == rounds-1 {
			a = newAudit(t, l, conn, killTopic)
		}
		a.c = conn
		began := time.Now()
		a.run(killQueues)
		conn.close()
		sent, acked := l.counts()
		t.Logf("round %d: killed after %s, %d sent (%d in all), %d acknowledged, %d found; audit took %s",
			round, after, sent-before, sent, acked, len(a.seen), time.Since(began).Round(time.Millisecond))
	}
}

// setFlush makes the flush policy of the broker's next start; a later line of the file wins.
func setFlush(t *testing.T, b *cluster.Server, policy string) {
	t.Helper()
	f, err := os.OpenFile(b.ConfFile(), os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = fmt.Fprintf(f, "flushDiskType=%s\n", policy)
	require.NoError(t, errors.Join(err, f.Close()))
}

// loadUntilKilled runs senders against the broker, kills it at the moment given and returns when all
// senders have noticed.
func loadUntilKilled(t *testing.T, b *cluster.Server, l *ledger, round int, seed uint64, after time.Duration) {
	t.Helper()
	var killed atomic.Bool
	var senders sync.WaitGroup
	early := make(chan error, connections*lanesPerConn)
	_, ackedBefore := l.counts()
	for i := range connections {
		conn, err := dial(b.Addr())
		require.NoError(t, err)
		defer conn.close()
		for j := range lanesPerConn {
			lane := i*lanesPerConn + j
			rng := rand.New(rand.NewPCG(seed, uint64(lane)))
			senders.Add(1)
			go func() {
				defer senders.Done()
				if err := sendForever(conn, l, number{round: round, lane: lane}, rng); !killed.Load() || errors.As(err, new(brokenPromise)) {
					early <- err
				}
			}()
		}
	}
	select {
	case <-time.After(after): // the moment of the kill is the test
	case err := <-early:
		early <- err
	}
	killed.Store(true)
	b.Kill(t)
	senders.Wait()
	close(early)
	for err := range early {
		require.NoError(t, err, "a sender failed before the kill")
	}
	_, acked := l.counts()
	require.Greater(t, acked, ackedBefore, "nothing was acknowledged in round %d", round)
}

// brokenPromise is an acknowledgement that contradicts an earlier one.
type brokenPromise struct{ error }

// sendForever sends one message (or batch) after another until the connection breaks. Each goes to a
// random queue; the next is sent when the last was answered, so a lane's messages are in order in every queue.
func sendForever(c *client, l *ledger, n number, rng *rand.Rand) error {
	for {
		count := 1
		if n.lane%4 == 3 {
			count = 1 + rng.IntN(batchSize)
		}
		var ids []string
		var bodies [][]byte
		for range count {
			id := n.String()
			n.seq++
			ids, bodies = append(ids, id), append(bodies, bodyOf(id))
		}
		queue := rng.IntN(killQueues)
		l.willSend(ids)
		offset, err := c.send(killTopic, queue, bodies...)
		if errors.As(err, new(refusal)) {
			continue // busy: it may or may not be stored
		}
		if err != nil {
			return err
		}
		if err := l.ack(queue, offset, ids); err != nil {
			return brokenPromise{err}
		}
	}
}
