package header

// CreateUserRequest is the header of AUTH_CREATE_USER (3001). Java: CreateUserRequestHeader.
type CreateUserRequest struct {
	Username string `rmq:"username"`
}

// UpdateUserRequest is the header of AUTH_UPDATE_USER (3002). Java: UpdateUserRequestHeader.
type UpdateUserRequest struct {
	Username string `rmq:"username"`
}

// DeleteUserRequest is the header of AUTH_DELETE_USER (3003). Java: DeleteUserRequestHeader.
type DeleteUserRequest struct {
	Username string `rmq:"username"`
}

// GetUserRequest is the header of AUTH_GET_USER (3004). Java: GetUserRequestHeader.
type GetUserRequest struct {
	Username string `rmq:"username"`
}

// ListUsersRequest is the header of AUTH_LIST_USER (3005). Java: ListUsersRequestHeader.
type ListUsersRequest struct {
	Filter string `rmq:"filter"` // part of a name
}

// CreateAclRequest is the header of AUTH_CREATE_ACL (3006). Java: CreateAclRequestHeader.
type CreateAclRequest struct {
	Subject string `rmq:"subject"` // like "User:name"
}

// UpdateAclRequest is the header of AUTH_UPDATE_ACL (3007). Java: UpdateAclRequestHeader.
type UpdateAclRequest struct {
	Subject string `rmq:"subject"`
}

// DeleteAclRequest is the header of AUTH_DELETE_ACL (3008). Java: DeleteAclRequestHeader.
type DeleteAclRequest struct {
	Subject    string `rmq:"subject"`
	PolicyType string `rmq:"policyType"` // Custom or Default
	Resource   string `rmq:"resource"`   // "": the whole ACL
}

// GetAclRequest is the header of AUTH_GET_ACL (3009). Java: GetAclRequestHeader.
type GetAclRequest struct {
	Subject string `rmq:"subject"`
}

// ListAclsRequest is the header of AUTH_LIST_ACL (3010). Java: ListAclsRequestHeader.
type ListAclsRequest struct {
	SubjectFilter  string `rmq:"subjectFilter"`  // part of a subject
	ResourceFilter string `rmq:"resourceFilter"` // part of a resource
}
