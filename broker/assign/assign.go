// Package assign says which queues of a topic a consumer is to read, and whether it is to pull or to pop:
// QUERY_ASSIGNMENT, and SET_MESSAGE_REQUEST_MODE with config/messageRequestMode.json.
// Java: QueryAssignmentProcessor, MessageRequestModeManager.
package assign

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

const retryPrefix = "%RETRY%"

// Options of an Assigner.
type Options struct {
	DefaultMode     string        // defaultMessageRequestMode, PULL or POP
	DefaultPopShare int32         // defaultPopShareQueueNum
	ServerBalance   bool          // serverLoadBalancerEnable; without it every consumer has all queues
	PollEvery       time.Duration // loadBalancePollNameServerInterval
	Logger          zerolog.Logger
	Path            string // config/messageRequestMode.json
	BrokerName      string
	Topic           func(topic string) *body.TopicConfig
	Group           func(group string) *body.SubscriptionGroupConfig
	// ConsumerIDs returns the ids of a group's live consumers in order, nil when there are none.
	ConsumerIDs func(group string) []string
	// Route returns where a topic is on all brokers, nil when there is no such topic. An error means that
	// nobody could say; then this broker's own queues are what there is, if the broker has no name server.
	Route func(ctx context.Context, topic string) (*body.TopicRouteData, error)
	// Alone says that the broker has no name server.
	Alone bool
}

// Assigner handles the codes.
type Assigner struct {
	o Options

	mu     sync.Mutex
	modes  map[string]map[string]body.SetMessageRequestModeRequestBody // by topic, then group
	routes map[string]route
}

// route is what a name server said of a topic.
type route struct {
	queues []message.MessageQueue // in order
	at     time.Time
}

// Open reads the modes that were set.
func Open(o Options) (*Assigner, error) {
	a := &Assigner{o: o, modes: map[string]map[string]body.SetMessageRequestModeRequestBody{}, routes: map[string]route{}}
	_, err := fsys.ReadConfig(o.Path, o.Logger, func(b []byte) error {
		var f body.MessageRequestModeTable
		if err := body.Unmarshal(b, &f); err != nil {
			return err
		}
		clear(a.modes)
		for topic, groups := range f.MessageRequestModeMap {
			a.modes[topic] = map[string]body.SetMessageRequestModeRequestBody{}
			for group, mode := range groups {
				a.modes[topic][group] = mode
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load message request modes: %w", err)
	}
	return a, nil
}

// Routes returns the rows of the mux.
func (a *Assigner) Routes(lane *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.QueryAssignment, Lane: lane, Handle: mux.HandleBare(a.query)},
		{Code: protocol.SetMessageRequestMode, Lane: lane, Handle: mux.HandleBare(a.setMode)},
	}
}

// setMode handles SET_MESSAGE_REQUEST_MODE. The change is on disk when it is answered.
func (a *Assigner) setMode(r *mux.Request) (*protocol.Command, error) {
	var b body.SetMessageRequestModeRequestBody
	if err := body.Unmarshal(r.Cmd.Body, &b); err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%s", err)
	}
	if b.Mode == "" {
		b.Mode = body.RequestModePull // Java: the field's initialiser
	}
	switch {
	case strings.HasPrefix(b.Topic, retryPrefix):
		return nil, protocol.Errorf(protocol.NoPermission, "retry topic is not allowed to set mode")
	case a.o.Topic(b.Topic) == nil:
		return nil, protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist", b.Topic)
	case a.o.Group(b.ConsumerGroup) == nil:
		return nil, protocol.Errorf(protocol.SubscriptionGroupNotExist, "subscription group does not exist")
	case b.Mode != body.RequestModePull && b.Mode != body.RequestModePop:
		return nil, protocol.Errorf(protocol.InvalidParameter, "the message request mode %.32q is unknown", b.Mode)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.modes[b.Topic] == nil {
		a.modes[b.Topic] = map[string]body.SetMessageRequestModeRequestBody{}
	}
	a.modes[b.Topic][b.ConsumerGroup] = b
	text, err := body.MarshalPretty(body.MessageRequestModeTable{MessageRequestModeMap: a.modes})
	if err == nil {
		err = fsys.WriteConfig(a.o.Path, text)
	}
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "cannot write message request modes: %s", err)
	}
	return protocol.NewResponse(protocol.Success, ""), nil
}

func (a *Assigner) mode(topic, group string) body.SetMessageRequestModeRequestBody {
	a.mu.Lock()
	m, ok := a.modes[topic][group]
	a.mu.Unlock()
	switch {
	case ok:
		return m
	case strings.HasPrefix(topic, retryPrefix):
		m.Mode = body.RequestModePull
	default:
		m.Mode = a.o.DefaultMode
	}
	if m.Mode == body.RequestModePop {
		m.PopShareQueueNum = a.o.DefaultPopShare
	}
	return m
}

// query handles QUERY_ASSIGNMENT.
func (a *Assigner) query(r *mux.Request) (*protocol.Command, error) {
	var b body.QueryAssignmentRequestBody
	if err := body.Unmarshal(r.Cmd.Body, &b); err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%s", err)
	}
	mode := a.mode(b.Topic, b.ConsumerGroup)
	var resp body.QueryAssignmentResponseBody
	if queues, ok := a.balance(&b, mode); ok {
		list := make([]body.MessageQueueAssignment, 0, len(queues))
		for _, q := range queues {
			list = append(list, body.MessageQueueAssignment{MessageQueue: q, Mode: mode.Mode})
		}
		resp.MessageQueueAssignments = &list
	}
	text, err := body.Marshal(resp)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%s", err)
	}
	out := protocol.NewResponse(protocol.Success, "")
	out.Body = text
	return out, nil
}

// balance returns the queues of a consumer, each once; false says that it is to keep those it has.
// Java: QueryAssignmentProcessor.doLoadBalance.
func (a *Assigner) balance(b *body.QueryAssignmentRequestBody, mode body.SetMessageRequestModeRequestBody) ([]message.MessageQueue, bool) {
	queues, ok := a.queues(b.Topic)
	if !ok {
		return nil, false
	}
	switch b.MessageModel {
	case body.Broadcasting:
		return queues, true
	case body.Clustering:
	default:
		return nil, false
	}
	if !a.o.ServerBalance {
		return queues, true
	}
	ids := a.o.ConsumerIDs(b.ConsumerGroup)
	allocate := strategies[b.StrategyName]
	if len(ids) == 0 || allocate == nil || len(queues) == 0 || b.ClientID == "" {
		return nil, false
	}
	slices.Sort(ids)
	if mode.Mode == body.RequestModePop {
		queues = forPop(allocate, b.ClientID, queues, ids, int(mode.PopShareQueueNum))
	} else {
		queues = allocate(b.ClientID, queues, ids)
	}
	slices.SortFunc(queues, message.MessageQueue.Compare)
	return slices.Compact(queues), true
}

// routeWait bounds the look-up of a route.
const routeWait = 5 * time.Second

// queues returns the queues of a topic on all brokers, in order, as of at most PollEvery ago. When no
// name server answers, what was known before is good enough.
func (a *Assigner) queues(topic string) ([]message.MessageQueue, bool) {
	if message.IsLMQ(topic) { // no name server knows of it
		return []message.MessageQueue{{Topic: strings.Clone(topic), BrokerName: a.o.BrokerName}}, true
	}
	now := time.Now()
	a.mu.Lock()
	known, ok := a.routes[topic]
	a.mu.Unlock()
	if ok && now.Sub(known.at) < a.o.PollEvery {
		return slices.Clone(known.queues), true
	}
	ctx, cancel := context.WithTimeout(context.Background(), routeWait)
	defer cancel()
	data, err := a.o.Route(ctx, topic)
	if err != nil && a.o.Alone {
		data, err = a.own(topic), nil
	}
	if err != nil {
		a.o.Logger.Warn().Err(err).Str("topic", topic).Msg("cannot ask where the topic is")
		return slices.Clone(known.queues), ok
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if data == nil {
		delete(a.routes, topic)
		return nil, false
	}
	for name, r := range a.routes { // those nobody asks for go
		if now.Sub(r.at) > 10*time.Minute {
			delete(a.routes, name)
		}
	}
	readable := list(topic, data)
	a.routes[strings.Clone(topic)] = route{readable, now}
	return slices.Clone(readable), true
}

// own is the route of a topic as far as this broker knows.
func (a *Assigner) own(topic string) *body.TopicRouteData {
	t := a.o.Topic(topic)
	if t == nil {
		return nil
	}
	return &body.TopicRouteData{QueueDatas: []body.QueueData{{BrokerName: a.o.BrokerName, Perm: t.Perm, ReadQueueNums: t.ReadQueueNums}}}
}

const permRead int32 = 4

// list returns the queues that can be read. Java: MQClientInstance.topicRouteData2TopicSubscribeInfo.
func list(topic string, data *body.TopicRouteData) []message.MessageQueue {
	topic = strings.Clone(topic)
	var out []message.MessageQueue
	for _, q := range data.QueueDatas {
		for id := int32(0); q.Perm&permRead != 0 && id < q.ReadQueueNums; id++ {
			out = append(out, message.MessageQueue{Topic: topic, BrokerName: q.BrokerName, QueueID: id})
		}
	}
	slices.SortFunc(out, message.MessageQueue.Compare)
	return out
}
