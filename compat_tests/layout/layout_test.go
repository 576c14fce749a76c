// Package layout checks the shape of the source: which package may import which, how large
// files and functions may grow, and that packages and exported names have comments. Each
// violation is a line `file:line: what`; sizes that are allowed but large are logged with -v.
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goPackage is what `go list -json` tells, as far as it is needed here.
type goPackage struct {
	Dir            string
	ImportPath     string
	Name           string
	Module         struct{ Path, Dir string }
	GoFiles        []string
	CgoFiles       []string
	IgnoredGoFiles []string
	TestGoFiles    []string
	XTestGoFiles   []string
}

// path is the import path relative to the module, "." for its root.
func (p goPackage) path() string {
	return relative(p.Module.Path, p.ImportPath)
}

func relative(module, path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func TestLayout(t *testing.T) {
	packages := list(t)
	require.NotEmpty(t, packages)
	for _, p := range packages {
		checkPackage(t, p)
	}
}

// list runs go list in the root of the module. With -e it goes on past packages that do not
// compile; those are for the compiler to report.
func list(t *testing.T) []goPackage {
	t.Helper()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	require.NoError(t, err)
	cmd := exec.Command("go", "list", "-e", "-json", "./...")
	cmd.Dir = strings.TrimSpace(string(root))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("cannot list packages: %v\n%s", err, exit.Stderr)
	}
	require.NoError(t, err)
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

func checkPackage(t *testing.T, p goPackage) {
	fset := token.NewFileSet()
	place := func(at token.Pos) string {
		pos := fset.Position(at)
		name, err := filepath.Rel(p.Module.Dir, pos.Filename)
		if err != nil {
			name = pos.Filename
		}
		return fmt.Sprintf("%s:%d", name, pos.Line)
	}
	fail := func(at token.Pos, format string, args ...any) {
		t.Errorf("%s: "+format, append([]any{place(at)}, args...)...)
	}
	warn := func(at token.Pos, format string, args ...any) {
		t.Logf("%s: warning: "+format, append([]any{place(at)}, args...)...)
	}

	shipped := parse(t, fset, p, p.GoFiles, p.CgoFiles, p.IgnoredGoFiles)
	tests := parse(t, fset, p, p.TestGoFiles, p.XTestGoFiles)
	if len(shipped)+len(tests) == 0 {
		return
	}
	commented := shipped
	if len(shipped) == 0 {
		commented = tests // a package of tests only documents itself there
	}
	if !hasComment(commented) {
		fail(commented[0].Package, "package %s has no package comment", p.Name)
	}
	if why := badName(p.path(), p.Name); why != "" {
		fail(commented[0].Package, "%s", why)
	}
	if !hasRow(p.path()) {
		fail(commented[0].Package, "package %s has no row in edges_test.go", p.path())
	}
	for _, f := range shipped {
		checkFile(fset, f, fail, warn)
		checkImports(p, f, false, fail)
	}
	for _, f := range tests {
		checkImports(p, f, true, fail)
	}
}

func parse(t *testing.T, fset *token.FileSet, p goPackage, names ...[]string) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, group := range names {
		for _, name := range group {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			files = append(files, f)
		}
	}
	return files
}

func hasComment(files []*ast.File) bool {
	for _, f := range files {
		if f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != "" {
			return true
		}
	}
	return false
}

func checkImports(p goPackage, f *ast.File, test bool, fail report) {
	for _, spec := range f.Imports {
		to, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			fail(spec.Pos(), "cannot read import %s", spec.Path.Value)
			continue
		}
		if to == p.Module.Path || strings.HasPrefix(to, p.Module.Path+"/") {
			if why := forbidden(p.path(), relative(p.Module.Path, to), test); why != "" {
				fail(spec.Pos(), "%s must not import %s: %s", p.path(), relative(p.Module.Path, to), why)
			}
			continue
		}
		host, _, _ := strings.Cut(to, "/")
		foreign := strings.Contains(host, ".") && !strings.HasPrefix(to, "golang.org/x/")
		if foreign && !test && p.path() == "remoting/properties" {
			fail(spec.Pos(), "%s must not import %s: it is a leaf", p.path(), to)
		}
	}
}
