package header

// QueryConsumerOffsetRequest is the header of QUERY_CONSUMER_OFFSET (14).
// Java: QueryConsumerOffsetRequestHeader.
type QueryConsumerOffsetRequest struct {
	ConsumerGroup     string `rmq:"consumerGroup,required"`
	Topic             string `rmq:"topic,required"`
	QueueID           int32  `rmq:"queueId,required"`
	SetZeroIfNotFound *bool  `rmq:"setZeroIfNotFound"` // nil: true
}

// QueryConsumerOffsetResponse is the reply to QUERY_CONSUMER_OFFSET.
// Java: QueryConsumerOffsetResponseHeader.
type QueryConsumerOffsetResponse struct {
	Offset int64 `rmq:"offset,required"` // queue offset
}

// UpdateConsumerOffsetRequest is the header of UPDATE_CONSUMER_OFFSET (15).
// Java: UpdateConsumerOffsetRequestHeader.
type UpdateConsumerOffsetRequest struct {
	ConsumerGroup string `rmq:"consumerGroup,required"`
	Topic         string `rmq:"topic,required"`
	QueueID       int32  `rmq:"queueId,required"`
	CommitOffset  int64  `rmq:"commitOffset,required"` // queue offset
}

// BoundaryLower and BoundaryUpper are the values of SearchOffsetRequest.BoundaryType as Java writes them,
// with the enum's name. It reads them without regard to case, and anything but upper as lower.
// Java: BoundaryType.
const (
	BoundaryLower = "LOWER"
	BoundaryUpper = "UPPER"
)

// SearchOffsetRequest is the header of SEARCH_OFFSET_BY_TIMESTAMP (29). Java: SearchOffsetRequestHeader.
type SearchOffsetRequest struct {
	Topic        string `rmq:"topic,required"`
	LiteTopic    string `rmq:"liteTopic"`
	QueueID      int32  `rmq:"queueId,required"`
	Timestamp    int64  `rmq:"timestamp,required"` // store time, ms
	BoundaryType string `rmq:"boundaryType"`       // empty: lower
}

// SearchOffsetResponse is the reply to SEARCH_OFFSET_BY_TIMESTAMP. Java: SearchOffsetResponseHeader.
type SearchOffsetResponse struct {
	Offset int64 `rmq:"offset,required"` // queue offset
}

// GetMaxOffsetRequest is the header of GET_MAX_OFFSET (30). Java: GetMaxOffsetRequestHeader.
type GetMaxOffsetRequest struct {
	Topic     string `rmq:"topic,required"`
	QueueID   int32  `rmq:"queueId,required"`
	Committed *bool  `rmq:"committed"` // nil: true
}

// GetMaxOffsetResponse is the reply to GET_MAX_OFFSET. Java: GetMaxOffsetResponseHeader.
type GetMaxOffsetResponse struct {
	Offset int64 `rmq:"offset,required"` // queue offset behind the newest message
}

// GetMinOffsetRequest is the header of GET_MIN_OFFSET (31). Java: GetMinOffsetRequestHeader.
type GetMinOffsetRequest struct {
	Topic   string `rmq:"topic,required"`
	QueueID int32  `rmq:"queueId,required"`
}

// GetMinOffsetResponse is the reply to GET_MIN_OFFSET. Java: GetMinOffsetResponseHeader.
type GetMinOffsetResponse struct {
	Offset int64 `rmq:"offset,required"` // queue offset
}

// GetEarliestMsgStoretimeRequest is the header of GET_EARLIEST_MSG_STORETIME (32).
// Java: GetEarliestMsgStoretimeRequestHeader.
type GetEarliestMsgStoretimeRequest struct {
	Topic   string `rmq:"topic,required"`
	QueueID int32  `rmq:"queueId,required"`
}

// GetEarliestMsgStoretimeResponse is the reply to GET_EARLIEST_MSG_STORETIME.
// Java: GetEarliestMsgStoretimeResponseHeader.
type GetEarliestMsgStoretimeResponse struct {
	Timestamp int64 `rmq:"timestamp,required"` // ms, -1 without messages
}
