package broker_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/dynamic"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/fsys"
)

// shown returns what GET_BROKER_CONFIG says, and the counter of its version.
func shown(t *testing.T, c *brokertest.Client) (values map[string]string, counter int64) {
	t.Helper()
	resp := c.Call(&protocol.Command{Code: protocol.GetBrokerConfig})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	p, err := properties.Parse(resp.Body)
	require.NoError(t, err)
	var v struct{ Counter int64 }
	require.NoError(t, json.Unmarshal([]byte(brokertest.Field(t, resp, "version")), &v))
	return maps.Collect(p.All()), v.Counter
}

func update(c *brokertest.Client, lines ...string) *protocol.Command {
	return c.Call(&protocol.Command{Code: protocol.UpdateBrokerConfig, Body: []byte(strings.Join(lines, "\n") + "\n")})
}

func updated(t *testing.T, c *brokertest.Client, lines ...string) {
	t.Helper()
	resp := update(c, lines...)
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	require.Empty(t, resp.Remark)
}

func overrides(b *brokertest.Broker) string {
	return filepath.Join(b.Options.Store.StorePathRootDir, "skylark", dynamic.File)
}

// changes gives each key that may change another value than it has.
func changes(now map[string]string) []string {
	var lines []string
	odd := map[string]string{"namesrvAddr": "127.0.0.1:9", "regionId": "elsewhere", "flushDiskType": "SYNC_FLUSH", "deleteWhen": "05;17", "brokerPermission": "4",
		"timerCongestNumEachSlot": "99999", "skylarkLogLevel": "warn"}
	for _, key := range broker.DynamicKeys() {
		value, known := odd[key]
		switch was := now[key]; {
		case known:
		case was == "true" || was == "false":
			value = fmt.Sprint(was == "false")
		default:
			var n int64
			if _, err := fmt.Sscan(was, &n); err != nil {
				panic(key)
			}
			value = fmt.Sprint(n + 1)
		}
		lines = append(lines, key+" = "+value)
	}
	slices.Sort(lines)
	return lines
}

// TestEveryKeyChanges at once, is shown, moves the version by one, and is there after a restart.
func TestEveryKeyChanges(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	before, counter := shown(t, c)
	require.Zero(t, counter)
	lines := changes(before)
	updated(t, c, lines...)
	after, counter := shown(t, c)
	require.EqualValues(t, 1, counter)
	for _, line := range lines {
		key, value, _ := strings.Cut(line, " = ")
		require.Equal(t, value, after[key], key)
		delete(before, key)
	}
	for key, value := range before {
		require.Equal(t, value, after[key], "%s is not to change", key)
	}
	b.Restart()
	again, counter := shown(t, b.Dial(false))
	require.Equal(t, after, again)
	require.Zero(t, counter, "as by Java's broker")
	updated(t, b.Dial(false), "regionId=third")
	b.Restart()
	again, _ = shown(t, b.Dial(false))
	after["regionId"] = "third"
	require.Equal(t, after, again, "a later change keeps the earlier ones")
}

// TestChangesTakeEffect on the connection that is open, without a restart.
func TestChangesTakeEffect(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	send := func(topic, body string) *protocol.Command { return c.Call(brokertest.SendRequest(topic, 0, "", body)) }
	require.Equal(t, protocol.Success, send("Known", "x").Code)

	updated(t, c, "autoCreateTopicEnable=false")
	require.Equal(t, protocol.TopicNotExist, send("Unknown", "x").Code)
	updated(t, c, "autoCreateTopicEnable=TRUE")
	require.Equal(t, protocol.Success, send("Unknown", "x").Code)

	updated(t, c, "maxMessageSize=2000", "traceOn=false", "regionId=south")
	require.Equal(t, protocol.MessageIllegal, send("Known", strings.Repeat("x", 2001)).Code)
	resp := send("Known", "x")
	require.Equal(t, "south", brokertest.Field(t, resp, "MSG_REGION"))
	require.Equal(t, "false", brokertest.Field(t, resp, "TRACE_ON"))
	updated(t, c, "maxMessageSize=4000")
	require.Equal(t, protocol.Success, send("Known", strings.Repeat("x", 2001)).Code)

	half := func() int32 { return c.Call(brokertest.SendRequest("Known", 0, "TRAN_MSG\x01true\x02", "x")).Code }
	require.Equal(t, protocol.Success, half())
	updated(t, c, "rejectTransactionMessage=true")
	require.Equal(t, protocol.NoPermission, half())

	pull := func() int32 { return c.Call(brokertest.PullRequest("Known", 0, 0, "*")).Code }
	require.Equal(t, protocol.Success, pull())
	updated(t, c, "brokerPermission=2")
	require.Equal(t, protocol.NoPermission, pull())
	updated(t, c, "brokerPermission=4", "autoCreateSubscriptionGroup=false")
	require.Equal(t, protocol.Success, pull())
	require.Equal(t, protocol.SubscriptionGroupNotExist,
		c.Call(brokertest.PullRequest("Known", 0, 0, "*", protocol.Field{Key: "consumerGroup", Value: "other"})).Code)

	updated(t, c, "traceTopicEnable=true")
	require.Equal(t, protocol.Success, c.Call(&protocol.Command{Code: protocol.GetTopicConfig,
		Ext: protocol.Ext{{Key: "topic", Value: "RMQ_SYS_TRACE_TOPIC"}, {Key: "lo", Value: "true"}}}).Code)
	_, counter := shown(t, c)
	require.EqualValues(t, 8, counter)
}

// refusals are requests of which nothing may be done, by class of key (users.md, 6.4), with the code and a part
// of the remark.
var refusals = []struct {
	lines  string
	code   int32
	remark string
}{
	{"", 0, ""},
	// Java's own black list, and the user's.
	{"rocketmqHome=/tmp", protocol.NoPermission, "Can not update config in black list."},
	{"brokerConfigPath=/etc/passwd", protocol.NoPermission, "Can not update config in black list."},
	{"configBlackList=", protocol.NoPermission, "Can not update config in black list."},
	{"useTLS=true", protocol.NoPermission, "useTLS cannot change while the server runs"},
	{"shortPollingTimeMills=7", protocol.NoPermission, "Can not update config in black list."}, // see configBlackList below
	// Paths.
	{"storePathRootDir=/tmp/x", protocol.NoPermission, "storePathRootDir cannot change"},
	{"storePathCommitLog=/tmp/x", protocol.NoPermission, "storePathCommitLog cannot change"},
	// Code and plug-ins; what no key is named.
	{"filterServerNums=1", protocol.NoPermission, `there is no key "filterServerNums"`},
	{"regionID=x", protocol.NoPermission, `there is no key "regionID", did you mean regionId?`},
	{"=x", protocol.NoPermission, `there is no key ""`},
	// Identity, topology, listeners.
	{"brokerName=other", protocol.NoPermission, "brokerName cannot change"},
	{"brokerRole=SLAVE", protocol.NoPermission, "brokerRole cannot change"},
	{"listenPort=1", protocol.NoPermission, "listenPort cannot change"},
	{"skylarkHttpListen=0.0.0.0:80", protocol.NoPermission, "skylarkHttpListen cannot change"},
	// Access.
	{"authenticationEnabled=true", protocol.NoPermission, "authenticationEnabled cannot change"},
	{"authorizationEnabled=true", protocol.NoPermission, "authorizationEnabled cannot change"},
	{"initAuthenticationUser={}", protocol.NoPermission, "initAuthenticationUser cannot change"},
	// Formats on disk.
	{"mappedFileSizeCommitLog=1", protocol.NoPermission, "mappedFileSizeCommitLog cannot change"},
	{"messageDelayLevel=1s", protocol.NoPermission, "messageDelayLevel cannot change"},
	{"maxHashSlotNum=1", protocol.NoPermission, "maxHashSlotNum cannot change"},
	// What a large number would bring down.
	{"sendMessageThreadPoolNums=1000000", protocol.NoPermission, "sendMessageThreadPoolNums cannot change"},
	{"sendThreadPoolQueueCapacity=0", protocol.NoPermission, "sendThreadPoolQueueCapacity cannot change"},
	// Values.
	{"maxMessageSize=99999999", protocol.InvalidParameter, `maxMessageSize="99999999": it is no number from 1024 to`},
	{"maxMessageSize=4m", protocol.InvalidParameter, "it is no number"},
	{"autoCreateTopicEnable=yes", protocol.InvalidParameter, "it is neither true nor false"},
	{"flushDiskType=NEVER", protocol.InvalidParameter, "it is none of ASYNC_FLUSH, SYNC_FLUSH"},
	{"brokerPermission=8", protocol.InvalidParameter, "it is no permission"},
	{"namesrvAddr=nonsense", protocol.InvalidParameter, `"nonsense" is not like host:port`},
	{"namesrvAddr=;", protocol.InvalidParameter, "it names no name server"},
	{"deleteWhen=noon", protocol.InvalidParameter, "deleteWhen"},
	{"fileReservedTime=0", protocol.InvalidParameter, "it is no number"},
	{`regionId=a\nbrokerName=b`, protocol.InvalidParameter, "control character"},
	{`regionId=a\\u000a`, protocol.InvalidParameter, "backslash"},
	{"regionId=" + strings.Repeat("x", 5000), protocol.InvalidParameter, "longer than"},
	{"regionId=" + strings.Repeat("x", 1<<20), protocol.InvalidParameter, "bytes are more than"},
	{`regionId=\uZZZZ`, protocol.SystemError, "string2Properties error"},
}

// TestRefusedChangesChangeNothing, alone, behind and before what may change.
func TestRefusedChangesChangeNothing(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) {
		o.ConfigBlackList = "configBlackList;brokerConfigPath;shortPollingTimeMills"
		o.KnownKeys = properties.Keys{"useTLS"}
	})
	c := b.Dial(false)
	before, _ := shown(t, c)
	for _, r := range refusals {
		for _, lines := range [][]string{{r.lines}, {"traceOn=false", r.lines}, {r.lines, "traceOn=false"}} {
			if r.code == 0 && len(lines) > 1 {
				continue
			}
			resp := update(c, lines...)
			require.Equal(t, r.code, resp.Code, "%.99q %s", lines, resp.Remark)
			require.Contains(t, resp.Remark, r.remark, "%.99q", lines)
			after, counter := shown(t, c)
			require.Equal(t, before, after, "%.99q", lines)
			require.Zero(t, counter)
			require.NoFileExists(t, overrides(b))
		}
	}
	require.Equal(t, protocol.Success, c.Call(&protocol.Command{Code: protocol.UpdateBrokerConfig}).Code, "Java takes a request without a body")
}

// TestOverridesThatCannotBeStored change nothing.
func TestOverridesThatCannotBeStored(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	require.NoError(t, os.MkdirAll(filepath.Join(overrides(b), "in the way"), 0o755))
	before, _ := shown(t, c)
	resp := update(c, "traceOn=false")
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Contains(t, resp.Remark, "can not update config, it cannot be stored")
	after, counter := shown(t, c)
	require.Equal(t, before, after)
	require.Zero(t, counter)
	require.NoError(t, os.RemoveAll(overrides(b)))
	updated(t, c, "traceOn=false")
}

// TestOverridesThatAreBroken are replaced by their backup, and lines in them that are not allowed are left out.
func TestOverridesThatAreBroken(t *testing.T) {
	b := brokertest.Start(t)
	updated(t, b.Dial(false), "regionId=one")
	updated(t, b.Dial(false), "regionId=two")
	require.NoError(t, b.Close())
	require.NoError(t, os.WriteFile(overrides(b), []byte(`regionId=\u12`), 0o644))
	b.Broker = open(t, b.Options)
	now, _ := shown(t, b.Dial(false))
	require.Equal(t, "one", now["regionId"])
	require.NoError(t, b.Close())

	require.NoError(t, os.WriteFile(overrides(b), []byte("brokerName=other\nregionId=three\ntraceOn=7\nmaxMessageSize=1\nlistenPort=9\n"), 0o644))
	b.Broker = open(t, b.Options)
	now, _ = shown(t, b.Dial(false))
	require.Equal(t, []string{"broker-t", "three", "true", fmt.Sprint(4 << 20), fmt.Sprint(b.Options.ListenPort)},
		[]string{now["brokerName"], now["regionId"], now["traceOn"], now["maxMessageSize"], now["listenPort"]})
	require.NoError(t, b.Close())

	for _, path := range []string{overrides(b), overrides(b) + fsys.BackupSuffix} {
		require.NoError(t, os.WriteFile(path, []byte(`regionId=\u12`), 0o644))
	}
	_, err := broker.Open(b.Options)
	require.ErrorContains(t, err, "cannot load what was changed at run time")
	require.ErrorContains(t, err, dynamic.File)
}

func open(t *testing.T, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.Open(o)
	require.NoError(t, err)
	return b
}

// TestChangesComeTogether from many clients while messages are sent: each is there at the end, and the version has
// counted each.
func TestChangesComeTogether(t *testing.T) {
	b := brokertest.Start(t)
	keys := []string{"transactionTimeOut", "transactionCheckMax", "shortPollingTimeMills", "defaultQueryMaxNum"}
	const each = 5
	var wg sync.WaitGroup
	for _, key := range keys {
		c := b.Dial(false)
		wg.Go(func() {
			for i := range each {
				if resp := update(c, fmt.Sprintf("%s=%d", key, 1000+i)); resp.Code != protocol.Success {
					t.Error(resp.Remark)
				}
			}
		})
	}
	sender := b.Dial(false)
	wg.Go(func() {
		for range 20 {
			if resp := sender.Call(brokertest.SendRequest("T", 0, "", "x")); resp.Code != protocol.Success {
				t.Error(resp.Remark)
			}
		}
	})
	wg.Wait()
	now, counter := shown(t, b.Dial(false))
	require.EqualValues(t, each*len(keys), counter)
	for _, key := range keys {
		require.Equal(t, fmt.Sprint(1000+each-1), now[key])
	}
}

// TestToolsFindTheKeysThatTheyRead, each once, among those that are no settings of ours.
func TestToolsFindTheKeysThatTheyRead(t *testing.T) {
	now, _ := shown(t, brokertest.Start(t).Dial(false))
	require.Equal(t, "false", now["useTLS"])
	require.Equal(t, strconv.Itoa(runtime.NumCPU()), now["clientCallbackExecutorThreads"])
}
