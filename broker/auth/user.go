package auth

import (
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Types of users and what they may be. Java: UserType, UserStatus.
const (
	typeSuper     = "Super"
	typeNormal    = "Normal"
	statusEnable  = "enable"
	statusDisable = "disable"
)

func userType(s string) string   { return oneOf(s, typeSuper, typeNormal) }
func userStatus(s string) string { return oneOf(s, statusEnable, statusDisable) }

// User returns a user, nil when there is none.
func (t *Table) User(name string) (*body.UserInfo, error) {
	if blank(name) {
		return nil, denied("username can not be blank")
	}
	return t.state.Load().users[name], t.o.needUsers()
}

// Users returns the users whose names contain filter, in the order of their names; a blank one is in all.
func (t *Table) Users(filter string) ([]*body.UserInfo, error) {
	if err := t.o.needUsers(); err != nil {
		return nil, err
	}
	list := sorted(t.state.Load().users)
	kept := list[:0]
	for _, u := range list {
		if blank(filter) || strings.Contains(u.Username, filter) {
			kept = append(kept, u)
		}
	}
	return kept, nil
}

// CreateUser adds a user, normal and enabled unless it says otherwise. by is the access key of who asks, "" when there
// is none: with one, a super user is created by super users only.
func (t *Table) CreateUser(u *body.UserInfo, by string) error {
	added := &body.UserInfo{Username: strings.Clone(u.Username), Password: u.Password, UserType: userType(u.UserType), UserStatus: userStatus(u.UserStatus)}
	if added.UserType == typeSuper {
		if err := t.superLogin(by, protocol.SystemError, "The super user can only be create by super user"); err != nil {
			return err
		}
	}
	if blank(u.Username) {
		return denied("username can not be blank")
	}
	if blank(u.Password) {
		return denied("password can not be blank")
	}
	if added.UserType == "" {
		added.UserType = typeNormal
	}
	if added.UserStatus == "" {
		added.UserStatus = statusEnable
	}
	if err := t.o.needUsers(); err != nil {
		return err
	}
	return t.change(func(s *state) error {
		if s.users[added.Username] != nil {
			return denied("The user is existed")
		}
		s.users[added.Username] = added
		return nil
	})
}

// onlyBySuper is Java's remark for deleting, too.
const onlyBySuper = "The super user can only be update by super user"

// UpdateUser changes of a user what u says: a password that is not blank, a type and a status that are known. by is as
// for CreateUser.
func (t *Table) UpdateUser(u *body.UserInfo, by string) error {
	if userType(u.UserType) == typeSuper {
		if err := t.superLogin(by, protocol.SystemError, onlyBySuper); err != nil {
			return err
		}
	}
	if blank(u.Username) {
		return denied("username can not be blank")
	}
	if err := t.o.needUsers(); err != nil {
		return err
	}
	return t.change(func(s *state) error {
		old := s.users[u.Username]
		if old == nil {
			return denied("The user is not exist")
		}
		if old.UserType == typeSuper {
			if err := s.superLogin(by, protocol.NoPermission, onlyBySuper); err != nil {
				return err
			}
		}
		changed := *old
		if !blank(u.Password) {
			changed.Password = u.Password
		}
		if ty := userType(u.UserType); ty != "" {
			changed.UserType = ty
		}
		if status := userStatus(u.UserStatus); status != "" {
			changed.UserStatus = status
		}
		s.users[old.Username] = &changed
		return nil
	})
}

// DeleteUser removes a user and its ACL; none is no error. by is as for CreateUser.
func (t *Table) DeleteUser(name, by string) error {
	if u, err := t.User(name); err != nil || u == nil {
		return err
	}
	return t.change(func(s *state) error {
		u := s.users[name]
		if u != nil && u.UserType == typeSuper {
			if err := s.superLogin(by, protocol.NoPermission, onlyBySuper); err != nil {
				return err
			}
		}
		delete(s.users, name)
		delete(s.acls, subjectOf(name))
		return nil
	})
}

// superLogin is that of the state of now.
func (t *Table) superLogin(by string, code int32, remark string) error {
	if by == "" {
		return nil
	}
	if err := t.o.needUsers(); err != nil {
		return err
	}
	return t.state.Load().superLogin(by, code, remark)
}

// superLogin refuses an access key that is not a super user's, with a code and a remark. Without a key nobody has
// asked for one, so all goes. Java: AdminBrokerProcessor.isNotSuperUserLogin.
func (s *state) superLogin(by string, code int32, remark string) error {
	if by == "" {
		return nil
	}
	switch u := s.users[by]; {
	case u == nil:
		return protocol.Errorf(code, "User:%s is not found", by)
	case u.UserType != typeSuper:
		return &protocol.Error{Code: code, Remark: remark}
	}
	return nil
}
