package admin_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func TestNothingWithoutNameServers(t *testing.T) {
	c := admin.New(admin.Options{})
	defer c.Close()
	_, err := c.ClusterInfo(t.Context())
	require.ErrorIs(t, err, admin.ErrNoNamesrv)
	require.ErrorIs(t, c.PutKV(t.Context(), "n", "k", "v"), admin.ErrNoNamesrv)
}

// TestFirstNameServerThatAnswersIsEnough has a name server that is away in front of one that is there.
func TestFirstNameServerThatAnswersIsEnough(t *testing.T) {
	t.Parallel()
	o := namesrv.DefaultOptions()
	o.Logger, o.BindAddress, o.KVConfigPath = zerolog.Nop(), "127.0.0.1", filepath.Join(t.TempDir(), "kvConfig.json")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.ListenPort = int32(l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, l.Close())
	ns, err := namesrv.Open(o)
	require.NoError(t, err)
	defer ns.Close()
	c := admin.New(admin.Options{Namesrv: []string{"127.0.0.1:1", ns.Addr()}})
	defer c.Close()
	info, err := c.ClusterInfo(t.Context())
	require.NoError(t, err)
	require.Empty(t, info.BrokerAddrTable)
	_, err = c.Route(t.Context(), "NoSuchTopic")
	require.Equal(t, protocol.TopicNotExist, admin.Code(err), "a refusal is an answer: %v", err)
	require.Error(t, c.PutKV(t.Context(), "n", "k", "v"), "changes must reach every name server")
}

// TestMessagesOfABroker sends, pulls and looks at messages, compressed and not, and what the tags let through.
func TestMessagesOfABroker(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	c := admin.New(admin.Options{})
	defer c.Close()
	ctx, addr := t.Context(), b.Options.Addr()
	topic := body.NewTopicConfig("Packed")
	topic.ReadQueueNums, topic.WriteQueueNums = 1, 1
	require.NoError(t, c.CreateTopic(ctx, addr, topic))
	q := body.MessageQueue{Topic: "Packed", BrokerName: "broker", QueueID: 0}
	for i := range 3 {
		var p message.Properties
		p.Set(message.PropertyTags, fmt.Sprint("Tag", i))
		r, err := c.Send(ctx, addr, "writers", q, p, fmt.Appendf(nil, "body %d", i))
		require.NoError(t, err)
		require.Equal(t, "SEND_OK", r.Status)
		require.EqualValues(t, i, r.QueueOffset)
		m, err := c.MessageByID(ctx, "", "Packed", r.OffsetMsgID)
		require.NoError(t, err)
		require.Equal(t, r.MsgID, m.UniqueID())
		require.Equal(t, r.OffsetMsgID, m.OffsetID())
		require.Equal(t, fmt.Sprint("body ", i), string(m.Body))
	}
	first, end, err := c.Bounds(ctx, addr, q)
	require.NoError(t, err)
	require.EqualValues(t, []int64{0, 3}, []int64{first, end})
	r := pull(t, c, addr, q, "*", 0)
	require.Equal(t, admin.PullFound, r.Status)
	require.Len(t, r.Messages, 3)
	require.EqualValues(t, 3, r.Next)
	r = pull(t, c, addr, q, "Tag1 || Tag2", 0)
	require.Len(t, r.Messages, 2)
	require.Equal(t, admin.PullNoMatched, pull(t, c, addr, q, "TagX", 0).Status)
	require.Equal(t, admin.PullNoNewMessage, pull(t, c, addr, q, "*", 3).Status)
	require.Equal(t, admin.PullOffsetIllegal, pull(t, c, addr, q, "*", 99).Status)
	_, err = c.Pull(ctx, addr, body.MessageQueue{Topic: "NoSuchTopic"}, "TOOLS_CONSUMER", "*", 0, 1)
	require.Equal(t, protocol.TopicNotExist, admin.Code(err))
}

func pull(t *testing.T, c *admin.Client, addr string, q body.MessageQueue, tags string, offset int64) *admin.PullResult {
	t.Helper()
	r, err := c.Pull(context.Background(), addr, q, "TOOLS_CONSUMER", tags, offset, 32)
	require.NoError(t, err)
	return r
}
