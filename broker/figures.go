package broker

import (
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/store"
)

// Figures are what a broker counts and how it is, at one moment.
type Figures struct {
	Store  store.Stats
	Meters store.Meters
	// Failure is the disk error for which the store refuses writes until the next start, nil when there is none.
	Failure error
	// Refused are producers' messages since start, Late those that were stored and not durable in time.
	Refused send.Refused
	Late    int64
	// Requests are counts of what came to no handler.
	Requests mux.Stats
}

// Figures returns the figures of now, also of a broker that is closed.
func (b *Broker) Figures() Figures {
	return Figures{Store: b.store.Stats(), Meters: b.store.Meters(), Failure: b.store.Err(), Refused: b.sender.Refused(), Late: b.sender.Late(), Requests: b.mux.Stats()}
}
