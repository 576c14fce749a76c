package faults

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// ledger knows every message ever sent and where the broker said it lies.
type ledger struct {
	mu    sync.Mutex
	sent  map[string]bool
	acked map[place]string // id by place
}

type place struct {
	queue  int
	offset int64
}

func newLedger() *ledger { return &ledger{sent: map[string]bool{}, acked: map[place]string{}} }

// number is a message's id: the lane that sent it and its turn there.
type number struct{ round, lane, seq int }

// String is the beginning of the message's body.
func (n number) String() string { return fmt.Sprintf("r%d-l%d-s%d", n.round, n.lane, n.seq) }

// bodyOf returns the id and up to 3 KB that follow from it, so that a wrong byte is found without
// keeping bodies.
func bodyOf(id string) []byte {
	h := fnv.New64a()
	h.Write([]byte(id))
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	out := append([]byte(id), '|')
	for range rng.IntN(3000) {
		out = append(out, byte(rng.UintN(256)))
	}
	return out
}

func (l *ledger) willSend(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.sent[id] = true
	}
}

// ack records the places of messages that were acknowledged together. It fails when the broker has
// given a place to another message before.
func (l *ledger) ack(queue int, offset int64, ids []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range ids {
		p := place{queue, offset + int64(i)}
		if other, ok := l.acked[p]; ok {
			return fmt.Errorf("queue %d offset %d acknowledged for %s and for %s", queue, p.offset, other, id)
		}
		l.acked[p] = id
	}
	return nil
}

func (l *ledger) counts() (sent, acked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent), len(l.acked)
}

// audit reads queues from the places in from on and holds them against the ledger. It is used after
// the senders have ended.
type audit struct {
	l      *ledger
	c      *client
	topic  string
	seen   map[string]bool // ids found so far in this audit
	last   map[[3]int]int  // seq by round, lane and queue: lanes send one after another
	physAt map[int]int64   // physical offset by queue
	next   map[int]int64   // the first queue offset not yet read, by queue
	found  map[place]bool  // acknowledged places found
	t      *testing.T
}

func newAudit(t *testing.T, l *ledger, c *client, topic string) *audit {
	return &audit{l: l, c: c, topic: topic, seen: map[string]bool{}, last: map[[3]int]int{},
		physAt: map[int]int64{}, next: map[int]int64{}, found: map[place]bool{}, t: t}
}

// run reads all queues to their ends and fails the test on the first broken promise.
func (a *audit) run(queues int) {
	a.t.Helper()
	for q := range queues {
		end, err := a.c.maxOffset(a.topic, q)
		require.NoError(a.t, err)
		for a.next[q] < end {
			recs, err := a.c.pull(a.topic, q, a.next[q])
			require.NoError(a.t, err, "queue %d offset %d of %d", q, a.next[q], end)
			require.NotEmpty(a.t, recs, "queue %d ends at %d, max offset is %d", q, a.next[q], end)
			for _, r := range recs {
				a.check(q, r)
			}
		}
	}
	for p, id := range a.l.acked {
		require.True(a.t, a.found[p], "acknowledged message %s at queue %d offset %d is lost (max offset %d)",
			id, p.queue, p.offset, a.next[p.queue])
	}
}

func (a *audit) check(q int, r record) {
	a.t.Helper()
	require.Equal(a.t, a.next[q], r.queueOffset, "queue %d is not contiguous", q)
	a.next[q]++
	require.Equal(a.t, q, r.queue)
	require.Equal(a.t, a.topic, r.topic)
	require.Greater(a.t, r.physicalOffset, a.physAt[q]-1, "queue %d: physical offsets fall", q)
	a.physAt[q] = r.physicalOffset + 1

	id, _, _ := bytes.Cut(r.body, []byte{'|'})
	require.True(a.t, a.l.sent[string(id)], "queue %d offset %d: message %.40q was never sent", q, r.queueOffset, id)
	require.True(a.t, bytes.Equal(bodyOf(string(id)), r.body), "body of %s is not what was sent", id)
	require.False(a.t, a.seen[string(id)], "message %s is stored twice", id)
	a.seen[string(id)] = true

	var n number
	_, err := fmt.Sscanf(string(id), "r%d-l%d-s%d", &n.round, &n.lane, &n.seq)
	require.NoError(a.t, err)
	lane := [3]int{n.round, n.lane, q}
	if last, ok := a.last[lane]; ok {
		require.Greater(a.t, n.seq, last, "queue %d: lane %d of round %d out of order", q, n.lane, n.round)
	}
	a.last[lane] = n.seq

	p := place{q, r.queueOffset}
	if want, ok := a.l.acked[p]; ok {
		require.Equal(a.t, want, string(id), "queue %d offset %d holds another message than acknowledged", q, r.queueOffset)
		a.found[p] = true
	}
}
