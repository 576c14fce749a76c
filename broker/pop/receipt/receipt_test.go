package receipt_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/pop/receipt"
)

// golden is what Java's classes wrote (scripts/golden/java/PopGolden.java).
func golden(t *testing.T) (g struct {
	Handles []struct{ Topic, Normal, Handle, Real, StartOffset, MsgOffset, OrderCount string }
}) {
	t.Helper()
	b, err := os.ReadFile("../testdata/pop.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	require.Len(t, g.Handles, 3)
	return g
}

func TestHandlesAreJavas(t *testing.T) {
	for _, g := range golden(t).Handles {
		h := receipt.Handle{StartOffset: 100, PopTime: 1700000000123, InvisibleTime: 60000, ReviveQueueID: 7, BrokerName: "broker-a"}
		require.Equal(t, g.Handle, string(h.Append(nil, g.Topic, 3, 105)))
		back, err := receipt.Parse(g.Handle)
		require.NoError(t, err)
		require.Equal(t, h, back)
		topic, err := receipt.RealTopic("T", "G", receipt.FlagOf(g.Topic))
		require.NoError(t, err)
		require.Equal(t, g.Real, topic)
		require.Equal(t, g.Normal, receipt.NormalTopic(g.Topic, "G"))
		var l receipt.Lists
		for q := range int32(2) {
			l.Add(g.Topic, q, int64(100+q), []int64{100, int64(105 + q), math.MaxInt64})
			l.AddOffsetCount(g.Topic, q, 105, 2)
			l.AddQueueCount(g.Topic, q, q)
		}
		require.Equal(t, g.StartOffset, string(l.StartOffset))
		require.Equal(t, g.MsgOffset, string(l.MsgOffset))
		require.Equal(t, g.OrderCount, string(l.OrderCount))
	}
}

func TestHandlesThatAreNone(t *testing.T) {
	for _, s := range []string{"", "1", "1 2 3 4 0", "1 2 3 4 0 ", "x 2 3 4 0 b", "1 2 3 99999999999 0 b", "1  3 4 0 b", "9223372036854775808 2 3 4 0 b"} {
		_, err := receipt.Parse(s)
		require.Error(t, err, s)
	}
	require.Empty(t, receipt.NormalTopic("%RETRY%other_T", "G"))
	require.Empty(t, receipt.NormalTopic("%RETRY%G", "G"))
	require.Empty(t, receipt.NormalTopic("%RETRY%G_", "G"))
	_, err := receipt.RealTopic("T", "G", "3")
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	f.Add("100 1700000000123 60000 7 0 broker-a 3 105")
	f.Add("1 2 3 999 2 b")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := receipt.Parse(s)
		if err != nil {
			return
		}
		back, err := receipt.Parse(string(h.Append(nil, "T", 0, 0)))
		require.NoError(t, err)
		require.Equal(t, h, back)
	})
}
