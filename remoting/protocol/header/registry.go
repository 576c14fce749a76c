package header

import (
	"reflect"
	"slices"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Base names the Java class whose inherited fields a header struct leaves out (see RPC).
type Base string

// The bases of Java's request headers.
const (
	BaseNone  Base = ""                   // nothing inherited
	BaseRPC   Base = "RpcRequestHeader"   // ns, nsd, bname, oway
	BaseTopic Base = "TopicRequestHeader" // those and lo
)

// Type ties a struct to its Java class. The zero Type means that there is no header.
type Type struct {
	Java string       // simple name of the class
	Go   reflect.Type // the struct
	Base Base
}

// Row is one code with the headers of its request and of its reply.
type Row struct {
	Code     int32
	Request  Type
	Response Type
}

func typ[T any](java string, base Base) Type {
	return Type{Java: java, Go: reflect.TypeFor[T](), Base: base}
}

// Table returns every code this package covers, name server codes first. The slice is the caller's.
func Table() []Row {
	return slices.Concat(nameServerRows(), messageRows(), popRows(), adminRows(), authRows())
}

func nameServerRows() []Row {
	return []Row{
		{Code: protocol.PutKVConfig, Request: typ[PutKVConfigRequest]("PutKVConfigRequestHeader", BaseNone)},
		{
			Code:     protocol.GetKVConfig,
			Request:  typ[GetKVConfigRequest]("GetKVConfigRequestHeader", BaseNone),
			Response: typ[GetKVConfigResponse]("GetKVConfigResponseHeader", BaseNone),
		},
		{Code: protocol.DeleteKVConfig, Request: typ[DeleteKVConfigRequest]("DeleteKVConfigRequestHeader", BaseNone)},
		{
			Code:     protocol.RegisterBroker,
			Request:  typ[RegisterBrokerRequest]("RegisterBrokerRequestHeader", BaseNone),
			Response: typ[RegisterBrokerResponse]("RegisterBrokerResponseHeader", BaseNone),
		},
		{Code: protocol.UnregisterBroker, Request: typ[UnRegisterBrokerRequest]("UnRegisterBrokerRequestHeader", BaseNone)},
		{Code: protocol.GetRouteInfoByTopic, Request: typ[GetRouteInfoRequest]("GetRouteInfoRequestHeader", BaseTopic)},
		{Code: protocol.GetBrokerClusterInfo},
		{
			Code:     protocol.WipeWritePermOfBroker,
			Request:  typ[WipeWritePermOfBrokerRequest]("WipeWritePermOfBrokerRequestHeader", BaseNone),
			Response: typ[WipeWritePermOfBrokerResponse]("WipeWritePermOfBrokerResponseHeader", BaseNone),
		},
		{Code: protocol.GetAllTopicListFromNameServer},
		{Code: protocol.DeleteTopicInNamesrv, Request: typ[DeleteTopicFromNamesrvRequest]("DeleteTopicFromNamesrvRequestHeader", BaseTopic)},
		{Code: protocol.RegisterTopicInNamesrv, Request: typ[RegisterTopicRequest]("RegisterTopicRequestHeader", BaseTopic)},
		{Code: protocol.GetKVListByNamespace, Request: typ[GetKVListByNamespaceRequest]("GetKVListByNamespaceRequestHeader", BaseNone)},
		{Code: protocol.GetTopicsByCluster, Request: typ[GetTopicsByClusterRequest]("GetTopicsByClusterRequestHeader", BaseNone)},
		{Code: protocol.GetSystemTopicListFromNS},
		{Code: protocol.GetUnitTopicList},
		{Code: protocol.GetHasUnitSubTopicList},
		{Code: protocol.GetHasUnitSubUnUnitTopicList},
		{Code: protocol.UpdateNamesrvConfig},
		{Code: protocol.GetNamesrvConfig},
		{
			Code:     protocol.QueryDataVersion,
			Request:  typ[QueryDataVersionRequest]("QueryDataVersionRequestHeader", BaseNone),
			Response: typ[QueryDataVersionResponse]("QueryDataVersionResponseHeader", BaseNone),
		},
		{
			Code:     protocol.AddWritePermOfBroker,
			Request:  typ[AddWritePermOfBrokerRequest]("AddWritePermOfBrokerRequestHeader", BaseNone),
			Response: typ[AddWritePermOfBrokerResponse]("AddWritePermOfBrokerResponseHeader", BaseNone),
		},
		{Code: protocol.GetBrokerMemberGroup, Request: typ[GetBrokerMemberGroupRequest]("GetBrokerMemberGroupRequestHeader", BaseNone)},
		{Code: protocol.BrokerHeartbeat, Request: typ[BrokerHeartbeatRequest]("BrokerHeartbeatRequestHeader", BaseNone)},
	}
}

// messageRows are the codes of ordinary producers and consumers.
func messageRows() []Row {
	v2 := typ[SendMessageRequestV2]("SendMessageRequestHeaderV2", BaseTopic)
	sent := typ[SendMessageResponse]("SendMessageResponseHeader", BaseNone)
	pull := typ[PullMessageRequest]("PullMessageRequestHeader", BaseTopic)
	pulled := typ[PullMessageResponse]("PullMessageResponseHeader", BaseNone)
	return []Row{
		{Code: protocol.SendMessage, Request: typ[SendMessageRequest]("SendMessageRequestHeader", BaseTopic), Response: sent},
		{Code: protocol.SendMessageV2, Request: v2, Response: sent},
		{Code: protocol.SendBatchMessage, Request: v2, Response: sent},
		{Code: protocol.ConsumerSendMsgBack, Request: typ[ConsumerSendMsgBackRequest]("ConsumerSendMsgBackRequestHeader", BaseRPC)},
		{
			Code:     protocol.RecallMessage,
			Request:  typ[RecallMessageRequest]("RecallMessageRequestHeader", BaseTopic),
			Response: typ[RecallMessageResponse]("RecallMessageResponseHeader", BaseNone),
		},
		{Code: protocol.EndTransaction, Request: typ[EndTransactionRequest]("EndTransactionRequestHeader", BaseRPC)},
		{Code: protocol.CheckTransactionState, Request: typ[CheckTransactionStateRequest]("CheckTransactionStateRequestHeader", BaseRPC)},
		{Code: protocol.PullMessage, Request: pull, Response: pulled},
		{Code: protocol.LitePullMessage, Request: pull, Response: pulled},
		{
			Code:     protocol.QueryConsumerOffset,
			Request:  typ[QueryConsumerOffsetRequest]("QueryConsumerOffsetRequestHeader", BaseTopic),
			Response: typ[QueryConsumerOffsetResponse]("QueryConsumerOffsetResponseHeader", BaseNone),
		},
		{
			Code:     protocol.UpdateConsumerOffset,
			Request:  typ[UpdateConsumerOffsetRequest]("UpdateConsumerOffsetRequestHeader", BaseTopic),
			Response: typ[Empty]("UpdateConsumerOffsetResponseHeader", BaseNone),
		},
		{
			Code:     protocol.SearchOffsetByTimestamp,
			Request:  typ[SearchOffsetRequest]("SearchOffsetRequestHeader", BaseTopic),
			Response: typ[SearchOffsetResponse]("SearchOffsetResponseHeader", BaseNone),
		},
		{
			Code:     protocol.GetMaxOffset,
			Request:  typ[GetMaxOffsetRequest]("GetMaxOffsetRequestHeader", BaseTopic),
			Response: typ[GetMaxOffsetResponse]("GetMaxOffsetResponseHeader", BaseNone),
		},
		{
			Code:     protocol.GetMinOffset,
			Request:  typ[GetMinOffsetRequest]("GetMinOffsetRequestHeader", BaseTopic),
			Response: typ[GetMinOffsetResponse]("GetMinOffsetResponseHeader", BaseNone),
		},
		{
			Code:     protocol.GetEarliestMsgStoreTime,
			Request:  typ[GetEarliestMsgStoretimeRequest]("GetEarliestMsgStoretimeRequestHeader", BaseTopic),
			Response: typ[GetEarliestMsgStoretimeResponse]("GetEarliestMsgStoretimeResponseHeader", BaseNone),
		},
		{
			Code:     protocol.QueryMessage,
			Request:  typ[QueryMessageRequest]("QueryMessageRequestHeader", BaseTopic),
			Response: typ[QueryMessageResponse]("QueryMessageResponseHeader", BaseNone),
		},
		{Code: protocol.ViewMessageByID, Request: typ[ViewMessageRequest]("ViewMessageRequestHeader", BaseNone)},
		{Code: protocol.HeartBeat, Request: typ[Empty]("HeartbeatRequestHeader", BaseRPC)},
		{
			Code:     protocol.UnregisterClient,
			Request:  typ[UnregisterClientRequest]("UnregisterClientRequestHeader", BaseRPC),
			Response: typ[Empty]("UnregisterClientResponseHeader", BaseNone),
		},
		{
			Code:     protocol.GetConsumerListByGroup,
			Request:  typ[GetConsumerListByGroupRequest]("GetConsumerListByGroupRequestHeader", BaseRPC),
			Response: typ[Empty]("GetConsumerListByGroupResponseHeader", BaseNone),
		},
		{Code: protocol.NotifyConsumerIdsChanged, Request: typ[NotifyConsumerIdsChangedRequest]("NotifyConsumerIdsChangedRequestHeader", BaseRPC)},
		{Code: protocol.LockBatchMQ, Request: typ[Empty]("LockBatchMqRequestHeader", BaseRPC)},
		{Code: protocol.UnlockBatchMQ, Request: typ[Empty]("UnlockBatchMqRequestHeader", BaseRPC)},
		{Code: protocol.CheckClientConfig},
	}
}

// popRows are the codes of POP consumers.
func popRows() []Row {
	popped := typ[PopMessageResponse]("PopMessageResponseHeader", BaseNone)
	return []Row{
		{Code: protocol.QueryAssignment},
		{Code: protocol.SetMessageRequestMode},
		{Code: protocol.PopMessage, Request: typ[PopMessageRequest]("PopMessageRequestHeader", BaseTopic), Response: popped},
		{Code: protocol.AckMessage, Request: typ[AckMessageRequest]("AckMessageRequestHeader", BaseTopic)},
		{Code: protocol.BatchAckMessage},
		{Code: protocol.PeekMessage, Request: typ[PeekMessageRequest]("PeekMessageRequestHeader", BaseTopic), Response: popped},
		{
			Code:     protocol.ChangeMessageInvisibleTime,
			Request:  typ[ChangeInvisibleTimeRequest]("ChangeInvisibleTimeRequestHeader", BaseTopic),
			Response: typ[ChangeInvisibleTimeResponse]("ChangeInvisibleTimeResponseHeader", BaseNone),
		},
		{
			Code:     protocol.Notification,
			Request:  typ[NotificationRequest]("NotificationRequestHeader", BaseTopic),
			Response: typ[NotificationResponse]("NotificationResponseHeader", BaseNone),
		},
		{
			Code:     protocol.PollingInfo,
			Request:  typ[PollingInfoRequest]("PollingInfoRequestHeader", BaseTopic),
			Response: typ[PollingInfoResponse]("PollingInfoResponseHeader", BaseNone),
		},
	}
}

// authRows are the codes of users and ACLs.
func authRows() []Row {
	return []Row{
		{Code: protocol.AuthCreateUser, Request: typ[CreateUserRequest]("CreateUserRequestHeader", BaseNone)},
		{Code: protocol.AuthUpdateUser, Request: typ[UpdateUserRequest]("UpdateUserRequestHeader", BaseNone)},
		{Code: protocol.AuthDeleteUser, Request: typ[DeleteUserRequest]("DeleteUserRequestHeader", BaseNone)},
		{Code: protocol.AuthGetUser, Request: typ[GetUserRequest]("GetUserRequestHeader", BaseNone)},
		{Code: protocol.AuthListUser, Request: typ[ListUsersRequest]("ListUsersRequestHeader", BaseNone)},
		{Code: protocol.AuthCreateACL, Request: typ[CreateAclRequest]("CreateAclRequestHeader", BaseNone)},
		{Code: protocol.AuthUpdateACL, Request: typ[UpdateAclRequest]("UpdateAclRequestHeader", BaseNone)},
		{Code: protocol.AuthDeleteACL, Request: typ[DeleteAclRequest]("DeleteAclRequestHeader", BaseNone)},
		{Code: protocol.AuthGetACL, Request: typ[GetAclRequest]("GetAclRequestHeader", BaseNone)},
		{Code: protocol.AuthListACL, Request: typ[ListAclsRequest]("ListAclsRequestHeader", BaseNone)},
	}
}

// adminRows are the broker's codes for tools and for other brokers.
func adminRows() []Row {
	return []Row{
		{Code: protocol.ResumeCheckHalfMessage, Request: typ[ResumeCheckHalfMessageRequest]("ResumeCheckHalfMessageRequestHeader", BaseNone)},
		{Code: protocol.UpdateAndCreateTopic, Request: typ[CreateTopicRequest]("CreateTopicRequestHeader", BaseTopic)},
		{Code: protocol.UpdateAndCreateTopicList, Request: typ[Empty]("CreateTopicListRequestHeader", BaseRPC)},
		{
			Code:     protocol.GetAllTopicConfig,
			Request:  typ[GetAllTopicConfigRequest]("GetAllTopicConfigRequestHeader", BaseNone),
			Response: typ[GetAllTopicConfigResponse]("GetAllTopicConfigResponseHeader", BaseNone),
		},
		{Code: protocol.GetTopicConfig, Request: typ[GetTopicConfigRequest]("GetTopicConfigRequestHeader", BaseTopic)},
		{Code: protocol.DeleteTopicInBroker, Request: typ[DeleteTopicRequest]("DeleteTopicRequestHeader", BaseTopic)},
		{Code: protocol.GetSystemTopicListFromBroker},
		{Code: protocol.GetBrokerConfig, Response: typ[GetBrokerConfigResponse]("GetBrokerConfigResponseHeader", BaseNone)},
		{Code: protocol.GetBrokerRuntimeInfo},
		{Code: protocol.GetAllConsumerOffset},
		{Code: protocol.GetAllDelayOffset},
		{Code: protocol.GetTimerCheckPoint},
		{Code: protocol.GetTimerMetrics},
		{Code: protocol.UpdateAndCreateSubscriptionGroup},
		{Code: protocol.UpdateAndCreateSubscriptionGroupList},
		{
			Code:     protocol.GetAllSubscriptionGroupConfig,
			Request:  typ[GetAllSubscriptionGroupRequest]("GetAllSubscriptionGroupRequestHeader", BaseNone),
			Response: typ[GetAllSubscriptionGroupResponse]("GetAllSubscriptionGroupResponseHeader", BaseNone),
		},
		{Code: protocol.GetSubscriptionGroupConfig, Request: typ[GetSubscriptionGroupConfigRequest]("GetSubscriptionGroupConfigRequestHeader", BaseRPC)},
		{Code: protocol.DeleteSubscriptionGroup, Request: typ[DeleteSubscriptionGroupRequest]("DeleteSubscriptionGroupRequestHeader", BaseRPC)},
		{Code: protocol.UpdateAndGetGroupForbidden, Request: typ[UpdateGroupForbiddenRequest]("UpdateGroupForbiddenRequestHeader", BaseTopic)},
		{Code: protocol.GetTopicStatsInfo, Request: typ[GetTopicStatsInfoRequest]("GetTopicStatsInfoRequestHeader", BaseTopic)},
		{Code: protocol.GetConsumeStats, Request: typ[GetConsumeStatsRequest]("GetConsumeStatsRequestHeader", BaseTopic)},
		{Code: protocol.GetBrokerConsumeStats, Request: typ[GetConsumeStatsInBroker]("GetConsumeStatsInBrokerHeader", BaseNone)},
		{Code: protocol.GetConsumerConnectionList, Request: typ[GetConsumerConnectionListRequest]("GetConsumerConnectionListRequestHeader", BaseRPC)},
		{Code: protocol.GetProducerConnectionList, Request: typ[GetProducerConnectionListRequest]("GetProducerConnectionListRequestHeader", BaseRPC)},
		{Code: protocol.GetAllProducerInfo, Request: typ[Empty]("GetAllProducerInfoRequestHeader", BaseNone)},
		{Code: protocol.GetConsumerRunningInfo, Request: typ[GetConsumerRunningInfoRequest]("GetConsumerRunningInfoRequestHeader", BaseRPC)},
		{Code: protocol.ConsumeMessageDirectly, Request: typ[ConsumeMessageDirectlyResultRequest]("ConsumeMessageDirectlyResultRequestHeader", BaseTopic)},
		{Code: protocol.QueryTopicConsumeByWho, Request: typ[QueryTopicConsumeByWhoRequest]("QueryTopicConsumeByWhoRequestHeader", BaseTopic)},
		{Code: protocol.QueryTopicsByConsumer, Request: typ[QueryTopicsByConsumerRequest]("QueryTopicsByConsumerRequestHeader", BaseRPC)},
		{Code: protocol.QuerySubscriptionByConsumer, Request: typ[QuerySubscriptionByConsumerRequest]("QuerySubscriptionByConsumerRequestHeader", BaseTopic)},
		{Code: protocol.InvokeBrokerToResetOffset, Request: typ[ResetOffsetRequest]("ResetOffsetRequestHeader", BaseTopic)},
		{Code: protocol.InvokeBrokerToGetConsumerStatus, Request: typ[GetConsumerStatusRequest]("GetConsumerStatusRequestHeader", BaseTopic)},
		{Code: protocol.QueryConsumeTimeSpan, Request: typ[QueryConsumeTimeSpanRequest]("QueryConsumeTimeSpanRequestHeader", BaseTopic)},
		{Code: protocol.QueryCorrectionOffset, Request: typ[QueryCorrectionOffset]("QueryCorrectionOffsetHeader", BaseTopic)},
		{Code: protocol.CloneGroupOffset, Request: typ[CloneGroupOffsetRequest]("CloneGroupOffsetRequestHeader", BaseRPC)},
		{Code: protocol.QueryConsumeQueue, Request: typ[QueryConsumeQueueRequest]("QueryConsumeQueueRequestHeader", BaseTopic)},
		{Code: protocol.PushReplyMessageToClient, Request: typ[ReplyMessageRequest]("ReplyMessageRequestHeader", BaseTopic)},
		{Code: protocol.CleanExpiredConsumeQueue},
		{Code: protocol.DeleteExpiredCommitLog},
		{Code: protocol.CleanUnusedTopic},
	}
}
