package statictopic

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// clean looks now and then, in the hours in which messages are deleted, for what mappings need no longer.
// Java: TopicQueueMappingCleanService.
func (s *Static) clean() {
	t := time.NewTicker(s.o.CleanEvery)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
			if s.o.Mappings.Any() && slices.Contains(s.o.Hours, s.o.Now().Hour()) {
				s.cleanAll()
			}
		}
	}
}

func (s *Static) cleanAll() {
	for _, what := range []struct {
		name string
		find func(d *mapping.Detail) (map[int64][]mapping.Item, error)
	}{{"items without messages", s.expired}, {"queues that have moved on", s.movedOn}} {
		for _, d := range s.o.Mappings.All() {
			if s.ctx.Err() != nil {
				return
			}
			queues, err := what.find(d)
			done := false
			if len(queues) > 0 {
				var cleanErr error
				done, cleanErr = s.o.Mappings.Clean(d, queues)
				err = errors.Join(err, cleanErr)
			}
			if done {
				s.o.Logger.Info().Str("topic", d.Topic).Int("queues", len(queues)).Msgf("queue mapping rid of %s", what.name)
			}
			if err != nil {
				s.o.Logger.Warn().Err(err).Str("topic", d.Topic).Msgf("cannot look for %s everywhere, trying again", what.name)
			}
		}
	}
}

// expired finds the logical queues that this broker leads and whose first item holds no message any more, as messages
// go with time. It is left out then. An error does not stop it from looking at other queues.
func (s *Static) expired(d *mapping.Detail) (map[int64][]mapping.Item, error) {
	out := map[int64][]mapping.Item{}
	var problems []error
	for id, items := range d.HostedQueues {
		q, err := mapping.Lead(d, int32(id))
		if err != nil || len(items) < 2 || !mapping.Decided(&items[1]) {
			continue
		}
		begin, err := s.begin(&q, &items[0])
		var end int64
		if err == nil {
			end, err = s.end(&q, &items[0])
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if begin == end || end == 0 {
			out[id] = items[1:]
		}
	}
	return out, errors.Join(problems...)
}

// movedOn finds the logical queues of which this broker knows a leader that is none any more: the queue has moved on
// from there, so that nobody who looks for the leader can come here.
func (s *Static) movedOn(d *mapping.Detail) (map[int64][]mapping.Item, error) {
	known := map[int64]string{}
	for id, items := range d.HostedQueues {
		if leader := items[len(items)-1].Bname; leader != d.Bname {
			known[id] = leader
		}
	}
	if len(known) == 0 {
		return nil, nil
	}
	leaders, err := s.leaders(d.Topic)
	if err != nil {
		return nil, err
	}
	out := map[int64][]mapping.Item{}
	details := map[string]*mapping.Detail{}
	for id, leader := range known {
		now := leaders[id]
		if now == "" || now == leader || now == d.Bname {
			continue
		}
		theirs, ok := details[now]
		if !ok {
			if theirs, err = s.detail(d.Topic, now); err != nil {
				return out, err
			}
			details[now] = theirs
		}
		if theirs == nil || theirs.TotalQueues != d.TotalQueues || theirs.Epoch != d.Epoch {
			continue
		}
		if q, err := mapping.Lead(theirs, int32(id)); err == nil && q.Leader().Bname == now {
			out[id] = nil
		}
	}
	return out, nil
}

// leaders asks the name servers for the brokers that lead the topic's queues: of several that say so, that of the
// newest epoch. Java: ClientMetadata.topicRouteData2EndpointsForStaticTopic.
func (s *Static) leaders(topic string) (map[int64]string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Timeout)
	defer cancel()
	route, err := s.o.Route(ctx, topic)
	if err != nil || route == nil {
		return nil, err
	}
	out, epochs := map[int64]string{}, map[int64]int64{}
	for _, raw := range route.TopicQueueMappingByBroker {
		var info body.TopicQueueMappingInfo
		if err := body.Unmarshal(raw, &info); err != nil {
			return nil, err
		}
		for id := range info.CurrIDMap {
			if out[id] == "" || info.Epoch > epochs[id] {
				out[id], epochs[id] = info.Bname, info.Epoch
			}
		}
	}
	return out, nil
}

// detail asks a broker for its mapping of a topic; nil: it has none.
func (s *Static) detail(topic, broker string) (*mapping.Detail, error) {
	cmd := protocol.NewRequest(protocol.GetTopicConfig, header.GetTopicConfigRequest{Topic: topic})
	cmd.Ext = append(cmd.Ext, protocol.Field{Key: "bname", Value: broker}, protocol.Field{Key: "lo", Value: "true"})
	resp, err := s.call(broker, cmd)
	if err != nil || resp.Code != protocol.Success {
		return nil, err
	}
	var c body.TopicConfigAndQueueMapping
	if err := body.Unmarshal(resp.Body, &c); err != nil {
		return nil, err
	}
	if c.MappingDetail == nil || c.MappingDetail.Bname != broker {
		return nil, nil
	}
	return c.MappingDetail, nil
}
