package body

// BatchAckMessageRequestBody is the body of BATCH_ACK_MESSAGE. Java: BatchAckMessageRequestBody.
type BatchAckMessageRequestBody struct {
	Acks       []BatchAck `json:"acks"`
	BrokerName string     `json:"brokerName"`
}

// BatchAck acknowledges messages of one checkpoint. Java: BatchAck.
type BatchAck struct {
	BitSet        string `json:"b"` // base64 of a java.util.BitSet: bit i is the queue offset StartOffset + i
	ConsumerGroup string `json:"c"`
	InvisibleTime int64  `json:"it"` // ms
	PopTime       int64  `json:"pt"` // ms
	QueueID       int32  `json:"q"`
	Retry         string `json:"r"` // retry flag of the receipt handle: "0", "1" or "2"
	ReviveQueueID int32  `json:"rq"`
	StartOffset   int64  `json:"so"`
	Topic         string `json:"t"`
}

// UnmarshalJSON accepts Java's long names as well.
func (a *BatchAck) UnmarshalJSON(b []byte) error {
	type short BatchAck
	var both struct {
		short
		BitSet        *string `json:"bitSet"`
		ConsumerGroup *string `json:"consumerGroup"`
		InvisibleTime *int64  `json:"invisibleTime"`
		PopTime       *int64  `json:"popTime"`
		QueueID       *int32  `json:"queueId"`
		Retry         *string `json:"retry"`
		ReviveQueueID *int32  `json:"reviveQueueId"`
		StartOffset   *int64  `json:"startOffset"`
		Topic         *string `json:"topic"`
	}
	if err := api.Unmarshal(b, &both); err != nil {
		return err
	}
	*a = BatchAck(both.short)
	set(&a.BitSet, both.BitSet)
	set(&a.ConsumerGroup, both.ConsumerGroup)
	set(&a.InvisibleTime, both.InvisibleTime)
	set(&a.PopTime, both.PopTime)
	set(&a.QueueID, both.QueueID)
	set(&a.Retry, both.Retry)
	set(&a.ReviveQueueID, both.ReviveQueueID)
	set(&a.StartOffset, both.StartOffset)
	set(&a.Topic, both.Topic)
	return nil
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

// Ways in which a client gets the messages of a queue. Java: MessageRequestMode.
const (
	RequestModePull = "PULL"
	RequestModePop  = "POP"
)

// SetMessageRequestModeRequestBody is the body of SET_MESSAGE_REQUEST_MODE, and an entry of
// messageRequestMode.json. Java: the class of that name.
type SetMessageRequestModeRequestBody struct {
	ConsumerGroup    string `json:"consumerGroup"`
	Mode             string `json:"mode"`
	PopShareQueueNum int32  `json:"popShareQueueNum"` // how many other consumers share a consumer's queues; 0 and less: all
	Topic            string `json:"topic"`
}

// MessageRequestModeTable is messageRequestMode.json: by topic, then group. Java: MessageRequestModeManager.
type MessageRequestModeTable struct {
	MessageRequestModeMap map[string]map[string]SetMessageRequestModeRequestBody `json:"messageRequestModeMap"`
}

// QueryAssignmentRequestBody is the body of QUERY_ASSIGNMENT. Java: the class of that name.
type QueryAssignmentRequestBody struct {
	ClientID      string       `json:"clientId"`
	ConsumerGroup string       `json:"consumerGroup"`
	MessageModel  MessageModel `json:"messageModel"`
	StrategyName  string       `json:"strategyName"`
	Topic         string       `json:"topic"`
}

// QueryAssignmentResponseBody is the reply to QUERY_ASSIGNMENT. A nil slice, which says that the client is to
// keep what it has, is left out; an empty one takes all queues from it. Java: the class of that name.
type QueryAssignmentResponseBody struct {
	MessageQueueAssignments *[]MessageQueueAssignment `json:"messageQueueAssignments,omitempty"`
}

// MessageQueueAssignment is a queue that a consumer is to read. Java: MessageQueueAssignment.
type MessageQueueAssignment struct {
	MessageQueue MessageQueue `json:"messageQueue"`
	Mode         string       `json:"mode"`
}
