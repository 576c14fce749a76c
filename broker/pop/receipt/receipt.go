// Package receipt is the text that says which messages a consumer has popped and how it is to acknowledge
// them: the receipt handle (property POP_CK, field extraInfo), the three lists of a POP reply, and the names
// of the retry topics that a handle's retry flag stands for. Java: ExtraInfoUtil, KeyBuilder.
package receipt

import (
	"fmt"
	"strconv"
	"strings"
)

// OrderQueue is the revive queue id in the handles of messages popped in order: they have no checkpoint.
// Java: KeyBuilder.POP_ORDER_REVIVE_QUEUE.
const OrderQueue int32 = 999

const retryPrefix = "%RETRY%"

// Retry flags. Java: ExtraInfoUtil.NORMAL_TOPIC, RETRY_TOPIC and RETRY_TOPIC_V2.
const (
	Normal  = "0"
	RetryV1 = "1" // %RETRY%group_topic
	RetryV2 = "2" // %RETRY%group+topic
)

// RetryTopicV1 returns %RETRY%group_topic. Java: KeyBuilder.buildPopRetryTopicV1.
func RetryTopicV1(topic, group string) string { return retryPrefix + group + "_" + topic }

// RetryTopicV2 returns %RETRY%group+topic. Java: KeyBuilder.buildPopRetryTopicV2.
func RetryTopicV2(topic, group string) string { return retryPrefix + group + "+" + topic }

// IsRetry reports whether a topic is a retry topic of any kind.
func IsRetry(topic string) bool { return strings.HasPrefix(topic, retryPrefix) }

// NormalTopic returns the topic whose messages a group's POP retry topic holds, or topic itself; "" for a
// retry topic that is none of the group's. Java: KeyBuilder.parseNormalTopic.
func NormalTopic(topic, group string) string {
	rest, retry := strings.CutPrefix(topic, retryPrefix)
	if !retry {
		return topic
	}
	rest, ok := strings.CutPrefix(rest, group)
	if !ok || len(rest) < 2 || rest[0] != '+' && rest[0] != '_' {
		return ""
	}
	return rest[1:]
}

// RealTopic returns the topic that a retry flag stands for. Java: ExtraInfoUtil.getRealTopic.
func RealTopic(topic, group, flag string) (string, error) {
	switch flag {
	case Normal:
		return topic, nil
	case RetryV1:
		return RetryTopicV1(topic, group), nil
	case RetryV2:
		return RetryTopicV2(topic, group), nil
	}
	return "", fmt.Errorf("the retry flag %.8q is unknown", flag)
}

// FlagOf returns the retry flag of a topic. Java: ExtraInfoUtil.getRetry.
func FlagOf(topic string) string {
	switch {
	case !IsRetry(topic):
		return Normal
	case strings.Contains(topic, "+"):
		return RetryV2
	}
	return RetryV1
}

// Handle is a receipt handle taken apart.
type Handle struct {
	StartOffset   int64 // queue offset at which the checkpoint begins
	PopTime       int64 // ms
	InvisibleTime int64 // ms
	ReviveQueueID int32
	BrokerName    string
}

// Parse reads the handle of an ACK or of a change of the invisible time. What stands behind the broker's name
// is not needed for either: the request names queue and offset itself.
func Parse(s string) (Handle, error) {
	var h Handle
	part := strings.SplitN(s, " ", 8)
	if len(part) < 6 || part[5] == "" {
		return h, fmt.Errorf("the receipt handle %.100q has not enough fields", s)
	}
	var err error
	number := func(text string, bits int) int64 {
		n, bad := strconv.ParseInt(text, 10, bits)
		if bad != nil && err == nil {
			err = fmt.Errorf("the receipt handle %.100q is illegal: %w", s, bad)
		}
		return n
	}
	h.StartOffset, h.PopTime, h.InvisibleTime = number(part[0], 64), number(part[1], 64), number(part[2], 64)
	h.ReviveQueueID = int32(number(part[3], 32))
	h.BrokerName = part[5]
	return h, err
}

// Append appends the handle of one message that was popped from a queue of topic.
// Java: ExtraInfoUtil.buildExtraInfo.
func (h *Handle) Append(dst []byte, topic string, queueID int32, queueOffset int64) []byte {
	dst = strconv.AppendInt(dst, h.StartOffset, 10)
	for _, n := range []int64{h.PopTime, h.InvisibleTime, int64(h.ReviveQueueID)} {
		dst = strconv.AppendInt(append(dst, ' '), n, 10)
	}
	dst = append(append(dst, ' '), FlagOf(topic)...)
	dst = append(append(dst, ' '), h.BrokerName...)
	dst = strconv.AppendInt(append(dst, ' '), int64(queueID), 10)
	return strconv.AppendInt(append(dst, ' '), queueOffset, 10)
}

// Lists are the three lists of a POP reply, entries separated by ";". A client refuses a reply in which a
// queue stands twice in a list.
type Lists struct {
	StartOffset []byte // flag queueId startOffset
	MsgOffset   []byte // flag queueId offset,offset
	OrderCount  []byte // flag queueId count, and flag qo<queueId>%<offset> count
}

func entry(dst []byte, flag string) []byte {
	if len(dst) > 0 {
		dst = append(dst, ';')
	}
	return append(append(dst, flag...), ' ')
}

// Add notes the messages of one queue, in the order of their queue offsets.
func (l *Lists) Add(topic string, queueID int32, start int64, offsets []int64) {
	flag := FlagOf(topic)
	l.StartOffset = strconv.AppendInt(entry(l.StartOffset, flag), int64(queueID), 10)
	l.StartOffset = strconv.AppendInt(append(l.StartOffset, ' '), start, 10)
	l.MsgOffset = strconv.AppendInt(entry(l.MsgOffset, flag), int64(queueID), 10)
	sep := byte(' ')
	for _, at := range offsets {
		l.MsgOffset = strconv.AppendInt(append(l.MsgOffset, sep), at, 10)
		sep = ','
	}
}

// AddOffsetCount notes how often the message at a queue offset was delivered before.
// Java: ExtraInfoUtil.buildQueueOffsetOrderCountInfo.
func (l *Lists) AddOffsetCount(topic string, queueID int32, offset int64, count int32) {
	b := append(entry(l.OrderCount, FlagOf(topic)), "qo"...)
	b = strconv.AppendInt(b, int64(queueID), 10)
	b = strconv.AppendInt(append(b, '%'), offset, 10)
	l.OrderCount = strconv.AppendInt(append(b, ' '), int64(count), 10)
}

// AddQueueCount notes how often all messages of a queue were delivered before at least, for clients that do
// not know AddOffsetCount's entries. Java: ExtraInfoUtil.buildQueueIdOrderCountInfo.
func (l *Lists) AddQueueCount(topic string, queueID int32, count int32) {
	b := strconv.AppendInt(entry(l.OrderCount, FlagOf(topic)), int64(queueID), 10)
	l.OrderCount = strconv.AppendInt(append(b, ' '), int64(count), 10)
}
