package coverage_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the folder of the repository.
const root = "../.."

// row is a line of the table of request codes.
type row struct {
	code            int
	name            string // of Java's constant
	broker, namesrv string // what ours do
	java            string // which of Java's processes handle it
	reason          string // why it is refused, a name of the list of reasons
	tests           []string
}

// item is a line of the table of features.
type item struct {
	name  string
	tests []string
}

// document is what the tests read of COVERAGE.md.
type document struct {
	reasons map[string]bool
	codes   []row
	items   []item
}

var (
	reasonLine = regexp.MustCompile("^- `([^`]+)`: .")
	codeLine   = regexp.MustCompile(`^\| [0-9]+ \|`)
	testName   = regexp.MustCompile("`([^` ]+\\.(?:Test|Fuzz)[A-Za-z0-9_]+)`")
)

// readTable parses COVERAGE.md: its list of reasons, its lines of codes, which begin with a number, and behind the
// heading "Features" its lines of features.
func readTable(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile("../COVERAGE.md")
	require.NoError(t, err)
	doc := document{reasons: map[string]bool{}}
	features := false
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch {
		case strings.HasPrefix(line, "## "):
			features = line == "## Features"
		case reasonLine.MatchString(line):
			doc.reasons[reasonLine.FindStringSubmatch(line)[1]] = true
		case codeLine.MatchString(line):
			cells = strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
			require.Len(t, cells, 7, "line %q", line)
			doc.codes = append(doc.codes, row{mustInt(t, cells[0]), cells[1], cells[2], cells[3], cells[4], strings.TrimSpace(cells[5]), namesIn(cells[6])})
		case features && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "|-") && cells[0] != "Feature":
			doc.items = append(doc.items, item{cells[0], namesIn(line)})
		}
	}
	return doc
}

// namesIn returns the names of tests in a text: `folder.TestName`.
func namesIn(text string) []string {
	var out []string
	for _, m := range testName.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// testExists looks for a test, named folder.TestName; folders without compat_tests/ in front are looked for there too.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	folder, function, _ := strings.Cut(name, ".")
	for _, dir := range []string{filepath.Join(root, folder), filepath.Join(root, "compat_tests", folder)} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		require.NoError(t, err)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			if strings.Contains(string(text), "\nfunc "+function+"(") {
				return true
			}
		}
	}
	return false
}

// requestCode is a constant of remoting/protocol/codes_request.go with its Java name, which is the comment behind it.
type requestCode struct {
	code int
	name string
}

// requestCodes reads the constants from the source, so that none can be forgotten.
func requestCodes(t *testing.T) []requestCode {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "remoting", "protocol", "codes_request.go"), nil, parser.ParseComments)
	require.NoError(t, err)
	var out []requestCode
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		require.Len(t, v.Values, 1)
		lit, ok := v.Values[0].(*ast.BasicLit)
		require.True(t, ok, "%s is no number", v.Names[0].Name)
		out = append(out, requestCode{mustInt(t, lit.Value), strings.TrimSpace(v.Comment.Text())})
		return false
	})
	require.Greater(t, len(out), 150)
	return out
}
