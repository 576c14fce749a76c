package admin

import (
	"errors"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func TestRoutesAreTheCodesOfThisPackage(t *testing.T) {
	m := mux.New(mux.Options{Logger: zerolog.Nop()})
	defer m.Close()
	lane := m.NewLane(mux.LaneOptions{Name: "l"})
	m.Add(New(Options{}).Routes(lane, lane)...)
	codes := m.Codes()
	slices.Sort(codes)
	require.Equal(t, []int32{12, 17, 18, 21, 25, 26, 28, 29, 30, 31, 32, 33, 43, 45, 60, 61, 200, 201, 202, 203, 204, 207, 208, 215, 225, 300, 303, 305, 306, 308, 314, 315, 316, 317, 321, 328, 329, 343, 345,
		351, 352, 353, 513, 907, 908, 1007, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 5001}, codes)
}

func TestJavasBodiesSurvive(t *testing.T) {
	kept := map[string]any{}
	for _, e := range script() {
		if e.keep {
			kept[e.name] = nil
		}
	}
	for name, v := range map[string]any{
		"system topics": new(body.TopicList), "topics at the start": new(body.TopicConfigAndMappingSerializeWrapper), "topic T1": new(body.TopicConfig),
		"groups at the start": new(body.SubscriptionGroupWrapper), "groups": new(body.SubscriptionGroupWrapper), "group G1": new(body.SubscriptionGroupConfig),
		"topic stats": new(body.TopicStatsTable), "statistic": new(body.BrokerStatsData), "consumers": new(body.ConsumerConnection),
		"producers": new(body.ProducerConnection), "all producers": new(body.ProducerTableInfo), "progress": new(body.ConsumeStats),
		"all delay offsets": new(body.DelayOffsetTable),
	} {
		require.Contains(t, kept, name)
		delete(kept, name)
		raw := javasBody(t, name)
		require.NoError(t, body.Unmarshal(raw, v), name)
		again, err := body.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, normal(t, raw), normal(t, again), name)
	}
	require.Empty(t, kept, "kept and not looked at")
}

func TestQueuesAreBareKeys(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	require.Zero(t, c.exchange(newTopic("", "T1")).Code)
	resp := c.call("tool", request(protocol.GetTopicStatsInfo, "", "topic=T1"))
	require.Contains(t, string(resp.Body), `"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T1"}:{`)
	resp = c.call("tool", request(protocol.GetConsumeStats, "", "consumerGroup=G", "topic=T1"))
	require.Contains(t, string(resp.Body), `"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T1"}:{`)
}

func TestChangedTopicsAreRegistered(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	c.exchange(newTopic("", "T1"))
	require.EqualValues(t, 1, b.registered.Load())
	version := b.o.Topics.DataVersion()
	c.exchange(newTopic("", "T1"))
	require.EqualValues(t, 1, b.registered.Load(), "nothing changed")
	require.Equal(t, version, b.o.Topics.DataVersion())
	c.call("tool", request(protocol.UpdateAndCreateTopicList, `{"topicConfigList":[{"topicName":"L1","readQueueNums":1,"writeQueueNums":1,"perm":6},`+
		`{"topicName":"L2","readQueueNums":1,"writeQueueNums":1,"perm":6}]}`))
	require.EqualValues(t, 2, b.registered.Load(), "a list is told at once")
	c.exchange(newTopic("", "bad topic"))
	require.EqualValues(t, 2, b.registered.Load())
}

func TestTopicOfClientCPPIsMade(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	resp := c.call("tool", request(protocol.UpdateAndCreateTopic, "", "topic=T1", "defaultTopic=TBW102", "readQueueNums=4", "writeQueueNums=4", "perm=6", "topicFilterType=0"))
	require.Zero(t, resp.Code, resp.Remark)
	got := b.o.Topics.Get("T1")
	require.Equal(t, body.SingleTag, got.TopicFilterType)
	require.False(t, got.Order)
	require.EqualValues(t, 4, got.ReadQueueNums)
}

func TestListGoesOnBehindAnUnchangedTopic(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	config := func(name string) string {
		return `{"attributes":{},"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"` + name + `","topicSysFlag":0,"writeQueueNums":1}`
	}
	for _, list := range []string{config("L1"), config("L1") + "," + config("L2")} {
		require.Zero(t, c.call("tool", request(protocol.UpdateAndCreateTopicList, `{"topicConfigList":[`+list+`]}`)).Code)
	}
	require.NotNil(t, b.o.Topics.Get("L2"))
	require.EqualValues(t, protocol.SystemError, c.call("tool", request(protocol.UpdateAndCreateTopicList, `{"topicConfigList":[null]}`)).Code)
	require.EqualValues(t, protocol.SystemError, c.call("tool", request(protocol.UpdateAndCreateSubscriptionGroupList, `{"groupConfigList":[null]}`)).Code)
}

func TestFlagsLiftTheirRules(t *testing.T) {
	b := startBroker(t, func(o *Options) {
		o.Settings.ValidateSystemTopicWhenUpdateTopic, o.Settings.EnableMixedMessageType, o.Settings.EnableSplitMetadata, o.Settings.ClearRetryTopicWhenDeleteTopic = false, true, false, false
	})
	c := newClients(t, b.addr)
	require.Zero(t, c.exchange(newTopic("", "SELF_TEST_TOPIC")).Code)
	require.Zero(t, c.exchange(newTopic("", "T1", "attributes=+message.type=MIXED")).Code)
	lite := c.exchange(newTopic("", "T2", "attributes=+message.type=LITE"))
	require.Equal(t, []any{protocol.InvalidParameter, "LITE message type is not supported."}, []any{lite.Code, lite.Remark})
	require.Zero(t, c.exchange(newTopic("", "T2", "attributes=+cleanup.policy=COMPACTION")).Code)
	kept := c.exchange(newTopic("", "T2", "attributes=+cleanup.policy=DELETE"))
	require.Equal(t, []any{protocol.SystemError, "attempt to update an unchangeable attribute. key: cleanup.policy"}, []any{kept.Code, kept.Remark})
	var all body.TopicConfigAndMappingSerializeWrapper
	resp := c.call("tool", request(protocol.GetAllTopicConfig, "", "topicSeq=0", "maxTopicNum=1"))
	require.NoError(t, body.Unmarshal(resp.Body, &all))
	require.Len(t, all.TopicConfigTable, b.o.Topics.Len())
	require.Zero(t, c.exchange(newTopic("", "%RETRY%G_T1")).Code)
	b.o.Offsets.Commit("", "G", "T1", 0, 1)
	require.Zero(t, c.call("tool", request(protocol.DeleteTopicInBroker, "", "topic=T1")).Code)
	require.NotNil(t, b.o.Topics.Get("%RETRY%G_T1"))
}

func TestPagesFollowEachOther(t *testing.T) {
	b := startBroker(t, func(o *Options) { o.Settings.SplitMetadataSize = 4 })
	c := newClients(t, b.addr)
	version, err := body.Marshal(b.o.Topics.DataVersion())
	require.NoError(t, err)
	seen := map[string]bool{}
	for len(seen) < b.o.Topics.Len() {
		var w body.TopicConfigAndMappingSerializeWrapper
		resp := c.call("tool", protocolPage(len(seen), string(version)))
		require.NoError(t, body.Unmarshal(resp.Body, &w))
		require.NotEmpty(t, w.TopicConfigTable)
		require.LessOrEqual(t, len(w.TopicConfigTable), 4)
		for name := range w.TopicConfigTable {
			require.False(t, seen[name])
			seen[name] = true
		}
	}
	var w body.TopicConfigAndMappingSerializeWrapper
	resp := c.call("tool", protocolPage(1000, string(version)))
	require.NoError(t, body.Unmarshal(resp.Body, &w))
	require.Empty(t, w.TopicConfigTable)
}

func protocolPage(from int, version string) *protocol.Command {
	return request(protocol.GetAllTopicConfig, "", "topicSeq="+itoa(int64(from)), "dataVersion="+version)
}

func TestUnknownGroupIsNotMadeWhenThatIsOff(t *testing.T) {
	b := startBroker(t, nil)
	b.o.Groups.SetAutoCreate(false)
	resp := newClients(t, b.addr).call("tool", request(protocol.GetSubscriptionGroupConfig, "", "group=G0"))
	require.Equal(t, protocol.SubscriptionGroupNotExist, resp.Code)
	require.Equal(t, "No group in this broker", resp.Remark)
}

func TestMessageIsReturnedAsStored(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	c.exchange(newTopic("", "T1"))
	for _, e := range messageScript() {
		if e.name == "send" {
			require.Zero(t, c.exchange(e).Code)
			break
		}
	}
	resp := c.call("tool", request(protocol.ViewMessageByID, "", "offset=0", "topic=T1"))
	require.Zero(t, resp.Code, resp.Remark)
	rec, err := message.Parse(resp.Body, true)
	require.NoError(t, err)
	require.Equal(t, "T1", rec.Topic)
	require.Equal(t, "hello", string(rec.Body))
	for _, offset := range []string{"-1", "1", "9223372036854775807"} {
		resp = c.call("tool", request(protocol.ViewMessageByID, "", "offset="+offset))
		require.Equal(t, protocol.SystemError, resp.Code)
		require.Equal(t, "can not find message by the offset, "+offset, resp.Remark)
	}
}

// brokenStore cannot delete.
type brokenStore struct{ Store }

func (brokenStore) DeleteTopic(string) error { return errors.New("disk on fire") }

func TestFailedDeletionIsTold(t *testing.T) {
	b := startBroker(t, func(o *Options) { o.Store = brokenStore{o.Store} })
	resp := newClients(t, b.addr).call("tool", request(protocol.DeleteTopicInBroker, "", "topic=T1"))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "cannot delete topic T1: disk on fire", resp.Remark)
}

func TestConfigurationHasJavasForm(t *testing.T) {
	java := javasBody(t, configBody)
	p, err := properties.Parse(java)
	require.NoError(t, err)
	var entries []properties.KV
	for k, v := range p.All() {
		entries = append(entries, properties.KV{Key: k, Value: v})
	}
	slices.Reverse(entries)
	b := startBroker(t, func(o *Options) { o.Config = func() []properties.KV { return entries } })
	resp := newClients(t, b.addr).call("tool", request(protocol.GetBrokerConfig, ""))
	require.Equal(t, string(java), string(resp.Body))
	version, ok := resp.Ext.Get("version")
	require.True(t, ok)
	require.Equal(t, `{"counter":3,"stateVersion":0,"timestamp":1700000000000}`, version)
}

// notShown are Java's figures of thread pools that this broker has no part for yet.
var notShown = []string{"EndTransactionQueueSize", "EndTransactionThreadPoolQueueCapacity", "ackThreadPoolQueueCapacity", "ackThreadPoolQueueHeadWaitTimeMills",
	"ackThreadPoolQueueSize"}

var digits = regexp.MustCompile(`-?\d+`)

func TestRuntimeInfoHasJavasKeysAndForms(t *testing.T) {
	var java, ours body.KVTable
	require.NoError(t, body.Unmarshal(javasBody(t, runtimeBody), &java))
	b := startBroker(t, nil)
	resp := newClients(t, b.addr).call("tool", request(protocol.GetBrokerRuntimeInfo, ""))
	require.NoError(t, body.Unmarshal(resp.Body, &ours))
	const perDir = "commitLogDiskRatio_"
	for _, table := range []map[string]string{java.Table, ours.Table} {
		for key, v := range table {
			if strings.HasPrefix(key, perDir) {
				delete(table, key)
				table[perDir] = v
			}
		}
	}
	require.Equal(t, "1,4", ours.Table["scheduleMessageOffset_3"])
	delete(ours.Table, "scheduleMessageOffset_3")
	// Java's broker was measured in its first minute or later, with rates over 10 s or more.
	own := map[string]bool{"putMessageDistributeTime": true, "putTps": true, "getFoundTps": true, "getMissTps": true, "getTransferredTps": true, "getTotalTps": true,
		"commitLogDirCapacity": true, "remainHowManyDataToFlush": true}
	var missing []string
	for key, v := range java.Table {
		mine, ok := ours.Table[key]
		if !ok {
			missing = append(missing, key)
			continue
		}
		delete(ours.Table, key)
		if !own[key] {
			require.Equal(t, digits.ReplaceAllString(v, "N"), digits.ReplaceAllString(mine, "N"), key)
		}
	}
	slices.Sort(missing)
	require.Equal(t, notShown, missing)
	require.Empty(t, ours.Table)
}

func TestRuntimeInfoCounts(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	table := func() map[string]string {
		var kv body.KVTable
		require.NoError(t, body.Unmarshal(c.call("tool", request(protocol.GetBrokerRuntimeInfo, "")).Body, &kv))
		return kv.Table
	}
	require.Equal(t, "null", table()["putMessageDistributeTime"])
	require.Equal(t, "0.00", table()["putLatency99"])
	require.Equal(t, "  ", table()["putTps"])
	require.Equal(t, "0.0 0.0 0.0", table()["getTotalTps"])
	b.o.Stats.Put("T1", 2, 300)
	b.o.Stats.PutTook(30*time.Millisecond, 2)
	require.Equal(t, "30", table()["putMessageEntireTimeMax"])
	require.Equal(t, "null", table()["putMessageDistributeTime"], "of the last full minute")
	require.Equal(t, "2", table()["putMessageTimesTotal"])
	require.Equal(t, "150.0", table()["putMessageAverageSize"])
	require.Equal(t, "2", table()["msgPutTotalTodayNow"])
}

func TestSizesAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 252 << 30: "252.0 GiB", math.MaxInt64: "8.0 EiB"} {
		require.Equal(t, want, readableBytes(n))
	}
	require.InDelta(t, -1, usedRatio("/no/such/folder"), 0)
	ratio := usedRatio(os.TempDir())
	require.Greater(t, ratio, 0.0)
	require.LessOrEqual(t, ratio, 1.0)
}

func TestRuntimeIsSpelledInDays(t *testing.T) {
	require.Equal(t, "[ 1 days, 2 hours, 3 minutes, 4 seconds ]", since(time.Now().Add(-(26*time.Hour + 3*time.Minute + 4*time.Second + 100*time.Millisecond))))
}
