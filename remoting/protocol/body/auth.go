package body

// UserInfo is a user of ACL 2.0. Java: UserInfo.
type UserInfo struct {
	Password   string `json:"password,omitempty"`
	UserStatus string `json:"userStatus,omitempty"` // enable or disable
	UserType   string `json:"userType,omitempty"`   // Super or Normal
	Username   string `json:"username,omitempty"`
}

// AclInfo is what a subject such as "User:name" may do. Java: AclInfo.
type AclInfo struct {
	Policies []PolicyInfo `json:"policies,omitempty"`
	Subject  string       `json:"subject,omitempty"`
}

// PolicyInfo is one list of an ACL. Java: AclInfo.PolicyInfo.
type PolicyInfo struct {
	Entries    []PolicyEntryInfo `json:"entries,omitempty"`
	PolicyType string            `json:"policyType,omitempty"` // Custom or Default
}

// PolicyEntryInfo allows or denies actions on a resource such as "Topic:name". Its lists are always written: the
// dashboard fails without them, though Java leaves out an empty SourceIPs. Java: AclInfo.PolicyEntryInfo.
type PolicyEntryInfo struct {
	Actions   []string `json:"actions"`
	Decision  string   `json:"decision,omitempty"` // Allow or Deny
	Resource  string   `json:"resource,omitempty"`
	SourceIPs []string `json:"sourceIps"` // addresses and ranges such as 10.0.0.0/8
}
