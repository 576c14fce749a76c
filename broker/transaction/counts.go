package transaction

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/broker/internal/writebehind"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// countsFile is config/transactionMetrics. Java: TransactionMetrics.TransactionMetricsSerializeWrapper.
type countsFile struct {
	DataVersion      body.DataVersion  `json:"dataVersion"`
	TransactionCount map[string]metric `json:"transactionCount"`
}

// metric is how many half messages of a topic are not ended. Java: TransactionMetrics.Metric.
type metric struct {
	Count     int64 `json:"count"`
	TimeStamp int64 `json:"timeStamp"` // ms, of the last change
}

// counts are the half messages of each topic that are not ended, as far as is known: after a crash they may be off.
// Java: TransactionMetrics.
type counts struct {
	o       *Options
	w       *writebehind.Writer
	version body.DataVersion // the writer's

	mu     sync.RWMutex
	topics map[string]*count
}

type count struct{ n, at atomic.Int64 }

func openCounts(o *Options) *counts {
	c := &counts{o: o, topics: map[string]*count{}}
	var f countsFile
	_, err := fsys.ReadConfig(o.Path, o.Logger, func(b []byte) error {
		f = countsFile{}
		return body.Unmarshal(b, &f)
	})
	if err != nil {
		o.Logger.Warn().Err(err).Msg("cannot load the counts of half messages, beginning with none")
		f = countsFile{}
	}
	c.version = f.DataVersion
	for topic, m := range f.TransactionCount {
		one := &count{}
		one.n.Store(m.Count)
		one.at.Store(m.TimeStamp)
		c.topics[topic] = one
	}
	c.w = writebehind.Open(writebehind.Options{Delay: max(o.MetricsInterval, time.Millisecond), Write: c.write,
		Failed: func(err error) {
			o.Logger.Error().Err(err).Msg("cannot write the counts of half messages, trying again")
		}})
	return c
}

// add keeps no string; it may run on the store's append goroutine.
func (c *counts) add(topic string, n int64) {
	c.mu.RLock()
	one := c.topics[topic]
	c.mu.RUnlock()
	if one == nil {
		c.mu.Lock()
		if one = c.topics[topic]; one == nil {
			one = &count{}
			c.topics[strings.Clone(topic)] = one
		}
		c.mu.Unlock()
	}
	one.n.Add(n)
	one.at.Store(c.o.Now().UnixMilli())
	c.w.Mark()
}

// all returns the counts by topic.
func (c *counts) all() map[string]int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make(map[string]int64, len(c.topics))
	for topic, one := range c.topics {
		out[topic] = one.n.Load()
	}
	return out
}

// forget drops a topic.
func (c *counts) forget(topic string) {
	c.mu.Lock()
	delete(c.topics, topic)
	c.mu.Unlock()
	c.w.Mark()
}

func (c *counts) write() error {
	c.version.Next(c.o.Now())
	f := countsFile{DataVersion: c.version, TransactionCount: map[string]metric{}}
	c.mu.RLock()
	for topic, one := range c.topics {
		f.TransactionCount[topic] = metric{one.n.Load(), one.at.Load()}
	}
	c.mu.RUnlock()
	b, err := body.Marshal(&f)
	if err != nil {
		return err
	}
	return fsys.WriteConfig(c.o.Path, b)
}

func (c *counts) close() error { return c.w.Close() }
