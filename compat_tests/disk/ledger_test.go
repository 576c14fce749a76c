package disk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// message is one that a broker acknowledged, as it was sent.
type message struct {
	id    string // its UNIQ_KEY
	topic string
	body  []byte
	props map[string]string
	flag  uint32
	level int   // of delay, 0 for none
	timer int64 // ms, when it is to be delivered by the timer wheel, 0 for none

	run      int  // the hop that stored it
	findable bool // by key
	at       place
	physical int64
	stored   int64      // store timestamp, known from the first read
	copies   []delivery // of a delayed message, oldest first
}

// held tells whether the message was stored in another topic than its own.
func (m *message) held() bool { return m.level > 0 || m.timer > 0 }

// place is where a message is for consumers.
type place struct {
	topic  string
	queue  int
	offset int64
}

// delivery is a copy of a delayed message in its own topic.
type delivery struct{ run int }

// ledger knows every acknowledged message and what was read at each place.
type ledger struct {
	t      *testing.T
	byID   map[string]*message
	order  []*message
	places map[place]*message
	ends   map[string][]int64 // the next offset of each queue, by topic
	sums   map[place][32]byte // of the whole record as first read
	onDisk map[int64][32]byte // the same by physical offset
	killed map[int]bool       // hops that ended by kill -9
	javas  map[int]bool       // hops of Java's 5.x broker
	starts map[int]int64      // when the hops began, ms
}

// farAhead is more than a test takes: a message that waits for as long stays in the timer's files.
const farAhead = 10 * time.Minute

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, byID: map[string]*message{}, places: map[place]*message{}, ends: map[string][]int64{}, sums: map[place][32]byte{},
		onDisk: map[int64][32]byte{}, killed: map[int]bool{}, javas: map[int]bool{}, starts: map[int]int64{}}
}

// compose makes a message whose content follows from its number.
func (l *ledger) compose(topic string, n, size int) *message {
	id := fmt.Sprintf("7F000001%08X%016X", n, len(l.byID)) // shaped like a client's
	m := &message{id: id, topic: topic, props: map[string]string{"UNIQ_KEY": id, "WAIT": "true"}, flag: uint32(n)}
	m.body = noise(id, size)
	switch n % 4 {
	case 0:
		m.props["TAGS"] = "TagA"
	case 1:
		m.props["TAGS"], m.props["KEYS"] = "Tagß", "one-"+id
	case 2:
		// Several keys in one message, and one that many messages have.
		m.props["KEYS"] = "one-" + id + " two-" + id + " common-" + topic
		m.props["city"] = "Zürich 苏黎世"
	}
	return m
}

// noise returns bytes that follow from a text.
func noise(text string, size int) []byte {
	h := fnv.New64a()
	h.Write([]byte(text))
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(rng.UintN(256))
	}
	return out
}

// acked enters messages; their queue must go on where the ledger knows its end.
func (l *ledger) acked(run, queue int, messages []*message, acks []ack) {
	l.t.Helper()
	for i, m := range messages {
		topic := m.topic
		switch {
		case m.level > 0:
			topic, queue = scheduleTopic, m.level-1
		case m.timer > 0:
			topic, queue = wheelTopic, 0
		}
		m.run, m.at, m.physical = run, place{topic, queue, acks[i].offset}, acks[i].physical
		for len(l.ends[topic]) <= queue {
			l.ends[topic] = append(l.ends[topic], 0)
		}
		require.Equal(l.t, l.ends[topic][queue], m.at.offset, "%v: the acknowledgement does not continue the queue", m.at)
		l.ends[topic][queue]++
		l.places[m.at], l.byID[m.id] = m, m
		l.order = append(l.order, m)
	}
}

// check holds a record that was read at a place against the ledger.
func (l *ledger) check(p place, r record) {
	l.t.Helper()
	m := l.byID[r.uniqueKey]
	require.NotNil(l.t, m, "%v holds message %q, which was never acknowledged", p, r.uniqueKey)
	require.Equal(l.t, p, place{r.topic, r.queue, r.offset}, "the record says that it is elsewhere")
	if known, ok := l.sums[p]; ok {
		require.Equal(l.t, known, sha256.Sum256(r.raw), "%v: message %s is not what it was, byte for byte", p, m.id)
		return
	}
	l.sums[p] = sha256.Sum256(r.raw)
	l.onDisk[r.physical] = l.sums[p]
	require.True(l.t, bytes.Equal(m.body, r.body), "%v: body of %s is not what was sent", p, m.id)
	for name, value := range m.props {
		if name == "WAIT" || name == "DELAY" && l.places[p] == nil {
			continue // 4.9.8 does not store WAIT=true, and takes DELAY off what it delivers
		}
		require.Equal(l.t, value, r.props[name], "%v: property %s of %s", p, name, m.id)
	}
	require.Equal(l.t, m.flag, r.flag, "%v: flag of %s", p, m.id)
	require.Equal(l.t, "127.0.0.1", r.bornHost.Addr().String(), "%v: born host", p)
	require.Equal(l.t, "127.0.0.1", r.storeHost.Addr().String(), "%v: store host", p)
	require.Zero(l.t, r.sysFlag, "%v: system flag", p)
	if l.places[p] != nil {
		require.Equal(l.t, l.places[p].id, m.id, "%v holds another message than acknowledged", p)
		require.Equal(l.t, m.physical, r.physical, "%v: physical offset", p)
		m.stored = r.stored
		if m.held() {
			require.Equal(l.t, m.topic, r.props["REAL_TOPIC"])
		}
		return
	}
	l.checkCopy(p, m, r)
}

// checkCopy judges a delivery that is seen for the first time: not early, and only once unless the
// deliverer of the copy before was killed, which may have lost its note of it (Java writes
// delayOffset.json every 10 s). Java's timer goes on delivering behind the note of its clean stop.
func (l *ledger) checkCopy(p place, m *message, r record) {
	l.t.Helper()
	require.True(l.t, m.held(), "%v: message %s was sent without delay, but stored a second time", p, m.id)
	require.Equal(l.t, laterTopic, p.topic)
	require.Positive(l.t, m.stored, "%s was delivered before it was read where it waited", m.id)
	require.GreaterOrEqual(l.t, r.stored, m.due(), "%v: message %s of level %d came early", p, m.id, m.level)
	run := len(l.starts) - 1
	for run > 0 && r.stored < l.starts[run] {
		run-- // delivered by an earlier server after we last looked
	}
	if n := len(m.copies); n > 0 {
		before := m.copies[n-1].run
		require.True(l.t, l.killed[before] || m.timer > 0 && l.javas[before], "%v: message %s was delivered again in hop %d, after hop %d, which ended cleanly",
			p, m.id, run+1, before+1)
	}
	m.copies = append(m.copies, delivery{run})
}

// due is when a held message is to be delivered, ms.
func (m *message) due() int64 {
	if m.timer > 0 {
		return m.timer
	}
	return m.stored + levels[m.level-1].Milliseconds()
}

// pending returns how many held messages have not been seen delivered that a server delivers which has a
// timer wheel, or none.
func (l *ledger) pending(wheel bool) (count int, last time.Time) {
	for _, m := range l.order {
		if !m.held() || len(m.copies) > 0 || m.timer > 0 && (!wheel || time.UnixMilli(m.timer).After(time.Now().Add(farAhead))) {
			continue
		}
		count++
		if due := time.UnixMilli(m.due()); due.After(last) {
			last = due
		}
	}
	return count, last
}
