package statictopic

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func item(broker string, queue, gen int32, logic int64) body.LogicQueueMappingItem {
	return body.LogicQueueMappingItem{Bname: broker, QueueID: queue, Gen: gen, LogicOffset: logic, EndOffset: -1, TimeOfEnd: -1, TimeOfStart: -1}
}

// known returns what brokers of a topic of two queues know.
func known(hosted map[string]body.IntMap[[]body.LogicQueueMappingItem]) Configs {
	c := Configs{}
	for broker, queues := range hosted {
		t := empty("T", broker)
		t.ReadQueueNums, t.WriteQueueNums = 4, 4
		t.MappingDetail.HostedQueues, t.MappingDetail.TotalQueues = queues, 2
		c[broker] = t
	}
	return c
}

// TestOldListsOfQueuesAreLeftAlone moves one queue off a broker that still has the list of another one as it was when
// that left, without the offset that was decided later. The other one's leader keeps it. Java's tool takes it for one
// that moves, and gives it a second leader.
func TestOldListsOfQueuesAreLeftAlone(t *testing.T) {
	row := []body.LogicQueueMappingItem{item("p", 0, 0, 0), item("q", 0, 1, 10000), item("r", 0, 2, 20000)}
	configs := known(map[string]body.IntMap[[]body.LogicQueueMappingItem]{
		"p": {0: {item("p", 0, 0, 0), item("q", 0, 1, -1)}, 1: {item("p", 1, 0, 0)}},
		"q": {0: row},
		"r": {0: row},
	})
	p, err := Remap("T", []string{"q", "r"}, configs, time.Now())
	require.NoError(t, err)
	require.Equal(t, []string{"p"}, p.BrokerToMapOut)
	cluster, err := Open(t.Context(), &brokers{})
	require.NoError(t, err)
	require.NoError(t, cluster.Apply(t.Context(), p, false))
	queues, err := inspect("T", p.BrokerConfigMap)
	require.NoError(t, err)
	require.Equal(t, row, queues[0].items)
	require.Equal(t, []body.LogicQueueMappingItem{item("p", 1, 0, 0), item("q", 4, 1, 10000)}, queues[1].items, "3571 messages were there")
	require.Equal(t, configs["p"].MappingDetail.HostedQueues[0], p.BrokerConfigMap["p"].MappingDetail.HostedQueues[0])
}

// TestABrokenMoveIsFinishedFromItsFile breaks a move at each of its calls and applies the file that was written before
// it: the brokers end with what they have after a move that did not break.
func TestABrokenMoveIsFinishedFromItsFile(t *testing.T) {
	start, err := Create("T", 5, []string{"p"}, nil, time.Now())
	require.NoError(t, err)
	p, err := Remap("T", []string{"q", "s"}, start.BrokerConfigMap, time.Now())
	require.NoError(t, err)
	_, file, err := p.File(true)
	require.NoError(t, err)
	apply := func(b *brokers, force bool) error {
		t.Helper()
		cluster, err := Open(t.Context(), b)
		require.NoError(t, err)
		p, err := Read("T", file)
		require.NoError(t, err)
		cluster.Complete(p)
		return cluster.Apply(t.Context(), p, force)
	}
	whole := &brokers{}
	require.NoError(t, apply(whole, false))
	require.Len(t, whole.have, 5)
	for n := 1; n <= len(whole.calls); n++ {
		b := &brokers{fail: n}
		require.ErrorIs(t, apply(b, false), errBroken)
		require.Len(t, b.calls, n)
		require.NoError(t, apply(b, true))
		require.Equal(t, whole.have, b.have, "broken at call %d", n)
	}
}

// TestEndsThatAreNotKnownStopAMove: a queue goes on nowhere if the broker does not say where it ends.
func TestEndsThatAreNotKnownStopAMove(t *testing.T) {
	for _, c := range []struct {
		stats body.QueueMap[body.TopicOffset]
		says  string
	}{
		{nil, "Cannot get the max offset for old leader p queue 0"},
		{body.QueueMap[body.TopicOffset]{{Topic: "T", BrokerName: "p"}: {MaxOffset: -1}}, "The max offset is smaller"},
	} {
		p, err := Create("T", 1, []string{"p"}, nil, time.Now())
		require.NoError(t, err)
		p, err = Remap("T", []string{"q"}, p.BrokerConfigMap, time.Now())
		require.NoError(t, err)
		require.ErrorContains(t, p.decide("p", c.stats), c.says)
	}
}

// TestPlansWithoutSense are refused.
func TestPlansWithoutSense(t *testing.T) {
	_, err := Create("T", maxQueues+1, []string{"p"}, nil, time.Now())
	require.ErrorContains(t, err, "65536 queues at most")
	_, err = Create("T", 1, nil, nil, time.Now())
	require.ErrorContains(t, err, "Find none brokers")
	p, err := Create("T", 1, []string{"p"}, nil, time.Now())
	require.NoError(t, err)
	_, err = Remap("T", nil, p.BrokerConfigMap, time.Now())
	require.ErrorContains(t, err, "Find none brokers")
	_, err = Remap("T", []string{"p"}, nil, time.Now())
	require.ErrorContains(t, err, "No topic route to do the remapping")

	for i, change := range []func(p *Plan){
		nil,
		func(p *Plan) { p.BrokerToMapOut = nil }, // nobody is asked where the queue ends
		func(p *Plan) { p.BrokerToMapIn = []string{"x", "q"} },
		func(p *Plan) { p.BrokerConfigMap["q"].MappingDetail.HostedQueues[0] = nil },
		func(p *Plan) { p.BrokerConfigMap["p"] = nil },
		func(p *Plan) { p.BrokerConfigMap = nil },
	} {
		move, err := Remap("T", []string{"q"}, p.BrokerConfigMap, time.Now())
		require.NoError(t, err)
		if change != nil {
			change(move)
		}
		_, text, err := move.File(true)
		require.NoError(t, err)
		_, err = Read("T", text)
		require.Equal(t, change == nil, err == nil, "%d: %v", i, err)
	}
}

// asked are brokers of which one has the topic, and one fails or has no master.
type asked struct {
	brokers
	answer error
	slave  bool
}

func (a *asked) ClusterInfo(ctx context.Context) (*body.ClusterInfo, error) {
	info, err := a.brokers.ClusterInfo(ctx)
	if a.slave {
		info.BrokerAddrTable["s"] = body.BrokerData{BrokerName: "s", BrokerAddrs: body.IntMap[string]{1: "s:1"}}
	}
	return info, err
}

func (a *asked) TopicConfig(_ context.Context, broker, topic string) (*body.TopicConfigAndQueueMapping, error) {
	switch broker {
	case "q":
		return empty(topic, broker), nil
	case "s":
		return nil, a.answer
	}
	return nil, &protocol.Error{Code: protocol.TopicNotExist}
}

// TestAllBrokersAreAsked: those that have not the topic are left out, one that cannot be asked is an error.
func TestAllBrokersAreAsked(t *testing.T) {
	a := &asked{answer: &protocol.Error{Code: protocol.TopicNotExist}}
	cluster, err := Open(t.Context(), a)
	require.NoError(t, err)
	configs, err := cluster.Load(t.Context(), "T")
	require.NoError(t, err)
	require.Len(t, configs, 1)
	require.Contains(t, configs, "q")

	a.answer = errors.New("no route")
	_, err = cluster.Load(t.Context(), "T")
	require.ErrorContains(t, err, "cannot ask broker s for topic T: no route")

	a.slave = true
	cluster, err = Open(t.Context(), a)
	require.NoError(t, err)
	_, err = cluster.Load(t.Context(), "T")
	require.ErrorContains(t, err, "Can't find addr for broker s")
	require.ElementsMatch(t, []string{"p", "q", "r", "s", "w"}, cluster.BrokersOf("no", "C"))
}

// FuzzRead gives plans from outside: what is taken can be applied, and comes back as it was.
func FuzzRead(f *testing.F) {
	after, err := os.ReadFile("testdata/T.after")
	require.NoError(f, err)
	f.Add(after)
	text, err := os.ReadFile("testdata/cases.jsonl")
	require.NoError(f, err)
	for _, line := range strings.SplitAfterN(string(text), "\n", 12) {
		if _, plan, ok := strings.Cut(line, `"plan":"`); ok {
			plan, _, _ = strings.Cut(plan, `","targets"`)
			f.Add([]byte(strings.ReplaceAll(plan, `\"`, `"`)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Read("T", b)
		if err != nil {
			return
		}
		_, text, err := p.File(true)
		require.NoError(t, err)
		again, err := Read("T", text)
		require.NoError(t, err)
		slices.Sort(again.BrokerToMapIn)
		stats, err := (&brokers{}).TopicStats(t.Context(), "p", "T")
		require.NoError(t, err)
		for broker := range p.BrokerConfigMap {
			_ = p.decide(broker, stats.OffsetTable)
		}
	})
}
