package client

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// queryOffset answers from where a group goes on with a queue. A group without an offset starts at 0 when
// the queue still has its first message and that is likely in memory; otherwise the client is left to its
// ConsumeFromWhere, so that a new group does not read old messages from the disk.
// Java: ConsumerManageProcessor.queryConsumerOffset.
func (h *Handlers) queryOffset(_ *mux.Request, req *header.QueryConsumerOffsetRequest) (*protocol.Command, error) {
	if offset, ok := h.o.Offsets.Query(req.ConsumerGroup, req.Topic, req.QueueID); ok {
		return protocol.Reply(header.QueryConsumerOffsetResponse{Offset: offset}, nil), nil
	}
	if req.SetZeroIfNotFound != nil && !*req.SetZeroIfNotFound {
		return nil, protocol.Errorf(protocol.QueryNotFound, "Not found, do not set to zero, maybe this group boot first")
	}
	if h.o.Store.MinOffset(req.Topic, req.QueueID) <= 0 && h.o.Store.InMemory(req.Topic, req.QueueID, 0) {
		return protocol.Reply(header.QueryConsumerOffsetResponse{}, nil), nil
	}
	return nil, protocol.Errorf(protocol.QueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
}

// updateOffset stores a group's offset of a queue, unless a reset waits for the queue's next pull.
// Java: ConsumerManageProcessor.updateConsumerOffset.
func (h *Handlers) updateOffset(r *mux.Request) *protocol.Command {
	var req header.UpdateConsumerOffsetRequest
	decodeErr := protocol.DecodeHeader(r.Cmd.Ext, &req)
	if !h.o.Groups.Contains(req.ConsumerGroup) {
		return protocol.ErrorResponse(protocol.Errorf(protocol.SubscriptionGroupNotExist, "Group %s not exist!", req.ConsumerGroup))
	}
	if h.o.Topics.Get(req.Topic) == nil {
		return protocol.ErrorResponse(protocol.Errorf(protocol.TopicNotExist, "Topic %s not exist!", req.Topic))
	}
	if decodeErr != nil {
		return missing(r.Cmd.Ext, req.Topic, decodeErr)
	}
	if h.o.Offsets.HasReset(req.ConsumerGroup, req.Topic, req.QueueID) {
		return protocol.NewResponse(protocol.Success, "Offset has been previously reset")
	}
	h.o.Offsets.Commit(r.Conn.Remote().String(), req.ConsumerGroup, req.Topic, req.QueueID, req.CommitOffset)
	return protocol.NewResponse(protocol.Success, "")
}

// missing is Java's refusal of an offset update that lacks a field.
func missing(ext protocol.Ext, topic string, err error) *protocol.Command {
	if _, ok := ext.Get("queueId"); !ok {
		err = protocol.Errorf(protocol.InvalidParameter, "QueueId is null, topic is %s", topic)
	} else if _, ok := ext.Get("commitOffset"); !ok {
		err = protocol.Errorf(protocol.InvalidParameter, "Offset is null, topic is %s", topic)
	}
	return protocol.ErrorResponse(err)
}
