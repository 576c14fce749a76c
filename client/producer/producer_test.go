package producer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// TestKeysGoToTheQueuesOfJava compares with SelectMessageQueueByHash.
func TestKeysGoToTheQueuesOfJava(t *testing.T) {
	text, err := os.ReadFile("testdata/queue.json")
	require.NoError(t, err)
	var java map[string]any
	require.NoError(t, json.Unmarshal(text, &java))
	delete(java, "source")
	require.Len(t, java, 7)
	for key, queue := range java {
		require.EqualValues(t, queue, queueOf(key, 7), key)
	}
}

func TestRecallHandleNamesTopicAndBroker(t *testing.T) {
	topic, broker, err := parseHandle(base64.URLEncoding.EncodeToString([]byte("v1 Topic broker-a 1700000000000 ID")))
	require.NoError(t, err)
	require.Equal(t, []string{"Topic", "broker-a"}, []string{topic, broker})
	for _, bad := range []string{"", "?", base64.URLEncoding.EncodeToString([]byte("v2 a b c d")), base64.URLEncoding.EncodeToString([]byte("v1 a b"))} {
		_, _, err := parseHandle(bad)
		require.Equal(t, protocol.IllegalOperation, client.Code(err))
	}
}

// offline is a producer that has nobody to talk to.
func offline(t *testing.T) *Producer {
	t.Helper()
	p, err := New(Options{Options: client.Options{Namesrv: []string{"127.0.0.1:1"}, Timeout: 100 * time.Millisecond}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

func TestBatchIsOneOfAKind(t *testing.T) {
	p := offline(t)
	ok := &client.Message{Topic: "T", Body: []byte("x")}
	out, err := p.batch([]*client.Message{ok, ok})
	require.NoError(t, err)
	require.True(t, out.Batch)
	first, rest, err := message.NextBatchItem(out.Body)
	require.NoError(t, err)
	second, rest, err := message.NextBatchItem(rest)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, out.ID, message.GetProperty(first.Properties, message.PropertyUniqKey)+","+message.GetProperty(second.Properties, message.PropertyUniqKey))
	for _, bad := range []*client.Message{nil, {Topic: "U", Body: []byte("x")}, {Topic: "T", Body: []byte("x"), DelayLevel: 1}, {Topic: "T", Body: []byte("x"), NoWait: true}, {Topic: "T"}} {
		_, err := p.batch([]*client.Message{ok, bad})
		require.Equal(t, protocol.MessageIllegal, client.Code(err))
	}
	_, err = p.batch(nil)
	require.Error(t, err)
	many := make([]*client.Message, 2000)
	for i := range many {
		many[i] = ok
	}
	out, err = p.batch(many)
	require.NoError(t, err)
	require.LessOrEqual(t, len(out.Properties), message.MaxProperties)
}

func TestNobodyThere(t *testing.T) {
	p := offline(t)
	m := &client.Message{Topic: "T", Body: []byte("x")}
	_, err := p.Send(context.Background(), m)
	require.ErrorContains(t, err, "127.0.0.1:1")
	done := make(chan error, 1)
	require.NoError(t, p.SendAsync(context.Background(), m, func(_ *client.SendResult, err error) { done <- err }))
	require.Error(t, <-done)
	require.NoError(t, p.Close(context.Background()))
	_, err = p.Send(context.Background(), m)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, p.SendAsync(context.Background(), m, func(*client.SendResult, error) {}), ErrClosed)
	_, err = New(Options{})
	require.ErrorIs(t, err, client.ErrNoNamesrv)
}

func TestReplyFindsWhoAsked(t *testing.T) {
	r := requests{waiting: map[string]chan *client.MessageExt{}}
	answer := r.expect("id")
	asked := &client.MessageExt{}
	asked.Properties = "CLUSTER\x01c\x02REPLY_TO_CLIENT\x01me\x02CORRELATION_ID\x01id\x02TTL\x013000\x02"
	m, err := Reply(asked, []byte("yes"))
	require.NoError(t, err)
	require.Equal(t, "c_REPLY_TOPIC", m.Topic)
	require.Equal(t, map[string]string{"MSG_TYPE": "reply", "CORRELATION_ID": "id", "REPLY_TO_CLIENT": "me", "TTL": "3000"}, m.Properties)
	for range 2 { // one that comes again, or too late, is not waited for
		cmd := protocol.NewRequest(protocol.PushReplyMessageToClient, header.ReplyMessageRequest{ProducerGroup: "g", Topic: "t", DefaultTopic: "d", Properties: "CORRELATION_ID\x01id\x02",
			BornHost: "/10.0.0.1:5", StoreHost: "/10.0.0.2:6"})
		cmd.Body = []byte("yes")
		require.Equal(t, protocol.Success, r.onReply("", cmd).Code)
	}
	got := <-answer
	require.Equal(t, "yes", string(got.Body))
	require.Equal(t, "10.0.0.1:5", got.BornHost.AddrPort().String())
	require.Equal(t, protocol.SystemError, r.onReply("", protocol.NewRequest(protocol.PushReplyMessageToClient, nil)).Code)
	_, err = Reply(&client.MessageExt{}, nil)
	require.ErrorContains(t, err, "no request")
}
