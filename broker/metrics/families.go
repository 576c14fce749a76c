package metrics

import (
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Java: BrokerMetricsConstant, PopMetricsConstant, RemotingMetricsConstant; the texts are those of BrokerMetricsManager and
// PopMetricsManager, where Java's exporter shows "default view for gauge.".
var (
	watermark       = instrument{"rocketmq_processor_watermark", "", "Request processor watermark", Gauge}
	permission      = instrument{"rocketmq_broker_permission", "", "Broker permission", Gauge}
	topicNumber     = instrument{"rocketmq_topic_number", "", "Active topic number", Gauge}
	groupNumber     = instrument{"rocketmq_consumer_group_number", "", "Active subscription group number", Gauge}
	messagesIn      = instrument{"rocketmq_messages_in_total", "", "Total number of incoming messages", Counter}
	messagesOut     = instrument{"rocketmq_messages_out_total", "", "Total number of outgoing messages", Counter}
	throughputIn    = instrument{"rocketmq_throughput_in_total", "", "Total traffic of incoming messages", Counter}
	throughputOut   = instrument{"rocketmq_throughput_out_total", "", "Total traffic of outgoing messages", Counter}
	messageSize     = instrument{"rocketmq_message_size", "", "Incoming messages size", Distribution}
	topicCreate     = instrument{"rocketmq_topic_create_execution_time", "milliseconds", "The distribution of create topic time", Distribution}
	groupCreate     = instrument{"rocketmq_consumer_group_create_execution_time", "milliseconds", "The distribution of create subscription time", Distribution}
	producers       = instrument{"rocketmq_producer_connections", "", "Producer connections", Gauge}
	consumers       = instrument{"rocketmq_consumer_connections", "", "Consumer connections", Gauge}
	sentToDLQ       = instrument{"rocketmq_send_to_dlq_messages_total", "", "Consumer send to DLQ messages", Counter}
	commits         = instrument{"rocketmq_commit_messages_total", "", "Total number of commit messages", Counter}
	rollbacks       = instrument{"rocketmq_rollback_messages_total", "", "Total number of rollback messages", Counter}
	finishLatency   = instrument{"rocketmq_finish_message_latency", "ms", "Transaction finish latency, in seconds whatever the name says", Distribution}
	halfMessages    = instrument{"rocketmq_half_messages", "", "Half messages of all topics", Gauge}
	rpcLatency      = instrument{"rocketmq_rpc_latency", "milliseconds", "Rpc latency", Distribution}
	popReviveIn     = instrument{"rocketmq_pop_revive_in_message_total", "", "Total number of put message to revive topic", Counter}
	popReviveOut    = instrument{"rocketmq_pop_revive_out_message_total", "", "Total number of get message from revive topic", Counter}
	popReviveRetry  = instrument{"rocketmq_pop_revive_retry_messages_total", "", "Total number of put message to pop retry topic", Counter}
	popOffsets      = instrument{"rocketmq_pop_offset_buffer_size", "", "Time number of buffered offset", Gauge}
	popCheckPoints  = instrument{"rocketmq_pop_checkpoint_buffer_size", "", "The number of buffered checkpoint", Gauge}
	popReviveLag    = instrument{"rocketmq_pop_revive_lag", "milliseconds", "The processing lag of revive topic, in messages whatever the name says", Gauge}
	popReviveBehind = instrument{"rocketmq_pop_revive_latency", "milliseconds", "The processing latency of revive topic", Gauge}
)

func isTrue(name string, is bool) Label { return Label{name, strconv.FormatBool(is)} }

// systemGroup reports a group of the broker's own, in any case of letters. Java: BrokerMetricsManager.isSystemGroup.
func systemGroup(name string) bool {
	return len(name) >= len(group.SystemPrefix) && strings.EqualFold(name[:len(group.SystemPrefix)], group.SystemPrefix)
}

func again(topicName string) bool {
	return strings.HasPrefix(topicName, topic.RetryPrefix) || strings.HasPrefix(topicName, topic.DLQPrefix)
}

func (g *gathering) broker() {
	for _, l := range g.o.Lanes {
		n, _ := l.Lane.Waiting(g.now)
		g.value(&watermark, float64(n), Label{"processor", l.Name})
	}
	g.value(&permission, float64(g.o.Permission()))
	g.value(&topicNumber, float64(g.o.Topics.Len()))
	g.value(&groupNumber, float64(g.o.Groups.Len()))
}

// counted shows what the broker counts of topics and groups.
func (g *gathering) counted() {
	g.o.Stats.Each(func(t *stats.TopicFigures) {
		if g.o.EnableRequestMetrics {
			g.in(t)
		}
		g.ends(t)
	}, func(f *stats.GroupFigures) {
		if g.o.EnableRequestMetrics {
			g.out(f)
		}
		if f.Dead > 0 && g.o.EnableLagAndDLQMetrics {
			g.value(&sentToDLQ, float64(f.Dead), Label{"consumer_group", f.Group}, Label{"topic", f.Topic}, isTrue("is_system", f.SystemTopic || systemGroup(f.Group)))
		}
		if g.o.EnablePopMetrics {
			g.revived(f)
		}
	})
}

func (g *gathering) in(t *stats.TopicFigures) {
	for i := range t.In {
		in := &t.In[i]
		labels := []Label{{"topic", t.Topic}, {"message_type", in.Type.String()}, isTrue("is_system", t.System)}
		g.value(&messagesIn, float64(in.Messages), labels...)
		g.value(&throughputIn, float64(in.Bytes), labels...)
		g.histogram(&messageSize, &in.Sizes, labels...)
	}
}

// out leaves retry topics out that are pulled, as Java does.
func (g *gathering) out(f *stats.GroupFigures) {
	for _, out := range f.Out {
		labels := []Label{{"topic", f.Topic}, {"consumer_group", f.Group}, isTrue("is_system", f.SystemTopic || group.IsSystem(f.Group) || f.Group == stats.ScheduleGroup)}
		if out.Way != stats.Pulled {
			labels = append(labels, isTrue("is_retry", out.Way == stats.PoppedRetry))
		} else if again(f.Topic) {
			continue
		}
		g.value(&messagesOut, float64(out.Messages), labels...)
		g.value(&throughputOut, float64(out.Bytes), labels...)
	}
}

// ends shows the transactions and timed messages of a topic.
func (g *gathering) ends(t *stats.TopicFigures) {
	topicLabel := Label{"topic", t.Topic}
	if g.o.EnableTransactionMetrics {
		if t.Commits > 0 {
			g.value(&commits, float64(t.Commits), topicLabel)
			g.histogram(&finishLatency, &t.Finish, topicLabel)
		}
		if t.Rollbacks > 0 {
			g.value(&rollbacks, float64(t.Rollbacks), topicLabel)
		}
	}
	if g.o.EnableStoreMetrics && g.o.Timer != nil {
		if t.Entered > 0 {
			g.value(&timerEnqueued, float64(t.Entered), stored(topicLabel)...)
			g.histogram(&delayLatency, &t.Delays, stored(topicLabel)...)
		}
		if t.Left > 0 {
			g.value(&timerDequeued, float64(t.Left), stored(topicLabel)...)
		}
	}
}

// requests shows how long it took to make topics and groups.
func (g *gathering) requests() {
	for i, name := range []string{"failure", "success"} {
		status := Label{"invocation_status", name}
		for _, system := range []bool{false, true} {
			if h := g.o.Stats.TopicsMade(i == 1, system); h.Total > 0 {
				g.histogram(&topicCreate, &h, status, isTrue("is_system", system))
			}
		}
		if h := g.o.Stats.GroupsMade(i == 1); h.Total > 0 {
			g.histogram(&groupCreate, &h, status)
		}
	}
}

// modes are the names of the ways to consume. Java: ConsumeType.getTypeCN.
var modes = map[body.ConsumeType]string{body.ConsumeActively: "pull", body.ConsumePassively: "push", body.ConsumePop: "pop"}

func (g *gathering) connections() {
	type client struct {
		group, mode string
		language    protocol.Language
		version     int32
	}
	count := func(in *instrument, m map[client]int, labels func(c client) []Label) {
		for c, n := range m {
			g.value(in, float64(n), append(labels(c), Label{"language", strings.ToLower(c.language.String())},
				Label{"version", strings.ToLower(protocol.VersionName(c.version))}, Label{"protocol_type", "remoting"})...)
		}
	}
	made, used := map[client]int{}, map[client]int{}
	g.o.Sessions.EachProducer(func(_ string, channels []*session.Channel) bool {
		for _, ch := range channels {
			made[client{language: ch.Language, version: ch.Version}]++
		}
		return true
	})
	for _, v := range g.consumerGroups() {
		for _, ch := range v.Channels {
			used[client{v.Name, modes[v.ConsumeType], ch.Language, ch.Version}]++
		}
	}
	count(&producers, made, func(client) []Label { return nil })
	count(&consumers, used, func(c client) []Label {
		return []Label{{"consumer_group", c.group}, {"consume_mode", c.mode}, isTrue("is_system", systemGroup(c.group))}
	})
}

func (g *gathering) halfMessages() {
	for name, n := range g.o.HalfMessages() {
		g.value(&halfMessages, float64(n), Label{"topic", name})
	}
}

func (g *gathering) pop() {
	p := g.o.Pop(g.now)
	g.value(&popOffsets, float64(p.Offsets))
	g.value(&popCheckPoints, float64(p.CheckPoints))
	for _, q := range p.Revive {
		id := Label{"queue_id", strconv.Itoa(int(q.QueueID))}
		g.value(&popReviveLag, float64(q.Behind), id)
		g.value(&popReviveBehind, milliseconds(q.Late), id)
	}
}

func (g *gathering) revived(f *stats.GroupFigures) {
	for what, n := range f.Revived {
		labels := []Label{{"consumer_group", f.Group}, {"topic", f.Topic}}
		switch x := what.(type) {
		case stats.ReviveIn:
			g.value(&popReviveIn, float64(n), append(labels, Label{"revive_message_type", x.What.String()}, Label{"put_status", string(x.Status)})...)
		case stats.ReviveOut:
			g.value(&popReviveOut, float64(n), append(labels, Label{"revive_message_type", x.What.String()}, Label{"queue_id", strconv.Itoa(int(x.QueueID))})...)
		case stats.ReviveRetry:
			g.value(&popReviveRetry, float64(n), append(labels, Label{"put_status", string(x.Status)})...)
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (g *gathering) latencies() {
	bounds := make([]float64, len(mux.LatencyBounds))
	for i, b := range mux.LatencyBounds {
		bounds[i] = milliseconds(b)
	}
	for _, l := range g.o.Latencies() {
		g.add(&rpcLatency, Point{Histogram: &Histogram{Bounds: bounds, Counts: l.Counts[:], Sum: milliseconds(l.Sum)},
			Labels: []Label{{"protocol_type", "remoting"}, {"request_code", protocol.RequestName(l.Code)}, {"response_code", protocol.ResponseName(l.Response)},
				isTrue("is_long_polling", l.Held), {"result", string(l.Result)}}})
	}
}
