package admin

import (
	"errors"
	"strings"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store/commitlog"
)

// searchOffset finds a queue offset by store time. Java: AdminBrokerProcessor.searchOffsetByTimestamp.
func (h *Handlers) searchOffset(_ *mux.Request, req *header.SearchOffsetRequest) (*protocol.Command, error) {
	upper := strings.EqualFold(req.BoundaryType, header.BoundaryUpper)
	at := h.o.Store.OffsetByTime(req.Topic, req.QueueID, req.Timestamp, upper)
	return protocol.Reply(header.SearchOffsetResponse{Offset: at}, nil), nil
}

// maxOffset returns the offset behind a queue's last message; what is stored is committed.
// Java: AdminBrokerProcessor.getMaxOffset.
func (h *Handlers) maxOffset(_ *mux.Request, req *header.GetMaxOffsetRequest) (*protocol.Command, error) {
	return protocol.Reply(header.GetMaxOffsetResponse{Offset: h.o.Store.MaxOffset(req.Topic, req.QueueID)}, nil), nil
}

// minOffset returns the offset of a queue's first message. Java: AdminBrokerProcessor.getMinOffset.
func (h *Handlers) minOffset(_ *mux.Request, req *header.GetMinOffsetRequest) (*protocol.Command, error) {
	return protocol.Reply(header.GetMinOffsetResponse{Offset: h.o.Store.MinOffset(req.Topic, req.QueueID)}, nil), nil
}

// earliestStoreTime returns when a queue's first message was stored.
// Java: AdminBrokerProcessor.getEarliestMsgStoretime.
func (h *Handlers) earliestStoreTime(_ *mux.Request, req *header.GetEarliestMsgStoretimeRequest) (*protocol.Command, error) {
	at := h.o.Store.StoreTime(req.Topic, req.QueueID, h.o.Store.MinOffset(req.Topic, req.QueueID))
	return protocol.Reply(header.GetEarliestMsgStoretimeResponse{Timestamp: at}, nil), nil
}

// viewMessage returns the message at a physical offset, as it is stored.
// Java: QueryMessageProcessor.viewMessageById.
func (h *Handlers) viewMessage(_ *mux.Request, req *header.ViewMessageRequest) (*protocol.Command, error) {
	record, err := h.o.Store.ReadRecord(req.Offset)
	if errors.Is(err, commitlog.ErrNoRecord) {
		return nil, protocol.Errorf(protocol.SystemError, "can not find message by the offset, %d", req.Offset)
	}
	if err != nil {
		return nil, err
	}
	return protocol.Reply(nil, record), nil
}
