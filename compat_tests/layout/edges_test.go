package layout

import (
	"slices"
	"strings"
)

// edge says what a package may import from this module. Paths are relative to the module;
// "x/..." means x and everything below, "." is package main at the root.
type edge struct {
	from string
	to   []string
}

// brokerTables are the broker's tables: they know no sibling. All other packages below
// broker are handlers; these may use tables but not each other, and never the root package.
var brokerTables = []string{
	"broker/topic/...", "broker/group/...", "broker/offset/...", "broker/session/...",
	"broker/order/...", "broker/stats/...", "broker/filter/...", "broker/mapping/...", "broker/auth/...",
}

var servers = []string{"remoting/...", "store/...", "ha/...", "namesrv/...", "broker/...", "client/..."}

// edges is the architecture. The first row that matches a package counts. A package without
// a row is a violation: add the row with the package.
var edges = slices.Concat(
	[]edge{
		{".", []string{"tools/..."}},

		{"remoting/message", nil},
		{"remoting/properties", nil},
		{"remoting/protocol", []string{"remoting/message", "remoting/properties"}},
		{"remoting/dynamic", []string{"remoting/properties", "remoting/protocol"}},
		{"remoting/protocol/...", []string{"remoting/protocol", "remoting/message"}},
		{"remoting/frame", []string{"remoting/protocol"}},
		{"remoting/mux", []string{"remoting/protocol", "remoting/frame"}},
		{"remoting/server", []string{"remoting/mux", "remoting/frame", "remoting/protocol"}},
		{"remoting/rpc", []string{"remoting/frame", "remoting/protocol", "remoting/mux"}},
		{"remoting/testkit/...", []string{"remoting/..."}},

		{"store/fsys", nil},
		{"store/segment", []string{"store/fsys"}},
		{"store/...", []string{"remoting/message", "remoting/properties", "store/..."}},

		{"ha/...", []string{"remoting/message", "remoting/properties", "store/...", "ha/..."}},
		{"namesrv/...", []string{"remoting/...", "store/fsys", "namesrv/..."}},
		{"client", []string{"remoting/protocol", "remoting/message"}},
		{"client/admin", []string{"remoting/...", "client", "client/internal/..."}},
		{"client/internal/...", []string{"remoting/...", "client", "client/internal/..."}},
		{"client/...", []string{"remoting/protocol/...", "remoting/message", "client", "client/internal/..."}}, // producer and consumer do not know each other

		{"broker", []string{"remoting/...", "store/...", "ha/...", "broker/..."}},
		{"broker/brokertest", []string{"remoting/...", "store/...", "ha/...", "broker/..."}},
		{"broker/internal/...", []string{"remoting/...", "store/fsys", "broker/internal/..."}}, // leaves under the tables
	},
	tableEdges(),
	[]edge{
		{"broker/...", slices.Concat([]string{"remoting/...", "store/...", "broker/internal/..."}, brokerTables)},
		{"tools/mqadmin", []string{"client/...", "remoting/protocol/...", "remoting/message", "remoting/properties"}}, // it asks servers
		{"tools/inspect", []string{"remoting/...", "store/..."}},                                                      // it looks at files, never through a broker
		{"tools/...", slices.Concat(servers, []string{"tools/..."})},
		{"compat_tests/...", slices.Concat(servers, []string{"compat_tests/..."})},
	},
)

func tableEdges() []edge {
	rows := make([]edge, len(brokerTables))
	for i, table := range brokerTables {
		rows[i] = edge{table, []string{"remoting/...", "store/...", "broker/internal/...", table}}
	}
	return rows
}

// testPackages hold helpers for tests; code that ships must not import them.
var testPackages = []string{"remoting/testkit/...", "store/storetest/...", "ha/hatest/...", "broker/brokertest/..."}

// forbidden returns why a package may not import another one of this module, or "".
func forbidden(from, to string, test bool) string {
	if matches("compat_tests/...", to) && !matches("compat_tests/...", from) {
		return "nobody imports compat_tests"
	}
	if matches("tools/...", to) && from != "." && !matches("tools/...", from) {
		return "only main.go and tools import tools"
	}
	if test {
		return "" // a test may use what it needs to set its package up
	}
	if within(testPackages, to) && !within(testPackages, from) && !matches("compat_tests/...", from) {
		return "only tests import test packages"
	}
	if subject, nested := brokerSubject(from); nested && matches(subject+"/...", to) {
		return ""
	}
	for _, e := range edges {
		if matches(e.from, from) {
			if within(e.to, to) {
				return ""
			}
			return "not in the table of edges_test.go"
		}
	}
	return "the importing package has no row in edges_test.go"
}

// hasRow tells whether the table knows a package.
func hasRow(path string) bool {
	return slices.ContainsFunc(edges, func(e edge) bool { return matches(e.from, path) })
}

// brokerSubject returns the child of broker that a package is or is below of.
func brokerSubject(path string) (string, bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 2 || parts[0] != "broker" {
		return "", false
	}
	return "broker/" + parts[1], true
}

func within(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

func matches(pattern, path string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == tree || strings.HasPrefix(path, tree+"/")
	}
	return path == pattern
}
