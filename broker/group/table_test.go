package group

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func options(path string) Options {
	return Options{Path: path, AutoCreateSubscriptionGroup: true, EnableCreateSysGroup: true}
}

func open(t testing.TB, o Options) *Table {
	t.Helper()
	tab, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tab.Close()) })
	return tab
}

func empty(t testing.TB) *Table {
	return open(t, options(filepath.Join(t.TempDir(), "config", "subscriptionGroup.json")))
}

func javaFile(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/subscriptionGroup.json")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "subscriptionGroup.json")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return path
}

func TestAFirstStartMakesJavasGroups(t *testing.T) {
	java := open(t, options(javaFile(t)))
	tab := empty(t)
	require.Equal(t, 8, tab.Len())
	for _, c := range tab.All() {
		require.Equal(t, java.Peek(c.GroupName), c)
	}
	require.True(t, IsSystem("CID_RMQ_SYS_x"))
	require.False(t, IsSystem(Tools))
}

func TestAFileOfJavaIsReadAndWrittenBackEqual(t *testing.T) {
	path := javaFile(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	tab := open(t, options(path))
	require.Equal(t, body.DataVersion{Counter: 10, Timestamp: 1795231312446}, tab.DataVersion())
	rich := tab.Peek("Rich")
	require.Equal(t, map[string]string{"lite.sub.model": "Exclusive", "priority.factor": "50"}, rich.Attributes)
	require.Equal(t, &body.ExponentialRetryPolicy{Initial: 1000, Max: 60000, Multiplier: 3}, rich.GroupRetryPolicy.ExponentialRetryPolicy)
	require.EqualValues(t, 3, rich.RetryMaxTimes)
	require.Equal(t, []int64{1000, 2000}, tab.Peek("Custom").GroupRetryPolicy.CustomizedRetryPolicy.Next)
	require.Equal(t, "Orders", tab.Peek("Custom").SubscriptionDataSet[0].Topic)
	require.Equal(t, ForbidRead, tab.Forbidden("Plain", "Orders"))
	require.NoError(t, tab.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing changed, so nothing is written")

	tab = open(t, options(path))
	tab.t.Touch()
	require.NoError(t, tab.Sync())
	after, err = os.ReadFile(path)
	require.NoError(t, err)
	var want, got map[string]any
	require.NoError(t, json.Unmarshal(before, &want))
	require.NoError(t, json.Unmarshal(after, &got))
	delete(want, "dataVersion")
	delete(got, "dataVersion")
	// Java leaves a null expression out, body writes an empty one.
	custom := got["subscriptionGroupTable"].(map[string]any)["Custom"].(map[string]any)
	delete(custom["subscriptionDataSet"].([]any)[0].(map[string]any), "expression")
	require.Equal(t, want, got)
}

func TestABrokenFileIsNoEmptyStart(t *testing.T) {
	for _, text := range []string{"{", "[]", "{}", `{"subscriptionGroupTable":5}`} {
		path := filepath.Join(t.TempDir(), "subscriptionGroup.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := Open(options(path))
		require.ErrorContains(t, err, "subscriptionGroup.json", text)
	}
}

func TestGetMakesAGroupWhenAllowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subscriptionGroup.json")
	tab := open(t, options(path))
	name := []byte("fresh")
	alias := unsafe.String(&name[0], len(name))
	require.Nil(t, tab.Peek(alias))
	c := tab.Get(alias)
	copy(name, "XXXXX")
	want := body.NewSubscriptionGroupConfig("fresh")
	require.Equal(t, &want, c)
	require.Same(t, c, tab.Get("fresh"))
	require.True(t, tab.Contains("fresh"))
	require.Nil(t, tab.Get("bad group"))
	require.Nil(t, tab.Get(""))
	require.Nil(t, tab.Get(strings.Repeat("g", 121)))
	tab.SetAutoCreate(false)
	require.Nil(t, tab.Get("other"))
	require.NotNil(t, tab.Get("CID_RMQ_SYS_other"))
	require.EqualValues(t, 2, tab.DataVersion().Counter)
	require.NoError(t, tab.Close())
	require.True(t, open(t, options(path)).Contains("fresh"))
}

func TestUpdateFollowsJavasRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subscriptionGroup.json")
	tab := open(t, options(path))
	c := body.NewSubscriptionGroupConfig("g")
	c.RetryMaxTimes = 3
	c.Attributes = map[string]string{"+priority.factor": "50"}
	require.NoError(t, tab.Update(&c))
	c.RetryMaxTimes = 99
	require.EqualValues(t, 3, tab.Peek("g").RetryMaxTimes, "the argument is not kept")
	require.Equal(t, map[string]string{"priority.factor": "50"}, tab.Peek("g").Attributes)
	for change, want := range map[[2]string]string{
		{"+priority.factor", "101"}: "value is not in range(0, 100)",
		{"x", "1"}:                  "kv string format wrong.",
		{"+lite.sub.reset.offset.exclusive", "maybe"}: "boolean attribute format is wrong.",
		{"+lite.sub.model", "X"}:                      "value is not in set: [Shared, Exclusive]",
		{"+lite.sub.client.quota", "-2"}:              "value is not in range(-1, 9223372036854775807)",
		{"+nokey", "1"}:                               "unsupported key: nokey",
	} {
		c.Attributes = map[string]string{change[0]: change[1]}
		require.EqualError(t, tab.Update(&c), want)
	}
	fresh := body.NewSubscriptionGroupConfig("n")
	fresh.Attributes = map[string]string{"-priority.factor": ""}
	require.EqualError(t, tab.Update(&fresh), "only add attribute is supported while creating topic. key: priority.factor")
	require.EqualValues(t, 1, tab.DataVersion().Counter)
	c.Attributes = nil
	require.NoError(t, tab.Update(&c))
	require.NoError(t, tab.Update(&c))
	require.EqualValues(t, 3, tab.DataVersion().Counter, "each update counts")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), `"retryMaxTimes":99`)
	was, err := tab.Delete("g")
	require.NoError(t, err)
	require.True(t, was)
	was, err = tab.Delete("g")
	require.NoError(t, err)
	require.False(t, was)
}

func TestForbiddenIsPerTopic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subscriptionGroup.json")
	tab := open(t, options(path))
	require.NoError(t, tab.SetForbidden("g", "a", ForbidRead, true))
	require.NoError(t, tab.SetForbidden("g", "b", ForbidRead, true))
	require.NoError(t, tab.SetForbidden("g", "b", 1, true))
	require.NoError(t, tab.SetForbidden("g", "b", 1, true))
	require.EqualValues(t, 3, tab.DataVersion().Counter)
	require.Equal(t, ForbidRead|1, tab.Forbidden("g", "b"))
	require.NoError(t, tab.SetForbidden("g", "a", ForbidRead, false))
	require.Zero(t, tab.Forbidden("g", "a"))
	require.Equal(t, ForbidRead|1, tab.Forbidden("g", "b"))
	require.Zero(t, tab.Forbidden("h", "b"))
	require.NoError(t, tab.Close())
	tab = open(t, options(path))
	require.Equal(t, map[string]map[string]int32{"g": {"b": ForbidRead | 1}}, tab.ForbiddenTable())
	_, err := tab.Delete("g")
	require.NoError(t, err)
	require.Empty(t, tab.ForbiddenTable())
}

func TestValidateNameAnswersAsJava(t *testing.T) {
	long := strings.Repeat("g", 121)
	for name, want := range map[string]string{
		"":          "The specified group is blank.",
		"bad group": "The specified group: bad group, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
		long:        "The specified group: " + long + ", is longer than group max length: 120",
		long[1:]:    "", "CID_ONS-HTTP-PROXY": "",
	} {
		require.Equal(t, want, ValidateName(name))
	}
}

func TestReplaceMakesTheTableTheMasters(t *testing.T) {
	tab := empty(t)
	require.NoError(t, tab.SetForbidden("g", "a", ForbidRead, true))
	c := body.NewSubscriptionGroupConfig("m")
	version := body.DataVersion{Counter: 77, Timestamp: 5}
	require.NoError(t, tab.Replace(&body.SubscriptionGroupWrapper{DataVersion: version,
		ForbiddenTable: map[string]map[string]int32{"m": {"t": 4}}, SubscriptionGroupTable: map[string]*body.SubscriptionGroupConfig{"m": &c}}))
	require.Equal(t, version, tab.DataVersion())
	require.Equal(t, 1, tab.Len())
	require.Zero(t, tab.Forbidden("g", "a"))
	require.Equal(t, ForbidRead, tab.Forbidden("m", "t"))
	require.Len(t, tab.Page(0, 10), 1)
}

func BenchmarkGet(b *testing.B) {
	tab := empty(b)
	names := make([]string, 1024)
	for i := range names {
		names[i] = fmt.Sprintf("group-%d", i)
		tab.Get(names[i])
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if tab.Get(names[i&1023]) == nil || tab.Forbidden(names[i&1023], "topic") != 0 {
				b.Error("wrong")
			}
		}
	})
}
