package auth

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// userPrefix begins the key of the one kind of subject. Java: SubjectType.
const userPrefix = "User:"

func subjectOf(user string) string { return userPrefix + user }

// subjectKey returns a subject as Java spells it, "" when it is of no known kind. Java: Subject.of.
func subjectKey(s string) string {
	kind, name, _ := strings.Cut(s, ":")
	if !strings.EqualFold(kind, "User") {
		return ""
	}
	return strings.Clone(subjectOf(name))
}

// resourceKey returns a resource as Java spells it, "" when it is none. What looks the same is the same here; Java tells
// "*" from "Any:x", which it shows as "*". Java: Resource.of, Resource.getResourceKey.
func resourceKey(s string) string {
	if blank(s) {
		return ""
	}
	kind, name, _ := strings.Cut(s, ":")
	switch kind = oneOf(kind, "Unknown", "Any", "Cluster", "Namespace", "Topic", "Group", "*"); {
	case kind == "" || kind == "*" && s != "*":
		return ""
	case kind == "Any" || kind == "*":
		return "*"
	}
	if strings.HasSuffix(name, "*") { // a prefix ends at its first asterisk
		name = name[:strings.Index(name, "*")+1]
	}
	return kind + ":" + name
}

// actions are the names of what can be done. Java: Action.
var actions = []string{"Unknown", "All", "Any", "Pub", "Sub", "Create", "Update", "Delete", "Get", "List"}

// normalEntry returns an entry spelled as Java does, or why it is none; unknown actions are left out. Java:
// AclConverter.convertAcl, AuthorizationMetadataManagerImpl.validate.
func normalEntry(e body.PolicyEntryInfo) (body.PolicyEntryInfo, error) {
	out := body.PolicyEntryInfo{Resource: resourceKey(e.Resource), Actions: []string{}, SourceIPs: slices.Clone(e.SourceIPs), Decision: oneOf(e.Decision, "Allow", "Deny")}
	if e.Actions == nil { // there Java fails
		return out, protocol.Errorf(protocol.SystemError, "The actions is null.")
	}
	for _, a := range e.Actions {
		if a = oneOf(a, actions...); a != "" {
			out.Actions = append(out.Actions, a)
		}
	}
	if out.Resource == "" {
		return out, denied("The resource is null.")
	}
	if len(out.Actions) == 0 {
		return out, denied("The actions is empty.")
	}
	if slices.Contains(out.Actions, "Any") {
		return out, denied("The actions can not be Any.")
	}
	for _, ip := range e.SourceIPs {
		if blank(ip) {
			return out, denied("The source ip is empty.")
		}
		if !address(ip) {
			return out, denied("The source ip is invalid.")
		}
	}
	if out.Decision == "" {
		return out, denied("The decision is null or illegal.")
	}
	return out, nil
}

// address tells whether s is an IP address or a range of them such as 10.0.0.0/8. Otherwise than in Java it is never
// looked up as a name. Java: IPAddressUtils.isValidIPOrCidr.
func address(s string) bool {
	ip, bits, isRange := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(ip)
	if err != nil || !isRange {
		return err == nil
	}
	n, err := strconv.Atoi(bits)
	return err == nil && n >= 0 && n <= addr.BitLen()
}
