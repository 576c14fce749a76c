package relay

import (
	"sync"

	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// resetOffset moves a group to another place: by the broker, whose next answers to the group's pulls tell it
// (useServerSideResetOffset), or by telling the consumers. Java: AdminBrokerProcessor.resetOffset.
func (r *Relay) resetOffset(req *mux.Request, h *header.ResetOffsetRequest) (*protocol.Command, error) {
	r.o.Logger.Info().Stringer("remote", req.Conn.Remote()).Str("group", h.Group).Str("topic", h.Topic).Int64("timestamp", h.Timestamp).
		Bool("force", h.IsForce).Msg("resetting offsets")
	if r.o.UseServerSideResetOffset {
		return r.resetHere(h)
	}
	return r.resetThere(h, req.Cmd.Language == protocol.LanguageCPP)
}

// resetHere is the server-side reset. Java: AdminBrokerProcessor.resetOffsetInner.
func (r *Relay) resetHere(h *header.ResetOffsetRequest) (*protocol.Command, error) {
	c := r.o.Topics.Get(h.Topic)
	if c == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "Topic %s does not exist", h.Topic)
	}
	if !r.o.Groups.Contains(h.Group) {
		return nil, protocol.Errorf(protocol.SubscriptionGroupNotExist, "Group %s does not exist", h.Group)
	}
	out := body.ResetOffsetBody{OffsetTable: body.QueueMap[int64]{}}
	switch {
	case h.QueueID == nil || *h.QueueID < 0:
		for id := range c.ReadQueueNums {
			out.OffsetTable[r.queue(h.Topic, id)] = r.offsetAt(h.Topic, id, h.Timestamp)
		}
	case h.Offset != nil && *h.Offset != -1:
		low, high := r.o.Store.MinOffset(h.Topic, *h.QueueID), r.o.Store.MaxOffset(h.Topic, *h.QueueID)
		if *h.Offset < low || *h.Offset > high+1 {
			return nil, protocol.Errorf(protocol.SystemError, "Target offset %d not in consume queue range [%d-%d]", *h.Offset, low, high)
		}
		out.OffsetTable[r.queue(h.Topic, *h.QueueID)] = *h.Offset
	default:
		out.OffsetTable[r.queue(h.Topic, *h.QueueID)] = r.offsetAt(h.Topic, *h.QueueID, h.Timestamp)
	}
	if len(out.OffsetTable) == 0 {
		return nil, protocol.Errorf(protocol.SystemError, "No queues to reset.")
	}
	for q, at := range out.OffsetTable {
		r.o.Offsets.AssignReset(h.Group, h.Topic, q.QueueID, at)
	}
	return body.Reply(nil, out)
}

// resetThere tells the group's consumers where to go on. Java: Broker2Client.resetOffset.
func (r *Relay) resetThere(h *header.ResetOffsetRequest, forCPP bool) (*protocol.Command, error) {
	c := r.o.Topics.Get(h.Topic)
	if c == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "[reset-offset] reset offset failed, no topic in this broker. topic=%s", h.Topic)
	}
	out := body.ResetOffsetBody{OffsetTable: body.QueueMap[int64]{}}
	list := body.ResetOffsetBodyForC{OffsetTable: []body.MessageQueueForC{}}
	for id := range c.WriteQueueNums {
		at, ok := r.o.Offsets.Query(h.Group, h.Topic, id)
		if !ok {
			return nil, protocol.Errorf(protocol.SystemError, "THe consumer group <%s> not exist", h.Group)
		}
		if to := max(r.offsetAt(h.Topic, id, h.Timestamp), 0); h.IsForce || to < at {
			at = to
		}
		out.OffsetTable[r.queue(h.Topic, id)] = at
		list.OffsetTable = append(list.OffsetTable, body.MessageQueueForC{BrokerName: r.o.BrokerName, Topic: h.Topic, QueueID: id, Offset: at})
	}
	all, noQueue := int32(-1), header.ResetOffsetRequest{Group: h.Group, Topic: h.Topic, Timestamp: h.Timestamp}
	noQueue.QueueID = &all
	push := protocol.NewRequest(protocol.ResetConsumerClientOffset, &noQueue)
	push.Flag |= protocol.FlagOneway
	var err error
	if push.Body, err = body.Marshal(out); forCPP {
		push.Body, err = body.Marshal(list)
	}
	if err != nil {
		return nil, err
	}
	g := r.o.Sessions.Group(h.Group)
	if g == nil {
		return nil, protocol.Errorf(protocol.ConsumerNotOnline, "Consumer not online, so can not reset offset, Group: %s Topic: %s Timestamp: %d", h.Group, h.Topic, h.Timestamp)
	}
	if err := allReset(g); err != nil {
		return nil, err
	}
	for _, ch := range g.Channels {
		mux.Send(ch.Conn, push)
	}
	return body.Reply(nil, out)
}

// allReset refuses a group with a client that is too old to be asked for offsets or told of others. Java looks at
// each client when its turn comes, so that those in front of an old one have been reset.
func allReset(g *session.Group) error {
	for _, ch := range g.Channels {
		if ch.Version < versionReset {
			return protocol.Errorf(protocol.SystemError, "the client does not support this feature. version=%d", ch.Version)
		}
	}
	return nil
}

// offsetAt is where a queue is at a time, ms; before 1970 its end.
func (r *Relay) offsetAt(topic string, id int32, timestamp int64) int64 {
	if timestamp < 0 {
		return r.o.Store.MaxOffset(topic, id)
	}
	return r.o.Store.OffsetByTime(topic, id, timestamp, false)
}

func (r *Relay) queue(topic string, id int32) message.MessageQueue {
	return message.MessageQueue{Topic: topic, BrokerName: r.o.BrokerName, QueueID: id}
}

// consumerStatus asks a group's consumers how far they are. Unlike Java, it asks all at once; those that do not
// answer are left out, as there. Java: Broker2Client.getConsumeStatus.
func (r *Relay) consumerStatus(_ *mux.Request, h *header.GetConsumerStatusRequest) (*protocol.Command, error) {
	g := r.o.Sessions.Group(h.Group)
	if g == nil {
		return nil, protocol.Errorf(protocol.SystemError, "No Any Consumer online in the consumer group: [%s]", h.Group)
	}
	if err := allReset(g); err != nil {
		return nil, err
	}
	out := body.GetConsumerStatusBody{ConsumerTable: map[string]body.QueueMap[int64]{}, MessageQueueTable: body.QueueMap[int64]{}}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, ch := range g.Channels {
		if h.ClientAddr != "" && h.ClientAddr != ch.ClientID {
			continue
		}
		asked.Go(func() {
			table, err := r.statusOf(ch, h)
			if err != nil {
				r.o.Logger.Warn().Err(err).Str("group", h.Group).Str("clientId", ch.ClientID).Msg("a consumer does not tell its offsets")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out.ConsumerTable[ch.ClientID] = table
		})
	}
	asked.Wait()
	resp, err := body.Reply(nil, out)
	if err == nil {
		resp.Remark = "not set any response code" // as Java's
	}
	return resp, err
}

func (r *Relay) statusOf(ch *session.Channel, h *header.GetConsumerStatusRequest) (body.QueueMap[int64], error) {
	req := protocol.NewRequest(protocol.GetConsumerStatusFromClient, &header.GetConsumerStatusRequest{Group: h.Group, Topic: h.Topic})
	resp, err := mux.Call(r.ctx, ch.Conn, req, statusTimeout)
	if err != nil {
		return nil, err
	}
	if resp.Code != protocol.Success {
		return nil, &protocol.Error{Code: resp.Code, Remark: resp.Remark}
	}
	var status body.GetConsumerStatusBody
	if err := body.Unmarshal(resp.Body, &status); err != nil {
		return nil, err
	}
	return status.MessageQueueTable, nil
}
