package namesrv

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// peerVariable names the address of a Java name server to write the golden file from. It must be fresh,
// with orderMessageEnable=true and supportActingMaster=true.
const peerVariable = "SKYLARK_GOLDEN_PEER"

const (
	goldenFile   = "testdata/replies.golden"
	goldenHeader = "# Replies of org.apache.rocketmq.namesrv.NamesrvStartup 5.5.0 to the requests of golden_test.go; SKYLARK_GOLDEN_PEER=host:port writes them.\n"
)

// exchange is one request of the script. Each from has a connection of its own.
type exchange struct {
	name, from string
	cmd        *protocol.Command
	unordered  bool // the body's lists have no order, as they come from Java's hash sets
	remarkless bool // the remark is an exception's text, which is not Java's business here
}

func TestRepliesAreThoseOfJava(t *testing.T) {
	addr := os.Getenv(peerVariable)
	write := addr != ""
	if !write {
		o := testOptions(t)
		o.OrderMessageEnable, o.SupportActingMaster = true, true
		addr = start(t, o).Addr()
	}
	var got strings.Builder
	got.WriteString(goldenHeader)
	clients := newClients(t, addr)
	for _, e := range goldenScript() {
		resp := clients.call(e.from, e.cmd)
		fmt.Fprintf(&got, "\n== %s\n%s", e.name, render(t, e, resp))
	}
	if write {
		require.NoError(t, os.WriteFile(goldenFile, []byte(got.String()), 0o644))
		return
	}
	want, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	wants, gots := strings.Split(string(want), "\n== "), strings.Split(got.String(), "\n== ")
	require.Len(t, gots, len(wants))
	for i := range wants {
		require.Equal(t, wants[i], gots[i])
	}
}

// render spells a reply as text: code, remark, ext fields and body.
func render(t *testing.T, e exchange, resp *protocol.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "code %d\n", resp.Code)
	if resp.Remark != "" && !e.remarkless {
		// Java leaves its initial remark on some successes.
		if resp.Code != 0 {
			fmt.Fprintf(&b, "remark %q\n", resp.Remark)
		}
	}
	ext := slices.Clone(resp.Ext)
	slices.SortFunc(ext, func(a, b protocol.Field) int { return strings.Compare(a.Key, b.Key) })
	for _, f := range ext {
		fmt.Fprintf(&b, "ext %s=%s\n", f.Key, f.Value)
	}
	body := resp.Body
	if e.unordered {
		body = sortLists(t, body)
	}
	if len(body) > 0 {
		fmt.Fprintf(&b, "body %s\n", body)
	}
	return b.String()
}

// sortLists sorts every list of strings in a standard JSON body.
func sortLists(t *testing.T, body []byte) []byte {
	var v any
	require.NoError(t, json.Unmarshal(body, &v), "%s", body)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		case []any:
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	walk(v)
	out, err := json.Marshal(v)
	require.NoError(t, err)
	return out
}

func request(code int32, body string, ext ...string) *protocol.Command {
	c := protocol.NewRequest(code, nil)
	for i := 0; i < len(ext); i += 2 {
		c.Ext = append(c.Ext, protocol.Field{Key: ext[i], Value: ext[i+1]})
	}
	if body != "" {
		c.Body = []byte(body)
	}
	return c
}

func versioned(version int32, c *protocol.Command) *protocol.Command {
	c.Version = version
	return c
}

// topicJSON spells a TopicConfig.
func topicJSON(name string, queues, perm, sysFlag int) string {
	return fmt.Sprintf(`{"attributes":{},"order":false,"perm":%d,"readQueueNums":%d,"topicFilterType":"SINGLE_TAG","topicName":"%s","topicSysFlag":%d,"writeQueueNums":%d}`,
		perm, queues, name, sysFlag, queues)
}

// versionJSON spells a DataVersion.
func versionJSON(counter, state int) string {
	return fmt.Sprintf(`{"counter":%d,"stateVersion":%d,"timestamp":1700000000000}`, counter, state)
}

// registration is what a broker sends under REGISTER_BROKER.
type registration struct {
	cluster, name, addr string
	id                  int64
	counter, state      int
	topics              []string // JSON of topic configs
	filters             string   // JSON list
	mappings            string   // JSON of topicQueueMappingInfoMap
	ext                 []string
}

func (g registration) body() string {
	table := make([]string, len(g.topics))
	for i, topic := range g.topics {
		_, rest, _ := strings.Cut(topic, `"topicName":"`)
		name, _, _ := strings.Cut(rest, `"`)
		table[i] = fmt.Sprintf("%q:%s", name, topic)
	}
	filters, mappings := g.filters, g.mappings
	if filters == "" {
		filters = "[]"
	}
	if mappings == "" {
		mappings = "{}"
	}
	return fmt.Sprintf(`{"filterServerList":%s,"topicConfigSerializeWrapper":{"dataVersion":%s,"mappingDataVersion":%s,"topicConfigTable":{%s},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":%s}}`,
		filters, versionJSON(g.counter, g.state), versionJSON(0, 0), strings.Join(table, ","), mappings)
}

func (g registration) ids() []string {
	return []string{"clusterName", g.cluster, "brokerName", g.name, "brokerAddr", g.addr, "brokerId", fmt.Sprint(g.id)}
}

func (g registration) command() *protocol.Command {
	body := g.body()
	ext := append(g.ids(), "haServerAddr", g.addr+"9", "compressed", "false", "bodyCrc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(body))&0x7fffffff))
	return request(protocol.RegisterBroker, body, append(ext, g.ext...)...)
}

// compressed is command with the body in its deflated form.
func (g registration) compressed(topics []string, mappings ...string) *protocol.Command {
	var raw bytes.Buffer
	piece := func(s string) {
		_ = binary.Write(&raw, binary.BigEndian, int32(len(s)))
		raw.WriteString(s)
	}
	piece(versionJSON(g.counter, g.state))
	_ = binary.Write(&raw, binary.BigEndian, int32(len(topics)))
	for _, topic := range topics {
		piece(topic)
	}
	piece("[]")
	_ = binary.Write(&raw, binary.BigEndian, int32(len(mappings)))
	for _, m := range mappings {
		piece(m)
	}
	var body bytes.Buffer
	w := zlib.NewWriter(&body)
	_, _ = w.Write(raw.Bytes())
	_ = w.Close()
	ext := append(g.ids(), "haServerAddr", g.addr+"9", "compressed", "true")
	return request(protocol.RegisterBroker, body.String(), append(ext, g.ext...)...)
}

func route(topic string, ext ...string) *protocol.Command {
	return request(protocol.GetRouteInfoByTopic, "", append([]string{"topic", topic}, ext...)...)
}

func members(cluster, name string) *protocol.Command {
	return request(protocol.GetBrokerMemberGroup, "", "clusterName", cluster, "brokerName", name)
}

func goldenScript() []exchange {
	script := goldenRegister()
	script = append(script, goldenRoutes()...)
	script = append(script, goldenRefused()...)
	script = append(script, goldenAdmin()...)
	script = append(script, goldenKV()...)
	return append(script, goldenLeave()...)
}

// The groups' names are such that Java's hash maps happen to keep them in their order, which is ours.
var (
	brokerA = registration{cluster: "c1", name: "shard-a", addr: "127.0.0.1:1091", counter: 1, topics: []string{
		topicJSON("TopicA", 8, 6, 0), topicJSON("TopicB", 4, 4, 1), topicJSON("TopicC", 1, 7, 2), topicJSON("TopicE", 1, 6, 3),
	}}
	slaveA  = registration{cluster: "c1", name: "shard-a", addr: "127.0.0.1:1092", id: 1, counter: 1, topics: brokerA.topics, ext: []string{"enableActingMaster", "false"}}
	brokerB = registration{cluster: "c1", name: "shard-b", addr: "127.0.0.1:1093", counter: 1, topics: brokerA.topics[:2],
		filters: `["127.0.0.1:7001","127.0.0.1:7002"]`, ext: []string{"__ZONE_NAME", "zone-1", "enableActingMaster", "true"}}
	slaveB = registration{cluster: "c1", name: "shard-b", addr: "127.0.0.1:1094", id: 2, counter: 1, topics: brokerB.topics,
		ext: []string{"__ZONE_NAME", "zone-1", "enableActingMaster", "true", "heartbeatTimeoutMillis", "60000"}}
	brokerC = registration{cluster: "c2", name: "shard-c", addr: "127.0.0.1:1095", counter: 1, topics: []string{topicJSON("TopicA", 2, 6, 0), topicJSON("TopicD", 3, 6, 0)}}
)

func goldenRegister() []exchange {
	return []exchange{
		{name: "no broker: route", from: "client", cmd: route("TopicA")},
		{name: "no broker: cluster", from: "client", cmd: request(protocol.GetBrokerClusterInfo, "")},
		{name: "no broker: topics", from: "client", cmd: request(protocol.GetAllTopicListFromNameServer, "")},
		{name: "no broker: system topics", from: "client", cmd: request(protocol.GetSystemTopicListFromNS, "")},
		{name: "no broker: members", from: "client", cmd: members("c1", "shard-a")},
		{name: "no broker: version", from: "a", cmd: request(protocol.QueryDataVersion, versionJSON(1, 0), brokerA.ids()...)},
		{name: "no broker: unregister", from: "a", cmd: request(protocol.UnregisterBroker, "", brokerA.ids()...)},
		{name: "register a", from: "a", cmd: brokerA.command()},
		{name: "register a again", from: "a", cmd: brokerA.command()},
		{name: "register slave of a", from: "a1", cmd: slaveA.command()},
		{name: "register b", from: "b", cmd: brokerB.command()},
		{name: "register slave of b", from: "b2", cmd: slaveB.command()},
		{name: "register c", from: "c", cmd: brokerC.compressed([]string{"TopicA 2 2 6 SINGLE_TAG {}", "TopicD 3 3 6 SINGLE_TAG"},
			`{"bname":"shard-c","currIdMap":{0:0},"dirty":false,"epoch":7,"scope":"__global__","topic":"TopicD","totalQueues":3}`)},
		{name: "version of a", from: "a", cmd: request(protocol.QueryDataVersion, versionJSON(1, 0), brokerA.ids()...)},
		{name: "other version of a", from: "a", cmd: request(protocol.QueryDataVersion, versionJSON(2, 0), brokerA.ids()...)},
		{name: "heartbeat of a", from: "a", cmd: request(protocol.BrokerHeartbeat, "", brokerA.ids()...)},
	}
}

func goldenRoutes() []exchange {
	return []exchange{
		{name: "route", from: "client", cmd: route("TopicA")},
		{name: "route for 4.9.3", from: "client", cmd: versioned(399, route("TopicA"))},
		{name: "route for 4.9.3 that takes standard JSON", from: "client", cmd: versioned(399, route("TopicA", "acceptStandardJsonOnly", "true"))},
		{name: "route with mapping", from: "client", cmd: route("TopicD")},
		{name: "route in a zone", from: "client", cmd: route("TopicA", "__ZONE_MODE", "true", "__ZONE_NAME", "ZONE-1")},
		{name: "route in a zone without brokers", from: "client", cmd: route("TopicA", "__ZONE_MODE", "true", "__ZONE_NAME", "nowhere")},
		{name: "route in a zone without mode", from: "client", cmd: route("TopicA", "__ZONE_NAME", "zone-1")},
		{name: "route in a blank zone", from: "client", cmd: route("TopicA", "__ZONE_MODE", "true", "__ZONE_NAME", " ")},
		{name: "route of nothing", from: "client", cmd: request(protocol.GetRouteInfoByTopic, ""), remarkless: true},
		{name: "cluster", from: "client", cmd: request(protocol.GetBrokerClusterInfo, "")},
		{name: "topics", from: "client", cmd: request(protocol.GetAllTopicListFromNameServer, ""), unordered: true},
		{name: "topics of c1", from: "client", cmd: request(protocol.GetTopicsByCluster, "", "cluster", "c1"), unordered: true},
		{name: "topics of no cluster", from: "client", cmd: request(protocol.GetTopicsByCluster, "", "cluster", "none")},
		{name: "system topics", from: "client", cmd: request(protocol.GetSystemTopicListFromNS, ""), unordered: true},
		{name: "unit topics", from: "client", cmd: request(protocol.GetUnitTopicList, ""), unordered: true},
		{name: "topics with unit subscription", from: "client", cmd: request(protocol.GetHasUnitSubTopicList, ""), unordered: true},
		{name: "non-unit topics with unit subscription", from: "client", cmd: request(protocol.GetHasUnitSubUnUnitTopicList, ""), unordered: true},
		{name: "members of a", from: "client", cmd: members("c1", "shard-a")},
		{name: "members of a in another cluster", from: "client", cmd: members("c9", "shard-a")},
	}
}

func goldenRefused() []exchange {
	bad := func(body string, ext ...string) *protocol.Command {
		return request(protocol.RegisterBroker, body, append(append(brokerA.ids(), "haServerAddr", "h"), ext...)...)
	}
	// Of a known group: Java leaves an empty one behind otherwise.
	single := registration{cluster: "c1", name: "shard-a", addr: "127.0.0.1:1096", id: 7, topics: brokerA.topics[:1]}
	newer, older := brokerA, brokerA
	newer.state, newer.counter = 5, 9
	older.addr, older.state = "127.0.0.1:1097", 4
	moved := slaveA
	moved.id = 3
	return []exchange{
		{name: "first registration with one topic", from: "s", cmd: single.command()},
		{name: "crc differs", from: "a", cmd: bad(brokerA.body(), "bodyCrc32", "1")},
		{name: "body is no JSON", from: "a", cmd: bad("{nothing"), remarkless: true},
		{name: "body is not deflated", from: "a", cmd: bad("{}", "compressed", "true"), remarkless: true},
		{name: "a raises its state version", from: "a", cmd: newer.command()},
		{name: "an older master of a is ignored", from: "x", cmd: older.command()},
		{name: "version of the older master", from: "x", cmd: request(protocol.QueryDataVersion, versionJSON(9, 5), older.ids()...)},
		{name: "members of a stay", from: "client", cmd: members("c1", "shard-a")},
		{name: "slave of a takes another id", from: "a1", cmd: moved.command()},
		{name: "members of a change", from: "client", cmd: members("c1", "shard-a")},
		{name: "unknown code", from: "client", cmd: request(9999, "")},
	}
}

func goldenAdmin() []exchange {
	queues := func(name string) string {
		return fmt.Sprintf(`{"brokerDatas":[],"filterServerTable":{},"queueDatas":[{"brokerName":"%s","perm":6,"readQueueNums":5,"topicSysFlag":0,"writeQueueNums":5}]}`, name)
	}
	return []exchange{
		{name: "wipe write of b", from: "client", cmd: request(protocol.WipeWritePermOfBroker, "", "brokerName", "shard-b")},
		{name: "route after wipe", from: "client", cmd: route("TopicA")},
		{name: "wipe write of nobody", from: "client", cmd: request(protocol.WipeWritePermOfBroker, "", "brokerName", "none")},
		{name: "add write of b", from: "client", cmd: request(protocol.AddWritePermOfBroker, "", "brokerName", "shard-b")},
		{name: "route after add", from: "client", cmd: route("TopicB")},
		{name: "register a topic", from: "client", cmd: request(protocol.RegisterTopicInNamesrv, queues("shard-a"), "topic", "TopicN")},
		{name: "register a topic of nobody", from: "client", cmd: request(protocol.RegisterTopicInNamesrv, queues("none"), "topic", "TopicM")},
		{name: "register a topic without body", from: "client", cmd: request(protocol.RegisterTopicInNamesrv, "", "topic", "TopicM")},
		{name: "route of the registered topic", from: "client", cmd: route("TopicN")},
		{name: "route of nobody's topic", from: "client", cmd: route("TopicM")},
		{name: "delete topic in a cluster", from: "client", cmd: request(protocol.DeleteTopicInNamesrv, "", "topic", "TopicA", "clusterName", "c1")},
		{name: "route after delete in a cluster", from: "client", cmd: route("TopicA")},
		{name: "delete topic", from: "client", cmd: request(protocol.DeleteTopicInNamesrv, "", "topic", "TopicN")},
		{name: "route after delete", from: "client", cmd: route("TopicN")},
		{name: "delete no topic", from: "client", cmd: request(protocol.DeleteTopicInNamesrv, "", "topic", "none", "clusterName", "none")},
		{name: "a comes with its topics again", from: "a", cmd: func() *protocol.Command {
			again := brokerA
			again.state, again.counter = 5, 9
			return again.command()
		}()},
		{name: "route after a came again", from: "client", cmd: route("TopicA")},
	}
}

func goldenKV() []exchange {
	return []exchange{
		{name: "get no value", from: "client", cmd: request(protocol.GetKVConfig, "", "namespace", "ns", "key", "k")},
		{name: "list no namespace", from: "client", cmd: request(protocol.GetKVListByNamespace, "", "namespace", "ns")},
		{name: "delete no value", from: "client", cmd: request(protocol.DeleteKVConfig, "", "namespace", "ns", "key", "k")},
		{name: "put value", from: "client", cmd: request(protocol.PutKVConfig, "", "namespace", "ns", "key", "k", "value", "v \"1\" ü")},
		{name: "get value", from: "client", cmd: request(protocol.GetKVConfig, "", "namespace", "ns", "key", "k")},
		{name: "list namespace", from: "client", cmd: request(protocol.GetKVListByNamespace, "", "namespace", "ns")},
		{name: "delete value", from: "client", cmd: request(protocol.DeleteKVConfig, "", "namespace", "ns", "key", "k")},
		{name: "get deleted value", from: "client", cmd: request(protocol.GetKVConfig, "", "namespace", "ns", "key", "k")},
		{name: "list emptied namespace", from: "client", cmd: request(protocol.GetKVListByNamespace, "", "namespace", "ns")},
		{name: "put without namespace", from: "client", cmd: request(protocol.PutKVConfig, "", "key", "k", "value", "v")},
		{name: "put without key", from: "client", cmd: request(protocol.PutKVConfig, "", "namespace", "ns", "value", "v")},
		{name: "put order of a topic", from: "client", cmd: request(protocol.PutKVConfig, "", "namespace", "ORDER_TOPIC_CONFIG", "key", "TopicB", "value", "shard-a:4;shard-b:4")},
		{name: "register c with order topics", from: "c", cmd: brokerC.command()},
		{name: "route with order", from: "client", cmd: route("TopicB")},
		{name: "route without order", from: "client", cmd: route("TopicD")},
	}
}

func goldenLeave() []exchange {
	slaveNext := slaveB
	slaveNext.counter = 2
	return []exchange{
		{name: "unregister b", from: "b", cmd: request(protocol.UnregisterBroker, "", brokerB.ids()...)},
		{name: "slave of b registers as prime", from: "b2", cmd: slaveNext.command()},
		{name: "route with acting master", from: "client", cmd: route("TopicB")},
		{name: "members without master", from: "client", cmd: members("c1", "shard-b")},
		{name: "route with acting master in a zone", from: "client", cmd: route("TopicB", "__ZONE_MODE", "true", "__ZONE_NAME", "nowhere")},
		{name: "unregister slave of b", from: "b2", cmd: request(protocol.UnregisterBroker, "", slaveB.ids()...)},
		{name: "members after all left", from: "client", cmd: members("c1", "shard-b")},
		{name: "cluster after b left", from: "client", cmd: request(protocol.GetBrokerClusterInfo, "")},
		{name: "unregister c", from: "c", cmd: request(protocol.UnregisterBroker, "", brokerC.ids()...)},
		{name: "heartbeat of c", from: "c", cmd: request(protocol.BrokerHeartbeat, "", brokerC.ids()...)},
		{name: "route after c left", from: "client", cmd: route("TopicD")},
		{name: "topics after c left", from: "client", cmd: request(protocol.GetAllTopicListFromNameServer, ""), unordered: true},
	}
}
