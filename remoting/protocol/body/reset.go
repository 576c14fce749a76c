package body

// ResetOffsetBody is the reply to INVOKE_BROKER_TO_RESET_OFFSET and what clients are told by
// RESET_CONSUMER_CLIENT_OFFSET: the offset of each queue. Java: ResetOffsetBody.
type ResetOffsetBody struct {
	OffsetTable QueueMap[int64] `json:"offsetTable"`
}

// ResetOffsetBodyForC is ResetOffsetBody for the C++ client. Java: ResetOffsetBodyForC.
type ResetOffsetBodyForC struct {
	OffsetTable []MessageQueueForC `json:"offsetTable"`
}

// MessageQueueForC is a queue and its offset. Java: MessageQueueForC.
type MessageQueueForC struct {
	BrokerName string `json:"brokerName"`
	Offset     int64  `json:"offset"`
	QueueID    int32  `json:"queueId"`
	Topic      string `json:"topic"`
}

// GetConsumerStatusBody is the reply of a client to GET_CONSUMER_STATUS_FROM_CLIENT (MessageQueueTable) and
// of a broker to INVOKE_BROKER_TO_GET_CONSUMER_STATUS (ConsumerTable, by client id).
// Java: GetConsumerStatusBody.
type GetConsumerStatusBody struct {
	ConsumerTable     map[string]QueueMap[int64] `json:"consumerTable"`
	MessageQueueTable QueueMap[int64]            `json:"messageQueueTable"`
}

// QueryCorrectionOffsetBody is the reply to QUERY_CORRECTION_OFFSET: queue id to offset.
// Java: QueryCorrectionOffsetBody.
type QueryCorrectionOffsetBody struct {
	CorrectionOffsets IntMap[int64] `json:"correctionOffsets"`
}

// QueueTimeSpan is the store times, ms, of a queue's first and last message and of the last that a group has
// consumed, -1 where there is none, and for how long the next one waits. Java: QueueTimeSpan.
type QueueTimeSpan struct {
	ConsumeTimeStamp    int64        `json:"consumeTimeStamp"`
	ConsumeTimeStampStr string       `json:"consumeTimeStampStr"`
	DelayTime           int64        `json:"delayTime"`
	MaxTimeStamp        int64        `json:"maxTimeStamp"`
	MaxTimeStampStr     string       `json:"maxTimeStampStr"`
	MessageQueue        MessageQueue `json:"messageQueue"`
	MinTimeStamp        int64        `json:"minTimeStamp"`
	MinTimeStampStr     string       `json:"minTimeStampStr"`
}

// QueryConsumeTimeSpanBody is the reply to QUERY_CONSUME_TIME_SPAN. Java: QueryConsumeTimeSpanBody.
type QueryConsumeTimeSpanBody struct {
	ConsumeTimeSpanSet []QueueTimeSpan `json:"consumeTimeSpanSet"`
}

// ConsumeStatsList is the reply to GET_BROKER_CONSUME_STATS: for each group its topics. Java: ConsumeStatsList.
type ConsumeStatsList struct {
	BrokerAddr        string                      `json:"brokerAddr"`
	ConsumeStatsList  []map[string][]ConsumeStats `json:"consumeStatsList"`
	TotalDiff         int64                       `json:"totalDiff"`
	TotalInflightDiff int64                       `json:"totalInflightDiff"`
}

// ConsumeQueueData is one unit of a ConsumeQueue. Java: ConsumeQueueData.
type ConsumeQueueData struct {
	BitMap         string `json:"bitMap,omitempty"`
	Eval           bool   `json:"eval"`
	ExtendDataJSON string `json:"extendDataJson,omitempty"`
	Msg            string `json:"msg,omitempty"`
	PhysicOffset   int64  `json:"physicOffset"`
	PhysicSize     int32  `json:"physicSize"`
	TagsCode       int64  `json:"tagsCode"`
}

// QueryConsumeQueueResponseBody is the reply to QUERY_CONSUME_QUEUE. Java: QueryConsumeQueueResponseBody.
type QueryConsumeQueueResponseBody struct {
	FilterData       string             `json:"filterData,omitempty"`
	MaxQueueIndex    int64              `json:"maxQueueIndex"`
	MinQueueIndex    int64              `json:"minQueueIndex"`
	QueueData        []ConsumeQueueData `json:"queueData"`
	SubscriptionData *SubscriptionData  `json:"subscriptionData,omitempty"`
}
