// Package trace writes what becomes of messages to the trace topic, in the form of Java's default trace dispatcher,
// so that mqadmin's queryMsgTraceById and the dashboard show it.
package trace

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/remoting/message"
)

// Topic is where traces go unless another topic is given. Java: TopicValidator.RMQ_SYS_TRACE_TOPIC.
const Topic = "RMQ_SYS_TRACE_TOPIC"

// Java: AsyncTraceDispatcher.
const (
	batch      = 20
	maxWaiting = 2048
	maxSize    = 128000 // bytes of one trace message
	interval   = 5 * time.Second
	sendLimit  = 5 * time.Second
	groupName  = "_INNER_TRACE_PRODUCER-"
)

// Dispatcher gathers traces and sends them. A nil one drops them.
type Dispatcher struct {
	inst    *instance.Instance
	topic   string
	group   string
	log     zerolog.Logger
	entries chan entry
	wg      sync.WaitGroup

	mu     sync.RWMutex
	closed bool
}

// Open starts a dispatcher; topic empty: Topic.
func Open(inst *instance.Instance, group, topic string, log zerolog.Logger) *Dispatcher {
	if topic == "" {
		topic = Topic
	}
	d := &Dispatcher{inst: inst, topic: topic, group: groupName + group, log: log, entries: make(chan entry, maxWaiting)}
	d.wg.Go(d.run)
	return d
}

// Close sends what has gathered and waits for it. What comes later is dropped.
func (d *Dispatcher) Close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.entries)
	}
	d.mu.Unlock()
	d.wg.Wait()
}

// Skips tells whether messages of a topic have no trace: nil has none, and traces themselves.
func (d *Dispatcher) Skips(topic string) bool { return d == nil || strings.HasPrefix(topic, d.topic) }

// Sent takes the trace of a send.
func (d *Dispatcher) Sent(s *Sending) { d.add(s.entry()) }

// Ended takes the trace of the end of a transaction.
func (d *Dispatcher) Ended(e *Ending) { d.add(e.entry()) }

// Begin takes the trace of messages that a listener is about to be given and returns what to call when it has
// returned. Messages whose broker wants no trace have none.
func (d *Dispatcher) Begin(group string, messages []*client.MessageExt) (done func(result int)) {
	if d == nil {
		return func(int) {}
	}
	traced := make([]*client.MessageExt, 0, len(messages))
	for _, m := range messages {
		if m.Property(message.PropertyTraceOn) != "false" && !d.Skips(m.Topic) {
			traced = append(traced, m)
		}
	}
	if len(traced) == 0 {
		return func(int) {}
	}
	begin := time.Now()
	c := &Consuming{Time: begin.UnixMilli(), Region: traced[0].Property(message.PropertyMsgRegion), Group: group, RequestID: d.inst.NewID(), Messages: traced}
	d.add(c.begun())
	return func(result int) {
		now := time.Now()
		d.add(c.done(now.UnixMilli(), now.Sub(begin).Milliseconds(), result))
	}
}

// add never waits: without room the trace is lost, as Java's is.
func (d *Dispatcher) add(e entry) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return
	}
	select {
	case d.entries <- e:
	default:
		d.log.Debug().Msg("a trace is lost: too many wait")
	}
}

func (d *Dispatcher) run() {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var waiting []entry
	for {
		select {
		case e, ok := <-d.entries:
			if !ok {
				d.send(waiting)
				return
			}
			if waiting = append(waiting, e); len(waiting) < batch {
				continue
			}
		case <-tick.C:
		}
		d.send(waiting)
		waiting = waiting[:0]
	}
}

// send writes a message for the traces of each topic.
func (d *Dispatcher) send(list []entry) {
	for len(list) > 0 {
		topic := list[0].topic
		var text strings.Builder
		var keys []string
		var others []entry
		for _, e := range list {
			if e.topic != topic || text.Len() >= maxSize {
				others = append(others, e)
				continue
			}
			text.WriteString(e.data)
			keys = append(keys, e.keys...)
		}
		slices.Sort(keys)
		d.publish(text.String(), slices.Compact(keys))
		list = others
	}
}

func (d *Dispatcher) publish(text string, keys []string) {
	ctx, cancel := context.WithTimeout(context.Background(), sendLimit)
	defer cancel()
	m := &client.Message{Topic: d.topic, Body: []byte(text), Keys: keys}
	id := d.inst.NewID()
	properties, err := records.Properties(m, id)
	if err == nil {
		_, err = d.inst.Publish(ctx, &instance.Outgoing{Group: d.group, Topic: d.topic, ID: id, Properties: properties, Body: m.Body}, 2, false)
	}
	if err != nil {
		d.log.Warn().Err(err).Msg("cannot send traces")
	}
}
