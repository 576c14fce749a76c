package client

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// lock takes or renews locks of queues for a client and answers with those it holds. onlyThisBroker makes
// no difference while lockInStrictMode is not built. Java: AdminBrokerProcessor.lockBatchMQ.
func (h *Handlers) lock(r *mux.Request) (*protocol.Command, error) {
	var req body.LockBatchRequestBody
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	return body.Reply(nil, body.LockBatchResponseBody{LockOKMQSet: h.o.Locks.LockBatch(req.ConsumerGroup, req.MQSet, req.ClientID)})
}

// unlock gives locks of queues up. Java: AdminBrokerProcessor.unlockBatchMQ.
func (h *Handlers) unlock(r *mux.Request) (*protocol.Command, error) {
	var req body.LockBatchRequestBody
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	h.o.Locks.UnlockBatch(req.ConsumerGroup, req.MQSet, req.ClientID)
	return protocol.NewResponse(protocol.Success, ""), nil
}
