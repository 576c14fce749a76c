// Package config knows every key of Java's 5.5.0 name server and broker configuration
// files: its class, its default, and whether it can have a use in Skylark at all.
//
// The tables in keys_*.go were generated once from the list of the Java fields and are kept
// by hand. Which keys are in use is not written here: the option structs say it with their
// prop tags. KEYS.md puts both together; `go test ./tools/config -update` writes it.
package config

import (
	"cmp"
	"slices"

	"github.com/skylarkmq/skylark/remoting/properties"
)

// Key is one configuration key of a Java class. A name may occur in several classes; Java
// then sets it in each of them.
type Key struct {
	// Class is the simple name of the Java class, "tieredstore.MessageStoreConfig" for
	// the second class of that name, or "BrokerStartup" for keys read without a class.
	Class string
	// Name is the key as it stands in the file.
	Name string
	// Default is what Java 5.5.0 prints for the unset key: "null" when the field is null,
	// a formula such as "<hostname>" or "16+cpu*2" when it depends on the machine.
	Default string
}

type row struct{ name, value string }

// table is one Java class and the files whose values it is given.
type table struct {
	class   string
	rows    []row
	namesrv bool
	broker  bool
}

// tables follow NamesrvStartup and BrokerStartup: which objects they fill from their file.
var tables = []table{
	{"NamesrvConfig", namesrvConfig, true, false},
	{"BrokerConfig", brokerConfig, false, true},
	{"BrokerStartup", brokerStartup, false, true},
	{"MessageStoreConfig", messageStoreConfig, false, true},
	{"NettyServerConfig", nettyServerConfig, true, true},
	{"NettyClientConfig", nettyClientConfig, true, true},
	{"AuthConfig", authConfig, false, true},
	{"ControllerConfig", controllerConfig, true, false},
	{"JraftConfig", jraftConfig, true, false},
	{"tieredstore.MessageStoreConfig", tieredStoreConfig, false, true},
}

// Namesrv returns the keys of a name server's file, sorted by name, then class.
func Namesrv() []Key {
	return keys(func(t table) bool { return t.namesrv })
}

// Broker returns the keys of a broker's file, sorted by name, then class.
func Broker() []Key {
	return keys(func(t table) bool { return t.broker })
}

// Known returns the names of all keys of both files, sorted, each once. Passed to
// properties.Bind it keeps the keys of the other file from being called unknown: people
// start both servers from one.
func Known() properties.Keys {
	var names properties.Keys
	for _, k := range keys(func(table) bool { return true }) {
		names = append(names, k.Name)
	}
	return slices.Compact(names)
}

func keys(of func(table) bool) []Key {
	var keys []Key
	for _, t := range tables {
		if !of(t) {
			continue
		}
		for _, r := range t.rows {
			keys = append(keys, Key{Class: t.class, Name: r.name, Default: r.value})
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	return keys
}
