package main

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fatal"
)

func written(t *testing.T) string {
	t.Helper()
	text, err := config()
	fatal.If(t, err)
	return text
}

// load lets the agent read a configuration file, beside those that K2HR3's
// script leaves.
func load(t *testing.T, text string) (*options.Options, error) {
	t.Helper()
	verbs := options.Verbs()
	run := verbs[slices.IndexFunc(verbs, func(v options.Verb) bool { return v.Name == "run" })]
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: fs.FileMode(0o644)} }
	return options.Load(run, nil, options.System{Dir: "/", Files: fstest.MapFS{
		"etc/k2hdkc/slave-agent.ini":     file(text),
		"etc/antpickax/k2hr3-api-uri":    file("https://k2hr3.example.com"),
		"etc/antpickax/k2hr3-role-name":  file("yrn:yahoo:::shop:role:orders/slave"),
		"etc/antpickax/k2hr3-cuk":        file("3f5a0f35-52a0-4b0e-8d7c-6f2d5cf2a111"),
		"etc/antpickax/k2hr3-role-token": file(strings.Repeat("0a", 32)),
	}})
}

func TestConfigurationFileListsEveryOptionInItsSection(t *testing.T) {
	var got, want []string
	section := ""
	for line := range strings.Lines(written(t)) {
		if header := regexp.MustCompile(`^\[(.*)\]`).FindStringSubmatch(line); header != nil {
			section = header[1]
		} else if key := regexp.MustCompile(`^#([a-z0-9-]+) = `).FindStringSubmatch(line); key != nil {
			got = append(got, section+" "+key[1])
		}
	}
	for _, o := range options.Table() {
		if o.Section != "" {
			want = append(want, o.Section+" "+o.Key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-of the table +in the file):\n%s", diff)
	}
}

func TestConfigurationFileSetsNothing(t *testing.T) {
	if set := regexp.MustCompile(`(?m)^[^#\[\n].*`).FindString(written(t)); set != "" {
		t.Errorf("it sets %s", set)
	}
	if _, err := load(t, written(t)); err != nil {
		t.Errorf("the agent cannot read it: %v", err)
	}
}

// Each default in the file is a value that the agent takes, and takes as what it
// would do anyway.
func TestDefaultsInTheConfigurationFileChangeNothing(t *testing.T) {
	text := written(t)
	for _, o := range options.Table() {
		if o.Section != "" && o.Default != "" {
			text = strings.Replace(text, "\n#"+o.Key+" = ", "\n"+o.Key+" = ", 1)
		}
	}
	uncommented, err := load(t, text)
	fatal.If(t, err)
	plain, err := load(t, written(t))
	fatal.If(t, err)
	exported := cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && !regexp.MustCompile(`^[A-Z]`).MatchString(f.Name())
	}, cmp.Ignore())
	if diff := cmp.Diff(plain, uncommented, exported); diff != "" {
		t.Errorf("(-by default +as written):\n%s", diff)
	}
}
