package auth

import (
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func TestSettingsThatABrokerMustNotStartWith(t *testing.T) {
	with := func(change func(s *Settings)) Settings {
		s := both
		change(&s)
		return s
	}
	for name, x := range map[string]struct {
		s    Settings
		want string // "": it starts
	}{
		"nothing":        {Settings{}, ""},
		"providers":      {both, ""},
		"authentication": {with(func(s *Settings) { s.AuthenticationEnabled = true }), "authenticationEnabled=true: requests are not checked yet"},
		"authorization":  {Settings{AuthorizationEnabled: true}, "authorizationEnabled=true: requests are not checked yet"},
		"other class of users": {with(func(s *Settings) { s.AuthenticationMetadataProvider = "com.example.Users" }),
			"authenticationMetadataProvider=com.example.Users names a Java class, which cannot be loaded"},
		"class of users for ACLs": {with(func(s *Settings) { s.AuthorizationMetadataProvider = UserProvider }), "authorizationMetadataProvider=" + UserProvider + " names"},
		"user":                    {with(func(s *Settings) { s.InitAuthenticationUser = `{"username":"u","password":"hush"}` }), ""},
		"blank user":              {with(func(s *Settings) { s.InitAuthenticationUser = "  " }), ""},
		"user without a provider": {Settings{InitAuthenticationUser: `{"username":"u","password":"hush"}`}, "need authenticationMetadataProvider=" + UserProvider},
		"user without password":   {with(func(s *Settings) { s.InitAuthenticationUser = `{"username":"hush"}` }), "initAuthenticationUser is not like"},
		"user of no JSON":         {with(func(s *Settings) { s.InitAuthenticationUser = "u:hush" }), "initAuthenticationUser is not like"},
		"user of another form":    {with(func(s *Settings) { s.InitAuthenticationUser = `["hush"]` }), "initAuthenticationUser is not like"},
		"credentials":             {with(func(s *Settings) { s.InnerClientCredentials = `{"accessKey":"u","secretKey":"hush"}` }), ""},
		"credentials without key": {with(func(s *Settings) { s.InnerClientCredentials = `{"secretKey":"hush"}` }), "innerClientAuthenticationCredentials is not like"},
	} {
		t.Run(name, func(t *testing.T) {
			err := x.s.Check()
			if x.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, x.want)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestUsersOfTheConfigurationAreCreatedOnce(t *testing.T) {
	s := both
	s.InitAuthenticationUser = `{"username":"init","password":"one","userType":"Normal","userStatus":2}`
	s.InnerClientCredentials = `{"accessKey":"inner","secretKey":"two"}`
	path := newFile(t)
	table := open(t, path, s)
	get := func(name string) body.UserInfo {
		u, err := table.User(name)
		require.NoError(t, err)
		require.NotNil(t, u, name)
		return *u
	}
	require.Equal(t, body.UserInfo{Username: "init", Password: "one", UserType: "Super", UserStatus: "disable"}, get("init"))
	require.Equal(t, body.UserInfo{Username: "inner", Password: "two", UserType: "Super", UserStatus: "enable"}, get("inner"))
	require.NoError(t, table.UpdateUser(&body.UserInfo{Username: "init", Password: "changed", UserType: "Normal"}, ""))
	require.NoError(t, table.DeleteUser("inner", ""))
	table = open(t, path, s)
	require.Equal(t, body.UserInfo{Username: "init", Password: "changed", UserType: "Normal", UserStatus: "disable"}, get("init"), "it is there, so it stays")
	require.Equal(t, "two", get("inner").Password)

	s.InitAuthenticationUser = "nothing"
	_, err := Open(Options{Path: path, Logger: zerolog.Nop(), Settings: s})
	require.ErrorContains(t, err, "initAuthenticationUser")
}
