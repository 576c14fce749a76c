package pull_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func withSQL(o *broker.Options) { o.EnablePropertyFilter = true }

// putProps sends a message with properties, given as names and values.
func putProps(t *testing.T, c *brokertest.Client, topic, body string, pairs ...string) {
	t.Helper()
	var props []byte
	for i := 0; i < len(pairs); i += 2 {
		props = message.AppendProperty(props, pairs[i], pairs[i+1])
	}
	resp := c.Call(brokertest.SendRequest(topic, 0, string(props), body))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

// heartbeat tells the broker of a subscription of the group "consumers".
func heartbeat(t *testing.T, c *brokertest.Client, topic, kind, expression string, version int) {
	t.Helper()
	text := fmt.Sprintf(`{"clientID":"c","consumerDataSet":[{"groupName":"consumers","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",
		"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":%q,"subString":%q,"expressionType":%q,"subVersion":%d}]}]}`,
		topic, expression, kind, version)
	resp := c.Call(&protocol.Command{Code: protocol.HeartBeat, Version: protocol.Version, Body: []byte(text)})
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

func bodies(t *testing.T, resp *protocol.Command) (out []string) {
	t.Helper()
	for _, r := range brokertest.Records(t, resp.Body) {
		out = append(out, string(r.Body))
	}
	return out
}

var (
	sql    = field("expressionType", "SQL92")
	noSub  = field("sysFlag", "0")
	noHold = field("sysFlag", "4")
)

// given pulls with the expression in the request, kept pulls by what heartbeats said.
func given(topic string, offset int64, expression string, more ...protocol.Field) *protocol.Command {
	return brokertest.PullRequest(topic, 0, offset, expression, append([]protocol.Field{sql}, more...)...)
}

func kept(topic string, offset int64, version int) *protocol.Command {
	return brokertest.PullRequest(topic, 0, offset, "", noSub, field("subVersion", fmt.Sprint(version)))
}

func TestPullByExpression(t *testing.T) {
	b := brokertest.Start(t, withSQL)
	c := b.Dial(false)
	for i := range 6 {
		putProps(t, c, "T", fmt.Sprint(i), "n", fmt.Sprint(i), "colour", []string{"red", "blue"}[i%2])
	}
	putProps(t, c, "T", "none")
	heartbeat(t, c, "T", "SQL92", "n > 1 AND colour = 'red'", 5)
	for _, x := range []struct {
		cmd    *protocol.Command
		code   int32
		remark string
		next   string
		bodies []string
	}{
		{given("T", 0, "n > 3"), protocol.Success, "FOUND", "7", []string{"4", "5"}},
		{given("T", 1, "colour IN ('red') OR n IS NULL"), protocol.Success, "FOUND", "7", []string{"2", "4", "none"}},
		{given("T", 0, "n = 9"), protocol.PullRetryImmediately, "NO_MATCHED_MESSAGE", "7", nil},
		{given("T", 0, "n > 3", field("maxMsgNums", "1")), protocol.Success, "FOUND", "5", []string{"4"}},
		{given("T", 0, "n BETWEEN 1"), protocol.SubscriptionParseFailed, "parse the consumer's subscription failed", "", nil},
		{given("T", 0, ""), protocol.SubscriptionParseFailed, "parse the consumer's subscription failed", "", nil},
		{given("T", 0, "n > 3", field("expressionType", "XYZ")), protocol.SubscriptionParseFailed, "parse the consumer's subscription failed", "", nil},
		{kept("T", 0, 5), protocol.Success, "FOUND", "7", []string{"2", "4"}},
		{kept("T", 3, 4), protocol.Success, "FOUND", "7", []string{"4"}},
		{kept("T", 0, 6), protocol.SubscriptionNotLatest, "the consumer's subscription not latest", "", nil},
	} {
		resp := c.Call(x.cmd)
		require.Equal(t, x.code, resp.Code, resp.Remark)
		require.Equal(t, x.remark, resp.Remark)
		require.Equal(t, x.bodies, bodies(t, resp))
		if x.next != "" {
			require.Equal(t, x.next, next(t, resp))
		}
	}
}

// TestFilterDataAnswersAsJava goes through what may be wrong with a filter that heartbeats brought.
func TestFilterDataAnswersAsJava(t *testing.T) {
	b := brokertest.Start(t, withSQL)
	c := b.Dial(false)
	putProps(t, c, "T", "x", "n", "1")
	want := func(resp *protocol.Command, code int32, remark string) {
		t.Helper()
		require.Equal(t, code, resp.Code)
		require.Equal(t, remark, resp.Remark)
	}
	heartbeat(t, c, "T", "SQL92", "n = ", 5)
	want(c.Call(kept("T", 0, 5)), protocol.FilterDataNotExist, "The broker's consumer filter data is not exist!Your expression may be wrong!")
	heartbeat(t, c, "T", "SQL92", "n = 1", 6)
	want(c.Call(kept("T", 0, 6)), protocol.Success, "FOUND")
	// The newer subscription is a tag expression and leaves the filter as it is; the next has no filter yet.
	heartbeat(t, c, "T", "TAG", "*", 7)
	want(c.Call(kept("T", 0, 7)), protocol.Success, "FOUND")
	heartbeat(t, c, "T", "SQL92", "", 8)
	want(c.Call(kept("T", 0, 8)), protocol.FilterDataNotLatest, "the consumer's consumer filter data not latest")
}

func TestExpressionsAreRefusedByDefault(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	putProps(t, c, "T", "x", "n", "1")
	heartbeat(t, c, "T", "SQL92", "n = 1", 6)
	for _, cmd := range []*protocol.Command{kept("T", 0, 6), given("T", 0, "n = 1"), given("T", 0, "n = ")} {
		resp := c.Call(cmd)
		require.Equal(t, protocol.SystemError, resp.Code)
		require.Equal(t, "The broker does not support consumer to filter message by SQL92", resp.Remark)
	}
	require.Equal(t, protocol.SubscriptionParseFailed, c.Call(given("T", 0, "")).Code)
}

// TestFiltersSurviveARestart: consumers that pull before their next heartbeat find their filter, and clients that
// left are noted as dead.
func TestFiltersSurviveARestart(t *testing.T) {
	b := brokertest.Start(t, withSQL)
	c := b.Dial(false)
	putProps(t, c, "T", "no", "n", "0")
	putProps(t, c, "T", "yes", "n", "1")
	heartbeat(t, c, "T", "SQL92", "n = 1", 6)
	b.Restart()
	file, err := os.ReadFile(filepath.Join(b.Options.Store.StorePathRootDir, "config", "consumerFilter.json"))
	require.NoError(t, err)
	require.Contains(t, string(file), `"expression":"n = 1"`)
	c = b.Dial(false)
	heartbeat(t, c, "T", "TAG", "*", 1)
	heartbeat(t, c, "T", "SQL92", "n = 2", 6) // not newer than the stored one
	require.Equal(t, []string{"yes"}, bodies(t, c.Call(kept("T", 0, 6))))
}

// TestHeldPullIsWokenByItsExpression: what does not match wakes it not, however often it comes.
func TestHeldPullIsWokenByItsExpression(t *testing.T) {
	b := brokertest.Start(t, withSQL)
	c, waiting := b.Dial(false), b.Dial(false)
	putProps(t, c, "T", "first")
	opaque := waiting.Send(given("T", 1, "n = 7", suspend))
	costly := waiting.Send(given("T", 1, strings.Repeat("n = 7 OR ", 200)+"n = 8", suspend))
	require.Equal(t, protocol.Success, waiting.Call(given("T", 0, "TRUE", noHold)).Code)
	for range 3 {
		putProps(t, c, "T", "not wanted", "n", "5")
	}
	// It would take too long to see that the second wants none of these: it is woken to find that out.
	resp := waiting.Read()
	require.Equal(t, costly, resp.Opaque)
	require.Equal(t, protocol.PullRetryImmediately, resp.Code)
	putProps(t, c, "T", "wanted", "n", "7")
	resp = waiting.Read()
	require.Equal(t, opaque, resp.Opaque)
	require.Equal(t, []string{"wanted"}, bodies(t, resp))
	require.Equal(t, "5", next(t, resp))
}

// TestRetriesAreFilteredByTheirTopic shows filterSupportRetry: a message of a retry topic is judged by the filter on
// the topic that it came from.
func TestRetriesAreFilteredByTheirTopic(t *testing.T) {
	for _, support := range []bool{true, false} {
		b := brokertest.Start(t, withSQL, func(o *broker.Options) { o.FilterSupportRetry = support })
		c := b.Dial(false)
		heartbeat(t, c, "T", "SQL92", "n = 1", 6)
		for _, m := range [][]string{{"no", "RETRY_TOPIC", "T", "n", "0"}, {"yes", "RETRY_TOPIC", "T", "n", "1"}, {"elsewhere", "RETRY_TOPIC", "U"}, {"nowhere"}} {
			putProps(t, c, "%RETRY%consumers", m[0], m[1:]...)
		}
		want := []string{"yes", "elsewhere", "nowhere"}
		if !support {
			want = []string{"no"}
		}
		require.Equal(t, want, bodies(t, c.Call(given("%RETRY%consumers", 0, "n = 0"))))
	}
}

// TestOnePullLooksAtSoMuch: a pull ends after maxFilterMessageSize bytes of units, its next offset moved on.
func TestOnePullLooksAtSoMuch(t *testing.T) {
	b := brokertest.Start(t, withSQL, func(o *broker.Options) { o.Store.MaxFilterMessageSize = 100 })
	c := b.Dial(false)
	for i := range 40 {
		putProps(t, c, "T", "x", "n", fmt.Sprint(i))
	}
	resp := c.Call(given("T", 0, "n = 39"))
	require.Equal(t, "NO_MATCHED_MESSAGE", resp.Remark)
	require.Equal(t, "32", next(t, resp), "or as many as are asked for")
	resp = c.Call(given("T", 0, "n = 39", field("maxMsgNums", "1")))
	require.Equal(t, "5", next(t, resp))
}
