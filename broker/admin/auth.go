package admin

import (
	"strings"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// accessKey is the ext field that names who has signed a request. Java: SessionCredentials.ACCESS_KEY.
const accessKey = "AccessKey"

// by returns the access key of a request, "" when it has none.
func by(r *mux.Request) string {
	key, _ := r.Cmd.Ext.Get(accessKey)
	return key
}

// authRoutes are the rows of users and ACLs.
func (h *Handlers) authRoutes(admin *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.AuthCreateUser, Lane: admin, Handle: mux.Handle(h.createUser)},
		{Code: protocol.AuthUpdateUser, Lane: admin, Handle: mux.Handle(h.updateUser)},
		{Code: protocol.AuthDeleteUser, Lane: admin, Handle: mux.Handle(h.deleteUser)},
		{Code: protocol.AuthGetUser, Lane: admin, Handle: mux.Handle(h.user)},
		{Code: protocol.AuthListUser, Lane: admin, Handle: mux.Handle(h.users)},
		{Code: protocol.AuthCreateACL, Lane: admin, Handle: mux.Handle(h.createACL)},
		{Code: protocol.AuthUpdateACL, Lane: admin, Handle: mux.Handle(h.updateACL)},
		{Code: protocol.AuthDeleteACL, Lane: admin, Handle: mux.Handle(h.deleteACL)},
		{Code: protocol.AuthGetACL, Lane: admin, Handle: mux.Handle(h.acl)},
		{Code: protocol.AuthListACL, Lane: admin, Handle: mux.Handle(h.acls)},
	}
}

// authReply is a success with a JSON body, none when v is nil. Java never clears the remark of these.
func authReply(v any) (*protocol.Command, error) {
	resp := protocol.NewResponse(protocol.Success, notSet)
	if v == nil {
		return resp, nil
	}
	var err error
	resp.Body, err = body.Marshal(v)
	return resp, err
}

// found is the reply with what was looked up, without a body when there is none.
func found[T any](v *T, err error) (*protocol.Command, error) {
	if err != nil {
		return nil, err
	}
	if v == nil {
		return authReply(nil)
	}
	return authReply(v)
}

// listed is the reply with a list. Java answers an empty one without a body, at which the dashboard fails.
func listed[T any](list []T, err error) (*protocol.Command, error) {
	if err != nil {
		return nil, err
	}
	return authReply(list)
}

// changed logs a change that was acknowledged, and answers it.
func (h *Handlers) changed(r *mux.Request, what, key, name string, err error) (*protocol.Command, error) {
	if err != nil {
		return nil, err
	}
	h.o.Logger.Info().Str(key, name).Stringer("remote", r.Conn.Remote()).Msg(what + " by request")
	return authReply(nil)
}

// createUser adds a user. Java: AdminBrokerProcessor.createUser.
func (h *Handlers) createUser(r *mux.Request, req *header.CreateUserRequest) (*protocol.Command, error) {
	u, err := decodeUser(r, req.Username)
	if err != nil {
		return nil, err
	}
	return h.changed(r, "user created", "user", u.Username, h.o.Auth.CreateUser(u, by(r)))
}

// updateUser changes a user. Java: AdminBrokerProcessor.updateUser.
func (h *Handlers) updateUser(r *mux.Request, req *header.UpdateUserRequest) (*protocol.Command, error) {
	u, err := decodeUser(r, req.Username)
	if err != nil {
		return nil, err
	}
	return h.changed(r, "user changed", "user", u.Username, h.o.Auth.UpdateUser(u, by(r)))
}

// decodeUser reads a user, whose name is that of the header.
func decodeUser(r *mux.Request, name string) (*body.UserInfo, error) {
	if name == "" {
		return nil, invalid("The username is blank")
	}
	var u *body.UserInfo
	if err := decode(r, &u); err != nil || u == nil { // why would quote a password
		return nil, protocol.Errorf(protocol.SystemError, "the body cannot be read as JSON of a user")
	}
	u.Username = name
	return u, nil
}

// deleteUser removes a user and its ACL. Java: AdminBrokerProcessor.deleteUser.
func (h *Handlers) deleteUser(r *mux.Request, req *header.DeleteUserRequest) (*protocol.Command, error) {
	return h.changed(r, "user deleted", "user", req.Username, h.o.Auth.DeleteUser(req.Username, by(r)))
}

// user returns a user, no body when there is none. Java: AdminBrokerProcessor.getUser.
func (h *Handlers) user(_ *mux.Request, req *header.GetUserRequest) (*protocol.Command, error) {
	if strings.TrimSpace(req.Username) == "" {
		return nil, invalid("The username is blank")
	}
	return found(h.o.Auth.User(req.Username))
}

// users lists users. Java: AdminBrokerProcessor.listUser.
func (h *Handlers) users(_ *mux.Request, req *header.ListUsersRequest) (*protocol.Command, error) {
	return listed(h.o.Auth.Users(req.Filter))
}

// createACL adds to an ACL. Java: AdminBrokerProcessor.createAcl.
func (h *Handlers) createACL(r *mux.Request, req *header.CreateAclRequest) (*protocol.Command, error) {
	return h.putACL(r, req.Subject)
}

// updateACL does what createACL does. Java: AdminBrokerProcessor.updateAcl.
func (h *Handlers) updateACL(r *mux.Request, req *header.UpdateAclRequest) (*protocol.Command, error) {
	return h.putACL(r, req.Subject)
}

func (h *Handlers) putACL(r *mux.Request, subject string) (*protocol.Command, error) {
	var a body.AclInfo
	if len(r.Cmd.Body) > 0 { // without policies it is refused
		if err := decode(r, &a); err != nil {
			return nil, err
		}
	}
	return h.changed(r, "ACL changed", "subject", subject, h.o.Auth.PutACL(subject, &a))
}

// deleteACL removes an ACL or what it says of a resource. Java: AdminBrokerProcessor.deleteAcl.
func (h *Handlers) deleteACL(r *mux.Request, req *header.DeleteAclRequest) (*protocol.Command, error) {
	return h.changed(r, "ACL deleted", "subject", req.Subject, h.o.Auth.DeleteACL(req.Subject, req.PolicyType, req.Resource))
}

// acl returns a subject's ACL, no body when there is none. Java: AdminBrokerProcessor.getAcl.
func (h *Handlers) acl(_ *mux.Request, req *header.GetAclRequest) (*protocol.Command, error) {
	return found(h.o.Auth.ACL(req.Subject))
}

// acls lists ACLs. Java: AdminBrokerProcessor.listAcl.
func (h *Handlers) acls(_ *mux.Request, req *header.ListAclsRequest) (*protocol.Command, error) {
	return listed(h.o.Auth.ACLs(req.SubjectFilter, req.ResourceFilter))
}
