package header

// RegisterBrokerRequest is the header of REGISTER_BROKER (103). Java: RegisterBrokerRequestHeader.
type RegisterBrokerRequest struct {
	BrokerName             string `rmq:"brokerName,required"`
	BrokerAddr             string `rmq:"brokerAddr,required"`
	ClusterName            string `rmq:"clusterName,required"`
	HAServerAddr           string `rmq:"haServerAddr,required"`
	BrokerID               int64  `rmq:"brokerId,required"`      // 0: master
	HeartbeatTimeoutMillis *int64 `rmq:"heartbeatTimeoutMillis"` // nil: the name server's default
	EnableActingMaster     *bool  `rmq:"enableActingMaster"`     // its presence alone tells a broker of 5.x
	Compressed             bool   `rmq:"compressed"`             // the body is deflated
	BodyCRC32              int32  `rmq:"bodyCrc32"`              // 0: not checked
}

// RegisterBrokerResponse is the reply to REGISTER_BROKER; both fields are for slaves that have a master.
// Java: RegisterBrokerResponseHeader.
type RegisterBrokerResponse struct {
	HAServerAddr string `rmq:"haServerAddr"`
	MasterAddr   string `rmq:"masterAddr"`
}

// UnRegisterBrokerRequest is the header of UNREGISTER_BROKER (104). Java: UnRegisterBrokerRequestHeader.
type UnRegisterBrokerRequest struct {
	BrokerName  string `rmq:"brokerName,required"`
	BrokerAddr  string `rmq:"brokerAddr,required"`
	ClusterName string `rmq:"clusterName,required"`
	BrokerID    int64  `rmq:"brokerId,required"`
}

// QueryDataVersionRequest is the header of QUERY_DATA_VERSION (322). Java: QueryDataVersionRequestHeader.
type QueryDataVersionRequest struct {
	BrokerName  string `rmq:"brokerName,required"`
	BrokerAddr  string `rmq:"brokerAddr,required"`
	ClusterName string `rmq:"clusterName,required"`
	BrokerID    int64  `rmq:"brokerId,required"`
}

// QueryDataVersionResponse is the reply to QUERY_DATA_VERSION. Java: QueryDataVersionResponseHeader.
type QueryDataVersionResponse struct {
	Changed bool `rmq:"changed,required"`
}

// GetBrokerMemberGroupRequest is the header of GET_BROKER_MEMBER_GROUP (901).
// Java: GetBrokerMemberGroupRequestHeader.
type GetBrokerMemberGroupRequest struct {
	ClusterName string `rmq:"clusterName,required"`
	BrokerName  string `rmq:"brokerName,required"`
}

// BrokerHeartbeatRequest is the header of BROKER_HEARTBEAT (904). Java: BrokerHeartbeatRequestHeader.
//
// The optional fields are for controllers; a name server uses none of them.
type BrokerHeartbeatRequest struct {
	ClusterName           string `rmq:"clusterName,required"`
	BrokerAddr            string `rmq:"brokerAddr,required"`
	BrokerName            string `rmq:"brokerName,required"`
	BrokerID              *int64 `rmq:"brokerId"`
	Epoch                 *int32 `rmq:"epoch"`
	MaxOffset             *int64 `rmq:"maxOffset"`
	ConfirmOffset         *int64 `rmq:"confirmOffset"`
	HeartbeatTimeoutMills *int64 `rmq:"heartbeatTimeoutMills"`
	ElectionPriority      *int32 `rmq:"electionPriority"`
}

// GetBrokerConfigResponse is the reply to GET_BROKER_CONFIG (26). Java: GetBrokerConfigResponseHeader.
type GetBrokerConfigResponse struct {
	Version string `rmq:"version,required"` // DataVersion as JSON
}
