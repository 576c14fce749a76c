package trace

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
)

// TestTracesAreJavas compares with what TraceDataEncoder made of the same.
func TestTracesAreJavas(t *testing.T) {
	text, err := os.ReadFile("testdata/trace.json")
	require.NoError(t, err)
	var java map[string]any
	require.NoError(t, json.Unmarshal(text, &java))
	first, second := &client.MessageExt{}, &client.MessageExt{}
	first.Topic, first.ReconsumeTimes, first.Properties = "Orders", 2, "UNIQ_KEY\x017F0000010001A\x02KEYS\x01k1 k2\x02TAGS\x01paid\x02"
	second.Topic, second.Properties = "Orders", "UNIQ_KEY\x017F0000010001B\x02"
	c := &Consuming{Time: 1700000000123, Region: "DefaultRegion", Group: "g", RequestID: "REQ", Messages: []*client.MessageExt{first, second}}
	sent := Sending{Time: 1700000000123, Region: "DefaultRegion", Group: "g", Topic: "Orders", MsgID: "7F0000010001A", Tag: "paid", Keys: "k1 k2", Broker: "10.0.0.1:10911",
		Size: 12, Cost: 5, Kind: KindDelay, OffsetMsgID: "0A0B", Success: true}
	bare := Sending{Time: 1700000000123, Region: "DefaultRegion", Group: "g", Topic: "Orders", MsgID: "7F0000010001C", Broker: "10.0.0.1:10911", Cost: 5, OffsetMsgID: "0A0C", Success: true}
	ended := Ending{Time: 1700000000123, Region: "DefaultRegion", Group: "g", Topic: "Orders", MsgID: "7F0000010001A", Tag: "paid", Keys: "k1 k2", Broker: "10.0.0.1:10911",
		TransactionID: "TX", State: "ROLLBACK_MESSAGE", Checked: true}
	for name, e := range map[string]entry{"Pub": sent.entry(), "PubBare": bare.entry(), "SubBefore": c.begun(), "SubAfter": c.done(1700000000123, 10, ConsumeFailed)} {
		require.Equal(t, java[name], e.data, name)
		keys := []any{}
		for _, k := range slices.Sorted(slices.Values(e.keys)) {
			keys = append(keys, k)
		}
		require.Equal(t, java[name+".keys"], keys, name)
	}
	// Java's test object has the type of a delayed message; its hook sets that of a commit, 2.
	want := java["EndTransaction"].(string)
	require.Equal(t, want, replaceKind(ended.entry().data))
}

func replaceKind(s string) string {
	const at = "10.0.0.1:10911\x01"
	i := len(at)
	for j := 0; j+len(at) <= len(s); j++ {
		if s[j:j+len(at)] == at {
			i = j + len(at)
			break
		}
	}
	return s[:i] + "3" + s[i+1:]
}
