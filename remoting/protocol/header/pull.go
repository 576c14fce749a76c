package header

// Bits of PullMessageRequest.SysFlag. Java: PullSysFlag.
const (
	PullCommitOffset int32 = 1 << 0 // CommitOffset is to be stored
	PullSuspend      int32 = 1 << 1 // the broker may hold the request
	PullSubscription int32 = 1 << 2 // Subscription is given
	PullClassFilter  int32 = 1 << 3
	PullLitePull     int32 = 1 << 4
)

// PullMessageRequest is the header of PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361).
// Java: PullMessageRequestHeader.
type PullMessageRequest struct {
	ConsumerGroup        string `rmq:"consumerGroup,required"`
	Topic                string `rmq:"topic,required"`
	QueueID              int32  `rmq:"queueId,required"`
	QueueOffset          int64  `rmq:"queueOffset,required"`
	MaxMsgNums           int32  `rmq:"maxMsgNums,required"`
	SysFlag              int32  `rmq:"sysFlag,required"`
	CommitOffset         int64  `rmq:"commitOffset,required"` // queue offset
	SuspendTimeoutMillis int64  `rmq:"suspendTimeoutMillis,required"`
	Subscription         string `rmq:"subscription"`
	SubVersion           int64  `rmq:"subVersion,required"`
	ExpressionType       string `rmq:"expressionType"` // empty: TAG
	MaxMsgBytes          *int32 `rmq:"maxMsgBytes"`    // Java's classic pull does not use it
	RequestSource        *int32 `rmq:"requestSource"`  // proxies only
	// ProxyForwardClientID is set by proxies; the wire name is misspelt.
	ProxyForwardClientID string `rmq:"proxyFrowardClientId"`
	LiteTopic            string `rmq:"liteTopic"`
}

// PullMessageResponse is the reply to both pull codes, on every code that reached the store.
// Java: PullMessageResponseHeader.
type PullMessageResponse struct {
	SuggestWhichBrokerID int64  `rmq:"suggestWhichBrokerId,required"` // 0: the master
	NextBeginOffset      int64  `rmq:"nextBeginOffset,required"`      // queue offset, as are the next two
	MinOffset            int64  `rmq:"minOffset,required"`
	MaxOffset            int64  `rmq:"maxOffset,required"`
	OffsetDelta          *int64 `rmq:"offsetDelta"` // static topics only
	TopicSysFlag         *int32 `rmq:"topicSysFlag"`
	GroupSysFlag         *int32 `rmq:"groupSysFlag"`
	ForbiddenType        *int32 `rmq:"forbiddenType"` // with NO_PERMISSION: which permission lacks
}
