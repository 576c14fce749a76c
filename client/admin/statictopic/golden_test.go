package statictopic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// golden is a line of testdata/cases.jsonl, which scripts/golden/java/StaticTopicGolden.java has written with the
// classes of Java's mqadmin.
type golden struct {
	Command        string          // create, remap, leaders
	Before         string          // a plan with the configurations before
	Targets        []string        // brokers
	Queues         int             // create: how many there shall be
	Plan           string          // the file
	Calls          []string        // remap: what the brokers are asked
	Refusal        string          // instead of a plan
	Leaders, After json.RawMessage // leaders: of each queue
}

func cases(t *testing.T, fn func(t *testing.T, g *golden)) {
	text, err := os.ReadFile("testdata/cases.jsonl")
	require.NoError(t, err)
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		g := new(golden)
		require.NoError(t, json.Unmarshal(line, g))
		t.Run(fmt.Sprintf("%s-%d", g.Command, i+1), func(t *testing.T) { fn(t, g) })
	}
}

func configs(t *testing.T, plan string) Configs {
	var p Plan
	require.NoError(t, body.Unmarshal([]byte(plan), &p))
	return p.BrokerConfigMap
}

// TestDecisionsAreJavas compares plans, calls and refusals with those of Java's tool.
func TestDecisionsAreJavas(t *testing.T) {
	cases(t, func(t *testing.T, g *golden) {
		var p *Plan
		var err error
		switch g.Command {
		case "leaders":
			compareLeaders(t, g)
			return
		case "create":
			p, err = Create("T", g.Queues, g.Targets, configs(t, g.Before), time.Now())
		case "remap":
			p, err = Remap("T", g.Targets, configs(t, g.Before), time.Now())
		}
		if g.Refusal != "" {
			// Java names the same broker twice.
			want := strings.Replace(g.Refusal, "duplicated in broker q q", "duplicated in broker q p", 1)
			require.Equal(t, strings.Fields(want), strings.Fields(fmt.Sprint(err)))
			return
		}
		require.NoError(t, err)
		if g.Command == "create" {
			sameCounts(t, g.Plan, p)
			return
		}
		samePlan(t, g.Plan, p)
		sameCalls(t, g, p)
	})
}

// samePlan compares a plan with Java's file, also by reading that.
func samePlan(t *testing.T, want string, p *Plan) {
	t.Helper()
	_, text, err := p.File(true)
	require.NoError(t, err)
	require.JSONEq(t, standard(t, want), string(text))
	read, err := Read("T", []byte(want))
	require.NoError(t, err)
	_, again, err := read.File(true)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(again))
}

// standard makes of a plan as Java writes it, with numbers as keys, common JSON.
func standard(t *testing.T, plan string) string {
	var p Plan
	require.NoError(t, body.Unmarshal([]byte(plan), &p))
	text, err := body.Marshal(p)
	require.NoError(t, err)
	return string(text)
}

// sameCounts compares a plan for new queues, which go to brokers by lot, with Java's: how many each broker leads.
func sameCounts(t *testing.T, want string, p *Plan) {
	t.Helper()
	java, err := Read("T", []byte(want))
	require.NoError(t, err)
	count := func(p *Plan) (sizes []int, total int32) {
		for _, c := range p.BrokerConfigMap {
			sizes = append(sizes, len(c.MappingDetail.HostedQueues))
			require.EqualValues(t, len(c.MappingDetail.HostedQueues), c.WriteQueueNums)
			require.Equal(t, c.ReadQueueNums, c.WriteQueueNums)
			require.Equal(t, p.Epoch, c.MappingDetail.Epoch)
			total = c.MappingDetail.TotalQueues
		}
		slices.Sort(sizes)
		return sizes, total
	}
	wantSizes, wantTotal := count(java)
	sizes, total := count(p)
	require.Equal(t, wantSizes, sizes)
	require.Equal(t, wantTotal, total)
	require.Equal(t, CreateOrUpdate, p.Type)
}

// compareLeaders compares who leads what after a move.
func compareLeaders(t *testing.T, g *golden) {
	var before, after []string
	require.NoError(t, json.Unmarshal(g.Leaders, &before))
	require.NoError(t, json.Unmarshal(g.After, &after))
	start := &Plan{Topic: "T", BrokerConfigMap: Configs{}, Epoch: 1}
	for id, broker := range before {
		start.host(int64(id), broker, nil)
	}
	start.seal()
	p, err := Remap("T", g.Targets, start.BrokerConfigMap, time.Now())
	require.NoError(t, err)
	queues, err := inspect("T", p.BrokerConfigMap)
	require.NoError(t, err)
	for id, q := range queues {
		require.Equal(t, after[id], q.leader, "queue %d", id)
	}
}

// brokers is a cluster of five, whose addresses are their names, which keeps what it is asked.
type brokers struct {
	Servers
	calls []string
	fail  int               // the number of the call that fails, from 1
	have  map[string]string // what each broker has got last
}

var errBroken = errors.New("broken")

// asked notes a call and returns whether it fails.
func (b *brokers) asked(call string) error {
	b.calls = append(b.calls, call)
	if len(b.calls) == b.fail {
		return errBroken
	}
	return nil
}

func (b *brokers) ClusterInfo(context.Context) (*body.ClusterInfo, error) {
	info := &body.ClusterInfo{BrokerAddrTable: map[string]body.BrokerData{}, ClusterAddrTable: map[string][]string{}}
	for _, name := range []string{"p", "q", "r", "s", "w"} {
		info.BrokerAddrTable[name] = body.BrokerData{Cluster: "C", BrokerName: name, BrokerAddrs: body.IntMap[string]{0: name}}
		info.ClusterAddrTable["C"] = append(info.ClusterAddrTable["C"], name)
	}
	return info, nil
}

func (b *brokers) TopicStats(_ context.Context, broker, topic string) (*body.TopicStatsTable, error) {
	err := b.asked("stats " + broker)
	table := &body.TopicStatsTable{OffsetTable: body.QueueMap[body.TopicOffset]{}}
	for q := range int32(256) {
		table.OffsetTable[body.MessageQueue{Topic: topic, BrokerName: broker, QueueID: q}] = body.TopicOffset{MaxOffset: int64(q) * 3571 % 30000}
	}
	return table, err
}

func (b *brokers) CreateStaticTopic(_ context.Context, broker string, t *body.TopicConfigAndQueueMapping, force bool) error {
	text, err := body.Marshal(t)
	if err == nil {
		err = b.asked(fmt.Sprintf("create %s %s %t", broker, text, force))
	}
	if err == nil {
		if b.have == nil {
			b.have = map[string]string{}
		}
		b.have[broker] = string(text)
	}
	return err
}

// sameCalls applies a plan and compares what each broker is asked with what Java asks it.
func sameCalls(t *testing.T, g *golden, p *Plan) {
	t.Helper()
	b := &brokers{}
	cluster, err := Open(t.Context(), b)
	require.NoError(t, err)
	cluster.Complete(p)
	require.NoError(t, cluster.Apply(t.Context(), p, false))
	require.Len(t, b.calls, len(g.Calls))
	for i, call := range g.Calls {
		want, got := strings.SplitN(call, " ", 3), strings.SplitN(b.calls[i], " ", 3)
		require.Equal(t, want[:2], got[:2], "call %d", i)
		if want[0] != "create" {
			continue
		}
		wantJSON, force := cutLast(want[2])
		gotJSON, gotForce := cutLast(got[2])
		require.Equal(t, force, gotForce)
		var c body.TopicConfigAndQueueMapping
		require.NoError(t, body.Unmarshal([]byte(wantJSON), &c))
		text, err := body.Marshal(c)
		require.NoError(t, err)
		require.JSONEq(t, string(text), gotJSON, "call %d", i)
	}
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, ' ')
	return s[:i], s[i+1:]
}

// TestFileIsJavas reads a file of Java's tool and compares it with ours, and their names.
func TestFileIsJavas(t *testing.T) {
	text, err := os.ReadFile("testdata/T.after")
	require.NoError(t, err)
	p, err := Read("T", text)
	require.NoError(t, err)
	name, ours, err := p.File(true)
	require.NoError(t, err)
	require.Equal(t, "T-4000000000000.after", name)
	require.JSONEq(t, strings.NewReplacer("{0:", `{"0":`, ",1:", `,"1":`).Replace(string(text)), string(ours))
	name, _, err = Snapshot("T", nil, 7).File(false)
	require.NoError(t, err)
	require.Equal(t, "T-7.before", name)
	_, err = Read("U", text)
	require.ErrorContains(t, err, "The topic name is not match")
	require.Equal(t, []string{"p"}, slices.Collect(maps.Keys(p.BrokerConfigMap)))
}
