package header

// PopMessageRequest is the header of POP_MESSAGE (200050). Java: PopMessageRequestHeader.
type PopMessageRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"` // -1: any queue
	MaxMsgNums    int32  `rmq:"maxMsgNums,required"`
	InvisibleTime int64  `rmq:"invisibleTime,required"` // ms
	PollTime      int64  `rmq:"pollTime,required"`      // ms that the request may be held
	BornTime      int64  `rmq:"bornTime,required"`      // ms, the client's clock
	InitMode      int32  `rmq:"initMode,required"`      // PopInitMin or PopInitMax
	ExpType       string `rmq:"expType"`
	Exp           string `rmq:"exp"`
	Order         bool   `rmq:"order"`
	AttemptID     string `rmq:"attemptId"`
}

// Where a group without an offset begins. Java: ConsumeInitMode.
const (
	PopInitMin int32 = 0
	PopInitMax int32 = 1
)

// PopMessageResponse is the reply to POP_MESSAGE and PEEK_MESSAGE. Java: PopMessageResponseHeader.
type PopMessageResponse struct {
	PopTime         int64  `rmq:"popTime,required"`       // ms
	InvisibleTime   int64  `rmq:"invisibleTime,required"` // ms
	ReviveQueueID   int32  `rmq:"reviveQid,required"`
	RestNum         int64  `rmq:"restNum,required"`
	StartOffsetInfo string `rmq:"startOffsetInfo"`
	MsgOffsetInfo   string `rmq:"msgOffsetInfo"`
	OrderCountInfo  string `rmq:"orderCountInfo"`
}

// AckMessageRequest is the header of ACK_MESSAGE (200051). Java: AckMessageRequestHeader.
type AckMessageRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"`
	ExtraInfo     string `rmq:"extraInfo,required"` // the receipt handle
	Offset        int64  `rmq:"offset,required"`    // queue offset
	LiteTopic     string `rmq:"liteTopic"`
}

// ChangeInvisibleTimeRequest is the header of CHANGE_MESSAGE_INVISIBLETIME (200053).
// Java: ChangeInvisibleTimeRequestHeader.
type ChangeInvisibleTimeRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"`
	ExtraInfo     string `rmq:"extraInfo,required"`
	Offset        int64  `rmq:"offset,required"`        // queue offset
	InvisibleTime int64  `rmq:"invisibleTime,required"` // ms from now
	LiteTopic     string `rmq:"liteTopic"`
	Suspend       bool   `rmq:"suspend"` // the redelivery does not count as one
}

// ChangeInvisibleTimeResponse is the reply to CHANGE_MESSAGE_INVISIBLETIME: the parts of the new handle.
// Java: ChangeInvisibleTimeResponseHeader.
type ChangeInvisibleTimeResponse struct {
	PopTime       int64 `rmq:"popTime,required"`       // ms
	InvisibleTime int64 `rmq:"invisibleTime,required"` // ms
	ReviveQueueID int32 `rmq:"reviveQid,required"`
}

// PeekMessageRequest is the header of PEEK_MESSAGE (200052). Java: PeekMessageRequestHeader.
type PeekMessageRequest struct {
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"` // -1: any queue
	MaxMsgNums    int32  `rmq:"maxMsgNums,required"`
	ConsumerGroup string `rmq:"consumerGroup,required"`
}

// NotificationRequest is the header of NOTIFICATION (200054). Java: NotificationRequestHeader.
type NotificationRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"`  // -1: any queue
	PollTime      int64  `rmq:"pollTime,required"` // ms
	BornTime      int64  `rmq:"bornTime,required"` // ms
	Order         bool   `rmq:"order"`
	AttemptID     string `rmq:"attemptId"`
	ExpType       string `rmq:"expType"`
	Exp           string `rmq:"exp"`
}

// NotificationResponse is the reply to NOTIFICATION. Java: NotificationResponseHeader.
type NotificationResponse struct {
	HasMsg      bool `rmq:"hasMsg,required"`
	PollingFull bool `rmq:"pollingFull"`
}

// PollingInfoRequest is the header of POLLING_INFO (200055). Java: PollingInfoRequestHeader.
type PollingInfoRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"`
}

// PollingInfoResponse is the reply to POLLING_INFO. Java: PollingInfoResponseHeader.
type PollingInfoResponse struct {
	PollingNum int32 `rmq:"pollingNum,required"`
}
