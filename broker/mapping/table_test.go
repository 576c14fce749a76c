package mapping

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func open(t *testing.T, path string) *Table {
	t.Helper()
	table, err := Open(Options{Path: path, Logger: zerolog.Nop(), BrokerName: "broker-a"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	return table
}

func empty(t *testing.T) *Table {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "topicQueueMapping.json"))
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

// item is one as mqadmin makes them.
func item(gen int32, broker string, queue int32, logic int64) Item {
	return Item{Gen: gen, Bname: broker, QueueID: queue, LogicOffset: logic, EndOffset: -1, TimeOfStart: -1, TimeOfEnd: -1}
}

func detail(epoch int64, queues map[int64][]Item) *Detail {
	return &Detail{Topic: "T", Bname: "broker-a", Scope: body.ScopeGlobal, Epoch: epoch, TotalQueues: 2, HostedQueues: queues}
}

func TestJavasFileIsReadAndWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topicQueueMapping.json")
	require.NoError(t, os.WriteFile(path, golden(t, "topicQueueMapping.json"), 0o644))
	table := open(t, path)
	require.Len(t, table.All(), 2)
	require.Equal(t, body.DataVersion{Counter: 3, Timestamp: 1700000003000}, table.DataVersion())
	moved := table.Get("Moved")
	require.Equal(t, []Item{item(0, "broker-b", 0, 0), item(1, "broker-a", 1, 10000)}, moved.HostedQueues[0])
	require.Equal(t, int64(7), moved.HostedQueues[1][0].EndOffset)
	require.EqualValues(t, 1700000002000, moved.Epoch)

	written, err := encode(table.DataVersion(), table.All())
	require.NoError(t, err)
	var java, ours body.TopicQueueMappingSerializeWrapper
	require.NoError(t, body.Unmarshal(golden(t, "topicQueueMapping.json"), &java))
	require.NoError(t, body.Unmarshal(written, &ours))
	require.Equal(t, java, ours)

	infos, err := table.Infos()
	require.NoError(t, err)
	var theirs, info body.TopicQueueMappingInfo
	require.NoError(t, body.Unmarshal(golden(t, "info.json"), &theirs))
	require.NoError(t, body.Unmarshal(infos["Moved"], &info))
	require.Equal(t, theirs, info)

	var config body.TopicConfigAndQueueMapping
	require.NoError(t, body.Unmarshal(golden(t, "config.json"), &config))
	require.Equal(t, "Moved", config.TopicName)
	require.EqualValues(t, 2, config.WriteQueueNums)
	require.Equal(t, moved.HostedQueues, config.MappingDetail.HostedQueues)
}

func TestAFileThatBreaksTheRulesStopsTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topicQueueMapping.json")
	require.NoError(t, os.WriteFile(path, golden(t, "topicQueueMapping.json"), 0o644))
	_, err := Open(Options{Path: path, Logger: zerolog.Nop(), BrokerName: "broker-c"})
	require.ErrorContains(t, err, "broker-a")
}

func TestChangesAreOnDiskWhenTheyReturn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topicQueueMapping.json")
	table := open(t, path)
	require.False(t, table.Any())
	require.Nil(t, table.Get("T"))
	require.NoError(t, table.Update(detail(5, map[int64][]Item{0: {item(0, "broker-a", 0, 0)}}), false))
	require.True(t, table.Any())
	require.EqualValues(t, 5, open(t, path).Get("T").Epoch)
	had, err := table.Delete("T")
	require.NoError(t, err)
	require.True(t, had)
	require.False(t, table.Any())
	require.Nil(t, open(t, path).Get("T"))
	require.Nil(t, (*Table)(nil).Get("T"))
}

// TestUpdatesContinueWhatThereIs goes through the steps in which mqadmin moves a queue, and what must be refused.
func TestUpdatesContinueWhatThereIs(t *testing.T) {
	table := empty(t)
	old := item(0, "broker-b", 3, 0)
	led := []Item{item(0, "broker-a", 0, 0)}
	coming := []Item{old, item(1, "broker-a", 1, -1)}
	come := []Item{old, item(1, "broker-a", 1, 10000)}
	for _, c := range []struct {
		name   string
		epoch  int64
		queues map[int64][]Item
		force  bool
		want   string // part of the refusal; "": taken
	}{
		{name: "new", epoch: 10, queues: map[int64][]Item{0: led}},
		{name: "older", epoch: 9, queues: map[int64][]Item{0: led}, want: "Can't accept data with small epoch 9 < 10"},
		{name: "same epoch without the queue", epoch: 10, queues: nil, want: "Cannot accept equal epoch with null data"},
		{name: "the same again", epoch: 10, queues: map[int64][]Item{0: led}},
		{name: "another item in its place", epoch: 11, queues: map[int64][]Item{0: {item(0, "broker-a", 1, 0)}}, want: "item 0 of the queue changes"},
		{name: "another leader under the same epoch", epoch: 10, queues: map[int64][]Item{0: {led[0], item(1, "broker-b", 0, 10000)}}, want: "The new leader is different but epoch equal"},
		{name: "a queue comes", epoch: 20, queues: map[int64][]Item{1: coming}},
		{name: "its offset is decided", epoch: 20, queues: map[int64][]Item{0: led, 1: come}},
		{name: "its offset is decided otherwise", epoch: 20, queues: map[int64][]Item{0: led, 1: {old, item(1, "broker-a", 1, 20000)}}, want: "item 1 of the queue changes"},
		{name: "the first item is gone", epoch: 21, queues: map[int64][]Item{1: come[1:]}},
		{name: "the first item is there for who does not know", epoch: 22, queues: map[int64][]Item{1: come}},
		{name: "older by force", epoch: 1, force: true, queues: map[int64][]Item{0: {item(4, "broker-b", 2, 50)}}},
	} {
		err := table.Update(detail(c.epoch, c.queues), c.force)
		if c.want == "" {
			require.NoError(t, err, c.name)
			require.Equal(t, c.epoch, table.Get("T").Epoch)
			continue
		}
		var refusal *protocol.Error
		require.ErrorContains(t, err, c.want, c.name)
		if errors.As(err, &refusal) { // in Java's words
			require.Equal(t, protocol.SystemError, refusal.Code)
		}
	}
	require.Equal(t, body.IntMap[[]Item]{0: {item(4, "broker-b", 2, 50)}, 1: come}, table.Get("T").HostedQueues, "queues that are not named stay")
}

func TestImpossibleMappingsAreRefused(t *testing.T) {
	table := empty(t)
	other := func(change func(d *Detail)) *Detail {
		d := detail(1, map[int64][]Item{0: {item(0, "broker-a", 0, 0)}})
		change(d)
		return d
	}
	items := func(items ...Item) *Detail { return detail(1, map[int64][]Item{0: items}) }
	ends := item(0, "broker-a", 0, 0)
	ends.StartOffset, ends.EndOffset = 5, 4
	long := item(0, "broker-b", 0, 0)
	long.EndOffset = 100
	for name, d := range map[string]*Detail{
		"no topic":            other(func(d *Detail) { d.Topic = "" }),
		"another broker":      other(func(d *Detail) { d.Bname = "broker-b" }),
		"no scope":            other(func(d *Detail) { d.Scope = "" }),
		"too many queues":     other(func(d *Detail) { d.TotalQueues = 1 << 20 }),
		"negative queue":      detail(1, map[int64][]Item{-1: {item(0, "broker-a", 0, 0)}}),
		"item without broker": items(item(0, "", 0, 0)),
		"negative id":         items(item(0, "broker-a", -1, 0)),
		"undecided middle":    items(item(0, "broker-b", 0, -1), item(1, "broker-a", 0, 5)),
		"generations":         items(item(1, "broker-b", 0, 0), item(1, "broker-a", 0, 5)),
		"offsets":             items(item(0, "broker-b", 0, 5), item(1, "broker-a", 0, 5)),
		"end before start":    items(ends),
		"items that overlap":  items(long, item(1, "broker-a", 0, 100)),
		"items without end":   items(make([]Item, maxItems+1)...),
	} {
		require.Error(t, table.Update(d, true), name)
	}
	require.False(t, table.Any())
}

func TestCleaningSparesWhatHasChanged(t *testing.T) {
	table := empty(t)
	come := []Item{item(0, "broker-b", 3, 0), item(1, "broker-a", 1, 10000)}
	gone := []Item{item(0, "broker-a", 0, 0), item(1, "broker-b", 1, 10000)}
	require.NoError(t, table.Update(detail(1, map[int64][]Item{0: come, 1: gone}), false))
	before := table.Get("T")
	done, err := table.Clean(before, map[int64][]Item{0: come[1:], 1: nil})
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, body.IntMap[[]Item]{0: come[1:]}, table.Get("T").HostedQueues)
	done, err = table.Clean(before, map[int64][]Item{0: nil})
	require.NoError(t, err)
	require.False(t, done, "it is not what was looked at any more")
	require.Len(t, before.HostedQueues, 2, "what a reader holds never changes")
}

// FuzzUpdate gives the table mappings from outside: none may panic, and what is taken obeys the rules.
func FuzzUpdate(f *testing.F) {
	config, err := os.ReadFile("testdata/topicQueueMapping.json")
	require.NoError(f, err)
	f.Add(config)
	f.Add([]byte(`{"topic":"T","bname":"broker-a","scope":"s","hostedQueues":{0:[{"bname":"broker-a"}],"1":[null]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		table := &Table{o: Options{BrokerName: "broker-a"}}
		_, all, err := table.decode(b)
		if err == nil {
			for _, d := range all {
				require.NoError(t, table.check(d))
			}
		}
		var d Detail
		if body.Unmarshal(b, &d) != nil || table.check(&d) != nil {
			return
		}
		for id := range d.HostedQueues {
			if q, err := Lead(&d, int32(id)); err == nil {
				for _, offset := range []int64{-1, 0, 10000} {
					if i := q.At(offset); i != nil {
						q.Pull(i, Physical(i, offset), Pulled{Code: protocol.PullNotFound, Max: offset})
					}
				}
			}
		}
	})
}
