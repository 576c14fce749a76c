package admin

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// haStatus shows the replication of a broker that has no slaves, as none can connect yet.
// Java: AdminBrokerProcessor.getBrokerHaStatus.
func (h *Handlers) haStatus(*mux.Request) (*protocol.Command, error) {
	return body.Reply(nil, body.HARuntimeInfo{Master: true, MasterCommitLogMaxOffset: h.o.Runtime().CommitLogMax})
}

// epochCache refuses as a broker without a controller does. Java: AdminBrokerProcessor.getBrokerEpochCache.
func (h *Handlers) epochCache(*mux.Request) (*protocol.Command, error) {
	return nil, protocol.Errorf(protocol.SystemError, "this request only for controllerMode ")
}

// resetMasterFlushOffset is for slaves; a master has nothing to reset and says so by success.
// Java: AdminBrokerProcessor.resetMasterFlushOffset.
func (h *Handlers) resetMasterFlushOffset(*mux.Request) (*protocol.Command, error) {
	return success(), nil
}
