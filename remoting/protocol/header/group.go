package header

// GetAllSubscriptionGroupRequest is the header of GET_ALL_SUBSCRIPTIONGROUP_CONFIG (201).
// Java: GetAllSubscriptionGroupRequestHeader.
//
// Peers before 5.3.3 send none of its fields and want everything: no ext fields means no header.
type GetAllSubscriptionGroupRequest struct {
	GroupSeq    int32  `rmq:"groupSeq,required"` // index of the page's first group
	DataVersion string `rmq:"dataVersion"`       // JSON; another one than the broker's begins anew
	MaxGroupNum *int32 `rmq:"maxGroupNum"`       // nil: the broker's page size
}

// GetAllSubscriptionGroupResponse is the reply to GET_ALL_SUBSCRIPTIONGROUP_CONFIG.
// Java: GetAllSubscriptionGroupResponseHeader.
type GetAllSubscriptionGroupResponse struct {
	TotalGroupNum int32 `rmq:"totalGroupNum,required"`
}

// GetSubscriptionGroupConfigRequest is the header of GET_SUBSCRIPTIONGROUP_CONFIG (352).
// Java: GetSubscriptionGroupConfigRequestHeader.
type GetSubscriptionGroupConfigRequest struct {
	Group string `rmq:"group,required"`
}

// DeleteSubscriptionGroupRequest is the header of DELETE_SUBSCRIPTIONGROUP (207).
// Java: DeleteSubscriptionGroupRequestHeader.
type DeleteSubscriptionGroupRequest struct {
	GroupName   string `rmq:"groupName,required"`
	CleanOffset bool   `rmq:"cleanOffset"`
}

// UpdateGroupForbiddenRequest is the header of UPDATE_AND_GET_GROUP_FORBIDDEN (353).
// Java: UpdateGroupForbiddenRequestHeader.
type UpdateGroupForbiddenRequest struct {
	Group    string `rmq:"group,required"`
	Topic    string `rmq:"topic,required"`
	Readable *bool  `rmq:"readable"` // nil: only ask
}
