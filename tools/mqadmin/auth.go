package mqadmin

import (
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/client/admin"
)

func authCommands() []command {
	const target = "c/clusterName= b/brokerAddr= "
	return []command{
		{name: "createUser", usage: "Create user to cluster.", change: true, run: createUser, options: target + "u/username=* p/password=* t/userType="},
		{name: "updateUser", usage: "Update user to cluster.", change: true, run: updateUser, options: target + "u/username=* p/password= t/userType= s/userStatus="},
		{name: "deleteUser", usage: "Delete user from cluster.", change: true, run: deleteUser, options: target + "u/username=*"},
		{name: "getUser", usage: "Get user from cluster.", run: getUser, options: target + "u/username="},
		{name: "listUser", usage: "List user from cluster.", run: listUser, options: target + "f/filter="},
		{name: "copyUser", usage: "Copy user to cluster.", change: true, run: copyUser, options: "f/fromBroker=* t/toBroker=* u/usernames="},
		{name: "createAcl", usage: "Create acl to cluster.", change: true, run: createACL, options: target + "s/subject=* r/resources=* a/actions=* i/sourceIp= d/decision=*"},
		{name: "updateAcl", usage: "Update acl to cluster.", change: true, run: updateACL, options: target + "s/subject=* r/resources=* a/actions=* d/decision=* i/sourceIp="},
		{name: "deleteAcl", usage: "Delete acl from cluster.", change: true, run: deleteACL, options: target + "s/subject=* r/resources="},
		{name: "getAcl", usage: "Get acl from cluster.", run: getACL, options: target + "s/subject="},
		{name: "listAcl", usage: "List acl from cluster.", run: listACL, options: target + "s/subject= r/resource="},
		{name: "copyAcl", usage: "Copy acl to cluster.", change: true, run: copyACL, options: "f/fromBroker=* t/toBroker=* s/subjects="},
	}
}

// everywhere makes a change at every broker of -b or -c and says so.
func everywhere(k *call, what string, change func(addr string) error) error {
	return k.each(k.brokers, func(addr string) error {
		return done(k, change(addr), fmt.Sprintf("%s to %s success.\n", what, addr))
	})
}

// fromMaster asks the masters of -b or -c until one knows something.
func fromMaster[T any](k *call, ask func(addr string) (T, bool, error)) (found T, from string, err error) {
	addrs, err := k.masters()
	for _, a := range addrs {
		v, ok, err := ask(a)
		if err != nil || ok {
			return v, a, err
		}
	}
	return found, "", err
}

func (k *call) user() admin.User {
	return admin.User{Username: k.str("u"), Password: k.str("p"), UserType: k.str("t"), UserStatus: k.str("s")}
}

func createUser(k *call) error {
	return everywhere(k, "create user", func(addr string) error { return k.CreateUser(k.ctx, addr, k.user()) })
}

func updateUser(k *call) error {
	return everywhere(k, "update user", func(addr string) error { return k.UpdateUser(k.ctx, addr, k.user()) })
}

func deleteUser(k *call) error {
	return everywhere(k, "delete user", func(addr string) error { return k.DeleteUser(k.ctx, addr, k.str("u")) })
}

func printUsers(k *call, list []admin.User) {
	const format = "%-16s  %-22s  %-22s  %-22s\n"
	if len(list) == 0 {
		return
	}
	k.printf(format, "#UserName", "#Password", "#UserType", "#UserStatus")
	for _, u := range list {
		k.printf(format, u.Username, orNull(u.Password), orNull(u.UserType), orNull(u.UserStatus))
	}
}

func getUser(k *call) error {
	u, _, err := fromMaster(k, func(addr string) (*admin.User, bool, error) {
		u, err := k.User(k.ctx, addr, k.str("u"))
		return u, err == nil && u.Username != "", err
	})
	if err != nil || u == nil {
		return err
	}
	return k.show(u, func() { printUsers(k, []admin.User{*u}) })
}

func listUser(k *call) error {
	list, from, err := fromMaster(k, func(addr string) ([]admin.User, bool, error) {
		list, err := k.Users(k.ctx, addr, k.str("f"))
		return list, len(list) > 0, err
	})
	if err != nil {
		return err
	}
	return k.show(list, func() {
		printUsers(k, list)
		if from != "" && !k.has("b") {
			k.printf("get user from %s success.\n", from)
		}
	})
}

// copies copies things from the broker of -f to that of -t: the named ones or all.
func copies[T any](k *call, what, named string, all func(addr string) ([]T, error), one func(addr, name string) (T, error), name func(T) string, create, update func(addr string, v T) error) error {
	from, to := k.str("f"), k.str("t")
	var list []T
	var err error
	if named == "" {
		list, err = all(from)
	}
	for _, n := range strings.FieldsFunc(named, func(r rune) bool { return r == ',' }) {
		v, e := one(from, strings.TrimSpace(n))
		if e != nil {
			return e
		}
		if name(v) != "" {
			list = append(list, v)
		}
	}
	if err != nil {
		return err
	}
	for _, v := range list {
		there, err := one(to, name(v))
		if err != nil {
			return err
		}
		if name(there) == "" {
			err = create(to, v)
		} else {
			err = update(to, v)
		}
		if err != nil {
			return err
		}
		k.printf("copy %s of %s from %s to %s success.\n", what, name(v), from, to)
	}
	return nil
}

func copyUser(k *call) error {
	return copies(k, "user", k.str("u"),
		func(addr string) ([]admin.User, error) { return k.Users(k.ctx, addr, "") },
		func(addr, name string) (admin.User, error) { return deref(k.User(k.ctx, addr, name)) },
		func(u admin.User) string { return u.Username },
		func(addr string, u admin.User) error { return k.CreateUser(k.ctx, addr, u) },
		func(addr string, u admin.User) error { return k.UpdateUser(k.ctx, addr, u) })
}

func deref[T any](v *T, err error) (T, error) {
	if v == nil {
		return *new(T), err
	}
	return *v, err
}

// acl is one policy with an entry for each resource.
func (k *call) acl() admin.ACL {
	list := func(option string) []string {
		return strings.FieldsFunc(strings.ReplaceAll(k.str(option), " ", ""), func(r rune) bool { return r == ',' })
	}
	var p admin.Policy
	for _, r := range list("r") {
		p.Entries = append(p.Entries, admin.PolicyEntry{Resource: r, Actions: list("a"), SourceIPs: list("i"), Decision: k.str("d")})
	}
	return admin.ACL{Subject: k.str("s"), Policies: []admin.Policy{p}}
}

func createACL(k *call) error {
	return everywhere(k, "create acl", func(addr string) error { return k.CreateACL(k.ctx, addr, k.acl()) })
}

func updateACL(k *call) error {
	return everywhere(k, "update acl", func(addr string) error { return k.UpdateACL(k.ctx, addr, k.acl()) })
}

func deleteACL(k *call) error {
	return everywhere(k, "delete acl", func(addr string) error { return k.DeleteACL(k.ctx, addr, k.str("s"), k.str("r")) })
}

func printACLs(k *call, list []admin.ACL) {
	const format = "%-16s  %-10s  %-22s  %-20s  %-24s  %-10s\n"
	if len(list) == 0 {
		return
	}
	k.printf(format, "#Subject", "#PolicyType", "#Resource", "#Actions", "#SourceIp", "#Decision")
	for _, a := range list {
		if len(a.Policies) == 0 {
			k.printf(format, a.Subject, "", "", "", "", "")
		}
		for _, p := range a.Policies {
			for _, e := range p.Entries {
				ips := "null"
				if e.SourceIPs != nil {
					ips = javaList(e.SourceIPs)
				}
				k.printf(format, a.Subject, p.PolicyType, e.Resource, javaList(e.Actions), ips, e.Decision)
			}
		}
	}
}

func getACL(k *call) error {
	a, _, err := fromMaster(k, func(addr string) (*admin.ACL, bool, error) {
		a, err := k.ACL(k.ctx, addr, k.str("s"))
		return a, err == nil && a.Subject != "", err
	})
	if err != nil || a == nil {
		return err
	}
	return k.show(a, func() {
		if a.Subject != "" {
			printACLs(k, []admin.ACL{*a})
		}
	})
}

func listACL(k *call) error {
	list, _, err := fromMaster(k, func(addr string) ([]admin.ACL, bool, error) {
		list, err := k.ACLs(k.ctx, addr, k.str("s"), k.str("r"))
		return list, len(list) > 0, err
	})
	if err != nil {
		return err
	}
	return k.show(list, func() { printACLs(k, list) })
}

func copyACL(k *call) error {
	return copies(k, "acl", k.str("s"),
		func(addr string) ([]admin.ACL, error) { return k.ACLs(k.ctx, addr, "", "") },
		func(addr, name string) (admin.ACL, error) { return deref(k.ACL(k.ctx, addr, name)) },
		func(a admin.ACL) string { return a.Subject },
		func(addr string, a admin.ACL) error { return k.CreateACL(k.ctx, addr, a) },
		func(addr string, a admin.ACL) error { return k.UpdateACL(k.ctx, addr, a) })
}
