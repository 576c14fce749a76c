package statictopic

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func at(broker string, queue int32) body.MessageQueue {
	return body.MessageQueue{Topic: "T", BrokerName: broker, QueueID: queue}
}

// TestLogicalQueues converts the bounds and a group's offsets of physical queues: queue 0 goes on in another broker,
// which an old leader with an older mapping does not know; queue 1 is being moved.
func TestLogicalQueues(t *testing.T) {
	configs := known(map[string]body.IntMap[[]body.LogicQueueMappingItem]{
		"p": {0: {item("p", 0, 0, 0)}, 1: {item("p", 1, 0, 0), item("q", 1, 1, -1)}},
		"q": {0: {item("p", 0, 0, 0), item("q", 0, 1, 10000)}, 1: {item("p", 1, 0, 0), item("q", 1, 1, -1)}},
	})
	configs["q"].MappingDetail.Epoch = 1
	configs["w"] = &body.TopicConfigAndQueueMapping{}
	zero, one := at("__syslo__global__", 0), at("__syslo__global__", 1)

	require.Equal(t, body.QueueMap[body.TopicOffset]{
		zero: {MinOffset: 3, MaxOffset: 10007, LastUpdateTimestamp: 5},
		one:  {MinOffset: 0, MaxOffset: 4},
	}, Bounds(configs, body.QueueMap[body.TopicOffset]{
		at("p", 0): {MinOffset: 3, MaxOffset: 8, LastUpdateTimestamp: 2}, at("q", 0): {MaxOffset: 7, LastUpdateTimestamp: 5},
		at("p", 1): {MaxOffset: 4}, at("q", 1): {MaxOffset: 2},
	}))
	require.Empty(t, Bounds(configs, body.QueueMap[body.TopicOffset]{at("p", 0): {MaxOffset: 8}}), "no broker tells the end")

	physical := body.QueueMap[body.OffsetWrapper]{
		at("p", 0): {BrokerOffset: 8, ConsumerOffset: 6, PullOffset: 7, LastTimestamp: 9}, at("q", 0): {BrokerOffset: 7, ConsumerOffset: -1},
		at("p", 1): {BrokerOffset: 4, ConsumerOffset: -1}, at("q", 1): {BrokerOffset: 2, ConsumerOffset: 1},
	}
	require.Equal(t, body.QueueMap[body.OffsetWrapper]{zero: {BrokerOffset: 10007, ConsumerOffset: 6, PullOffset: 7, LastTimestamp: 9}},
		Progress(configs, physical), "an offset in an item that is not decided says nothing")
	physical[at("q", 0)] = body.OffsetWrapper{BrokerOffset: 7, ConsumerOffset: 5, LastTimestamp: 11}
	require.Equal(t, body.OffsetWrapper{BrokerOffset: 10007, ConsumerOffset: 10005, PullOffset: 10005, LastTimestamp: 11}, Progress(configs, physical)[zero])
	require.Empty(t, Progress(nil, physical))
}
