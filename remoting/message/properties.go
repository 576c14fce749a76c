package message

import "strings"

// Separators of the property string: name 0x01 value 0x02, repeated.
// Java: MessageDecoder.NAME_VALUE_SEPARATOR and PROPERTY_SEPARATOR.
const (
	NameValueSeparator = '\x01'
	PropertySeparator  = '\x02'
)

// Well-known property names. Java: MessageConst.
const (
	PropertyKeys                = "KEYS"
	PropertyTags                = "TAGS"
	PropertyWait                = "WAIT"
	PropertyDelay               = "DELAY"
	PropertyRetryTopic          = "RETRY_TOPIC"
	PropertyRealTopic           = "REAL_TOPIC"
	PropertyRealQueueID         = "REAL_QID"
	PropertyTransactionPrepared = "TRAN_MSG"
	PropertyProducerGroup       = "PGROUP"
	PropertyTransactionID       = "__transactionId__" // Java: TransactionalMessageUtil.TRANSACTION_ID
	PropertyCheckTimes          = "TRANSACTION_CHECK_TIMES"
	PropertyCheckImmunityTime   = "CHECK_IMMUNITY_TIME_IN_SECONDS"
	PropertyPreparedQueueOffset = "TRAN_PREPARED_QUEUE_OFFSET"
	PropertyUniqKey             = "UNIQ_KEY"
	PropertyMsgRegion           = "MSG_REGION"
	PropertyTraceOn             = "TRACE_ON"
	PropertyCluster             = "CLUSTER"
	PropertyOriginMessageID     = "ORIGIN_MESSAGE_ID"
	PropertyPopCK               = "POP_CK"
	PropertyPriority            = "_SYS_MSG_PRIORITY_"
	PropertyShardingKey         = "__SHARDINGKEY"
	PropertyTimerDelaySec       = "TIMER_DELAY_SEC"
	PropertyTimerDelayMs        = "TIMER_DELAY_MS"
	PropertyTimerDeliverMs      = "TIMER_DELIVER_MS"
	PropertyTimerOutMs          = "TIMER_OUT_MS"
	PropertyTimerEnqueueMs      = "TIMER_ENQUEUE_MS"
	PropertyTimerDequeueMs      = "TIMER_DEQUEUE_MS"
	PropertyTimerRollTimes      = "TIMER_ROLL_TIMES"
	PropertyTimerDelUniqKey     = "TIMER_DEL_UNIQKEY"
	PropertyBornTimestamp       = "BORN_TIMESTAMP"
	PropertyInnerNum            = "INNER_NUM"
	PropertyInnerBase           = "INNER_BASE"
	PropertyCRC32               = "__CRC32#"
	PropertyReplyToClient       = "REPLY_TO_CLIENT" // client id of who asked
	PropertyPushReplyTime       = "PUSH_REPLY_TIME" // ms
	PropertyCorrelationID       = "CORRELATION_ID"
	PropertyTTL                 = "TTL" // of a request, ms
	PropertyMessageType         = "MSG_TYPE"
	PropertyReconsumeTime       = "RECONSUME_TIME"
	PropertyMaxReconsumeTimes   = "MAX_RECONSUME_TIMES"
)

// EachProperty calls fn with the pairs of a property string, in order, until fn returns false. Pieces
// without a name or a value are passed over, as Java's MessageDecoder.string2messageProperties does.
// The strings alias s.
func EachProperty(s string, fn func(name, value string) bool) {
	for len(s) > 0 {
		piece := s
		if i := strings.IndexByte(s, PropertySeparator); i >= 0 {
			piece, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		i := strings.IndexByte(piece, NameValueSeparator)
		if i <= 0 || i == len(piece)-1 {
			continue
		}
		if !fn(piece[:i], piece[i+1:]) {
			return
		}
	}
}

// GetProperty returns the value of name in a property string, empty when absent. The last duplicate wins.
func GetProperty(s, name string) string {
	out := ""
	EachProperty(s, func(n, v string) bool {
		if n == name {
			out = v
		}
		return true
	})
	return out
}

// AppendProperty appends one pair to a property string.
func AppendProperty(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, NameValueSeparator)
	dst = append(dst, value...)
	return append(dst, PropertySeparator)
}

// Property is one pair.
type Property struct{ Name, Value string }

// Properties is a property string taken apart, without duplicates, in order of first appearance.
type Properties []Property

// ParseProperties takes s apart; the result aliases s.
func ParseProperties(s string) Properties {
	var p Properties
	EachProperty(s, func(n, v string) bool {
		p.Set(n, v)
		return true
	})
	return p
}

// Get returns the value of name, empty when absent.
func (p Properties) Get(name string) string {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value
		}
	}
	return ""
}

// Set puts or replaces a pair.
func (p *Properties) Set(name, value string) {
	for i := range *p {
		if (*p)[i].Name == name {
			(*p)[i].Value = value
			return
		}
	}
	*p = append(*p, Property{name, value})
}

// Delete removes name.
func (p *Properties) Delete(name string) {
	for i := range *p {
		if (*p)[i].Name == name {
			*p = append((*p)[:i], (*p)[i+1:]...)
			return
		}
	}
}

// String returns the property string, with a separator behind every pair as Java writes it.
func (p Properties) String() string {
	var b []byte
	for _, x := range p {
		b = AppendProperty(b, x.Name, x.Value)
	}
	return string(b)
}
