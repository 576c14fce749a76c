package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// What requests say and Java answers is in the script of broker/admin (TestAuthRepliesAreThoseOfJava). Here is what is
// not seen on the wire.

var both = Settings{AuthenticationMetadataProvider: UserProvider, AuthorizationMetadataProvider: ACLProvider}

// open opens a table. None is closed: what was acknowledged is on disk.
func open(t testing.TB, path string, settings Settings) *Table {
	t.Helper()
	table, err := Open(Options{Path: path, Logger: zerolog.Nop(), Settings: settings})
	require.NoError(t, err)
	return table
}

func newFile(t testing.TB) string { return filepath.Join(t.TempDir(), "store", "skylark", "auth.json") }

func user(name string) *body.UserInfo { return &body.UserInfo{Username: name, Password: "p-" + name} }

func allow(subject string, resources ...string) *body.AclInfo {
	var p body.PolicyInfo
	for _, r := range resources {
		p.Entries = append(p.Entries, body.PolicyEntryInfo{Resource: r, Actions: []string{"Pub"}, Decision: "Allow"})
	}
	return &body.AclInfo{Subject: subject, Policies: []body.PolicyInfo{p}}
}

// fill gives a table a bit of everything.
func fill(t testing.TB, table *Table) {
	t.Helper()
	for _, name := range []string{"alice", `b "ö`, "carol"} {
		require.NoError(t, table.CreateUser(user(name), ""))
	}
	require.NoError(t, table.UpdateUser(&body.UserInfo{Username: "carol", UserType: "super", UserStatus: "DISABLE"}, ""))
	require.NoError(t, table.PutACL("", allow("User:alice", "Topic:a*", "*")))
	require.NoError(t, table.PutACL("", &body.AclInfo{Subject: "User:alice", Policies: []body.PolicyInfo{{PolicyType: "default",
		Entries: []body.PolicyEntryInfo{{Resource: "group:g", Actions: []string{"SUB"}, SourceIPs: []string{"10.0.0.0/8"}, Decision: "deny"}}}}}))
	require.NoError(t, table.PutACL("User:carol", allow("", "Cluster:c")))
}

// content is what a table answers.
func content(t testing.TB, table *Table) string {
	t.Helper()
	users, err := table.Users("")
	require.NoError(t, err)
	acls, err := table.ACLs("", "")
	require.NoError(t, err)
	b, err := body.Marshal([]any{users, acls})
	require.NoError(t, err)
	return string(b)
}

func TestWhatIsAcknowledgedIsOnDisk(t *testing.T) {
	path := newFile(t)
	table := open(t, path, both)
	require.NoFileExists(t, path)
	fill(t, table)
	require.Equal(t, content(t, table), content(t, open(t, path, both)))
	require.NoError(t, table.DeleteACL("User:alice", "", "Topic:a*"))
	require.NoError(t, table.DeleteUser("carol", ""))
	again := open(t, path, both)
	require.Equal(t, `[[{"password":"p-alice","userStatus":"enable","userType":"Normal","username":"alice"},{"password":"p-b \"ö","userStatus":"enable","userType":"Normal","username":"b \"ö"}],`+
		`[{"policies":[{"entries":[{"actions":["Pub"],"decision":"Allow","resource":"*","sourceIps":[]}],"policyType":"Custom"},`+
		`{"entries":[{"actions":["Sub"],"decision":"Deny","resource":"Group:g","sourceIps":["10.0.0.0/8"]}],"policyType":"Default"}],"subject":"User:alice"}]]`, content(t, again))
	for _, name := range []string{path, path + ".bak"} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func TestAFailedWriteChangesNothing(t *testing.T) {
	path := newFile(t)
	table := open(t, path, both)
	fill(t, table)
	before := content(t, table)
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	require.NoError(t, os.WriteFile(filepath.Dir(path), nil, 0o644)) // where the folder was
	require.ErrorContains(t, table.CreateUser(user("dave"), ""), "cannot store")
	require.ErrorContains(t, table.UpdateUser(user("alice"), ""), "cannot store")
	require.ErrorContains(t, table.DeleteUser("alice", ""), "cannot store")
	require.ErrorContains(t, table.PutACL("", allow("User:alice", "Topic:x")), "cannot store")
	require.ErrorContains(t, table.DeleteACL("User:alice", "", ""), "cannot store")
	require.Equal(t, before, content(t, table))
}

func TestABrokenFileIsNotAnEmptyTable(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "null": "null", "nothing in it": "{}", "no users": `{"acls":[]}`, "no ACLs": `{"users":[]}`, "cut": `{"acls":[],"users":[{"us`,
		"a null user": `{"acls":[],"users":[null]}`, "a user without name": `{"acls":[],"users":[{"password":"x","userType":"Super","userStatus":"enable"}]}`,
		"a user of no type": `{"acls":[],"users":[{"username":"x","password":"x","userStatus":"enable"}]}`,
		"two of a name":     `{"acls":[],"users":[{"username":"x","userType":"Super","userStatus":"enable"},{"username":"x","userType":"Normal","userStatus":"enable"}]}`,
		"a null ACL":        `{"acls":[null],"users":[]}`, "an empty ACL": `{"acls":[{}],"users":[]}`, "an ACL of nobody": `{"users":[],"acls":[{"policies":[{"entries":[{"resource":"*","actions":["Pub"],"decision":"Allow"}]}]}]}`,
		"an entry without decision": `{"users":[],"acls":[{"subject":"User:x","policies":[{"entries":[{"resource":"*","actions":["Pub"]}]}]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			table := open(t, path, both)
			fill(t, table)
			require.NoError(t, table.CreateUser(user("last"), ""))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			again := open(t, path, both)
			require.Len(t, again.state.Load().users, 3, "of the backup")
			kept, err := filepath.Glob(filepath.Join(filepath.Dir(path), "broken", "auth.json-*"))
			require.NoError(t, err)
			require.Len(t, kept, 1)

			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			require.NoError(t, os.WriteFile(path+".bak", []byte(text), 0o600))
			_, err = Open(Options{Path: path, Logger: zerolog.Nop(), Settings: both})
			require.ErrorContains(t, err, path)
		})
	}
}

func TestWithoutProvidersNothingIsThereOrLooked(t *testing.T) {
	path := newFile(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("broken"), 0o600))
	table := open(t, path, Settings{})
	for name, err := range calls(table) {
		require.ErrorContains(t, err, "MetadataProvider is not configured. It may be org.apache.rocketmq.auth.", name)
		require.Equal(t, protocol.SystemError, err.(*protocol.Error).Code, name)
	}
	require.NoError(t, os.Remove(path))
	users := open(t, path, Settings{AuthenticationMetadataProvider: UserProvider})
	require.NoError(t, users.CreateUser(user("alice"), ""))
	for name, err := range calls(users) {
		if strings.Contains(name, "ACL") {
			require.ErrorContains(t, err, "authorizationMetadataProvider is not configured", name)
		} else {
			require.NoError(t, err, name)
		}
	}
}

// calls asks a table for everything.
func calls(table *Table) map[string]error {
	out := map[string]error{}
	_, out["user"] = table.User("alice")
	_, out["users"] = table.Users("")
	_, out["ACL"] = table.ACL("User:alice")
	_, out["ACLs"] = table.ACLs("", "")
	out["create user"] = table.CreateUser(user("bob"), "")
	out["update user"] = table.UpdateUser(user("bob"), "")
	out["delete user"] = table.DeleteUser("bob", "")
	out["put ACL"] = table.PutACL("", allow("User:alice", "*"))
	out["delete ACL"] = table.DeleteACL("User:alice", "", "")
	return out
}

func TestADeleteOfWhatIsNoResourceDeletesNothing(t *testing.T) {
	table := open(t, newFile(t), both)
	fill(t, table)
	before := content(t, table)
	err := table.DeleteACL("User:alice", "", "Topik:a")
	require.Equal(t, &protocol.Error{Code: protocol.NoPermission, Remark: "The resource is null."}, err)
	require.Equal(t, before, content(t, table))
}

// What looks the same is the same: Java shows each of these alike and cannot delete it by what it shows.
func TestResourcesAreTheSameWhenTheyLookTheSame(t *testing.T) {
	table := open(t, newFile(t), both)
	require.NoError(t, table.CreateUser(user("alice"), ""))
	require.NoError(t, table.PutACL("", allow("User:alice", "*")))
	require.NoError(t, table.PutACL("", allow("User:alice", "Any:x", "topic:**", "Topic:*")))
	a, err := table.ACL("User:alice")
	require.NoError(t, err)
	require.Len(t, a.Policies[0].Entries, 2, "%v", a)
	require.NoError(t, table.DeleteACL("User:alice", "", "Any:*"))
	require.NoError(t, table.DeleteACL("User:alice", "", "Topic:*"))
	a, err = table.ACL("User:alice")
	require.NoError(t, err)
	require.Nil(t, a)
}

func TestWhatWasReturnedNeverChanges(t *testing.T) {
	table := open(t, newFile(t), both)
	fill(t, table)
	u, err := table.User("alice")
	require.NoError(t, err)
	a, err := table.ACL("User:alice")
	require.NoError(t, err)
	before := fmt.Sprint(*u, *a)
	require.NoError(t, table.UpdateUser(&body.UserInfo{Username: "alice", Password: "other"}, ""))
	require.NoError(t, table.PutACL("", allow("User:alice", "*", "Topic:a*", "Topic:new")))
	require.NoError(t, table.DeleteACL("User:alice", "Default", "Group:g"))
	require.NoError(t, table.DeleteACL("User:alice", "", "*"))
	require.Equal(t, before, fmt.Sprint(*u, *a))
}

func TestSizeIsBounded(t *testing.T) {
	table := open(t, newFile(t), both)
	require.NoError(t, table.CreateUser(user("alice"), ""))
	big := strings.Repeat("x", maxFile/2)
	require.NoError(t, table.PutACL("", allow("User:alice", "Topic:"+big)))
	for name, err := range map[string]error{
		"entry":    table.PutACL("", allow("User:alice", "Topic:y"+big)),
		"name":     table.CreateUser(user(big), ""),
		"password": table.UpdateUser(&body.UserInfo{Username: "alice", Password: big}, ""),
	} {
		require.ErrorContains(t, err, "would take more than", name)
	}
	require.NoError(t, table.PutACL("", allow("User:alice", "Topic:z")))
}

func TestManyAtOnce(t *testing.T) {
	path := newFile(t)
	table := open(t, path, both)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 5 {
				name := fmt.Sprint("u", w, i)
				assert.NoError(t, table.CreateUser(user(name), ""))
				assert.NoError(t, table.PutACL("User:"+name, allow("", "Topic:t")))
				_, err := table.ACLs("", "Topic")
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	again := open(t, path, both)
	require.Len(t, again.state.Load().users, 20)
	require.Len(t, again.state.Load().acls, 20)
}

// FuzzPutACL: whatever a body says, the table stays one that its file brings back.
func FuzzPutACL(f *testing.F) {
	f.Add("User:alice", `{"policies":[{"entries":[{"actions":["Pub"],"decision":"Allow","resource":"Topic:*","sourceIps":["1.2.3.0/24"]}],"policyType":"Custom"}],"subject":"User:alice"}`)
	f.Add("user:alice", `{"policies":[null,{"entries":[null]},{"entries":[{"actions":["all"],"decision":"DENY","resource":"Any:*"}]}]}`)
	f.Add("User:\xff", `{"policies":[{"entries":[{"actions":["Get"],"decision":"deny","resource":"group:\u0000**","sourceIps":["fe80::1%\n/3"]}]}]}`)
	f.Fuzz(func(t *testing.T, subject, text string) {
		var a body.AclInfo
		if body.Unmarshal([]byte(text), &a) != nil {
			return
		}
		n, err := normal(subject, &a)
		if err != nil {
			return
		}
		s := &state{map[string]*body.UserInfo{}, map[string]*body.AclInfo{n.Subject: n}}
		data, err := encode(s)
		require.NoError(t, err)
		back, err := decode(data)
		require.NoError(t, err, "%s", data)
		again, err := encode(back)
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
		m := merge(n, n)
		_, err = normal("", m)
		require.NoError(t, err)
	})
}
