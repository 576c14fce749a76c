package faults

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// ledger knows every message ever sent and where the broker said that those lie which it promised to keep.
type ledger struct {
	mu    sync.Mutex
	sent  map[lane]int // how many, by who sent them
	kept  []map[int64]*promise
	floor []int64 // the first queue offset whose message retention has not deleted, by queue

	// Messages: sent; acknowledged; acknowledged and found by an audit; deleted by retention, and how many of
	// them before an audit; missing.
	sends, acks, found, deleted, unaudited, lost int
}

// lane is one sender of one round. Its messages have the numbers from 0 on.
type lane struct{ round, id int }

// number is a message's id: the lane that sent it and its turn there.
type number struct {
	lane
	seq int
}

// promise is a message that must be there: it was acknowledged, or a consumer has got it.
type promise struct {
	number
	physical int64
	acked    bool
	found    bool // by an audit, ever
	present  bool // found by the audit under way
}

func newLedger(queues int) *ledger {
	l := &ledger{sent: map[lane]int{}, floor: make([]int64, queues)}
	for range queues {
		l.kept = append(l.kept, map[int64]*promise{})
	}
	return l
}

// String is the beginning of the message's body.
func (n number) String() string { return fmt.Sprintf("r%d-l%d-s%d", n.round, n.id, n.seq) }

// numberOf reads the id of a body and checks the rest of it.
func numberOf(body []byte) (n number, err error) {
	id, _, _ := bytes.Cut(body, []byte{'|'})
	if _, err := fmt.Sscanf(string(id), "r%d-l%d-s%d", &n.round, &n.id, &n.seq); err != nil {
		return n, fmt.Errorf("body %.40q has no id: %w", body, err)
	}
	if !bytes.Equal(bodyOf(n.String()), body) {
		return n, fmt.Errorf("the body of %s is not what was sent", n)
	}
	return n, nil
}

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

// willSend gives a lane the next n numbers.
func (l *ledger) willSend(by lane, n int) []number {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []number
	for range n {
		out = append(out, number{by, l.sent[by]})
		l.sent[by]++
	}
	l.sends += n
	return out
}

// ack records the places of messages that were acknowledged together. It fails when the broker has
// given a place to another message before.
func (l *ledger) ack(queue int, offset int64, sent []number, physical []int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range sent {
		p, err := l.promised(queue, offset+int64(i), n, physical[i])
		switch {
		case err != nil:
			return err
		case p.acked:
			return fmt.Errorf("%s is acknowledged twice", n)
		}
		p.acked = true
		l.acks++
	}
	return nil
}

// show records messages that a consumer has got.
func (l *ledger) show(queue int, recs []record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range recs {
		n, err := numberOf(r.body)
		if err != nil {
			return err
		}
		if n.seq >= l.sent[n.lane] {
			return fmt.Errorf("queue %d offset %d: %s was never sent", queue, r.queueOffset, n)
		}
		if r.queueOffset < l.floor[queue] {
			continue // deleted since, or about to be: a reader may finish
		}
		if _, err := l.promised(queue, r.queueOffset, n, r.physicalOffset); err != nil {
			return err
		}
	}
	return nil
}

// promised returns the promise of a place, a new one or the one there is when that is for the same message.
func (l *ledger) promised(queue int, offset int64, n number, physical int64) (*promise, error) {
	if offset < l.floor[queue] {
		return nil, fmt.Errorf("queue %d offset %d is given to %s, but the queue had come to %d", queue, offset, n, l.floor[queue])
	}
	p := l.kept[queue][offset]
	if p == nil {
		p = &promise{number: n, physical: physical}
		l.kept[queue][offset] = p
	}
	if p.number != n || p.physical != physical {
		return nil, fmt.Errorf("queue %d offset %d is promised to %s at %d and to %s at %d", queue, offset, p.number, p.physical, n, physical)
	}
	return p, nil
}

func (l *ledger) counts() (sent, acked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sends, l.acks
}
