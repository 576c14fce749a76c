package admin

import (
	"errors"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// updateStaticTopic makes a static topic or changes its queues, as mqadmin does step by step on all brokers when it
// moves logical queues. Java: AdminBrokerProcessor.updateAndCreateStaticTopic, which keeps the new queue numbers even
// when it refuses the mapping.
func (h *Handlers) updateStaticTopic(r *mux.Request, req *header.CreateTopicRequest) (*protocol.Command, error) {
	var d *mapping.Detail
	if err := decode(r, &d); err != nil {
		return nil, err
	}
	if d == nil || d.Topic != req.Topic {
		return nil, protocol.Errorf(protocol.SystemError, "the queue mapping is not one of topic %s", req.Topic)
	}
	c := &body.TopicConfig{TopicName: req.Topic, ReadQueueNums: req.ReadQueueNums, WriteQueueNums: req.WriteQueueNums, Perm: req.Perm,
		TopicFilterType: req.TopicFilterType, TopicSysFlag: req.TopicSysFlag}
	if err := h.checkTopic(c); err != nil {
		return nil, err
	}
	// The mapping first: with the topic alone name servers would for a moment show an ordinary topic.
	if err := h.o.Mappings.Update(d, req.Force); err != nil {
		var refusal *protocol.Error
		if errors.As(err, &refusal) {
			return nil, refusal
		}
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	changed, err := h.o.Topics.Update(c)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	if !changed {
		h.o.Topics.Touch(req.Topic) // name servers look at the version of the topics only
	}
	h.o.Logger.Info().Str("topic", req.Topic).Stringer("remote", r.Conn.Remote()).Msg("static topic changed by request")
	h.register()
	return protocol.NewResponse(protocol.Success, notSet), nil
}
