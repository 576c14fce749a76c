package client

import (
	"strconv"

	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// Ext fields of a heartbeat's reply. Java: MixAll.
const (
	supportsHeartbeatV2 = "IS_SUPPORT_HEART_BEAT_V2"
	subscriptionChanged = "IS_SUB_CHANGE"
)

const (
	retryPrefix         = "%RETRY%" // Java: MixAll.RETRY_GROUP_TOPIC_PREFIX
	permReadWrite       = 4 | 2     // Java: PermName.PERM_READ | PERM_WRITE
	topicUnitSub  int32 = 1 << 1    // Java: TopicSysFlag.FLAG_UNIT_SUB
)

// heartbeat notes a client's groups and subscriptions. Consumer groups and their retry topics are there
// when it answers. Java: ClientManageProcessor.heartBeat and heartBeatV2.
func (h *Handlers) heartbeat(r *mux.Request) (*protocol.Command, error) {
	var data body.HeartbeatData
	if err := decodeBody(r, &data); err != nil {
		return nil, err
	}
	if data.ClientID == "" {
		return nil, protocol.Errorf(protocol.SystemError, "the heartbeat has no clientID")
	}
	from := session.Client{Conn: r.Conn, ID: data.ClientID, Language: r.Cmd.Language, Version: r.Cmd.Version}
	resend := data.HeartbeatFingerprint == 0 // such clients do not read it; Java says true
	for i := range data.ConsumerDataSet {
		if h.consumer(from, &data, &data.ConsumerDataSet[i]) {
			resend = true
		}
	}
	for i := range data.ProducerDataSet {
		h.o.Sessions.RegisterProducer(from, data.ProducerDataSet[i].GroupName)
	}
	resp := protocol.NewResponse(protocol.Success, "")
	resp.Ext = protocol.Ext{{Key: supportsHeartbeatV2, Value: "true"}, {Key: subscriptionChanged, Value: strconv.FormatBool(resend)}}
	return resp, nil
}

// consumer registers one consumer group of a heartbeat and reports whether a V2 client has to send its
// subscriptions again.
func (h *Handlers) consumer(from session.Client, data *body.HeartbeatData, d *body.ConsumerData) bool {
	if h.live.Load().RejectPullConsumer && d.ConsumeType == body.ConsumeActively {
		return false
	}
	g := h.o.Groups.Get(d.GroupName)
	if g == nil {
		return false
	}
	ordered := false
	for i := range d.SubscriptionDataSet {
		ordered = ordered || h.o.Topics.IsOrder(d.SubscriptionDataSet[i].Topic)
	}
	retry := retryPrefix + d.GroupName
	if data.WithoutSub {
		// Nothing is known of the topics: the flag stays. (Java clears it here and sets it again with the
		// next full heartbeat, each time writing topics.json.)
		ordered = h.o.Topics.IsOrder(retry)
	}
	var sysFlag int32
	if d.UnitMode {
		sysFlag = topicUnitSub
	}
	h.o.Topics.CreateRetry(retry, g.RetryQueueNums, permReadWrite, ordered, sysFlag)
	changed, resend := h.o.Sessions.RegisterConsumer(from, d, session.Heartbeat{
		Fingerprint: data.HeartbeatFingerprint, WithoutSub: data.WithoutSub && data.HeartbeatFingerprint != 0, Notify: g.NotifyConsumerIdsChangedEnable})
	if changed {
		h.o.Logger.Info().Str("group", d.GroupName).Str("clientId", data.ClientID).Stringer("remote", from.Conn.Remote()).Msg("consumer info changed")
	}
	return resend && data.HeartbeatFingerprint != 0
}

// unregister takes a client out of a group. Java: ClientManageProcessor.unregisterClient.
func (h *Handlers) unregister(r *mux.Request, req *header.UnregisterClientRequest) (*protocol.Command, error) {
	if req.ProducerGroup != "" {
		h.o.Sessions.UnregisterProducer(req.ProducerGroup, r.Conn)
	}
	if req.ConsumerGroup != "" {
		g := h.o.Groups.Peek(req.ConsumerGroup)
		h.o.Sessions.UnregisterConsumer(req.ConsumerGroup, r.Conn, g == nil || g.NotifyConsumerIdsChangedEnable)
	}
	return protocol.NewResponse(protocol.Success, ""), nil
}

// checkConfig tells a consumer at its start whether the broker understands its subscription.
// Java: ClientManageProcessor.checkClientConfig.
func (h *Handlers) checkConfig(r *mux.Request) (*protocol.Command, error) {
	if len(r.Cmd.Body) > 0 {
		var req body.CheckClientRequestBody
		if err := decodeBody(r, &req); err != nil {
			return nil, err
		}
		sub := &req.SubscriptionData
		if filter.IsTag(sub.ExpressionType) {
			return protocol.NewResponse(protocol.Success, ""), nil
		}
		if !h.live.Load().PropertyFilter {
			return nil, protocol.Errorf(protocol.SystemError, "The broker does not support consumer to filter message by %s", sub.ExpressionType)
		}
		if err := h.o.Filters.Check(sub.SubString, sub.ExpressionType); err != nil {
			h.o.Logger.Warn().Err(err).Str("group", req.Group).Str("clientId", req.ClientID).Str("expression", sub.SubString).Msg("a consumer's filter does not compile")
			return nil, protocol.Errorf(protocol.SubscriptionParseFailed, "%v", err)
		}
	}
	return protocol.NewResponse(protocol.Success, ""), nil
}

// consumerList answers with the client ids of a group's consumers.
// Java: ConsumerManageProcessor.getConsumerListByGroup.
func (h *Handlers) consumerList(_ *mux.Request, req *header.GetConsumerListByGroupRequest) (*protocol.Command, error) {
	ids := h.o.Sessions.ConsumerIDs(req.ConsumerGroup)
	if len(ids) == 0 {
		return nil, protocol.Errorf(protocol.SystemError, "no consumer for this group, %s", req.ConsumerGroup)
	}
	return body.Reply(nil, body.GetConsumerListByGroupResponseBody{ConsumerIDList: ids})
}

func decodeBody(r *mux.Request, into any) error {
	if len(r.Cmd.Body) == 0 {
		return protocol.Errorf(protocol.SystemError, "request code %d needs a body", r.Cmd.Code)
	}
	if err := body.Unmarshal(r.Cmd.Body, into); err != nil {
		return protocol.Errorf(protocol.SystemError, "cannot decode the body of request code %d: %v", r.Cmd.Code, err)
	}
	return nil
}
