package body

// GroupRetryPolicy is how long a message waits before each retry. Java: GroupRetryPolicy.
type GroupRetryPolicy struct {
	CustomizedRetryPolicy  *CustomizedRetryPolicy  `json:"customizedRetryPolicy,omitempty"`
	ExponentialRetryPolicy *ExponentialRetryPolicy `json:"exponentialRetryPolicy,omitempty"`
	Type                   string                  `json:"type"`
}

// UnmarshalJSON takes a missing type for CUSTOMIZED, as Java's default does.
func (g *GroupRetryPolicy) UnmarshalJSON(b []byte) error {
	type plain GroupRetryPolicy
	p := plain{Type: "CUSTOMIZED"}
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*g = GroupRetryPolicy(p)
	return nil
}

// CustomizedRetryPolicy lists the waits in ms. Java: CustomizedRetryPolicy.
type CustomizedRetryPolicy struct {
	Next []int64 `json:"next"`
}

// UnmarshalJSON sets Java's default for a missing list: from 1s to 2h.
func (c *CustomizedRetryPolicy) UnmarshalJSON(b []byte) error {
	type plain CustomizedRetryPolicy
	var p plain
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.Next == nil {
		for _, seconds := range []int64{1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200} {
			p.Next = append(p.Next, seconds*1000)
		}
	}
	*c = CustomizedRetryPolicy(p)
	return nil
}

// ExponentialRetryPolicy grows the wait from Initial to Max, in ms. Java: ExponentialRetryPolicy.
type ExponentialRetryPolicy struct {
	Initial    int64 `json:"initial"`
	Max        int64 `json:"max"`
	Multiplier int64 `json:"multiplier"`
}

// UnmarshalJSON sets Java's default for every field that is missing: 5s, doubled up to 2h.
func (e *ExponentialRetryPolicy) UnmarshalJSON(b []byte) error {
	type plain ExponentialRetryPolicy
	p := plain{Initial: 5000, Max: 7200000, Multiplier: 2}
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*e = ExponentialRetryPolicy(p)
	return nil
}

// SubscriptionGroupConfig is a consumer group's configuration. Java: SubscriptionGroupConfig.
type SubscriptionGroupConfig struct {
	Attributes                     map[string]string        `json:"attributes"`
	BrokerID                       int64                    `json:"brokerId"`
	ConsumeBroadcastEnable         bool                     `json:"consumeBroadcastEnable"`
	ConsumeEnable                  bool                     `json:"consumeEnable"`
	ConsumeFromMinEnable           bool                     `json:"consumeFromMinEnable"`
	ConsumeMessageOrderly          bool                     `json:"consumeMessageOrderly"`
	ConsumeTimeoutMinute           int32                    `json:"consumeTimeoutMinute"`
	GroupName                      string                   `json:"groupName"`
	GroupRetryPolicy               GroupRetryPolicy         `json:"groupRetryPolicy"`
	GroupSysFlag                   int32                    `json:"groupSysFlag"`
	NotifyConsumerIdsChangedEnable bool                     `json:"notifyConsumerIdsChangedEnable"`
	RetryMaxTimes                  int32                    `json:"retryMaxTimes"`
	RetryQueueNums                 int32                    `json:"retryQueueNums"`
	SubscriptionDataSet            []SimpleSubscriptionData `json:"subscriptionDataSet,omitempty"`
	WhichBrokerWhenConsumeSlowly   int64                    `json:"whichBrokerWhenConsumeSlowly"`
}

// SimpleSubscriptionData is a subscription fixed in a group's configuration. Java: SimpleSubscriptionData.
type SimpleSubscriptionData struct {
	Expression     string `json:"expression"`
	ExpressionType string `json:"expressionType"`
	Topic          string `json:"topic"`
	Version        int64  `json:"version"`
}

// NewSubscriptionGroupConfig returns Java's defaults.
func NewSubscriptionGroupConfig(name string) SubscriptionGroupConfig {
	return SubscriptionGroupConfig{Attributes: map[string]string{}, ConsumeBroadcastEnable: true, ConsumeEnable: true, ConsumeFromMinEnable: true,
		ConsumeTimeoutMinute: 15, GroupName: name, GroupRetryPolicy: GroupRetryPolicy{Type: "CUSTOMIZED"}, NotifyConsumerIdsChangedEnable: true,
		RetryMaxTimes: 16, RetryQueueNums: 1, WhichBrokerWhenConsumeSlowly: 1}
}

// UnmarshalJSON sets Java's default for every field that is missing.
func (c *SubscriptionGroupConfig) UnmarshalJSON(b []byte) error {
	type plain SubscriptionGroupConfig
	p := plain(NewSubscriptionGroupConfig(""))
	if err := api.Unmarshal(b, &p); err != nil {
		return err
	}
	*c = SubscriptionGroupConfig(p)
	return nil
}

// SubscriptionGroupWrapper is subscriptionGroup.json. Java: SubscriptionGroupWrapper.
type SubscriptionGroupWrapper struct {
	DataVersion            DataVersion                         `json:"dataVersion"`
	ForbiddenTable         map[string]map[string]int32         `json:"forbiddenTable"`
	SubscriptionGroupTable map[string]*SubscriptionGroupConfig `json:"subscriptionGroupTable"`
}

// SubscriptionGroupList is the body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST. Java: SubscriptionGroupList.
type SubscriptionGroupList struct {
	GroupConfigList []*SubscriptionGroupConfig `json:"groupConfigList"`
}

// GroupList is a list of groups. Java: GroupList.
type GroupList struct {
	GroupList []string `json:"groupList"`
}

// GroupForbidden is the reply to UPDATE_AND_GET_GROUP_FORBIDDEN. Java: GroupForbidden.
type GroupForbidden struct {
	Group    string `json:"group"`
	Readable *bool  `json:"readable,omitempty"`
	Topic    string `json:"topic"`
}
