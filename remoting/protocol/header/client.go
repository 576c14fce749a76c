package header

// UnregisterClientRequest is the header of UNREGISTER_CLIENT (35). Java: UnregisterClientRequestHeader.
type UnregisterClientRequest struct {
	ClientID      string `rmq:"clientID,required"`
	ProducerGroup string `rmq:"producerGroup"`
	ConsumerGroup string `rmq:"consumerGroup"`
}

// GetConsumerListByGroupRequest is the header of GET_CONSUMER_LIST_BY_GROUP (38).
// Java: GetConsumerListByGroupRequestHeader.
type GetConsumerListByGroupRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
}

// NotifyConsumerIdsChangedRequest is the header of NOTIFY_CONSUMER_IDS_CHANGED (40), broker to client.
// Java: NotifyConsumerIdsChangedRequestHeader.
type NotifyConsumerIdsChangedRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
}

// GetConsumerConnectionListRequest is the header of GET_CONSUMER_CONNECTION_LIST (203).
// Java: GetConsumerConnectionListRequestHeader.
type GetConsumerConnectionListRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
}

// GetProducerConnectionListRequest is the header of GET_PRODUCER_CONNECTION_LIST (204).
// Java: GetProducerConnectionListRequestHeader.
type GetProducerConnectionListRequest struct {
	ProducerGroup string `rmq:"producerGroup,required"`
}

// GetConsumerRunningInfoRequest is the header of GET_CONSUMER_RUNNING_INFO (307), which the broker relays
// to the client. Java: GetConsumerRunningInfoRequestHeader.
type GetConsumerRunningInfoRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	ClientID      string `rmq:"clientId,required"`
	JstackEnable  bool   `rmq:"jstackEnable"`
}

// ConsumeMessageDirectlyResultRequest is the header of CONSUME_MESSAGE_DIRECTLY (309), which the broker
// relays to the client with the message as its body. Java: ConsumeMessageDirectlyResultRequestHeader.
type ConsumeMessageDirectlyResultRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	ClientID      string `rmq:"clientId"`
	MsgID         string `rmq:"msgId"` // offset message id
	BrokerName    string `rmq:"brokerName"`
	Topic         string `rmq:"topic"`
	TopicSysFlag  *int32 `rmq:"topicSysFlag"` // added by the broker, as is the next
	GroupSysFlag  *int32 `rmq:"groupSysFlag"`
}
