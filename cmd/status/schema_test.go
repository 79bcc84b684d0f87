package status

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"k2hdkc-slave-agent/tests/fatal"
)

var update = flag.Bool("update", false, "write docs/status.schema.json, and testdata/fields.txt with fields that are new")

const (
	schemaFile = "../../docs/status.schema.json"
	fieldsFile = "testdata/fields.txt"
)

// words are the values that a field of a type can have.
var words = map[reflect.Type][]any{
	reflect.TypeFor[Health]():          {Healthy, Degraded, Failed},
	reflect.TypeFor[Severity]():        {Info, Warning, Error},
	reflect.TypeFor[ConditionStatus](): {Pending, Active, Over},
	reflect.TypeFor[AgentState]():      {Running, NotConfigured, Stopped, Hung, Unknown},
}

// field is one field as JSON has it.
type field struct {
	name     string
	optional bool
	typ      reflect.Type
	comment  string
}

// fields are those of a struct, in order. said is what the comments of document.go say.
func fields(t reflect.Type, said map[string]string) (all []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		all = append(all, field{name, options != "", f.Type, said[t.Name()+"."+f.Name]})
	}
	return all
}

// comments are those of the fields and types in document.go.
func comments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "document.go", nil, parser.ParseComments)
	fatal.If(t, err)
	said := map[string]string{}
	oneLine := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
				return text
			}
		}
		return ""
	}
	for _, d := range file.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.TYPE {
			continue
		}
		spec := d.Specs[0].(*ast.TypeSpec)
		said[spec.Name.Name] = oneLine(d.Doc)
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				said[spec.Name.Name+"."+name.Name] = oneLine(f.Doc, f.Comment)
			}
		}
	}
	return said
}

// object keeps the order of its keys.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", m.key, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// schemaOf is the schema of a type.
func schemaOf(t reflect.Type, said map[string]string) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{{"type", "string"}, {"format", "date-time"}}
	case words[t] != nil:
		return object{{"type", "string"}, {"enum", words[t]}}
	}
	switch t.Kind() {
	case reflect.String:
		return object{{"type", "string"}}
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int:
		return object{{"type", "integer"}}
	case reflect.Slice:
		return object{{"type", "array"}, {"items", schemaOf(t.Elem(), said)}}
	case reflect.Pointer:
		return object{{"anyOf", []any{schemaOf(t.Elem(), said), object{{"type", "null"}}}}}
	case reflect.Struct:
		required := []string{}
		var properties object
		for _, f := range fields(t, said) {
			s := schemaOf(f.typ, said)
			if f.comment != "" {
				s = append(object{{"description", f.comment}}, s...)
			}
			if f.name == "schema" {
				s = append(s, member{"pattern", "^" + schemaPrefix + "[0-9]+$"})
			}
			properties = append(properties, member{f.name, s})
			if !f.optional {
				required = append(required, f.name)
			}
		}
		return object{{"type", "object"}, {"required", required}, {"properties", properties}}
	}
	panic("a type that the schema does not know: " + t.String())
}

// TestTheSchemaIsThatOfTheDocument: the shipped schema is made from the type.
func TestTheSchemaIsThatOfTheDocument(t *testing.T) {
	said := comments(t)
	whole := append(object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "status.json of k2hdkc-slave-agent"},
		{"description", said["Document"] + " Fields are only ever added."},
	}, schemaOf(reflect.TypeFor[Document](), said)...)
	b, err := json.MarshalIndent(whole, "", "  ")
	fatal.If(t, err)
	b = append(b, '\n')
	if *update {
		fatal.If(t, os.WriteFile(schemaFile, b, 0o644))
	}
	now, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(now, b) {
		t.Errorf("%v: %s is not that of the type; write it anew: go test ./cmd/status -update", err, schemaFile)
	}
}

// paths are all fields below a type, a line each, with their types.
func paths(t reflect.Type, at string) (lines []string) {
	switch t.Kind() {
	case reflect.Slice:
		return paths(t.Elem(), at+"[]")
	case reflect.Pointer:
		return paths(t.Elem(), at+"?")
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return []string{at + " time"}
		}
		for _, f := range fields(t, nil) {
			at := strings.TrimPrefix(at+"."+f.name, ".")
			if f.optional {
				at += "(optional)"
			}
			lines = append(lines, paths(f.typ, at)...)
		}
		return lines
	}
	return []string{at + " " + t.Kind().String()}
}

// TestFieldsAreOnlyAdded: what a reader may rely on is in testdata/fields.txt. No line of it ever
// goes away or changes.
func TestFieldsAreOnlyAdded(t *testing.T) {
	b, err := os.ReadFile(fieldsFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	promised := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(b) == 0 {
		promised = nil
	}
	now := paths(reflect.TypeFor[Document](), "")
	for _, line := range promised {
		if !slices.Contains(now, line) {
			t.Errorf("%s is promised to readers, and was removed or has another type", line)
		}
	}
	var added []string
	for _, line := range now {
		if !slices.Contains(promised, line) {
			added = append(added, line)
		}
	}
	if len(added) == 0 {
		return
	}
	if !*update {
		t.Fatalf("new fields %q: promise them by go test ./cmd/status -update", added)
	}
	text := strings.Join(append(promised, added...), "\n") + "\n"
	fatal.If(t, os.WriteFile(fieldsFile, []byte(text), 0o644))
}

// TestDocumentsFitTheSchema holds documents of many states against the shipped schema.
func TestDocumentsFitTheSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(schemaFile)
	fatal.If(t, err)
	fits := func(name string, b []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := schema.Validate(v); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, b)
		}
		return nil
	}
	for name, b := range examples(t) {
		if err := fits(name, b); err != nil {
			t.Error(err)
		}
	}
	// It does find what is wrong.
	b, err := document().JSON()
	fatal.If(t, err)
	for _, wrong := range [][2]string{
		{`"health": "degraded"`, `"health": "fine"`}, {`"revision": 0`, `"revision": "0"`}, {`"conditions": [`, `"conditionz": [`},
		{`"servers": [`, `"servers": [7,`}, {`"since": "2026-03-04T05:06:07Z"`, `"since": "yesterday"`}, {Schema, "somebody/else"},
	} {
		bad := bytes.Replace(b, []byte(wrong[0]), []byte(wrong[1]), 1)
		if bytes.Equal(bad, b) || fits("", bad) == nil {
			t.Errorf("%s instead of %s fits the schema", wrong[1], wrong[0])
		}
	}
}

// examples are documents as readers get them.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	add := func(name string, d Document) {
		b, err := d.JSON()
		fatal.If(t, err)
		all[name] = b
	}
	dir := t.TempDir()
	never, _ := Look(dir, time.Now())
	add("an agent that never ran", never)
	fatal.If(t, Write(dir, document()))
	stopped, err := Look(dir, time.Now())
	fatal.If(t, err)
	add("a stopped agent", stopped)
	add("a running agent", document())
	full := document()
	fill(reflect.ValueOf(&full).Elem())
	add("all fields", full)
	golden, err := filepath.Glob("../screen/testdata/*.txtar")
	if err != nil || len(golden) < 15 {
		t.Fatalf("%d screens, %v", len(golden), err)
	}
	for _, path := range golden {
		archive, err := txtar.ParseFile(path)
		fatal.If(t, err)
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, "json") && bytes.HasPrefix(f.Data, []byte("{")) {
				all[filepath.Base(path)+" "+f.Name] = f.Data
			}
		}
	}
	return all
}

// fill gives each field that has no value one.
func fill(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)))
	case words[v.Type()] != nil:
		v.Set(reflect.ValueOf(words[v.Type()][0]))
	case v.Kind() == reflect.String && v.String() == "":
		v.SetString("x")
	case v.Kind() == reflect.Int:
		v.SetInt(7)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}
