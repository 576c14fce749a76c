// Package dashboard_test asks our NameServer and broker (or Java's, with COMPAT_PEER=java) what the pages of
// rocketmq-dashboard ask them, with the admin client of the stock tools.
package dashboard_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// limit bounds one wait. It is generous: two busy cores start a JVM slowly.
const limit = 120 * time.Second

// Codes that the dashboard branches on. Java: ResponseCode.
const (
	systemError       = 1
	noPermission      = 16
	notExist          = 17
	noMessage         = 208
	consumerNotOnline = 206
)

// Request codes. Java: RequestCode.
const (
	createUser = 3001
	listUsers  = 3005
	listACLs   = 3010
)

// pages are the events of the driver's verb dashboard by their endpoint.
type pages map[string]cluster.Event

// has requires the fields of a page to be as the text, FIELD=VALUE each.
func (p pages) has(t *testing.T, page string, want ...string) {
	t.Helper()
	e, ok := p[page]
	require.True(t, ok, "%s was not asked", page)
	require.Nil(t, e["failed"], page)
	var got []string
	for _, field := range slices.Sorted(maps.Keys(e)) {
		if field != "event" && field != "error" {
			got = append(got, field+"="+fmt.Sprint(e[field]))
		}
	}
	slices.Sort(want)
	require.Equal(t, want, got, "%s: %v", page, e)
}

// fails requires a page to get a code and a remark.
func (p pages) fails(t *testing.T, page string, code int, remark string) {
	t.Helper()
	p.has(t, page, "code="+strconv.Itoa(code))
	require.Contains(t, p[page].Str("error"), remark, page)
}

// texts returns a field that is an object of texts.
func texts(t *testing.T, e cluster.Event, field string) map[string]string {
	t.Helper()
	object, ok := e[field].(map[string]any)
	require.True(t, ok, "%s of %v", field, e)
	out := map[string]string{}
	for k, v := range object {
		out[k] = fmt.Sprint(v)
	}
	return out
}

// list returns a field that is a list, sorted.
func list(t *testing.T, e cluster.Event, field string) []string {
	t.Helper()
	items, ok := e[field].([]any)
	require.True(t, ok, "%s of %v", field, e)
	var out []string
	for _, v := range items {
		out = append(out, fmt.Sprint(v))
	}
	slices.Sort(out)
	return out
}

// TestPages walks over the pages with clients online, then offline.
func TestPages(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t, "traceTopicEnable=true",
		"authenticationMetadataProvider=org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider",
		"authorizationMetadataProvider=org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider")
	p := pages{}
	for _, e := range cluster.Java(t, cluster.ClientV5, "dashboard", c.Arg(), "timeout=300000").Wait(t, 2*limit) {
		p[e.Kind()] = e
	}
	t.Run("cluster", func(t *testing.T) { clusterPages(t, p, c) })
	t.Run("topic", func(t *testing.T) { topicPages(t, p, c) })
	t.Run("consumer", func(t *testing.T) { consumerPages(t, p) })
	t.Run("message", func(t *testing.T) { messagePages(t, p, c) })
	t.Run("collector", func(t *testing.T) { collector(t, p) })
	t.Run("access", func(t *testing.T) { access(t, p) })
	t.Run("acknowledged", func(t *testing.T) { acknowledged(t, c) })
}

func clusterPages(t *testing.T, p pages, c *cluster.Cluster) {
	name := c.Broker.Name()
	p.has(t, "cluster/list", "addr="+c.Broker.Addr(), "brokerName="+name, "cluster=DefaultCluster", "clusters=map[DefaultCluster:["+name+"]]")
	config := texts(t, p["cluster/brokerConfig"], "config")
	require.Equal(t, name, config["brokerName"])
	require.Equal(t, "true", config["traceTopicEnable"])
}

func topicPages(t *testing.T, p pages, c *cluster.Cluster) {
	name := c.Broker.Name()
	p.has(t, "topic/createOrUpdate", "listed=true")
	listed := p["topic/list"]
	require.Equal(t, c.Broker.Addr(), listed.Str("addr"))
	require.Subset(t, list(t, listed, "topics"), []string{"DashTopic", "DashFIFO", "RMQ_SYS_TRACE_TOPIC", "TBW102"})
	require.Subset(t, list(t, listed, "system"), []string{"DefaultCluster", name, "TBW102", "RMQ_SYS_TRACE_TOPIC", "SCHEDULE_TOPIC_XXXX"})
	types := texts(t, p["topic/list.queryTopicType"], "types")
	for topic, want := range map[string]string{"DashTopic": "NORMAL", "DashFIFO": "FIFO", "DashDELAY": "DELAY", "DashTRANSACTION": "TRANSACTION", "TBW102": "null"} {
		require.Equal(t, want, types[topic], topic)
	}
	p.has(t, "topic/examineTopicConfig", "topic=DashTopic", "read=4", "write=4", "perm=6", "order=false", "type=NORMAL")
	p.fails(t, "topic/examineTopicConfig of none", notExist, "No topic in this broker. topic: NoSuchTopic")
	p.has(t, "topic/sendTopicMessage", "status=map[DELAY:SEND_OK FIFO:SEND_OK TRANSACTION:SEND_OK]")
	queues := "map["
	for q := range 4 {
		queues += fmt.Sprintf("%s%d:0-3 ", name, q)
	}
	p.has(t, "topic/stats", "queues="+strings.TrimSpace(queues)+"]")
	p.has(t, "topic/route", "queues="+name+" 4 4 6 0", "addrs=map[0:"+c.Broker.Addr()+"]")
	p.fails(t, "topic/route of none", notExist, "No topic route info in name server for the topic: NoSuchTopic")
	require.Equal(t, []string{"dash_failing", "dash_group"}, list(t, p["topic/queryTopicConsumerInfo"], "groups"))
	p.has(t, "topic/queryConsumerByTopic", "queues="+strings.ReplaceAll(strings.TrimSpace(queues), "0-3", "3 of 3")+"]")
	p.has(t, "topic/deleteTopic", "listed=false")
	reset := func(offset string) string {
		return "queues=" + strings.ReplaceAll(strings.TrimSpace(queues), "0-3", offset) + "]"
	}
	p.has(t, "consumer/resetOffset", reset("0"))
	p.has(t, "consumer/skipAccumulate", reset("3"))
	p.has(t, "consumer/resetOffset offline", reset("0"))
}

func consumerPages(t *testing.T, p pages) {
	groups := texts(t, p["consumer/groupList"], "groups")
	require.Equal(t, "behind 0, 1 CLUSTERING CONSUME_PASSIVELY", groups["dash_group"])
	require.Contains(t, groups["dash_failing"], ", 1 CLUSTERING CONSUME_PASSIVELY")
	require.Equal(t, "not found, no route", groups["SELF_TEST_C_GROUP"], "a group that never was online has no retry topic")
	connection := p["consumer/consumerConnection"]
	require.Contains(t, connection.Str("id"), "@dash_group")
	for field, want := range map[string]string{"language": "JAVA", "type": "CONSUME_PASSIVELY", "model": "CLUSTERING", "from": "CONSUME_FROM_FIRST_OFFSET",
		"topics": "[%RETRY%dash_group DashTopic]", "expression": "TAG * [] []", "subVersion": "true"} {
		require.Equal(t, want, fmt.Sprint(connection[field]), field)
	}
	require.Positive(t, connection.Int("version"))
	p.has(t, "consumer/consumerRunningInfo", "queues=4", "topics=[%RETRY%dash_group DashTopic]", "start=true", "jstack=false")
	p.has(t, "consumer/consumerRunningInfo with jstack", "jstack=true")
	p.fails(t, "consumer/consumerRunningInfo of none", systemError, "The Consumer <dash_group> <nobody@1> not online")
	require.Contains(t, list(t, p["consumer/queryTopicByConsumer"], "topics"), "DashTopic")
	p.fails(t, "consumer/consumerConnection of none", consumerNotOnline, "not online")
	made := p["consumer/createOrUpdate"]
	require.Equal(t, true, made["same"], made.Str("got"))
	p.has(t, "consumer/deleteSubGroup", "left=false")
	producer := p["producer/producerConnection"]
	require.Equal(t, "JAVA", producer.Str("language"))
	require.True(t, strings.HasPrefix(producer.Str("addr"), "127.0.0.1:") && producer.Str("id") != "" && producer.Int("version") > 0, "%v", producer)
	p.fails(t, "producer/producerConnection of none", systemError, "the producer group[nobody] not exist")
}

func messagePages(t *testing.T, p pages, c *cluster.Cluster) {
	p.has(t, "message/queryMessageByTopicAndKey", "body=body 1", "id=true")
	p.fails(t, "message/queryMessageByTopicAndKey of none", noMessage, "query message by key finished, but no message.")
	p.has(t, "message/viewMessage", "body=body 1", "tags=tag", "keys=key1", "queueId=1", "queueOffset=0", "storeHost="+c.Broker.Addr(), "bornHost=127.0.0.1",
		"tracks=map[dash_failing:CONSUMED_BUT_FILTERED dash_group:CONSUMED]")
	p.fails(t, "message/viewMessage of none", noMessage, "no message")
	p.has(t, "message/viewMessage offline", "tracks=map[dash_failing:CONSUMED_BUT_FILTERED dash_group:NOT_ONLINE]")
	p.has(t, "message/consumeMessageDirectly", "result=CR_SUCCESS", "order=false", "autoCommit=true")
	p.fails(t, "message/consumeMessageDirectly of none", systemError, "The Consumer <dash_group> <nobody@1> not online")
	p.has(t, "message/queryMessagePageByTopic", "all=12", "exact=12", "before=0", "after=0")
	require.Equal(t, []string{"Pub", "SubAfter", "SubBefore"}, list(t, p["messageTrace/viewMessageTraceDetail"], "kinds"))
	p.fails(t, "dlqMessage/query of none", notExist, "No topic route info in name server for the topic: %DLQ%dash_group")
	p.has(t, "dlqMessage/query", "body=body 0", "retryTopic=DashTopic", "origin=true", "originId=true", "tags=dead", "keys=key0")
	p.has(t, "dlqMessage/batchResend", "result=CR_LATER")
}

// collector: the tasks in the dashboard's background parse these figures.
func collector(t *testing.T, p pages) {
	runtime := texts(t, p["collector"], "runtime")
	total := strings.Split(runtime["getTotalTps"], " ")
	require.Len(t, total, 3, "%q", runtime["getTotalTps"])
	for _, one := range total {
		_, err := strconv.ParseFloat(one, 64)
		require.NoError(t, err, "%q", runtime["getTotalTps"])
	}
	for _, key := range strings.Fields("putTps getTransferredTps msgPutTotalTodayNow msgPutTotalTodayMorning msgPutTotalYesterdayMorning msgGetTotalTodayNow msgGetTotalTodayMorning " +
		"msgGetTotalYesterdayMorning brokerVersionDesc putMessageDistributeTime putMessageEntireTimeMax getMessageEntireTimeMax putLatency99 putLatency999") {
		require.Contains(t, runtime, key)
	}
	put, err := strconv.Atoi(runtime["msgPutTotalTodayNow"])
	require.NoError(t, err)
	require.GreaterOrEqual(t, put, 12)
	p.fails(t, "collector of none", systemError, "The stats <TOPIC_PUT_NUMS> <NoSuchTopic> not exist")
}

// access: users and access rules. Java answers neither empty lists nor empty lists of addresses, at which the
// dashboard shows an error.
func access(t *testing.T, p pages) {
	none, anywhere := "[]", "[]"
	if cluster.PeerIsJava() {
		none, anywhere = "none", "null"
	}
	p.has(t, "acl/users of none", "users="+none)
	p.has(t, "acl/acls of none", "acls="+none)
	p.has(t, "acl/createUser", "users=[dash secret Normal enable, root power Super enable]")
	p.fails(t, "acl/createUser again", noPermission, "The user is existed")
	p.has(t, "acl/updateUser", "users=[dash changed Normal disable, root power Super enable]")
	topic := "User:dash Custom Topic:DashTopic [Pub, Sub] [10.0.0.1] Allow"
	group := "User:dash Custom Group:dash* [Pub, Sub] " + anywhere + " Allow"
	p.has(t, "acl/createAcl", "acls=["+topic+", "+group+"]")
	p.fails(t, "acl/createAcl of nobody", noPermission, "The subject of User:nobody is not exist.")
	p.has(t, "acl/acls of a subject", "acls=["+topic+", "+group+"]")
	p.has(t, "acl/acls of a resource", "acls=["+group+"]")
	topic = "User:dash Custom Topic:DashTopic [Pub, Sub] [10.0.0.0/8] Deny"
	p.has(t, "acl/updateAcl", "acls=["+topic+", "+group+"]")
	p.has(t, "acl/deleteAcl of a resource", "acls=["+topic+"]")
	p.has(t, "acl/deleteAcl", "acls="+none)
	p.has(t, "acl/deleteUser", "users=[root power Super enable]")
}

// acknowledged kills the broker behind what access has done; the program is over.
func acknowledged(t *testing.T, c *cluster.Cluster) {
	c.Broker.Kill(t)
	c.Broker.Restart(t)
	resp, err := cluster.Call(c.Broker.Addr(), listUsers, nil, nil)
	require.NoError(t, err)
	require.Equal(t, `[{"password":"power","userStatus":"enable","userType":"Super","username":"root"}]`, string(resp.Body))
}

// TestAccessWithoutProviders asks for users and access rules where there are none: each code is answered, and refused.
func TestAccessWithoutProviders(t *testing.T) {
	t.Parallel()
	b := cluster.StartBroker(t, cluster.Options{})
	for code := createUser; code <= listACLs; code++ {
		resp, err := cluster.Call(b.Addr(), code, map[string]string{"username": "dash", "subject": "User:dash"},
			[]byte(`{"password":"secret","policies":[{"entries":[{"actions":["Pub"],"decision":"Allow","resource":"*"}]}]}`))
		require.NoError(t, err)
		require.Equal(t, systemError, resp.Code, "code %d: %s", code, resp.Remark)
		if !cluster.PeerIsJava() { // Java says no more than that something went wrong
			require.Contains(t, resp.Remark, "MetadataProvider is not configured", "code %d", code)
		}
	}
}
