package header

// GetRouteInfoRequest is the header of GET_ROUTEINFO_BY_TOPIC (105). Java: GetRouteInfoRequestHeader.
type GetRouteInfoRequest struct {
	Topic                  string `rmq:"topic,required"`
	AcceptStandardJSONOnly bool   `rmq:"acceptStandardJsonOnly"`
}

// GetTopicsByClusterRequest is the header of GET_TOPICS_BY_CLUSTER (224).
// Java: GetTopicsByClusterRequestHeader.
type GetTopicsByClusterRequest struct {
	Cluster string `rmq:"cluster,required"`
}

// DeleteTopicFromNamesrvRequest is the header of DELETE_TOPIC_IN_NAMESRV (216).
// Java: DeleteTopicFromNamesrvRequestHeader.
type DeleteTopicFromNamesrvRequest struct {
	Topic       string `rmq:"topic,required"`
	ClusterName string `rmq:"clusterName"` // empty: in every cluster
}

// RegisterTopicRequest is the header of REGISTER_TOPIC_IN_NAMESRV (217). Java: RegisterTopicRequestHeader.
type RegisterTopicRequest struct {
	Topic string `rmq:"topic,required"`
}

// WipeWritePermOfBrokerRequest is the header of WIPE_WRITE_PERM_OF_BROKER (205).
// Java: WipeWritePermOfBrokerRequestHeader.
type WipeWritePermOfBrokerRequest struct {
	BrokerName string `rmq:"brokerName,required"`
}

// WipeWritePermOfBrokerResponse is the reply to WIPE_WRITE_PERM_OF_BROKER.
// Java: WipeWritePermOfBrokerResponseHeader.
type WipeWritePermOfBrokerResponse struct {
	WipeTopicCount int32 `rmq:"wipeTopicCount,required"`
}

// AddWritePermOfBrokerRequest is the header of ADD_WRITE_PERM_OF_BROKER (327).
// Java: AddWritePermOfBrokerRequestHeader.
type AddWritePermOfBrokerRequest struct {
	BrokerName string `rmq:"brokerName,required"`
}

// AddWritePermOfBrokerResponse is the reply to ADD_WRITE_PERM_OF_BROKER.
// Java: AddWritePermOfBrokerResponseHeader.
type AddWritePermOfBrokerResponse struct {
	AddTopicCount int32 `rmq:"addTopicCount,required"`
}
