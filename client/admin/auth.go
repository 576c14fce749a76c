package admin

import (
	"context"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// User may use a cluster that has authentication. Java: UserInfo.
type User struct {
	Username   string `json:"username"`
	Password   string `json:"password,omitempty"`
	UserType   string `json:"userType,omitempty"`   // Super or Normal
	UserStatus string `json:"userStatus,omitempty"` // enable or disable
}

// ACL is what a subject such as "User:name" may do. Java: AclInfo.
type ACL struct {
	Subject  string   `json:"subject"`
	Policies []Policy `json:"policies"`
}

// Policy is one list of an ACL. Java: AclInfo.PolicyInfo.
type Policy struct {
	PolicyType string        `json:"policyType,omitempty"` // Custom or Default
	Entries    []PolicyEntry `json:"entries"`
}

// PolicyEntry allows or denies actions on a resource such as "Topic:name". Java: AclInfo.PolicyEntryInfo.
type PolicyEntry struct {
	Resource  string   `json:"resource"`
	Actions   []string `json:"actions"`
	SourceIPs []string `json:"sourceIps,omitempty"`
	Decision  string   `json:"decision"` // Allow or Deny
}

// The headers of requests about users and ACLs. Java: CreateUserRequestHeader, CreateAclRequestHeader and their siblings.
type (
	userHeader struct {
		Username string `rmq:"username"`
	}
	usersHeader struct {
		Filter string `rmq:"filter"`
	}
	aclHeader struct {
		Subject    string `rmq:"subject"`
		PolicyType string `rmq:"policyType"`
		Resource   string `rmq:"resource"`
	}
	aclsHeader struct {
		SubjectFilter  string `rmq:"subjectFilter"`
		ResourceFilter string `rmq:"resourceFilter"`
	}
)

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, broker string, u User) error {
	return c.do(ctx, broker, protocol.AuthCreateUser, userHeader{u.Username}, u)
}

// UpdateUser changes what of u is not empty.
func (c *Client) UpdateUser(ctx context.Context, broker string, u User) error {
	return c.do(ctx, broker, protocol.AuthUpdateUser, userHeader{u.Username}, u)
}

// DeleteUser removes a user.
func (c *Client) DeleteUser(ctx context.Context, broker, name string) error {
	return c.do(ctx, broker, protocol.AuthDeleteUser, userHeader{name}, nil)
}

// User returns a user, with an empty name when there is none.
func (c *Client) User(ctx context.Context, broker, name string) (*User, error) {
	return get[User](ctx, c, broker, protocol.AuthGetUser, userHeader{name}, nil)
}

// Users returns the users whose names contain filter.
func (c *Client) Users(ctx context.Context, broker, filter string) ([]User, error) {
	list, err := get[[]User](ctx, c, broker, protocol.AuthListUser, usersHeader{filter}, nil)
	if err != nil {
		return nil, err
	}
	return *list, nil
}

// CreateACL gives a subject its policies.
func (c *Client) CreateACL(ctx context.Context, broker string, a ACL) error {
	return c.do(ctx, broker, protocol.AuthCreateACL, aclHeader{Subject: a.Subject}, a)
}

// UpdateACL changes the policies of a subject.
func (c *Client) UpdateACL(ctx context.Context, broker string, a ACL) error {
	return c.do(ctx, broker, protocol.AuthUpdateACL, aclHeader{Subject: a.Subject}, a)
}

// DeleteACL removes a subject's policies for a resource or, when that is empty, all.
func (c *Client) DeleteACL(ctx context.Context, broker, subject, resource string) error {
	return c.do(ctx, broker, protocol.AuthDeleteACL, aclHeader{Subject: subject, Resource: resource}, nil)
}

// ACL returns what a subject may do, with an empty subject when nothing is said of it.
func (c *Client) ACL(ctx context.Context, broker, subject string) (*ACL, error) {
	return get[ACL](ctx, c, broker, protocol.AuthGetACL, aclHeader{Subject: subject}, nil)
}

// ACLs returns the ACLs whose subject and resource contain the filters.
func (c *Client) ACLs(ctx context.Context, broker, subject, resource string) ([]ACL, error) {
	list, err := get[[]ACL](ctx, c, broker, protocol.AuthListACL, aclsHeader{subject, resource}, nil)
	if err != nil {
		return nil, err
	}
	return *list, nil
}
