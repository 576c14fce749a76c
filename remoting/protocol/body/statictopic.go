package body

import "errors"

// A static topic has a fixed number of logical queues, its global ids. Each is a row of items: the physical queues, of
// any brokers, that it has lived in, one behind the other. The last item's broker is the leader, which takes the
// queue's messages and answers for all items. What the files and bodies of this file say is checked by whoever keeps it.

// ScopeGlobal is the only scope there is. Java: MixAll.METADATA_SCOPE_GLOBAL.
const ScopeGlobal = "__global__"

// LogicQueueMappingItem is one physical queue of a logical one. Java: LogicQueueMappingItem.
type LogicQueueMappingItem struct {
	Bname       string `json:"bname"`       // broker name
	EndOffset   int64  `json:"endOffset"`   // physical offset behind the item's last message; -1: not decided
	Gen         int32  `json:"gen"`         // grows from item to item
	LogicOffset int64  `json:"logicOffset"` // of the message at StartOffset; -1: not decided, as the item before still fills
	QueueID     int32  `json:"queueId"`     // physical
	StartOffset int64  `json:"startOffset"` // physical offset of the item's first message
	TimeOfEnd   int64  `json:"timeOfEnd"`
	TimeOfStart int64  `json:"timeOfStart"`
}

// UnmarshalJSON sets Java's default for every field that is missing.
func (i *LogicQueueMappingItem) UnmarshalJSON(b []byte) error {
	type plain LogicQueueMappingItem
	p := plain{EndOffset: -1, TimeOfEnd: -1, TimeOfStart: -1}
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*i = LogicQueueMappingItem(p)
	return nil
}

// Logical returns the logical offset of a physical one; one before the item's start counts as its start.
// Java: LogicQueueMappingItem.computeStaticQueueOffsetStrictly.
func (i *LogicQueueMappingItem) Logical(physical int64) int64 {
	return i.LogicOffset + max(physical, i.StartOffset) - i.StartOffset
}

// KnownMax is the logical offset behind the item's last message as far as the mapping tells.
// Java: LogicQueueMappingItem.computeMaxStaticQueueOffset.
func (i *LogicQueueMappingItem) KnownMax() int64 {
	if i.EndOffset >= i.StartOffset {
		return i.LogicOffset + i.EndOffset - i.StartOffset
	}
	return i.LogicOffset
}

// CheckItems returns what is wrong with the items of one logical queue, in Java's words where Java has them.
// Java: TopicQueueMappingUtils.checkLogicQueueMappingItemOffset.
func CheckItems(items []LogicQueueMappingItem) error {
	lastGen, lastOffset := int32(-1), int64(-1)
	for i := len(items) - 1; i >= 0; i-- {
		item := &items[i]
		switch {
		case item.Bname == "":
			return errors.New("an item of the mapping has no broker")
		case item.StartOffset < 0 || item.Gen < 0 || item.QueueID < 0:
			return refusal("The field is illegal, should not be negative")
		case i < len(items)-1 && item.LogicOffset < 0:
			return refusal("The non-latest item has negative logic offset")
		case lastGen != -1 && item.Gen >= lastGen:
			return refusal("The gen does not increase monotonically")
		case item.EndOffset != -1 && item.EndOffset < item.StartOffset:
			return refusal("The endOffset is smaller than the start offset")
		case lastOffset != -1 && item.LogicOffset >= lastOffset:
			return refusal("The base logic offset does not increase monotonically")
		case lastOffset != -1 && item.KnownMax() >= lastOffset:
			return refusal("The max logic offset does not increase monotonically")
		}
		lastGen, lastOffset = item.Gen, item.LogicOffset
	}
	return nil
}

// refusal is an error in Java's words, which begin with a capital letter.
func refusal(text string) error { return errors.New(text) }

// TopicQueueMappingInfo is what a name server and clients know of a static topic on one broker.
// Java: TopicQueueMappingInfo.
type TopicQueueMappingInfo struct {
	Bname       string        `json:"bname"`
	CurrIDMap   IntMap[int32] `json:"currIdMap"` // global id to physical queue, of the queues the broker leads
	Dirty       bool          `json:"dirty"`
	Epoch       int64         `json:"epoch"`
	Scope       string        `json:"scope"`
	Topic       string        `json:"topic"`
	TotalQueues int32         `json:"totalQueues"` // of the topic, on all brokers
}

// TopicQueueMappingDetail is what a broker knows of a static topic. Java: TopicQueueMappingDetail.
type TopicQueueMappingDetail struct {
	Bname        string                          `json:"bname"`
	CurrIDMap    IntMap[int32]                   `json:"currIdMap"` // not kept: it follows from HostedQueues
	Dirty        bool                            `json:"dirty"`
	Epoch        int64                           `json:"epoch"`
	HostedQueues IntMap[[]LogicQueueMappingItem] `json:"hostedQueues"` // by global id, those the broker leads or led
	Scope        string                          `json:"scope"`
	Topic        string                          `json:"topic"`
	TotalQueues  int32                           `json:"totalQueues"`
}

// UnmarshalJSON sets Java's default for every field that is missing.
func (d *TopicQueueMappingDetail) UnmarshalJSON(b []byte) error {
	type plain TopicQueueMappingDetail
	p := plain{Scope: ScopeGlobal}
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*d = TopicQueueMappingDetail(p)
	return nil
}

// Info returns the part for name servers. Java: TopicQueueMappingDetail.cloneAsMappingInfo.
func (d *TopicQueueMappingDetail) Info() TopicQueueMappingInfo {
	i := TopicQueueMappingInfo{Bname: d.Bname, CurrIDMap: IntMap[int32]{}, Epoch: d.Epoch, Scope: d.Scope, Topic: d.Topic, TotalQueues: d.TotalQueues}
	for id, items := range d.HostedQueues {
		if n := len(items); n > 0 && items[n-1].Bname == d.Bname {
			i.CurrIDMap[id] = items[n-1].QueueID
		}
	}
	return i
}

// TopicQueueMappingSerializeWrapper is topicQueueMapping.json. Java: the class of that name.
type TopicQueueMappingSerializeWrapper struct {
	DataVersion              DataVersion                         `json:"dataVersion"`
	TopicQueueMappingInfoMap map[string]*TopicQueueMappingDetail `json:"topicQueueMappingInfoMap"`
}

// TopicConfigAndQueueMapping is the reply to GET_TOPIC_CONFIG. Java: TopicConfigAndQueueMapping.
type TopicConfigAndQueueMapping struct {
	TopicConfig
	MappingDetail *TopicQueueMappingDetail `json:"mappingDetail,omitempty"`
}

// UnmarshalJSON reads both parts, which one object holds.
func (t *TopicConfigAndQueueMapping) UnmarshalJSON(b []byte) error {
	var m struct {
		MappingDetail *TopicQueueMappingDetail `json:"mappingDetail"`
	}
	if err := api.Unmarshal(b, &m); err != nil {
		return err
	}
	t.MappingDetail = m.MappingDetail
	return t.TopicConfig.UnmarshalJSON(b)
}
