// Package stats counts what goes through the broker: messages and bytes put into topics and given to
// groups, over the windows that VIEW_BROKER_STATS_DATA shows, the rates and totals of
// GET_BROKER_RUNTIME_INFO, and how long puts and gets take. Java: BrokerStatsManager, StoreStatsService,
// BrokerStats.
//
// Counting is a few atomic adds on a Counter that the caller gets once, or finds by name each time: both
// take no lock and allocate nothing but a name's first counter. Everything else happens once a second on
// the one goroutine the package owns: it samples the counters for rates each second, for the windows of
// a minute, an hour and a day every 10 s, 10 min and 1 h.
//
// Nothing is stored; all starts at zero with the process, as with Java.
//
// Lock order: Stats.mu is a leaf but for strmap's; Options.Now and Options.IsSystem run under none.
package stats

import (
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
)

// Options are what Stats need.
type Options struct {
	// ClusterName is the key of the statistics of the whole broker (brokerClusterName).
	ClusterName string
	// IsSystem reports the broker's own topics, which the totals of a day leave out; nil: none is.
	IsSystem func(topic string) bool
	// FoldLMQ counts all light queues as one topic, %LMQ%, and all their groups as one group of that name: there may be
	// any number of them. Java: LmqBrokerStatsManager without enableLmqStats.
	FoldLMQ bool
	// Now is the clock; nil: time.Now. Days begin at midnight of its location.
	Now func() time.Time
}

// Stats are the counters of a broker. All methods are safe for concurrent use, and none keeps a string it
// is called with.
type Stats struct {
	o      Options
	boot   time.Time
	topics *strmap.Map[topic]
	// put and get are the whole broker's: of users' topics and of the broker's own.
	put, get [2]flow
	misses   padded
	putTimes timing
	created  creations

	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex // guards what follows and all windows
	clocks  [3]clock   // by window
	broker  [4]windows // by brokerName
	seconds seconds
	day     day
}

// Indexes of Stats.put and Stats.get.
const (
	users = iota
	system
)

// Open starts counting; Close ends the goroutine.
func Open(o Options) *Stats {
	s := newStats(o)
	go s.run()
	return s
}

func newStats(o Options) *Stats {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.IsSystem == nil {
		o.IsSystem = func(string) bool { return false }
	}
	s := &Stats{o: o, boot: o.Now(), topics: strmap.New[topic](6), created: newCreations(), stop: make(chan struct{}), done: make(chan struct{})}
	s.clocks = newClocks(s.boot)
	s.seconds.take(s.boot, s.totals())
	s.day.next = nextMorning(s.boot)
	s.putTimes.turned = s.boot
	return s
}

// Close ends the goroutine. What was counted stays readable. Calling it again is harmless.
func (s *Stats) Close() {
	s.once.Do(func() { close(s.stop) })
	<-s.done
}

// Boot returns when counting began.
func (s *Stats) Boot() time.Time { return s.boot }

func (s *Stats) run() {
	defer close(s.done)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.sample(s.o.Now())
		}
	}
}

// sample does what is due at now.
func (s *Stats) sample(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seconds.take(now, s.totals())
	if !now.Before(s.day.next) {
		s.day.turn(s.putUsers(), s.getUsers())
		s.day.next = nextMorning(now)
	}
	s.putTimes.turn(now)
	for w := range s.clocks {
		if s.clocks[w].tick(now) {
			s.window(w)
		}
	}
}

// window samples every counter for one window; the caller holds s.mu.
func (s *Stats) window(w int) {
	c := &s.clocks[w]
	for i := range s.broker {
		s.broker[i].take(w, c, sample{nums: s.brokerNums(i)})
	}
	s.topics.Range(func(_ string, t *topic) bool {
		t.put.window(w, c)
		t.groups.Range(func(_ string, g *group) bool {
			g.get.window(w, c)
			g.back.window(w, c)
			return true
		})
		return true
	})
}

func nextMorning(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location())
}
