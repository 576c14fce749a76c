package metrics

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/internal/conntest"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
)

// world is what a Native gathers from, without a broker.
type world struct {
	t *testing.T
	Options
	clock time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: time.Now()}
	dir, log := t.TempDir(), zerolog.Nop()
	so := store.DefaultOptions()
	so.StorePathRootDir, so.Logger, so.MappedFileSizeCommitLog, so.MappedFileSizeConsumeQueue = dir, log, 1<<20, 2000
	so.MessageIndexEnable = false
	so.DiskUsage = func(string) (fsys.Disk, error) { return fsys.Disk{Total: 2, Free: 2, Usable: 2}, nil }
	w.Options = Options{Keys: DefaultKeys(), Logger: log, Cluster: "c", BrokerName: "b", Permission: func() int32 { return 6 },
		Latencies: func() []mux.Latency { return nil }, HalfMessages: func() map[string]int64 { return nil }, Pop: func(time.Time) Pop { return Pop{} },
		Now: func() time.Time { w.clock = w.clock.Add(time.Millisecond); return w.clock }}
	var err error
	w.Store, err = store.Open(so)
	require.NoError(t, err)
	w.Topics, err = topic.Open(topic.Options{Path: filepath.Join(dir, "topics.json"), Logger: log, BrokerName: "b", ClusterName: "c"})
	require.NoError(t, err)
	w.Groups, err = group.Open(group.Options{Path: filepath.Join(dir, "groups.json"), Logger: log})
	require.NoError(t, err)
	w.Offsets, err = offset.Open(offset.Options{Path: filepath.Join(dir, "offsets.json"), Logger: log})
	require.NoError(t, err)
	w.Sessions = session.Open(session.Options{Logger: log})
	w.Stats = stats.Open(stats.Options{})
	t.Cleanup(func() {
		w.Stats.Close()
		w.Sessions.Close()
		require.NoError(t, w.Topics.Close())
		require.NoError(t, w.Groups.Close())
		require.NoError(t, w.Store.Close())
	})
	return w
}

// put stores n messages in queue 0 of a topic.
func (w *world) put(name string, n int) {
	done := make(chan error, 1)
	g := &store.Group{Owner: owner(done)}
	for range n {
		m := message.Message{Topic: name, Body: []byte("x")}
		from := len(g.Buf)
		var err error
		g.Buf, err = message.AppendRecord(g.Buf, &m, "")
		require.NoError(w.t, err)
		g.Recs = append(g.Recs, store.Rec{Queue: w.Store.Queue(name, 0), Size: int32(len(g.Buf) - from)})
	}
	require.NoError(w.t, w.Store.Submit(g))
	require.NoError(w.t, <-done)
}

type owner chan error

// Appended implements store.Owner.
func (o owner) Appended(_ *store.Group, err error) { o <- err }

func family(list []Family, in instrument) *Family {
	for i := range list {
		if list[i].Name == in.name {
			return &list[i]
		}
	}
	return nil
}

// TestManyTopicsAndGroups gathers from a broker with 10000 of each: what it reads is bounded, and who asks meanwhile gets
// what there is.
func TestManyTopicsAndGroups(t *testing.T) {
	const many = 10_000
	w := newWorld(t)
	topics, groups := make([]*body.TopicConfig, many), make([]*body.SubscriptionGroupConfig, many)
	for i := range many {
		topics[i] = &body.TopicConfig{TopicName: fmt.Sprint("T", i), ReadQueueNums: 8, WriteQueueNums: 8, Perm: 6, TopicFilterType: body.SingleTag}
		groups[i] = &body.SubscriptionGroupConfig{GroupName: fmt.Sprint("G", i), ConsumeEnable: true}
	}
	_, err := w.Topics.Update(topics...)
	require.NoError(t, err)
	require.NoError(t, w.Groups.Update(groups...))
	w.put("T0", 2)
	c := conntest.New(1)
	subscription := []body.SubscriptionData{{Topic: "T0", SubString: "*", ExpressionType: "TAG"}}
	for i := range many {
		w.Sessions.RegisterConsumer(session.Client{Conn: c, ID: "c"}, &body.ConsumerData{GroupName: fmt.Sprint("G", i), ConsumeType: body.ConsumePassively,
			SubscriptionDataSet: subscription}, session.Heartbeat{})
		w.Offsets.Commit("c", fmt.Sprint("G", i), "T0", 0, 0)
		w.Offsets.CommitPull(fmt.Sprint("G", i), "T0", 0, 1)
		in := stats.Received{}
		in.Add(1, 100)
		w.Stats.Receive(fmt.Sprint("T", i), &in)
		w.Stats.Pull(fmt.Sprint("G", i), fmt.Sprint("T", i), 1, 100)
	}
	n := New(w.Options)
	began := time.Now()
	first := n.Gather()
	t.Logf("%d topics and groups: gathered in %v", many, time.Since(began))
	for _, in := range []instrument{messagesIn, messagesOut, messageSize, lagMessages, ready, consumers} {
		require.Len(t, family(first, in).Points, many, in.name)
	}
	require.GreaterOrEqual(t, n.lag.times, 0)
	require.Len(t, n.lag.new, 2*many, "of each group, where it has consumed and pulled to")
	require.Len(t, family(first, lagLatency).Points, many)
	require.Equal(t, &first[0], &n.Gather()[0], "nothing is gathered anew so soon")

	// The second time what stands where it stood need not be read again.
	n.lag.times = 0
	w.clock = w.clock.Add(time.Hour)
	second := n.Gather()
	require.NotEqual(t, &first[0], &second[0])
	require.Equal(t, maxTimes, n.lag.times)
	require.Len(t, family(second, lagLatency).Points, many)
}

// TestBudgetOfTimes leaves the latency of groups out that would need more reads than there may be.
func TestBudgetOfTimes(t *testing.T) {
	w := newWorld(t)
	_, err := w.Topics.Update(&body.TopicConfig{TopicName: "T", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6, TopicFilterType: body.SingleTag})
	require.NoError(t, err)
	w.put("T", 2)
	n := New(w.Options)
	g := gathering{Native: n, now: w.clock, by: map[string]*Family{}}
	n.lag.new, n.lag.times = map[lagKey]known{}, 3 // each group takes two: consumed, and pulled to
	for _, name := range []string{"G1", "G2"} {
		w.Offsets.Commit("c", name, "T", 0, 0)
		g.progress(name, "T", false, w.Topics.Get("T"), nil, false)
	}
	require.Len(t, g.by[lagMessages.name].Points, 2)
	require.Len(t, g.by[lagLatency.name].Points, 1)
	require.Equal(t, "G1", g.by[lagLatency.name].Points[0].Labels[0].Value)
}

func TestCardinalityLimit(t *testing.T) {
	point := func(name string, v float64, counts ...uint64) Point {
		p := Point{Labels: []Label{{"topic", name}}, Value: v}
		if counts != nil {
			p.Histogram = &Histogram{Bounds: []float64{1}, Counts: counts, Sum: v}
		}
		return p
	}
	rest := []Label{{Overflow, "true"}}
	f := Family{Kind: Counter, Points: []Point{point("c", 4), point("a", 1), point("b", 2)}}
	f.bound(3)
	require.Len(t, f.Points, 3)
	f.bound(2)
	require.Equal(t, []Point{point("a", 1), {Labels: rest, Value: 6}}, f.Points)
	f = Family{Kind: Distribution, Points: []Point{point("c", 4, 1, 2), point("a", 1, 1, 0), point("b", 2, 3, 4)}}
	f.bound(2)
	require.Equal(t, &Histogram{Bounds: []float64{1}, Counts: []uint64{4, 6}, Sum: 6}, f.Points[1].Histogram)
	f = Family{Kind: Gauge, Points: []Point{point("b", 2), point("a", 1)}}
	f.bound(1)
	require.Empty(t, f.Points)
}

func TestLabels(t *testing.T) {
	n := New(Options{Keys: Keys{MetricsLabel: "rack:r1,bad,node_id:other,zone:a", MetricsInDelta: true}, Cluster: "c", BrokerName: "b"})
	require.Equal(t, []Label{{"aggregation", "delta"}, {"cluster", "c"}, {"node_id", "b"}, {"node_type", "broker"}, {"rack", "r1"}, {"zone", "a"}}, n.Common())
}
