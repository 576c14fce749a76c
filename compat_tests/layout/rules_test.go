package layout

import (
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEdgesAllowAndForbid(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{".", "tools/boot", false, true},
		{".", "broker", false, false},
		{"remoting/message", "remoting/properties", false, false},
		{"remoting/protocol/header", "remoting/protocol", false, true},
		{"remoting/protocol/header", "remoting/frame", false, false},
		{"remoting/frame", "remoting/protocol", false, true},
		{"remoting/protocol", "remoting/frame", false, false},
		{"remoting/rpc", "remoting/server", false, false},
		{"remoting/server", "remoting/testkit", false, false},
		{"remoting/server", "remoting/testkit", true, true},
		{"store/fsys", "store", false, false},
		{"tools/inspect", "store/consumequeue", false, true},
		{"tools/inspect", "broker/offset", false, false},
		{"tools/boot", "tools/inspect", false, true},
		{"store/commitlog", "remoting/message", false, true},
		{"store/commitlog", "remoting/protocol", false, false},
		{"store", "store/index", false, true},
		{"namesrv", "store/fsys", false, true},
		{"namesrv", "store/commitlog", false, false},
		{"broker", "broker/pull", false, true},
		{"broker", "broker/brokertest", false, false},
		{"broker/brokertest", "broker", false, true},
		{"broker/pull", "broker/topic", false, true},
		{"broker/pull", "broker/send", false, false},
		{"broker/pull", "broker/pull/hold", false, true},
		{"broker/pull", "broker", false, false},
		{"broker/topic", "broker/group", false, false},
		{"broker/topic", "store/fsys", false, true},
		{"broker/send", "namesrv", false, false},
		{"tools/boot", "broker", false, true},
		{"broker", "tools/config", true, false},
		{"compat_tests/wire", "compat_tests/cluster", true, true},
		{"compat_tests/cluster", "broker/brokertest", false, true},
		{"broker", "compat_tests/cluster", true, false},
		{"client", "client/producer", false, false},
		{"client/admin", "client", false, true},
		{"client/producer", "client/internal/instance", false, true},
		{"client/producer", "client/consumer", false, false},
		{"client/consumer", "remoting/rpc", false, false},
		{"client/consumer", "store/fsys", false, false},
		{"elsewhere", "remoting/message", false, false},
	} {
		why := forbidden(c.from, c.to, c.test)
		require.Equal(t, c.ok, why == "", "%s -> %s (test %v): %s", c.from, c.to, c.test, why)
	}
	require.False(t, hasRow("elsewhere"))
	require.True(t, hasRow("compat_tests"))
}

// findings runs checkFile over a source text and returns what it reported.
func findings(t *testing.T, src string) (failures, warnings []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, parser.ParseComments)
	require.NoError(t, err)
	into := func(list *[]string) report {
		return func(at token.Pos, format string, args ...any) {
			*list = append(*list, fmt.Sprintf("%d: ", fset.Position(at).Line)+fmt.Sprintf(format, args...))
		}
	}
	checkFile(fset, f, into(&failures), into(&warnings))
	return failures, warnings
}

func TestExportedNamesNeedComments(t *testing.T) {
	failures, _ := findings(t, `package x

type A struct{}
func (A) M() {}
func (*A) m() {}
func F() {}
const C = 1
var (
	V = 1
	// W is fine.
	W = 2
	X = 3 // X is fine.
)
type b struct{}
func (b) M() {}
type G[T any] struct{}
func (*G[T]) N() {}
`)
	require.Equal(t, []string{"3: exported type A has no doc comment", "4: exported M has no doc comment", "6: exported F has no doc comment",
		"7: exported C has no doc comment", "9: exported V has no doc comment", "16: exported type G has no doc comment",
		"17: exported N has no doc comment"}, failures)

	failures, _ = findings(t, `package x

// Codes of something.
const (
	A = 1
	B = 2
)

// T is fine.
type T struct{}

// M is fine.
func (T) M() {}
`)
	require.Empty(t, failures)
}

func TestSizesAreLimited(t *testing.T) {
	failures, warnings := findings(t, "package x\n"+strings.Repeat("\n", fileMax))
	require.Equal(t, []string{"1: file has 801 lines, the limit is 800"}, failures)
	require.Empty(t, warnings)
	failures, warnings = findings(t, "package x\n"+strings.Repeat("\n", fileWarn))
	require.Empty(t, failures)
	require.Len(t, warnings, 1)

	failures, _ = findings(t, "package x\nfunc f(n int) {\nif n > 0 {\n"+strings.Repeat("n++\n", 100)+"}\n}\n")
	require.Equal(t, []string{"2: function f has 104 lines, the limit is 100"}, failures)
	failures, warnings = findings(t, "package x\nfunc f(n int) {\nif n > 0 {\n"+strings.Repeat("n++\n", 90)+"}\n}\n")
	require.Empty(t, failures)
	require.Equal(t, []string{"2: function f has 94 lines, over 60"}, warnings)
}

func TestFlatTablesMayBeLong(t *testing.T) {
	for name, body := range map[string]string{
		"list":   "return []int{\n" + strings.Repeat("1,\n", 200) + "}\n",
		"calls":  strings.Repeat("g(1)\n", 200),
		"switch": "switch n {\n" + strings.Repeat("case g(1):\nreturn nil\n", 100) + "}\nreturn nil\n",
	} {
		failures, warnings := findings(t, "package x\nfunc f(n int) []int {\n"+body+"}\n")
		require.Empty(t, failures, name)
		require.Empty(t, warnings, name)
	}
	failures, _ := findings(t, "package x\nfunc f(n int) {\nswitch n {\n"+strings.Repeat("case 1:\ng(1)\ng(2)\n", 100)+"}\n}\n")
	require.Len(t, failures, 1)
}

func TestEmptyPackageNamesAreRefused(t *testing.T) {
	for _, path := range []string{"broker/util", "common", "store/helper/x"} {
		require.NotEmpty(t, badName(path, "x"), path)
	}
	require.NotEmpty(t, badName("broker/x", "utils"))
	require.Empty(t, badName("broker/topic", "topic"))
}
