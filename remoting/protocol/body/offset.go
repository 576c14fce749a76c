package body

// ConsumerOffsetTable is consumerOffset.json: "topic@group" to queue id to offset. PullOffsetTable and
// GroupTopicMap are written by Java 5.5 and not read back. Java: ConsumerOffsetManager.
type ConsumerOffsetTable struct {
	DataVersion     DataVersion              `json:"dataVersion"`
	GroupTopicMap   map[string][]string      `json:"groupTopicMap,omitempty"`
	LmqOffsetTable  map[string]int64         `json:"lmqOffsetTable,omitempty"` // "topic@group"; lmqConsumerOffset.json
	OffsetTable     map[string]IntMap[int64] `json:"offsetTable"`
	PullOffsetTable map[string]IntMap[int64] `json:"pullOffsetTable,omitempty"`
}

// DelayOffsetTable is delayOffset.json: delay level to queue offset. Java: DelayOffsetSerializeWrapper.
type DelayOffsetTable struct {
	DataVersion DataVersion   `json:"dataVersion"`
	OffsetTable IntMap[int64] `json:"offsetTable"`
}

// OffsetWrapper is one queue in ConsumeStats. Java: OffsetWrapper.
type OffsetWrapper struct {
	BrokerOffset   int64 `json:"brokerOffset"`
	ConsumerOffset int64 `json:"consumerOffset"`
	LastTimestamp  int64 `json:"lastTimestamp"` // ms
	PullOffset     int64 `json:"pullOffset"`
}

// ConsumeStats is the reply to GET_CONSUME_STATS. Java: ConsumeStats.
type ConsumeStats struct {
	ConsumeTps  float64                 `json:"consumeTps"`
	OffsetTable QueueMap[OffsetWrapper] `json:"offsetTable"`
}

// MarshalJSON writes the rate as Java does.
func (s ConsumeStats) MarshalJSON() ([]byte, error) {
	return api.Marshal(struct {
		ConsumeTps  double                  `json:"consumeTps"`
		OffsetTable QueueMap[OffsetWrapper] `json:"offsetTable"`
	}{double(s.ConsumeTps), s.OffsetTable})
}
