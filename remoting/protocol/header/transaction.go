package header

// EndTransactionRequest is the header of END_TRANSACTION (37). Java: EndTransactionRequestHeader.
type EndTransactionRequest struct {
	Topic                string `rmq:"topic"`
	ProducerGroup        string `rmq:"producerGroup,required"`
	TranStateTableOffset int64  `rmq:"tranStateTableOffset,required"` // the half message's queue offset
	CommitLogOffset      int64  `rmq:"commitLogOffset,required"`      // its physical offset
	CommitOrRollback     int32  `rmq:"commitOrRollback,required"`     // a transaction type of message.SysFlagTransaction; 0: not known yet
	FromTransactionCheck bool   `rmq:"fromTransactionCheck"`          // the answer to CHECK_TRANSACTION_STATE
	MsgID                string `rmq:"msgId,required"`
	TransactionID        string `rmq:"transactionId"` // the message's UNIQ_KEY
}

// CheckTransactionStateRequest is the header of CHECK_TRANSACTION_STATE (39), broker to client; its body is the
// half message under its real topic and queue. Java: CheckTransactionStateRequestHeader.
type CheckTransactionStateRequest struct {
	Topic                string `rmq:"topic"`                         // the half topic
	TranStateTableOffset int64  `rmq:"tranStateTableOffset,required"` // what END_TRANSACTION has to bring back, as the next
	CommitLogOffset      int64  `rmq:"commitLogOffset,required"`
	MsgID                string `rmq:"msgId"` // UNIQ_KEY
	TransactionID        string `rmq:"transactionId"`
	OffsetMsgID          string `rmq:"offsetMsgId"`
	BrokerName           string `rmq:"bname"`
}

// ResumeCheckHalfMessageRequest is the header of RESUME_CHECK_HALF_MESSAGE (323).
// Java: ResumeCheckHalfMessageRequestHeader.
type ResumeCheckHalfMessageRequest struct {
	Topic string `rmq:"topic"`
	MsgID string `rmq:"msgId"` // offset message id
}
