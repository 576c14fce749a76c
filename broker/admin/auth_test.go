package admin

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// authPeerVariable names the address of a Java broker to write authFile from. It must be fresh and have both
// Local*MetadataProvider.
const authPeerVariable = "SKYLARK_GOLDEN_AUTH_BROKER"

const (
	authFile   = "testdata/auth.golden"
	authHeader = "# Replies of org.apache.rocketmq.broker.BrokerStartup 5.5.0 with local providers of metadata to authScript; SKYLARK_GOLDEN_AUTH_BROKER=host:port writes them.\n"
)

// TestAuthRepliesAreThoseOfJava compares the bytes of the replies. They differ in what Java leaves out when it is
// empty, where the dashboard fails: lists of users, of ACLs and of source addresses.
func TestAuthRepliesAreThoseOfJava(t *testing.T) {
	addr := os.Getenv(authPeerVariable)
	write := addr != ""
	if !write {
		addr = startBroker(t, nil).addr
	}
	var got strings.Builder
	got.WriteString(authHeader)
	c := newClients(t, addr)
	for _, e := range authScript() {
		resp := c.exchange(e)
		fmt.Fprintf(&got, "\n== %s\ncode %d\n", e.name, resp.Code)
		if !e.remarkless {
			fmt.Fprintf(&got, "remark %q\n", resp.Remark)
		}
		text := strings.ReplaceAll(string(resp.Body), `,"sourceIps":[]`, "")
		if len(resp.Body) > 0 && text != "[]" {
			fmt.Fprintf(&got, "body %s\n", text)
		}
	}
	if write {
		require.NoError(t, os.WriteFile(authFile, []byte(got.String()), 0o644))
		return
	}
	sameReplies(t, authFile, got.String())
}

// entry is a policy entry as text.
func entry(resource, actions, decision string, ips ...string) string {
	text := `{"resource":"` + resource + `","actions":[` + quoted(strings.Split(actions, ",")) + `],"decision":"` + decision + `"`
	if len(ips) > 0 {
		text += `,"sourceIps":[` + quoted(ips) + `]`
	}
	return text + "}"
}

func quoted(words []string) string { return `"` + strings.Join(words, `","`) + `"` }

// acl is an ACL of one policy, without a type when that is "".
func acl(subject, policyType string, entries ...string) string {
	policy := `{"entries":[` + strings.Join(entries, ",") + `]`
	if policyType != "" {
		policy += `,"policyType":"` + policyType + `"`
	}
	return `{"subject":"` + subject + `","policies":[` + policy + `}]}`
}

func authScript() []exchange {
	script := append(userScript(), aclScript()...)
	return append(script, invalidScript()...)
}

func userScript() []exchange {
	create := func(name, user, text string, ext ...string) exchange {
		return ask("create user "+name, protocol.AuthCreateUser, text, append([]string{"username=" + user}, ext...)...)
	}
	update := func(name, user, text string, ext ...string) exchange {
		return ask("update user "+name, protocol.AuthUpdateUser, text, append([]string{"username=" + user}, ext...)...)
	}
	remove := func(name, user string, ext ...string) exchange {
		return ask("delete user "+name, protocol.AuthDeleteUser, "", append([]string{"username=" + user}, ext...)...)
	}
	get := func(user string) exchange { return ask("user "+user, protocol.AuthGetUser, "", "username="+user) }
	list := func(name string, ext ...string) exchange {
		return ask("users "+name, protocol.AuthListUser, "", ext...)
	}
	return []exchange{
		list("when there are none"),
		create("", "alice", `{"username":"alice","password":"secret"}`),
		get("alice"),
		create("again", "alice", `{"password":"other"}`),
		create("of another name in the body", "bob", `{"username":"robert","password":"b","userType":"super","userStatus":"DISABLE"}`),
		get("bob"),
		create("of unknown type and status", "carol", `{"password":"c","userType":"Emperor","userStatus":"asleep"}`),
		get("carol"),
		create("without name", "", `{"password":"x"}`),
		ask("create user without header", protocol.AuthCreateUser, `{"username":"eve","password":"x"}`),
		create("of blank name", " ", `{"password":"x"}`),
		create("of odd name", `d "ö*/:`, `{"password":"p \" ü"}`),
		get(`d "ö*/:`),
		create("without password", "eve", `{}`),
		create("of blank password", "eve", `{"password":" "}`),
		create("of null password", "eve", `{"password":null}`),
		create("without body", "eve", "").noRemark(),
		create("of no JSON", "eve", "{").noRemark(),
		create("of null", "eve", "null").noRemark(),
		create("of an array", "eve", "[]").noRemark(),
		create("super by a super user", "root", `{"password":"r","userType":"Super"}`, "AccessKey=bob"),
		create("super by a normal user", "toor", `{"password":"r","userType":"Super"}`, "AccessKey=alice"),
		create("super by nobody", "toor", `{"password":"r","userType":"Super"}`, "AccessKey=nobody").noRemark(),
		create("super by an empty key", "toor", `{"password":"r","userType":"Super"}`, "AccessKey="),
		create("normal by nobody", "dave", `{"password":"d","userType":"Normal"}`, "AccessKey=nobody"),
		list("all"),
		list("filtered", "filter=o"),
		list("blank filter", "filter= "),
		list("filter of none", "filter=xyz"),
		list("filter of another case", "filter=ALICE"),

		update("nothing", "alice", `{}`),
		get("alice"),
		update("password", "alice", `{"password":"new"}`),
		update("blank password", "alice", `{"password":"  "}`),
		update("status", "alice", `{"userStatus":"disable"}`),
		update("unknown type and status", "alice", `{"userType":"x","userStatus":"y"}`),
		get("alice"),
		update("of nobody", "nobody", `{"password":"x"}`),
		update("without name", "", `{"password":"x"}`),
		update("of blank name", " ", `{"password":"x"}`),
		update("without body", "alice", "").noRemark(),
		update("of no JSON", "alice", "nothing").noRemark(),
		update("to super by a normal user", "alice", `{"userType":"Super"}`, "AccessKey=carol"),
		update("to super by nobody", "alice", `{"userType":"Super"}`, "AccessKey=nobody").noRemark(),
		update("super by a normal user", "root", `{"password":"x"}`, "AccessKey=carol"),
		update("super by nobody", "root", `{"password":"x"}`, "AccessKey=nobody"),
		update("super by itself", "root", `{"password":"x"}`, "AccessKey=root"),
		update("super to normal", "root", `{"userType":"Normal"}`, "AccessKey=root"),
		get("root"),
		update("to super", "root", `{"userType":"SUPER"}`),
		get("root"),

		get("nobody"),
		ask("user without name", protocol.AuthGetUser, ""),
		get(" "),
		remove("", "dave"),
		get("dave"),
		remove("again", "dave"),
		remove("of blank name", " "),
		ask("delete user without name", protocol.AuthDeleteUser, ""),
		remove("super by a normal user", "root", "AccessKey=carol"),
		remove("super by nobody", "root", "AccessKey=nobody"),
		remove("super", "root"),
		list("that are left"),
	}
}

func aclScript() []exchange {
	create := func(name, subject, text string) exchange {
		return ask("create ACL "+name, protocol.AuthCreateACL, text, "subject="+subject)
	}
	update := func(name, subject, text string) exchange {
		return ask("update ACL "+name, protocol.AuthUpdateACL, text, "subject="+subject)
	}
	remove := func(name, subject string, ext ...string) exchange {
		return ask("delete ACL "+name, protocol.AuthDeleteACL, "", append([]string{"subject=" + subject}, ext...)...)
	}
	get := func(subject string) exchange { return ask("ACL "+subject, protocol.AuthGetACL, "", "subject="+subject) }
	list := func(name string, ext ...string) exchange { return ask("ACLs "+name, protocol.AuthListACL, "", ext...) }
	const alice, bob, carol = "User:alice", "User:bob", "User:carol"
	return []exchange{
		list("when there are none"),
		get(alice),
		get("User:nobody"),
		create("", alice, acl(alice, "", entry("Topic:T1", "Pub,Sub", "Allow", "10.0.0.1", "192.168.0.0/16", "::1", "fe80::/10"), entry("Group:G*", "Sub", "Deny"))),
		get(alice),
		create("again adds", alice, acl(alice, "Custom", entry("Topic:T1", "Pub", "Deny"), entry("Topic:T2", "All", "Allow"))),
		get(alice),
		update("of another type", alice, acl(alice, "default", entry("*", "get,LIST,get", "deny"))),
		update("replaces an entry", alice, acl(alice, "Custom", entry("Group:G*", "Pub", "Allow", "10.0.0.9"))),
		get(alice),
		update("of a new subject", bob, acl(bob, "", entry("Cluster:c", "Update", "Allow"), entry("Namespace:n", "Create,Delete,Get", "Allow"))),
		get(bob),
		create("of two policies of a type", carol, `{"policies":[{"entries":[`+entry("Topic:A", "Pub", "Allow")+`]},{"entries":[`+entry("Topic:A", "Sub", "Deny")+`,`+entry("Topic:A", "Get", "Allow")+`]}]}`),
		get(carol),
		update("merges into the first", carol, acl("", "Custom", entry("Topic:A", "List", "Allow"), entry("Topic:A", "Create", "Allow"), entry("Topic:B", "Create", "Allow"))),
		get(carol),
		list("all"),
		list("by subject", "subjectFilter=o"),
		list("by type of subject", "subjectFilter=User:"),
		list("by resource", "resourceFilter=Topic:"),
		list("by both", "subjectFilter=alice", "resourceFilter=Group"),
		list("by the asterisk", "resourceFilter=*"),
		list("by no subject", "subjectFilter=User:z"),
		list("by no resource", "resourceFilter=Topic:Z"),
		list("by blanks", "subjectFilter= ", "resourceFilter="),

		create("of the body's subject", "User:nobody", acl(alice, "", entry("Topic:Body", "Pub", "Allow"))),
		create("of the header's subject", alice, acl("Robot:x", "", entry("Topic:Header", "Pub", "Allow"))),
		create("in other letters", "user:alice", acl("", "CUSTOM", entry("topic:Case", "pUB", "ALLOW"))),
		get("uSER:alice"),
		create("of nobody", "User:nobody", acl("User:nobody", "", entry("Topic:T", "Pub", "Allow"))),
		create("without subject", "", acl("", "", entry("Topic:T", "Pub", "Allow"))).noRemark(),
		create("of an unknown kind of subject", "Robot:x", acl("Robot:x", "", entry("Topic:T", "Pub", "Allow"))).noRemark(),
		get("User"), get("User:"), get("Robot:x"), get(""),
		ask("ACL without subject", protocol.AuthGetACL, ""),

		remove("of one resource", alice, "resource=Topic:T1"),
		remove("of the resource again", alice, "resource=Topic:T1"),
		remove("of a resource by a prefix", alice, "resource=Group:G*"),
		remove("of the default policy", alice, "policyType=Default", "resource=*"),
		remove("of a policy that is not there", alice, "policyType=Default", "resource=Topic:T2"),
		get(alice),
		remove("of an unknown policy type is of custom", alice, "policyType=zzz", "resource=Topic:T2"),
		get(alice),
		remove("of the first of equal entries", carol, "resource=Topic:A"),
		get(carol),
		remove("of the last resource", bob, "resource=Cluster:c"),
		remove("of the very last resource", bob, "resource=Namespace:n"),
		get(bob),
		remove("of none", bob),
		remove("of nobody", "User:nobody"),
		remove("of no subject", ""),
		remove("of an unknown kind of subject", "Robot:x"),
		remove("whole", alice, "resource= "),
		get(alice),
		ask("delete user with an ACL", protocol.AuthDeleteUser, "", "username=carol"),
		get(carol),
		ask("create user anew", protocol.AuthCreateUser, `{"password":"c"}`, "username=carol"),
		get(carol),
		list("that are left"),
	}
}

// invalidScript are ACLs that are refused, or look as though they might be.
func invalidScript() []exchange {
	const who = "User:alice"
	var script []exchange
	try := func(name, text string) {
		script = append(script, ask("ACL of "+name, protocol.AuthCreateACL, text, "subject="+who))
	}
	exception := func(name, text string) {
		try(name, text)
		script[len(script)-1].remarkless = true
	}
	exception("no body", "")
	exception("no JSON", "{")
	exception("null", "null")
	exception("no policies", `{"subject":"User:alice"}`)
	exception("empty policies", `{"policies":[]}`)
	try("a policy without entries", `{"policies":[{}]}`)
	try("a policy of no entries", `{"policies":[{"entries":[]}]}`)
	try("one policy without entries", `{"policies":[{},{"entries":[`+entry("Topic:One", "Pub", "Allow")+`]}]}`)
	exception("a null entry", `{"policies":[{"entries":[null]}]}`)
	exception("no actions", `{"policies":[{"entries":[{"resource":"Topic:T","decision":"Allow"}]}]}`)
	try("empty actions", `{"policies":[{"entries":[{"resource":"Topic:T","actions":[],"decision":"Allow"}]}]}`)
	try("an unknown policy type", acl(who, "Royal", entry("Topic:Royal", "Pub", "Allow")))
	for _, resource := range []string{"", " ", "Topik:T", "Topic", "Topic:", "Topic: x", "Topic:a*b*", "Topic:a*b", "**", "Any:x", "Unknown:x", ":x", "Topic:a:b"} {
		try("resource "+resource, acl(who, "", entry(resource, "Pub", "Allow")))
	}
	for _, actions := range []string{"", "Fly", "Fly,Pub", "Any", "pub,ANY", "Unknown", "ALL", " Pub"} {
		try("actions "+actions, acl(who, "", entry("Topic:Action"+strings.Map(letter, actions), actions, "Allow")))
	}
	for _, decision := range []string{"", "Perhaps", "dEnY"} {
		try("decision "+decision, acl(who, "", entry("Topic:Decision"+decision, "Pub", decision)))
	}
	exception("null decision", `{"policies":[{"entries":[{"resource":"Topic:T","actions":["Pub"]}]}]}`)
	for i, ip := range []string{"", " ", "10.0.0.1", "10.0.0.256", "10.0.0", "010.0.0.1", "10.0.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "0.0.0.0/0",
		"10.0.0.1 ", "*", "10.0.*.*", "::1", "::/0", "fe80::1/129", "2001:db8::/32", "fe80::1%eth0", "::ffff:10.0.0.1", ":::1", "1.2.3.4/8/9", "g::1"} {
		try("address "+ip, acl(who, "", entry(fmt.Sprint("Topic:IP", i), "Pub", "Allow", ip)))
	}
	try("a good and a bad address", acl(who, "", entry("Topic:IPs", "Pub", "Allow", "10.0.0.1", "nowhere")))
	try("a good and a bad entry", acl(who, "", entry("Topic:Good", "Pub", "Allow"), entry("Topic:Bad", "Fly", "Allow")))
	return append(script, ask("ACL of alice in the end", protocol.AuthGetACL, "", "subject="+who),
		ask("all ACLs in the end", protocol.AuthListACL, ""), ask("all users in the end", protocol.AuthListUser, ""))
}

func letter(r rune) rune {
	if r == ',' || r == ' ' {
		return -1
	}
	return r
}
