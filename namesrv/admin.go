package namesrv

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"strings"
)

// Bits of a topic's sysFlag. Java: TopicSysFlag.
const (
	flagUnit    = 1 << 0
	flagUnitSub = 1 << 1
)

func isUnit(sysFlag int32) bool            { return sysFlag&flagUnit != 0 }
func hasUnitSub(sysFlag int32) bool        { return sysFlag&flagUnitSub != 0 }
func hasUnitSubNotUnit(sysFlag int32) bool { return hasUnitSub(sysFlag) && !isUnit(sysFlag) }

// errDisabled answers a topic list that the configuration forbids.
func errDisabled() error { return protocol.Errorf(protocol.SystemError, "disable") }

func (s *Server) getAllTopicList(*mux.Request) (*protocol.Command, error) {
	if !s.topology.current.Load().EnableAllTopicList {
		return nil, errDisabled()
	}
	return body.Reply(nil, body.TopicList{TopicList: s.topology.topicsWhere(func(map[string]body.QueueData) bool { return true })})
}

func (s *Server) getTopicsByCluster(_ *mux.Request, h *header.GetTopicsByClusterRequest) (*protocol.Command, error) {
	if !s.topology.current.Load().EnableTopicList {
		return nil, errDisabled()
	}
	return body.Reply(nil, body.TopicList{TopicList: s.topology.topicsOf(h.Cluster)})
}

func (s *Server) getSystemTopicList(*mux.Request) (*protocol.Command, error) {
	return body.Reply(nil, s.topology.systemTopics())
}

// unitTopics answers with the topics whose sysFlag is kept. Where brokers disagree Java takes any of
// them; here the one with the first name counts.
func (s *Server) unitTopics(keep func(sysFlag int32) bool) func(*mux.Request) (*protocol.Command, error) {
	return func(*mux.Request) (*protocol.Command, error) {
		if !s.topology.current.Load().EnableTopicList {
			return nil, errDisabled()
		}
		return body.Reply(nil, body.TopicList{TopicList: s.topology.topicsWhere(func(queues map[string]body.QueueData) bool {
			names := sortedKeys(queues)
			return len(names) > 0 && keep(queues[names[0]].TopicSysFlag)
		})})
	}
}

func (s *Server) wipeWritePermOfBroker(r *mux.Request, h *header.WipeWritePermOfBrokerRequest) (*protocol.Command, error) {
	n := s.topology.setPerm(h.BrokerName, func(perm int32) int32 { return perm &^ permWrite })
	s.o.Logger.Info().Str("broker", h.BrokerName).Int32("topics", n).Stringer("client", r.Conn.Remote()).Msg("write permission taken from a broker")
	return protocol.Reply(&header.WipeWritePermOfBrokerResponse{WipeTopicCount: n}, nil), nil
}

func (s *Server) addWritePermOfBroker(r *mux.Request, h *header.AddWritePermOfBrokerRequest) (*protocol.Command, error) {
	n := s.topology.setPerm(h.BrokerName, func(int32) int32 { return permRead | permWrite })
	s.o.Logger.Info().Str("broker", h.BrokerName).Int32("topics", n).Stringer("client", r.Conn.Remote()).Msg("write permission given to a broker")
	return protocol.Reply(&header.AddWritePermOfBrokerResponse{AddTopicCount: n}, nil), nil
}

func (s *Server) deleteTopicInNamesrv(r *mux.Request, h *header.DeleteTopicFromNamesrvRequest) (*protocol.Command, error) {
	s.topology.deleteTopic(h.Topic, h.ClusterName)
	s.o.Logger.Info().Str("topic", h.Topic).Str("cluster", h.ClusterName).Stringer("client", r.Conn.Remote()).Msg("topic deleted")
	return protocol.Reply(nil, nil), nil
}

func (s *Server) registerTopicInNamesrv(r *mux.Request, h *header.RegisterTopicRequest) (*protocol.Command, error) {
	if len(r.Cmd.Body) == 0 {
		return protocol.Reply(nil, nil), nil
	}
	var route body.TopicRouteData
	if err := body.Unmarshal(r.Cmd.Body, &route); err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	if len(route.QueueDatas) > 0 && !s.topology.registerTopic(strings.Clone(h.Topic), route.QueueDatas) {
		// Java answers success as well.
		s.o.Logger.Warn().Str("topic", h.Topic).Stringer("client", r.Conn.Remote()).Msg("topic registered for a broker that is not there")
	}
	return protocol.Reply(nil, nil), nil
}

func (s *Server) getBrokerClusterInfo(*mux.Request) (*protocol.Command, error) {
	return replyBareKeys(s.topology.clusterInfo())
}

// getBrokerMemberGroup gives back the cluster it was asked with, whatever the broker's is.
func (s *Server) getBrokerMemberGroup(_ *mux.Request, h *header.GetBrokerMemberGroupRequest) (*protocol.Command, error) {
	return replyBareKeys(body.GetBrokerMemberGroupResponseBody{BrokerMemberGroup: body.BrokerMemberGroup{
		BrokerAddrs: s.topology.members(h.BrokerName), BrokerName: h.BrokerName, Cluster: h.ClusterName,
	}})
}
