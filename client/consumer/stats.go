package consumer

import (
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// How a rate is taken: over the last statSpan snapshots of statInterval.
const (
	statInterval = 10 * time.Second
	statSpan     = 7
	statHour     = 360
)

// stats counts what is consumed of each topic.
type stats struct {
	mu     sync.Mutex
	topics map[string]*topicStats
}

type counts struct {
	pulls, pulledMessages, ok, failed int64
	pullTime, consumeTime             time.Duration
	calls                             int64
}

type topicStats struct {
	mu   sync.Mutex
	now  counts
	last []counts // the snapshots of an hour, newest last
}

func (s *stats) of(topic string) *topicStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics == nil {
		s.topics = map[string]*topicStats{}
	}
	t := s.topics[topic]
	if t == nil {
		t = &topicStats{last: []counts{{}}}
		s.topics[topic] = t
	}
	return t
}

func (t *topicStats) pulled(n int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.pulls++
	t.now.pulledMessages += int64(n)
	t.now.pullTime += took
}

func (t *topicStats) consumed(ok, failed int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.calls++
	t.now.ok += int64(ok)
	t.now.failed += int64(failed)
	t.now.consumeTime += took
}

// snap is called at each statInterval.
func (s *stats) snap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.topics {
		t.mu.Lock()
		if t.last = append(t.last, t.now); len(t.last) > statHour {
			t.last = t.last[1:]
		}
		t.mu.Unlock()
	}
}

// status returns the rates of the last minute by topic.
func (s *stats) status() map[string]body.ConsumeStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]body.ConsumeStatus{}
	for topic, t := range s.topics {
		out[topic] = t.status()
	}
	return out
}

func (t *topicStats) status() body.ConsumeStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.last[max(0, len(t.last)-statSpan)]
	span := float64(min(len(t.last), statSpan)) * statInterval.Seconds()
	mean := func(total time.Duration, n int64) float64 {
		if n == 0 {
			return 0
		}
		return float64(total.Milliseconds()) / float64(n)
	}
	return body.ConsumeStatus{
		PullTPS: float64(t.now.pulledMessages-before.pulledMessages) / span, PullRT: mean(t.now.pullTime-before.pullTime, t.now.pulls-before.pulls),
		ConsumeOKTPS: float64(t.now.ok-before.ok) / span, ConsumeFailedTPS: float64(t.now.failed-before.failed) / span,
		ConsumeRT: mean(t.now.consumeTime-before.consumeTime, t.now.calls-before.calls), ConsumeFailedMsgs: t.now.failed - t.last[0].failed,
	}
}
