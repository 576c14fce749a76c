package faults

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// committers are the consumer groups of the kill tests; each commits in a way of its own.
var committers = []struct {
	group  string
	commit func(c *client, s slot, offset int64) error
}{
	{"GID_pull", commitByPull},
	{"GID_update", commitByUpdate},
	{"GID_oneway", commitOneway},
}

// slot is a group's offset of a queue.
type slot struct {
	group string
	queue int
}

// offsetBook knows what consumers committed, and since when the broker has it. Consumers only ever go
// ahead, but after a restart from the broker's offset on.
type offsetBook struct {
	mu    sync.Mutex
	slots map[slot]*history

	checks, bound int // offsets compared after a restart; of them those that had to be there for sure
}

type history struct {
	tried map[int64]bool // ever asked for; the broker may or may not have it
	had   []commit       // that the broker had, since its last start, in order
	floor int64          // the offset after the last start: it was in the file; -1: none
}

type commit struct {
	offset int64
	at     time.Time
}

func newOffsetBook(queues int) *offsetBook {
	b := &offsetBook{slots: map[slot]*history{}}
	for _, g := range committers {
		for q := range queues {
			b.slots[slot{g.group, q}] = &history{tried: map[int64]bool{}, floor: -1}
		}
	}
	return b
}

// commit runs do, which has the broker take the offset and returns when it has.
func (b *offsetBook) commit(s slot, offset int64, do func() error) error {
	b.mu.Lock()
	b.slots[s].tried[offset] = true
	b.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.slots[s]
	h.had = append(h.had, commit{offset, time.Now()})
	return nil
}

// consume reads all queues in turns and commits what it has read, until the connection breaks.
func (b *offsetBook) consume(c *client, l *ledger, topic string, queues, committer int) error {
	g := committers[committer]
	at := make([]int64, queues)
	for q := range at {
		at[q] = max(b.slots[slot{g.group, q}].floor, 0)
	}
	for {
		for q := range at {
			ext := pullExt(topic, q, at[q])
			ext["consumerGroup"] = g.group
			p, err := c.pullOnce(ext)
			if err != nil {
				return err
			}
			if err := l.show(q, p.recs); err != nil {
				return brokenPromise{fmt.Errorf("%s: %w", g.group, err)}
			}
			if p.next <= at[q] {
				continue // nothing new
			}
			at[q] = p.next
			s := slot{g.group, q}
			if err := b.commit(s, at[q], func() error { return g.commit(c, s, at[q]) }); err != nil {
				return err
			}
		}
	}
}

func commitByPull(c *client, s slot, offset int64) error {
	ext := pullExt(killTopic, s.queue, offset)
	ext["consumerGroup"], ext["commitOffset"], ext["maxMsgNums"] = s.group, strconv.FormatInt(offset, 10), "1"
	ext["sysFlag"] = "5" // 1: commit, 4: subscription inside
	_, err := c.pullOnce(ext)
	return err
}

func updateExt(s slot, offset int64) map[string]string {
	return map[string]string{"consumerGroup": s.group, "topic": killTopic, "queueId": strconv.Itoa(s.queue), "commitOffset": strconv.FormatInt(offset, 10)}
}

func commitByUpdate(c *client, s slot, offset int64) error {
	r, err := c.call(codeUpdateOffset, updateExt(s, offset), nil)
	if err == nil && r.Code != respSuccess {
		err = refusal{r.Code, r.Remark}
	}
	return err
}

// commitOneway asks until the broker has what it was told: nothing answers a one-way request.
func commitOneway(c *client, s slot, offset int64) error {
	if err := c.oneway(codeUpdateOffset, updateExt(s, offset)); err != nil {
		return err
	}
	for deadline := time.Now().Add(callTimeout); ; {
		switch got, err := c.committed(s.group, killTopic, s.queue); {
		case err != nil:
			return err
		case got == offset:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("offset %d of %v was sent one-way, the broker has %d", offset, s, got)
		}
	}
}

// check compares the offsets after a restart. What the broker had before sure must be there.
func (b *offsetBook) check(t *testing.T, c *client, sure time.Time) {
	t.Helper()
	for s, h := range b.slots {
		got, err := c.committed(s.group, killTopic, s.queue)
		require.NoError(t, err)
		require.True(t, got == -1 || h.tried[got], "%v: offset %d was never committed", s, got)
		least := h.floor
		for _, x := range h.had {
			if x.at.Before(sure) {
				least = max(least, x.offset)
			}
		}
		require.GreaterOrEqual(t, got, least, "%v: the offset fell back too far; it was %d after the start before, %d commits since then", s, h.floor, len(h.had))
		b.checks++
		if least > h.floor {
			b.bound++
		}
		h.floor, h.had = got, nil
	}
}

// brokenPromise is an answer that contradicts an earlier one.
type brokenPromise struct{ error }

// failure reports an error that a kill does not explain.
func failure(err error) bool {
	return errors.As(err, new(brokenPromise)) || errors.As(err, new(refusal))
}
