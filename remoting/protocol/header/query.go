package header

// ViewMessageRequest is the header of VIEW_MESSAGE_BY_ID (33). Java: ViewMessageRequestHeader.
type ViewMessageRequest struct {
	Topic  string `rmq:"topic"`
	Offset int64  `rmq:"offset,required"` // physical offset
}

// QueryMessageRequest is the header of QUERY_MESSAGE (12). Java: QueryMessageRequestHeader.
type QueryMessageRequest struct {
	Topic          string `rmq:"topic,required"`
	Key            string `rmq:"key,required"`
	MaxNum         int32  `rmq:"maxNum,required"`
	BeginTimestamp int64  `rmq:"beginTimestamp,required"` // store time, ms
	EndTimestamp   int64  `rmq:"endTimestamp,required"`
	IndexType      string `rmq:"indexType"` // 5.5: K, U or T; empty: K
	LastKey        string `rmq:"lastKey"`   // 5.5: of the RocksDB index only
}

// QueryMessageResponse is the header of the reply.
type QueryMessageResponse struct {
	IndexLastUpdateTimestamp int64 `rmq:"indexLastUpdateTimestamp,required"`
	IndexLastUpdatePhyoffset int64 `rmq:"indexLastUpdatePhyoffset,required"`
}

// GetConsumeStatsRequest is the header of GET_CONSUME_STATS (208). Java: GetConsumeStatsRequestHeader.
type GetConsumeStatsRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic"`
	TopicList     string `rmq:"topicList"` // separated by ';'; outweighs Topic
}

// GetConsumeStatsInBroker is the header of GET_BROKER_CONSUME_STATS (317).
// Java: GetConsumeStatsInBrokerHeader.
type GetConsumeStatsInBroker struct {
	IsOrder bool `rmq:"isOrder,required"`
}

// GetTopicStatsInfoRequest is the header of GET_TOPIC_STATS_INFO (202).
// Java: GetTopicStatsInfoRequestHeader.
type GetTopicStatsInfoRequest struct {
	Topic string `rmq:"topic,required"`
}

// QueryTopicConsumeByWhoRequest is the header of QUERY_TOPIC_CONSUME_BY_WHO (300).
// Java: QueryTopicConsumeByWhoRequestHeader.
type QueryTopicConsumeByWhoRequest struct {
	Topic string `rmq:"topic,required"`
}

// QueryTopicsByConsumerRequest is the header of QUERY_TOPICS_BY_CONSUMER (343).
// Java: QueryTopicsByConsumerRequestHeader.
type QueryTopicsByConsumerRequest struct {
	Group string `rmq:"group,required"`
}

// QuerySubscriptionByConsumerRequest is the header of QUERY_SUBSCRIPTION_BY_CONSUMER (345).
// Java: QuerySubscriptionByConsumerRequestHeader.
type QuerySubscriptionByConsumerRequest struct {
	Group string `rmq:"group,required"`
	Topic string `rmq:"topic"`
}
