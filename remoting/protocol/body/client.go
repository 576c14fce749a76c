package body

import (
	"fmt"
	"math"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
)

// SubAll subscribes to everything. Java: SubscriptionData.SUB_ALL.
const SubAll = "*"

// ConsumeType says how a group gets its messages. Java: ConsumeType.
type ConsumeType string

// The consume types.
const (
	ConsumeActively  ConsumeType = "CONSUME_ACTIVELY"
	ConsumePassively ConsumeType = "CONSUME_PASSIVELY"
	ConsumePop       ConsumeType = "CONSUME_POP"
)

// UnmarshalJSON accepts name and ordinal.
func (t *ConsumeType) UnmarshalJSON(b []byte) error {
	s, err := enum(b, []string{string(ConsumeActively), string(ConsumePassively), string(ConsumePop)})
	*t = ConsumeType(s)
	return err
}

// MessageModel says whether a group shares its messages, each consumer gets all, or each gets those of its own
// lite topics. Java: MessageModel.
type MessageModel string

// The message models.
const (
	Broadcasting  MessageModel = "BROADCASTING"
	Clustering    MessageModel = "CLUSTERING"
	LiteSelective MessageModel = "LITE_SELECTIVE"
)

// UnmarshalJSON accepts name and ordinal.
func (m *MessageModel) UnmarshalJSON(b []byte) error {
	s, err := enum(b, []string{string(Broadcasting), string(Clustering), string(LiteSelective)})
	*m = MessageModel(s)
	return err
}

// ConsumeFromWhere says where a new group begins. Java: ConsumeFromWhere.
type ConsumeFromWhere string

// The values of ConsumeFromWhere that are in use.
const (
	ConsumeFromLastOffset  ConsumeFromWhere = "CONSUME_FROM_LAST_OFFSET"
	ConsumeFromFirstOffset ConsumeFromWhere = "CONSUME_FROM_FIRST_OFFSET"
	ConsumeFromTimestamp   ConsumeFromWhere = "CONSUME_FROM_TIMESTAMP"
)

// UnmarshalJSON accepts name and ordinal.
func (w *ConsumeFromWhere) UnmarshalJSON(b []byte) error {
	s, err := enum(b, []string{string(ConsumeFromLastOffset), "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST", "CONSUME_FROM_MIN_OFFSET",
		"CONSUME_FROM_MAX_OFFSET", string(ConsumeFromFirstOffset), string(ConsumeFromTimestamp)})
	*w = ConsumeFromWhere(s)
	return err
}

// SubscriptionData is one subscription of a consumer. Java: SubscriptionData.
type SubscriptionData struct {
	ClassFilterMode bool     `json:"classFilterMode"`
	CodeSet         CodeSet  `json:"codeSet"`
	ExpressionType  string   `json:"expressionType"`
	SubString       string   `json:"subString"`
	SubVersion      Int      `json:"subVersion"`
	TagsSet         []string `json:"tagsSet"`
	Topic           string   `json:"topic"`
}

// UnmarshalJSON takes a missing expression type for a tag expression and a missing version for the present time
// in ms, as Java's defaults do: a later subscription without a version replaces an earlier one.
func (d *SubscriptionData) UnmarshalJSON(b []byte) error {
	type plain SubscriptionData
	p := plain{ExpressionType: "TAG", SubVersion: Int(time.Now().UnixMilli())}
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*d = SubscriptionData(p)
	return nil
}

// CodeSet is the hashes of tags. client-go sends them as strings.
type CodeSet []int32

// UnmarshalJSON accepts numbers and strings.
func (c *CodeSet) UnmarshalJSON(b []byte) error {
	var codes []Int
	if err := api.Unmarshal(b, &codes); err != nil {
		return err
	}
	*c = make(CodeSet, len(codes))
	for i, n := range codes {
		if n != Int(int32(n)) {
			return fmt.Errorf("code %d is not within %d and %d", n, math.MinInt32, math.MaxInt32)
		}
		(*c)[i] = int32(n)
	}
	return nil
}

// ConsumerData is a group in a heartbeat. Java: ConsumerData.
type ConsumerData struct {
	ConsumeFromWhere    ConsumeFromWhere   `json:"consumeFromWhere"`
	ConsumeType         ConsumeType        `json:"consumeType"`
	GroupName           string             `json:"groupName"`
	MessageModel        MessageModel       `json:"messageModel"`
	SubscriptionDataSet []SubscriptionData `json:"subscriptionDataSet"`
	UnitMode            bool               `json:"unitMode"`
}

// ProducerData is a producer group in a heartbeat. Java: ProducerData.
type ProducerData struct {
	GroupName string `json:"groupName"`
}

// HeartbeatData is the body of HEART_BEAT. Java: HeartbeatData.
type HeartbeatData struct {
	ClientID             string         `json:"clientID"`
	ConsumerDataSet      []ConsumerData `json:"consumerDataSet"`
	HeartbeatFingerprint int32          `json:"heartbeatFingerprint"`
	ProducerDataSet      []ProducerData `json:"producerDataSet"`
	WithoutSub           bool           `json:"withoutSub"`
}

// CheckClientRequestBody is the body of CHECK_CLIENT_CONFIG. Java: CheckClientRequestBody.
type CheckClientRequestBody struct {
	ClientID         string           `json:"clientId"`
	Group            string           `json:"group"`
	Namespace        string           `json:"namespace,omitempty"`
	SubscriptionData SubscriptionData `json:"subscriptionData"`
}

// GetConsumerListByGroupResponseBody lists a group's live consumers. Java: the class of that name.
type GetConsumerListByGroupResponseBody struct {
	ConsumerIDList []string `json:"consumerIdList"`
}

// LockBatchRequestBody is the body of LOCK_BATCH_MQ and UNLOCK_BATCH_MQ. Java: LockBatchRequestBody and
// UnlockBatchRequestBody.
type LockBatchRequestBody struct {
	ClientID       string                 `json:"clientId"`
	ConsumerGroup  string                 `json:"consumerGroup"`
	MQSet          []message.MessageQueue `json:"mqSet"`
	OnlyThisBroker bool                   `json:"onlyThisBroker"`
}

// LockBatchResponseBody lists the queues that were locked. Java: LockBatchResponseBody.
type LockBatchResponseBody struct {
	LockOKMQSet []message.MessageQueue `json:"lockOKMQSet"`
}

// Connection is one client. Java: Connection.
type Connection struct {
	ClientAddr string `json:"clientAddr"`
	ClientID   string `json:"clientId"`
	Language   string `json:"language"`
	Version    int32  `json:"version"`
}

// ProducerConnection lists a group's producers. Java: ProducerConnection.
type ProducerConnection struct {
	ConnectionSet []Connection `json:"connectionSet"`
}

// ConsumerConnection lists a group's consumers and its subscriptions. Java: ConsumerConnection.
type ConsumerConnection struct {
	ConnectionSet     []Connection                 `json:"connectionSet"`
	ConsumeFromWhere  ConsumeFromWhere             `json:"consumeFromWhere"`
	ConsumeType       ConsumeType                  `json:"consumeType"`
	MessageModel      MessageModel                 `json:"messageModel"`
	SubscriptionTable map[string]*SubscriptionData `json:"subscriptionTable"`
}

// ProducerInfo is one producer in a ProducerTableInfo. Java: ProducerInfo.
type ProducerInfo struct {
	ClientID            string `json:"clientId"`
	Language            string `json:"language"`
	LastUpdateTimestamp int64  `json:"lastUpdateTimestamp"` // ms
	RemoteIP            string `json:"remoteIP"`
	Version             int32  `json:"version"`
}

// ProducerTableInfo lists all producers by group. Java: ProducerTableInfo.
type ProducerTableInfo struct {
	Data map[string][]ProducerInfo `json:"data"`
}

// QuerySubscriptionResponseBody is the reply to QUERY_SUBSCRIPTION_BY_CONSUMER. Java: the class of that name.
type QuerySubscriptionResponseBody struct {
	Group            string            `json:"group"`
	SubscriptionData *SubscriptionData `json:"subscriptionData,omitempty"`
	Topic            string            `json:"topic"`
}
