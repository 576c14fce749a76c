package auth

import (
	"errors"
	"fmt"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Settings are configuration keys under Java's names (AuthConfig). No request changes them. Java's GET_BROKER_CONFIG
// shows what its file says of them, passwords too; here these are hidden.
type Settings struct {
	AuthenticationEnabled          bool   `prop:"authenticationEnabled,hidden"`
	AuthorizationEnabled           bool   `prop:"authorizationEnabled,hidden"`
	AuthenticationMetadataProvider string `prop:"authenticationMetadataProvider,omitempty"` // "": there are no users
	AuthorizationMetadataProvider  string `prop:"authorizationMetadataProvider,omitempty"`  // "": there are no ACLs
	// InitAuthenticationUser is a super user that is created when it is not there: JSON with username and password.
	InitAuthenticationUser string `prop:"initAuthenticationUser,hidden"`
	// InnerClientCredentials are of a super user like that: JSON with accessKey and secretKey.
	InnerClientCredentials string `prop:"innerClientAuthenticationCredentials,hidden"`
}

// The classes that are accepted as providers. Java: LocalAuthenticationMetadataProvider, LocalAuthorizationMetadataProvider.
const (
	UserProvider = "org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider"
	ACLProvider  = "org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider"
)

// Check says which key has a value that a broker must not start with, and why: without that it would seem to protect
// what it does not.
func (k Settings) Check() error {
	for _, enabled := range []struct {
		key string
		on  bool
	}{{"authenticationEnabled", k.AuthenticationEnabled}, {"authorizationEnabled", k.AuthorizationEnabled}} {
		if enabled.on {
			return fmt.Errorf("%s=true: requests are not checked yet, a broker with it would be open to all; set it to false to start without protection", enabled.key)
		}
	}
	for _, provider := range []struct{ key, class, known string }{
		{"authenticationMetadataProvider", k.AuthenticationMetadataProvider, UserProvider},
		{"authorizationMetadataProvider", k.AuthorizationMetadataProvider, ACLProvider},
	} {
		if provider.class != "" && provider.class != provider.known {
			return fmt.Errorf("%s=%.200s names a Java class, which cannot be loaded; only %s is built in", provider.key, provider.class, provider.known)
		}
	}
	if _, err := k.initial(); err != nil {
		return err
	}
	if !k.users() && (!blank(k.InitAuthenticationUser) || !blank(k.InnerClientCredentials)) {
		return fmt.Errorf("initAuthenticationUser and innerClientAuthenticationCredentials need authenticationMetadataProvider=%s", UserProvider)
	}
	return nil
}

func (k Settings) users() bool { return k.AuthenticationMetadataProvider != "" }

func (k Settings) acls() bool { return k.AuthorizationMetadataProvider != "" }

// needUsers refuses what Java cannot do without a provider of users. Java answers code 1, mostly with "An system error
// occurred, please try again later."
func (k Settings) needUsers() error {
	if k.users() {
		return nil
	}
	return protocol.Errorf(protocol.SystemError, "The authenticationMetadataProvider is not configured. It may be %s", UserProvider)
}

// needACLs is needUsers for ACLs.
func (k Settings) needACLs() error {
	if k.acls() {
		return nil
	}
	return protocol.Errorf(protocol.SystemError, "The authorizationMetadataProvider is not configured. It may be %s", ACLProvider)
}

// disableCode is a status as Java's JSON of its own class User has it. Java: UserStatus.DISABLE.
const disableCode = 2

// initial returns the users that the configuration wants to be there. Errors do not quote the values, which hold
// passwords.
func (k Settings) initial() (users []*body.UserInfo, err error) {
	if !blank(k.InitAuthenticationUser) {
		var u struct {
			Username, Password string
			UserStatus         any
		}
		if err := body.Unmarshal([]byte(k.InitAuthenticationUser), &u); err != nil || blank(u.Username) || blank(u.Password) {
			return nil, errors.New(`initAuthenticationUser is not like {"username":"...","password":"..."}`)
		}
		status := userStatus(fmt.Sprint(u.UserStatus))
		if u.UserStatus == float64(disableCode) {
			status = statusDisable
		}
		users = append(users, &body.UserInfo{Username: u.Username, Password: u.Password, UserStatus: status})
	}
	if !blank(k.InnerClientCredentials) {
		var c struct{ AccessKey, SecretKey string }
		if err := body.Unmarshal([]byte(k.InnerClientCredentials), &c); err != nil || blank(c.AccessKey) || blank(c.SecretKey) {
			return nil, errors.New(`innerClientAuthenticationCredentials is not like {"accessKey":"...","secretKey":"..."}`)
		}
		users = append(users, &body.UserInfo{Username: c.AccessKey, Password: c.SecretKey})
	}
	return users, nil
}

// createInitial creates the users of the configuration that are not there. Java: AuthenticationMetadataManagerImpl.initUser.
func (t *Table) createInitial() error {
	users, err := t.o.initial()
	if err != nil {
		return err
	}
	for _, u := range users {
		u.UserType = typeSuper
		if t.state.Load().users[u.Username] != nil {
			continue
		}
		if err := t.CreateUser(u, ""); err != nil {
			return fmt.Errorf("cannot create user %s of the configuration: %w", u.Username, err)
		}
		t.o.Logger.Info().Str("user", u.Username).Msg("a super user is created as the configuration says")
	}
	return nil
}
