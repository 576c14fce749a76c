package admin

import (
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func connections(channels []*session.Channel) []body.Connection {
	out := make([]body.Connection, len(channels))
	for i, c := range channels {
		out[i] = c.Connection()
	}
	return out
}

// consumerConnections lists the live consumers of a group and what they subscribe to.
// Java: AdminBrokerProcessor.getConsumerConnectionList.
func (h *Handlers) consumerConnections(_ *mux.Request, req *header.GetConsumerConnectionListRequest) (*protocol.Command, error) {
	g := h.o.Sessions.Group(req.ConsumerGroup)
	if g == nil {
		return nil, protocol.Errorf(protocol.ConsumerNotOnline, "the consumer group[%s] not online", req.ConsumerGroup)
	}
	out := body.ConsumerConnection{ConnectionSet: connections(g.Channels), ConsumeFromWhere: g.ConsumeFromWhere, ConsumeType: g.ConsumeType,
		MessageModel: g.MessageModel, SubscriptionTable: make(map[string]*body.SubscriptionData, len(g.Subscriptions))}
	for name, s := range g.Subscriptions {
		out.SubscriptionTable[name] = s.Data
	}
	return body.Reply(nil, out)
}

// producerConnections lists the live producers of a group.
// Java: AdminBrokerProcessor.getProducerConnectionList.
func (h *Handlers) producerConnections(_ *mux.Request, req *header.GetProducerConnectionListRequest) (*protocol.Command, error) {
	channels := h.o.Sessions.Producers(req.ProducerGroup)
	if len(channels) == 0 {
		return nil, protocol.Errorf(protocol.SystemError, "the producer group[%s] not exist", req.ProducerGroup)
	}
	return body.Reply(nil, body.ProducerConnection{ConnectionSet: connections(channels)})
}

// allProducers lists the live producers of all groups. Java: AdminBrokerProcessor.getAllProducerInfo.
func (h *Handlers) allProducers(*mux.Request) (*protocol.Command, error) {
	out := body.ProducerTableInfo{Data: map[string][]body.ProducerInfo{}}
	h.o.Sessions.EachProducer(func(group string, channels []*session.Channel) bool {
		list := make([]body.ProducerInfo, len(channels))
		for i, c := range channels {
			// The slash is that of Java's InetSocketAddress.toString.
			list[i] = body.ProducerInfo{ClientID: c.ClientID, Language: c.Language.String(), LastUpdateTimestamp: c.LastSeen().UnixMilli(),
				RemoteIP: "/" + c.Conn.Remote().String(), Version: c.Version}
		}
		out.Data[group] = list
		return true
	})
	return body.Reply(nil, out)
}
