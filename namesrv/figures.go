package namesrv

import "github.com/skylarkmq/skylark/remoting/mux"

// Figures are what a name server counts and knows, at one moment.
type Figures struct {
	// Brokers is how many broker names are registered.
	Brokers int
	// Requests are counts of what came to no handler.
	Requests mux.Stats
}

// Figures returns the figures of now, also of a name server that is closed.
func (s *Server) Figures() Figures {
	return Figures{Brokers: len(s.topology.clusterInfo().BrokerAddrTable), Requests: s.mux.Stats()}
}
