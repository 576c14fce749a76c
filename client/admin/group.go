package admin

import (
	"context"
	"errors"
	"maps"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// CreateGroup makes or changes a subscription group on one broker.
func (c *Client) CreateGroup(ctx context.Context, broker string, g body.SubscriptionGroupConfig) error {
	return c.do(ctx, broker, protocol.UpdateAndCreateSubscriptionGroup, nil, g)
}

// CreateGroups makes or changes groups on one broker; one that is refused stops all.
func (c *Client) CreateGroups(ctx context.Context, broker string, groups []*body.SubscriptionGroupConfig) error {
	return c.do(ctx, broker, protocol.UpdateAndCreateSubscriptionGroupList, nil, body.SubscriptionGroupList{GroupConfigList: groups})
}

// DeleteGroup deletes a group from one broker, with cleanOffsets also its offsets.
func (c *Client) DeleteGroup(ctx context.Context, broker, group string, cleanOffsets bool) error {
	return c.do(ctx, broker, protocol.DeleteSubscriptionGroup, header.DeleteSubscriptionGroupRequest{GroupName: group, CleanOffset: cleanOffsets}, nil)
}

// Groups returns all groups of a broker.
func (c *Client) Groups(ctx context.Context, broker string) (*body.SubscriptionGroupWrapper, error) {
	return get[body.SubscriptionGroupWrapper](ctx, c, broker, protocol.GetAllSubscriptionGroupConfig, nil, nil)
}

// SetRequestMode says whether a group pulls or pops a topic at one broker.
func (c *Client) SetRequestMode(ctx context.Context, broker string, mode body.SetMessageRequestModeRequestBody) error {
	return c.do(ctx, broker, protocol.SetMessageRequestMode, nil, mode)
}

// ConsumeStats returns how far a group is, in one topic or, when that is empty, in all. routeTopic is the
// topic whose brokers are asked; empty: the group's retry topic.
func (c *Client) ConsumeStats(ctx context.Context, group, topic, routeTopic string) (*body.ConsumeStats, error) {
	if routeTopic == "" {
		routeTopic = RetryPrefix + group
	}
	sum := &body.ConsumeStats{OffsetTable: body.QueueMap[body.OffsetWrapper]{}}
	err := c.eachBroker(ctx, routeTopic, func(_ body.BrokerData, addr string) error {
		one, err := c.BrokerConsumeStats(ctx, addr, group, topic)
		if err == nil {
			maps.Copy(sum.OffsetTable, one.OffsetTable)
			sum.ConsumeTps += one.ConsumeTps
		}
		return err
	})
	if err == nil && len(sum.OffsetTable) == 0 {
		return nil, &protocol.Error{Code: protocol.ConsumerNotOnline, Remark: "Not found the consumer group consume stats, because return offset table is empty, maybe the consumer not consume any message"}
	}
	return sum, err
}

// BrokerConsumeStats is ConsumeStats at one broker.
func (c *Client) BrokerConsumeStats(ctx context.Context, broker, group, topic string) (*body.ConsumeStats, error) {
	return get[body.ConsumeStats](ctx, c, broker, protocol.GetConsumeStats, header.GetConsumeStatsRequest{ConsumerGroup: group, Topic: topic}, nil)
}

// AllConsumeStats returns how far all groups of a broker are, with order only in ordered topics.
func (c *Client) AllConsumeStats(ctx context.Context, broker string, order bool) (*body.ConsumeStatsList, error) {
	return get[body.ConsumeStatsList](ctx, c, broker, protocol.GetBrokerConsumeStats, header.GetConsumeStatsInBroker{IsOrder: order}, nil)
}

// UpdateOffset sets the offset of a group in one queue.
func (c *Client) UpdateOffset(ctx context.Context, broker, group string, q body.MessageQueue, offset int64) error {
	return c.do(ctx, broker, protocol.UpdateConsumerOffset, header.UpdateConsumerOffsetRequest{ConsumerGroup: group, Topic: q.Topic, QueueID: q.QueueID, CommitOffset: offset}, nil)
}

// ResetOffset moves a group in all queues of a topic to where messages of a time (ms; below 0: the end) begin,
// with force also forward, and returns the new offsets. Its consumers follow. routeTopic as of ConsumeStats;
// empty: the topic.
func (c *Client) ResetOffset(ctx context.Context, routeTopic, topic, group string, timestamp int64, force bool) (body.QueueMap[int64], error) {
	if routeTopic == "" {
		routeTopic = topic
	}
	sum := body.QueueMap[int64]{}
	all := int32(-1)
	err := c.eachBroker(ctx, routeTopic, func(_ body.BrokerData, addr string) error {
		one, err := get[body.ResetOffsetBody](ctx, c, addr, protocol.InvokeBrokerToResetOffset,
			header.ResetOffsetRequest{Group: group, Topic: topic, QueueID: &all, Timestamp: timestamp, IsForce: force}, nil)
		if err == nil {
			maps.Copy(sum, one.OffsetTable)
		}
		return err
	})
	return sum, err
}

// ResetQueueOffset moves a group in one queue of a broker to an offset. Consumers follow.
func (c *Client) ResetQueueOffset(ctx context.Context, broker, group string, topic string, queueID int32, offset int64) error {
	err := c.do(ctx, broker, protocol.InvokeBrokerToResetOffset,
		header.ResetOffsetRequest{Group: group, Topic: topic, QueueID: &queueID, Offset: &offset, IsForce: true}, nil)
	if err != nil {
		return err
	}
	return c.UpdateOffset(ctx, broker, group, body.MessageQueue{Topic: topic, QueueID: queueID}, offset)
}

// ConsumerConnection returns the consumers of a group at one broker or, when that is empty, at the first that
// knows any.
func (c *Client) ConsumerConnection(ctx context.Context, group, broker string) (*body.ConsumerConnection, error) {
	one := func(addr string) (*body.ConsumerConnection, error) {
		return get[body.ConsumerConnection](ctx, c, addr, protocol.GetConsumerConnectionList, header.GetConsumerConnectionListRequest{ConsumerGroup: group}, nil)
	}
	if broker != "" {
		return one(broker)
	}
	var found *body.ConsumerConnection
	var last error
	err := c.eachBroker(ctx, RetryPrefix+group, func(_ body.BrokerData, addr string) error {
		if found == nil {
			found, last = one(addr)
		}
		return nil
	})
	if err == nil && found == nil {
		err = last
	}
	return found, err
}

// ProducerConnection returns the producers of a group at the first broker of a topic that knows any.
func (c *Client) ProducerConnection(ctx context.Context, group, topic string) (*body.ProducerConnection, error) {
	var found *body.ProducerConnection
	var last error
	err := c.eachBroker(ctx, topic, func(_ body.BrokerData, addr string) error {
		if found == nil {
			found, last = get[body.ProducerConnection](ctx, c, addr, protocol.GetProducerConnectionList, header.GetProducerConnectionListRequest{ProducerGroup: group}, nil)
		}
		return nil
	})
	if err == nil && found == nil {
		err = last
	}
	return found, err
}

// Producers returns all producers of a broker, by group.
func (c *Client) Producers(ctx context.Context, broker string) (*body.ProducerTableInfo, error) {
	return get[body.ProducerTableInfo](ctx, c, broker, protocol.GetAllProducerInfo, nil, nil)
}

// RunningInfo asks a consumer, through its broker, for its state.
func (c *Client) RunningInfo(ctx context.Context, group, clientID string, jstack bool) (*RunningInfo, error) {
	var found *RunningInfo
	last := errors.New("no broker was asked")
	err := c.eachBroker(ctx, RetryPrefix+group, func(_ body.BrokerData, addr string) error {
		if found == nil {
			found, last = get[RunningInfo](ctx, c, addr, protocol.GetConsumerRunningInfo, header.GetConsumerRunningInfoRequest{ConsumerGroup: group, ClientID: clientID, JstackEnable: jstack}, nil)
		}
		return nil
	})
	if err == nil && found == nil {
		err = last
	}
	return found, err
}

// RunningInfo is what a consumer says of itself.
type RunningInfo = body.ConsumerRunningInfo

// ProcessQueue is what a consumer holds of one queue.
type ProcessQueue = body.ProcessQueueInfo

// PopQueue is ProcessQueue of a consumer that pops.
type PopQueue = body.PopProcessQueue

// ConsumeStatus is how fast a consumer is in one topic.
type ConsumeStatus = body.ConsumeStatus

// DirectResult is what a consumer says of a message it was told to consume.
type DirectResult = body.ConsumeMessageDirectlyResult

// ConsumeDirectly tells a consumer to consume a message, named by its offset message id, now.
func (c *Client) ConsumeDirectly(ctx context.Context, group, clientID, topic, offsetMsgID string) (*DirectResult, error) {
	var found *DirectResult
	last := errors.New("no broker was asked")
	err := c.eachBroker(ctx, topic, func(b body.BrokerData, addr string) error {
		if found == nil {
			found, last = get[DirectResult](ctx, c, addr, protocol.ConsumeMessageDirectly, header.ConsumeMessageDirectlyResultRequest{ConsumerGroup: group, ClientID: clientID, MsgID: offsetMsgID, BrokerName: b.BrokerName, Topic: topic}, nil)
		}
		return nil
	})
	if err == nil && found == nil {
		err = last
	}
	return found, err
}
