package events

import (
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

// root is the module's folder.
const root = "../.."

// Every message that the product logs at Info and above has a row, and every row a message.
func TestEveryMessageHasARowAndEveryRowAMessage(t *testing.T) {
	logged := map[string][]string{} // where, by message
	for _, p := range product(t) {
		for _, c := range p.loggingCalls() {
			for message := range p.resolve(t, c.message, c.in) {
				logged[message] = append(logged[message], p.files.Position(c.message.Pos()).String())
			}
		}
	}
	if len(logged) < 40 {
		t.Fatalf("found only %d messages", len(logged))
	}
	rows := map[string]bool{}
	for _, e := range All() {
		if rows[e.Message] {
			t.Errorf("two rows for %q", e.Message)
		}
		rows[e.Message] = true
		if logged[e.Message] == nil {
			t.Errorf("nothing logs %q", e.Message)
		}
	}
	for _, message := range slices.Sorted(maps.Keys(logged)) {
		if !rows[message] {
			t.Errorf("no row for %q of %v", message, logged[message])
		}
	}
}

func TestAnIDIsRandomAndOfOneMessage(t *testing.T) {
	byID := map[string]string{}
	for _, e := range All() {
		b, err := hex.DecodeString(e.ID)
		// systemd-id128 new makes such: a UUID of version 4 without hyphens.
		if err != nil || len(b) != 16 || e.ID != strings.ToLower(e.ID) || b[6]>>4 != 4 || b[8]>>6 != 2 {
			t.Errorf("%s of %q is no id that systemd-id128 new makes", e.ID, e.Message)
		}
		if other, ok := byID[e.ID]; ok {
			t.Errorf("%s is of %q and %q", e.ID, other, e.Message)
		}
		byID[e.ID] = e.Message
	}
}

// Operators have alerts on ids. testdata/ids has every id that was ever given, with the words it
// was given for, which may change. The id of an event that is logged no more stays there: "retired"
// comes before the words then.
func TestAnIDIsForEver(t *testing.T) {
	const file = "testdata/ids"
	b, err := os.ReadFile(file)
	fatal.If(t, err)
	given := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		id, words, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		retired := strings.HasPrefix(words, "retired ")
		used := slices.ContainsFunc(All(), func(e Event) bool { return e.ID == id })
		switch {
		case given[id]:
			t.Errorf("%s: %s is there twice", file, id)
		case retired && used, !retired && !used:
			t.Errorf("%s: %s %q: in use: %t", file, id, words, used)
		}
		given[id] = true
	}
	for _, e := range All() {
		if !given[e.ID] {
			t.Errorf("%s lacks the line\n%s %s", file, e.ID, e.Message)
		}
	}
}

func TestARowSaysWhyAndWhatToDo(t *testing.T) {
	for _, e := range All() {
		for what, text := range map[string]string{"cause": e.Cause, "remedy": e.Remedy} {
			if text == "" || !strings.HasSuffix(text, ".") || strings.Contains(text, "\n") || strings.TrimSpace(text) != text {
				t.Errorf("%q: the %s is %q, want sentences", e.Message, what, text)
			}
		}
	}
}

// source is a package of the product, without its tests.
type source struct {
	files     *token.FileSet
	funcs     map[string][]*ast.FuncDecl // functions and methods of one name
	constants map[string]ast.Expr
}

// call is a call that logs.
type call struct {
	message ast.Expr
	in      *ast.FuncDecl
}

// product reads all packages of the product: neither tests and stand-ins, nor what only makes files
// of the source.
func product(t *testing.T) []*source {
	t.Helper()
	packages := map[string]*source{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch rel, _ := filepath.Rel(root, path); {
		case d.IsDir() && (slices.Contains([]string{"tests", "packaging/manual", "packaging/sbom"}, rel) || d.Name() == "testdata" || len(d.Name()) > 2 && d.Name()[0] == '.'):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		dir := filepath.Dir(path)
		if packages[dir] == nil {
			packages[dir] = &source{token.NewFileSet(), map[string][]*ast.FuncDecl{}, map[string]ast.Expr{}}
		}
		return packages[dir].add(path)
	})
	fatal.If(t, err)
	return slices.Collect(maps.Values(packages))
}

func (p *source) add(path string) error {
	f, err := parser.ParseFile(p.files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			p.funcs[d.Name.Name] = append(p.funcs[d.Name.Name], d)
		case *ast.GenDecl:
			// What a table of functions logs counts as logged in a function without a name.
			p.funcs[""] = append(p.funcs[""], &ast.FuncDecl{
				Name: ast.NewIdent(""), Type: &ast.FuncType{Params: &ast.FieldList{}},
				Body: &ast.BlockStmt{List: []ast.Stmt{&ast.DeclStmt{Decl: d}}},
			})
			if d.Tok == token.CONST {
				for _, s := range d.Specs {
					s := s.(*ast.ValueSpec)
					for i, v := range s.Values {
						p.constants[s.Names[i].Name] = v
					}
				}
			}
		}
	}
	return nil
}

// calls calls f with each call within the package.
func (p *source) calls(f func(*ast.CallExpr, *ast.FuncDecl)) {
	for _, decls := range p.funcs {
		for _, d := range decls {
			ast.Inspect(d, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok {
					f(c, d)
				}
				return true
			})
		}
	}
}

// loggingCalls finds the calls of slog's methods that log at Info and above, or at a level that is
// decided at run time.
func (p *source) loggingCalls() (found []call) {
	at := map[string]int{
		"Info": 0, "Warn": 0, "Error": 0, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
		"Log": 2, "LogAttrs": 2, "NewRecord": 2,
	}
	p.calls(func(c *ast.CallExpr, in *ast.FuncDecl) {
		s, ok := c.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		if i, ok := at[s.Sel.Name]; ok && len(c.Args) > i {
			found = append(found, call{c.Args[i], in})
		}
	})
	return found
}

// resolve returns every value that an expression can have. It follows constants, variables that are
// set to constants, functions that return them, and parameters to the callers. Anything else is no
// message that a table can have.
func (p *source) resolve(t *testing.T, e ast.Expr, in *ast.FuncDecl) map[string]bool {
	t.Helper()
	values := map[string]bool{}
	add := func(e ast.Expr, in *ast.FuncDecl) { maps.Copy(values, p.resolve(t, e, in)) }
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err == nil {
			values[s] = true
		}
	case *ast.ParenExpr:
		return p.resolve(t, e.X, in)
	case *ast.BinaryExpr:
		for a := range p.resolve(t, e.X, in) {
			for b := range p.resolve(t, e.Y, in) {
				values[a+b] = true
			}
		}
	case *ast.Ident:
		for _, v := range assigned(in, e.Name) {
			add(v, in)
		}
		if i := parameter(in, e.Name); i >= 0 {
			p.calls(func(c *ast.CallExpr, caller *ast.FuncDecl) {
				if called(c) == in.Name.Name && len(c.Args) > i && fits(c, in) {
					add(c.Args[i], caller)
				}
			})
		}
		if v, ok := p.constants[e.Name]; ok && len(values) == 0 {
			add(v, in)
		}
	case *ast.CallExpr:
		for _, d := range p.funcs[called(e)] {
			ast.Inspect(d.Body, func(n ast.Node) bool {
				if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) > 0 {
					add(r.Results[0], d)
				}
				return true
			})
		}
	case *ast.SelectorExpr:
		if e.Sel.Name == "Message" { // of a record that a handler passes on
			return values
		}
	}
	if len(values) == 0 {
		t.Errorf("%s: the message of a log line has to be a constant; what varies goes into attributes", p.files.Position(e.Pos()))
	}
	return values
}

// fits reports whether a call can be of a function, by the number of its arguments: functions of
// several types may have one name.
func fits(c *ast.CallExpr, f *ast.FuncDecl) bool {
	n, variadic := 0, false
	for _, p := range f.Type.Params.List {
		n += max(1, len(p.Names))
		_, variadic = p.Type.(*ast.Ellipsis)
	}
	return len(c.Args) == n || variadic && len(c.Args) >= n-1
}

// called names the function or method that is called.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return "?"
}

// assigned returns what a function sets a variable or constant of its own to.
func assigned(in *ast.FuncDecl, name string) (values []ast.Expr) {
	is := func(e ast.Expr) bool {
		i, ok := e.(*ast.Ident)
		return ok && i.Name == name
	}
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if is(l) && len(n.Lhs) == len(n.Rhs) {
					values = append(values, n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, l := range n.Names {
				if is(l) && len(n.Values) == len(n.Names) {
					values = append(values, n.Values[i])
				}
			}
		}
		return true
	})
	return values
}

// parameter returns which one of a function's parameters has a name, -1 if none has.
func parameter(in *ast.FuncDecl, name string) int {
	n := 0
	for _, f := range in.Type.Params.List {
		for _, i := range f.Names {
			if i.Name == name {
				return n
			}
			n++
		}
		if len(f.Names) == 0 {
			n++
		}
	}
	return -1
}
