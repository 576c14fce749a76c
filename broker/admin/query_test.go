package admin_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestQueryMessage sends by every form there is and finds the messages by their keys, also behind a restart.
func TestQueryMessage(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	send := func(properties, body string) {
		require.Equal(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, properties, body)).Code)
	}
	send("UNIQ_KEY\x01U1\x02KEYS\x01one both\x02TAGS\x01a\x02", "1")
	send("UNIQ_KEY\x01U2\x02KEYS\x01two both\x02", "2")
	send("KEYS\x01three\x02", "3") // the broker gives it a unique key
	var batch []byte
	for _, k := range []string{"b1", "b2"} {
		batch = message.AppendBatchItem(batch, message.BatchItem{Body: []byte(k), Properties: "UNIQ_KEY\x01U" + k + "\x02KEYS\x01" + k + " both\x02"})
	}
	req := brokertest.SendRequest("T", 0, "", string(batch), protocol.Field{Key: "m", Value: "true"})
	require.Equal(t, protocol.Success, c.Call(req).Code)
	given := brokertest.Records(t, c.Call(brokertest.PullRequest("T", 0, 2, "*")).Body)[0]
	uniq := message.GetProperty(given.Properties, message.PropertyUniqKey)
	require.NotEmpty(t, uniq)

	query := func(key string, more ...string) (*protocol.Command, string) {
		fields := append([]string{"topic=T", "key=" + key, "maxNum=10", "beginTimestamp=0", "endTimestamp=9223372036854775807"}, more...)
		cmd := &protocol.Command{Code: protocol.QueryMessage}
		for _, f := range fields {
			k, v, _ := strings.Cut(f, "=")
			cmd.Ext = append(cmd.Ext, protocol.Field{Key: k, Value: v})
		}
		resp := c.Call(cmd)
		var out []string
		if resp.Code == protocol.Success {
			for _, r := range brokertest.Records(t, resp.Body) {
				out = append(out, string(r.Body))
			}
		}
		return resp, strings.Join(out, " ")
	}
	for range 2 {
		for key, want := range map[string]string{"one": "1", "two": "2", "three": "3", "b1": "b1", "both": "1 2 b1 b2", "U1": "1", "Ub2": "b2", uniq: "3"} {
			_, got := query(key)
			require.Equal(t, want, got, key)
		}
		resp, got := query("U2", "_UNIQUE_KEY_QUERY=true", "maxNum=0")
		require.Equal(t, "2", got)
		require.NotEqual(t, "0", brokertest.Field(t, resp, "indexLastUpdateTimestamp"))
		require.NotEqual(t, "0", brokertest.Field(t, resp, "indexLastUpdatePhyoffset"))
		_, got = query("a", "indexType=T")
		require.Equal(t, "1", got)
		resp, _ = query("none")
		require.Equal(t, protocol.QueryNotFound, resp.Code)
		require.Equal(t, "can not find message, maybe time range not correct", resp.Remark)
		require.Equal(t, "0", brokertest.Field(t, resp, "indexLastUpdateTimestamp"))
		require.Equal(t, "0", brokertest.Field(t, resp, "indexLastUpdatePhyoffset"))
		b.Restart()
		c = b.Dial(false)
	}
}
