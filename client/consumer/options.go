package consumer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// ErrClosed means that the consumer is closed.
var ErrClosed = errors.New("the consumer is closed")

// Subscription is what a group wants of a topic. All consumers of a group must have the same subscriptions.
type Subscription struct {
	Topic string
	// Expression selects messages by tag, as "a || b"; empty or "*": all.
	Expression string
	// SQL says that Expression is of SQL92, over the messages' properties: "price > 10 AND region = 'hz'".
	SQL bool
}

// From says where a queue begins that a group has no offset of.
type From = body.ConsumeFromWhere

// The values of From.
const (
	FromLast      = body.ConsumeFromLastOffset
	FromFirst     = body.ConsumeFromFirstOffset
	FromTimestamp = body.ConsumeFromTimestamp
)

// Options are what push and pull consumers have in common. Zero values take the defaults named.
type Options struct {
	client.Options
	// Group is the name of the consumer group, whose consumers share its messages. Required.
	Group         string
	Subscriptions []Subscription
	// Broadcasting has each consumer get all messages. Offsets are kept on this machine, in OffsetDir, and what a
	// listener fails on does not come again.
	Broadcasting bool
	// OffsetDir is where offsets of broadcasts are; empty: .rocketmq_offsets in the user's home folder. Java's client
	// keeps its there too, in the same form. Java: rocketmq.client.localOffsetStoreDir.
	OffsetDir string
	// From says where a queue begins that the group has no offset of; empty: FromLast. Brokers that hold a queue
	// from its first message on give a new group offset 0 whatever From says.
	From From
	// FromTime is the time of FromTimestamp; zero: half an hour ago.
	FromTime time.Time
	// PullBatch is how many messages one pull brings at most; 0: 32. Brokers have limits of their own.
	// Java: pullBatchSize.
	PullBatch int
	// MaxCached and MaxCachedBytes are how many messages of a queue may wait for their listener before no more are
	// pulled; 0: 1000 and 100 MiB. Java: pullThresholdForQueue, pullThresholdSizeForQueue.
	MaxCached      int
	MaxCachedBytes int64
	// MaxSpan is how far apart the offsets of a queue's first and last message in hand may be, but in order; 0: 2000.
	// Java: consumeConcurrentlyMaxSpan.
	MaxSpan int64
	// CommitInterval is how often offsets are stored; 0: 5 s. Java: persistConsumerOffsetInterval.
	CommitInterval time.Duration
	// RebalanceInterval is how often queues are shared out anew, beside when consumers come and go; 0: 20 s.
	// Java: rocketmq.client.rebalance.waitInterval.
	RebalanceInterval time.Duration
	// Trace has what becomes of messages written to TraceTopic; empty: RMQ_SYS_TRACE_TOPIC.
	Trace      bool
	TraceTopic string
}

func (o *Options) prepare() error {
	o.Options = o.Options.WithDefaults()
	if o.Group == "" {
		return errors.New("no consumer group is given")
	}
	if o.From == "" {
		o.From = FromLast
	}
	if o.FromTime.IsZero() {
		o.FromTime = time.Now().Add(-30 * time.Minute)
	}
	o.Subscriptions = slices.Clone(o.Subscriptions)
	for _, s := range o.Subscriptions {
		if err := records.CheckTopic(s.Topic); err != nil {
			return err
		}
	}
	for v, d := range map[*int]int{&o.PullBatch: 32, &o.MaxCached: 1000} {
		if *v <= 0 {
			*v = d
		}
	}
	for v, d := range map[*int64]int64{&o.MaxCachedBytes: 100 << 20, &o.MaxSpan: 2000} {
		if *v <= 0 {
			*v = d
		}
	}
	for v, d := range map[*time.Duration]time.Duration{&o.CommitInterval: 5 * time.Second, &o.RebalanceInterval: 20 * time.Second} {
		if *v <= 0 {
			*v = d
		}
	}
	if !o.Broadcasting {
		return nil
	}
	if o.Instance == "" {
		o.Instance = instance.DefaultInstance
	}
	if o.OffsetDir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("cannot find where to keep offsets: %w", err)
		}
		o.OffsetDir = filepath.Join(home, ".rocketmq_offsets")
	}
	return nil
}

// Listener consumes messages of one queue, up to PushOptions.Batch of them. nil means that all are consumed. With an
// error they come again: after a while that grows each time, from 10 s on (Java: RECONSUME_LATER), or, in order,
// at once after PushOptions.Suspend, nothing else of their queue before them. *Retry says more; a panic counts as an
// error. ctx ends when the consumer is closed and has waited long enough.
type Listener func(ctx context.Context, messages []*client.MessageExt) error

// Retry is a listener's error that says which messages are to come again, and when.
type Retry struct {
	// From is the index of the first message that is to come again; those before it are consumed. Not in order.
	From int
	// Level is the delay level after which they come; 0: one that grows each time; below 0: never, they go to the dead
	// letter queue. Not in order. Java: ConsumeConcurrentlyContext.delayLevelWhenNextConsume.
	Level int
	// Suspend is the pause in order; 0: PushOptions.Suspend. Java: suspendCurrentQueueTimeMillis.
	Suspend time.Duration
	// Err is the reason.
	Err error
}

// Error returns the reason.
func (r *Retry) Error() string {
	if r.Err == nil {
		return "the messages are to come again"
	}
	return r.Err.Error()
}

// Unwrap returns Err.
func (r *Retry) Unwrap() error { return r.Err }

// subscription returns s as heartbeats have it. Java: FilterAPI.
func (s Subscription) subscription(version int64) body.SubscriptionData {
	d := body.SubscriptionData{Topic: s.Topic, SubString: s.Expression, ExpressionType: "TAG", SubVersion: body.Int(version)}
	if s.SQL {
		d.ExpressionType = "SQL92"
		return d
	}
	if s.Expression == "" || s.Expression == body.SubAll {
		d.SubString = body.SubAll
		return d
	}
	for tag := range strings.SplitSeq(s.Expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(d.TagsSet, tag) {
			d.TagsSet = append(d.TagsSet, tag)
			d.CodeSet = append(d.CodeSet, message.HashCode(tag))
		}
	}
	return d
}
