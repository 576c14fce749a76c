package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/index"
)

// tally is what a test knows of the messages it gave to a store, over all its starts: the plain model that
// the store is held against.
type tally struct {
	mu     sync.Mutex
	queues map[queueKey][]*life
}

type queueKey struct {
	topic string
	id    int32
}

// life is a queue from the first message on to the deletion of its topic.
type life struct {
	sent []sent
	dead bool // its deletion has begun
}

// sent is a message that was submitted. at, phys and end hold once it is acknowledged.
type sent struct {
	size          int // of the body
	acked         bool
	at, phys, end int64
	stamp         int64
}

func newTally() *tally { return &tally{queues: map[queueKey][]*life{}} }

func (t *tally) clone() *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := newTally()
	for k, ls := range t.queues {
		for _, l := range ls {
			out.queues[k] = append(out.queues[k], &life{append([]sent(nil), l.sent...), l.dead})
		}
	}
	return out
}

// onlyAcked takes the acknowledgements of an older clone, and what had begun to be deleted either then or now.
func (t *tally) onlyAcked(older *tally) {
	for k, ls := range t.queues {
		for i, l := range ls {
			for n := range l.sent {
				was := older.queues[k]
				l.sent[n].acked = i < len(was) && n < len(was[i].sent) && was[i].sent[n].acked
			}
		}
	}
}

func (t *tally) current(k queueKey) (*life, int) {
	ls := t.queues[k]
	if len(ls) == 0 || ls[len(ls)-1].dead {
		ls = append(ls, &life{})
		t.queues[k] = ls
	}
	return ls[len(ls)-1], len(ls) - 1
}

func bodyOf(k queueKey, life, n, size int) []byte {
	b := fmt.Appendf(nil, "%s/%d/%d/%d|", k.topic, k.id, life, n)
	for i := 0; len(b) < size; i++ {
		b = append(b, byte('a'+(i*7+n*31+life*3)%26))
	}
	return b
}

// part is a run of messages of one queue within a group.
type part struct {
	key   queueKey
	sizes []int // of the bodies
	unit  bool
	delay int      // level
	light []string // light queues that get them too
}

// ticket is a group on its way; it is the group's owner.
type ticket struct {
	t    *tally
	done chan error
	of   []*sentRef
	also []*sentRef // of the group's lights
	told bool
}

type sentRef struct {
	l *life
	n int
}

// Appended implements Owner.
func (k *ticket) Appended(g *Group, err error) {
	k.t.mu.Lock()
	if k.told {
		panic("an owner was told twice")
	}
	k.told = true
	lights, also := g.Lights, k.also
	for i, ref := range k.of {
		if r := &g.Recs[i]; err == nil {
			ref.ack(r, r.QueueOffset)
			for range r.Light {
				also[0].ack(r, lights[0].QueueOffset)
				lights, also = lights[1:], also[1:]
			}
		}
	}
	k.t.mu.Unlock()
	k.done <- err
}

func (ref *sentRef) ack(r *Rec, at int64) {
	s := &ref.l.sent[ref.n]
	s.acked, s.at, s.phys, s.end, s.stamp = true, at, r.PhysicalOffset, r.PhysicalOffset+int64(r.Size), r.StoreTimestamp
}

// lights puts a record into its light queues, the body too: it gets a line for each.
func (k *ticket) lights(s *Store, g *Group, r *Rec, m *message.Message, props string, names []string) string {
	if len(names) == 0 {
		return props
	}
	for _, name := range names {
		key := queueKey{name, 0}
		l, nr := k.t.current(key)
		m.Body = append(append(m.Body, '\n'), bodyOf(key, nr, len(l.sent), 0)...)
		k.also = append(k.also, &sentRef{l, len(l.sent)})
		l.sent = append(l.sent, sent{})
		g.Lights = append(g.Lights, Light{Queue: s.LightQueue(name)})
	}
	r.Light = int16(len(names))
	all := message.ParseProperties(props)
	all.SetMultiDispatch(names)
	return all.String()
}

// lineOf returns the part of a body that is for one queue.
func lineOf(k queueKey, body []byte) string {
	for line := range strings.SplitSeq(string(body), "\n") {
		if strings.HasPrefix(line, k.topic+"/") {
			return line
		}
	}
	return string(body)
}

// submit gives a group to s. What Submit refuses was never sent.
func (t *tally) submit(s *Store, parts ...part) (*ticket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &ticket{t: t, done: make(chan error, 1)}
	g := &Group{Owner: k}
	for _, p := range parts {
		l, nr := t.current(p.key)
		props := "TAGS\x01a\x02"
		if p.delay > 0 {
			props = fmt.Sprintf("DELAY\x01%d\x02", p.delay)
		}
		tag := message.GetProperty(props, message.PropertyTags)
		for i, size := range p.sizes {
			n, from := len(l.sent), len(g.Buf)
			m := message.Message{Topic: p.key.topic, QueueID: p.key.id, Body: bodyOf(p.key, nr, n, size)}
			r := Rec{Queue: s.Queue(p.key.topic, p.key.id), TagsCode: message.TagsCode("a")}
			if isBatchTopic(m.Topic) {
				r.Inner = int16(n % 4) // 0: a plain record
			}
			g.Buf = appendRecord(g.Buf, &m, k.lights(s, g, &r, &m, props, p.light), int32(r.Inner))
			r.Size = int32(len(g.Buf) - from)
			keys := len(g.Keys)
			g.Keys = index.AppendHashes(g.Keys, p.key.topic, "", "", tag)
			r.Keys = int32(len(g.Keys) - keys)
			if p.delay > 0 {
				r.DelayMillis = s.DelayLevels()[p.delay-1].Milliseconds()
			}
			if i == 0 && p.unit {
				r.Unit = int32(len(p.sizes))
			}
			g.Recs = append(g.Recs, r)
			l.sent = append(l.sent, sent{size: size})
			k.of = append(k.of, &sentRef{l, n})
		}
	}
	if err := s.Submit(g); err != nil {
		for _, refs := range [][]*sentRef{k.of, k.also} {
			for i := len(refs) - 1; i >= 0; i-- {
				refs[i].l.sent = refs[i].l.sent[:refs[i].n]
			}
		}
		return nil, err
	}
	return k, nil
}

// isBatchTopic tells the topics whose queues are batch queues in these tests.
func isBatchTopic(topic string) bool { return strings.HasPrefix(topic, "Batch") }

// batchTopic is Options.BatchTopic for them.
func batchTopic(topic string) (batch, known bool) { return isBatchTopic(topic), true }

// appendRecord appends a record, an inner batch when inner is set; to the store its body is a body like others.
func appendRecord(dst []byte, m *message.Message, props string, inner int32) []byte {
	if inner > 0 {
		m.SysFlag |= message.SysFlagInnerBatch | message.SysFlagNeedUnwrap
		props = string(message.AppendInnerBase(message.AppendProperty([]byte(props), message.PropertyInnerNum, fmt.Sprint(inner))))
	}
	dst, err := message.AppendRecord(dst, m, props)
	if err != nil {
		panic(err)
	}
	return dst
}

// patience is how long a test waits for what must come: the checks of the crash matrix stop the disk meanwhile.
const patience = 10 * time.Minute

// put is submit and the wait for the answer.
func (t *tally) put(s *Store, parts ...part) error {
	k, err := t.submit(s, parts...)
	if err != nil {
		return err
	}
	select {
	case err := <-k.done:
		return err
	case <-time.After(patience):
		return fmt.Errorf("no answer within %v", patience)
	}
}

func (t *tally) deleteTopic(s *Store, topic string) error {
	t.mu.Lock()
	for k, ls := range t.queues {
		if k.topic == topic && len(ls) > 0 {
			ls[len(ls)-1].dead = true
		}
	}
	t.mu.Unlock()
	return s.DeleteTopic(topic)
}

// item is a message as a consumer sees it.
type item struct {
	body  string
	at    int64 // queue offset
	phys  int64
	stamp int64
}

// dump reads all queues from their first to their last offset and checks what each message and its unit say
// about themselves.
func dump(s *Store) (map[queueKey][]item, error) {
	out := map[queueKey][]item{}
	var err error
	s.eachQueue(func(q *consumequeue.Queue) {
		if err == nil {
			err = dumpQueue(s, q, out)
		}
	})
	return out, err
}

func dumpQueue(s *Store, q *consumequeue.Queue, out map[queueKey][]item) error {
	k := queueKey{q.Topic, q.ID}
	if q.Min() != 0 {
		return fmt.Errorf("%v begins at %d", k, q.Min())
	}
	for at := int64(0); at < q.Max(); {
		b, res, err := s.Get(nil, GetRequest{Queue: q, Offset: at, MaxMessages: 32})
		if err != nil || res.Status != Found {
			return fmt.Errorf("%v at %d of %d: %s %w", k, at, q.Max(), res.Status, err)
		}
		from := at
		for len(b) > 0 {
			r, err := message.Parse(b, true)
			if err != nil {
				return fmt.Errorf("%v at %d: %w", k, at, err)
			}
			own := r
			if light, ok := r.LightOffset(k.topic); ok && k.id == 0 {
				own.Topic, own.QueueID, own.QueueOffset = k.topic, k.id, light
			}
			want := s.entry(q, &own)
			u, ok, err := unitWindows{}.coverAt(q, at+int64(want.Messages)-1)
			if !q.Batch() {
				u.Base, u.StoreTimestamp = at, want.StoreTimestamp
			}
			if err != nil || !ok || u != want {
				return fmt.Errorf("%v at %d: the unit is %v, for its record %v (%v)", k, at, u, want, err)
			}
			if base := message.GetProperty(r.Properties, message.PropertyInnerBase); base != "" && base != fmt.Sprint(at) {
				return fmt.Errorf("%v at %d: the record has %v", k, at, r.Properties)
			}
			if own.Topic != k.topic || own.QueueID != k.id || own.QueueOffset != at {
				return fmt.Errorf("%v at %d holds the message of %s-%d at %d", k, at, own.Topic, own.QueueID, own.QueueOffset)
			}
			out[k] = append(out[k], item{lineOf(k, r.Body), at, r.PhysicalOffset, r.StoreTimestamp})
			b = b[r.Size:]
			at += int64(want.Messages)
		}
		if at != res.NextOffset || at-from != int64(res.Messages) {
			return fmt.Errorf("%v: next offset %d, read up to %d", k, res.NextOffset, at)
		}
	}
	if s.Err() == nil && q.Next != q.Max() {
		return fmt.Errorf("%v: the next message gets offset %d behind %d", k, q.Next, q.Max()-1)
	}
	return nil
}

// verify holds what a store has against the tally. Acknowledged messages that end at or before upTo must be
// there; those not acknowledged may be, whole and in order.
func (t *tally) verify(got map[queueKey][]item, upTo int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range got {
		if len(t.queues[k]) == 0 {
			return fmt.Errorf("queue %v was never written to", k)
		}
	}
	for k, lives := range t.queues {
		if err := verifyQueue(k, lives, got[k], upTo); err != nil {
			return err
		}
	}
	return nil
}

func verifyQueue(k queueKey, lives []*life, items []item, upTo int64) error {
	seen, shown := map[int]bool{}, -1
	last := -1
	for at, it := range items {
		var nr, n int
		head, _, _ := strings.Cut(it.body, "|")
		if _, err := fmt.Sscanf(strings.TrimPrefix(head, k.topic), fmt.Sprintf("/%d/%%d/%%d", k.id), &nr, &n); err != nil || nr >= len(lives) || n >= len(lives[nr].sent) {
			return fmt.Errorf("%v at %d: %q was never sent", k, at, head)
		}
		if shown >= 0 && nr != shown {
			return fmt.Errorf("%v at %d: %q of another life of the topic", k, at, head)
		}
		shown = nr
		s := lives[nr].sent[n]
		switch {
		case !bytes.Equal(bodyOf(k, nr, n, s.size), []byte(it.body)):
			return fmt.Errorf("%v at %d: the body of %q is another", k, at, head)
		case n <= last:
			return fmt.Errorf("%v at %d: %q behind number %d", k, at, head, last)
		case s.acked && (s.at != it.at || s.phys != it.phys || s.stamp != it.stamp):
			return fmt.Errorf("%v: %q was acknowledged at %d, physical offset %d, time %d and is at %d, %d, %d", k, head, s.at, s.phys, s.stamp, it.at, it.phys, it.stamp)
		}
		last = n
		seen[n] = true
	}
	for nr, l := range lives {
		for n, s := range l.sent {
			if s.acked && !l.dead && s.end <= upTo && !(nr == shown && seen[n]) {
				return fmt.Errorf("%v: acknowledged message %d/%d at %d, physical offset %d, is lost; there are %d", k, nr, n, s.at, s.phys, len(items))
			}
		}
	}
	return nil
}

// deleted returns the queues whose topic is deleted and not used again. A crash may bring them back until the next checkpoint.
func (t *tally) deleted() map[queueKey]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[queueKey]bool{}
	for k, ls := range t.queues {
		last := ls[len(ls)-1]
		acked := slices.ContainsFunc(last.sent, func(s sent) bool { return s.acked })
		if last.dead || len(ls) > 1 && !acked {
			out[k] = true
		}
	}
	return out
}

// end returns the end of the last acknowledged record.
func (t *tally) end() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var end int64
	for _, ls := range t.queues {
		for _, l := range ls {
			for _, s := range l.sent {
				if s.acked {
					end = max(end, s.end)
				}
			}
		}
	}
	return end
}
