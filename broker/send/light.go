package send

import (
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store"
)

// lightQueues returns the light queues (LMQ) that a message of topic is to go to as well, by its INNER_MULTI_DISPATCH;
// none without enableLmq and enableMultiDispatch, nor for topics whose messages are copies of others.
//
// Java lets half messages in, which nobody may see before they are committed.
func (s *Sender) lightQueues(topic, names string) ([]string, error) {
	if names == "" || !s.lmq || strings.TrimSpace(names) == "" || !message.AllowsLMQ(topic) || s.o.NoSend(topic) {
		return nil, nil
	}
	if len(names) > s.o.Store.MaxProperties() {
		return nil, s.illegal()
	}
	list, err := message.LightQueues(names, topic)
	if err != nil {
		return nil, protocol.Errorf(protocol.MessageIllegal, "%s", err)
	}
	if len(names)+message.MultiOffsetRoom*len(list) > s.o.Store.MaxProperties() {
		return nil, s.illegal() // seen here, before any of the queues is made
	}
	return list, nil
}

// checkQuota refuses a message that would need a new light queue where there are as many as may be. What the broker
// puts itself, delayed messages and commits, it does not stop: that could go nowhere else. Java: HookUtils.handleLmqQuota.
func (s *Sender) checkQuota(names []string) error {
	if s.maxLights < 0 || s.o.Store.Lights() < s.maxLights {
		return nil
	}
	for _, name := range names {
		if s.o.Store.Find(name, 0) == nil {
			return protocol.Errorf(protocol.LMQQuotaExceeded, "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]lmq consume queue num exceeded.")
		}
	}
	return nil
}

// addLights has a message that is sent go to its light queues as well; it returns the properties. One that waits, for its
// time or its transaction's end, goes there when it comes back to its topic; what it names must be right at once.
func (s *Sender) addLights(b *batch, r *sent, m *message.Message, topic string, rec *store.Rec, text string, p *props) (string, error) {
	names, err := s.lightQueues(topic, p.lights)
	if err != nil || len(names) == 0 || m.Topic != topic {
		return text, err
	}
	if err := s.checkQuota(names); err != nil {
		return text, err
	}
	all := message.ParseProperties(text)
	p.uniq = b.str(r.id)
	all.Set(message.PropertyUniqKey, p.uniq)
	s.broker(&all)
	return s.intoLights(b, rec, &all, names), nil
}

// broker sets what the broker adds to the properties of each message.
func (s *Sender) broker(all *message.Properties) {
	all.Set(message.PropertyMsgRegion, s.live.Load().RegionID)
	all.Set(message.PropertyTraceOn, strconv.FormatBool(s.live.Load().TraceOn))
	all.Set(message.PropertyCluster, s.o.ClusterName)
}

// intoLights has a record go to its light queues as well and returns its properties, with room for its offsets there.
func (s *Sender) intoLights(b *batch, rec *store.Rec, all *message.Properties, names []string) string {
	all.SetMultiDispatch(names)
	rec.Light = int16(len(names))
	for _, name := range names {
		b.Lights = append(b.Lights, store.Light{Queue: s.o.Store.LightQueue(name)})
	}
	return all.String()
}
