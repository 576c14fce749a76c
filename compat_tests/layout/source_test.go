package layout

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// Size budgets of files that are not tests, in lines.
const (
	fileWarn = 500
	fileMax  = 800
	funcWarn = 60
	funcMax  = 100
)

// report receives a finding at a place in the source.
type report func(at token.Pos, format string, args ...any)

// checkFile reports what is wrong inside one file that is not a test: sizes that are over
// the hard limit and exported names without a comment to fail, sizes that are merely large
// to warn.
func checkFile(fset *token.FileSet, file *ast.File, fail, warn report) {
	lines := fset.File(file.FileStart).LineCount()
	switch {
	case lines > fileMax:
		fail(file.Package, "file has %d lines, the limit is %d", lines, fileMax)
	case lines > fileWarn:
		warn(file.Package, "file has %d lines, over %d", lines, fileWarn)
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			checkFunc(fset, d, fail, warn)
		case *ast.GenDecl:
			checkDocs(d, fail)
		}
	}
}

func checkFunc(fset *token.FileSet, d *ast.FuncDecl, fail, warn report) {
	length := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1
	if length > funcWarn && !flatTable(d) {
		if length > funcMax {
			fail(d.Pos(), "function %s has %d lines, the limit is %d", d.Name.Name, length, funcMax)
		} else {
			warn(d.Pos(), "function %s has %d lines, over %d", d.Name.Name, length, funcWarn)
		}
	}
	if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
		fail(d.Pos(), "exported %s has no doc comment", d.Name.Name)
	}
}

// exportedReceiver is true for functions and for methods of exported types.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func checkDocs(d *ast.GenDecl, fail report) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				fail(s.Pos(), "exported type %s has no doc comment", s.Name.Name)
			}
		case *ast.ValueSpec:
			// One comment over a group of constants or variables speaks for all of it.
			if s.Doc != nil || s.Comment != nil || d.Doc != nil {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					fail(name.Pos(), "exported %s has no doc comment", name.Name)
				}
			}
		}
	}
}

// flatTable tells whether a function is a list and not logic: no branch, loop or goroutine,
// function literals of one statement at most, or a single switch with one statement a case.
func flatTable(d *ast.FuncDecl) bool {
	if d.Body == nil {
		return true
	}
	flat := true
	ast.Inspect(d.Body, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SelectStmt, *ast.GoStmt, *ast.DeferStmt, *ast.BranchStmt, *ast.LabeledStmt:
			flat = false
		case *ast.FuncLit:
			flat = flat && len(x.Body.List) <= 1
		case *ast.SwitchStmt:
			flat = flat && shortCases(d.Body, x, x.Body)
		case *ast.TypeSwitchStmt:
			flat = flat && shortCases(d.Body, x, x.Body)
		}
		return flat
	})
	return flat
}

func shortCases(function *ast.BlockStmt, sw ast.Stmt, body *ast.BlockStmt) bool {
	if !slices.Contains(function.List, sw) {
		return false
	}
	for _, c := range body.List {
		if len(c.(*ast.CaseClause).Body) > 1 {
			return false
		}
	}
	return true
}

// badName returns why a package may not be called so, or "".
func badName(path, name string) string {
	for _, word := range append(strings.Split(path, "/"), name) {
		switch strings.TrimSuffix(word, "_test") {
		case "util", "utils", "common", "helper", "helpers":
			return fmt.Sprintf("package name %q says nothing about its subject", word)
		}
	}
	return ""
}
