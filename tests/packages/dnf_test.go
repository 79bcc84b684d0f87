package packages

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"
)

// elHost is a dnf that has what an administrator gives it: k2hdkc.repo, and the
// key that this names unless another one is given. What it installs goes into
// an empty root.
func elHost(tb testing.TB, r *Repository, key string) host {
	tb.Helper()
	need.Programs(tb, "dnf")
	top := tb.TempDir()
	h := host{root: filepath.Join(top, "root")}
	repo := read(tb, r.Repo)
	if key != "" {
		repo = strings.ReplaceAll(repo, r.url+"/k2hdkc.asc", (&url.URL{Scheme: "file", Path: key}).String())
	}
	write(tb, filepath.Join(top, "repos/k2hdkc.repo"), repo)
	// This host's own dnf.conf is none of an EL.
	write(tb, filepath.Join(top, "dnf.conf"), "[main]\ngpgcheck=1\ninstall_weak_deps=0\nretries=1\n")
	for _, dir := range []string{h.root, filepath.Join(top, "log")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	h.argv = []string{
		"dnf", "--quiet", "--assumeyes", "--config=" + filepath.Join(top, "dnf.conf"), "--releasever=9",
		"--setopt=reposdir=" + filepath.Join(top, "repos"), "--setopt=cachedir=" + filepath.Join(top, "cache"),
		"--setopt=logdir=" + filepath.Join(top, "log"), "--setopt=persistdir=" + filepath.Join(top, "state"),
	}
	tb.Cleanup(func() { // dnf leaves gpg's agent running
		keyrings, _ := filepath.Glob(filepath.Join(top, "cache/*/pubring"))
		for _, home := range keyrings {
			gpgconf(tb, home, "--kill", "all")
		}
	})
	h.env = []string{"HOME=" + top, "LC_ALL=C.UTF-8"}
	return h
}

func (h host) dnf(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := h.run(append([]string{"--installroot=" + h.root}, args...)...)
	if err != nil {
		tb.Fatalf("dnf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (h host) dnfInstall(what string) error {
	if out, err := h.run("--installroot="+h.root, "install", what); err != nil {
		return fmt.Errorf("install: %w\n%s", err, out)
	}
	return nil
}

func TestDnfTakesWhatTheKeyHasSigned(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"), tiny(t, "shop-tool", "1.1"))
	serve(t, r)
	h := elHost(t, r, "")
	installed := func(want string) {
		t.Helper()
		if got := read(t, filepath.Join(h.root, "usr/share/shop-tool/version")); got != want+"\n" {
			t.Errorf("installed is %q, want %s", got, want)
		}
	}
	h.dnf(t, "install", "shop-tool")
	installed("1.1")
	h.dnf(t, "downgrade", "shop-tool")
	installed("1.0")
	r.Add(t, tiny(t, "shop-tool", "1.2"))
	h.dnf(t, "--refresh", "upgrade")
	installed("1.2")
}

// EL8's rpm knows of signatures no more than this; the strictest check is one
// that an administrator may ask for on any EL.
func TestRPMIsSignedInAWayThatAnOldRPMKnows(t *testing.T) {
	r := Repo(t, Build(t, newest(t)))
	db := filepath.Join(t.TempDir(), "db")
	runHere(t, "rpmkeys", "--dbpath", db, "--import", r.Key)
	out := runHere(t, "rpmkeys", "--dbpath", db, "--define", "_pkgverify_level all", "--define", "_pkgverify_flags 0",
		"--checksig", "--verbose", One(t, filepath.Join(r.Dir, "yum/packages"), "rpm"))
	for _, want := range []string{"Header V4 RSA/SHA256 Signature", "Header SHA256 digest: OK", "Payload SHA256 digest: OK"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func TestDnfGetsTheListsOfARepositoryThatIsChanging(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"))
	serve(t, r)
	known := map[string]string{}
	for _, name := range []string{"repomd.xml", "repomd.xml.asc"} {
		path := filepath.Join(r.Dir, "yum/repodata", name)
		known[path] = read(t, path)
	}
	r.Add(t, tiny(t, "shop-tool", "1.1"))
	for path, text := range known { // the moment before they are replaced
		write(t, path, text)
	}
	if err := elHost(t, r, "").dnfInstall("shop-tool-1.0"); err != nil {
		t.Error(err)
	}
}

func TestDnfRefusesWhatTheKeyHasNotSigned(t *testing.T) {
	good := Repo(t, tiny(t, "shop-tool", "1.0"))
	serve(t, good)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, r *Repository)
		want  string
	}{
		"a package": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, "yum/packages/*.rpm"), func(b []byte) int { return len(b) - 20 })
		}, "all mirrors were already tried"},
		"a package that nobody has signed, in metadata that are signed": {func(t *testing.T, r *Repository) {
			if err := os.RemoveAll(filepath.Join(r.Dir, "yum/packages")); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			tinyRPM(t, dir, "shop-tool", "1.0")
			write(t, filepath.Join(r.Dir, "yum/packages/shop-tool.rpm"), read(t, filepath.Join(dir, "shop-tool-1.0.rpm")))
			r.Add(t)
		}, "not signed"},
		"a package that has changed since, in metadata that are signed": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, "yum/packages/*.rpm"), func(b []byte) int { return len(b) - 20 })
			r.Add(t)
		}, "GPG check FAILED"},
		"the metadata": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, "yum/repodata/repomd.xml"), func(b []byte) int { return bytes.Index(b, []byte("</revision>")) - 1 })
		}, "repomd.xml"},
		"the list of packages": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, "yum/repodata/*-primary.xml.gz"), middle)
		}, "all mirrors were already tried"},
		"no signature": {func(t *testing.T, r *Repository) {
			if err := os.Remove(filepath.Join(r.Dir, "yum/repodata/repomd.xml.asc")); err != nil {
				t.Fatal(err)
			}
		}, "repomd.xml.asc"},
	} {
		t.Run(name, func(t *testing.T) {
			r := copyOf(t, good)
			c.spoil(t, r)
			h := elHost(t, r, "")
			err := h.dnfInstall("shop-tool")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
			if _, err := os.Stat(filepath.Join(h.root, "usr/share/shop-tool")); !os.IsNotExist(err) {
				t.Errorf("it is installed (%v)", err)
			}
		})
	}
	t.Run("a host with another key", func(t *testing.T) {
		r := copyOf(t, good)
		if err := elHost(t, r, r.Key).dnfInstall("shop-tool"); err != nil {
			t.Error("with the right key:", err)
		}
		if err := elHost(t, r, otherKey(t)).dnfInstall("shop-tool"); err == nil || !strings.Contains(err.Error(), "GPG") {
			t.Errorf("with another key: %v", err)
		}
	})
}
