package namesrv

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// routes is the table of what the name server answers. Java: DefaultRequestProcessor, and
// ClientRequestProcessor with a pool of its own for routes.
func (s *Server) routes() []mux.Route {
	client := s.mux.NewLane(mux.LaneOptions{
		Name: "clientRequest", Workers: int(s.o.ClientRequestThreadPoolNums), Capacity: int(s.o.ClientRequestThreadPoolQueueCapacity),
	})
	other := s.mux.NewLane(mux.LaneOptions{
		Name: "default", Workers: int(s.o.DefaultThreadPoolNums), Capacity: int(s.o.DefaultThreadPoolQueueCapacity),
	})
	return []mux.Route{
		{Code: protocol.PutKVConfig, Lane: other, Handle: mux.HandleBare(s.putKVConfig)},
		{Code: protocol.GetKVConfig, Lane: other, Handle: mux.Handle(s.getKVConfig)},
		{Code: protocol.DeleteKVConfig, Lane: other, Handle: mux.Handle(s.deleteKVConfig)},
		{Code: protocol.GetKVListByNamespace, Lane: other, Handle: mux.Handle(s.getKVListByNamespace)},

		{Code: protocol.RegisterBroker, Lane: other, Handle: mux.Handle(s.registerBroker)},
		{Code: protocol.UnregisterBroker, Lane: other, Handle: mux.Handle(s.unregisterBroker)},
		{Code: protocol.QueryDataVersion, Lane: other, Handle: mux.Handle(s.queryDataVersion)},
		{Code: protocol.BrokerHeartbeat, Lane: other, Handle: mux.Handle(s.brokerHeartbeat)},

		{Code: protocol.GetRouteInfoByTopic, Lane: client, Handle: mux.HandleBare(s.getRouteInfoByTopic), Inline: &mux.InlineFactory{Open: s.openRouteInline}},
		{Code: protocol.GetBrokerClusterInfo, Lane: other, Handle: mux.HandleBare(s.getBrokerClusterInfo)},
		{Code: protocol.GetBrokerMemberGroup, Lane: other, Handle: mux.Handle(s.getBrokerMemberGroup)},

		{Code: protocol.WipeWritePermOfBroker, Lane: other, Handle: mux.Handle(s.wipeWritePermOfBroker)},
		{Code: protocol.AddWritePermOfBroker, Lane: other, Handle: mux.Handle(s.addWritePermOfBroker)},
		{Code: protocol.DeleteTopicInNamesrv, Lane: other, Handle: mux.Handle(s.deleteTopicInNamesrv)},
		{Code: protocol.RegisterTopicInNamesrv, Lane: other, Handle: mux.Handle(s.registerTopicInNamesrv)},
		{Code: protocol.GetAllTopicListFromNameServer, Lane: other, Handle: mux.HandleBare(s.getAllTopicList)},
		{Code: protocol.GetTopicsByCluster, Lane: other, Handle: mux.Handle(s.getTopicsByCluster)},
		{Code: protocol.GetSystemTopicListFromNS, Lane: other, Handle: mux.HandleBare(s.getSystemTopicList)},
		{Code: protocol.GetUnitTopicList, Lane: other, Handle: mux.HandleBare(s.unitTopics(isUnit))},
		{Code: protocol.GetHasUnitSubTopicList, Lane: other, Handle: mux.HandleBare(s.unitTopics(hasUnitSub))},
		{Code: protocol.GetHasUnitSubUnUnitTopicList, Lane: other, Handle: mux.HandleBare(s.unitTopics(hasUnitSubNotUnit))},

		{Code: protocol.UpdateNamesrvConfig, Lane: other, Handle: mux.HandleBare(s.updateNamesrvConfig)},
		{Code: protocol.GetNamesrvConfig, Lane: other, Handle: mux.HandleBare(s.getNamesrvConfig)},
	}
}
