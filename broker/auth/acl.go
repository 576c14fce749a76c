package auth

import (
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Kinds of policies. Java: PolicyType.
const (
	policyCustom  = "Custom"
	policyDefault = "Default"
)

func policyType(s string) string { return oneOf(s, policyCustom, policyDefault) }

// ACL returns what is said of a subject such as "User:name", nil when nothing is. The user must be there.
func (t *Table) ACL(subject string) (*body.AclInfo, error) {
	key := subjectKey(subject)
	if key == "" {
		return nil, denied("The subject is null.")
	}
	if err := t.needBoth(); err != nil {
		return nil, err
	}
	s := t.state.Load()
	if !s.knows(key) {
		return nil, denied("The subject is not exist.")
	}
	return s.acls[key], nil
}

// ACLs returns the ACLs whose subject contains the first filter, with those entries only whose resource contains the
// second, in the order of their subjects. A blank filter is in all.
func (t *Table) ACLs(subjectFilter, resourceFilter string) ([]*body.AclInfo, error) {
	if err := t.o.needACLs(); err != nil {
		return nil, err
	}
	list := sorted(t.state.Load().acls)
	kept := list[:0]
	for _, a := range list {
		if !blank(subjectFilter) && !strings.Contains(a.Subject, subjectFilter) {
			continue
		}
		if !blank(resourceFilter) {
			a = withResource(a, resourceFilter)
		}
		if len(a.Policies) > 0 {
			kept = append(kept, a)
		}
	}
	return kept, nil
}

// withResource is an ACL without the entries whose resource does not contain filter.
func withResource(a *body.AclInfo, filter string) *body.AclInfo {
	out := &body.AclInfo{Subject: a.Subject}
	for _, p := range a.Policies {
		var entries []body.PolicyEntryInfo
		for _, e := range p.Entries {
			if strings.Contains(e.Resource, filter) {
				entries = append(entries, e)
			}
		}
		if len(entries) > 0 {
			out.Policies = append(out.Policies, body.PolicyInfo{PolicyType: p.PolicyType, Entries: entries})
		}
	}
	return out
}

// PutACL adds to what is said of a subject: an entry goes over one of the same policy type and resource. It is what
// creating and updating do alike. subject is who is meant when the ACL does not say it.
func (t *Table) PutACL(subject string, a *body.AclInfo) error {
	a, err := normal(subject, a)
	if err != nil {
		return err
	}
	if err := t.needBoth(); err != nil {
		return err
	}
	return t.change(func(s *state) error {
		if !s.knows(a.Subject) {
			return denied("The subject of %s is not exist.", a.Subject)
		}
		if old := s.acls[a.Subject]; old != nil {
			a = merge(old, a)
		}
		s.acls[a.Subject] = a
		return nil
	})
}

// merge returns old with what is new in a. Java: Acl.updatePolicy, Policy.updateEntry.
func merge(old, a *body.AclInfo) *body.AclInfo {
	out := &body.AclInfo{Subject: old.Subject, Policies: slices.Clone(old.Policies)}
	for _, p := range a.Policies {
		i := slices.IndexFunc(out.Policies, func(q body.PolicyInfo) bool { return q.PolicyType == p.PolicyType })
		if i < 0 {
			out.Policies = append(out.Policies, p)
			continue
		}
		out.Policies[i] = mergePolicy(out.Policies[i], p)
	}
	return out
}

func mergePolicy(old, p body.PolicyInfo) body.PolicyInfo {
	out := body.PolicyInfo{PolicyType: old.PolicyType, Entries: slices.Clone(old.Entries)}
	at := make(map[string]int, len(out.Entries)) // the first of a resource
	for i, e := range slices.Backward(out.Entries) {
		at[e.Resource] = i
	}
	for _, e := range p.Entries {
		i, ok := at[e.Resource]
		if ok {
			out.Entries[i] = e
			continue
		}
		at[e.Resource] = len(out.Entries)
		out.Entries = append(out.Entries, e)
	}
	return out
}

// DeleteACL removes what is said of a subject or, when resource is not blank, the entry of a policy type for that; a
// type that is unknown means Custom. An ACL that holds nothing any more goes. Otherwise than in Java a resource that
// is none is refused: Java takes it for blank.
func (t *Table) DeleteACL(subject, kind, resource string) error {
	key, res := subjectKey(subject), resourceKey(resource)
	if key == "" {
		return denied("The subject is null.")
	}
	if res == "" && !blank(resource) {
		return denied("The resource is null.")
	}
	if kind = policyType(kind); kind == "" {
		kind = policyCustom
	}
	if err := t.needBoth(); err != nil {
		return err
	}
	return t.change(func(s *state) error {
		if !s.knows(key) {
			return denied("The subject is not exist.")
		}
		old := s.acls[key]
		if old == nil {
			return denied("The acl is not exist.")
		}
		if left := without(old, kind, res); res != "" && len(left.Policies) > 0 {
			s.acls[key] = left
		} else {
			delete(s.acls, key)
		}
		return nil
	})
}

// without is an ACL without the first entry for a resource of the first policy of a type. Java: Acl.deletePolicy.
func without(a *body.AclInfo, kind, resource string) *body.AclInfo {
	out := &body.AclInfo{Subject: a.Subject, Policies: slices.Clone(a.Policies)}
	i := slices.IndexFunc(out.Policies, func(p body.PolicyInfo) bool { return p.PolicyType == kind })
	if i < 0 {
		return out
	}
	entries := slices.Clone(out.Policies[i].Entries)
	if j := slices.IndexFunc(entries, func(e body.PolicyEntryInfo) bool { return e.Resource == resource }); j >= 0 {
		entries = slices.Delete(entries, j, j+1)
	}
	if len(entries) == 0 {
		out.Policies = slices.Delete(out.Policies, i, i+1)
		return out
	}
	out.Policies[i] = body.PolicyInfo{PolicyType: kind, Entries: entries}
	return out
}

// needBoth refuses what needs users and ACLs.
func (t *Table) needBoth() error {
	if err := t.o.needUsers(); err != nil {
		return err
	}
	return t.o.needACLs()
}

// knows tells whether a subject's user is there.
func (s *state) knows(key string) bool { return s.users[strings.TrimPrefix(key, userPrefix)] != nil }

// normal returns an ACL with its own names spelled as Java spells them, or why it is none. Java: AclConverter.convertAcl,
// AuthorizationMetadataManagerImpl.validate.
func normal(subject string, a *body.AclInfo) (*body.AclInfo, error) {
	if len(a.Policies) == 0 {
		return nil, protocol.Errorf(protocol.SystemError, "The body of acl is null")
	}
	out := &body.AclInfo{Subject: subjectKey(a.Subject)}
	if out.Subject == "" {
		out.Subject = subjectKey(subject)
	}
	if out.Subject == "" {
		return nil, protocol.Errorf(protocol.SystemError, "The subject is null.")
	}
	for _, p := range a.Policies {
		if len(p.Entries) == 0 {
			continue
		}
		q := body.PolicyInfo{PolicyType: policyType(p.PolicyType), Entries: make([]body.PolicyEntryInfo, 0, len(p.Entries))}
		if q.PolicyType == "" {
			q.PolicyType = policyCustom
		}
		for _, e := range p.Entries {
			e, err := normalEntry(e)
			if err != nil {
				return nil, err
			}
			q.Entries = append(q.Entries, e)
		}
		out.Policies = append(out.Policies, q)
	}
	if len(out.Policies) == 0 {
		return nil, denied("The policies is empty.")
	}
	return out, nil
}
