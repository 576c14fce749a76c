package admin

import (
	"context"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// User may use a cluster that has authentication.
type User = body.UserInfo

// ACL is what a subject such as "User:name" may do.
type ACL = body.AclInfo

// Policy is one list of an ACL.
type Policy = body.PolicyInfo

// PolicyEntry allows or denies actions on a resource such as "Topic:name".
type PolicyEntry = body.PolicyEntryInfo

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, broker string, u User) error {
	return c.do(ctx, broker, protocol.AuthCreateUser, header.CreateUserRequest{Username: u.Username}, u)
}

// UpdateUser changes what of u is not empty.
func (c *Client) UpdateUser(ctx context.Context, broker string, u User) error {
	return c.do(ctx, broker, protocol.AuthUpdateUser, header.UpdateUserRequest{Username: u.Username}, u)
}

// DeleteUser removes a user.
func (c *Client) DeleteUser(ctx context.Context, broker, name string) error {
	return c.do(ctx, broker, protocol.AuthDeleteUser, header.DeleteUserRequest{Username: name}, nil)
}

// User returns a user, with an empty name when there is none.
func (c *Client) User(ctx context.Context, broker, name string) (*User, error) {
	return get[User](ctx, c, broker, protocol.AuthGetUser, header.GetUserRequest{Username: name}, nil)
}

// Users returns the users whose names contain filter.
func (c *Client) Users(ctx context.Context, broker, filter string) ([]User, error) {
	list, err := get[[]User](ctx, c, broker, protocol.AuthListUser, header.ListUsersRequest{Filter: filter}, nil)
	if err != nil {
		return nil, err
	}
	return *list, nil
}

// CreateACL gives a subject its policies.
func (c *Client) CreateACL(ctx context.Context, broker string, a ACL) error {
	return c.do(ctx, broker, protocol.AuthCreateACL, header.CreateAclRequest{Subject: a.Subject}, a)
}

// UpdateACL changes the policies of a subject.
func (c *Client) UpdateACL(ctx context.Context, broker string, a ACL) error {
	return c.do(ctx, broker, protocol.AuthUpdateACL, header.UpdateAclRequest{Subject: a.Subject}, a)
}

// DeleteACL removes a subject's policies for a resource or, when that is empty, all.
func (c *Client) DeleteACL(ctx context.Context, broker, subject, resource string) error {
	return c.do(ctx, broker, protocol.AuthDeleteACL, header.DeleteAclRequest{Subject: subject, Resource: resource}, nil)
}

// ACL returns what a subject may do, with an empty subject when nothing is said of it.
func (c *Client) ACL(ctx context.Context, broker, subject string) (*ACL, error) {
	return get[ACL](ctx, c, broker, protocol.AuthGetACL, header.GetAclRequest{Subject: subject}, nil)
}

// ACLs returns the ACLs whose subject and resource contain the filters.
func (c *Client) ACLs(ctx context.Context, broker, subject, resource string) ([]ACL, error) {
	list, err := get[[]ACL](ctx, c, broker, protocol.AuthListACL, header.ListAclsRequest{SubjectFilter: subject, ResourceFilter: resource}, nil)
	if err != nil {
		return nil, err
	}
	return *list, nil
}
