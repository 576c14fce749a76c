package client

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/internal/conntest"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/order"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// memory is a store with one queue whose bounds are given.
type memory struct {
	low  int64
	warm bool
}

func (m *memory) MinOffset(string, int32) int64      { return m.low }
func (m *memory) MaxOffset(string, int32) int64      { return m.low + 10 }
func (m *memory) InMemory(string, int32, int64) bool { return m.warm }

// world is everything the handlers need, behind a mux.
type world struct {
	t       *testing.T
	m       *mux.Mux
	o       Options
	topics  *topic.Table
	store   *memory
	opaque  int32
	session map[*conntest.Conn]*mux.Session
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	w := &world{t: t, m: mux.New(mux.Options{}), store: &memory{}, session: map[*conntest.Conn]*mux.Session{}}
	var err error
	w.topics, err = topic.Open(topic.Options{Path: filepath.Join(dir, "topics.json"), BrokerName: "b", ClusterName: "c", AutoCreateTopicEnable: true, DefaultTopicQueueNums: 8})
	require.NoError(t, err)
	groups, err := group.Open(group.Options{Path: filepath.Join(dir, "subscriptionGroup.json"), AutoCreateSubscriptionGroup: true})
	require.NoError(t, err)
	offsets, err := offset.Open(offset.Options{Path: filepath.Join(dir, "consumerOffset.json"), UseServerSideResetOffset: true})
	require.NoError(t, err)
	sessions := session.Open(session.Options{})
	w.o = Options{Topics: w.topics, Groups: groups, Offsets: offsets, Sessions: sessions, Locks: order.New(nil), Store: w.store}
	w.serve()
	t.Cleanup(func() {
		w.m.Close()
		sessions.Close()
		require.NoError(t, w.topics.Close())
		require.NoError(t, groups.Close())
	})
	return w
}

func (w *world) serve() {
	lane := w.m.NewLane(mux.LaneOptions{Name: "test", Workers: 2, Capacity: 100})
	w.m.Add(New(w.o).Routes(lane, lane, lane)...)
}

func (w *world) call(c *conntest.Conn, code int32, ext protocol.Ext, text string) *protocol.Command {
	w.t.Helper()
	s := w.session[c]
	if s == nil {
		s = w.m.Open(c)
		w.session[c] = s
	}
	w.opaque++
	req := &protocol.Command{Code: code, Opaque: w.opaque, Version: protocol.Version, Ext: ext}
	if text != "" {
		req.Body = []byte(text)
	}
	require.NoError(w.t, s.Frame(frame.Append(nil, req)))
	deadline := time.After(10 * time.Second)
	for {
		select {
		case resp := <-c.Sent:
			if resp.IsResponse() {
				require.Equal(w.t, w.opaque, resp.Opaque)
				return resp
			}
		case <-deadline:
			require.FailNow(w.t, "no answer")
		}
	}
}

func (w *world) want(resp *protocol.Command, code int32, remark string) {
	w.t.Helper()
	require.Equal(w.t, code, resp.Code, resp.Remark)
	require.Equal(w.t, remark, resp.Remark)
}

func ext(pairs ...string) protocol.Ext {
	var e protocol.Ext
	for i := 0; i < len(pairs); i += 2 {
		e = append(e, protocol.Field{Key: pairs[i], Value: pairs[i+1]})
	}
	return e
}

func heartbeatBody(client, group string, print int32, without bool, topics ...string) string {
	subs := ""
	for i, t := range topics {
		if i > 0 {
			subs += ","
		}
		subs += fmt.Sprintf(`{"topic":%q,"subString":"*","subVersion":"1"}`, t) // as client-cpp sends it
	}
	return fmt.Sprintf(`{"clientID":%q,"consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":%q,"messageModel":1,"subscriptionDataSet":[%s],"unitMode":true}],"heartbeatFingerprint":%d,"producerDataSet":[{"groupName":"P"}],"withoutSub":%t}`,
		client, group, subs, print, without)
}

func TestHeartbeatMakesGroupAndRetryTopic(t *testing.T) {
	w := newWorld(t)
	orders := body.NewTopicConfig("Orders")
	orders.Order = true
	_, err := w.topics.Update(&orders)
	require.NoError(t, err)
	c := conntest.New(1)
	resp := w.call(c, protocol.HeartBeat, nil, heartbeatBody("A", "g", 0, false, "Orders", "t"))
	w.want(resp, protocol.Success, "")
	require.Equal(t, ext("IS_SUPPORT_HEART_BEAT_V2", "true", "IS_SUB_CHANGE", "true"), resp.Ext)
	require.Equal(t, &body.TopicConfig{TopicName: "%RETRY%g", Perm: 6, ReadQueueNums: 1, WriteQueueNums: 1, TopicSysFlag: topic.SysFlagUnitSub, Order: true,
		TopicFilterType: body.SingleTag, Attributes: map[string]string{}}, w.topics.Get("%RETRY%g"))
	require.True(t, w.o.Groups.Contains("g"))
	require.Equal(t, "A", w.o.Sessions.PickProducer("P").ClientID)
	sub, known, _ := w.o.Sessions.Find("g", "t")
	require.True(t, known && sub.All)

	version := w.topics.DataVersion()
	resp = w.call(c, protocol.HeartBeat, nil, heartbeatBody("A", "g", 7, false, "Orders", "t"))
	require.Equal(t, ext("IS_SUPPORT_HEART_BEAT_V2", "true", "IS_SUB_CHANGE", "true"), resp.Ext, "another fingerprint")
	resp = w.call(c, protocol.HeartBeat, nil, heartbeatBody("A", "g", 7, true))
	require.Equal(t, ext("IS_SUPPORT_HEART_BEAT_V2", "true", "IS_SUB_CHANGE", "false"), resp.Ext)
	require.True(t, w.topics.IsOrder("%RETRY%g"))
	require.Equal(t, version, w.topics.DataVersion())
	sub, _, _ = w.o.Sessions.Find("g", "t")
	require.NotNil(t, sub)
}

func TestHeartbeatRefusesWhatItCannotUse(t *testing.T) {
	w := newWorld(t)
	c := conntest.New(1)
	for _, text := range []string{"", "xx", "{}", "[]"} {
		require.EqualValues(t, protocol.SystemError, w.call(c, protocol.HeartBeat, nil, text).Code, text)
	}
	w.want(w.call(c, protocol.HeartBeat, nil, heartbeatBody("A", "bad group", 0, false, "t")), protocol.Success, "")
	require.Nil(t, w.o.Sessions.Group("bad group"))
	require.Nil(t, w.topics.Get("%RETRY%bad group"))
}

func TestPullConsumersCanBeRejected(t *testing.T) {
	w := newWorld(t)
	w.o.Settings.RejectPullConsumer = true
	w.m.Close()
	w.m = mux.New(mux.Options{})
	w.serve()
	c := conntest.New(1)
	w.call(c, protocol.HeartBeat, nil, `{"clientID":"A","consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_ACTIVELY"},{"groupName":"h","consumeType":"CONSUME_PASSIVELY"}]}`)
	require.Nil(t, w.o.Sessions.Group("g"))
	require.NotNil(t, w.o.Sessions.Group("h"))
}

func TestConsumerListAndUnregister(t *testing.T) {
	w := newWorld(t)
	a, b := conntest.New(1), conntest.New(2)
	w.call(a, protocol.HeartBeat, nil, heartbeatBody("A", "g", 0, false, "t"))
	w.call(b, protocol.HeartBeat, nil, heartbeatBody("B", "g", 0, false, "t"))
	resp := w.call(a, protocol.GetConsumerListByGroup, ext("consumerGroup", "g"), "")
	w.want(resp, protocol.Success, "")
	require.Equal(t, `{"consumerIdList":["A","B"]}`, string(resp.Body))
	w.want(w.call(a, protocol.GetConsumerListByGroup, ext("consumerGroup", "none"), ""), protocol.SystemError, "no consumer for this group, none")
	w.want(w.call(b, protocol.UnregisterClient, ext("clientID", "B", "consumerGroup", "g", "producerGroup", "P"), ""), protocol.Success, "")
	require.Equal(t, []string{"A"}, w.o.Sessions.ConsumerIDs("g"))
	require.Len(t, w.o.Sessions.Producers("P"), 1)
	w.want(w.call(b, protocol.UnregisterClient, ext("clientID", "B", "consumerGroup", "unknown"), ""), protocol.Success, "")
	require.False(t, w.o.Groups.Contains("unknown"))
}

// The texts are those Java 5.5.0 answered.
func TestOffsets(t *testing.T) {
	w := newWorld(t)
	c := conntest.New(1)
	fresh := body.NewTopicConfig("T")
	_, err := w.topics.Update(&fresh)
	require.NoError(t, err)
	require.NotNil(t, w.o.Groups.Get("g"))
	update := func(group, topic string, more ...string) *protocol.Command {
		return w.call(c, protocol.UpdateConsumerOffset, append(ext("consumerGroup", group, "topic", topic), ext(more...)...), "")
	}
	query := func(more ...string) *protocol.Command {
		return w.call(c, protocol.QueryConsumerOffset, append(ext("consumerGroup", "g", "topic", "T", "queueId", "1"), ext(more...)...), "")
	}
	w.want(update("nope", "T", "queueId", "1", "commitOffset", "5"), protocol.SubscriptionGroupNotExist, "Group nope not exist!")
	w.want(update("g", "nope", "queueId", "1", "commitOffset", "5"), protocol.TopicNotExist, "Topic nope not exist!")
	w.want(update("g", "nope", "commitOffset", "5"), protocol.TopicNotExist, "Topic nope not exist!")
	w.want(update("g", "T", "commitOffset", "5"), protocol.InvalidParameter, "QueueId is null, topic is T")
	w.want(update("g", "T", "queueId", "1"), protocol.InvalidParameter, "Offset is null, topic is T")
	require.EqualValues(t, protocol.SystemError, update("g", "T", "queueId", "x", "commitOffset", "5").Code)

	const first = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
	w.want(query(), protocol.QueryNotFound, first)
	w.store.warm = true
	resp := query()
	w.want(resp, protocol.Success, "")
	require.Equal(t, ext("offset", "0"), resp.Ext)
	w.want(query("setZeroIfNotFound", "false"), protocol.QueryNotFound, "Not found, do not set to zero, maybe this group boot first")
	w.store.low = 3
	w.want(query(), protocol.QueryNotFound, first)

	w.want(update("g", "T", "queueId", "1", "commitOffset", "5"), protocol.Success, "")
	require.Equal(t, ext("offset", "5"), query().Ext)
	require.True(t, w.o.Offsets.AssignReset("g", "T", 1, 2))
	w.want(update("g", "T", "queueId", "1", "commitOffset", "9"), protocol.Success, "Offset has been previously reset")
	require.Equal(t, ext("offset", "2"), query().Ext)
}

func TestCheckClientConfig(t *testing.T) {
	w := newWorld(t)
	c := conntest.New(1)
	check := func(text string) *protocol.Command { return w.call(c, protocol.CheckClientConfig, nil, text) }
	w.want(check(""), protocol.Success, "")
	w.want(check(`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"a"}}`), protocol.Success, "")
	w.want(check(`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"a","expressionType":"TAG"}}`), protocol.Success, "")
	w.want(check(`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"a > 1","expressionType":"SQL92"}}`), protocol.SystemError,
		"The broker does not support consumer to filter message by SQL92")
}

func TestCheckClientConfigCompilesExpressions(t *testing.T) {
	w := newWorld(t)
	filters, err := filter.Open(filter.Options{Path: filepath.Join(t.TempDir(), "consumerFilter.json"), MaxErrorRate: 20, ExpectedConsumers: 32})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, filters.Close()) })
	w.m = mux.New(mux.Options{})
	w.o.Filters, w.o.Settings.PropertyFilter = filters, true
	w.serve()
	c := conntest.New(1)
	check := func(expression, kind string) *protocol.Command {
		return w.call(c, protocol.CheckClientConfig, nil, fmt.Sprintf(`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":%q,"expressionType":%q}}`, expression, kind))
	}
	w.want(check("a > 1", "SQL92"), protocol.Success, "")
	w.want(check("a > #", "TAG"), protocol.Success, "")
	w.want(check("a > #", "SQL92"), protocol.SubscriptionParseFailed,
		`org.apache.rocketmq.filter.parser.TokenMgrError: Lexical error at line 1, column 6.  Encountered: <EOF> after : ""`)
	w.want(check("a > 'x'", "SQL92"), protocol.SubscriptionParseFailed, "java.lang.RuntimeException: Value ''x'' cannot be compared.")
	w.want(check("a > 1", "XYZ"), protocol.SubscriptionParseFailed, "there is no filter for expressions of type XYZ")
}

func TestLocks(t *testing.T) {
	w := newWorld(t)
	c := conntest.New(1)
	text := func(client string) string {
		return fmt.Sprintf(`{"clientId":%q,"consumerGroup":"g","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"t"}],"onlyThisBroker":false}`, client)
	}
	resp := w.call(c, protocol.LockBatchMQ, nil, text("A"))
	w.want(resp, protocol.Success, "")
	require.JSONEq(t, `{"lockOKMQSet":[{"brokerName":"broker-a","queueId":0,"topic":"t"}]}`, string(resp.Body))
	require.Equal(t, `{"lockOKMQSet":[]}`, string(w.call(c, protocol.LockBatchMQ, nil, text("B")).Body))
	w.want(w.call(c, protocol.UnlockBatchMQ, nil, text("B")), protocol.Success, "")
	require.True(t, w.o.Locks.HasUnexpired("g"))
	w.want(w.call(c, protocol.UnlockBatchMQ, nil, text("A")), protocol.Success, "")
	require.False(t, w.o.Locks.HasUnexpired("g"))
	require.EqualValues(t, protocol.SystemError, w.call(c, protocol.LockBatchMQ, nil, "").Code)
}
