package send

import "github.com/skylarkmq/skylark/remoting/protocol"

// Settings are what may change while a Sender runs.
type Settings struct {
	// Writable is the broker's own write permission (brokerPermission).
	Writable          bool
	RejectTransaction bool   // rejectTransactionMessage
	TraceOn           bool   // traceOn, which stored messages and replies tell clients
	RegionID          string // regionId, as well
	AcceptFrom        int64  // ms (startAcceptSendRequestTimeStamp)
	MaxMessageSize    int32  // bytes of a body (maxMessageSize); 0: what the store says
	// Timer is what messages that name the time of their delivery may ask for; nil: they are refused.
	Timer *TimerLimits
	// Recall: messages can be recalled (recallMessageEnable); RecallReadOnly: also when the broker is not Writable
	// (allowRecallWhenBrokerNotWriteable).
	Recall, RecallReadOnly bool
}

// live are the settings of now and what is made of them once.
type live struct {
	Settings
	replyHead []byte // of a success reply, up to the value of msgId
	lateHead  []byte // the same of FLUSH_DISK_TIMEOUT
}

// Set changes the settings for what is sent from now on.
func (s *Sender) Set(to Settings) {
	if to.MaxMessageSize == 0 {
		to.MaxMessageSize = s.o.Store.Options().MaxMessageSize
	}
	l := &live{Settings: to}
	l.replyHead, l.lateHead = l.head(protocol.Success), l.head(protocol.FlushDiskTimeout)
	s.live.Store(l)
}
