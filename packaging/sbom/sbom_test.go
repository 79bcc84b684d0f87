package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

const text = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2026 Somebody
License: Expat

Files: std/*
Copyright: 2009 The Go Authors
License: BSD-3-Clause

Files: shop.example/Orders/v2/*
Copyright:
 2020 One
 2021 Other
License: Apache-2.0 and Expat
Comment: License: of no matter

License: Expat
 Do as you like.
`

func TestLicencesOfModules(t *testing.T) {
	got, err := licences(text)
	fatal.If(t, err)
	want := map[string]string{"": "MIT", "std": "BSD-3-Clause", "shop.example/Orders/v2": "Apache-2.0 AND MIT"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "Files: std/*\nLicense: MIT\n", "Files: *\nLicense: MIT\n\nFiles: std/*\n"} {
		if got, err := licences(bad); err == nil {
			t.Errorf("%q: %v and no error", bad, got)
		}
	}
}

// bill is what cyclonedx-gomod prints, at a time and by a build of its own.
func bill(time, hash, module string) string {
	return `{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
  "metadata": {
    "timestamp": "` + time + `",
    "tools": [{"vendor": "CycloneDX", "name": "cyclonedx-gomod", "version": "v1.9.0", "hashes": [{"alg": "MD5", "content": "` + hash + `"}]}],
    "component": {"bom-ref": "agent", "type": "application", "name": "agent", "version": "1.2.3"},
    "properties": [{"name": "cdx:gomod:binary:hash:SHA-256", "value": "0102"}]
  },
  "components": [
    {"bom-ref": "a", "type": "library", "name": "` + module + `", "version": "v2.0.1", "purl": "pkg:golang/a@v2.0.1?type=module&goos=linux"},
    {"bom-ref": "std", "type": "library", "name": "std", "version": "go1.26.3"}
  ],
  "dependencies": [{"ref": "agent", "dependsOn": ["a", "std"]}, {"ref": "a"}, {"ref": "std"}]
}`
}

// completed runs the command on a bill.
func completed(t *testing.T, bill string) (string, error) {
	t.Helper()
	copyright := filepath.Join(t.TempDir(), "copyright")
	fatal.If(t, os.WriteFile(copyright, []byte(text), 0o600))
	var out bytes.Buffer
	err := run(strings.NewReader(bill), &out, copyright)
	return out.String(), err
}

func TestTheSameProgramHasTheSameBill(t *testing.T) {
	one, err := completed(t, bill("2026-11-20T10:00:00Z", "00000000000000000000000000000000", "shop.example/Orders/v2"))
	fatal.If(t, err)
	other, err := completed(t, bill("2026-11-21T11:00:00Z", "11111111111111111111111111111111", "shop.example/Orders/v2"))
	fatal.If(t, err)
	if diff := cmp.Diff(one, other); diff != "" {
		t.Errorf("(-one +other):\n%s", diff)
	}
	for _, kept := range []string{`"cdx:gomod:binary:hash:SHA-256"`, `?type=module&goos=linux"`, `"cyclonedx-gomod"`, `"specVersion": "1.6"`} {
		if !strings.Contains(one, kept) {
			t.Errorf("%s is missing in\n%s", kept, one)
		}
	}
}

func TestEveryComponentHasItsLicence(t *testing.T) {
	out, err := completed(t, bill("2026-11-20T10:00:00Z", "00000000000000000000000000000000", "shop.example/Orders/v2"))
	fatal.If(t, err)
	var b cdx.BOM
	fatal.If(t, cdx.NewBOMDecoder(strings.NewReader(out), cdx.BOMFileFormatJSON).Decode(&b))
	got := map[string]cdx.Licenses{}
	for _, c := range append(*b.Components, *b.Metadata.Component) {
		got[c.Name] = *c.Licenses
	}
	want := map[string]cdx.Licenses{
		"agent":                  {{License: &cdx.License{ID: "MIT"}}},
		"std":                    {{License: &cdx.License{ID: "BSD-3-Clause"}}},
		"shop.example/Orders/v2": {{Expression: "Apache-2.0 AND MIT"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestModuleWithoutLicenceIsAnError(t *testing.T) {
	out, err := completed(t, bill("2026-11-20T10:00:00Z", "00000000000000000000000000000000", "shop.example/new"))
	if err == nil || !strings.Contains(err.Error(), "shop.example/new") || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatIsNoBillIsAnError(t *testing.T) {
	for _, in := range []string{"", "{}", "go: cannot find module", `{"bomFormat": "CycloneDX", "metadata": {}}`} {
		if out, err := completed(t, in); err == nil || out != "" {
			t.Errorf("%q: %v\n%s", in, err, out)
		}
	}
}

// The licences of what has gone from the program are not to stay for ever.
func TestCopyrightFileNamesNoModuleThatIsNotUsed(t *testing.T) {
	text, err := os.ReadFile("../copyright")
	fatal.If(t, err)
	sums, err := os.ReadFile(filepath.Join("../..", "go.mod"))
	fatal.If(t, err)
	named, err := licences(string(text))
	fatal.If(t, err)
	for module := range named {
		if module != "" && module != "std" && !strings.Contains(string(sums), module+" v") {
			t.Errorf("go.mod does not have %s", module)
		}
	}
}
