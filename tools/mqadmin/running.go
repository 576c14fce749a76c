package mqadmin

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// runningText is what a consumer says of itself. Java: ConsumerRunningInfo.formatString.
func runningText(r *admin.RunningInfo) string {
	var b strings.Builder
	b.WriteString("#Consumer Properties#\n")
	for _, key := range slices.Sorted(maps.Keys(r.Properties)) {
		fmt.Fprintf(&b, "%-40s: %s\n", key, r.Properties[key])
	}
	b.WriteString("\n\n#Consumer Subscription#\n")
	slices.SortFunc(r.SubscriptionSet, func(x, y body.SubscriptionData) int { return strings.Compare(x.Topic, y.Topic) })
	for i, s := range r.SubscriptionSet {
		fmt.Fprintf(&b, "%03d Topic: %-40s ClassFilter: %-8t SubExpression: %s\n", i+1, s.Topic, s.ClassFilterMode, s.SubString)
	}
	fmt.Fprintf(&b, "\n\n#Consumer Offset#\n%-64s  %-32s  %-4s  %-20s\n", "#Topic", "#Broker Name", "#QID", "#Consumer Offset")
	for _, q := range sortedQueues(r.MQTable) {
		fmt.Fprintf(&b, "%-32s  %-32s  %-4d  %-20d\n", q.Topic, q.BrokerName, q.QueueID, r.MQTable[q].CommitOffset)
	}
	fmt.Fprintf(&b, "\n\n#Consumer MQ Detail#\n%-64s  %-32s  %-4s  %-20s\n", "#Topic", "#Broker Name", "#QID", "#ProcessQueueInfo")
	for _, q := range sortedQueues(r.MQTable) {
		fmt.Fprintf(&b, "%-64s  %-32s  %-4d  %s\n", q.Topic, q.BrokerName, q.QueueID, processQueueText(r.MQTable[q]))
	}
	fmt.Fprintf(&b, "\n\n#Consumer Pop Detail#\n%-32s  %-32s  %-4s  %-20s\n", "#Topic", "#Broker Name", "#QID", "#ProcessQueueInfo")
	for _, q := range sortedQueues(r.MQPopTable) {
		p := r.MQPopTable[q]
		fmt.Fprintf(&b, "%-32s  %-32s  %-4d  PopProcessQueueInfo [waitAckCount:%d, droped:%t, lastPopTimestamp:%d]\n", q.Topic, q.BrokerName, q.QueueID, p.WaitAckCount, p.Droped, p.LastPopTimestamp)
	}
	fmt.Fprintf(&b, "\n\n#Consumer RT&TPS#\n%-64s  %14s %14s %14s %14s %18s %25s\n", "#Topic", "#Pull RT", "#Pull TPS", "#Consume RT", "#ConsumeOK TPS", "#ConsumeFailed TPS", "#ConsumeFailedMsgsInHour")
	for _, t := range slices.Sorted(maps.Keys(r.StatusTable)) {
		s := r.StatusTable[t]
		fmt.Fprintf(&b, "%-32s  %14.2f %14.2f %14.2f %14.2f %18.2f %25d\n", t, s.PullRT, s.PullTPS, s.ConsumeRT, s.ConsumeOKTPS, s.ConsumeFailedTPS, s.ConsumeFailedMsgs)
	}
	if r.UserConsumerInfo != nil {
		b.WriteString("\n\n#User Consume Info#\n")
		for _, key := range slices.Sorted(maps.Keys(r.UserConsumerInfo)) {
			fmt.Fprintf(&b, "%-40s: %s\n", key, r.UserConsumerInfo[key])
		}
	}
	if r.Jstack != "" {
		b.WriteString("\n\n#Consumer jstack#\n" + r.Jstack)
	}
	return b.String()
}

func processQueueText(p admin.ProcessQueue) string {
	at := func(ms int64) string { return time.UnixMilli(ms).Format("20060102150405") }
	return fmt.Sprintf("ProcessQueueInfo [commitOffset=%d, cachedMsgMinOffset=%d, cachedMsgMaxOffset=%d, cachedMsgCount=%d, cachedMsgSizeInMiB=%d, transactionMsgMinOffset=%d, "+
		"transactionMsgMaxOffset=%d, transactionMsgCount=%d, locked=%t, tryUnlockTimes=%d, lastLockTimestamp=%s, droped=%t, lastPullTimestamp=%s, lastConsumeTimestamp=%s]",
		p.CommitOffset, p.CachedMsgMinOffset, p.CachedMsgMaxOffset, p.CachedMsgCount, p.CachedMsgSizeInMiB, p.TransactionMsgMinOffset, p.TransactionMsgMaxOffset,
		p.TransactionMsgCount, p.Locked, p.TryUnlockTimes, at(p.LastLockTimestamp), p.Droped, at(p.LastPullTimestamp), at(p.LastConsumeTimestamp))
}

// pushes reports whether a consumer is a push consumer, and since when (ms) it runs.
func pushes(r *admin.RunningInfo) (bool, int64) {
	start, _ := strconv.ParseInt(r.Properties["PROP_CONSUMER_START_TIMESTAMP"], 10, 64)
	return r.Properties["PROP_CONSUME_TYPE"] == string(body.ConsumePassively), start
}

// sameSubscriptions reports whether the push consumers of a group want the same; those that have started within two
// minutes may not know yet. Java: ConsumerRunningInfo.analyzeSubscription.
func sameSubscriptions(infos map[string]*admin.RunningInfo, now time.Time) bool {
	var first map[string]string
	for _, r := range infos {
		push, start := pushes(r)
		if !push || now.UnixMilli()-start <= 2*time.Minute.Milliseconds() {
			continue
		}
		wants := map[string]string{}
		for _, s := range r.SubscriptionSet {
			wants[s.Topic] = s.ExpressionType + " " + s.SubString
		}
		if first != nil && !reflect.DeepEqual(first, wants) {
			return false
		}
		first = wants
	}
	return true
}

// stuck names the queues in which a push consumer gets no further. Java: ConsumerRunningInfo.analyzeProcessQueue.
func stuck(clientID string, r *admin.RunningInfo, now time.Time) string {
	push, _ := pushes(r)
	if !push {
		return ""
	}
	orderly := strings.EqualFold(r.Properties["PROP_CONSUMEORDERLY"], "true")
	var b strings.Builder
	for _, q := range sortedQueues(r.MQTable) {
		p := r.MQTable[q]
		idle := now.UnixMilli() - p.LastConsumeTimestamp
		switch {
		case orderly && !p.Locked:
			fmt.Fprintf(&b, "%s %s can't lock for a while, %dms\n", clientID, queueText(q), now.UnixMilli()-p.LastLockTimestamp)
		case orderly && p.Droped && p.TryUnlockTimes > 0:
			fmt.Fprintf(&b, "%s %s unlock %d times, still failed\n", clientID, queueText(q), p.TryUnlockTimes)
		case !orderly && idle > time.Minute.Milliseconds() && p.CachedMsgCount > 0:
			fmt.Fprintf(&b, "%s %s can't consume for a while, maybe blocked, %dms\n", clientID, queueText(q), idle)
		}
	}
	return b.String()
}
