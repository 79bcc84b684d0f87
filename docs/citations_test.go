// Package docs holds documents, and the test that what code cites of them is there.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// "docs/chmpx.md D.4, D.6", "docs/flavours.md 9"; a comment may break it anywhere.
	citation = regexp.MustCompile(`docs/(\w+)\.md((?:,? (?:[A-K](?:\.\d+){0,2}|G\d+|\d+(?:\.\d+)?)\b)+)`)
	// The sections that cases of the judge come from.
	caseOf  = regexp.MustCompile(`(?m)^spec: (\S+)$`)
	broken  = regexp.MustCompile(`\n\s*(//|#) ?`)
	heading = regexp.MustCompile(`(?m)^#+ ([A-K](?:\.\d+)?|\d+(?:\.\d+)?)\.? `)
	item    = regexp.MustCompile(`(?m)^(?:\* \*\*)?(G?\d+)\. `)
)

// sections returns what a document can be cited by: its headings, and the numbered items
// below them.
func sections(t *testing.T, name string) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(name + ".md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	at := heading.FindAllSubmatchIndex(b, -1)
	for i, h := range at {
		end := len(b)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		section := string(b[h[2]:h[3]])
		found[section] = true
		for _, m := range item.FindAllSubmatch(b[h[1]:end], -1) {
			found[strings.TrimPrefix(section+"."+string(m[1]), "G.")] = true
		}
	}
	return found
}

// TestCitations looks for the sections that code, tests and scripts cite.
func TestCitations(t *testing.T) {
	known := map[string]map[string]bool{}
	for _, name := range []string{"chmpx", "flavours", "k2hr3"} {
		known[name] = sections(t, name)
	}
	cited := 0
	cite := func(path, doc, section string) {
		cited++
		if !known[doc][section] {
			t.Errorf("%s cites docs/%s.md %s, which is not there", path, doc, section)
		}
	}
	kinds := []string{".go", ".service", ".conf", ".sh", ".tmpl", ""}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		cases, _ := filepath.Match("../chmpx/testdata/judge/*.txt", path)
		if !d.Type().IsRegular() || !cases && !slices.Contains(kinds, filepath.Ext(path)) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if cases {
			for _, m := range caseOf.FindAllSubmatch(b, -1) {
				cite(path, "chmpx", string(m[1]))
			}
		}
		for _, m := range citation.FindAllSubmatch(broken.ReplaceAll(b, []byte(" ")), -1) {
			for _, section := range strings.FieldsFunc(string(m[2]), func(r rune) bool { return r == ',' || r == ' ' }) {
				cite(path, string(m[1]), section)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited == 0 {
		t.Error("nothing is cited")
	}
}
