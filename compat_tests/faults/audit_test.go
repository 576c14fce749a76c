package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// audit reads queues to their ends and holds them against the ledger. It is used after the senders have
// ended and while nothing is deleted.
type audit struct {
	l      *ledger
	topic  string
	logDir string // .../commitlog
	unit   int64  // mappedFileSizeCommitLog
	front  int64  // where the log begins
	t      *testing.T

	seen   map[number]bool
	last   map[laneQueue]int // seq: lanes send one after another
	physAt []int64           // the last physical offset by queue
	next   []int64           // the first queue offset not yet read, by queue
}

type laneQueue struct {
	lane
	queue int
}

func newAudit(t *testing.T, l *ledger, topic, storeDir string, fileSize int64) *audit {
	a := &audit{l: l, topic: topic, logDir: filepath.Join(storeDir, "commitlog"), unit: fileSize, t: t}
	a.again()
	return a
}

// again has the next run read everything, not only what is new.
func (a *audit) again() {
	a.seen, a.last = map[number]bool{}, map[laneQueue]int{}
	a.physAt, a.next = make([]int64, len(a.l.kept)), make([]int64, len(a.l.kept))
	for _, kept := range a.l.kept {
		for _, p := range kept {
			p.present = false
		}
	}
}

// run fails the test on the first broken promise. limit is skylarkMaxStoreBytes of a broker that may have
// deleted files since the last run, 0 when none may be missing.
func (a *audit) run(c *client, limit int64) {
	a.t.Helper()
	a.lookAtFiles(limit)
	for q := range a.l.kept {
		first, end, err := c.bounds(a.topic, q)
		require.NoError(a.t, err)
		require.GreaterOrEqual(a.t, first, a.l.floor[q], "queue %d begins earlier than before", q)
		require.True(a.t, limit > 0 || first == a.l.floor[q], "queue %d lost its front, %d to %d, but nothing may be deleted", q, a.l.floor[q], first)
		a.l.floor[q] = first
		a.next[q] = max(a.next[q], first)
		for a.next[q] < end {
			recs, err := c.pull(a.topic, q, a.next[q])
			require.NoError(a.t, err, "queue %d offset %d of %d", q, a.next[q], end)
			require.NotEmpty(a.t, recs, "queue %d ends at %d, max offset is %d", q, a.next[q], end)
			for _, r := range recs {
				a.check(q, r)
			}
		}
	}
	a.settle()
}

// lookAtFiles notes where the log begins: what retention may take is whole files from the front, and no
// more than the limit demands.
func (a *audit) lookAtFiles(limit int64) {
	a.t.Helper()
	files, err := os.ReadDir(a.logDir)
	require.NoError(a.t, err)
	require.NotEmpty(a.t, files)
	front, err := strconv.ParseInt(files[0].Name(), 10, 64)
	require.NoError(a.t, err)
	for i, f := range files {
		require.Equal(a.t, fmt.Sprintf("%020d", front+int64(i)*a.unit), f.Name(), "the commit log has a hole")
	}
	require.GreaterOrEqual(a.t, front, a.front, "deleted files are back")
	if front > a.front {
		require.Positive(a.t, limit, "files from %d to %d are gone, but none may be deleted", a.front, front)
		// A file that was made and not yet written to may have been there, too.
		require.GreaterOrEqual(a.t, int64(len(files)+2)*a.unit, limit, "more was deleted than skylarkMaxStoreBytes demands")
	}
	a.front = front
}

// settle counts what is there and what was deleted, and fails when anything else is missing.
func (a *audit) settle() {
	a.t.Helper()
	var lost []string
	for q, kept := range a.l.kept {
		for offset, p := range kept {
			switch {
			case p.present:
			case p.physical < a.front:
				a.l.deleted++
				if p.acked && !p.found {
					a.l.unaudited++
				}
				delete(kept, offset)
			default:
				lost = append(lost, fmt.Sprintf("%s at queue %d offset %d, physical %d (the queue has %d to %d, the log begins at %d)",
					p.number, q, offset, p.physical, a.l.floor[q], a.next[q], a.front))
			}
		}
	}
	a.l.lost = len(lost)
	require.Empty(a.t, lost[:min(len(lost), 5)], "%d messages are lost that were acknowledged or seen", len(lost))
}

func (a *audit) check(q int, r record) {
	a.t.Helper()
	require.Equal(a.t, a.next[q], r.queueOffset, "queue %d is not contiguous", q)
	a.next[q]++
	require.Equal(a.t, q, r.queue)
	require.Equal(a.t, a.topic, r.topic)
	require.Greater(a.t, r.physicalOffset, a.physAt[q]-1, "queue %d: physical offsets fall", q)
	require.GreaterOrEqual(a.t, r.physicalOffset, a.front)
	a.physAt[q] = r.physicalOffset + 1

	n, err := numberOf(r.body)
	require.NoError(a.t, err, "queue %d offset %d", q, r.queueOffset)
	require.Less(a.t, n.seq, a.l.sent[n.lane], "queue %d offset %d: message %s was never sent", q, r.queueOffset, n)
	require.False(a.t, a.seen[n], "message %s is stored twice", n)
	a.seen[n] = true
	at := laneQueue{n.lane, q}
	if last, ok := a.last[at]; ok {
		require.Greater(a.t, n.seq, last, "queue %d: lane %d of round %d out of order", q, n.id, n.round)
	}
	a.last[at] = n.seq

	// What is read here must be here from now on, acknowledged or not.
	p, err := a.l.promised(q, r.queueOffset, n, r.physicalOffset)
	require.NoError(a.t, err)
	if !p.found && p.acked {
		a.l.found++
	}
	p.found, p.present = true, true
}
