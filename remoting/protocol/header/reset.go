package header

// ResetOffsetRequest is the header of INVOKE_BROKER_TO_RESET_OFFSET (222) and, broker to client, of
// RESET_CONSUMER_CLIENT_OFFSET (220). Java: ResetOffsetRequestHeader.
type ResetOffsetRequest struct {
	Group     string `rmq:"group,required"`
	Topic     string `rmq:"topic,required"`
	QueueID   *int32 `rmq:"queueId"`            // nil or below 0: all queues
	Offset    *int64 `rmq:"offset"`             // with a queue; nil or -1: that of Timestamp
	Timestamp int64  `rmq:"timestamp,required"` // store time, ms; below 0: the end
	IsForce   bool   `rmq:"isForce,required"`   // also move offsets forward
}

// GetConsumerStatusRequest is the header of INVOKE_BROKER_TO_GET_CONSUMER_STATUS (223) and, broker to client,
// of GET_CONSUMER_STATUS_FROM_CLIENT (221). Java: GetConsumerStatusRequestHeader.
type GetConsumerStatusRequest struct {
	Topic      string `rmq:"topic,required"`
	Group      string `rmq:"group,required"`
	ClientAddr string `rmq:"clientAddr"` // a client id; empty: all of the group
}

// CloneGroupOffsetRequest is the header of CLONE_GROUP_OFFSET (314). Java: CloneGroupOffsetRequestHeader.
type CloneGroupOffsetRequest struct {
	SrcGroup  string `rmq:"srcGroup,required"`
	DestGroup string `rmq:"destGroup,required"`
	Topic     string `rmq:"topic"`   // empty: all that the source group has offsets in
	Offline   bool   `rmq:"offline"` // also topics that the live source group does not subscribe to
}

// QueryCorrectionOffset is the header of QUERY_CORRECTION_OFFSET (308). Java: QueryCorrectionOffsetHeader.
type QueryCorrectionOffset struct {
	FilterGroups string `rmq:"filterGroups"` // separated by ',': these do not count
	CompareGroup string `rmq:"compareGroup,required"`
	Topic        string `rmq:"topic,required"`
}

// QueryConsumeTimeSpanRequest is the header of QUERY_CONSUME_TIME_SPAN (303).
// Java: QueryConsumeTimeSpanRequestHeader.
type QueryConsumeTimeSpanRequest struct {
	Topic string `rmq:"topic,required"`
	Group string `rmq:"group,required"`
}

// QueryConsumeQueueRequest is the header of QUERY_CONSUME_QUEUE (321). Java: QueryConsumeQueueRequestHeader.
type QueryConsumeQueueRequest struct {
	Topic         string `rmq:"topic"`
	QueueID       int32  `rmq:"queueId"`
	Index         int64  `rmq:"index"` // queue offset
	Count         int32  `rmq:"count"`
	ConsumerGroup string `rmq:"consumerGroup"` // empty: none
}

// ReplyMessageRequest is the header of PUSH_REPLY_MESSAGE_TO_CLIENT (326), broker to client.
// Java: ReplyMessageRequestHeader.
type ReplyMessageRequest struct {
	ProducerGroup         string `rmq:"producerGroup,required"`
	Topic                 string `rmq:"topic,required"`
	DefaultTopic          string `rmq:"defaultTopic,required"`
	DefaultTopicQueueNums int32  `rmq:"defaultTopicQueueNums,required"`
	QueueID               int32  `rmq:"queueId,required"`
	SysFlag               int32  `rmq:"sysFlag,required"`
	BornTimestamp         int64  `rmq:"bornTimestamp,required"` // ms
	Flag                  int32  `rmq:"flag,required"`
	Properties            string `rmq:"properties"`
	ReconsumeTimes        *int32 `rmq:"reconsumeTimes"`
	UnitMode              bool   `rmq:"unitMode"`
	BornHost              string `rmq:"bornHost,required"` // "ip:port"
	StoreHost             string `rmq:"storeHost,required"`
	StoreTimestamp        int64  `rmq:"storeTimestamp,required"` // ms
}
