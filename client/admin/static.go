package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// TopicConfig returns the settings of a topic on one broker and, for a static topic, its queue mapping. A topic that
// is not there is an error of code TOPIC_NOT_EXIST.
func (c *Client) TopicConfig(ctx context.Context, broker, topic string) (*body.TopicConfigAndQueueMapping, error) {
	cmd := protocol.NewRequest(protocol.GetTopicConfig, header.GetTopicConfigRequest{Topic: topic})
	cmd.Language = protocol.LanguageGo
	cmd.Ext = append(cmd.Ext, protocol.Field{Key: "lo", Value: "true"}) // with the mapping
	resp, err := c.send(ctx, broker, cmd)
	if err != nil {
		return nil, err
	}
	return decode[body.TopicConfigAndQueueMapping](broker, protocol.GetTopicConfig, resp)
}

// CreateStaticTopic makes a static topic on one broker or changes its queue mapping there, which t must have. Without
// force the broker refuses what does not continue the mapping that it has. What belongs to all brokers of a topic is
// worked out by package statictopic.
func (c *Client) CreateStaticTopic(ctx context.Context, broker string, t *body.TopicConfigAndQueueMapping, force bool) error {
	return c.do(ctx, broker, protocol.UpdateAndCreateStaticTopic, header.CreateTopicRequest{Topic: t.TopicName, DefaultTopic: defaultTopic,
		ReadQueueNums: t.ReadQueueNums, WriteQueueNums: t.WriteQueueNums, Perm: t.Perm, TopicFilterType: t.TopicFilterType,
		TopicSysFlag: t.TopicSysFlag, Order: t.Order, Force: force}, t.MappingDetail)
}

// led returns the logical queues of a static topic in the order of their ids, each under the name of the broker that
// leads it; of two, while queues move, the one with the newer mapping.
// Java: ClientMetadata.topicRouteData2EndpointsForStaticTopic.
func led(topic string, route *body.TopicRouteData) ([]body.MessageQueue, error) {
	leaders, epochs := map[int64]string{}, map[int64]int64{}
	for broker, raw := range route.TopicQueueMappingByBroker {
		var info body.TopicQueueMappingInfo
		if err := body.Unmarshal(raw, &info); err != nil {
			return nil, fmt.Errorf("cannot read the queue mapping of topic %s in broker %s: %w", topic, broker, err)
		}
		for id := range info.CurrIDMap {
			if leaders[id] == "" || info.Epoch > epochs[id] {
				leaders[id], epochs[id] = broker, info.Epoch
			}
		}
	}
	var queues []body.MessageQueue
	for _, id := range slices.Sorted(maps.Keys(leaders)) {
		queues = append(queues, body.MessageQueue{Topic: topic, BrokerName: leaders[id], QueueID: int32(id)})
	}
	return queues, nil
}
