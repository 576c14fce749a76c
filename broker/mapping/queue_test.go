package mapping

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// queue is one of three items: 20 messages on b, the first 5 of them deleted; 30 on a; some on a again.
func queue() Queue {
	d := detail(1, map[int64][]Item{7: {item(0, "broker-b", 3, 0), item(1, "broker-c", 0, 10000), item(2, "broker-a", 1, 20000)}})
	q, err := Lead(d, 7)
	if err != nil {
		panic(err)
	}
	return q
}

func TestOnlyTheLeaderIsToBeAsked(t *testing.T) {
	d := detail(1, map[int64][]Item{0: {item(0, "broker-a", 0, 0), item(1, "broker-b", 0, 10000)}, 1: {item(0, "broker-a", 1, 0)}, 2: {}})
	for _, id := range []int32{0, 2, 3, -1} {
		_, err := Lead(d, id)
		var refusal *protocol.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, protocol.NotLeaderForQueue, refusal.Code)
	}
	for range 20 {
		q, err := LeadAny(d, -1)
		require.NoError(t, err)
		require.EqualValues(t, 1, q.ID, "of several only the one that is led")
		require.True(t, q.Local())
	}
	_, err := LeadAny(d, 0)
	require.Error(t, err)
}

func TestOffsetsThereAndBack(t *testing.T) {
	q := queue()
	for offset, gen := range map[int64]int32{math.MinInt64: 0, -1: 0, 0: 0, 9999: 0, 10000: 1, 19999: 1, 20000: 2, math.MaxInt64: 2} {
		i := q.At(offset)
		require.Equal(t, gen, i.Gen, offset)
		if offset >= 0 {
			require.Equal(t, offset, i.Logical(Physical(i, offset)))
		}
	}
	i := Item{LogicOffset: 100, StartOffset: 10, EndOffset: 30}
	require.EqualValues(t, 100, i.Logical(3), "before its start")
	require.EqualValues(t, 140, i.Logical(50))
	require.EqualValues(t, 120, LogicalWithin(&i, 50), "not behind its end")
	i.EndOffset = -1
	require.EqualValues(t, 140, LogicalWithin(&i, 50))
	i.LogicOffset = -1
	require.EqualValues(t, -1, LogicalWithin(&i, 50))

	d := detail(1, map[int64][]Item{0: {item(0, "broker-b", 0, 0), item(1, "broker-a", 0, -1)}, 1: {item(1, "broker-a", 0, -1)}})
	moving, err := Lead(d, 0)
	require.NoError(t, err)
	require.EqualValues(t, 0, moving.Last().Gen, "what is not decided holds no offset")
	none, err := Lead(d, 1)
	require.NoError(t, err)
	require.Nil(t, none.At(0))
	require.Nil(t, none.First())
}

func TestPullsAreToldInLogicalTerms(t *testing.T) {
	const (
		found, notFound, retry, moved = protocol.Success, protocol.PullNotFound, protocol.PullRetryImmediately, protocol.PullOffsetMoved
	)
	for _, c := range []struct {
		name   string
		item   int
		offset int64 // physical
		got    Pulled
		want   Pulled
	}{
		{"found in the first", 0, 5, Pulled{found, 9, 5, 20, 0}, Pulled{found, 9, 5, 20000, 0}},
		{"before the first message", 0, 2, Pulled{moved, 5, 5, 20, 0}, Pulled{moved, 5, 5, 20000, 0}},
		{"end of the first", 0, 20, Pulled{notFound, 20, 5, 20, 0}, Pulled{retry, 10000, 10000, 20000, 10000}},
		{"between the first and the second", 0, 500, Pulled{moved, 20, 5, 20, 0}, Pulled{retry, 10000, 10000, 20000, 10000}},
		{"the first is empty now", 0, 20, Pulled{moved, 20, 20, 20, 0}, Pulled{retry, 10000, 10000, 20000, 10000}},
		{"nothing that matches", 0, 7, Pulled{retry, 12, 5, 20, 0}, Pulled{retry, 12, 5, 20000, 0}},
		{"found in the second", 1, 0, Pulled{found, 30, 0, 30, 0}, Pulled{found, 10030, 10000, 20000, 10000}},
		{"messages of the second are deleted", 1, 3, Pulled{moved, 10, 10, 30, 0}, Pulled{retry, 10010, 10010, 20000, 10000}},
		{"end of the second", 1, 30, Pulled{notFound, 30, 0, 30, 0}, Pulled{retry, 20000, 20000, 20000, 20000}},
		{"found in the last", 2, 4, Pulled{found, 8, 0, 8, 0}, Pulled{found, 20008, 20000, 20008, 20000}},
		{"end of the last", 2, 8, Pulled{notFound, 8, 0, 8, 0}, Pulled{notFound, 20008, 20000, 20008, 20000}},
		{"behind the last", 2, 80, Pulled{moved, 8, 0, 8, 0}, Pulled{moved, 20008, 20000, 20008, 20000}},
		{"messages of the last are deleted", 2, 1, Pulled{moved, 4, 4, 8, 0}, Pulled{retry, 20004, 20004, 20008, 20000}},
	} {
		q := queue()
		require.Equal(t, c.want, q.Pull(&q.Items[c.item], c.offset, c.got), c.name)
	}

	q := queue()
	q.Items[2].LogicOffset = -1
	require.Equal(t, Pulled{notFound, 10030, 10000, 10030, 10000}, q.Pull(&q.Items[1], 30, Pulled{Code: notFound, Next: 30, Max: 30}), "the queue is on its way")

	one, err := Lead(detail(1, map[int64][]Item{0: {item(0, "broker-a", 0, 0)}}), 0)
	require.NoError(t, err)
	for _, p := range []Pulled{{Code: notFound, Next: 8, Max: 8}, {Code: moved, Next: 8, Max: 8}, {Code: found, Next: 9, Max: 20}} {
		require.Equal(t, p, one.Pull(&one.Items[0], 8, p), "a queue that never moved is told as it is")
	}

	limited := item(0, "broker-a", 0, 0)
	require.EqualValues(t, 32, Limit(&limited, 32))
	limited.EndOffset = 3
	require.EqualValues(t, 3, Limit(&limited, 32))
}
