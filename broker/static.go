package broker

import (
	"context"
	"time"

	"github.com/skylarkmq/skylark/broker/peer"
	"github.com/skylarkmq/skylark/broker/statictopic"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/retention"
)

// openStatic opens what static topics need beside their table.
func (b *Broker) openStatic() {
	hours, _ := retention.ParseHours(b.o.Store.DeleteWhen) // the store has told what is wrong with it
	b.static = statictopic.Open(statictopic.Options{Logger: b.o.Logger, Mappings: b.mappings, Store: b.store, Offset: b.offsets.Query,
		Remote: b.call, Timeout: b.forwardTimeout(), Route: b.route, Hours: hours})
}

func (b *Broker) forwardTimeout() time.Duration {
	return time.Duration(max(b.o.ForwardTimeout, 1)) * time.Millisecond
}

// call asks the master of another broker group, for as long as forwardTimeout allows.
func (b *Broker) call(ctx context.Context, broker string, cmd *protocol.Command) (*protocol.Command, error) {
	r := b.registrar.Load()
	if r == nil {
		return nil, peer.ErrNoNameServer
	}
	ctx, cancel := context.WithTimeout(ctx, b.forwardTimeout())
	defer cancel()
	return r.Call(ctx, broker, cmd)
}
