package polyglot

import (
	"strconv"
	"strings"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// number returns i of a body "<prefix>-<i>", dots of padding aside.
func number(t *testing.T, body string) int {
	t.Helper()
	body = strings.TrimRight(body, ".")
	i, err := strconv.Atoi(body[strings.LastIndexByte(body, '-')+1:])
	require.NoError(t, err)
	return i
}

// checkOrder demands that each sharding key (number modulo keys) lies in one queue, that its messages
// were received in the order they were sent and that queue offsets rise within a queue.
func checkOrder(t *testing.T, msgs []cluster.Event, keys int) {
	t.Helper()
	queueOf, lastOf, offsetOf := map[int]int{}, map[int]int{}, map[int]int64{}
	for _, m := range msgs {
		i := number(t, m.Body())
		key, q := i%keys, m.QueueID()
		if first, ok := queueOf[key]; ok {
			require.Equal(t, first, q, "key %d is in two queues", key)
			require.Less(t, lastOf[key], i, "key %d out of order", key)
		}
		if last, ok := offsetOf[q]; ok {
			require.Less(t, last, m.QueueOffset(), "queue %d out of order", q)
		}
		queueOf[key], lastOf[key], offsetOf[q] = q, i, m.QueueOffset()
	}
	require.Len(t, queueOf, keys)
}

func TestOrderedMessagesKeepTheirOrderPerShardingKey(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			const keys = 6
			acks := s.send(t, 60, "sharding=6", "prefix=o")
			checkOrder(t, acks, keys)
			msgs := s.consume(t, 60, "mode=orderly")
			checkOrder(t, msgs, keys)
			require.Equal(t, names("o", 60), sortedBodies(msgs))
		})
	}
}

func TestOrderlyConsumersOfAGroupDoNotShareAQueue(t *testing.T) {
	// C++ only: client-go never unlocks a queue it gives away, so the other consumer has to wait 60 s.
	s := newStage(t, cpp())
	runs := []*cluster.Run{
		s.consumer(t, "mode=orderly", "instance=one"),
		s.consumer(t, "mode=orderly", "instance=two"),
	}
	for _, r := range runs {
		r.Await(t, limit, "started")
	}
	s.send(t, 80, "sharding=8", "prefix=o")
	awaitTotal(t, runs, 80)
	var all []cluster.Event
	for _, r := range runs {
		msgs := cluster.Of(r.Stop(t, limit), "msg")
		lastOf := map[int]int64{}
		for _, m := range msgs {
			if last, ok := lastOf[m.QueueID()]; ok {
				require.Less(t, last, m.QueueOffset())
			}
			lastOf[m.QueueID()] = m.QueueOffset()
		}
		all = append(all, msgs...)
	}
	require.Equal(t, names("o", 80), sortedBodies(all), "the queue locks let a message through twice")
}

func TestOrderlyFailureHoldsTheQueue(t *testing.T) {
	s := newStage(t, golang())
	s.send(t, 3, "queue=1", "prefix=h")
	msgs := s.consume(t, 9, "mode=orderly", "failFirst=2")
	for i, m := range msgs {
		require.Equal(t, i/3, number(t, m.Body()))
		require.Equal(t, i%3, m.Reconsume())
	}
}
