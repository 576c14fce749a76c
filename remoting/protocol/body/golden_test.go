package body

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// javaClasses is the body of each Java class in testdata/bodies.golden (scripts/golden/java/BodyGolden.java).
var javaClasses = map[string]func() any{
	"TopicConfig":                           func() any { return new(TopicConfig) },
	"DataVersion":                           func() any { return new(DataVersion) },
	"SubscriptionGroupConfig":               func() any { return new(SubscriptionGroupConfig) },
	"SubscriptionData":                      func() any { return new(SubscriptionData) },
	"ConsumerConnection":                    func() any { return new(ConsumerConnection) },
	"ProducerConnection":                    func() any { return new(ProducerConnection) },
	"BrokerData":                            func() any { return new(BrokerData) },
	"QueueData":                             func() any { return new(QueueData) },
	"TopicRouteData":                        func() any { return new(TopicRouteData) },
	"ClusterInfo":                           func() any { return new(ClusterInfo) },
	"TopicList":                             func() any { return new(TopicList) },
	"KVTable":                               func() any { return new(KVTable) },
	"GroupList":                             func() any { return new(GroupList) },
	"TopicConfigSerializeWrapper":           func() any { return new(TopicConfigSerializeWrapper) },
	"TopicConfigAndMappingSerializeWrapper": func() any { return new(TopicConfigAndMappingSerializeWrapper) },
	"SubscriptionGroupWrapper":              func() any { return new(SubscriptionGroupWrapper) },
	"RegisterBrokerBody":                    func() any { return new(RegisterBrokerBody) },
	"HeartbeatData":                         func() any { return new(HeartbeatData) },
	"GetConsumerListByGroupResponseBody":    func() any { return new(GetConsumerListByGroupResponseBody) },
	"LockBatchRequestBody":                  func() any { return new(LockBatchRequestBody) },
	"UnlockBatchRequestBody":                func() any { return new(LockBatchRequestBody) },
	"LockBatchResponseBody":                 func() any { return new(LockBatchResponseBody) },
	"TopicStatsTable":                       func() any { return new(TopicStatsTable) },
	"ConsumeStats":                          func() any { return new(ConsumeStats) },
	"BrokerMemberGroup":                     func() any { return new(BrokerMemberGroup) },
	"GetBrokerMemberGroupResponseBody":      func() any { return new(GetBrokerMemberGroupResponseBody) },
	"KVConfigSerializeWrapper":              func() any { return new(KVConfigSerializeWrapper) },
	"DelayOffsetSerializeWrapper":           func() any { return new(DelayOffsetTable) },
	"ConsumerOffsetSerializeWrapper":        func() any { return new(ConsumerOffsetTable) },
	"CheckClientRequestBody":                func() any { return new(CheckClientRequestBody) },
	"CreateTopicListRequestBody":            func() any { return new(CreateTopicListRequestBody) },
	"SubscriptionGroupList":                 func() any { return new(SubscriptionGroupList) },
	"BrokerStatsData":                       func() any { return new(BrokerStatsData) },
	"ProducerTableInfo":                     func() any { return new(ProducerTableInfo) },
	"QuerySubscriptionResponseBody":         func() any { return new(QuerySubscriptionResponseBody) },
	"ResetOffsetBody":                       func() any { return new(ResetOffsetBody) },
	"ResetOffsetBodyForC":                   func() any { return new(ResetOffsetBodyForC) },
	"GetConsumerStatusBody":                 func() any { return new(GetConsumerStatusBody) },
	"QueryCorrectionOffsetBody":             func() any { return new(QueryCorrectionOffsetBody) },
	"QueryConsumeTimeSpanBody":              func() any { return new(QueryConsumeTimeSpanBody) },
	"ConsumeStatsList":                      func() any { return new(ConsumeStatsList) },
	"QueryConsumeQueueResponseBody":         func() any { return new(QueryConsumeQueueResponseBody) },
	"MessageQueueForC":                      func() any { return new(MessageQueueForC) },
	"ConsumeQueueData":                      func() any { return new(ConsumeQueueData) },
	"GroupForbidden":                        func() any { return new(GroupForbidden) },
	"MessageQueue":                          func() any { return new(MessageQueue) },
	"GroupRetryPolicy":                      func() any { return new(GroupRetryPolicy) },
	"CustomizedRetryPolicy":                 func() any { return new(CustomizedRetryPolicy) },
	"ExponentialRetryPolicy":                func() any { return new(ExponentialRetryPolicy) },
	"SimpleSubscriptionData":                func() any { return new(SimpleSubscriptionData) },
	"Connection":                            func() any { return new(Connection) },
	"ConsumerData":                          func() any { return new(ConsumerData) },
	"ProducerData":                          func() any { return new(ProducerData) },
	"ProducerInfo":                          func() any { return new(ProducerInfo) },
	"BrokerStatsItem":                       func() any { return new(BrokerStatsItem) },
	"OffsetWrapper":                         func() any { return new(OffsetWrapper) },
	"TopicOffset":                           func() any { return new(TopicOffset) },
	"UserInfo":                              func() any { return new(UserInfo) },
	"AclInfo":                               func() any { return new(AclInfo) },
	"PolicyInfo":                            func() any { return new(PolicyInfo) },
	"PolicyEntryInfo":                       func() any { return new(PolicyEntryInfo) },
	"SubscriptionGroupManager":              func() any { return new(SubscriptionGroupWrapper) },
	"ConsumerOffsetManager":                 func() any { return new(ConsumerOffsetTable) },
}

// golden calls fn with each line of one kind: the class, a new body, and Java's text.
func golden(t *testing.T, kind string, fn func(t *testing.T, class string, v any, java string)) {
	b, err := os.ReadFile("testdata/bodies.golden")
	require.NoError(t, err)
	n := 0
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(f) != 3 || f[1] != kind {
			continue
		}
		n++
		t.Run(f[0], func(t *testing.T) {
			require.Contains(t, javaClasses, f[0])
			fn(t, f[0], javaClasses[f[0]](), f[2])
		})
	}
	require.NotZero(t, n)
}

// tree is what text in either dialect means: objects, lists, and numbers by value.
func tree(t *testing.T, text string) any {
	std, err := standard([]byte(text))
	require.NoError(t, err, text)
	var v any
	require.NoError(t, json.Unmarshal(std, &v), "%s", std)
	return v
}

// TestFilledBodiesSurvive: no field of Java's is lost on the way through our structs, none is added.
func TestFilledBodiesSurvive(t *testing.T) {
	golden(t, "filled", func(t *testing.T, class string, v any, java string) {
		require.NoError(t, Unmarshal([]byte(java), v))
		b, err := Marshal(v)
		require.NoError(t, err)
		require.Equal(t, tree(t, java), tree(t, string(b)))
		require.Equal(t, names(java), names(string(b)), "order of the fields")
	})
}

// fieldName finds the names of fields; the keys of Java's maps, whose order is another, end in digits.
var fieldName = regexp.MustCompile(`"[A-Za-z]+":`)

// names returns the names of the fields in text, but for "topic": message.MessageQueue has it first, Java last.
func names(text string) []string {
	return slices.DeleteFunc(fieldName.FindAllString(text, -1), func(s string) bool { return s == `"topic":` })
}

// TestFieldsHaveTheirNames: a round trip alone would not see two fields with each other's name.
func TestFieldsHaveTheirNames(t *testing.T) {
	for class, v := range javaClasses {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v()).Elem()) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			require.True(t, strings.EqualFold(f.Name, name), "%s.%s is %q", class, f.Name, name)
		}
	}
}

// TestBodiesOfFastjson1AreRead: peers up to 5.3 write fields that 5.5 does not, and references in them.
func TestBodiesOfFastjson1AreRead(t *testing.T) {
	filled := map[string]any{}
	golden(t, "filled", func(t *testing.T, class string, v any, java string) {
		require.NoError(t, Unmarshal([]byte(java), v))
		filled[class] = v
	})
	golden(t, "fastjson1", func(t *testing.T, class string, v any, java string) {
		require.NoError(t, Unmarshal([]byte(java), v))
		require.Equal(t, filled[class], v)
	})
}

// TestReferencesAreEmpty: a reference of fastjson 1 is read as an empty object, never as an error. No peer sends one
// in what a server reads; fastjson 2 writes the object again.
func TestReferencesAreEmpty(t *testing.T) {
	item := BrokerStatsItem{Sum: 3}
	broker := BrokerData{BrokerAddrs: IntMap[string]{0: "h:1"}, BrokerName: "b", Cluster: "c"}
	offset := TopicOffset{MaxOffset: 7}
	queue := func(id int32) MessageQueue { return MessageQueue{Topic: "T", BrokerName: "b[0]", QueueID: id} }
	route := func(second BrokerData) any {
		return &TopicRouteData{BrokerDatas: []BrokerData{broker, second}, FilterServerTable: map[string][]string{}, QueueDatas: []QueueData{}}
	}
	want := map[string]map[string]any{
		"shared1": {
			"BrokerStatsData": &BrokerStatsData{StatsDay: item},
			"TopicRouteData":  route(BrokerData{}),
			"TopicStatsTable": &TopicStatsTable{OffsetTable: QueueMap[TopicOffset]{queue(1): offset, queue(0): {}}},
		},
		"shared2": {
			"BrokerStatsData": &BrokerStatsData{StatsDay: item, StatsHour: item, StatsMinute: item},
			"TopicRouteData":  route(broker),
			"TopicStatsTable": &TopicStatsTable{OffsetTable: QueueMap[TopicOffset]{queue(1): offset, queue(0): offset}},
		},
	}
	for kind, values := range want {
		golden(t, kind, func(t *testing.T, class string, v any, java string) {
			require.NoError(t, Unmarshal([]byte(java), v))
			require.Equal(t, values[class], v)
		})
	}
}

func TestDoublesHaveJavasBytes(t *testing.T) {
	golden(t, "double", func(t *testing.T, class string, v any, java string) {
		require.NoError(t, Unmarshal([]byte(java), v))
		table := v.(*TopicStatsTable)
		if strings.HasSuffix(java, "null}") {
			table.TopicPutTps = math.NaN()
		}
		b, err := Marshal(table)
		require.NoError(t, err)
		require.Equal(t, java, string(b))
	})
	b, err := Marshal(BrokerStatsItem{Avgpt: math.Inf(-1), Tps: 2})
	require.NoError(t, err)
	require.Equal(t, `{"avgpt":null,"sum":0,"tps":2.0}`, string(b))
}

func TestStringsAreJavas(t *testing.T) {
	golden(t, "string", func(t *testing.T, class string, v any, java string) {
		require.NoError(t, Unmarshal([]byte(java), v))
		require.Len(t, v.(*KVTable).Table, 0x21+11)
		for name, value := range v.(*KVTable).Table {
			if code, err := strconv.Atoi(name[1:]); err == nil {
				require.Equal(t, string(rune(code)), value)
			} else {
				require.Equal(t, name[1:], value)
			}
		}
		b, err := Marshal(v)
		require.NoError(t, err)
		require.Equal(t, tree(t, java), tree(t, string(b)))
	})
}

// TestTopicTextIsJavas has the text form of topics in compressed registrations.
func TestTopicTextIsJavas(t *testing.T) {
	golden(t, "text", func(t *testing.T, class string, v any, java string) {
		text, decoded, _ := strings.Cut(java, "\t")
		require.NoError(t, Unmarshal([]byte(decoded), v))
		got, err := ParseTopicText(text)
		require.NoError(t, err)
		require.Equal(t, v, got)
		back, err := got.Text()
		require.NoError(t, err)
		if strings.HasSuffix(text, " ") { // Java's topic without attributes; ours are never null
			text += "{}"
		}
		require.Equal(t, text, back)
	})
}

// TestEmptyBodiesTakeJavasDefaults: fields that are missing become what Java's constructors make of them.
// Where Java leaves null, ours is empty.
func TestEmptyBodiesTakeJavasDefaults(t *testing.T) {
	golden(t, "default", func(t *testing.T, class string, v any, java string) {
		require.NoError(t, Unmarshal([]byte("{}"), v))
		b, err := Marshal(v)
		require.NoError(t, err)
		got, want := tree(t, string(b)).(map[string]any), tree(t, java).(map[string]any)
		if version, ok := got["subVersion"]; ok {
			require.Greater(t, version, 1.7e12, "the present time, which the golden has not")
			got["subVersion"] = 0.0
		}
		for name, value := range got {
			if javas, ok := want[name]; ok {
				require.Equal(t, javas, value, name)
			} else {
				require.True(t, isEmpty(value), "%s is %v", name, value)
			}
		}
		for name := range want {
			require.Contains(t, got, name)
		}
	})
}

// isEmpty reports whether a value says nothing: zero, or an object of such values.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if !isEmpty(inner) && !(name == "expressionType" && inner == "TAG") {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return v == nil || reflect.ValueOf(v).IsZero()
}

func TestConfigFilesHaveJavasLines(t *testing.T) {
	golden(t, "file", func(t *testing.T, class string, v any, java string) {
		java = strings.ReplaceAll(java, `\n`, "\n")
		require.NoError(t, Unmarshal([]byte(java), v))
		b, err := MarshalPretty(v)
		require.NoError(t, err)
		std, err := standard([]byte(java))
		require.NoError(t, err)
		require.Equal(t, lines(std), lines(b))
	})
}

// lines returns the lines of a file, sorted and without commas: Java's maps have an order of their own.
func lines(b []byte) []string {
	var out []string
	for line := range bytes.Lines(b) {
		if s := strings.TrimRight(string(line), ",\n"); s != "\t\"groupTopicMap\":{}" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

func TestJavasCompressedRegistrationIsRead(t *testing.T) {
	var filled RegisterBrokerBody
	golden(t, "filled", func(t *testing.T, class string, v any, java string) {
		if class == "RegisterBrokerBody" {
			require.NoError(t, Unmarshal([]byte(java), &filled))
		}
	})
	golden(t, "deflated", func(t *testing.T, class string, v any, java string) {
		b, err := hex.DecodeString(java)
		require.NoError(t, err)
		got := v.(*RegisterBrokerBody)
		require.NoError(t, got.DecodeCompressed(b, true))
		want, have := filled.TopicConfigSerializeWrapper, got.TopicConfigSerializeWrapper
		require.Equal(t, filled.FilterServerList, got.FilterServerList)
		require.Equal(t, want.DataVersion, have.DataVersion)
		require.Len(t, have.TopicConfigTable, len(want.TopicConfigTable))
		for _, topic := range want.TopicConfigTable { // the text form is keyed by the topics' own names
			topic.Order, topic.TopicSysFlag = false, 0 // as the golden has them: the form does not carry them
			require.Equal(t, topic, have.TopicConfigTable[topic.TopicName])
		}
		require.Len(t, have.TopicQueueMappingInfoMap, len(want.TopicQueueMappingInfoMap))
	})
}
