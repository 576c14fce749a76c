package body

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

func TestDialectIsReadAndWritten(t *testing.T) {
	var r TopicRouteData
	require.NoError(t, Unmarshal([]byte(`{"brokerDatas":[{"brokerAddrs":{0:"1.2.3.4:10911", -1 :"x"},"brokerName":"b","cluster":"c"}],"queueDatas":[{"brokerName":"b","perm":6}]}`), &r))
	require.Equal(t, IntMap[string]{0: "1.2.3.4:10911", -1: "x"}, r.BrokerDatas[0].BrokerAddrs)
	b, err := Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(b), `"brokerAddrs":{"-1":"x","0":"1.2.3.4:10911"}`)

	mq := message.MessageQueue{Topic: `T{"`, BrokerName: "b", QueueID: 3}
	s := TopicStatsTable{OffsetTable: QueueMap[TopicOffset]{mq: {MaxOffset: 5}}, TopicPutTps: 1}
	b, err = Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T{\""}:{"lastUpdateTimestamp":0,"maxOffset":5,"minOffset":0}},"topicPutTps":1.0}`, string(b))
	var back TopicStatsTable
	require.NoError(t, Unmarshal(b, &back))
	require.Equal(t, s, back)
	require.NoError(t, Unmarshal([]byte(`{"offsetTable":{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"T\"}":{"$ref":"$.x"}}}`), &back))
	require.Len(t, back.OffsetTable, 1)
}

func TestSonicIsNotReplacedByTheStandardLibrary(t *testing.T) {
	b, err := api.Marshal(map[string]any{"a": QueueMap[int]{{Topic: "t"}: 1}})
	require.NoError(t, err)
	require.False(t, json.Valid(b), "bare object keys got lost")
	b, err = Marshal(KVTable{})
	require.NoError(t, err)
	require.Equal(t, `{"table":{}}`, string(b))
}

func TestHeartbeatOfOtherClientsIsRead(t *testing.T) {
	var h HeartbeatData
	require.NoError(t, Unmarshal([]byte(`{"clientID":"c","consumerDataSet":[{"consumeFromWhere":4,"consumeType":1,"groupName":"g","messageModel":1,
		"subscriptionDataSet":[{"classFilterMode":false,"codeSet":["2598919",-3],"subString":"*","subVersion":"1494","tagsSet":[],"topic":"T"}]}],"producerDataSet":[]}`+"\n"), &h))
	c := h.ConsumerDataSet[0]
	require.Equal(t, ConsumeFromFirstOffset, c.ConsumeFromWhere)
	require.Equal(t, ConsumePassively, c.ConsumeType)
	require.Equal(t, Clustering, c.MessageModel)
	require.Equal(t, CodeSet{2598919, -3}, c.SubscriptionDataSet[0].CodeSet)
	require.Equal(t, Int(1494), c.SubscriptionDataSet[0].SubVersion)
}

func TestGroupTakesDefaultsForMissingFields(t *testing.T) {
	var g SubscriptionGroupConfig
	require.NoError(t, Unmarshal([]byte(`{"groupName":"g","retryMaxTimes":3}`), &g))
	want := NewSubscriptionGroupConfig("g")
	want.RetryMaxTimes = 3
	require.Equal(t, want, g)
}

func TestPrettyIsJavas(t *testing.T) {
	b, err := MarshalPretty(DelayOffsetTable{OffsetTable: IntMap[int64]{1: 5}})
	require.NoError(t, err)
	require.Equal(t, "{\n\t\"dataVersion\":{\n\t\t\"counter\":0,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":0\n\t},\n\t\"offsetTable\":{\n\t\t\"1\":5\n\t}\n}", string(b))
}

func TestCompressedRegistrationRoundTrip(t *testing.T) {
	topic := NewTopicConfig("T")
	topic.Attributes["+k"] = "a b"
	r := RegisterBrokerBody{FilterServerList: []string{"f"}, TopicConfigSerializeWrapper: TopicConfigAndMappingSerializeWrapper{
		DataVersion: DataVersion{Counter: 3}, TopicConfigTable: map[string]*TopicConfig{"T": &topic},
		TopicQueueMappingInfoMap: map[string]Raw{"M": Raw(`{"topic":"M"}`)}}}
	b, err := r.EncodeCompressed()
	require.NoError(t, err)
	var back RegisterBrokerBody
	require.NoError(t, back.DecodeCompressed(b, true))
	require.Equal(t, r, back)
	require.Error(t, back.DecodeCompressed(b[:len(b)/2], true))
}

// TestMalformedTextIsAnError has what an option of sonic (NoValidateJSONSkip) let pass, or panicked at: errors in
// fields that are skipped.
func TestMalformedTextIsAnError(t *testing.T) {
	deep := strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1)
	deepList := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	for _, text := range []string{``, ` `, `{"x":{"a":tru}, "counter":1}`, `{"a":1,}`, `{"a":1}garbage`, `{"x":"\u12`, `{"x":{"a":"b`, `{"x":` + deepList + `}`, `{`, `}`, `[`, `{"x":{"a":tru}}`, `{"x":[1,2}`, `{"x":"`, `{"x":"\`, `{"x":"\u12"}`, `{"x":1,}`, `{"x":1}x`, `{"x"}`, `{"x":}`,
		`{"x":{"a":1,}}`, `{"x":[1,]}`, `{"x":nul}`, `{"x":0x1}`, `{"x":1e}`, `{x:1}`, `{"x":{{"a":1}}}`, `{"x":{"a":1}{"b":1}}`, "{\"x\":\"\x01\"", deep} {
		for class, v := range javaClasses {
			require.Error(t, Unmarshal([]byte(text), v()), "%s %s", class, text)
		}
	}
}

// FuzzUnmarshal: whatever is read can be written, and what was written is read again as the same.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:{"maxOffset":1}}}`))
	f.Add([]byte(`{"brokerDatas":[{"brokerAddrs":{0:"x"}}]}`))
	f.Add([]byte(`{"offsetTable":{"{\"queueId\":}":{"maxOffset":1}}}`))
	golden, err := os.ReadFile("testdata/bodies.golden")
	require.NoError(f, err)
	for line := range bytes.Lines(golden) {
		if i := bytes.LastIndexByte(line, '\t'); bytes.Contains(line, []byte("\tfilled\t")) {
			f.Add(line[i+1:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for class, v := range javaClasses {
			v, again := v(), v()
			if Unmarshal(b, v) != nil {
				continue
			}
			once, err := Marshal(v)
			require.NoError(t, err, class)
			require.NoError(t, Unmarshal(once, again), "%s %s", class, once)
			twice, err := Marshal(again)
			require.NoError(t, err, class)
			require.Equal(t, string(once), string(twice), class)
			_, err = MarshalPretty(v)
			require.NoError(t, err, class)
		}
	})
}

// FuzzDecodeCompressed takes its input as it is, and as what was compressed: the checksum would stop most of it else.
func FuzzDecodeCompressed(f *testing.F) {
	golden, err := os.ReadFile("testdata/bodies.golden")
	require.NoError(f, err)
	_, text, found := bytes.Cut(golden, []byte("\tdeflated\t"))
	require.True(f, found)
	text, _, _ = bytes.Cut(text, []byte("\n"))
	deflated, err := hex.DecodeString(string(text))
	require.NoError(f, err)
	f.Add(deflated)
	z, err := zlib.NewReader(bytes.NewReader(deflated))
	require.NoError(f, err)
	inflated, err := io.ReadAll(z)
	require.NoError(f, err)
	f.Add(inflated)
	f.Fuzz(func(t *testing.T, b []byte) {
		var asIs, r, again RegisterBrokerBody
		_ = asIs.DecodeCompressed(b, true)
		var out bytes.Buffer
		w := zlib.NewWriter(&out)
		_, err := w.Write(b)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		if r.DecodeCompressed(out.Bytes(), true) != nil {
			return
		}
		once, err := r.EncodeCompressed()
		require.NoError(t, err)
		require.NoError(t, again.DecodeCompressed(once, true))
	})
}
