package metrics_test

import (
	"fmt"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// find returns the series of a family that have the labels, given as names and values.
func find(all map[string]*dto.MetricFamily, name string, labels ...string) (out []*dto.Metric) {
next:
	for _, m := range all[name].GetMetric() {
		for i := 0; i < len(labels); i += 2 {
			has := false
			for _, l := range m.GetLabel() {
				has = has || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
			}
			if !has {
				continue next
			}
		}
		out = append(out, m)
	}
	return out
}

// value returns the value of the only series that has the labels.
func value(t *testing.T, all map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	list := find(all, name, labels...)
	require.Len(t, list, 1, "%s %v", name, labels)
	return list[0].GetGauge().GetValue() + list[0].GetCounter().GetValue()
}

// eventually scrapes until ok returns true.
func eventually(t *testing.T, b *brokertest.Broker, ok func(all map[string]*dto.MetricFamily) bool) map[string]*dto.MetricFamily {
	t.Helper()
	var all map[string]*dto.MetricFamily
	require.Eventually(t, func() bool {
		all = scrape(t, b.MetricsAddr())
		return ok(all)
	}, time.Minute, 20*time.Millisecond)
	return all
}

func prom(o *broker.Options) {
	o.MetricsExporterType, o.MetricsPromExporterPort = "PROM", 0
}

func TestValues(t *testing.T) {
	b := brokertest.Start(t, prom)
	x := traffic{t: t, c: b.Dial(false)}
	bytes := 0
	for i := range 10 {
		text := fmt.Sprintf("message %d", i)
		bytes += len(text)
		x.send("T", fmt.Sprintf("TAGS\x01%c\x02UNIQ_KEY\x01u%d\x02", "ab"[i%2], i), text)
	}
	x.send("T", "UNIQ_KEY\x01u10\x02", string(make([]byte, 600<<10)))
	beat := command(protocol.HeartBeat)
	beat.Body = []byte(heartbeat)
	x.call(beat)
	x.call(command(protocol.UpdateConsumerOffset, "consumerGroup", "pushers", "topic", "T", "queueId", "0", "commitOffset", "2"))
	x.call(brokertest.PullRequest("T", 0, 2, "a", fields("consumerGroup", "pushers", "maxMsgNums", "2")...))
	all := eventually(t, b, func(all map[string]*dto.MetricFamily) bool {
		return len(find(all, "rocketmq_messages_out_total", "topic", "T")) > 0 && value(t, all, "rocketmq_messages_in_total", "topic", "T") == 11
	})
	require.Greater(t, value(t, all, "rocketmq_throughput_in_total", "topic", "T"), float64(bytes))
	sizes := find(all, "rocketmq_message_size", "topic", "T")[0].GetHistogram()
	require.EqualValues(t, 11, sizes.GetSampleCount())
	require.EqualValues(t, value(t, all, "rocketmq_throughput_in_total", "topic", "T"), sizes.GetSampleSum())
	require.EqualValues(t, 10, sizes.GetBucket()[0].GetCumulativeCount())
	require.EqualValues(t, 10, sizes.GetBucket()[2].GetCumulativeCount())
	require.EqualValues(t, 11, sizes.GetBucket()[3].GetCumulativeCount())
	require.EqualValues(t, 2, value(t, all, "rocketmq_messages_out_total", "topic", "T", "consumer_group", "pushers"))

	// Of the 9 messages behind offset 2, 4 have the tag; 2 of the 3 up to 5 have been pulled.
	group := []string{"consumer_group", "pushers", "topic", "T"}
	require.InDelta(t, 4, value(t, all, "rocketmq_consumer_lag_messages", group...), 0.01)
	require.InDelta(t, 2, value(t, all, "rocketmq_consumer_inflight_messages", group...), 0.01)
	require.InDelta(t, 2, value(t, all, "rocketmq_consumer_ready_messages", group...), 0.01)
	require.Positive(t, value(t, all, "rocketmq_consumer_lag_latency_milliseconds", group...))
	sends := find(all, "rocketmq_rpc_latency_milliseconds", "request_code", "send_message_v2", "response_code", "success")
	require.Len(t, sends, 1)
	require.EqualValues(t, 11, sends[0].GetHistogram().GetSampleCount())
	require.Positive(t, sends[0].GetHistogram().GetSampleSum())
}

// TestDeletedIsGone is about the series of topics and groups that are deleted.
func TestDeletedIsGone(t *testing.T) {
	b := brokertest.Start(t, prom)
	x := traffic{t: t, c: b.Dial(false)}
	for _, topic := range []string{"T", "P"} {
		x.send(topic, "TAGS\x01a\x02UNIQ_KEY\x01"+topic+"\x02", "x")
		x.send(topic, "TIMER_DELAY_SEC\x01600\x02UNIQ_KEY\x01w"+topic+"\x02", "x")
		for _, group := range []string{"pushers", "others"} {
			x.call(brokertest.PullRequest(topic, 0, 0, "*", fields("consumerGroup", group)...))
		}
	}
	mentions := func(all map[string]*dto.MetricFamily, label, name string) (out []string) {
		for family := range all {
			if len(find(all, family, label, name)) > 0 {
				out = append(out, family)
			}
		}
		return out
	}
	eventually(t, b, func(all map[string]*dto.MetricFamily) bool {
		return len(find(all, "rocketmq_timing_messages", "topic", "T")) == 1 && len(mentions(all, "consumer_group", "others")) > 0
	})
	x.call(command(protocol.DeleteTopicInBroker, "topic", "T"))
	x.call(command(protocol.DeleteSubscriptionGroup, "groupName", "others", "cleanOffset", "true"))
	all := eventually(t, b, func(all map[string]*dto.MetricFamily) bool {
		return len(mentions(all, "topic", "T")) == 0 && len(mentions(all, "consumer_group", "others")) == 0
	})
	require.NotEmpty(t, mentions(all, "topic", "P"))
	require.NotEmpty(t, mentions(all, "consumer_group", "pushers"))
}
