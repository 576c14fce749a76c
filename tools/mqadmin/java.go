package mqadmin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// The texts of this file are those of the toString methods of Java's classes, which mqadmin prints.

// front cuts s to n characters. Java: UtilAll.frontStringAtLeast.
func front(s string, n int) string {
	r := []rune(s)
	return string(r[:min(n, len(r))])
}

// human is a time of the day in the machine's zone. Java: UtilAll.timeMillisToHumanString2.
func human(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02 15:04:05,000") }

// seconds is human without parts of a second. Java: UtilAll.YYYY_MM_DD_HH_MM_SS.
func seconds(ms int64) string { return time.UnixMilli(ms).Format(time.DateTime) }

// parseTime reads ms or "2006-01-02#15:04:05:000". Java: UtilAll.YYYY_MM_DD_HH_MM_SS_SSS.
func parseTime(text string) (int64, error) {
	var ms int64
	if _, err := fmt.Sscanf(text, "%d", &ms); err == nil && fmt.Sprint(ms) == text {
		return ms, nil
	}
	head, part, _ := cutLast(text, ":")
	t, err := time.ParseInLocation("2006-01-02#15:04:05", head, time.Local)
	var n int64
	if _, scan := fmt.Sscanf(part, "%d", &n); err == nil {
		err = scan
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the time %q, it is neither milliseconds nor yyyy-MM-dd#HH:mm:ss:SSS", text)
	}
	return t.UnixMilli() + n, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func javaMap[V any](m map[string]V) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s=%v", k, m[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func javaList[V any](list []V) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprint(v)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func orNull(s string) string { return cmp.Or(s, "null") }

func permText(perm int32) string {
	text := []byte("---")
	for i, bit := range []int32{4, 2, 1} {
		if perm&bit != 0 {
			text[i] = "RWX"[i]
		}
	}
	return string(text)
}

func topicText(t body.TopicConfig) string {
	return fmt.Sprintf("TopicConfig [topicName=%s, readQueueNums=%d, writeQueueNums=%d, perm=%s, topicFilterType=%s, topicSysFlag=%d, order=%t, attributes=%s]",
		t.TopicName, t.ReadQueueNums, t.WriteQueueNums, permText(t.Perm), t.TopicFilterType, t.TopicSysFlag, t.Order, javaMap(t.Attributes))
}

func retryPolicyText(p body.GroupRetryPolicy) string {
	exponential, customized := "null", "null"
	if e := p.ExponentialRetryPolicy; e != nil {
		exponential = fmt.Sprintf("ExponentialRetryPolicy{initial=%d, max=%d, multiplier=%d}", e.Initial, e.Max, e.Multiplier)
	}
	if c := p.CustomizedRetryPolicy; c != nil {
		customized = fmt.Sprintf("CustomizedRetryPolicy{next=%s}", javaList(c.Next))
	}
	return fmt.Sprintf("GroupRetryPolicy{type=%s, exponentialRetryPolicy=%s, customizedRetryPolicy=%s}", p.Type, exponential, customized)
}

// groupFields are a group's settings in the order of Java's fields.
func groupFields(g body.SubscriptionGroupConfig) [][2]string {
	subscriptions := ""
	if g.SubscriptionDataSet != nil {
		subscriptions = javaList(g.SubscriptionDataSet)
	}
	pairs := [][2]any{{"groupName", g.GroupName}, {"consumeEnable", g.ConsumeEnable}, {"consumeFromMinEnable", g.ConsumeFromMinEnable},
		{"consumeBroadcastEnable", g.ConsumeBroadcastEnable}, {"consumeMessageOrderly", g.ConsumeMessageOrderly}, {"retryQueueNums", g.RetryQueueNums},
		{"retryMaxTimes", g.RetryMaxTimes}, {"groupRetryPolicy", retryPolicyText(g.GroupRetryPolicy)}, {"brokerId", g.BrokerID},
		{"whichBrokerWhenConsumeSlowly", g.WhichBrokerWhenConsumeSlowly}, {"notifyConsumerIdsChangedEnable", g.NotifyConsumerIdsChangedEnable},
		{"groupSysFlag", g.GroupSysFlag}, {"consumeTimeoutMinute", g.ConsumeTimeoutMinute}, {"subscriptionDataSet", subscriptions}, {"attributes", javaMap(g.Attributes)}}
	out := make([][2]string, len(pairs))
	for i, p := range pairs {
		out[i] = [2]string{p[0].(string), fmt.Sprint(p[1])}
	}
	return out
}

func groupText(g body.SubscriptionGroupConfig) string {
	var parts []string
	for _, f := range groupFields(g) {
		parts = append(parts, f[0]+"="+orNull(f[1]))
	}
	return "SubscriptionGroupConfig{" + strings.Join(parts, ", ") + "}"
}

func queueText(q body.MessageQueue) string {
	return fmt.Sprintf("MessageQueue [topic=%s, brokerName=%s, queueId=%d]", q.Topic, q.BrokerName, q.QueueID)
}

func sendText(r *admin.SendResult) string {
	return fmt.Sprintf("SendResult [sendStatus=%s, msgId=%s, offsetMsgId=%s, messageQueue=%s, queueOffset=%d, recallHandle=%s]",
		r.Status, r.MsgID, r.OffsetMsgID, queueText(r.Queue), r.QueueOffset, orNull(r.RecallHandle))
}

// propertyMap returns a message's properties with those that Java's client adds to a message it pulls; r is nil
// for one that was not pulled.
func propertyMap(m *admin.Message, r *admin.PullResult) map[string]string {
	out := map[string]string{}
	for _, p := range message.ParseProperties(m.Properties) {
		out[p.Name] = p.Value
	}
	if r != nil {
		out["MIN_OFFSET"], out["MAX_OFFSET"] = fmt.Sprint(r.MinOffset), fmt.Sprint(r.MaxOffset)
	}
	return out
}

// messageText is Java's MessageExt; bytes of the body are signed there.
func messageText(m *admin.Message, r *admin.PullResult) string {
	signed := make([]int8, len(m.Body))
	for i, b := range m.Body {
		signed[i] = int8(b)
	}
	transaction := "null"
	if message.GetProperty(m.Properties, message.PropertyTransactionPrepared) == "true" {
		transaction = m.UniqueID()
	}
	return extText(m, m.BrokerName, m.ID(), javaMap(propertyMap(m, r)), javaList(signed), transaction)
}

// storedText is Java's MessageExt of a message that was read from a file, without its body.
func storedText(m *admin.Message) string {
	return extText(m, "null", m.OffsetID(), javaMap(propertyMap(m, nil)), "null", "null")
}

func extText(m *admin.Message, broker, id, properties, body, transaction string) string {
	return fmt.Sprintf("MessageExt [brokerName=%s, queueId=%d, storeSize=%d, queueOffset=%d, sysFlag=%d, bornTimestamp=%d, bornHost=/%s, storeTimestamp=%d, storeHost=/%s, msgId=%s, "+
		"commitLogOffset=%d, bodyCRC=%d, reconsumeTimes=%d, preparedTransactionOffset=%d, toString()=Message{topic='%s', flag=%d, properties=%s, body=%s, transactionId='%s'}]",
		broker, m.QueueID, m.Size, m.QueueOffset, m.SysFlag, m.BornTimestamp, m.BornHost.AddrPort(), m.StoreTimestamp, m.StoreHost.AddrPort(), id,
		m.PhysicalOffset, m.CRC, m.ReconsumeTimes, m.PreparedTransactionOffset, m.Topic, m.Flag, properties, body, transaction)
}

func directText(r *admin.DirectResult) string {
	return fmt.Sprintf("ConsumeMessageDirectlyResult [order=%t, autoCommit=%t, consumeResult=%s, remark=%s, spentTimeMills=%d]",
		r.Order, r.AutoCommit, orNull(r.ConsumeResult), orNull(r.Remark), r.SpentTimeMills)
}

// sortedQueues returns the keys of a table of queues in Java's order: topic, broker, queue.
func sortedQueues[V any](m body.QueueMap[V]) []body.MessageQueue {
	return slices.SortedFunc(maps.Keys(m), func(a, b body.MessageQueue) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.BrokerName, b.BrokerName), cmp.Compare(a.QueueID, b.QueueID))
	})
}

func brokerIDs(b body.BrokerData) []int64 { return slices.Sorted(maps.Keys(b.BrokerAddrs)) }
