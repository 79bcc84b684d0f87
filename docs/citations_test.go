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
	newline  = regexp.MustCompile(`\n\s*(//|#) ?`)

	heading = regexp.MustCompile(`(?m)^#+ ([A-K](?:\.\d+)?|\d+(?:\.\d+)?)\.? `)
	item    = regexp.MustCompile(`(?m)^(?:\* \*\*)?(G?\d+)\. `)
)

// short are citations without the document's name, where it is always the same one.
var short = []struct {
	files, doc string
	cite       *regexp.Regexp
}{
	{"../chmpx/*.go", "chmpx", regexp.MustCompile(`//.*\(([A-K]\.\d+)\b`)},
	{"../chmpx/testdata/judge/*.txt", "chmpx", regexp.MustCompile(`(?m)^spec: (\S+)$`)},
	{"../tests/fakechmpx/*.go", "chmpx", regexp.MustCompile(`//.*\(([A-K]\.\d+)\b`)},
	{"../tests/fakek2hr3/recordings_test.go", "k2hr3", regexp.MustCompile(`rec: "([0A-K]\.\d+)"`)},
}

// TestCitations looks for the sections that code, tests and scripts cite.
func TestCitations(t *testing.T) {
	known := map[string]map[string]bool{}
	for _, doc := range []string{"chmpx", "flavours", "k2hr3"} {
		known[doc] = sections(t, doc)
	}
	cited := 0
	for _, path := range files(t) {
		for _, c := range citations(t, path) {
			cited++
			if !known[c.doc][c.section] {
				t.Errorf("%s cites docs/%s.md %s, which is not there", path, c.doc, c.section)
			}
		}
	}
	if cited == 0 {
		t.Error("nothing is cited")
	}
}

// sections returns what a document can be cited by: its headings, and the numbered items
// below them.
func sections(t *testing.T, doc string) map[string]bool {
	t.Helper()
	b := read(t, doc+".md")
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

// files are those that may cite.
func files(t *testing.T) (paths []string) {
	t.Helper()
	kinds := []string{".go", ".service", ".conf", ".sh", ".tmpl", ".txt"}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains(kinds, filepath.Ext(path)) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

type cited struct{ doc, section string }

func citations(t *testing.T, path string) (found []cited) {
	t.Helper()
	b := read(t, path)
	for _, m := range citation.FindAllSubmatch(newline.ReplaceAll(b, []byte(" ")), -1) {
		for section := range strings.FieldsSeq(strings.ReplaceAll(string(m[2]), ",", " ")) {
			found = append(found, cited{string(m[1]), section})
		}
	}
	for _, s := range short {
		if ok, _ := filepath.Match(s.files, path); !ok {
			continue
		}
		for _, m := range s.cite.FindAllSubmatch(b, -1) {
			found = append(found, cited{s.doc, string(m[1])})
		}
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
