package header

// SendMessageRequest is the header of SEND_MESSAGE (10). Java: SendMessageRequestHeader.
//
// Its Go fields are those of SendMessageRequestV2, so each converts to the other; only BrokerName differs
// on the wire, where Java's class inherits it as bname.
type SendMessageRequest struct {
	ProducerGroup         string `rmq:"producerGroup,required"`
	Topic                 string `rmq:"topic,required"`
	DefaultTopic          string `rmq:"defaultTopic,required"` // template when Topic must be created, normally TBW102
	DefaultTopicQueueNums int32  `rmq:"defaultTopicQueueNums,required"`
	QueueID               int32  `rmq:"queueId,required"` // below 0: the broker picks one
	SysFlag               int32  `rmq:"sysFlag,required"`
	BornTimestamp         int64  `rmq:"bornTimestamp,required"` // ms
	Flag                  int32  `rmq:"flag,required"`          // the user's
	Properties            string `rmq:"properties"`             // name 0x01 value 0x02 ...
	ReconsumeTimes        int32  `rmq:"reconsumeTimes"`
	UnitMode              bool   `rmq:"unitMode"`
	MaxReconsumeTimes     *int32 `rmq:"maxReconsumeTimes"` // nil: the group's retryMaxTimes holds
	Batch                 bool   `rmq:"batch"`
	BrokerName            string `rmq:"bname"`
}

// SendMessageRequestV2 is the header of SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320): the fields of
// SendMessageRequest under one-letter names. Java: SendMessageRequestHeaderV2.
type SendMessageRequestV2 struct {
	ProducerGroup         string `rmq:"a,required"`
	Topic                 string `rmq:"b,required"`
	DefaultTopic          string `rmq:"c,required"`
	DefaultTopicQueueNums int32  `rmq:"d,required"`
	QueueID               int32  `rmq:"e,required"`
	SysFlag               int32  `rmq:"f,required"`
	BornTimestamp         int64  `rmq:"g,required"`
	Flag                  int32  `rmq:"h,required"`
	Properties            string `rmq:"i"`
	ReconsumeTimes        int32  `rmq:"j"`
	UnitMode              bool   `rmq:"k"`
	MaxReconsumeTimes     *int32 `rmq:"l"`
	Batch                 bool   `rmq:"m"`
	BrokerName            string `rmq:"n"`
}

// SendMessageResponse is the reply to every send code. Java: SendMessageResponseHeader.
//
// Clients decode it on SUCCESS, FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE and FLUSH_SLAVE_TIMEOUT. The reply
// also carries the ext fields MSG_REGION and TRACE_ON.
type SendMessageResponse struct {
	MsgID         string `rmq:"msgId,required"` // offset message id; a batch joins its ids with commas
	QueueID       int32  `rmq:"queueId,required"`
	QueueOffset   int64  `rmq:"queueOffset,required"` // of the first message of a batch
	TransactionID string `rmq:"transactionId"`        // the message's UNIQ_KEY
	BatchUniqID   string `rmq:"batchUniqId"`          // BatchCQ topics only
	RecallHandle  string `rmq:"recallHandle"`         // timer messages only
}

// ConsumerSendMsgBackRequest is the header of CONSUMER_SEND_MSG_BACK (36).
// Java: ConsumerSendMsgBackRequestHeader.
type ConsumerSendMsgBackRequest struct {
	Offset            int64  `rmq:"offset,required"` // physical offset of the message to retry
	Group             string `rmq:"group,required"`
	DelayLevel        int32  `rmq:"delayLevel,required"` // 0: 3 + reconsumeTimes; below 0: to the DLQ
	OriginMsgID       string `rmq:"originMsgId"`
	OriginTopic       string `rmq:"originTopic"`
	UnitMode          bool   `rmq:"unitMode"`
	MaxReconsumeTimes *int32 `rmq:"maxReconsumeTimes"` // nil: the group's retryMaxTimes holds
}

// RecallMessageRequest is the header of RECALL_MESSAGE (370). Java: RecallMessageRequestHeader.
type RecallMessageRequest struct {
	ProducerGroup string `rmq:"producerGroup"`
	Topic         string `rmq:"topic,required"`
	RecallHandle  string `rmq:"recallHandle,required"` // of SendMessageResponse
}

// RecallMessageResponse is the reply to RECALL_MESSAGE. Java: RecallMessageResponseHeader.
type RecallMessageResponse struct {
	MsgID string `rmq:"msgId,required"` // UNIQ_KEY of the message
}
