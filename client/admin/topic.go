package admin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// Prefixes of the topics that belong to a group. Java: MixAll.
const (
	RetryPrefix = "%RETRY%"
	DLQPrefix   = "%DLQ%"
)

// defaultTopic is the topic whose settings new topics take. Java: TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC.
const defaultTopic = "TBW102"

// CreateTopic makes or changes a topic on one broker. The keys of t.Attributes begin with + to set and - to
// remove an attribute.
func (c *Client) CreateTopic(ctx context.Context, broker string, t body.TopicConfig) error {
	var attributes []string
	for _, k := range slices.Sorted(maps.Keys(t.Attributes)) {
		text := k
		if v := t.Attributes[k]; v != "" {
			text += "=" + v
		}
		attributes = append(attributes, text)
	}
	return c.do(ctx, broker, protocol.UpdateAndCreateTopic, header.CreateTopicRequest{Topic: t.TopicName, DefaultTopic: defaultTopic,
		ReadQueueNums: t.ReadQueueNums, WriteQueueNums: t.WriteQueueNums, Perm: t.Perm, TopicFilterType: t.TopicFilterType,
		TopicSysFlag: t.TopicSysFlag, Order: t.Order, Attributes: strings.Join(attributes, ",")}, nil)
}

// CreateTopics makes or changes topics on one broker; one that is refused stops all.
func (c *Client) CreateTopics(ctx context.Context, broker string, topics []*body.TopicConfig) error {
	return c.do(ctx, broker, protocol.UpdateAndCreateTopicList, nil, body.CreateTopicListRequestBody{TopicConfigList: topics})
}

// DeleteTopicInBroker deletes a topic and its messages from one broker.
func (c *Client) DeleteTopicInBroker(ctx context.Context, broker, topic string) error {
	return c.do(ctx, broker, protocol.DeleteTopicInBroker, header.DeleteTopicRequest{Topic: topic}, nil)
}

// DeleteTopic deletes a topic from the masters of a cluster, from the name servers, and its order.
func (c *Client) DeleteTopic(ctx context.Context, topic, cluster string) error {
	masters, err := c.Masters(ctx, cluster)
	if err != nil {
		return err
	}
	for _, addr := range masters {
		if err := c.DeleteTopicInBroker(ctx, addr, topic); err != nil {
			return err
		}
	}
	if err := c.eachNamesrv(func(addr string) error { return c.DeleteTopicInNamesrv(ctx, addr, topic, "") }); err != nil {
		return err
	}
	return c.DeleteKV(ctx, OrderNamespace, topic)
}

// TopicStats returns the bounds of a topic's queues, of one broker or, when broker is empty, of all.
func (c *Client) TopicStats(ctx context.Context, broker, topic string) (*body.TopicStatsTable, error) {
	if broker != "" {
		return get[body.TopicStatsTable](ctx, c, broker, protocol.GetTopicStatsInfo, header.GetTopicStatsInfoRequest{Topic: topic}, nil)
	}
	sum := &body.TopicStatsTable{OffsetTable: body.QueueMap[body.TopicOffset]{}}
	err := c.eachBroker(ctx, topic, func(_ body.BrokerData, addr string) error {
		one, err := c.TopicStats(ctx, addr, topic)
		if err == nil {
			maps.Copy(sum.OffsetTable, one.OffsetTable)
			sum.TopicPutTps += one.TopicPutTps
		}
		return err
	})
	return sum, err
}

// Topics returns all topics of a broker.
func (c *Client) Topics(ctx context.Context, broker string) (*body.TopicConfigSerializeWrapper, error) {
	return get[body.TopicConfigSerializeWrapper](ctx, c, broker, protocol.GetAllTopicConfig, nil, nil)
}

// SystemTopics returns the names of a broker's own topics.
func (c *Client) SystemTopics(ctx context.Context, broker string) ([]string, error) {
	l, err := get[body.TopicList](ctx, c, broker, protocol.GetSystemTopicListFromBroker, nil, nil)
	if err != nil {
		return nil, err
	}
	return l.TopicList, nil
}

// GroupsOf returns the groups that subscribe to a topic or have offsets in it.
func (c *Client) GroupsOf(ctx context.Context, topic string) ([]string, error) {
	var groups []string
	err := c.eachBroker(ctx, topic, func(_ body.BrokerData, addr string) error {
		l, err := get[body.GroupList](ctx, c, addr, protocol.QueryTopicConsumeByWho, header.QueryTopicConsumeByWhoRequest{Topic: topic}, nil)
		if err == nil {
			groups = append(groups, l.GroupList...)
		}
		return err
	})
	slices.Sort(groups)
	return slices.Compact(groups), err
}
