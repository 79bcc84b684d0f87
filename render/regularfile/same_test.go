package regularfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestSame(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	link := func(to, name string) error { return os.Symlink(to, at(name)) }
	err := errors.Join(
		os.MkdirAll(at("etc/k2hdkc"), 0o755), os.Mkdir(at("srv"), 0o755),
		os.WriteFile(at("etc/a"), nil, 0o600), os.WriteFile(at("etc/b"), nil, 0o600),
		os.Link(at("etc/a"), at("srv/hard")), link("../etc/a", "srv/soft"), link("soft", "srv/softer"),
		link("../../etc/k2hdkc/none", "etc/k2hdkc/dangling"), link("k2hdkc/", "etc/folder"), link("circle", "srv/circle"),
	)
	fatal.If(t, err)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"etc/a", "etc/a", true},
		{"etc/a", "etc/b", false},
		{"etc/a", "srv/hard", true},
		{"etc/a", "srv/soft", true},
		{"srv/hard", "srv/softer", true},
		{"etc/k2hdkc/none", "etc/k2hdkc/none", true},
		{"etc/k2hdkc/none", "etc/folder/none", true},
		{"etc/k2hdkc/none", "etc/folder/../k2hdkc/none", true},
		{"etc/k2hdkc/dangling", "etc/folder/none", true},
		{"etc/k2hdkc/none", "etc/none", false},
		{"no/such/folder/x", "no/such/folder/x", true},
		{"no/such/folder/x", "no/such/folder/y", false},
		{"srv/circle", "srv/circle", true},
		{"srv/circle", "etc/a", false},
	} {
		if got := Locate(root + "/" + c.a).Same(Locate(root + "/" + c.b)); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
		if got := Locate(root + "/" + c.b).Same(Locate(root + "/" + c.a)); got != c.want {
			t.Errorf("%s and %s: %v", c.b, c.a, got)
		}
	}
}
