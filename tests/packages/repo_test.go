package packages

import (
	"bytes"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func read(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// serve serves a repository on loopback.
func serve(tb testing.TB, r *Repository) (url string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return r.Serve(tb, l)
}

// spoil changes one byte of each file that fits a pattern.
func spoil(tb testing.TB, pattern string, at func(b []byte) int) {
	tb.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		tb.Fatalf("%s: %v, %v", pattern, found, err)
	}
	for _, path := range found {
		b := []byte(read(tb, path))
		b[at(b)] ^= 1
		if err := os.WriteFile(path, b, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
}

func middle(b []byte) int { return len(b) / 2 }

func in(text string) func(b []byte) int {
	return func(b []byte) int { return bytes.Index(b, []byte(text)) }
}

// copyOf is a copy of a repository that is served, for a test to spoil.
func copyOf(tb testing.TB, r *Repository) *Repository {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "repo")
	if err := os.CopyFS(dir, os.DirFS(r.Dir)); err != nil {
		tb.Fatal(err)
	}
	c := at(dir)
	c.gpgHome, c.fingerprint = r.gpgHome, r.fingerprint
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c.listen(tb, l)
	for _, path := range []string{c.Sources, c.Repo} {
		write(tb, path, strings.ReplaceAll(read(tb, path), r.url, c.url))
	}
	return c
}

// files are the paths of all that is served, with the contents.
func files(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			name, _ := filepath.Rel(dir, path)
			all[name] = read(tb, path)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestReleasesAreAddedToARepository(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"))
	before := files(t, r.Dir)
	// One that was killed in between has left this.
	write(t, filepath.Join(r.Dir, "apt/pool/main/s/shop-tool/shop-tool_1.1_amd64.deb.part"), "half")
	write(t, filepath.Join(r.Dir, ".new.123456/Release"), "half")
	r.Add(t, tiny(t, "shop-tool", "1.1"), tiny(t, "shop-other", "7"))
	after := files(t, r.Dir)
	for name, text := range before {
		isPackage := strings.HasSuffix(name, ".deb") || strings.HasSuffix(name, ".rpm")
		byHash := strings.Contains(name, "by-hash") || strings.Contains(name, "repodata/") && strings.Contains(name, "-")
		if (isPackage || byHash) && after[name] != text {
			t.Errorf("%s is gone, or another one", name)
		}
	}
	list := after["apt/dists/stable/main/binary-"+runtime.GOARCH+"/Packages"]
	for _, want := range []string{
		"Filename: pool/main/s/shop-tool/shop-tool_1.0_" + runtime.GOARCH + ".deb\n",
		"Filename: pool/main/s/shop-tool/shop-tool_1.1_" + runtime.GOARCH + ".deb\n",
		"Filename: pool/main/s/shop-other/shop-other_7_" + runtime.GOARCH + ".deb\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("want %q in\n%s", want, list)
		}
	}
	for name := range after {
		if strings.HasSuffix(name, ".part") || strings.HasPrefix(name, ".new") {
			t.Errorf("%s was left behind", name)
		}
	}
	for _, other := range []string{"amd64", "arm64"} {
		if _, ok := after["apt/dists/stable/main/binary-"+other+"/Packages"]; !ok {
			t.Errorf("there is no list of packages for %s", other)
		}
	}
}

// Clients ask for what has changed since the second that their copy is of.
func TestWhatIsPublishedIsNewerThanWhatItReplaces(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"))
	list := []string{"apt/dists/stable/InRelease", "yum/repodata/repomd.xml"}
	// As if it had been published within this second, whenever that ends.
	last := time.Now().Add(time.Minute).Truncate(time.Second)
	for _, name := range list {
		if err := os.Chtimes(filepath.Join(r.Dir, name), last, last); err != nil {
			t.Fatal(err)
		}
	}
	r.Add(t, tiny(t, "shop-tool", "1.1"))
	for _, name := range list {
		info, err := os.Stat(filepath.Join(r.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if now := info.ModTime().Truncate(time.Second); !now.After(last) {
			t.Errorf("%s is of %v, the one before was of %v", name, now, last)
		}
	}
}

func TestSamePackagesAndTimeGiveTheSameMetadata(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", epoch)
	dir := tiny(t, "shop-tool", "1.0")
	a := Repo(t, dir)
	b := at(filepath.Join(t.TempDir(), "elsewhere"))
	b.gpgHome, b.fingerprint = a.gpgHome, a.fingerprint
	b.Add(t, dir)
	want, got := files(t, a.Dir), files(t, b.Dir)
	for _, name := range []string{
		"apt/dists/stable/Release", "apt/dists/stable/main/binary-" + runtime.GOARCH + "/Packages.xz",
	} {
		if want[name] != got[name] || want[name] == "" {
			t.Errorf("%s differs:\n%s\n%s", name, want[name], got[name])
		}
	}
	// A time before that of the last release would look like an attack to apt.
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	a.Add(t, tiny(t, "shop-tool", "1.1"))
	_, last, _ := strings.Cut(want["apt/dists/stable/Release"], "Date: ")
	last, _, _ = strings.Cut(last, "\n")
	if release := files(t, a.Dir)["apt/dists/stable/Release"]; !strings.Contains(release, "Date: "+last+"\n") {
		t.Errorf("the time has gone back from %s:\n%s", last, release)
	}
}

// refused runs packaging/repo, which has to fail with words, and to leave the
// repository alone.
func refused(t *testing.T, r *Repository, env []string, args []string, words ...string) {
	t.Helper()
	before := files(t, r.Dir)
	cmd := r.command(args...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%v %v: it should have been refused:\n%s", env, args, out)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			t.Errorf("%v %v: want %q in\n%s", env, args, w, out)
		}
	}
	after := files(t, r.Dir)
	for name := range before {
		if after[name] != before[name] {
			t.Errorf("%v %v: %s has changed", env, args, name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%v %v: %d files before, %d after", env, args, len(before), len(after))
	}
}

func TestWhatCannotBeSignedIsRefused(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"))
	home := newGPGHome(t)
	other := newKey(t, home, "Other <other@shop.example>", "")
	gpg(t, home, "", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "Curve <curve@shop.example>", "ed25519", "sign", "never")
	newKey(t, home, "Other too <other2@shop.example>", "")
	for name, args := range map[string][]string{
		"sha1": {"rsa2048", "sign", "never", "--cert-digest-algo", "SHA1"}, "short": {"rsa1024", "sign", "never"},
		"expired": {"rsa2048", "sign", "10d", "--faked-system-time", "20240101T000000"}, "cert": {"rsa2048", "cert", "never"},
	} {
		options := append([]string{"--pinentry-mode", "loopback", "--passphrase", ""}, args[3:]...)
		gpg(t, home, "", append(append(options, "--quick-gen-key", name+"@shop.example"), args[:3]...)...)
	}

	few := t.TempDir() // a PATH with a little less than is needed
	for _, tool := range []string{"bash", "dirname", "sed", "gpg", "dpkg-deb"} {
		if err := os.Symlink(strings.TrimSpace(runHere(t, "which", tool)), filepath.Join(few, tool)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		env   []string
		words string
	}{
		"no key is named":               {[]string{"K2HDKC_REPO_KEY="}, "set K2HDKC_REPO_KEY"},
		"the key is not there":          {[]string{"K2HDKC_REPO_KEY=nobody@shop.example"}, "no secret key 'nobody@shop.example'"},
		"the keyring is not there":      {[]string{"GNUPGHOME=" + filepath.Join(home, "none")}, "set GNUPGHOME"},
		"two keys have that name":       {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=Other"}, "2 secret keys"},
		"an old rpm does not know it":   {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=curve@shop.example"}, "not RSA"},
		"Debian 13 refuses its hash":    {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=sha1@shop.example"}, "self-signature of the key"},
		"it is short":                   {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=short@shop.example"}, "1024 bits"},
		"it has expired":                {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=expired@shop.example"}, "has expired"},
		"it is not for signing":         {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=cert@shop.example"}, "does not sign by itself"},
		"the hosts have another key":    {[]string{"GNUPGHOME=" + home, "K2HDKC_REPO_KEY=" + other}, "not with " + other},
		"the passphrase file is absent": {[]string{"K2HDKC_REPO_PASSPHRASE_FILE=/none"}, "cannot read /none"},
		"programs are missing":          {[]string{"PATH=" + few}, "createrepo_c (createrepo-c) rpm (rpm) rpmsign (rpm)"},
		"the packages are not there":    {[]string{"DIST=/none"}, "/none is not a folder"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, r, c.env, []string{r.Dir}, c.words) })
	}
	t.Run("another package of the same name and version", func(t *testing.T) {
		deb, rpm := t.TempDir(), t.TempDir()
		tinyDeb(t, deb, "shop-tool", "1.0")
		spoil(t, filepath.Join(deb, "*.deb"), func(b []byte) int { return bytes.Index(b, []byte("!<arch>\n")) + 16 + 8 }) // its time
		refused(t, r, nil, []string{r.Dir, deb}, "published with other contents", "new version")
		tinyRPM(t, rpm, "shop-tool", "1.0", "URL: https://shop.example")
		refused(t, r, nil, []string{r.Dir, rpm}, "published with other contents", "new version")
	})
	t.Run("a package that is none", func(t *testing.T) {
		for _, name := range []string{"a.deb", "a.rpm"} {
			dir := t.TempDir()
			write(t, filepath.Join(dir, name), "hello\n")
			refused(t, r, nil, []string{r.Dir, dir}, name+" is no")
		}
	})
	t.Run("no packages for a new repository", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new")
		out, err := r.command(dir).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "run packaging/build first") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("a wrong command line", func(t *testing.T) {
		refused(t, r, nil, nil, "packaging/repo [--url URL] DIR")
		refused(t, r, nil, []string{"--url", "shop.example", r.Dir}, "does not begin with https://")
	})
}

func TestPassphraseOfTheKey(t *testing.T) {
	NeedRepo(t)
	home := newGPGHome(t)
	key := newKey(t, home, "Locked <locked@shop.example>", "for the test")
	// The agent that has made it would know the passphrase for a while.
	gpgconf(t, home, "--kill", "all")
	file := filepath.Join(t.TempDir(), "passphrase")
	write(t, file, "for the test\n")

	locked := at(filepath.Join(t.TempDir(), "repo"))
	locked.gpgHome, locked.fingerprint = home, key
	t.Setenv("K2HDKC_REPO_PASSPHRASE_FILE", file)
	locked.Add(t, tiny(t, "shop-tool", "1.0"))

	write(t, file, "another one\n")
	gpgconf(t, home, "--kill", "all")
	refused(t, locked, nil, []string{locked.Dir})
}

// TestAKeyThatExpiresSoonIsWarnedOf: it signs, and says until when.
func TestAKeyThatExpiresSoonIsWarnedOf(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"))
	home := newGPGHome(t)
	for _, c := range []struct {
		expire string
		warned bool
	}{{"300d", true}, {"400d", false}, {"never", false}} {
		gpg(t, home, "", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", c.expire+"@shop.example", "rsa2048", "sign", c.expire)
		cmd := r.command(filepath.Join(t.TempDir(), "new"), tiny(t, "shop-tool", "1.0"))
		cmd.Env = append(cmd.Env, "GNUPGHOME="+home, "K2HDKC_REPO_KEY="+c.expire+"@shop.example", "DIST="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "warning: the key expires within a year") != c.warned {
			t.Errorf("%s: %v\n%s", c.expire, err, out)
		}
	}
}
