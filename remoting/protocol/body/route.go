package body

// BrokerData is one broker group. Java: BrokerData.
type BrokerData struct {
	BrokerAddrs        IntMap[string] `json:"brokerAddrs"` // broker id to "ip:port"
	BrokerName         string         `json:"brokerName"`
	Cluster            string         `json:"cluster"`
	EnableActingMaster bool           `json:"enableActingMaster"`
	ZoneName           string         `json:"zoneName,omitempty"`
}

// QueueData is a topic on one broker. Java: QueueData.
type QueueData struct {
	BrokerName     string `json:"brokerName"`
	Perm           int32  `json:"perm"`
	ReadQueueNums  int32  `json:"readQueueNums"`
	TopicSysFlag   int32  `json:"topicSysFlag"`
	WriteQueueNums int32  `json:"writeQueueNums"`
}

// TopicRouteData says where a topic is. Java: TopicRouteData.
type TopicRouteData struct {
	BrokerDatas               []BrokerData        `json:"brokerDatas"`
	FilterServerTable         map[string][]string `json:"filterServerTable"`
	OrderTopicConf            string              `json:"orderTopicConf,omitempty"`
	QueueDatas                []QueueData         `json:"queueDatas"`
	TopicQueueMappingByBroker map[string]Raw      `json:"topicQueueMappingByBroker,omitempty"`
}

// ClusterInfo is all brokers by cluster. Java: ClusterInfo.
type ClusterInfo struct {
	BrokerAddrTable  map[string]BrokerData `json:"brokerAddrTable"`
	ClusterAddrTable map[string][]string   `json:"clusterAddrTable"`
}

// KVTable is a map of strings. Java: KVTable.
type KVTable struct {
	Table map[string]string `json:"table"`
}

// KVConfigSerializeWrapper is kvConfig.json: namespace to key to value. Java: the class of that name.
type KVConfigSerializeWrapper struct {
	ConfigTable map[string]map[string]string `json:"configTable"`
}

// BrokerMemberGroup is the members of one broker name. Java: BrokerMemberGroup.
type BrokerMemberGroup struct {
	BrokerAddrs IntMap[string] `json:"brokerAddrs"`
	BrokerName  string         `json:"brokerName"`
	Cluster     string         `json:"cluster"`
}

// GetBrokerMemberGroupResponseBody is the reply to GET_BROKER_MEMBER_GROUP. Java: the class of that name.
type GetBrokerMemberGroupResponseBody struct {
	BrokerMemberGroup BrokerMemberGroup `json:"brokerMemberGroup"`
}

// BrokerStatsItem is one window of a statistic. Java: BrokerStatsItem.
type BrokerStatsItem struct {
	Avgpt float64 `json:"avgpt"`
	Sum   int64   `json:"sum"`
	Tps   float64 `json:"tps"`
}

// MarshalJSON writes the rates as Java does.
func (i BrokerStatsItem) MarshalJSON() ([]byte, error) {
	return api.Marshal(struct {
		Avgpt double `json:"avgpt"`
		Sum   int64  `json:"sum"`
		Tps   double `json:"tps"`
	}{double(i.Avgpt), i.Sum, double(i.Tps)})
}

// BrokerStatsData is the reply to VIEW_BROKER_STATS_DATA. Java: BrokerStatsData.
type BrokerStatsData struct {
	StatsDay    BrokerStatsItem `json:"statsDay"`
	StatsHour   BrokerStatsItem `json:"statsHour"`
	StatsMinute BrokerStatsItem `json:"statsMinute"`
}
