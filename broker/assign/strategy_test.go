package assign

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// TestAllocationsAreJavas compares with what Java's strategies and its broker gave to each of the consumers
// (scripts/golden/java/PopGolden.java).
func TestAllocationsAreJavas(t *testing.T) {
	b, err := os.ReadFile("testdata/assign.json")
	require.NoError(t, err)
	var golden struct {
		Allocate4Pop []struct {
			Strategy                 string
			Queues, Consumers, Share int
			Got                      [][]int32
		}
		Modes string
	}
	require.NoError(t, json.Unmarshal(b, &golden))
	require.NotEmpty(t, golden.Allocate4Pop)
	for _, g := range golden.Allocate4Pop {
		var queues []message.MessageQueue
		for i := range g.Queues {
			queues = append(queues, message.MessageQueue{Topic: "T", BrokerName: "b", QueueID: int32(i)})
		}
		var ids []string
		for i := range g.Consumers {
			ids = append(ids, fmt.Sprint("c", i))
		}
		for i, want := range g.Got {
			var list []message.MessageQueue
			if g.Share == -2 {
				list = strategies[g.Strategy](ids[i], queues, ids)
			} else {
				list = forPop(strategies[g.Strategy], ids[i], queues, ids, g.Share)
			}
			got := []int32{}
			for _, q := range list {
				got = append(got, q.QueueID)
			}
			require.Equal(t, want, got, "%+v of %s", g, ids[i])
		}
	}
	var table body.MessageRequestModeTable
	require.NoError(t, body.Unmarshal([]byte(golden.Modes), &table))
	text, err := body.MarshalPretty(table)
	require.NoError(t, err)
	require.Equal(t, golden.Modes, string(text))
}

func TestStrangersGetNothing(t *testing.T) {
	queues := []message.MessageQueue{{Topic: "T", BrokerName: "b"}}
	for name, allocate := range strategies {
		require.Empty(t, allocate("x", queues, []string{"a"}), name)
		require.Empty(t, forPop(allocate, "x", queues, []string{"a", "b", "c", "d"}, 1), name)
	}
}
