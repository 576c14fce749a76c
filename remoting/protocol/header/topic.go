package header

// CreateTopicRequest is the header of UPDATE_AND_CREATE_TOPIC (17). Java: CreateTopicRequestHeader.
//
// client-cpp sends no order and an unusable topicFilterType. Java reads them as false and SINGLE_TAG, so a
// handler must not refuse such a request although both are required.
type CreateTopicRequest struct {
	Topic           string `rmq:"topic,required"`
	DefaultTopic    string `rmq:"defaultTopic,required"`
	ReadQueueNums   int32  `rmq:"readQueueNums,required"`
	WriteQueueNums  int32  `rmq:"writeQueueNums,required"`
	Perm            int32  `rmq:"perm,required"`
	TopicFilterType string `rmq:"topicFilterType,required"` // SINGLE_TAG or MULTI_TAG
	TopicSysFlag    int32  `rmq:"topicSysFlag"`
	Order           bool   `rmq:"order,required"`
	Attributes      string `rmq:"attributes"` // "+k=v,-k"
	Force           bool   `rmq:"force"`
}

// DeleteTopicRequest is the header of DELETE_TOPIC_IN_BROKER (215). Java: DeleteTopicRequestHeader.
type DeleteTopicRequest struct {
	Topic string `rmq:"topic,required"`
}

// GetTopicConfigRequest is the header of GET_TOPIC_CONFIG (351). Java: GetTopicConfigRequestHeader.
type GetTopicConfigRequest struct {
	Topic string `rmq:"topic,required"`
}

// GetAllTopicConfigRequest is the header of GET_ALL_TOPIC_CONFIG (21). Java: GetAllTopicConfigRequestHeader.
//
// Peers before 5.3.3 send none of its fields and want everything: no ext fields means no header.
type GetAllTopicConfigRequest struct {
	TopicSeq    int32  `rmq:"topicSeq,required"` // index of the page's first topic
	DataVersion string `rmq:"dataVersion"`       // JSON; another one than the broker's begins anew
	MaxTopicNum *int32 `rmq:"maxTopicNum"`       // nil: the broker's page size
}

// GetAllTopicConfigResponse is the reply to GET_ALL_TOPIC_CONFIG. Java: GetAllTopicConfigResponseHeader.
type GetAllTopicConfigResponse struct {
	TotalTopicNum *int32 `rmq:"totalTopicNum"` // nil from brokers that do not page
}
