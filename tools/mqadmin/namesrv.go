package mqadmin

import (
	"context"
	"fmt"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/properties"
)

func namesrvCommands() []command {
	return []command{
		{name: "updateKvConfig", usage: "Create or update KV config.", change: true, options: "s/namespace=* k/key=* v/value=*", run: func(k *call) error {
			err := k.PutKV(k.ctx, k.str("s"), k.str("k"), k.str("v"))
			return done(k, err, "create or update kv config to namespace success.\n")
		}},
		{name: "deleteKvConfig", usage: "Delete KV config.", change: true, options: "s/namespace=* k/key=*", run: func(k *call) error {
			return done(k, k.DeleteKV(k.ctx, k.str("s"), k.str("k")), "delete kv config from namespace success.\n")
		}},
		{name: "wipeWritePerm", usage: "Wipe write perm of broker in all name server you defined in the -n param.", change: true, run: writePerm("wipe", (*admin.Client).WipeWritePerm), options: "b/brokerName=*"},
		{name: "addWritePerm", usage: "Add write perm of broker in all name server you defined in the -n param.", change: true, run: writePerm("add", (*admin.Client).AddWritePerm), options: "b/brokerName=*"},
		{name: "getNamesrvConfig", usage: "Get configs of name server.", run: getNamesrvConfig},
		{name: "updateNamesrvConfig", usage: "Update configs of name server.", change: true, run: updateNamesrvConfig, options: "k/key=* v/value=*"},
	}
}

// done prints text when there is no error.
func done(k *call, err error, text string) error {
	if err == nil {
		k.printf("%s", text)
	}
	return err
}

func writePerm(verb string, do func(c *admin.Client, ctx context.Context, namesrv, broker string) (int32, error)) func(k *call) error {
	return func(k *call) error {
		return k.each(k.namesrvs, func(addr string) error {
			n, err := do(k.Client, k.ctx, addr, k.str("b"))
			return done(k, err, fmt.Sprintf("%s write perm of broker[%s] in name server[%s] OK, %d\n", verb, k.str("b"), addr, n))
		})
	}
}

// namesrvs returns the name servers, at least one.
func (k *call) namesrvs() ([]string, error) {
	addrs := k.Namesrv()
	if len(addrs) == 0 {
		return nil, admin.ErrNoNamesrv
	}
	return addrs, nil
}

func getNamesrvConfig(k *call) error {
	return k.each(k.namesrvs, func(addr string) error {
		list, err := k.NamesrvConfig(k.ctx, addr)
		if err != nil {
			return err
		}
		return printSettings(k, addr, fmt.Sprintf("============%s============\n", addr), list, "")
	})
}

func updateNamesrvConfig(k *call) error {
	err := k.UpdateNamesrvConfig(k.ctx, properties.KV{Key: k.str("k"), Value: k.str("v")})
	return done(k, err, fmt.Sprintf("update name server config success!%s\n%s : %s\n", javaList(k.Namesrv()), k.str("k"), k.str("v")))
}
