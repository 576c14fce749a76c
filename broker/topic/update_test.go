package topic

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func orders(attributes string) *body.TopicConfig {
	change, err := ParseAttributes(attributes)
	if err != nil {
		panic(err)
	}
	return &body.TopicConfig{TopicName: "Orders", Perm: 6, ReadQueueNums: 8, WriteQueueNums: 4, TopicFilterType: body.SingleTag, Order: true, Attributes: change}
}

// What Java 5.5.0 answered to the same requests.
func TestUpdateAnswersAsJava(t *testing.T) {
	tab := empty(t)
	changed, err := tab.Update(orders("+message.type=FIFO,+queue.type=SimpleCQ"))
	require.NoError(t, err)
	require.True(t, changed)
	for attributes, want := range map[string]string{
		"+nokey=1":                  "unsupported key: nokey",
		"+message.type=XX":          "value is not in set: [UNSPECIFIED, MIXED, TRANSACTION, PRIORITY, FIFO, DELAY, LITE, NORMAL]",
		"+queue.type=BatchCQ":       "attempt to update an unchangeable attribute. key: queue.type",
		"-cleanup.policy":           "attempt to delete a nonexistent key: cleanup.policy",
		"+lite.topic.expiration=-2": "value is not in range(-1, 43200)",
		"+reserve.time=x":           `For input string: "x"`,
		"+reserve.time=-5":          "value is not in range(-1, 9223372036854775807)",
		"+a+b=1":                    "kv string format wrong.",
	} {
		changed, err = tab.Update(orders(attributes))
		require.EqualError(t, err, want)
		require.False(t, changed)
	}
	require.EqualValues(t, 1, tab.DataVersion().Counter)
	changed, err = tab.Update(orders("-message.type,+reserve.time=5"))
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, map[string]string{"queue.type": "SimpleCQ", "reserve.time": "5"}, tab.Get("Orders").Attributes)
}

func TestAnUpdateThatChangesNothingLeavesTheVersion(t *testing.T) {
	tab := empty(t)
	_, err := tab.Update(orders("+message.type=FIFO"))
	require.NoError(t, err)
	changed, err := tab.Update(orders(""))
	require.NoError(t, err)
	require.False(t, changed)
	changed, err = tab.Update(orders("+message.type=FIFO"))
	require.NoError(t, err)
	require.False(t, changed)
	require.EqualValues(t, 1, tab.DataVersion().Counter)
}

func TestUpdatesAreOnDiskWhenTheyReturn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topics.json")
	tab := open(t, options(path))
	var told []string
	tab.o.OnChange = func(topics ...string) { told = append(told, topics...) }
	mine := orders("")
	a, b := *mine, *mine
	a.TopicName, b.TopicName = "a", "b"
	changed, err := tab.Update(&a, mine, &b)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, []string{"a", "Orders", "b"}, told)
	mine.Perm = 0
	require.EqualValues(t, 6, tab.Get("Orders").Perm, "the argument is not kept")
	inFile := func(name string) bool {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		_, all, err := decode(data)
		require.NoError(t, err)
		return all[name] != nil
	}
	require.True(t, inFile("Orders"))
	was, err := tab.Delete("Orders")
	require.NoError(t, err)
	require.True(t, was)
	require.False(t, inFile("Orders"))
	require.Nil(t, tab.Get("Orders"))
	was, err = tab.Delete("Orders")
	require.NoError(t, err)
	require.False(t, was)
	require.Equal(t, []string{"a", "Orders", "b", "Orders"}, told)
}

func TestAListStopsAtTheFirstError(t *testing.T) {
	tab := empty(t)
	good, bad := orders(""), orders("+nokey=1")
	bad.TopicName = "bad"
	changed, err := tab.Update(good, bad)
	require.EqualError(t, err, "unsupported key: nokey")
	require.True(t, changed)
	require.NotNil(t, tab.Get("Orders"))
	require.Nil(t, tab.Get("bad"))
}

func TestADiskErrorIsToldAndTheChangeStays(t *testing.T) {
	dir := t.TempDir()
	o := options(filepath.Join(dir, "config", "topics.json"))
	tab, err := Open(o)
	require.NoError(t, err)
	require.NoError(t, tab.Sync())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "config")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), nil, 0o644)) // a file where the folder was
	changed, err := tab.Update(orders(""))
	require.Error(t, err)
	require.True(t, changed)
	require.NotNil(t, tab.Get("Orders"))
	require.NoError(t, os.Remove(filepath.Join(dir, "config")))
	require.NoError(t, tab.Close())
	require.NotNil(t, open(t, o).Get("Orders"))
}

func TestReplaceMakesTheTableTheMasters(t *testing.T) {
	tab := empty(t)
	version := body.DataVersion{Counter: 77, Timestamp: 5}
	require.NoError(t, tab.Replace(version, map[string]*body.TopicConfig{"m": newConfig("m", 3, 6), SelfTest: newConfig(SelfTest, 1, 6)}))
	require.Equal(t, version, tab.DataVersion())
	require.Equal(t, 2, tab.Len())
	require.NotNil(t, tab.Get("m"))
	require.Nil(t, tab.Get(AutoCreate))
}
