package instance

import (
	"context"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// masterID is the broker id of a master. Java: MixAll.MASTER_ID.
const masterID = 0

// heartbeats sends them at each interval, and when asked to.
func (i *Instance) heartbeats() {
	tick := time.NewTicker(i.o.HeartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-i.ctx.Done():
			return
		case <-tick.C:
		case <-i.beat:
		}
		i.Heartbeat(i.ctx)
	}
}

// HeartbeatSoon has heartbeats sent at once, by another goroutine.
func (i *Instance) HeartbeatSoon() {
	select {
	case i.beat <- struct{}{}:
	default:
	}
}

// Heartbeat announces this client to all brokers it has heard of. Slaves hear of consumers only.
func (i *Instance) Heartbeat(ctx context.Context) {
	var wg sync.WaitGroup
	for _, addr := range i.audience() {
		wg.Go(func() {
			if err := i.announce(ctx, addr); err != nil && ctx.Err() == nil {
				i.o.Logger.Warn().Str("broker", addr).Err(err).Msg("cannot send a heartbeat")
			}
		})
	}
	wg.Wait()
}

func (i *Instance) audience() []string {
	i.mu.RLock()
	defer i.mu.RUnlock()
	var out []string
	for _, addrs := range i.brokers {
		for id, addr := range addrs {
			if id == masterID || i.o.Consumer != nil {
				out = append(out, addr)
			}
		}
	}
	return out
}

// Introduce announces this client to a broker that does not know it yet.
func (i *Instance) Introduce(ctx context.Context, addr string) error {
	i.mu.RLock()
	known := i.known[addr]
	i.mu.RUnlock()
	if known {
		return nil
	}
	return i.announce(ctx, addr)
}

func (i *Instance) announce(ctx context.Context, addr string) error {
	data := body.HeartbeatData{ClientID: i.id}
	for _, g := range i.o.Producers {
		data.ProducerDataSet = append(data.ProducerDataSet, body.ProducerData{GroupName: g})
	}
	if i.o.Consumer != nil {
		data.ConsumerDataSet = []body.ConsumerData{i.o.Consumer()}
	}
	_, err := i.Call(ctx, addr, protocol.HeartBeat, nil, data)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		delete(i.known, addr)
		return err
	}
	i.known[addr] = true
	return nil
}

// IntroduceAll is Introduce to all brokers that have been heard of; it fails only when none can be reached.
func (i *Instance) IntroduceAll(ctx context.Context) error {
	var last error
	reached := 0
	for _, addr := range i.audience() {
		if err := i.Introduce(ctx, addr); err != nil {
			last = err
		} else {
			reached++
		}
	}
	if reached > 0 {
		return nil
	}
	return last
}
