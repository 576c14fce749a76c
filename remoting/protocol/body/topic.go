package body

import "time"

// Filter types of a topic. Java: TopicFilterType.
const (
	SingleTag = "SINGLE_TAG"
	MultiTag  = "MULTI_TAG"
)

// TopicConfig is a topic's configuration. Java: TopicConfig.
type TopicConfig struct {
	Attributes      map[string]string `json:"attributes"`
	Order           bool              `json:"order"`
	Perm            int32             `json:"perm"`
	ReadQueueNums   int32             `json:"readQueueNums"`
	TopicFilterType string            `json:"topicFilterType"`
	TopicName       string            `json:"topicName"`
	TopicSysFlag    int32             `json:"topicSysFlag"`
	WriteQueueNums  int32             `json:"writeQueueNums"`
}

// NewTopicConfig returns Java's defaults for a topic: 16 queues, readable and writable.
func NewTopicConfig(name string) TopicConfig {
	return TopicConfig{Perm: 6, ReadQueueNums: 16, WriteQueueNums: 16, TopicFilterType: SingleTag, TopicName: name, Attributes: map[string]string{}}
}

// UnmarshalJSON sets Java's default for every field that is missing.
func (t *TopicConfig) UnmarshalJSON(b []byte) error {
	type plain TopicConfig
	p := plain(NewTopicConfig(""))
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*t = TopicConfig(p)
	return nil
}

// DataVersion counts the changes of a table. Java: DataVersion.
type DataVersion struct {
	Counter      int64 `json:"counter"`
	StateVersion int64 `json:"stateVersion"`
	Timestamp    int64 `json:"timestamp"` // ms
}

// Next moves to the next version. Java: DataVersion.nextVersion.
func (d *DataVersion) Next(now time.Time) {
	d.Timestamp = now.UnixMilli()
	d.Counter++
}

// TopicConfigSerializeWrapper is topics.json. Java: TopicConfigSerializeWrapper.
type TopicConfigSerializeWrapper struct {
	DataVersion      DataVersion             `json:"dataVersion"`
	TopicConfigTable map[string]*TopicConfig `json:"topicConfigTable"`
}

// TopicConfigAndMappingSerializeWrapper adds static topics: a TopicQueueMappingDetail of each for a slave, a
// TopicQueueMappingInfo for a name server, which passes it on as it is. Java: the class of that name.
type TopicConfigAndMappingSerializeWrapper struct {
	DataVersion                DataVersion             `json:"dataVersion"`
	MappingDataVersion         DataVersion             `json:"mappingDataVersion"`
	TopicConfigTable           map[string]*TopicConfig `json:"topicConfigTable"`
	TopicQueueMappingDetailMap map[string]Raw          `json:"topicQueueMappingDetailMap"`
	TopicQueueMappingInfoMap   map[string]Raw          `json:"topicQueueMappingInfoMap"`
}

// Raw is JSON that is passed on without being looked at.
type Raw []byte

// MarshalJSON returns the JSON, null when there is none.
func (r Raw) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON keeps a copy.
func (r *Raw) UnmarshalJSON(b []byte) error {
	*r = append(Raw(nil), b...)
	return nil
}

// TopicList is a list of topics, of one broker when BrokerAddr is set. Java: TopicList.
type TopicList struct {
	BrokerAddr string   `json:"brokerAddr,omitempty"`
	TopicList  []string `json:"topicList"`
}

// CreateTopicListRequestBody is the body of UPDATE_AND_CREATE_TOPIC_LIST. Java: the class of that name.
type CreateTopicListRequestBody struct {
	TopicConfigList []*TopicConfig `json:"topicConfigList"`
}

// TopicOffset is one queue in a TopicStatsTable. Java: TopicOffset.
type TopicOffset struct {
	LastUpdateTimestamp int64 `json:"lastUpdateTimestamp"` // ms
	MaxOffset           int64 `json:"maxOffset"`
	MinOffset           int64 `json:"minOffset"`
}

// TopicStatsTable is the reply to GET_TOPIC_STATS_INFO. Java: TopicStatsTable.
type TopicStatsTable struct {
	OffsetTable QueueMap[TopicOffset] `json:"offsetTable"`
	TopicPutTps float64               `json:"topicPutTps"`
}

// MarshalJSON writes the rate as Java does.
func (t TopicStatsTable) MarshalJSON() ([]byte, error) {
	return api.Marshal(struct {
		OffsetTable QueueMap[TopicOffset] `json:"offsetTable"`
		TopicPutTps double                `json:"topicPutTps"`
	}{t.OffsetTable, double(t.TopicPutTps)})
}
