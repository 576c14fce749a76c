package mqadmin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// monitorEvery is the time from one round of startMonitoring to the next. Java: MonitorConfig.roundInterval.
const monitorEvery = time.Minute

// undone is how far a group that is online is behind in a topic. Java: UndoneMsgs.
type undone struct {
	Group    string `json:"consumerGroup"`
	Topic    string `json:"topic"`
	Total    int64  `json:"undoneMsgsTotal"`
	SingleMQ int64  `json:"undoneMsgsSingleMQ"`       // the most of one queue
	Delay    int64  `json:"undoneMsgsDelayTimeMills"` // from the last message consumed to the newest, the most of one queue
	Notes    string `json:"notes,omitempty"`          // what is wrong with its clients
	At       int64  `json:"time"`
}

// startMonitoring reports groups that are online until it is stopped. Java writes to the log of its tools, and also
// the events of topic OFFSET_MOVED_EVENT, which no broker of 5.5.0 sends. Java: MonitorService.
func startMonitoring(k *call) error {
	for {
		if err := monitorRound(k); err != nil && k.ctx.Err() == nil {
			fmt.Fprintf(k.errs, "%s [MONITOR] %v\n", seconds(time.Now().UnixMilli()), explain(err))
		}
		if k.sleep(monitorEvery) != nil {
			return nil
		}
	}
}

// monitorRound reports all groups once. A group of which something cannot be found out is passed over.
func monitorRound(k *call) error {
	text := !k.c.Bool("json")
	say := func(format string, args ...any) {
		if text {
			k.printf("%s [MONITOR] %s\n", seconds(time.Now().UnixMilli()), fmt.Sprintf(format, args...))
		}
	}
	topics, err := k.TopicList(k.ctx)
	if err != nil {
		return err
	}
	say("=========================================beginRound")
	slices.Sort(topics)
	for _, t := range topics {
		group, ok := strings.CutPrefix(t, admin.RetryPrefix)
		if !ok {
			continue
		}
		stats, err := k.ConsumeStats(k.ctx, group, "", "")
		if err != nil {
			continue
		}
		online, err := k.ConsumerConnection(k.ctx, group, "")
		if err != nil {
			continue
		}
		for _, u := range undoneOf(k, group, stats) {
			say("reportUndoneMsgs: UndoneMsgs [consumerGroup=%s, topic=%s, undoneMsgsTotal=%d, undoneMsgsSingleMQ=%d, undoneMsgsDelayTimeMills=%d]", u.Group, u.Topic, u.Total, u.SingleMQ, u.Delay)
			if err := k.show(u, func() {}); err != nil {
				return err
			}
		}
		for _, note := range notes(k, group, online) {
			say("[NOTIFY] reportConsumerRunningInfo: ConsumerGroup: %s, %s", group, note)
			if err := k.show(undone{Group: group, Notes: note, At: time.Now().UnixMilli()}, func() {}); err != nil {
				return err
			}
		}
	}
	say("=========================================endRound")
	return nil
}

// undoneOf returns how far a group is behind, by topic.
func undoneOf(k *call, group string, stats *body.ConsumeStats) []undone {
	byTopic := map[string]*undone{}
	for _, q := range sortedQueues(stats.OffsetTable) {
		u := byTopic[q.Topic]
		if u == nil {
			u = &undone{Group: group, Topic: q.Topic, At: time.Now().UnixMilli()}
			byTopic[q.Topic] = u
		}
		o := stats.OffsetTable[q]
		diff := max(o.BrokerOffset-o.ConsumerOffset, 0)
		u.Total += diff
		u.SingleMQ = max(u.SingleMQ, diff)
		if o.LastTimestamp > 0 {
			u.Delay = max(u.Delay, newest(k, q)-o.LastTimestamp)
		}
	}
	var out []undone
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		out = append(out, *byTopic[topic])
	}
	return out
}

// newest returns the store time of a queue's newest message, 0 when there is none to be had.
func newest(k *call, q body.MessageQueue) int64 {
	queues, addrs, err := k.Queues(k.ctx, q.Topic, false)
	addr := addrs[leaderOf(q, queues)]
	if err != nil || addr == "" {
		return 0
	}
	_, end, err := k.Bounds(k.ctx, addr, q)
	if err != nil || end == 0 {
		return 0
	}
	r, err := k.Pull(k.ctx, addr, q, "TOOLS_CONSUMER", "*", end-1, 1)
	if err != nil || len(r.Messages) == 0 {
		return 0
	}
	return r.Messages[0].StoreTimestamp
}

// notes says what is wrong with the clients of a group.
func notes(k *call, group string, online *body.ConsumerConnection) []string {
	infos := map[string]*admin.RunningInfo{}
	for _, c := range online.ConnectionSet {
		if info, err := k.RunningInfo(k.ctx, group, c.ClientID, false); err == nil {
			infos[c.ClientID] = info
		}
	}
	var out []string
	if !sameSubscriptions(infos, time.Now()) {
		out = append(out, "Subscription different")
	}
	for _, id := range slices.Sorted(maps.Keys(infos)) {
		if what := strings.TrimRight(stuck(id, infos[id], time.Now()), "\n"); what != "" {
			out = append(out, "ClientId: "+id+", "+what)
		}
	}
	return out
}
