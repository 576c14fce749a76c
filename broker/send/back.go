package send

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// sendBack stores a message that a consumer could not use for a later try, or among the dead letters.
// Java: AbstractSendMessageProcessor.consumerSendMsgBack.
func (s *Sender) sendBack(r *mux.Request, h *header.ConsumerSendMsgBackRequest) (*protocol.Command, error) {
	resp, err := s.takeBack(r, h)
	if err != nil {
		s.countRefused(err, 1)
	}
	return resp, err
}

func (s *Sender) takeBack(r *mux.Request, h *header.ConsumerSendMsgBackRequest) (*protocol.Command, error) {
	g := s.o.Group(h.Group)
	if g == nil {
		return nil, protocol.Errorf(protocol.SubscriptionGroupNotExist, "subscription group not exist, %s %s", h.Group, Faq)
	}
	if !s.live.Load().Writable {
		return nil, protocol.Errorf(protocol.NoPermission, "the broker[%s] sending message is forbidden", s.o.BrokerIP)
	}
	if g.RetryQueueNums <= 0 {
		return protocol.NewResponse(protocol.Success, ""), nil
	}
	topic := RetryPrefix + h.Group
	var sysFlag int32
	if h.UnitMode {
		sysFlag = topicSysFlagUnitSub
	}
	t := s.o.Topics.CreateInSendBack(topic, g.RetryQueueNums, permReadWrite, sysFlag)
	if t == nil {
		return nil, protocol.Errorf(protocol.SystemError, "topic[%s] not exist", topic)
	}
	if t.Perm&permWrite == 0 {
		return nil, protocol.Errorf(protocol.NoPermission, "the topic[%s] sending message is forbidden", topic)
	}
	rec, err := s.o.Store.Record(h.Offset)
	if err != nil {
		s.o.Logger.Warn().Err(err).Str("group", h.Group).Int64("offset", h.Offset).Msg("look message by offset failed")
		return nil, protocol.Errorf(protocol.SystemError, "look message by offset failed, %d", h.Offset)
	}
	if rec.SysFlag&message.SysFlagInnerBatch != 0 {
		// Java's words. The offset does not tell which message of the batch is meant: the client sends that itself then.
		return nil, protocol.Errorf(protocol.SystemError, "MESSAGE_ILLEGAL")
	}
	limit := g.RetryMaxTimes
	if r.Cmd.Version >= protocol.VersionV3_4_9 && h.MaxReconsumeTimes != nil {
		limit = *h.MaxReconsumeTimes
	}
	level, queueID := int(h.DelayLevel), int32(rand.IntN(int(g.RetryQueueNums)))
	if rec.ReconsumeTimes >= limit || level < 0 {
		topic, queueID, level = DLQPrefix+h.Group, 0, 0
		if s.o.Topics.CreateInSendBack(topic, 1, permReadWrite, 0) == nil {
			return nil, protocol.Errorf(protocol.SystemError, "topic[%s] not exist", topic)
		}
	} else if level == 0 {
		level = 3 + int(rec.ReconsumeTimes)
	}
	return nil, s.storeBack(r, h, &rec, topic, queueID, level)
}

const permWrite int32 = 2

// storeBack stores the copy; the request is answered when that is done.
func (s *Sender) storeBack(r *mux.Request, h *header.ConsumerSendMsgBackRequest, rec *message.Record, topic string, queueID int32, level int) error {
	p := message.ParseProperties(rec.Properties)
	if p.Get(message.PropertyRetryTopic) == "" {
		p.Set(message.PropertyRetryTopic, rec.Topic)
	}
	if p.Get(message.PropertyOriginMessageID) == "" {
		p.Set(message.PropertyOriginMessageID, string(message.AppendOffsetID(nil, rec.StoreHost, rec.PhysicalOffset)))
	}
	p.Set(message.PropertyWait, "false")
	p.Set(message.PropertyDelay, strconv.Itoa(level))
	backTopic := p.Get(message.PropertyRetryTopic)
	m := rec.Message
	m.Topic, m.QueueID, m.StoreHost = topic, queueID, s.storeHost
	m.ReconsumeTimes++
	m.PreparedTransactionOffset = 0
	out := store.Rec{TagsCode: message.TagsCode(p.Get(message.PropertyTags))}
	if level > 0 {
		s.delay(&m, &p, &out, level)
	}
	return s.Put(&m, p.String(), out, func(err error, _ []store.Rec) {
		if err != nil {
			s.countRefused(err, 1)
			r.Reply(storeRefusal(err))
			return
		}
		if s.o.Stats != nil {
			s.o.Stats.SendBack(h.Group, backTopic)
			if level == 0 {
				s.o.Stats.DeadLetter(h.Group, h.OriginTopic)
			}
		}
		r.Reply(protocol.NewResponse(protocol.Success, ""))
	})
}

// delay turns a message into one that waits in the queue of its delay level. Java: HookUtils.transformDelayLevelMessage.
func (s *Sender) delay(m *message.Message, p *message.Properties, rec *store.Rec, level int) {
	level = min(level, s.maxLevel)
	rec.DelayMillis = max(s.o.Store.DelayLevels()[level-1].Milliseconds(), 1)
	p.Set(message.PropertyRealTopic, m.Topic)
	p.Set(message.PropertyRealQueueID, strconv.Itoa(int(m.QueueID)))
	p.Set(message.PropertyDelay, strconv.Itoa(level))
	for _, name := range []string{message.PropertyTimerDeliverMs, message.PropertyTimerDelaySec, message.PropertyTimerDelayMs} {
		p.Delete(name) // a level goes before
	}
	m.Topic, m.QueueID = store.ScheduleTopic, int32(level-1)
}

// PutDelayed is Put for a message that waits when its properties have a DELAY level or a time of delivery, as
// one that is sent. A time that cannot be is an error here, too.
func (s *Sender) PutDelayed(m *message.Message, p message.Properties, done func(err error, recs []store.Rec)) error {
	rec := store.Rec{TagsCode: message.TagsCode(p.Get(message.PropertyTags))}
	text := p.String()
	level, _ := strconv.Atoi(p.Get(message.PropertyDelay))
	if named := scan(text); level > 0 || named.timer && !named.timed {
		to := *m
		if _, err := s.hold(&to, &p, &rec, level); err != nil {
			return err
		}
		m, text = &to, p.String()
	}
	return s.Put(m, text, rec, done)
}

// Put stores one message of the broker's own making as it is. rec carries the tags code. done is called
// once, on a goroutine of the store, unless Put returns an error; it must not block.
func (s *Sender) Put(m *message.Message, properties string, rec store.Rec, done func(err error, recs []store.Rec)) error {
	b := s.take(nil)
	p := scan(properties)
	if light, err := s.lightQueues(m.Topic, p.lights); len(light) > 0 {
		all := message.ParseProperties(properties)
		properties = s.intoLights(b, &rec, &all, light)
	} else if err != nil { // from a time without enableLmq, or of Java's
		s.o.Logger.Error().Err(err).Str("topic", m.Topic).Msg("a message of the broker's store names light queues that cannot be, it goes to none")
	}
	buf, err := message.AppendRecord(b.Buf, m, properties)
	if err != nil || !s.o.Store.Fits(len(buf)) {
		s.give(b)
		return s.illegal()
	}
	b.Buf = buf
	rec.Queue = s.o.Store.Queue(m.Topic, m.QueueID)
	rec.Size = int32(len(buf))
	rec.Keys = b.addKeys(m.Topic, p.uniq, p.keys, p.tags)
	b.Recs = append(b.Recs, rec)
	b.done, b.at = done, time.Now()
	if err := s.o.Store.Submit(&b.Group); err != nil {
		s.give(b)
		return err
	}
	return nil
}
