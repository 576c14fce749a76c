package broker

import (
	"context"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// stop-gap until broker/peer and broker/admin land.
func (b *Broker) registerTmp(c *rpc.Client) {
	w := body.RegisterBrokerBody{}
	w.TopicConfigSerializeWrapper.DataVersion = b.topics.DataVersion()
	w.TopicConfigSerializeWrapper.TopicConfigTable = map[string]*body.TopicConfig{}
	for _, t := range b.topics.All() {
		w.TopicConfigSerializeWrapper.TopicConfigTable[t.TopicName] = t
	}
	bb, _ := body.Marshal(w)
	for _, a := range strings.Split(b.o.NamesrvAddr, ";") {
		req := protocol.NewRequest(protocol.RegisterBroker, header.RegisterBrokerRequest{BrokerName: b.o.BrokerName, BrokerAddr: b.o.Addr(), ClusterName: b.o.BrokerClusterName, HAServerAddr: b.o.BrokerIP1 + ":1"})
		req.Body = bb
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		resp, err := c.Invoke(ctx, a, req)
		cancel()
		if err != nil || resp.Code != 0 {
			b.o.Logger.Warn().Err(err).Interface("resp", resp).Msg("register")
		}
	}
}

func (b *Broker) runTmp() {
	c := rpc.New(rpc.Options{Logger: b.o.Logger})
	defer c.Close()
	for {
		b.registerTmp(c)
		select {
		case <-b.stop:
			return
		case <-b.tmp:
		case <-time.After(10 * time.Second):
		}
	}
}

func (b *Broker) routesTmp() {
	b.mux.Add(mux.Route{Code: protocol.UpdateAndCreateTopic, Lane: b.lanes.admin, Handle: func(r *mux.Request) *protocol.Command {
		var h header.CreateTopicRequest
		_ = protocol.DecodeHeader(r.Cmd.Ext, &h)
		t := body.NewTopicConfig(h.Topic)
		t.ReadQueueNums, t.WriteQueueNums, t.Perm, t.Order = h.ReadQueueNums, h.WriteQueueNums, h.Perm, h.Order
		if _, err := b.topics.Update(&t); err != nil {
			return protocol.ErrorResponse(err)
		}
		b.topicsChanged()
		return protocol.Reply(nil, nil)
	}})
}
