package statictopic

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// others is what other brokers and the name server say.
type others struct {
	offsets map[string][2]int64 // "broker-queue": first and last offset
	details map[string]*mapping.Detail
	leaders map[string]body.TopicQueueMappingInfo
	looked  chan struct{} // holds one token when a route was asked for
}

func (o *others) call(_ context.Context, broker string, cmd *protocol.Command) (*protocol.Command, error) {
	if cmd.Code == protocol.GetTopicConfig {
		b, err := body.Marshal(body.TopicConfigAndQueueMapping{TopicConfig: body.NewTopicConfig("T"), MappingDetail: o.details[broker]})
		return protocol.Reply(nil, b), err
	}
	lo, _ := cmd.Ext.Get("lo")
	queue, _ := cmd.Ext.Get("queueId")
	at, ok := o.offsets[broker+"-"+queue]
	switch {
	case !ok || lo != "false":
		return nil, errors.New("no such queue")
	case cmd.Code == protocol.GetMinOffset:
		return protocol.Reply(header.GetMinOffsetResponse{Offset: at[0]}, nil), nil
	}
	return protocol.Reply(header.GetMaxOffsetResponse{Offset: at[1]}, nil), nil
}

func (o *others) route(context.Context, string) (*body.TopicRouteData, error) {
	r := &body.TopicRouteData{TopicQueueMappingByBroker: map[string]body.Raw{}}
	for broker, info := range o.leaders {
		b, err := body.Marshal(info)
		if err != nil {
			return nil, err
		}
		r.TopicQueueMappingByBroker[broker] = b
	}
	select {
	case o.looked <- struct{}{}:
	default:
	}
	return r, nil
}

// MinOffset and MaxOffset are those of this broker, a.
func (o *others) MinOffset(_ string, id int32) int64            { return o.offsets[fmt.Sprint("a-", id)][0] }
func (o *others) MaxOffset(_ string, id int32) int64            { return o.offsets[fmt.Sprint("a-", id)][1] }
func (o *others) OffsetByTime(string, int32, int64, bool) int64 { return 0 }
func (o *others) StoreTime(string, int32, int64) int64          { return 0 }

func item(gen int32, broker string, queue int32, logic int64) mapping.Item {
	return mapping.Item{Gen: gen, Bname: broker, QueueID: queue, LogicOffset: logic, EndOffset: -1, TimeOfStart: -1, TimeOfEnd: -1}
}

func table(t *testing.T, queues map[int64][]mapping.Item) *mapping.Table {
	t.Helper()
	m, err := mapping.Open(mapping.Options{Path: filepath.Join(t.TempDir(), "topicQueueMapping.json"), Logger: zerolog.Nop(), BrokerName: "a"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.NoError(t, m.Update(&mapping.Detail{Topic: "T", Bname: "a", Scope: body.ScopeGlobal, Epoch: 9, TotalQueues: 10, HostedQueues: queues}, false))
	return m
}

func open(t *testing.T, o *others, m *mapping.Table, every time.Duration, hours ...int) *Static {
	t.Helper()
	s := Open(Options{Logger: zerolog.Nop(), Mappings: m, Store: o, Remote: o.call, Timeout: time.Minute, Route: o.route, Hours: hours, CleanEvery: every,
		Now: func() time.Time { return time.Date(2026, 1, 1, 4, 30, 0, 0, time.UTC) }})
	t.Cleanup(s.Close)
	return s
}

func TestItemsWithoutMessagesGo(t *testing.T) {
	led := func(first mapping.Item) []mapping.Item { return []mapping.Item{first, item(1, "a", 9, 10000)} }
	m := table(t, map[int64][]mapping.Item{
		0: led(item(0, "b", 0, 0)),                       // expired
		1: led(item(0, "b", 1, 0)),                       // has messages
		2: led(item(0, "b", 2, 0)),                       // never had any
		3: led(item(0, "c", 0, 0)),                       // cannot be asked
		4: led(item(0, "a", 4, 0)),                       // expired here
		5: {item(0, "a", 5, 0)},                          // the leader itself stays
		6: {item(0, "b", 0, 0), item(1, "a", 6, -1)},     // is on its way
		7: {item(0, "b", 0, 0), item(1, "b", 7, 100000)}, // another broker's
	})
	o := &others{offsets: map[string][2]int64{"b-0": {70, 70}, "b-1": {60, 70}, "b-2": {0, 0}, "a-4": {3, 3}, "a-5": {3, 3}}}
	before := m.Get("T")
	open(t, o, m, time.Hour).cleanAll()
	after := m.Get("T")
	require.Equal(t, before.Epoch, after.Epoch)
	for id, items := range before.HostedQueues {
		if id == 0 || id == 2 || id == 4 {
			items = items[1:]
		}
		require.Equal(t, items, after.HostedQueues[id], id)
	}
}

// TestQueuesThatHaveMovedOnGo: this broker gave queues to b, and c leads some of them now.
func TestQueuesThatHaveMovedOnGo(t *testing.T) {
	given := []mapping.Item{item(0, "a", 0, 0), item(1, "b", 0, 10000)}
	m := table(t, map[int64][]mapping.Item{0: given, 1: given, 2: given, 3: given})
	info := func(broker string, epoch int64, ids ...int64) body.TopicQueueMappingInfo {
		i := body.TopicQueueMappingInfo{Bname: broker, Epoch: epoch, Scope: body.ScopeGlobal, Topic: "T", TotalQueues: 10, CurrIDMap: body.IntMap[int32]{}}
		for _, id := range ids {
			i.CurrIDMap[id] = 0
		}
		return i
	}
	further := append(given[:2:2], item(2, "c", 0, 20000))
	theirs := &mapping.Detail{Topic: "T", Bname: "c", Scope: body.ScopeGlobal, Epoch: 9, TotalQueues: 10, HostedQueues: body.IntMap[[]mapping.Item]{0: further, 2: given}}
	o := &others{details: map[string]*mapping.Detail{"c": theirs}, leaders: map[string]body.TopicQueueMappingInfo{
		"b": info("b", 8, 0, 1, 2), "c": info("c", 9, 0, 2)}} // of 0 and 2 both say that they lead it, c since later; nobody leads 3
	s := open(t, o, m, time.Hour)

	theirs.Epoch = 10
	s.cleanAll()
	require.Len(t, m.Get("T").HostedQueues, 4, "c knows more than this broker")
	theirs.Epoch = 9
	s.cleanAll()
	require.NotContains(t, m.Get("T").HostedQueues, int64(0))
	require.Len(t, m.Get("T").HostedQueues, 3, "1 is where it was known to be, 2 is not c's by its own account")
}

// TestCleaningKeepsItsHours runs the goroutine: it looks in the hours of deleteWhen.
func TestCleaningKeepsItsHours(t *testing.T) {
	m := table(t, map[int64][]mapping.Item{0: {item(0, "a", 0, 0), item(1, "b", 0, 10000)}})
	o := &others{looked: make(chan struct{}, 1)}
	s := open(t, o, m, time.Millisecond, 4)
	<-o.looked
	s.Close()
	o = &others{looked: make(chan struct{}, 1)}
	ticked := make(chan struct{}, 1)
	s = Open(Options{Logger: zerolog.Nop(), Mappings: m, Store: o, Remote: o.call, Timeout: time.Minute, Route: o.route, Hours: []int{5}, CleanEvery: time.Millisecond,
		Now: func() time.Time {
			select {
			case ticked <- struct{}{}:
			default:
			}
			return time.Date(2026, 1, 1, 4, 30, 0, 0, time.UTC)
		}})
	<-ticked
	<-ticked // the look before is over
	s.Close()
	require.Empty(t, o.looked)
}
