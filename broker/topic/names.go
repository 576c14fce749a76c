package topic

import (
	"fmt"
	"strings"
)

// Names the broker uses itself. Java: TopicValidator, TimerMessageStore, MixAll, PopAckConstants.
const (
	AutoCreate           = "TBW102" // template of topics made on the first send
	Schedule             = "SCHEDULE_TOPIC_XXXX"
	Benchmark            = "BenchmarkTest"
	TransHalf            = "RMQ_SYS_TRANS_HALF_TOPIC"
	TransOpHalf          = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
	RocksDBTransHalf     = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC"
	RocksDBTransOpHalf   = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC"
	Trace                = "RMQ_SYS_TRACE_TOPIC"
	TransCheckMaxTime    = "TRANS_CHECK_MAX_TIME_TOPIC"
	SelfTest             = "SELF_TEST_TOPIC"
	OffsetMovedEvent     = "OFFSET_MOVED_EVENT"
	RocksDBOffset        = "CHECKPOINT_TOPIC"
	TimerWheel           = "rmq_sys_wheel_timer"
	SystemPrefix         = "rmq_sys_"
	syncMemberPrefix     = SystemPrefix + "SYNC_BROKER_MEMBER_"
	revivePrefix         = SystemPrefix + "REVIVE_LOG_"
	replySuffix          = "_REPLY_TOPIC"
	RetryPrefix          = "%RETRY%"
	DLQPrefix            = "%DLQ%"
	scheduleQueueNums    = 18
	benchmarkQueueNums   = 1024
	clusterQueueNums     = 16
	maxLength            = 127 // Java: TopicValidator.TOPIC_MAX_LENGTH
	maxRetryOrDLQLength  = 255 // Java: TopicValidator.RETRY_OR_DLQ_TOPIC_MAX_LENGTH
	legalCharactersClass = "^[%|a-zA-Z0-9_-]+$"
)

// Bits of a topic's perm. Java: PermName.
const (
	PermInherit  int32 = 1 << 0
	PermWrite    int32 = 1 << 1
	PermRead     int32 = 1 << 2
	PermPriority int32 = 1 << 3
)

// Bits of a topic's sysFlag. Java: TopicSysFlag.
const (
	SysFlagUnit    int32 = 1 << 0
	SysFlagUnitSub int32 = 1 << 1
)

// staticSystem are the system topics of every broker. Java: TopicValidator.SYSTEM_TOPIC_SET.
func staticSystem() []string {
	return []string{AutoCreate, Schedule, Benchmark, TransHalf, Trace, TransOpHalf, TransCheckMaxTime, SelfTest, OffsetMovedEvent,
		RocksDBOffset, RocksDBTransHalf, RocksDBTransOpHalf}
}

// NoSend reports topics that clients must not send to. Java: TopicValidator.NOT_ALLOWED_SEND_TOPIC_SET.
func NoSend(topic string) bool {
	switch topic {
	case Schedule, TransHalf, TransOpHalf, TransCheckMaxTime, SelfTest, OffsetMovedEvent, RocksDBTransHalf, RocksDBTransOpHalf:
		return true
	}
	return false
}

// ValidateName returns why a topic cannot have this name, in Java's words, or "".
// Java: TopicValidator.validateTopic.
func ValidateName(name string) string {
	if strings.TrimSpace(name) == "" {
		return "The specified topic is blank."
	}
	for i := range len(name) {
		if !legal(name[i]) {
			return fmt.Sprintf("The specified topic: %s, contains illegal characters, allowing only %s", name, legalCharactersClass)
		}
	}
	n := len(name) // legal characters are one byte each
	if strings.HasPrefix(name, RetryPrefix) || strings.HasPrefix(name, DLQPrefix) {
		if n > maxRetryOrDLQLength {
			return fmt.Sprintf("The specified topic is DLQ or Retry topic: %s, and it's longer than topic max length: %d", name, maxRetryOrDLQLength)
		}
		return ""
	}
	if n > maxLength {
		return fmt.Sprintf("The specified topic: %s, is longer than topic max length: %d", name, maxLength)
	}
	return ""
}

func legal(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '%' || c == '|'
}
