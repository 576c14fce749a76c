package body

// ConsumerRunningInfo is what a consumer says of itself, the reply to GET_CONSUMER_RUNNING_INFO.
// Java: ConsumerRunningInfo.
type ConsumerRunningInfo struct {
	Jstack           string                     `json:"jstack,omitempty"`
	MQPopTable       QueueMap[PopProcessQueue]  `json:"mqPopTable"`
	MQTable          QueueMap[ProcessQueueInfo] `json:"mqTable"`
	Properties       map[string]string          `json:"properties"`
	StatusTable      map[string]ConsumeStatus   `json:"statusTable"`
	SubscriptionSet  []SubscriptionData         `json:"subscriptionSet"`
	UserConsumerInfo map[string]string          `json:"userConsumerInfo"`
}

// ProcessQueueInfo is what a consumer holds of one queue. Java: ProcessQueueInfo.
type ProcessQueueInfo struct {
	CachedMsgCount          int32 `json:"cachedMsgCount"`
	CachedMsgMaxOffset      int64 `json:"cachedMsgMaxOffset"`
	CachedMsgMinOffset      int64 `json:"cachedMsgMinOffset"`
	CachedMsgSizeInMiB      int32 `json:"cachedMsgSizeInMiB"`
	CommitOffset            int64 `json:"commitOffset"`
	Droped                  bool  `json:"droped"`               // Java's spelling
	LastConsumeTimestamp    int64 `json:"lastConsumeTimestamp"` // ms, as are the next two
	LastLockTimestamp       int64 `json:"lastLockTimestamp"`
	LastPullTimestamp       int64 `json:"lastPullTimestamp"`
	Locked                  bool  `json:"locked"`
	TransactionMsgCount     int32 `json:"transactionMsgCount"`
	TransactionMsgMaxOffset int64 `json:"transactionMsgMaxOffset"`
	TransactionMsgMinOffset int64 `json:"transactionMsgMinOffset"`
	TryUnlockTimes          int64 `json:"tryUnlockTimes"`
}

// PopProcessQueue is ProcessQueueInfo of a consumer that pops. Java: PopProcessQueueInfo.
type PopProcessQueue struct {
	Droped           bool  `json:"droped"`
	LastPopTimestamp int64 `json:"lastPopTimestamp"` // ms
	WaitAckCount     int32 `json:"waitAckCount"`
}

// ConsumeStatus is how fast a consumer is in one topic. Java: ConsumeStatus.
type ConsumeStatus struct {
	ConsumeFailedMsgs int64   `json:"consumeFailedMsgs"` // within the last hour
	ConsumeFailedTPS  float64 `json:"consumeFailedTPS"`
	ConsumeOKTPS      float64 `json:"consumeOKTPS"`
	ConsumeRT         float64 `json:"consumeRT"` // ms
	PullRT            float64 `json:"pullRT"`    // ms
	PullTPS           float64 `json:"pullTPS"`
}

// The values of ConsumeMessageDirectlyResult.ConsumeResult. Java: CMResult.
const (
	DirectSuccess        = "CR_SUCCESS"
	DirectLater          = "CR_LATER"
	DirectThrowException = "CR_THROW_EXCEPTION"
)

// ConsumeMessageDirectlyResult is what a consumer says of a message it was told to consume, the reply to
// CONSUME_MESSAGE_DIRECTLY. Java: the class of that name.
type ConsumeMessageDirectlyResult struct {
	AutoCommit     bool   `json:"autoCommit"`
	ConsumeResult  string `json:"consumeResult"`
	Order          bool   `json:"order"`
	Remark         string `json:"remark,omitempty"`
	SpentTimeMills int64  `json:"spentTimeMills"`
}
