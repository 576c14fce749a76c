package relay_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// world is a broker with topic T of four queues and a tool that asks it.
type world struct {
	*brokertest.Broker
	t    *testing.T
	tool *brokertest.Client
}

func start(t *testing.T, change ...func(*broker.Options)) *world {
	t.Helper()
	w := &world{Broker: brokertest.Start(t, change...), t: t}
	w.tool = w.Dial(false)
	w.say(request(protocol.UpdateAndCreateTopic, "", "topic", "T", "defaultTopic", "TBW102", "readQueueNums", "4", "writeQueueNums", "4", "perm", "6",
		"topicFilterType", "SINGLE_TAG", "topicSysFlag", "2", "order", "false"))
	return w
}

// request makes a request with the fields given as names and values.
func request(code int32, text string, fields ...string) *protocol.Command {
	c := &protocol.Command{Code: code, Version: protocol.Version}
	for i := 0; i < len(fields); i += 2 {
		c.Ext = append(c.Ext, protocol.Field{Key: fields[i], Value: fields[i+1]})
	}
	if text != "" {
		c.Body = []byte(text)
	}
	return c
}

// say has the tool ask something that must succeed.
func (w *world) say(cmd *protocol.Command) *protocol.Command {
	w.t.Helper()
	resp := w.tool.Call(cmd)
	require.Equal(w.t, protocol.Success, resp.Code, resp.Remark)
	return resp
}

// refused has the tool ask something and expects this answer.
func (w *world) refused(cmd *protocol.Command, code int32, remark string) {
	w.t.Helper()
	resp := w.tool.Call(cmd)
	require.Equal(w.t, code, resp.Code, resp.Remark)
	require.Equal(w.t, remark, resp.Remark)
}

// consumer connects a client of group G, and producer one of group P, that say they have this version.
func (w *world) consumer(id string, version int32) *brokertest.Client {
	w.t.Helper()
	return w.client(version, fmt.Sprintf(`{"clientID":"%s","producerDataSet":[],"consumerDataSet":[{"groupName":"G","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",`+
		`"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","unitMode":false,"subscriptionDataSet":[{"topic":"T","subString":"*","subVersion":1,"tagsSet":[],"codeSet":[],"expressionType":"TAG","classFilterMode":false}]}]}`, id))
}

func (w *world) producer(id string) *brokertest.Client {
	w.t.Helper()
	return w.client(protocol.Version, fmt.Sprintf(`{"clientID":"%s","producerDataSet":[{"groupName":"P"}],"consumerDataSet":[]}`, id))
}

func (w *world) client(version int32, heartbeat string) *brokertest.Client {
	w.t.Helper()
	c := w.Dial(false)
	resp := c.Call(&protocol.Command{Code: protocol.HeartBeat, Version: version, Body: []byte(heartbeat)})
	require.Equal(w.t, protocol.Success, resp.Code, resp.Remark)
	return c
}

// asked returns the next request of that code which the broker sends a client; NOTIFY_CONSUMER_IDS_CHANGED may come in front.
func (w *world) asked(c *brokertest.Client, code int32) *protocol.Command {
	w.t.Helper()
	for {
		cmd := c.Read()
		if cmd.Code == protocol.NotifyConsumerIdsChanged && code != cmd.Code {
			continue
		}
		require.Equal(w.t, code, cmd.Code)
		require.False(w.t, cmd.IsResponse())
		return cmd
	}
}

// result returns the answer to what the tool asked.
func (w *world) result(opaque int32) *protocol.Command {
	w.t.Helper()
	resp := w.tool.Read()
	require.True(w.t, resp.IsResponse())
	require.Equal(w.t, opaque, resp.Opaque)
	return resp
}

// fields are ext fields by name.
func fields(cmd *protocol.Command) map[string]string {
	out := map[string]string{}
	for _, f := range cmd.Ext {
		out[f.Key] = f.Value
	}
	return out
}

// fill sends one message to each of the first n queues of T and returns the offset message ids.
func (w *world) fill(n int) []string {
	w.t.Helper()
	var ids []string
	for q := range n {
		resp := w.say(brokertest.SendRequest("T", q, "TAGS\x01a\x02", fmt.Sprintf("to queue %d", q)))
		ids = append(ids, brokertest.Field(w.t, resp, "msgId"))
	}
	return ids
}
