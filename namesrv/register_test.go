package namesrv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// step is one request of a rule's script and what its reply, as render spells it, has and lacks.
type step struct {
	from       string
	cmd        *protocol.Command
	code       int32
	has, lacks string
}

// as returns the registration with other values.
func (g registration) as(change func(g *registration)) registration {
	change(&g)
	return g
}

func unregister(g registration) *protocol.Command {
	return request(protocol.UnregisterBroker, "", g.ids()...)
}

func cluster() *protocol.Command { return request(protocol.GetBrokerClusterInfo, "") }

var (
	two    = []string{topicJSON("T1", 4, 6, 0), topicJSON("T2", 4, 6, 0)}
	master = registration{cluster: "c", name: "b", addr: "10.0.0.1:10911", counter: 1, topics: two}
	slave  = registration{cluster: "c", name: "b", addr: "10.0.0.2:10911", id: 1, counter: 1, topics: two}
)

func TestRegistrationRules(t *testing.T) {
	acting := []string{"enableActingMaster", "true"}
	for _, rule := range []struct {
		name    string
		options func(o *Options)
		steps   []step
	}{
		{"a first registration with one topic is refused and leaves nothing", nil, []step{
			{"m", master.as(func(g *registration) { g.topics = two[:1] }).command(), 1, `remark "register broker failed"`, ""},
			{"c", cluster(), 0, `{"brokerAddrTable":{},"clusterAddrTable":{}}`, ""},
			{"c", members("c", "b"), 0, `"brokerAddrs":{}`, ""},
		}},
		{"a single topic is taken from a broker that has registered", nil, []step{
			{"m", master.command(), 0, "", ""},
			{"m", master.as(func(g *registration) { g.topics, g.counter = []string{topicJSON("T3", 1, 6, 0)}, 2 }).command(), 0, "", ""},
			{"c", route("T3"), 0, `"readQueueNums":1`, ""},
			{"c", route("T1"), 0, `"readQueueNums":4`, ""},
		}},
		{"no topic at all may be a first registration", nil, []step{
			{"m", master.as(func(g *registration) { g.topics = nil }).command(), 0, "", ""},
			{"c", members("c", "b"), 0, `{0:"10.0.0.1:10911"}`, ""},
		}},
		{"no body at all may be a first registration", nil, []step{
			{"m", request(protocol.RegisterBroker, "", append(master.ids(), "haServerAddr", "h")...), 0, "", ""},
			{"m", request(protocol.QueryDataVersion, versionJSON(0, 0), master.ids()...), 0, `{"counter":0,"stateVersion":0,"timestamp":0}`, ""},
		}},
		{"an unchanged data version changes no topic", nil, []step{
			{"m", master.command(), 0, "", ""},
			{"c", request(protocol.WipeWritePermOfBroker, "", "brokerName", "b"), 0, "wipeTopicCount=2", ""},
			{"m", master.command(), 0, "", ""},
			{"c", route("T1"), 0, `"perm":4`, ""},
			{"m", master.as(func(g *registration) { g.counter = 2 }).command(), 0, "", ""},
			{"c", route("T1"), 0, `"perm":6`, ""},
		}},
		{"a topic that misses is taken whatever the data version", nil, []step{
			{"m", master.command(), 0, "", ""},
			{"c", request(protocol.DeleteTopicInNamesrv, "", "topic", "T1"), 0, "", ""},
			{"c", route("T1"), 17, "", ""},
			{"m", master.command(), 0, "", ""},
			{"c", route("T1"), 0, `"perm":6`, ""},
		}},
		{"topics of a slave do not count", nil, []step{
			{"s", slave.command(), 0, "", "masterAddr"},
			{"c", route("T1"), 17, "", ""},
			{"m", master.command(), 0, "", ""},
			{"s", slave.command(), 0, "masterAddr=10.0.0.1:10911", ""},
			{"s", slave.command(), 0, "haServerAddr=10.0.0.1:109119", ""},
			{"c", route("T1"), 0, `{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"}`, ""},
		}},
		{"topics of a prime slave count and are read only where it may stand in", nil, []step{
			{"s", slave.as(func(g *registration) { g.ext = acting }).command(), 0, "", ""},
			{"c", route("T1"), 0, `"perm":4`, ""},
			{"s2", slave.as(func(g *registration) {
				g.name, g.addr, g.ext = "b2", "10.0.0.3:10911", []string{"enableActingMaster", "false"}
			}).command(), 0, "", ""},
			{"c", route("T1"), 0, `"brokerName":"b2","perm":6`, ""},
		}},
		{"topics of the slave with the second smallest id do not count", nil, []step{
			{"s", slave.as(func(g *registration) { g.ext, g.topics = acting, nil }).command(), 0, "", ""},
			{"s2", slave.as(func(g *registration) { g.ext, g.id, g.addr = acting, 2, "10.0.0.3:10911" }).command(), 0, "", ""},
			{"c", route("T1"), 17, "", ""},
		}},
		{"an address that takes another id leaves the old one", nil, []step{
			{"s", slave.command(), 0, "", ""},
			{"s", slave.as(func(g *registration) { g.id = 0 }).command(), 0, "", ""},
			{"c", members("c", "b"), 0, `"brokerAddrs":{0:"10.0.0.2:10911"}`, ""},
			{"c", route("T1"), 0, "", ""},
		}},
		{"an older state version does not take an id from a live broker", nil, []step{
			{"m", master.as(func(g *registration) { g.state = 2 }).command(), 0, "", ""},
			{"x", master.as(func(g *registration) { g.addr, g.state = "10.0.0.9:10911", 1 }).command(), 0, "code 0\n", "ext"},
			{"c", members("c", "b"), 0, `"brokerAddrs":{0:"10.0.0.1:10911"}`, ""},
			{"x", request(protocol.QueryDataVersion, versionJSON(1, 1), master.as(func(g *registration) { g.addr = "10.0.0.9:10911" }).ids()...), 0, "changed=true", "body"},
			{"x", master.as(func(g *registration) { g.addr, g.state = "10.0.0.9:10911", 2 }).command(), 0, "", ""},
			{"c", members("c", "b"), 0, `"brokerAddrs":{0:"10.0.0.9:10911"}`, ""},
		}},
		{"an ignored broker loses the id it had", nil, []step{
			{"m", master.as(func(g *registration) { g.state = 2 }).command(), 0, "", ""},
			{"s", slave.command(), 0, "", ""},
			{"s", slave.as(func(g *registration) { g.id = 0 }).command(), 0, "", ""},
			{"c", members("c", "b"), 0, `"brokerAddrs":{0:"10.0.0.1:10911"}`, ""},
		}},
		{"topics that are missing from a registration stay", nil, []step{
			{"m", master.command(), 0, "", ""},
			{"m", master.as(func(g *registration) { g.topics, g.counter = two[1:], 2 }).command(), 0, "", ""},
			{"c", route("T1"), 0, "", ""},
		}},
		{"topics that are missing from a registration go where that is asked for", func(o *Options) { o.DeleteTopicWithBrokerRegistration = true }, []step{
			{"m", master.command(), 0, "", ""},
			{"o", master.as(func(g *registration) { g.name, g.addr = "other", "10.0.0.5:10911" }).command(), 0, "", ""},
			{"m", master.as(func(g *registration) { g.topics, g.counter = two[1:], 2 }).command(), 0, "", ""},
			{"c", route("T1"), 0, "other", `"b"`},
			{"c", route("T2"), 0, `"b"`, ""},
			{"o", unregister(master.as(func(g *registration) { g.name, g.addr = "other", "10.0.0.5:10911" })), 0, "", ""},
			{"c", route("T1"), 17, "", ""},
		}},
		{"filter servers are kept until the list is empty", nil, []step{
			{"m", master.as(func(g *registration) { g.filters = `["f:1"]` }).command(), 0, "", ""},
			{"c", route("T1"), 0, `"filterServerTable":{"10.0.0.1:10911":["f:1"]}`, ""},
			{"m", master.as(func(g *registration) { g.filters = `null` }).command(), 0, "", ""},
			{"c", route("T1"), 0, `["f:1"]`, ""},
			{"m", master.command(), 0, "", ""},
			{"c", route("T1"), 0, `"filterServerTable":{}`, ""},
		}},
		{"brokers before 3.0.11 send the topic table alone", nil, []step{
			{"m", versioned(35, request(protocol.RegisterBroker, `{"dataVersion":`+versionJSON(1, 0)+`,"topicConfigTable":{"T1":`+two[0]+`,"T2":`+two[1]+`}}`,
				append(master.ids(), "haServerAddr", "h")...)), 0, "", ""},
			{"c", route("T2"), 0, `"10.0.0.1:10911"`, ""},
		}},
		{"brokers of 5.5.0 deflate the body without saying so", nil, []step{
			{"m", func() *protocol.Command {
				cmd := master.compressed([]string{"T1 4 4 6 SINGLE_TAG {}", "T2 4 4 6 SINGLE_TAG {}"})
				for i := range cmd.Ext {
					if cmd.Ext[i].Key == "compressed" {
						cmd.Ext[i].Value = "false"
					}
				}
				return cmd
			}(), 0, "", ""},
			{"c", route("T2"), 0, `"10.0.0.1:10911"`, ""},
		}},
		{"order topics are not told where that is switched off", func(o *Options) { o.ReturnOrderTopicConfigToBroker = false }, []step{
			{"c", request(protocol.PutKVConfig, "", "namespace", orderTopicConfig, "key", "T1", "value", "b:4"), 0, "", ""},
			{"m", master.command(), 0, "", "body"},
			{"c", route("T1"), 0, "", "orderTopicConf"},
		}},
		{"a changed order of a topic shows in its route", func(o *Options) { o.OrderMessageEnable = true }, []step{
			{"m", master.command(), 0, "", ""},
			{"c", route("T1"), 0, "", "orderTopicConf"},
			{"c", request(protocol.PutKVConfig, "", "namespace", orderTopicConfig, "key", "T1", "value", "b:4"), 0, "", ""},
			{"c", route("T1"), 0, `"orderTopicConf":"b:4"`, ""},
			{"c", request(protocol.DeleteKVConfig, "", "namespace", orderTopicConfig, "key", "T1"), 0, "", ""},
			{"c", route("T1"), 0, "", "orderTopicConf"},
		}},
		{"no slave stands in where that is not supported", nil, []step{
			{"s", slave.as(func(g *registration) { g.ext = acting }).command(), 0, "", ""},
			{"c", route("T1"), 0, `{"1":"10.0.0.2:10911"}`, ""},
		}},
		{"a slave stands in for its master", func(o *Options) { o.SupportActingMaster = true }, []step{
			{"m", master.as(func(g *registration) { g.ext = acting }).command(), 0, "", ""},
			{"s", slave.as(func(g *registration) { g.ext = acting }).command(), 0, "", ""},
			{"c", route("T1"), 0, `"1":"10.0.0.2:10911"`, ""},
			{"m", unregister(master), 0, "", ""},
			{"c", route("T1"), 0, `{"0":"10.0.0.2:10911"}`, `"perm":6`},
			{"c", members("c", "b"), 0, `{1:"10.0.0.2:10911"}`, ""},
			{"m", master.as(func(g *registration) { g.ext = acting }).command(), 0, "", ""},
			{"c", route("T1"), 0, `"perm":6`, ""},
			{"s", slave.as(func(g *registration) { g.ext = []string{"enableActingMaster", "false"} }).command(), 0, "", ""},
			{"m", unregister(master), 0, "", ""},
			{"c", route("T1"), 0, `{"1":"10.0.0.2:10911"}`, `"perm":4`},
		}},
		{"topics that sync members show groups as they are", func(o *Options) { o.SupportActingMaster = true }, []step{
			{"s", slave.as(func(g *registration) {
				g.ext, g.topics = acting, []string{topicJSON("rmq_sys_SYNC_BROKER_MEMBER_b", 1, 6, 0), two[0]}
			}).command(), 0, "", ""},
			{"c", route("rmq_sys_SYNC_BROKER_MEMBER_b"), 0, `{"1":"10.0.0.2:10911"}`, ""},
			{"c", route("T1"), 0, `{"0":"10.0.0.2:10911"}`, ""},
		}},
		{"lists are refused where they are switched off", func(o *Options) { o.EnableTopicList, o.EnableAllTopicList = false, false }, []step{
			{"c", request(protocol.GetAllTopicListFromNameServer, ""), 1, `remark "disable"`, ""},
			{"c", request(protocol.GetTopicsByCluster, "", "cluster", "c"), 1, `remark "disable"`, ""},
			{"c", request(protocol.GetUnitTopicList, ""), 1, `remark "disable"`, ""},
			{"c", request(protocol.GetHasUnitSubTopicList, ""), 1, `remark "disable"`, ""},
			{"c", request(protocol.GetHasUnitSubUnUnitTopicList, ""), 1, `remark "disable"`, ""},
			{"c", request(protocol.GetSystemTopicListFromNS, ""), 0, `{"topicList":[]}`, ""},
		}},
		{"a broker in two clusters leaves both", nil, []step{
			{"m", master.command(), 0, "", ""},
			{"m", master.as(func(g *registration) { g.cluster = "c9" }).command(), 0, "", ""},
			{"c", cluster(), 0, `"clusterAddrTable":{"c":["b"],"c9":["b"]}`, ""},
			{"m", unregister(master.as(func(g *registration) { g.cluster = "c9" })), 0, "", ""},
			{"c", cluster(), 0, `"clusterAddrTable":{}`, ""},
		}},
		{"a registration without its fields is refused", nil, []step{
			{"m", request(protocol.RegisterBroker, master.body(), "brokerName", "b"), 1, "is null", ""},
			{"m", request(protocol.RegisterBroker, master.body(), append(master.ids(), "haServerAddr", "h", "brokerId", "x")...), 1, "", ""},
			{"c", cluster(), 0, `{"brokerAddrTable":{},"clusterAddrTable":{}}`, ""},
		}},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			if rule.options != nil {
				rule.options(&o)
			}
			c := newClients(t, start(t, o).Addr())
			for i, st := range rule.steps {
				resp := c.call(st.from, st.cmd)
				text := render(t, exchange{}, resp)
				require.Equal(t, st.code, resp.Code, "step %d: %s", i, text)
				require.Contains(t, text, st.has, "step %d", i)
				if st.lacks != "" {
					require.NotContains(t, text, st.lacks, "step %d", i)
				}
			}
		})
	}
}

func TestNameServersKnowNothingOfEachOther(t *testing.T) {
	t.Parallel()
	one, two := newClients(t, start(t, testOptions(t)).Addr()), newClients(t, start(t, testOptions(t)).Addr())
	one.ok("m", master.command())
	one.ok("c", route("T1"))
	require.Equal(t, protocol.TopicNotExist, two.call("c", route("T1")).Code)
	two.ok("c", request(protocol.PutKVConfig, "", "namespace", "n", "key", "k", "value", "v"))
	require.Equal(t, protocol.QueryNotFound, one.call("c", request(protocol.GetKVConfig, "", "namespace", "n", "key", "k")).Code)
}

func TestManyBrokersLeaveAtOnce(t *testing.T) {
	t.Parallel()
	c := newClients(t, start(t, testOptions(t)).Addr())
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, n := range names {
		c.ok(n, master.as(func(g *registration) { g.name, g.addr = n, n+":1" }).command())
	}
	c.ok("client", route("T1"))
	codes := make(chan int32, len(names))
	for _, n := range names {
		client, cmd := c.of[n], unregister(master.as(func(g *registration) { g.name, g.addr = n, n+":1" }))
		go func() {
			resp, err := client.Invoke(t.Context(), c.addr, cmd)
			if err != nil {
				codes <- -1
				return
			}
			codes <- resp.Code
		}()
	}
	for range names {
		require.Equal(t, protocol.Success, <-codes)
	}
	require.Equal(t, protocol.TopicNotExist, c.call("client", route("T1")).Code)
	require.Contains(t, string(c.ok("client", cluster()).Body), `"brokerAddrTable":{}`)
}
