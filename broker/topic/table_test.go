package topic

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func options(path string) Options {
	return Options{Path: path, BrokerName: "broker-a", ClusterName: "DefaultCluster", DefaultTopicQueueNums: 8, AutoCreateTopicEnable: true,
		ClusterTopicEnable: true, BrokerTopicEnable: true, TimerWheelEnable: true, ReviveQueueNum: 8}
}

func open(t testing.TB, o Options) *Table {
	t.Helper()
	tab, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tab.Close()) })
	return tab
}

func empty(t testing.TB) *Table {
	return open(t, options(filepath.Join(t.TempDir(), "config", "topics.json")))
}

func javaFile(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/topics.json")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "topics.json")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return path
}

// The names and numbers are those of the file that Java wrote at its first start.
func TestAFirstStartMakesJavasTopics(t *testing.T) {
	data, err := os.ReadFile("testdata/topics.json")
	require.NoError(t, err)
	_, java, err := decode(data)
	require.NoError(t, err)
	tab := empty(t)
	require.Equal(t, 15, tab.Len())
	for _, c := range tab.All() {
		require.Equal(t, java[c.TopicName], c)
		require.True(t, tab.IsSystem(c.TopicName))
	}
	require.Nil(t, tab.Get(Trace))
	require.True(t, tab.IsSystem(Trace))
	require.True(t, tab.IsSystem("rmq_sys_anything"))
	require.False(t, tab.IsSystem("Orders"))
	require.Zero(t, tab.DataVersion().Counter)
}

// As request code 305 answered, asked of Java 5.5.0.
func TestSystemTopicsAreJavas(t *testing.T) {
	require.ElementsMatch(t, []string{"RMQ_SYS_TRANS_HALF_TOPIC", "BenchmarkTest", "TRANS_CHECK_MAX_TIME_TOPIC", "OFFSET_MOVED_EVENT", "TBW102",
		"RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", "rmq_sys_REVIVE_LOG_DefaultCluster", "SELF_TEST_TOPIC", "DefaultCluster", "SCHEDULE_TOPIC_XXXX",
		"RMQ_SYS_TRACE_TOPIC", "DefaultCluster_REPLY_TOPIC", "rmq_sys_wheel_timer", "CHECKPOINT_TOPIC", "rmq_sys_SYNC_BROKER_MEMBER_broker-a",
		"RMQ_SYS_TRANS_OP_HALF_TOPIC", "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC", "broker-a"}, empty(t).SystemTopics())
}

func TestOptionsDecideOnTopicsAtStart(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "topics.json"))
	o.AutoCreateTopicEnable, o.ClusterTopicEnable, o.BrokerTopicEnable, o.TimerWheelEnable = false, false, false, false
	o.TraceTopicEnable, o.MsgTraceTopicName = true, "my_trace"
	tab := open(t, o)
	require.Nil(t, tab.Get(AutoCreate))
	require.Nil(t, tab.Get(TimerWheel))
	require.Equal(t, PermInherit, tab.Get("DefaultCluster").Perm)
	require.Equal(t, PermInherit, tab.Get("broker-a").Perm)
	require.NotNil(t, tab.Get("my_trace"))
	require.True(t, tab.IsSystem("my_trace"))
}

func TestAFileOfJavaIsReadAndWrittenBackEqual(t *testing.T) {
	path := javaFile(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	tab := open(t, options(path))
	require.Equal(t, body.DataVersion{Counter: 16, Timestamp: 1795231312435}, tab.DataVersion())
	require.Equal(t, &body.TopicConfig{TopicName: "Orders", Order: true, Perm: 6, ReadQueueNums: 8, WriteQueueNums: 4,
		TopicFilterType: body.SingleTag, Attributes: map[string]string{"message.type": "DELAY"}}, tab.Get("Orders"))
	require.Equal(t, body.MultiTag, tab.Get("Batch_CQ").TopicFilterType)
	require.EqualValues(t, -1, tab.Get("TNEG").ReadQueueNums)
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
	require.Equal(t, want["topicConfigTable"], got["topicConfigTable"])
	require.True(t, strings.HasPrefix(string(after), "{\n\t\"dataVersion\":{\n\t\t\"counter\":17,\n"))
}

func TestABrokenFileIsNoEmptyStart(t *testing.T) {
	for _, text := range []string{"{", "[]", "{}", `{"topicConfigTable":5}`} {
		path := filepath.Join(t.TempDir(), "topics.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := Open(options(path))
		require.ErrorContains(t, err, "topics.json", text)
	}
	path := javaFile(t)
	require.NoError(t, os.Rename(path, path+".bak"))
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.NotNil(t, open(t, options(path)).Get("Orders"), "the backup is read")
}

func TestCreateInSendTakesOverTheTemplate(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "topics.json"))
	var told []string
	o.OnChange = func(topics ...string) { told = append(told, topics...) }
	tab := open(t, o)
	name := []byte("fresh")
	alias := unsafe.String(&name[0], len(name))
	c := tab.CreateInSend(alias, AutoCreate, "1.2.3.4:5", 4, SysFlagUnit)
	copy(name, "XXXXX")
	require.Equal(t, &body.TopicConfig{TopicName: "fresh", Perm: 6, ReadQueueNums: 4, WriteQueueNums: 4, TopicSysFlag: SysFlagUnit,
		TopicFilterType: body.SingleTag, Attributes: map[string]string{}}, c)
	require.Same(t, c, tab.Get("fresh"))
	require.Same(t, c, tab.CreateInSend("fresh", AutoCreate, "", 8, 0))
	require.EqualValues(t, 8, tab.CreateInSend("wide", AutoCreate, "", 100, 0).WriteQueueNums)
	require.EqualValues(t, 0, tab.CreateInSend("none", AutoCreate, "", -3, 0).WriteQueueNums)
	require.Nil(t, tab.CreateInSend("a", "no-such-template", "", 4, 0))
	require.Nil(t, tab.CreateInSend("a", SelfTest, "", 4, 0), "not inherited from")
	tab.SetAutoCreate(false)
	require.Nil(t, tab.CreateInSend("a", AutoCreate, "", 4, 0))
	require.NotNil(t, tab.CreateInSend("a", "broker-a", "", 4, 0), "the option is about TBW102 only")
	require.Equal(t, []string{"fresh", "wide", "none", "a"}, told)
	require.EqualValues(t, 4, tab.DataVersion().Counter)
}

func TestCreatedTopicsAreOnDiskAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topics.json")
	tab := open(t, options(path))
	require.NotNil(t, tab.CreateInSend("t1", AutoCreate, "", 4, 0))
	require.NotNil(t, tab.CreateInSendBack("%RETRY%g", 1, PermRead|PermWrite, SysFlagUnitSub))
	version := tab.DataVersion()
	require.NoError(t, tab.Close())
	tab = open(t, options(path))
	require.NotNil(t, tab.Get("t1"))
	require.Equal(t, SysFlagUnitSub, tab.Get("%RETRY%g").TopicSysFlag)
	require.Equal(t, version, tab.DataVersion())
}

func TestCreateRetryFollowsTheOrderFlag(t *testing.T) {
	tab := empty(t)
	require.True(t, tab.CreateRetry("%RETRY%g", 1, 6, true, 0).Order)
	require.True(t, tab.IsOrder("%RETRY%g"))
	require.True(t, tab.CreateInSendBack("%RETRY%g", 1, 6, 0).Order, "sending back leaves it")
	first := tab.Get("%RETRY%g")
	require.False(t, tab.CreateRetry("%RETRY%g", 5, 6, false, 0).Order)
	require.EqualValues(t, 1, tab.Get("%RETRY%g").WriteQueueNums)
	require.True(t, first.Order, "what was given out does not change")
	require.EqualValues(t, 2, tab.DataVersion().Counter)
	tab.MarkOrder([]string{"%RETRY%g", "unknown"})
	require.True(t, tab.IsOrder("%RETRY%g"))
	require.False(t, tab.IsOrder("unknown"))
}

func TestConcurrentCreationMakesOneTopic(t *testing.T) {
	tab := empty(t)
	var wg sync.WaitGroup
	got := make([]*body.TopicConfig, 8)
	for i := range got {
		wg.Go(func() { got[i] = tab.CreateInSend("t", AutoCreate, "", 4, 0) })
	}
	wg.Wait()
	for _, c := range got {
		require.Same(t, got[0], c)
	}
	require.EqualValues(t, 1, tab.DataVersion().Counter)
}

func TestPagesCoverTheTable(t *testing.T) {
	tab := empty(t)
	for i := range 40 {
		tab.CreateInSend(fmt.Sprintf("page%02d", i), AutoCreate, "", 4, 0)
	}
	var names []string
	for seq := 0; seq < tab.Len(); seq += 7 {
		for _, c := range tab.Page(seq, 7) {
			names = append(names, c.TopicName)
		}
	}
	require.Len(t, names, 55)
	require.IsIncreasing(t, names)
	require.Empty(t, tab.Page(55, 7))
	require.Empty(t, tab.Page(1000, 7))
	require.Empty(t, tab.Page(0, -1))
	require.Len(t, tab.Page(-5, 1000), 55)
}

func TestValidateNameAnswersAsJava(t *testing.T) {
	long, longRetry := strings.Repeat("x", 128), "%RETRY%"+strings.Repeat("x", 249)
	for name, want := range map[string]string{
		"":          "The specified topic is blank.",
		" \t":       "The specified topic is blank.",
		"bad topic": "The specified topic: bad topic, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
		"tøpic":     "The specified topic: tøpic, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
		long:        "The specified topic: " + long + ", is longer than topic max length: 127",
		longRetry:   "The specified topic is DLQ or Retry topic: " + longRetry + ", and it's longer than topic max length: 255",
		long[1:]:    "", longRetry[:255]: "", "%DLQ%g": "", "a|b-c_d%": "",
	} {
		require.Equal(t, want, ValidateName(name))
	}
	require.True(t, NoSend(Schedule))
	require.False(t, NoSend(Trace))
	require.False(t, NoSend("Orders"))
}

func BenchmarkGet(b *testing.B) {
	tab := empty(b)
	names := make([]string, 1024)
	for i := range names {
		names[i] = fmt.Sprintf("topic-%d", i)
		tab.CreateInSend(names[i], AutoCreate, "", 4, 0)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if tab.Get(names[i&1023]) == nil || tab.IsSystem(names[i&1023]) {
				b.Error("wrong")
			}
		}
	})
}

// One of many topics changes: the cost must not depend on how many there are, but for the file.
func BenchmarkCreateAmongMany(b *testing.B) {
	tab := empty(b)
	for i := range 20000 {
		tab.CreateInSend(fmt.Sprintf("topic-%d", i), AutoCreate, "", 4, 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		tab.CreateInSend(fmt.Sprintf("more-%d", i), AutoCreate, "", 4, 0)
	}
}
