package send

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/index"
)

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// add checks a request and appends its records to the batch. On an error the batch is as it was.
func (s *Sender) add(b *batch, cmd *protocol.Command, h *header.SendMessageRequestV2, topic *body.TopicConfig, from message.Host) error {
	if err := s.check(h); err != nil {
		return err
	}
	asked := logical{queueID: h.QueueID}
	if d := s.o.Mappings.Get(h.Topic); d != nil {
		var err error
		if asked, err = s.physical(d, cmd, h); err != nil {
			return err
		}
	}
	if h.QueueID >= max(topic.WriteQueueNums, topic.ReadQueueNums) {
		return protocol.Errorf(protocol.InvalidParameter, "request queueId[%d] is illegal, TopicConfig [topicName=%s, readQueueNums=%d, writeQueueNums=%d, perm=%d] Producer: %s",
			h.QueueID, h.Topic, topic.ReadQueueNums, topic.WriteQueueNums, topic.Perm, from.AddrPort())
	}
	if cmd.Body == nil {
		return protocol.Errorf(protocol.MessageIllegal, "the message body is empty")
	}
	buf, recs, keys, text, lights := len(b.Buf), len(b.Recs), len(b.Keys), len(b.text), len(b.Lights)
	m := message.Message{Topic: h.Topic, QueueID: h.QueueID, Flag: h.Flag, SysFlag: h.SysFlag, BornTimestamp: h.BornTimestamp,
		BornHost: from, StoreHost: s.storeHost, ReconsumeTimes: h.ReconsumeTimes, Body: cmd.Body}
	if m.QueueID < 0 {
		m.QueueID = int32(rand.IntN(int(max(topic.WriteQueueNums, 1))))
	}
	if asked.queueID < 0 {
		asked.queueID = m.QueueID
	}
	r := sent{opaque: cmd.Opaque, code: cmd.Code, oneway: cmd.IsOneway(), logical: asked}
	var err error
	if h.Batch {
		err = s.addBatch(b, &r, h, topic, &m)
	} else {
		err = s.addSingle(b, &r, cmd, h, topic, &m)
	}
	if err != nil {
		b.Buf, b.Recs, b.Keys, b.text, b.Lights = b.Buf[:buf], b.Recs[:recs], b.Keys[:keys], b.text[:text], b.Lights[:lights]
		return err
	}
	r.bytes = int32(len(b.Buf) - buf)
	r.topic = b.keep(m.Topic)
	if r.half {
		r.real = b.keep(h.Topic)
	}
	b.reqs = append(b.reqs, r)
	return nil
}

func (s *Sender) illegal() error {
	return protocol.Errorf(protocol.MessageIllegal,
		"the message is illegal, maybe msg body or properties length not matched. msg body length limit %dB, msg properties length limit 32KB.", s.live.Load().MaxMessageSize)
}

// props is what sending looks for in a property string.
type props struct {
	uniq, keys, tags, delay string
	// odd: a property is there that changes the message or that the broker sets itself, so that the string
	// has to be taken apart.
	odd bool
	// timer: it names the time of its delivery; timed: that has been seen to.
	timer, timed bool
	inner        bool // INNER_NUM, which no client may set
	tran         bool
	lights       string // INNER_MULTI_DISPATCH
	lightOffset  bool   // INNER_MULTI_QUEUE_OFFSET, which is the broker's to set
	priority     string
	sharded      bool // it has a key by which it is ordered
	starts       bool // __STARTDELIVERTIME, by which it only counts as delayed
}

// kind is what the message counts as. Java: BrokerMetricsManager.getMessageType.
func (p *props) kind() stats.MessageType {
	switch {
	case p.tran:
		return stats.Transaction
	case p.sharded:
		return stats.FIFO
	case p.delay != "" || p.timer || p.starts:
		return stats.Delay
	}
	return stats.Normal
}

// propertyStartDeliver was the time of delivery before there was a timer. Java: BrokerMetricsManager.getMessageType.
const propertyStartDeliver = "__STARTDELIVERTIME"

func scan(text string) props {
	var p props
	message.EachProperty(text, func(name, value string) bool {
		// Most names differ in their first letter and length already.
		switch name {
		case message.PropertyUniqKey:
			p.uniq = value
		case message.PropertyKeys:
			p.keys = value
		case message.PropertyTags:
			p.tags = value
		case message.PropertyDelay:
			p.delay, p.odd = value, true
		case message.PropertyTransactionPrepared:
			p.tran = strings.EqualFold(value, "true")
		case message.PropertyMsgRegion, message.PropertyTraceOn, message.PropertyCluster, message.PropertyPopCK, message.PropertyCRC32:
			p.odd = true
		case message.PropertyTimerDelaySec, message.PropertyTimerDelayMs, message.PropertyTimerDeliverMs:
			p.timer = true
		case message.PropertyTimerOutMs:
			p.timed = true
		case message.PropertyInnerNum:
			p.inner = true
		case message.PropertyMultiDispatch:
			p.lights = value
		case message.PropertyMultiQueueOffset:
			p.lightOffset, p.odd = true, true
		case message.PropertyPriority:
			p.priority = value
		case message.PropertyShardingKey:
			p.sharded = true
		case propertyStartDeliver:
			p.starts = true
		}
		return true
	})
	return p
}

func (s *Sender) addSingle(b *batch, r *sent, cmd *protocol.Command, h *header.SendMessageRequestV2, topic *body.TopicConfig, m *message.Message) error {
	if m.SysFlag&message.SysFlagInnerBatch != 0 {
		return s.illegal() // a batch is known by its request
	}
	p := scan(h.Properties)
	r.kind = p.kind()
	text := h.Properties
	if strings.HasPrefix(h.Topic, RetryPrefix) {
		dead, err := s.retry(cmd, h, m)
		if err != nil {
			return err
		}
		if dead {
			all := message.ParseProperties(text)
			all.Set(message.PropertyDelay, "-1")
			text, p.delay, p.odd = all.String(), "-1", true
		}
	}
	if err := checkKey(topic, p.keys); err != nil {
		return err
	}
	if topic.TopicFilterType == body.MultiTag {
		m.SysFlag |= message.SysFlagMultiTags
	}
	level := 0
	if p.delay != "" { // Atoi's error would cost an allocation
		level, _ = strconv.Atoi(p.delay)
	}
	if p.tran && !(m.ReconsumeTimes > 0 && level > 0) {
		if s.live.Load().RejectTransaction {
			return protocol.Errorf(protocol.NoPermission, "the broker[%s] sending transaction message is forbidden", s.o.BrokerIP)
		}
		r.half = true
	}
	if p.inner {
		return s.illegal()
	}
	if p.priority != "" {
		text = s.prioritize(m, r, topic, &p, text)
	}
	var now time.Time
	if p.uniq == "" {
		now = time.Now()
		from := len(b.text)
		b.text = s.keys.Append(b.text, now)
		r.id = span{int32(from), int32(len(b.text))}
	} else {
		r.id = b.keep(p.uniq)
	}
	rec := store.Rec{TagsCode: message.TagsCode(p.tags)}
	if (level > 0 || p.timer && !p.timed) && !r.half {
		all := message.ParseProperties(text)
		out, err := s.hold(m, &all, &rec, level)
		if err != nil {
			return err
		}
		text = all.String()
		s.attachHandle(b, r, cmd.Code, h.Topic, out)
	}
	if p.odd {
		all := message.ParseProperties(text)
		for _, name := range []string{message.PropertyMsgRegion, message.PropertyTraceOn, message.PropertyCluster, message.PropertyPopCK, message.PropertyCRC32, message.PropertyMultiQueueOffset} {
			all.Delete(name)
		}
		text = all.String()
	}
	if r.half {
		all := message.ParseProperties(text)
		if err := s.half(m, &all, b.str(r.id), &p); err != nil {
			return err
		}
		text = all.String()
	}
	if p.lights != "" {
		var err error
		if text, err = s.addLights(b, r, m, h.Topic, &rec, text, &p); err != nil {
			return err
		}
	}
	return s.addRecord(b, r, m, rec, text, &p)
}

// prioritize puts a message with a priority in the queue of that number, or the last. One of another type, too,
// loses its priority. Java: SendMessageProcessor.sendMessage, TopicMessageType.parseFromMessageProperty.
func (s *Sender) prioritize(m *message.Message, r *sent, topic *body.TopicConfig, p *props, text string) string {
	n, err := strconv.ParseInt(p.priority, 10, 32)
	if err != nil || n < 0 {
		return text
	}
	if p.tran || p.delay != "" || p.timer || p.sharded {
		all := message.ParseProperties(text)
		all.Delete(message.PropertyPriority)
		return all.String()
	}
	m.QueueID = min(int32(n), max(topic.WriteQueueNums-1, 0))
	r.queueID = m.QueueID
	return text
}

// half turns a message into one that waits in the half topic for its transaction's end. A delay begins then, when it
// is too late to refuse a time. Java: TransactionalMessageBridge.parseHalfMessageInner.
func (s *Sender) half(m *message.Message, all *message.Properties, uniq string, p *props) error {
	m.SysFlag &^= message.SysFlagTransaction
	if level, _ := strconv.Atoi(p.delay); level <= 0 && p.timer && !p.timed {
		to, waiting := *m, slices.Clone(*all)
		if _, err := s.time(&to, &waiting); err != nil {
			return err
		}
	}
	all.Set(message.PropertyUniqKey, uniq)
	all.Set(message.PropertyTransactionID, uniq)
	all.Set(message.PropertyRealTopic, m.Topic)
	all.Set(message.PropertyRealQueueID, strconv.Itoa(int(m.QueueID)))
	m.Topic, m.QueueID = halfTopic, 0
	p.uniq = uniq
	return nil
}

// addRecord builds the record; the properties that Java's broker adds go behind those of the client.
func (s *Sender) addRecord(b *batch, r *sent, m *message.Message, rec store.Rec, text string, p *props) error {
	o := s.live.Load()
	if len(m.Body) > int(o.MaxMessageSize) {
		return s.tooLarge()
	}
	start := len(b.Buf)
	b.Buf = message.BeginRecord(b.Buf, m)
	at := len(b.Buf)
	b.Buf = append(b.Buf, text...)
	if n := len(text); n > 0 && text[n-1] != message.PropertySeparator {
		b.Buf = append(b.Buf, message.PropertySeparator)
	}
	uniq := p.uniq
	if uniq == "" {
		uniq = b.str(r.id)
		b.Buf = message.AppendProperty(b.Buf, message.PropertyUniqKey, uniq)
	}
	if rec.Light == 0 { // else they are there, in Java's order
		b.Buf = message.AppendProperty(b.Buf, message.PropertyMsgRegion, o.RegionID)
		b.Buf = message.AppendProperty(b.Buf, message.PropertyTraceOn, strconv.FormatBool(o.TraceOn))
		b.Buf = message.AppendProperty(b.Buf, message.PropertyCluster, s.o.ClusterName)
	}
	if rec.Inner > 0 {
		b.Buf = message.AppendProperty(b.Buf, message.PropertyInnerNum, strconv.Itoa(int(rec.Inner)))
		b.Buf = message.AppendInnerBase(b.Buf)
	}
	if len(b.Buf)-at > s.o.Store.MaxProperties() || message.FinishRecord(b.Buf, start, at) != nil || !s.o.Store.Fits(len(b.Buf)-start) {
		return s.tooLarge()
	}
	rec.Queue = s.o.Store.Queue(m.Topic, m.QueueID)
	rec.Size = int32(len(b.Buf) - start)
	rec.Keys = b.addKeys(m.Topic, uniq, p.keys, p.tags)
	b.Recs = append(b.Recs, rec)
	r.recs = 1
	return nil
}

// addKeys notes the hashes of a record's keys for the index and returns how many they are.
func (b *batch) addKeys(topic, uniq, keys, tags string) int32 {
	n := len(b.Keys)
	b.Keys = index.AppendHashes(b.Keys, topic, uniq, keys, tags)
	return int32(len(b.Keys) - n)
}

// addBatch takes a batch body apart. Its elements keep their properties as they are; those of the request
// only give the reply's transaction id. Java: SendMessageProcessor.sendBatchMessage.
func (s *Sender) addBatch(b *batch, r *sent, h *header.SendMessageRequestV2, topic *body.TopicConfig, m *message.Message) error {
	if len(h.Topic) > message.MaxTopicV1 {
		return protocol.Errorf(protocol.MessageIllegal, "message topic length too long %d", len(h.Topic))
	}
	if strings.HasPrefix(h.Topic, RetryPrefix) {
		return protocol.Errorf(protocol.MessageIllegal, "batch request does not support retry group %s", h.Topic)
	}
	q := s.o.Store.Queue(m.Topic, m.QueueID)
	whole := scan(h.Properties)
	r.kind = whole.kind()
	if q.Batch() && whole.uniq != "" {
		return s.addInner(b, r, h, topic, m)
	}
	rest := m.Body
	if limit := int(s.live.Load().MaxMessageSize); len(rest) > limit {
		return fmt.Errorf("%w: %w", protocol.Errorf(protocol.SystemError, "message body size exceeded, msg body size: %d, maxMessageSize: %d", len(rest), limit), store.ErrTooLarge)
	}
	start, first := len(b.Buf), len(b.Recs)
	for len(rest) > 0 {
		item, left, err := message.NextBatchItem(rest)
		if err != nil {
			return fmt.Errorf("%w of topic %s", err, h.Topic)
		}
		rest = left
		m.Flag, m.Body = item.Flag, item.Body
		at := len(b.Buf)
		properties := item.Properties
		p := scan(properties)
		if p.lightOffset { // messages of a batch go to no light queue
			all := message.ParseProperties(properties)
			all.Delete(message.PropertyMultiQueueOffset)
			properties = all.String()
		}
		if strings.HasSuffix(properties, "\x00") {
			properties += "\x02" // or recovery would take the record for one that a crash tore
		}
		if len(properties) > s.o.Store.MaxProperties() {
			return s.illegal()
		}
		if b.Buf, err = message.AppendRecord(b.Buf, m, properties); err != nil {
			return s.illegal()
		}
		b.Recs = append(b.Recs, store.Rec{Queue: q, Size: int32(len(b.Buf) - at), TagsCode: message.TagsCode(p.tags), Keys: b.addKeys(m.Topic, p.uniq, p.keys, p.tags)})
	}
	if len(b.Recs) == first || !s.o.Store.Fits(len(b.Buf)-start) {
		return s.illegal()
	}
	r.recs = int32(len(b.Recs) - first)
	b.Recs[first].Unit = r.recs
	r.id = b.keep(whole.uniq)
	return nil
}

// retry sends a message for a retry topic to the dead letters when it has been tried often enough, or when
// its group consumes in order. Java: SendMessageProcessor.handleRetryAndDLQ.
func (s *Sender) retry(cmd *protocol.Command, h *header.SendMessageRequestV2, m *message.Message) (dead bool, err error) {
	group := h.Topic[len(RetryPrefix):]
	g := s.o.Group(group)
	if g == nil {
		return false, protocol.Errorf(protocol.SubscriptionGroupNotExist, "subscription group not exist, %s %s", group, Faq)
	}
	limit := g.RetryMaxTimes
	if cmd.Version >= protocol.VersionV3_4_9 && h.MaxReconsumeTimes != nil {
		limit = *h.MaxReconsumeTimes
	}
	if h.ReconsumeTimes <= limit && !s.o.OrderLocked(group) {
		return false, nil
	}
	name := DLQPrefix + group
	if s.o.Topics.CreateInSendBack(name, 1, permReadWrite, 0) == nil {
		return false, protocol.Errorf(protocol.SystemError, "topic[%s] not exist", name)
	}
	if s.o.Stats != nil {
		s.o.Stats.DeadLetter(h.ProducerGroup, h.Topic)
	}
	m.Topic, m.QueueID = name, 0
	return true, nil
}
