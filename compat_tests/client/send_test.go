package client_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestSendModes sends with each mode of the Java producer and reads every
// message back with its payload, ids and place.
func TestSendModes(t *testing.T) {
	const each = 20
	modes := map[string][]string{
		"sync":   {"mode=sync", "size=100"},
		"large":  {"mode=sync", "size=9000"}, // over 4 KiB: the client compresses the body
		"vip":    {"mode=sync", "vip=1"},     // the fast port, two below the listen port
		"async":  {"mode=async"},
		"oneway": {"mode=oneway"},
		"batch":  {"mode=batch", "batch=8"},
	}
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic := topic(t, c, 4)
		all := consume(t, c, version, topic, name(t, "group"), "expect="+strconv.Itoa(each*len(modes)))
		var sent []cluster.Event
		for mode, args := range modes {
			sent = append(sent, produce(t, c, version, topic, each, append(args, "prefix="+mode)...)...)
		}
		got := byBody(t, received(t, all))
		require.Len(t, got, len(sent))
		for _, s := range sent {
			checkReceived(t, s, got[s.Body()])
		}
	})
}

// checkReceived compares an acknowledged message with its delivery.
func checkReceived(t *testing.T, sent, got cluster.Event) {
	t.Helper()
	require.NotNil(t, got, "not delivered: %s", sent.Body())
	require.Equal(t, 0, got.Reconsume())
	require.Positive(t, got.Int("storeTimestamp"))
	require.True(t, strings.HasPrefix(got.Str("storeHost"), "/127.0.0.1:"), got.Str("storeHost"))
	if sent.Kind() == "sentOneway" {
		return
	}
	require.Equal(t, "SEND_OK", sent.Status())
	require.Equal(t, sent.MsgID(), got.MsgID())
	require.Equal(t, sent.OffsetMsgID(), got.OffsetMsgID())
	require.Equal(t, sent.QueueID(), got.QueueID())
	require.Equal(t, sent.QueueOffset(), got.QueueOffset())
}
