package admin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// updateTopic makes or changes a topic. Java: AdminBrokerProcessor.updateAndCreateTopic.
func (h *Handlers) updateTopic(r *mux.Request) (*protocol.Command, error) {
	var req header.CreateTopicRequest
	if err := protocol.DecodeHeader(r.Cmd.Ext, &req); err != nil {
		// client-cpp leaves out order, which means false then. The rest cannot be missed.
		for _, name := range []string{"topic", "readQueueNums", "writeQueueNums", "perm"} {
			if absent(r.Cmd.Ext, name) {
				return nil, err
			}
		}
	}
	attributes, attributesErr := topic.ParseAttributes(req.Attributes)
	c := &body.TopicConfig{TopicName: req.Topic, ReadQueueNums: req.ReadQueueNums, WriteQueueNums: req.WriteQueueNums, Perm: req.Perm,
		TopicFilterType: req.TopicFilterType, TopicSysFlag: req.TopicSysFlag, Order: req.Order, Attributes: attributes}
	if c.TopicFilterType != body.MultiTag {
		c.TopicFilterType = body.SingleTag // client-cpp sends what is no filter type
	}
	if err := h.checkTopic(c); err != nil {
		return nil, err
	}
	if attributesErr != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", attributesErr)
	}
	return h.changeTopics(r, c)
}

// updateTopics makes or changes topics; one that breaks a rule stops all. Java stops without a word,
// too, at one that is as asked for already. Java: AdminBrokerProcessor.updateAndCreateTopicList.
func (h *Handlers) updateTopics(r *mux.Request) (*protocol.Command, error) {
	var req body.CreateTopicListRequestBody
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	for _, c := range req.TopicConfigList {
		if c == nil {
			return nil, protocol.Errorf(protocol.SystemError, "a topic of the list is null")
		}
		if err := h.checkTopic(c); err != nil {
			return nil, err
		}
	}
	return h.changeTopics(r, req.TopicConfigList...)
}

// checkTopic returns why a topic cannot be made or changed so.
func (h *Handlers) checkTopic(c *body.TopicConfig) error {
	if why := topic.ValidateName(c.TopicName); why != "" {
		return invalid(why)
	}
	if err := h.checkSystem(c.TopicName); err != nil {
		return err
	}
	if !h.live.Load().EnableMixedMessageType && c.Attributes["+"+topic.AttrMessageType] == topic.MessageTypeMixed {
		return invalid("MIXED message type is not supported.")
	}
	if c.Attributes["+"+topic.AttrMessageType] == topic.MessageTypeLite {
		return invalid("LITE message type is not supported.")
	}
	return nil
}

func (h *Handlers) checkSystem(name string) error {
	if h.live.Load().ValidateSystemTopicWhenUpdateTopic && h.o.Topics.IsSystem(name) {
		return invalid(fmt.Sprintf("The topic[%s] is conflict with system topic.", name))
	}
	return nil
}

func (h *Handlers) changeTopics(r *mux.Request, topics ...*body.TopicConfig) (*protocol.Command, error) {
	began := time.Now()
	changed, err := h.o.Topics.Update(topics...)
	if len(topics) > 0 {
		h.o.Stats.TopicMade(topics[0].TopicName, err == nil, time.Since(began))
	}
	if changed {
		h.o.Logger.Info().Int("topics", len(topics)).Stringer("remote", r.Conn.Remote()).Msg("topics changed by request")
		h.register()
	}
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	return protocol.NewResponse(protocol.Success, notSet), nil
}

// deleteTopic deletes a topic with all it has in the broker, and the retry topics that pop consumers have
// of it. Java: AdminBrokerProcessor.deleteTopic.
func (h *Handlers) deleteTopic(r *mux.Request, req *header.DeleteTopicRequest) (*protocol.Command, error) {
	if strings.TrimSpace(req.Topic) == "" {
		return nil, invalid("The specified topic is blank.")
	}
	if err := h.checkSystem(req.Topic); err != nil {
		return nil, err
	}
	names := []string{req.Topic}
	if h.live.Load().ClearRetryTopicWhenDeleteTopic {
		for _, g := range h.o.Offsets.GroupsOf(req.Topic) {
			// Java: KeyBuilder.buildPopRetryTopicV2 and V1.
			for _, separator := range []string{"+", "_"} {
				if name := topic.RetryPrefix + g + separator + req.Topic; h.o.Topics.Get(name) != nil {
					names = append(names, name)
				}
			}
		}
	}
	var problems []error
	for _, name := range names {
		_, err := h.o.Topics.Delete(name)
		_, mappingErr := h.o.Mappings.Delete(name)
		h.o.Offsets.RemoveTopic(name)
		problems = append(problems, err, mappingErr, h.o.Store.DeleteTopic(name))
		h.o.Stats.RemoveTopic(name)
		if h.o.Timer != nil {
			h.o.Timer.ForgetTopic(name)
		}
		if h.o.ForgetTopic != nil {
			h.o.ForgetTopic(name)
		}
	}
	h.o.Logger.Info().Strs("topics", names).Stringer("remote", r.Conn.Remote()).Msg("topic deleted by request")
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("cannot delete topic %s: %w", req.Topic, err)
	}
	return success(), nil
}

// allTopics returns the topic table, or one page of it when the request has any of the fields for that.
// Java: AdminBrokerProcessor.getAllTopicConfig.
func (h *Handlers) allTopics(r *mux.Request) (*protocol.Command, error) {
	var req header.GetAllTopicConfigRequest
	whole := !h.live.Load().EnableSplitMetadata || absent(r.Cmd.Ext, "topicSeq", "dataVersion", "maxTopicNum")
	if !whole {
		if err := protocol.DecodeHeader(r.Cmd.Ext, &req); err != nil {
			return nil, err
		}
	}
	// A version that is older than the table makes the caller ask again; the reverse would hide a change.
	w := body.TopicConfigAndMappingSerializeWrapper{DataVersion: h.o.Topics.DataVersion(), TopicConfigTable: map[string]*body.TopicConfig{},
		MappingDataVersion: h.o.Mappings.DataVersion(), TopicQueueMappingDetailMap: map[string]body.Raw{}}
	all := h.o.Topics.All()
	total := int32(len(all))
	if !whole {
		all = h.o.Topics.Page(page(req.TopicSeq, req.DataVersion, w.DataVersion, h.live.Load().SplitMetadataSize, req.MaxTopicNum))
	}
	for _, c := range all {
		w.TopicConfigTable[c.TopicName] = c
		if d := h.o.Mappings.Get(c.TopicName); d != nil {
			raw, err := body.Marshal(d)
			if err != nil {
				return nil, err
			}
			w.TopicQueueMappingDetailMap[c.TopicName] = raw
		}
	}
	return body.Reply(header.GetAllTopicConfigResponse{TotalTopicNum: &total}, w)
}

// topicConfig returns one topic, and with lo=true its queue mapping if it is static.
// Java: AdminBrokerProcessor.getTopicConfig.
func (h *Handlers) topicConfig(r *mux.Request, req *header.GetTopicConfigRequest) (*protocol.Command, error) {
	c := h.o.Topics.Get(req.Topic)
	if c == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "No topic in this broker. topic: %s", req.Topic)
	}
	out := body.TopicConfigAndQueueMapping{TopicConfig: *c}
	if lo, _ := r.Cmd.Ext.Get("lo"); strings.EqualFold(lo, "true") {
		out.MappingDetail = h.o.Mappings.Get(req.Topic)
	}
	return body.Reply(nil, out)
}

// systemTopics lists the broker's own topics. Java: AdminBrokerProcessor.getSystemTopicListFromBroker.
func (h *Handlers) systemTopics(*mux.Request) (*protocol.Command, error) {
	return body.Reply(nil, body.TopicList{TopicList: h.o.Topics.SystemTopics()})
}
