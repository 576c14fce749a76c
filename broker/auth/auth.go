// Package auth keeps users and what they may do (ACL 2.0), with Java's rules of how they change. Java:
// AuthenticationMetadataManagerImpl, AuthorizationMetadataManagerImpl and their local providers. Nothing is checked
// by them yet: whoever does can ask User and ACL.
//
// Java keeps them in RocksDB; here they are one JSON file, so that a user goes together with its ACL. A change is
// written before it is seen or acknowledged. Reads take no lock; what is returned is shared and must not be changed.
package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Options are what a Table needs.
type Options struct {
	Path   string // of the file
	Logger zerolog.Logger
	// Settings must have passed Check.
	Settings
}

// Table holds users by name and ACLs by subject. All methods are safe for concurrent use. Errors of requests are
// *protocol.Error with Java's codes and remarks.
type Table struct {
	o     Options
	mu    sync.Mutex // a change
	state atomic.Pointer[state]
}

// state is what the table holds at a time; it is never changed in place.
type state struct {
	users map[string]*body.UserInfo
	acls  map[string]*body.AclInfo
}

// Open reads the file, if there is one, and creates the users that the configuration wants. A file
// that is there and cannot be used is an error.
func Open(o Options) (*Table, error) {
	t := &Table{o: o}
	t.state.Store(&state{map[string]*body.UserInfo{}, map[string]*body.AclInfo{}})
	if !o.users() && !o.acls() {
		return t, nil
	}
	_, err := fsys.ReadConfig(o.Path, o.Logger, func(data []byte) error {
		s, err := decode(data)
		if err == nil {
			t.state.Store(s)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load users and ACLs: %w", err)
	}
	return t, t.createInitial()
}

// change has fn change a copy of what the table holds, and makes it durable before anybody sees it.
func (t *Table) change(fn func(s *state) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state.Load()
	s := &state{maps.Clone(old.users), maps.Clone(old.acls)}
	if err := fn(s); err != nil {
		return err
	}
	data, err := encode(s)
	if err != nil {
		return err
	}
	if err := fsys.WriteConfigIn(fsys.Private{}, t.o.Path, data); err != nil {
		t.o.Logger.Error().Err(err).Msg("cannot store users and ACLs, nothing is changed")
		return fmt.Errorf("cannot store users and ACLs: %w", err)
	}
	t.state.Store(s)
	return nil
}

// maxFile bounds the file, and so what is in memory; all of it in one reply is far below a frame's 16 MiB.
const maxFile = 8 << 20

// file is the file's content, each list in the order of its names.
type file struct {
	ACLs  []*body.AclInfo  `json:"acls"`
	Users []*body.UserInfo `json:"users"`
}

func encode(s *state) ([]byte, error) {
	data, err := body.MarshalPretty(file{ACLs: sorted(s.acls), Users: sorted(s.users)})
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, protocol.Errorf(protocol.SystemError, "users and ACLs would take more than %d bytes", maxFile)
	}
	return data, nil
}

// sorted returns the values of a map in the order of their keys' bytes.
func sorted[V any](m map[string]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// decode reads the file. It takes what requests may bring as well.
func decode(data []byte) (*state, error) {
	var f file
	if err := body.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Users == nil || f.ACLs == nil {
		return nil, errors.New("it has no list of users or of ACLs")
	}
	s := &state{make(map[string]*body.UserInfo, len(f.Users)), make(map[string]*body.AclInfo, len(f.ACLs))}
	for _, u := range f.Users {
		if u == nil || blank(u.Username) || s.users[u.Username] != nil {
			return nil, errors.New("a user is null, has no name or is there twice")
		}
		if u.UserType, u.UserStatus = userType(u.UserType), userStatus(u.UserStatus); u.UserType == "" || u.UserStatus == "" {
			return nil, fmt.Errorf("user %.80q has no known type or status", u.Username)
		}
		s.users[u.Username] = u
	}
	for _, a := range f.ACLs {
		if a == nil {
			return nil, errors.New("an ACL is null")
		}
		a, err := normal(a.Subject, a)
		if err != nil {
			return nil, fmt.Errorf("an ACL is wrong: %w", err)
		}
		if s.acls[a.Subject] != nil {
			return nil, fmt.Errorf("subject %.80q is there twice", a.Subject)
		}
		s.acls[a.Subject] = a
	}
	return s, nil
}

// denied is a refusal by a rule. Java: AuthenticationException, AuthorizationException.
func denied(format string, args ...any) error {
	return protocol.Errorf(protocol.NoPermission, format, args...)
}

// blank is Java's StringUtils.isBlank.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

// oneOf returns the name of the list that s is in whatever letters, "" when it is none.
func oneOf(s string, names ...string) string {
	for _, n := range names {
		if strings.EqualFold(s, n) {
			return n
		}
	}
	return ""
}
