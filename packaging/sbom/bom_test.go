package main

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
License: Apache-2.0
Comment: License: of no matter

License: Expat
 Do as you like.
`

func info(deps ...*debug.Module) *buildinfo.BuildInfo {
	return &buildinfo.BuildInfo{
		GoVersion: "go1.26.3 X:some", Deps: deps,
		Settings: []debug.BuildSetting{{Key: "GOARCH", Value: "arm64"}, {Key: "-ldflags", Value: "-X a=/home/somebody"}},
	}
}

func known(t *testing.T) map[string]string {
	t.Helper()
	k, err := licences(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestLicencesOfModules(t *testing.T) {
	want := map[string]string{"": "MIT", "std": "BSD-3-Clause", "shop.example/Orders/v2": "Apache-2.0"}
	if diff := cmp.Diff(want, known(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "Files: std/*\nLicense: MIT\n", "Files: *\nLicense: MIT\n\nFiles: std/*\n"} {
		if got, err := licences(bad); err == nil {
			t.Errorf("%q: %v and no error", bad, got)
		}
	}
}

func TestEveryModuleIsInTheBill(t *testing.T) {
	b, err := describe("agent", "1.2.3", [32]byte{1, 2}, time.Unix(86400, 0).UTC(),
		info(&debug.Module{Path: "shop.example/Orders/v2", Version: "v2.0.1", Sum: "h1:abc="}), known(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []component{
		{
			Type: "library", Ref: "pkg:golang/shop.example/orders/v2@v2.0.1", Name: "shop.example/Orders/v2", Version: "v2.0.1",
			Licenses: licensed("Apache-2.0"), PURL: "pkg:golang/shop.example/orders/v2@v2.0.1", Properties: []property{{"go:sum", "h1:abc="}},
		},
		{
			Type: "library", Ref: "pkg:golang/std@1.26.3", Name: "std", Version: "1.26.3",
			Licenses: licensed("BSD-3-Clause"), PURL: "pkg:golang/std@1.26.3",
		},
	}
	if diff := cmp.Diff(want, b.Components); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{want[0].Ref, want[1].Ref}, b.Dependencies[0].DependsOn); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]property{{"build:GOARCH", "arm64"}}, b.Metadata.Component.Properties); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	if b.Metadata.Timestamp != "1970-01-02T00:00:00Z" {
		t.Errorf("it was made at %s", b.Metadata.Timestamp)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.SerialNumber) {
		t.Errorf("serial number %s", b.SerialNumber)
	}
}

func TestModuleWithoutLicenceIsAnError(t *testing.T) {
	for _, m := range []*debug.Module{
		{Path: "shop.example/new", Version: "v1.0.0"},
		{Path: "shop.example/Orders/v2", Version: "v2.0.0", Replace: &debug.Module{Path: "shop.example/fork", Version: "v2.0.0"}},
	} {
		_, err := describe("agent", "1.2.3", [32]byte{}, time.Unix(0, 0), info(m), known(t))
		if err == nil || !strings.Contains(err.Error(), "shop.example/") {
			t.Errorf("%s: %v", m.Path, err)
		}
	}
}

// The licences of what has gone from the program are not to stay for ever.
func TestCopyrightFileNamesNoModuleThatIsNotUsed(t *testing.T) {
	text, err := os.ReadFile("../copyright")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join("../..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	named, err := licences(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for module := range named {
		if module != "" && module != "std" && !strings.Contains(string(sums), module+" v") {
			t.Errorf("go.mod does not have %s", module)
		}
	}
}
