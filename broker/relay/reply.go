package relay

import (
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// reply brings the answer to a request message to the producer that asked, and stores it besides
// (storeReplyMessageEnable). Who replied is told whether the producer has it.
// Java: ReplyMessageProcessor.processReplyMessageRequest.
//
// The sysFlag of what is stored is that of the reply; Java forgets it, so that a compressed body cannot be told
// from others.
func (r *Relay) reply(req *mux.Request) *protocol.Command {
	h, err := decodeReply(&req.Cmd)
	var c *body.TopicConfig
	if err == nil {
		c, err = r.replyTopic(h)
	}
	if err != nil {
		return r.withRegion(protocol.ErrorResponse(err))
	}
	if h.QueueID < 0 {
		h.QueueID = int32(uint32(req.Cmd.Opaque) % uint32(max(c.WriteQueueNums, 1)))
	}
	resp, out := protocol.Reply(nil, nil), header.SendMessageResponse{MsgID: "0", QueueID: h.QueueID}
	pushed := r.push(req, h)
	if pushed != nil {
		r.o.Logger.Warn().Err(pushed).Str("topic", h.Topic).Stringer("remote", req.Conn.Remote()).Msg("a reply does not reach who asked")
		resp = protocol.ErrorResponse(pushed)
	}
	if !r.live.Load().StoreReplyMessageEnable {
		return r.replied(resp, &out, pushed == nil)
	}
	m := message.Message{Topic: h.Topic, QueueID: h.QueueID, Flag: h.Flag, SysFlag: h.SysFlag, BornTimestamp: h.BornTimestamp,
		BornHost: message.HostOf(req.Conn.Remote()), StoreHost: r.o.StoreHost, ReconsumeTimes: h.ReconsumeTimes, Body: req.Cmd.Body}
	tags := message.GetProperty(h.Properties, message.PropertyTags)
	err = r.o.Put(&m, h.Properties, store.Rec{TagsCode: message.TagsCode(tags)}, func(err error, recs []store.Rec) {
		if err != nil {
			r.o.Logger.Warn().Err(err).Str("topic", h.Topic).Msg("cannot store a reply")
		} else {
			out.MsgID = string(message.AppendOffsetID(nil, r.o.StoreHost, recs[0].PhysicalOffset))
			out.QueueOffset = recs[0].QueueOffset
			if r.o.Stored != nil {
				r.o.Stored(h.Topic, int(recs[0].Size))
			}
		}
		req.Reply(r.replied(resp, &out, pushed == nil || err == nil))
	})
	if err != nil {
		r.o.Logger.Warn().Err(err).Str("topic", h.Topic).Msg("cannot store a reply")
		return r.replied(resp, &out, pushed == nil)
	}
	return nil
}

// replied completes the answer to a reply; ids are those of what was stored, or "0", which clients can decode.
func (r *Relay) replied(resp *protocol.Command, ids *header.SendMessageResponse, with bool) *protocol.Command {
	if with {
		resp.Ext = protocol.AppendHeader(resp.Ext, ids)
	}
	return r.withRegion(resp)
}

func decodeReply(cmd *protocol.Command) (*header.SendMessageRequestV2, error) {
	if cmd.Code == protocol.SendReplyMessageV2 {
		h := new(header.SendMessageRequestV2)
		return h, protocol.DecodeHeader(cmd.Ext, h)
	}
	var v1 header.SendMessageRequest
	err := protocol.DecodeHeader(cmd.Ext, &v1)
	h := header.SendMessageRequestV2(v1)
	return &h, err
}

func (r *Relay) replyTopic(h *header.SendMessageRequestV2) (*body.TopicConfig, error) {
	if from := r.live.Load().AcceptFrom; from > 0 && time.Now().UnixMilli() < from {
		return nil, protocol.Errorf(protocol.SystemError, "broker unable to service, until %s", time.UnixMilli(from).Format("2006-01-02 15:04:05,000"))
	}
	if why := topic.ValidateName(h.Topic); why != "" {
		return nil, protocol.Errorf(protocol.InvalidParameter, "%s", why)
	}
	if topic.NoSend(h.Topic) {
		return nil, protocol.Errorf(protocol.NoPermission, "Sending message to topic[%s] is forbidden.", h.Topic)
	}
	c := r.o.Topics.Get(h.Topic)
	if c == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist, apply first please!", h.Topic)
	}
	if h.QueueID >= max(c.WriteQueueNums, c.ReadQueueNums) {
		return nil, protocol.Errorf(protocol.InvalidParameter, "request queueId[%d] is illegal, topic %s has %d", h.QueueID, h.Topic, max(c.WriteQueueNums, c.ReadQueueNums))
	}
	return c, nil
}

// push gives the reply to the producer that asked and waits until it has it.
func (r *Relay) push(req *mux.Request, h *header.SendMessageRequestV2) error {
	properties := message.ParseProperties(h.Properties)
	asker := properties.Get(message.PropertyReplyToClient)
	if asker == "" {
		return protocol.Errorf(protocol.SystemError, "reply message properties[%s] is null", message.PropertyReplyToClient)
	}
	c := r.o.Sessions.FindProducer(asker)
	if c == nil {
		return protocol.Errorf(protocol.SystemError, "push reply message fail, channel of <%s> not found.", asker)
	}
	now := time.Now().UnixMilli()
	properties.Set(message.PropertyPushReplyTime, strconv.FormatInt(now, 10))
	cmd := protocol.NewRequest(protocol.PushReplyMessageToClient, &header.ReplyMessageRequest{ProducerGroup: h.ProducerGroup, Topic: h.Topic,
		DefaultTopic: h.DefaultTopic, DefaultTopicQueueNums: h.DefaultTopicQueueNums, QueueID: h.QueueID, SysFlag: h.SysFlag,
		BornTimestamp: h.BornTimestamp, Flag: h.Flag, Properties: properties.String(), ReconsumeTimes: &h.ReconsumeTimes, UnitMode: h.UnitMode,
		BornHost: req.Conn.Remote().String(), StoreHost: r.o.StoreHost.AddrPort().String(), StoreTimestamp: now})
	cmd.Body = req.Cmd.Body
	resp, err := mux.Call(r.ctx, c.Conn, cmd, callTimeout)
	if err != nil {
		return protocol.Errorf(protocol.SystemError, "push reply message to %s fail. %v", asker, err)
	}
	if resp.Code != protocol.Success {
		return protocol.Errorf(protocol.SystemError, "push reply message to %s fail. It answers %d: %s", asker, resp.Code, resp.Remark)
	}
	return nil
}

// withRegion adds what Java puts on every reply to a send.
func (r *Relay) withRegion(resp *protocol.Command) *protocol.Command {
	o := r.live.Load()
	resp.Ext = append(resp.Ext, protocol.Field{Key: message.PropertyMsgRegion, Value: o.RegionID}, protocol.Field{Key: message.PropertyTraceOn, Value: strconv.FormatBool(o.TraceOn)})
	return resp
}
