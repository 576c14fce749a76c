package config

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/auth"
)

var update = flag.Bool("update", false, "write KEYS.md instead of comparing with it")

func TestKeysDoc(t *testing.T) {
	used := usedKeys()
	for name := range used {
		reason, unused := Unused(name)
		require.False(t, unused, "%s is bound to an option, unused.go says it has no use: %s", name, reason)
	}
	want := keysDoc(used)
	if *update {
		require.NoError(t, os.WriteFile("KEYS.md", []byte(want), 0o644))
	}
	got, err := os.ReadFile("KEYS.md")
	require.NoError(t, err)
	require.Equal(t, want, string(got), "stale, run: go test ./tools/config -update")
}

// keysDoc renders the list of all keys; used holds the names that option structs bind.
func keysDoc(used map[string]bool) string {
	var b strings.Builder
	b.WriteString(`# Configuration keys

Every key that a name server or broker of RocketMQ 5.5.0 reads from its .properties file. Skylark
accepts all of them. Written by ` + "`go test ./tools/config -update`" + `; do not edit.

- **used**: the key does in Skylark what it does in Java.
- **used, also at run time**: mqadmin's updateBrokerConfig or updateNamesrvConfig can change it, with effect at once
  and for later starts; all others are refused there.
- **used: ...**: used with a limit, which follows.
- **accepted, not built yet**: read without complaint, changes nothing so far.
- **accepted, no use**: read without complaint, changes nothing; the reason follows.

Defaults are Java's: *null* is unset, formulas depend on the machine. The keys of the proxy stand in a
JSON file of their own and are not read.
`)
	all := keys(func(table) bool { return true })
	byClass := map[string][]Key{}
	counts := map[string]int{}
	for _, k := range all {
		byClass[k.Class] = append(byClass[k.Class], k)
		state, _, _ := strings.Cut(status(k, used), ":")
		state = strings.TrimSuffix(state, ", also at run time")
		counts[state]++
	}
	fmt.Fprintf(&b, "\n%d keys: %d used, %d not built yet, %d without use.\n", len(all),
		counts["used"], counts["accepted, not built yet"], counts["accepted, no use"])
	for _, t := range tables {
		fmt.Fprintf(&b, "\n## %s\n\n| key | default | status |\n|---|---|---|\n", t.class)
		for _, k := range byClass[t.class] {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", k.Name, cell(k.Default), status(k, used))
		}
	}
	b.WriteString("\n## Skylark's own\n\nKeys that Java does not have.\n\n| key | default | what it does |\n|---|---|---|\n")
	for _, k := range ownKeys {
		what := k.what
		if slices.Contains(dynamicKeys(), k.name) {
			what += " Can be changed at run time."
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", k.name, cell(k.value), what)
	}
	return b.String()
}

// ownKeys are the keys that no Java class has.
var ownKeys = []struct{ name, value, what string }{
	{"skylarkHttpListen", "", "host:port at which a name server or broker answers operators by HTTP: `/healthz`, `/readyz`, `/metrics`, on loopback also `/debug/pprof/`. It has no authentication. A port that is taken is an error. Unset: it does not listen."},
	{"skylarkLogLevel", "", "From which level on a broker or name server logs: trace, debug, info, warn or error. Unset: what the environment variable `SKYLARK_LOG_LEVEL` says, else info."},
	{"skylarkMaxStoreBytes", "0", "Most bytes that all commit log files together may have; above, the oldest files go whatever their age. The last file never goes, so the log has at least one. 0: no limit."},
	{"skylarkMinFreeBytes", "0", "Bytes that must stay free on each disk of the store. With less, the oldest commit log files go whatever their age (unless `cleanFileForciblyEnable=false`); while that is not enough, no message is taken (code 14). With it the disk ratios may be up to 100. 0: no limit."},
	{"skylarkNameServers", "", "The list of name servers, `host:port;host:port`, that a name server with `skylarkHttpListen` answers at `/rocketmq/nsaddr` (or the subgroup `rmqAddressServerSubGroup`), where clients and brokers look for name servers. Unset: itself."},
	{"skylarkSlowMillis", "1000", "From how many milliseconds on a write or sync of the commit log, or a request that keeps a worker for so long, is logged as slow. 0: never."},
}

// limits say what used keys cannot be, or do not do, that they can be or do in Java.
var limits = map[string]string{
	"authenticationEnabled":                "only `false`; requests are not checked yet, a start with `true` is refused",
	"authorizationEnabled":                 "only `false`; requests are not checked yet, a start with `true` is refused",
	"authenticationMetadataProvider":       "unset or `" + auth.UserProvider + "`; a start with another class is refused",
	"authorizationMetadataProvider":        "unset or `" + auth.ACLProvider + "`; a start with another class is refused",
	"innerClientAuthenticationCredentials": "its user is created; requests to other servers are not signed",
}

func TestLimitsAreOfUsedKeys(t *testing.T) {
	for name := range limits {
		require.True(t, usedKeys()[name], name)
	}
}

func TestOwnKeysAreDescribed(t *testing.T) {
	known := Known()
	for name := range usedKeys() {
		described := slices.ContainsFunc(ownKeys, func(k struct{ name, value, what string }) bool { return k.name == name })
		require.Equal(t, !slices.Contains(known, name), described, name)
	}
	used := usedKeys()
	for _, k := range ownKeys {
		require.True(t, used[k.name], k.name)
	}
}

func status(k Key, used map[string]bool) string {
	if reason, unused := k.Unused(); unused {
		return "accepted, no use: " + string(reason)
	}
	if slices.Contains(dynamicKeys(), k.Name) {
		return "used, also at run time"
	}
	if limit := limits[k.Name]; limit != "" {
		return "used: " + limit
	}
	if used[k.Name] {
		return "used"
	}
	return "accepted, not built yet"
}

func cell(value string) string {
	switch value {
	case "":
		return ""
	case "null":
		return "*null*"
	}
	return "`" + strings.ReplaceAll(value, "|", `\|`) + "`"
}

func TestTablesAreSortedAndComplete(t *testing.T) {
	size := map[string]int{
		"BrokerConfig": 242, "BrokerStartup": 2, "MessageStoreConfig": 219, "NamesrvConfig": 22,
		"NettyServerConfig": 18, "NettyClientConfig": 20, "AuthConfig": 26, "ControllerConfig": 27,
		"JraftConfig": 7, "tieredstore.MessageStoreConfig": 35,
	}
	require.Len(t, tables, len(size))
	for _, table := range tables {
		require.Len(t, table.rows, size[table.class], table.class)
		for i := 1; i < len(table.rows); i++ {
			require.Less(t, table.rows[i-1].name, table.rows[i].name, table.class)
		}
	}
	require.Len(t, Namesrv(), 22+18+20+27+7)
	require.Len(t, Broker(), 242+2+219+18+20+26+35)
}

func TestKnownHoldsBothFilesOnce(t *testing.T) {
	known := Known()
	require.True(t, slices.IsSorted(known))
	for _, name := range []string{"kvConfigPath", "brokerName", "mappedFileSizeCommitLog", "listenPort", "rmqAddressServerDomain", "useTLS"} {
		require.Contains(t, known, name)
	}
	require.NotContains(t, known, "mapedFileSizeCommitLog")
	require.Equal(t, len(known), len(slices.Compact(slices.Clone(known))))
}

func TestUnusedNamesItsReason(t *testing.T) {
	for name, want := range map[string]Reason{
		"useEpollNativeSelector": Netty, "useABSLock": JVM, "warmMapedFileEnable": Mmap, "timerRocksDBEnable": RocksDB,
		"enableControllerMode": Controller, "enableControllerInNamesrv": Controller, "jRaftGroupId": Controller,
		"tieredStoreFilePath": Tiered, "messageStorePlugIn": Plugin, "aclEnable": Dead, "inBrokerContainer": Container,
		"storePathDLedgerCommitLog": DLedger,
		// Both classes that have it agree: mapped files, the tiered store.
		"writeWithoutMmap": Tiered,
		// In use by one class, whatever the controller and the tiered store do with it.
		"metricsExporterType": "", "messageIndexEnable": "", "scanNotActiveBrokerInterval": "", "mappedFileSizeCommitLog": "",
		"enableDLegerCommitLog": "", "mapedFileSizeCommitLog": "",
	} {
		reason, unused := Unused(name)
		require.Equal(t, want, reason, name)
		require.Equal(t, want != "", unused, name)
	}
}

// Every name in the rules is a key; a misspelt one would silently do nothing.
func TestRulesNameRealKeys(t *testing.T) {
	known := Known()
	for _, r := range rules {
		for _, name := range r.names {
			require.Contains(t, known, name)
		}
		for _, part := range r.parts {
			require.True(t, slices.ContainsFunc(known, func(k string) bool { return strings.Contains(strings.ToLower(k), part) }), part)
		}
	}
}
