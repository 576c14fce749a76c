package offset

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func open(t testing.TB, path string) *Table {
	t.Helper()
	tab, err := Open(Options{Path: path, UseServerSideResetOffset: true})
	require.NoError(t, err)
	return tab
}

func empty(t testing.TB) *Table {
	return open(t, filepath.Join(t.TempDir(), "config", "consumerOffset.json"))
}

func none(t *testing.T, tab *Table, group, topic string, queueID int32) {
	t.Helper()
	at, ok := tab.Query(group, topic, queueID)
	require.False(t, ok)
	require.EqualValues(t, -1, at)
}

func at(t *testing.T, want int64, tab *Table, group, topic string, queueID int32) {
	t.Helper()
	got, ok := tab.Query(group, topic, queueID)
	require.True(t, ok)
	require.Equal(t, want, got)
}

func TestCommitAndQuery(t *testing.T) {
	tab := empty(t)
	none(t, tab, "g", "t", 0)
	tab.Commit("c", "g", "t", 0, 5)
	at(t, 5, tab, "g", "t", 0)
	none(t, tab, "g", "t", 1)
	none(t, tab, "g", "u", 0)
	none(t, tab, "t", "g", 0)
	tab.Commit("c", "g", "t", 0, 3)
	at(t, 3, tab, "g", "t", 0)
	tab.Commit("c", "g", "t", 0, -1)
	none(t, tab, "g", "t", 0)
	for _, id := range []int32{-7, 15, 16, 17, maxDense - 1, maxDense, 1 << 30} {
		tab.Commit("c", "g", "t", id, int64(id)+100)
		at(t, int64(id)+100, tab, "g", "t", id)
		none(t, tab, "g", "t", id+1000)
	}
	require.Equal(t, map[int32]int64{-7: 93, 0: -1, 15: 115, 16: 116, 17: 117, maxDense - 1: maxDense + 99, maxDense: maxDense + 100, 1 << 30: 1<<30 + 100},
		tab.Queues("g", "t"))
	require.Nil(t, tab.Queues("g", "u"))
}

func TestNamesMayAliasABuffer(t *testing.T) {
	tab := empty(t)
	buf := []byte("grouptopic")
	g, top := unsafe.String(&buf[0], 5), unsafe.String(&buf[5], 5)
	tab.Commit("c", g, top, 0, 5)
	tab.AssignReset(g, top, 1, 6)
	tab.CommitPull(g, top, 0, 7)
	copy(buf, "XXXXXXXXXX")
	at(t, 5, tab, "group", "topic", 0)
	at(t, 6, tab, "group", "topic", 1)
	require.Equal(t, []string{"topic"}, tab.TopicsOf("group"))
	require.Empty(t, tab.TopicsOf("XXXXX"))
}

func TestAFileOfJavaIsReadAndWrittenBackEqual(t *testing.T) {
	before, err := os.ReadFile("testdata/consumerOffset.json")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "consumerOffset.json")
	require.NoError(t, os.WriteFile(path, before, 0o644))
	tab := open(t, path)
	at(t, 5, tab, "Plain", "Orders", 0)
	none(t, tab, "Plain", "Orders", 3)
	require.Equal(t, map[int32]int64{0: 5, 3: -1}, tab.Queues("Plain", "Orders"))
	at(t, 1234567890123, tab, "Rich", "Orders", 1)
	require.Equal(t, body.DataVersion{Timestamp: 1795231203810}, tab.DataVersion())
	require.NoError(t, tab.Persist())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing changed, so nothing is written")
	tab.changes.Add(1)
	require.NoError(t, tab.Persist())
	after, err = os.ReadFile(path)
	require.NoError(t, err)
	var got any
	require.NoError(t, json.Unmarshal(after, &got))
	require.Equal(t, map[string]any{
		"dataVersion":     map[string]any{"counter": 0., "stateVersion": 0., "timestamp": 1795231203810.},
		"groupTopicMap":   map[string]any{"Plain": []any{"Orders"}, "Rich": []any{"Orders"}},
		"offsetTable":     map[string]any{"Orders@Plain": map[string]any{"0": 5., "3": -1.}, "Orders@Rich": map[string]any{"1": 1234567890123.}},
		"pullOffsetTable": map[string]any{},
	}, got)
}

func TestUnknownKeysSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consumerOffset.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"new":[{}],"offsetTable":{"odd":{0:1},"a@b@c":{2:3},"%RETRY%g@g":{0:9}}}`), 0o644))
	tab := open(t, path)
	at(t, 9, tab, "g", "%RETRY%g", 0)
	tab.Commit("c", "g", "t", 1, 2)
	require.NoError(t, tab.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var f Wire
	require.NoError(t, body.Unmarshal(data, &f))
	require.Equal(t, map[string]body.IntMap[int64]{"odd": {0: 1}, "a@b@c": {2: 3}, "%RETRY%g@g": {0: 9}, "t@g": {1: 2}}, f.OffsetTable)
}

func TestABrokenFileIsNoEmptyStart(t *testing.T) {
	for _, text := range []string{"{", "[]", "{}", `{"offsetTable":{"a@b":5}}`, `{"offsetTable":{"a@b":{x:5}}}`} {
		path := filepath.Join(t.TempDir(), "consumerOffset.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := Open(Options{Path: path})
		require.ErrorContains(t, err, "consumerOffset.json", text)
	}
}

func TestPersistTriesAgainAfterAnError(t *testing.T) {
	dir := t.TempDir()
	tab := open(t, filepath.Join(dir, "config", "consumerOffset.json"))
	require.NoError(t, tab.Persist(), "nothing to write")
	require.NoFileExists(t, tab.o.Path)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), nil, 0o644))
	tab.Commit("c", "g", "t", 0, 1)
	require.Error(t, tab.Persist())
	require.NoError(t, os.Remove(filepath.Join(dir, "config")))
	require.NoError(t, tab.Persist())
	at(t, 1, open(t, tab.o.Path), "g", "t", 0)
}

func TestTheVersionChangesEverySoManyCommits(t *testing.T) {
	tab := empty(t)
	for range 1499 {
		tab.Commit("c", "g", "t", 0, 1)
	}
	require.EqualValues(t, 2, tab.DataVersion().Counter)
	tab.Commit("c", "g", "t", 0, 1)
	require.EqualValues(t, 3, tab.DataVersion().Counter)
}

func TestRemovingAndAsking(t *testing.T) {
	tab := empty(t)
	for _, g := range []string{"g1", "g2"} {
		for _, top := range []string{"t1", "t2"} {
			tab.Commit("c", g, top, 0, 1)
			tab.CommitPull(g, top, 0, 8)
			require.True(t, tab.AssignReset(g, top, 3, 4))
		}
	}
	require.Equal(t, []string{"t1", "t2"}, tab.TopicsOf("g1"))
	require.Equal(t, []string{"g1", "g2"}, tab.GroupsOf("t2"))
	tab.Clone("g1", "new", "t1")
	require.Equal(t, map[int32]int64{0: 1, 3: 4}, tab.Queues("new", "t1"))
	tab.Commit("c", "g1", "t1", 0, 2)
	require.Equal(t, map[int32]int64{0: 1, 3: 4}, tab.Queues("new", "t1"), "a clone is a copy")
	tab.Clone("nobody", "new", "t1")
	require.NotNil(t, tab.Queues("new", "t1"))

	tab.RemoveTopic("t1")
	require.Equal(t, []string{"t2"}, tab.TopicsOf("g1"))
	require.Empty(t, tab.GroupsOf("t1"))
	require.False(t, tab.HasReset("g1", "t1", 3))
	require.True(t, tab.HasReset("g1", "t2", 3))
	_, ok := tab.QueryPull("g1", "t1", 0)
	require.False(t, ok)

	tab.RemoveGroup("g1")
	require.Empty(t, tab.TopicsOf("g1"))
	require.False(t, tab.HasReset("g1", "t2", 3))
	none(t, tab, "g1", "t2", 0)
	at(t, 1, tab, "g2", "t2", 0)
	require.EqualValues(t, 1, tab.resets.pending.Load())
}

func TestAResetHoldsUntilThePullThatTakesIt(t *testing.T) {
	tab := empty(t)
	tab.Commit("c", "g", "t", 0, 50)
	require.False(t, tab.HasReset("g", "t", 0))
	_, ok := tab.TakeReset("g", "t", 0)
	require.False(t, ok)
	require.True(t, tab.AssignReset("g", "t", 0, 7))
	require.True(t, tab.AssignReset("g", "t", 0, 8))
	require.True(t, tab.HasReset("g", "t", 0))
	require.False(t, tab.HasReset("g", "t", 1))
	tab.Commit("c", "g", "t", 0, 60) // a pull's commit that overtook it
	at(t, 8, tab, "g", "t", 0)
	got, ok := tab.TakeReset("g", "t", 0)
	require.True(t, ok)
	require.EqualValues(t, 8, got)
	_, ok = tab.TakeReset("g", "t", 0)
	require.False(t, ok)
	at(t, 60, tab, "g", "t", 0)
	require.Zero(t, tab.resets.pending.Load())
	for _, bad := range []bool{tab.AssignReset("", "t", 0, 1), tab.AssignReset("g", "", 0, 1), tab.AssignReset("g", "t", -1, 1), tab.AssignReset("g", "t", 0, -1)} {
		require.False(t, bad)
	}
	off, err := Open(Options{Path: filepath.Join(t.TempDir(), "x")})
	require.NoError(t, err)
	off.AssignReset("g", "t", 0, 7)
	require.False(t, off.HasReset("g", "t", 0))
	at(t, 7, off, "g", "t", 0)
}

func TestPullOffsetsFallBackToCommitted(t *testing.T) {
	tab := empty(t)
	tab.Commit("c", "g", "t", 0, 5)
	got, ok := tab.QueryPull("g", "t", 0)
	require.True(t, ok)
	require.EqualValues(t, 5, got)
	tab.CommitPull("g", "t", 0, 9)
	got, ok = tab.QueryPull("g", "t", 0)
	require.True(t, ok)
	require.EqualValues(t, 9, got)
	at(t, 5, tab, "g", "t", 0)
	data, err := tab.JSON()
	require.NoError(t, err)
	require.Regexp(t, `^{"dataVersion":{.*},"groupTopicMap":{"g":\["t"\]},"offsetTable":{"t@g":{"0":5}},"pullOffsetTable":{"t@g":{"0":9}}}$`, string(data))
}

func TestReplaceKeepsWhatTheMasterDoesNotHave(t *testing.T) {
	tab := empty(t)
	tab.Commit("c", "g", "t", 0, 5)
	tab.Commit("c", "h", "t", 0, 6)
	require.NoError(t, tab.Replace(&body.ConsumerOffsetTable{DataVersion: body.DataVersion{Counter: 9},
		OffsetTable: map[string]body.IntMap[int64]{"t@g": {0: 100, 1: 101}}}))
	again := open(t, tab.o.Path)
	require.Equal(t, map[int32]int64{0: 100, 1: 101}, again.Queues("g", "t"))
	at(t, 6, again, "h", "t", 0)
	require.EqualValues(t, 9, again.DataVersion().Counter)
}

// Every queue's last commit is there, whatever the queues' chunks did meanwhile.
func TestConcurrentCommitsAreNotLost(t *testing.T) {
	tab := empty(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for _, id := range rand.Perm(300) {
				if id%4 == w {
					tab.Commit("c", "g", "t", int32(id), int64(id))
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := tab.Persist(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	require.NoError(t, tab.Persist())
	got := open(t, tab.o.Path).Queues("g", "t")
	require.Len(t, got, 300)
	for id, offset := range got {
		require.EqualValues(t, id, offset)
	}
}

func BenchmarkCommit(b *testing.B) {
	tab, names := empty(b), names()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			tab.Commit("c", names[i&1023], "topic", int32(i>>10&7), int64(i))
		}
	})
}

func BenchmarkQuery(b *testing.B) {
	tab, names := empty(b), names()
	for i, n := range names {
		tab.Commit("c", n, "topic", 3, int64(i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, ok := tab.Query(names[i&1023], "topic", 3); !ok || tab.HasReset(names[i&1023], "topic", 3) {
				b.Error("wrong")
			}
		}
	})
}

func names() []string {
	out := make([]string, 1024)
	for i := range out {
		out[i] = fmt.Sprintf("group-%d", i)
	}
	return out
}
