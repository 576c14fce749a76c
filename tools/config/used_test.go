package config

import (
	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/store"
)

// usedKeys returns the names of the keys that some option struct binds.
func usedKeys() map[string]bool {
	used := map[string]bool{}
	for _, name := range properties.Names(optionStructs()...) {
		used[name] = true
	}
	return used
}

// dynamicKeys are those that may change while a server runs.
func dynamicKeys() properties.Keys { return append(broker.DynamicKeys(), namesrv.DynamicKeys()...) }

// optionStructs holds a pointer to a value of each option struct that the servers pass to
// properties.Bind.
func optionStructs() []any {
	return []any{&namesrv.Options{}, &broker.Options{}, &store.Options{}}
}
