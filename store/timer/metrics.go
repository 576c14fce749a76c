package timer

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/store/fsys"
)

// metrics counts the messages that wait, by their real topic: config/timermetrics. Java: TimerMetrics.
type metrics struct {
	path string // "": nothing is kept

	mu    sync.Mutex
	file  metricsFile
	dirty bool
}

type metricsFile struct {
	DataVersion dataVersion        `json:"dataVersion"`
	TimingCount map[string]*metric `json:"timingCount"`
}

type dataVersion struct {
	Counter      int64 `json:"counter"`
	StateVersion int64 `json:"stateVersion"`
	Timestamp    int64 `json:"timestamp"`
}

type metric struct {
	Count     int64 `json:"count"`
	TimeStamp int64 `json:"timeStamp"` // ms, of the last change
}

func (m *metrics) load(path string, log zerolog.Logger) error {
	m.path = path
	if path != "" {
		if _, err := fsys.ReadConfig(path, log, func(b []byte) error {
			m.file = metricsFile{}
			return json.Unmarshal(b, &m.file)
		}); err != nil {
			return fmt.Errorf("cannot load the timer metrics: %w", err)
		}
	}
	if m.file.TimingCount == nil {
		m.file.TimingCount = map[string]*metric{}
	}
	for topic, x := range m.file.TimingCount {
		if x == nil {
			delete(m.file.TimingCount, topic)
		}
	}
	return nil
}

func (m *metrics) add(topic string, n, now int64) {
	if topic == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.file.TimingCount[topic]
	if x == nil {
		x = &metric{}
		m.file.TimingCount[strings.Clone(topic)] = x
	}
	x.Count += n
	x.TimeStamp = now
	m.file.DataVersion.Counter++
	m.file.DataVersion.Timestamp = now
	m.dirty = true
}

func (m *metrics) json() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := json.Marshal(&m.file)
	if err != nil {
		panic("BUG: numbers and strings have a JSON form: " + err.Error())
	}
	return b
}

// persist writes the file if something changed.
func (m *metrics) persist() error {
	m.mu.Lock()
	dirty := m.dirty && m.path != ""
	m.dirty = false
	m.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := fsys.WriteConfig(m.path, m.json()); err != nil {
		m.mu.Lock()
		m.dirty = true
		m.mu.Unlock()
		return fmt.Errorf("cannot write the timer metrics: %w", err)
	}
	return nil
}

// rate counts events.
type rate struct {
	mu    sync.Mutex
	n     int64
	since time.Time
	last  float64
}

func (r *rate) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n += int64(n)
}

// measure begins the next span; per says what the one before was.
func (r *rate) measure(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if span := now.Sub(r.since).Seconds(); span > 0 && !r.since.IsZero() {
		r.last = float64(r.n) / span
	}
	r.n, r.since = 0, now
}

func (r *rate) per() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Waiting returns how many messages of each topic wait, as far as is known.
func (t *Timer) Waiting() map[string]int64 {
	m := &t.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]int64, len(m.file.TimingCount))
	for topic, x := range m.file.TimingCount {
		out[topic] = x.Count
	}
	return out
}

// Due returns how many messages wait in the slots from a time on, for so long. It looks at each slot.
func (t *Timer) Due(from time.Time, span time.Duration) int64 {
	n, at := int64(0), t.floor(from.UnixMilli())
	for end := at + span.Milliseconds(); at < end; at += t.o.Precision {
		n += t.w.Num(at)
	}
	return n
}

// enteredLate is for how long the message that was taken from Topic last tells how late messages are. Java:
// TimerMessageStore.getEnqueueBehindMillis, 2000 ms.
const enteredLate = 2000

// Stats are figures of a timer at one moment.
type Stats struct {
	ReadBehind   time.Duration // since the slot that is due next
	EnqueueLate  time.Duration // since the message was stored that was entered last, 0 when that is a while ago
	Offset       int64         // queue offset in Topic of the first message that is not entered
	OffsetBehind int64         // messages in Topic that are not entered
	Pending      int64         // messages in the wheel
	// EnqueueTPS and DequeueTPS are messages per second in the last span between two checkpoints.
	EnqueueTPS, DequeueTPS float64
}

// Stats returns the figures of now.
func (t *Timer) Stats() Stats {
	s := Stats{ReadBehind: max(0, time.Duration(t.o.Now().UnixMilli()-t.read.Load())*time.Millisecond), Pending: t.w.All(),
		EnqueueTPS: t.enqueued.per(), DequeueTPS: t.delivered.per()}
	if now := t.o.Now().UnixMilli(); now-t.entered.Load() < enteredLate {
		s.EnqueueLate = max(0, time.Duration(now-t.enteredStored.Load())*time.Millisecond)
	}
	if q := t.queue(); q != nil {
		s.Offset = t.offset.Load()
		s.OffsetBehind = max(0, q.Max()-s.Offset)
	}
	return s
}

// Num returns the number of messages that wait in the slot of a time, ms. It never waits for a disk.
func (t *Timer) Num(at int64) int64 { return t.w.Num(at) }

// Checkpoint returns the body of GET_TIMER_CHECK_POINT. Java: TimerCheckpoint.encode.
func (t *Timer) Checkpoint() []byte { return t.w.Checkpoint().Append(nil) }

// Metrics returns the body of GET_TIMER_METRICS. Java: TimerMetrics.encode.
func (t *Timer) Metrics() []byte { return t.metrics.json() }

// ForgetTopic drops the count of a deleted topic.
func (t *Timer) ForgetTopic(topic string) {
	t.metrics.mu.Lock()
	defer t.metrics.mu.Unlock()
	delete(t.metrics.file.TimingCount, topic)
	t.metrics.dirty = true
}
