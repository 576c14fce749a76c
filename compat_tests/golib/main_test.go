// Package golib_test runs our Go client library against our NameServer and broker or, with COMPAT_PEER=java, against
// Java's, and beside Java's client.
package golib_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/client/consumer"
	"github.com/skylarkmq/skylark/client/producer"
	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// limit bounds one wait.
const limit = 90 * time.Second

var pool = cluster.NewPool()

func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }

// shared returns the cluster of most tests: delays and transactions are short, and all that is off by default is on.
func shared(t *testing.T) *cluster.Cluster {
	t.Helper()
	t.Parallel()
	return pool.Cluster(t, "shared", "messageDelayLevel=1s 2s 3s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s", "traceTopicEnable=true", "enablePropertyFilter=true",
		"recallMessageEnable=true", "useServerSideResetOffset=false", "transactionTimeOut=2000", "transactionCheckInterval=1000", "transactionOpBatchInterval=200", "transactionMetricFlushInterval=500", "flushConsumerOffsetInterval=1000")
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func options(t *testing.T, c *cluster.Cluster) client.Options {
	t.Helper()
	return client.Options{Namesrv: []string{c.Addr()}, Timeout: 20 * time.Second, RouteInterval: time.Second,
		Logger: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel).With().Timestamp().Logger()}
}

func name(t *testing.T, what string) string {
	return strings.NewReplacer("/", "-", "#", "-").Replace(t.Name()) + "-" + what
}

func topic(t *testing.T, c *cluster.Cluster, queues int) string {
	t.Helper()
	topic := name(t, "topic")
	c.Broker.CreateTopic(t, topic, queues)
	return topic
}

func newProducer(t *testing.T, c *cluster.Cluster, edit func(o *producer.Options)) *producer.Producer {
	t.Helper()
	o := producer.Options{Options: options(t, c), Group: name(t, "producers")}
	if edit != nil {
		edit(&o)
	}
	p, err := producer.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

// inbox is what a consumer's listener has been given.
type inbox struct {
	mu   sync.Mutex
	list []*client.MessageExt
	came chan struct{} // holds a token when something has come
}

func newInbox() *inbox { return &inbox{came: make(chan struct{}, 1)} }

func (b *inbox) add(messages ...*client.MessageExt) {
	b.mu.Lock()
	b.list = append(b.list, messages...)
	b.mu.Unlock()
	select {
	case b.came <- struct{}{}:
	default:
	}
}

func (b *inbox) all() []*client.MessageExt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*client.MessageExt(nil), b.list...)
}

// await waits until ok accepts what has come, and returns it.
func (b *inbox) await(t *testing.T, ok func(list []*client.MessageExt) bool) []*client.MessageExt {
	t.Helper()
	timeout := time.After(limit)
	for {
		if list := b.all(); ok(list) {
			return list
		}
		select {
		case <-b.came:
		case <-timeout:
			require.FailNow(t, "messages did not come", "have %v", texts(b.all()))
		}
	}
}

func (b *inbox) count(t *testing.T, n int) []*client.MessageExt {
	t.Helper()
	return b.await(t, func(list []*client.MessageExt) bool { return len(list) >= n })
}

func texts(list []*client.MessageExt) []string {
	out := []string{}
	for _, m := range list {
		out = append(out, fmt.Sprintf("%.40s", m.Body))
	}
	return out
}

// newPush starts a consumer of a topic from its first message.
func newPush(t *testing.T, c *cluster.Cluster, topic string, listener consumer.Listener, edit func(o *consumer.PushOptions)) *consumer.Push {
	t.Helper()
	o := consumer.PushOptions{Options: consumer.Options{Options: options(t, c), Group: name(t, "group"), From: consumer.FromFirst,
		Subscriptions: []consumer.Subscription{{Topic: topic}}, RebalanceInterval: 2 * time.Second, CommitInterval: time.Second}, Listener: listener}
	if edit != nil {
		edit(&o)
	}
	p, err := consumer.NewPush(within(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

func newAdmin(t *testing.T, c *cluster.Cluster) *admin.Client {
	t.Helper()
	a := admin.New(admin.Options{Namesrv: []string{c.Addr()}, Timeout: 20 * time.Second})
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a
}

// eventually polls what no event tells of.
func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, limit, 100*time.Millisecond, what)
}

func text(prefix string, i int) []byte { return []byte(fmt.Sprintf("%s-%d", prefix, i)) }
