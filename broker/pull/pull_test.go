package pull_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/broker/pull"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func field(k, v string) protocol.Field { return protocol.Field{Key: k, Value: v} }

func put(t *testing.T, c *brokertest.Client, topic string, queueID int, tag, body string) {
	t.Helper()
	props := ""
	if tag != "" {
		props = "TAGS\x01" + tag + "\x02"
	}
	resp := c.Call(brokertest.SendRequest(topic, queueID, props, body))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

func next(t *testing.T, resp *protocol.Command) string {
	return brokertest.Field(t, resp, "nextBeginOffset")
}

func TestStatusesAnswerAsJava(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	for i := range 5 {
		put(t, c, "T", 0, []string{"a", "b"}[i%2], fmt.Sprint(i))
	}
	for _, x := range []struct {
		offset int64
		tags   string
		code   int32
		remark string
		next   string
		bodies []string
	}{
		{0, "*", protocol.Success, "FOUND", "5", []string{"0", "1", "2", "3", "4"}},
		{1, "b || c", protocol.Success, "FOUND", "5", []string{"1", "3"}},
		{0, "zzz", protocol.PullRetryImmediately, "NO_MATCHED_MESSAGE", "5", nil},
		{5, "*", protocol.PullNotFound, "OFFSET_OVERFLOW_ONE", "5", nil},
		{9, "*", protocol.PullOffsetMoved, "OFFSET_OVERFLOW_BADLY", "5", nil},
		{-1, "*", protocol.PullOffsetMoved, "OFFSET_TOO_SMALL", "0", nil},
	} {
		resp := c.Call(brokertest.PullRequest("T", 0, x.offset, x.tags))
		require.Equal(t, x.code, resp.Code, x.remark)
		require.Equal(t, x.remark, resp.Remark)
		require.Equal(t, x.next, next(t, resp))
		require.Equal(t, "0", brokertest.Field(t, resp, "minOffset"))
		require.Equal(t, "5", brokertest.Field(t, resp, "maxOffset"))
		require.Equal(t, "0", brokertest.Field(t, resp, "suggestWhichBrokerId"))
		var bodies []string
		for _, r := range brokertest.Records(t, resp.Body) {
			bodies = append(bodies, string(r.Body))
		}
		require.Equal(t, x.bodies, bodies)
	}
	resp := c.Call(brokertest.PullRequest("T", 1, 3, "*"))
	require.Equal(t, protocol.PullOffsetMoved, resp.Code, resp.Remark)
	resp = c.Call(brokertest.PullRequest("T", 1, 0, "*"))
	require.Equal(t, protocol.PullNotFound, resp.Code, resp.Remark)
}

func TestChecksAnswerAsJava(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	put(t, c, "T", 0, "", "x")
	for _, x := range []struct {
		cmd    *protocol.Command
		code   int32
		remark string
	}{
		{brokertest.PullRequest("nope", 0, 0, "*"), protocol.TopicNotExist, "topic[nope] not exist, apply first please!"},
		{brokertest.PullRequest("T", 4, 0, "*"), protocol.InvalidParameter, "queueId[4] is illegal, topic:[T] topicConfig.readQueueNums:[4] consumer:["},
		{brokertest.PullRequest("T", 0, 0, "||"), protocol.SubscriptionParseFailed, "parse the consumer's subscription failed"},
		{brokertest.PullRequest("T", 0, 0, "a > 1", field("expressionType", "SQL92")), protocol.SystemError, "The broker does not support consumer to filter message by SQL92"},
		{brokertest.PullRequest("T", 0, 0, "*", field("sysFlag", "0")), protocol.SubscriptionNotExist, "the consumer's group info not exist"},
		{brokertest.PullRequest("T", 0, 0, "*", field("consumerGroup", "a b")), protocol.SubscriptionGroupNotExist, "subscription group [a b] does not exist"},
		{brokertest.PullRequest("T", 0, 0, "*", field("queueOffset", "x")), protocol.SystemError, "<queueOffset>"},
	} {
		resp := c.Call(x.cmd)
		require.Equal(t, x.code, resp.Code, resp.Remark)
		require.Contains(t, resp.Remark, x.remark)
	}
	lite := brokertest.PullRequest("T", 0, 0, "*")
	lite.Code = protocol.LitePullMessage
	require.Equal(t, protocol.Success, c.Call(lite).Code)
	fast := b.Dial(true)
	for _, code := range []int32{protocol.PullMessage, protocol.LitePullMessage} {
		req := brokertest.PullRequest("T", 0, 0, "*")
		req.Code = code
		require.Equal(t, protocol.RequestCodeNotSupported, fast.Call(req).Code)
	}
}

var suspend = field("sysFlag", strconv.Itoa(int(header.PullSuspend|header.PullSubscription)))

func TestHeldPullIsWokenByWhatItWants(t *testing.T) {
	b := brokertest.Start(t)
	c, waiting := b.Dial(false), b.Dial(false)
	put(t, c, "T", 0, "a", "first")
	opaque := waiting.Send(brokertest.PullRequest("T", 0, 1, "a", suspend))
	// A second pull on the same connection is answered while the first is held.
	require.Equal(t, protocol.Success, waiting.Call(brokertest.PullRequest("T", 0, 0, "a")).Code)
	put(t, c, "T", 0, "b", "not wanted")
	put(t, c, "T", 0, "a", "wanted")
	resp := waiting.Read()
	require.Equal(t, opaque, resp.Opaque)
	recs := brokertest.Records(t, resp.Body)
	require.Len(t, recs, 1)
	require.Equal(t, "wanted", string(recs[0].Body))
	require.Equal(t, "3", next(t, resp))
}

func TestHeldPullEnds(t *testing.T) {
	for _, long := range []bool{true, false} {
		b := brokertest.Start(t, func(o *broker.Options) { o.LongPollingEnable, o.ShortPollingTimeMills = long, 200 })
		c := b.Dial(false)
		put(t, c, "T", 0, "", "x")
		wait := field("suspendTimeoutMillis", "200")
		if !long {
			wait = field("suspendTimeoutMillis", "600000")
		}
		begun := time.Now()
		resp := c.Call(brokertest.PullRequest("T", 0, 1, "*", suspend, wait))
		require.Equal(t, protocol.PullNotFound, resp.Code)
		require.GreaterOrEqual(t, time.Since(begun), 200*time.Millisecond)
	}
}

func TestStopAnswersHeldPulls(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	put(t, c, "T", 0, "", "x")
	c.Send(brokertest.PullRequest("T", 0, 1, "*", suspend))
	require.Equal(t, protocol.Success, c.Call(brokertest.PullRequest("T", 0, 0, "*")).Code)
	require.NoError(t, b.Close())
	require.Equal(t, protocol.PullNotFound, c.Read().Code)
}

// TestNoArrivalIsMissed races pulls that reach the end of the queue with messages that arrive.
func TestNoArrivalIsMissed(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	put(t, c, "T", 0, "", "0")
	const n = 500
	var wg sync.WaitGroup
	for range 3 {
		puller := b.Dial(false)
		wg.Go(func() {
			for at := int64(0); at < n; {
				resp := puller.Call(brokertest.PullRequest("T", 0, at, "*", suspend, field("suspendTimeoutMillis", "600000")))
				for _, r := range brokertest.Records(t, resp.Body) {
					if string(r.Body) != strconv.FormatInt(at, 10) {
						t.Errorf("message %q at offset %d", r.Body, at)
						return
					}
					at++
				}
			}
		})
	}
	for i := 1; i < n; i++ {
		put(t, c, "T", 0, "", strconv.Itoa(i))
	}
	wg.Wait()
}

func TestPullCommitsOnce(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	put(t, c, "T", 0, "", "x")
	flags := field("sysFlag", strconv.Itoa(int(header.PullCommitOffset|header.PullSubscription)))
	require.Equal(t, protocol.Success, c.Call(brokertest.PullRequest("T", 0, 0, "*", flags, field("commitOffset", "1"))).Code)
	query := func() *protocol.Command {
		return c.Call(protocol.NewRequest(protocol.QueryConsumerOffset, header.QueryConsumerOffsetRequest{ConsumerGroup: "consumers", Topic: "T"}))
	}
	require.Equal(t, "1", brokertest.Field(t, query(), "offset"))
	b.Restart()
	c = b.Dial(false)
	require.Equal(t, "1", brokertest.Field(t, query(), "offset"))
}

func TestTagExpressions(t *testing.T) {
	for expression, want := range map[string]struct {
		ok      bool
		matches string
	}{"": {true, "x"}, "*": {true, "x"}, "x": {true, "x"}, " y||  x ": {true, "x"}, "y": {true, ""}, "||": {false, ""}, " || ": {false, ""}} {
		f, ok := pull.ParseTags(expression)
		require.Equal(t, want.ok, ok, expression)
		if ok {
			require.Equal(t, want.matches == "x", f.Match(message.TagsCode("x")), expression)
		}
	}
}

func TestPullConsumersAreRejectedWhenTheyAreNotWanted(t *testing.T) {
	b := brokertest.Start(t)
	c, early := b.Dial(false), b.Dial(false)
	put(t, c, "T", 0, "", "x")
	beat := func(c *brokertest.Client, group, kind string) {
		text := fmt.Sprintf(`{"clientID":"A","consumerDataSet":[{"groupName":%q,"consumeType":%q,"messageModel":"CLUSTERING","subscriptionDataSet":[{"topic":"T","subString":"*"}]}]}`, group, kind)
		require.Equal(t, protocol.Success, c.Call(&protocol.Command{Code: protocol.HeartBeat, Body: []byte(text)}).Code)
	}
	pull := func(c *brokertest.Client, group string) *protocol.Command {
		return c.Call(brokertest.PullRequest("T", 0, 0, "*", field("consumerGroup", group)))
	}
	beat(early, "early", "CONSUME_ACTIVELY")
	require.Equal(t, protocol.Success, pull(c, "puller").Code)
	resp := c.Call(&protocol.Command{Code: protocol.UpdateBrokerConfig, Body: []byte("rejectPullConsumerEnable=true\n")})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	beat(c, "puller", "CONSUME_ACTIVELY")
	beat(c, "pusher", "CONSUME_PASSIVELY")
	for group, want := range map[string]int32{"puller": protocol.SubscriptionNotExist, "early": protocol.SubscriptionNotExist, "pusher": protocol.Success,
		"TOOLS_CONSUMER": protocol.Success, "CID_RMQ_SYS_x": protocol.Success} {
		require.Equal(t, want, pull(c, group).Code, group)
	}
	require.Equal(t, protocol.Success, pull(early, "early").Code, "it was there before")
	require.Contains(t, pull(c, "puller").Remark, "the consumer's group info not exist, or the pull consumer is rejected by server.\nSee ")
}
