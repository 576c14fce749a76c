package send

import (
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/timer"
)

// recallTag and recallBody are of the message that recalls another. Java: RecallMessageProcessor.
const (
	recallTag  = "_RECALL_TAG_"
	recallBody = "0"
)

// handleRecall keeps a message that waits for its time from being delivered, by storing one that names it in the
// same slot. Java: RecallMessageProcessor.
func (s *Sender) handleRecall(r *mux.Request) *protocol.Command {
	var h header.RecallMessageRequest
	err := protocol.DecodeHeader(r.Cmd.Ext, &h)
	if err == nil {
		err = s.recall(r, &h)
	}
	if err == nil {
		return nil
	}
	return s.withRegionOnly(protocol.ErrorResponse(err))
}

func (s *Sender) withRegionOnly(resp *protocol.Command) *protocol.Command {
	resp.Ext = append(resp.Ext, protocol.Field{Key: message.PropertyMsgRegion, Value: s.live.Load().RegionID})
	return resp
}

// errRecall is a refusal that has nothing to do with the request.
func errRecall() error { return protocol.Errorf(protocol.SystemError, "recall failed, execute error") }

func (s *Sender) recall(r *mux.Request, h *header.RecallMessageRequest) error {
	o, now := s.live.Load(), time.Now().UnixMilli()
	switch {
	case !o.Recall:
		return protocol.Errorf(protocol.NoPermission, "recall failed, operation is forbidden")
	case now < o.AcceptFrom, !o.Writable && !o.RecallReadOnly:
		return protocol.Errorf(protocol.ServiceNotAvailable, "recall failed, broker service not available")
	case s.o.Topics.Get(h.Topic) == nil:
		return protocol.Errorf(protocol.TopicNotExist, "recall failed, the topic[%s] not exist", h.Topic)
	}
	handle, ok := parseHandle(h.RecallHandle)
	at, err := strconv.ParseInt(handle.timestamp, 10, 64)
	switch {
	case !ok:
		return protocol.Errorf(protocol.IllegalOperation, "recall handle is invalid")
	case handle.topic != h.Topic:
		return protocol.Errorf(protocol.IllegalOperation, "recall failed, topic not match")
	case handle.broker != s.o.BrokerName:
		return protocol.Errorf(protocol.IllegalOperation, "recall failed, broker service not available")
	case err != nil, at <= now, o.Timer != nil && at-now >= o.Timer.MaxDelay:
		return protocol.Errorf(protocol.IllegalOperation, "recall failed, timestamp invalid")
	case o.Timer == nil:
		return errRecall()
	}
	return s.storeRecall(r, h, &handle, o.Timer, now)
}

func (s *Sender) storeRecall(r *mux.Request, h *header.RecallMessageRequest, handle *recallHandle, limits *TimerLimits, now int64) error {
	var p message.Properties
	p.Set(message.PropertyTags, recallTag)
	p.Set(message.PropertyTimerDelUniqKey, timer.DeleteKey(handle.topic, handle.uniqKey, limits.AppendTopicToKeys))
	p.Set(message.PropertyUniqKey, handle.uniqKey)
	p.Set(message.PropertyTimerDeliverMs, handle.timestamp)
	p.Set(message.PropertyBornTimestamp, strconv.FormatInt(now, 10))
	if h.ProducerGroup != "" {
		p.Set(message.PropertyProducerGroup, h.ProducerGroup)
	}
	m := message.Message{Topic: handle.topic, BornTimestamp: now, BornHost: message.HostOf(r.Conn.Remote()), StoreHost: s.storeHost, Body: []byte(recallBody)}
	if out, err := s.time(&m, &p); err != nil || out == 0 {
		return errRecall()
	}
	id := handle.uniqKey
	err := s.Put(&m, p.String(), store.Rec{TagsCode: message.TagsCode(recallTag)}, func(err error, recs []store.Rec) {
		if err != nil {
			r.Reply(s.withRegionOnly(protocol.ErrorResponse(errRecall())))
			return
		}
		if s.o.Stats != nil {
			s.o.Stats.Put(timer.Topic, 1, int(recs[0].Size))
		}
		r.Reply(s.withRegionOnly(protocol.Reply(header.RecallMessageResponse{MsgID: id}, nil)))
	})
	if err != nil {
		return errRecall()
	}
	return nil
}
