package send

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/timer"
)

// TimerLimits are what messages that name the time of their delivery may ask for.
type TimerLimits struct {
	Precision  int64 // ms (timerPrecisionMs)
	MaxDelay   int64 // ms (timerMaxDelaySec)
	CongestNum int64 // messages in a slot from which on some are refused, all at twice as many (timerCongestNumEachSlot)
	// Num returns how many messages wait in a slot, ms. It must not wait.
	Num               func(slot int64) int64
	AppendTopicToKeys bool // appendTopicForTimerDeleteKey
}

// unlimited is a CongestNum that no slot reaches. Java: Integer.MAX_VALUE, the default.
const unlimited = 1<<31 - 1

// hold turns a message with a delay level or a time of delivery into one that waits; a level goes before. It
// returns the slot of the timer, ms, 0 for none. Java: HookUtils.handleScheduleMessage.
func (s *Sender) hold(m *message.Message, p *message.Properties, rec *store.Rec, level int) (out int64, err error) {
	if level > 0 {
		s.delay(m, p, rec, level)
		return 0, nil
	}
	return s.time(m, p)
}

// time turns a message into one that waits in the timer's topic and returns its slot, ms; 0 when the time it
// names has passed: then it is stored as it is. Java: HookUtils.transformTimerMessage.
func (s *Sender) time(m *message.Message, p *message.Properties) (out int64, err error) {
	if tran := m.SysFlag & message.SysFlagTransaction; m.Topic == timer.Topic || tran != 0 && tran != message.SysFlagCommit {
		return 0, nil
	}
	l := s.live.Load().Timer
	if l == nil {
		return 0, protocol.Errorf(protocol.SystemError, "accurate timer message is not enabled, timerWheelEnable is false")
	}
	now := time.Now().UnixMilli()
	at, ok := deliverMs(p, now)
	switch {
	case !ok, at-now > l.MaxDelay, at <= now && p.Get(message.PropertyTimerDelUniqKey) != "":
		return 0, protocol.Errorf(protocol.MessageIllegal, "timer message illegal, the delay time should not be bigger than the max delay %dms; or if set del msg, the delay time should be bigger than the current time", l.MaxDelay)
	case at <= now:
		return 0, nil
	}
	// The slot is delivered when its tick is over, which must not be before the message is due.
	out = (at - 1) / l.Precision * l.Precision
	if l.congested(out) {
		return 0, protocol.Errorf(protocol.SystemError, "timer message is under flow control, max num limit is %d or the current value is greater than %d and less than %d, trigger random flow control",
			l.CongestNum*2, l.CongestNum, l.CongestNum*2)
	}
	p.Set(message.PropertyTimerOutMs, strconv.FormatInt(out, 10))
	p.Set(message.PropertyRealTopic, m.Topic)
	p.Set(message.PropertyRealQueueID, strconv.Itoa(int(m.QueueID)))
	m.Topic, m.QueueID = timer.Topic, 0
	return out, nil
}

// deliverMs returns when a message is to be delivered, ms; ok is false when its properties make no sense. A sum
// that is no int64 is further away than any limit.
func deliverMs(p *message.Properties, now int64) (at int64, ok bool) {
	name, unit := message.PropertyTimerDeliverMs, int64(0)
	if p.Get(message.PropertyTimerDelaySec) != "" {
		name, unit = message.PropertyTimerDelaySec, 1000
	} else if p.Get(message.PropertyTimerDelayMs) != "" {
		name, unit = message.PropertyTimerDelayMs, 1
	}
	n, err := strconv.ParseInt(p.Get(name), 10, 64)
	if err != nil || unit == 0 {
		return n, err == nil
	}
	if most := int64(1) << 52; n > most || n < -most {
		return 0, n < 0 // far in the past: at once
	}
	return now + n*unit, true
}

// congested decides whether one more message may wait in a slot. Java: TimerMessageStore.isReject, whose chance of
// a refusal falls as the slot fills; here it rises.
func (l *TimerLimits) congested(slot int64) bool {
	if l.CongestNum >= unlimited {
		return false
	}
	n := l.Num(slot)
	return n > l.CongestNum && (n >= 2*l.CongestNum || rand.Int64N(l.CongestNum) < n-l.CongestNum)
}

// The parts of a recall handle. Java: RecallMessageHandle.
const (
	handleVersion   = "v1"
	handleSeparator = " "
)

// attachHandle notes the handle by which a message that waits in the slot out can be recalled; 0: none. Java:
// SendMessageProcessor.attachRecallHandle.
func (s *Sender) attachHandle(b *batch, r *sent, code int32, topic string, out int64) {
	if out == 0 || code == protocol.SendBatchMessage || strings.HasPrefix(topic, RetryPrefix) {
		return
	}
	at := strconv.FormatInt(out+1, 10) // so that it is floored to the same slot
	text := strings.Join([]string{handleVersion, topic, s.o.BrokerName, at, b.str(r.id)}, handleSeparator)
	r.handle = b.keep(base64.URLEncoding.EncodeToString([]byte(text)))
}

// recallHandle is a handle taken apart.
type recallHandle struct {
	topic, broker, timestamp, uniqKey string
}

// parseHandle reads a handle. Java: RecallMessageHandle.decodeHandle.
func parseHandle(text string) (h recallHandle, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || text == "" {
		return h, false
	}
	f := strings.Split(string(raw), handleSeparator)
	if len(f) < 5 || f[0] != handleVersion {
		return h, false
	}
	return recallHandle{f[1], f[2], f[3], f[4]}, true
}
