package screen_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"k2hdkc-slave-agent/tests/fatal"
)

// shown is a place in the documentation for one screen of a golden file.
var shown = regexp.MustCompile(`(?s)(<!-- screen: (\S+) (\S+) -->\n)(.*?)(<!-- end -->)`)

// TestDocsShowTheScreens compares the screens in the documentation with the golden files. With
// -update it writes them.
func TestDocsShowTheScreens(t *testing.T) {
	for _, doc := range []string{"../../docs/status.md", "../../README.md"} {
		text, err := os.ReadFile(doc)
		fatal.If(t, err)
		places := 0
		now := shown.ReplaceAllStringFunc(string(text), func(place string) string {
			places++
			m := shown.FindStringSubmatch(place)
			archive, err := txtar.ParseFile(filepath.Join("testdata", m[2]+".txtar"))
			if err != nil {
				t.Error(err)
				return place
			}
			for _, f := range archive.Files {
				if f.Name == m[3] {
					return m[1] + "\n" + indented(string(f.Data)) + "\n" + m[5]
				}
			}
			t.Errorf("%s: %s has no screen %q", doc, m[2], m[3])
			return place
		})
		if places == 0 {
			t.Errorf("%s shows no screen", doc)
		}
		if now == string(text) {
			continue
		}
		if !*update {
			t.Errorf("%s shows other screens than the golden files; write it with -update if it is meant", doc)
			continue
		}
		fatal.If(t, os.WriteFile(doc, []byte(now), 0o644))
	}
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
