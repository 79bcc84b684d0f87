package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"
)

// host is an apt or a dnf with a state of its own, which knows one repository.
type host struct {
	root   string
	within []string // what runs the program, if it is not run as it is
	argv   []string
	env    []string
}

func (h host) run(args ...string) (string, error) {
	argv := slices.Concat(h.within, h.argv, args)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), h.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// debianHost is an apt that has what an administrator gives it: the repository's
// source and a key.
func debianHost(tb testing.TB, r *Repository, key string) host {
	tb.Helper()
	need.Programs(tb, "apt-get")
	root := tb.TempDir()
	for _, dir := range []string{
		"etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d",
		"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	keyring := filepath.Join(root, "k2hdkc.asc")
	write(tb, keyring, read(tb, key))
	write(tb, filepath.Join(root, "var/lib/dpkg/status"), "")
	source := strings.ReplaceAll(read(tb, r.Sources), "/etc/apt/keyrings/k2hdkc.asc", keyring)
	write(tb, filepath.Join(root, "etc/apt/sources.list.d/k2hdkc.sources"), source)
	write(tb, filepath.Join(root, "apt.conf"), fmt.Sprintf(`Dir %q;
Dir::State::status %q;
APT::Architecture %q;
APT::Sandbox::User "root";
Acquire::Retries "0";
Debug::NoLocking "true";
`, root, filepath.Join(root, "var/lib/dpkg/status"), runtime.GOARCH))
	return host{root: root, argv: []string{"apt-get"}, env: []string{"APT_CONFIG=" + filepath.Join(root, "apt.conf"), "LC_ALL=C"}}
}

// aptDownload is what apt does before dpkg has its turn.
func (h host) aptDownload(want string) error {
	out, err := h.run("--quiet", "--error-on=any", "update")
	if err != nil {
		return fmt.Errorf("update: %w\n%s", err, out)
	}
	out, err = h.run("--quiet", "--yes", "--download-only", "install", want)
	if err != nil {
		return fmt.Errorf("download: %w\n%s", err, out)
	}
	return nil
}

func TestAptTakesWhatTheKeyHasSigned(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"), tiny(t, "shop-tool", "1.1"))
	serve(t, r)
	h := debianHost(t, r, r.Key)
	for _, version := range []string{"1.1", "1.0"} {
		if err := h.aptDownload("shop-tool=" + version); err != nil {
			t.Error(err)
		}
	}
	r.Add(t, tiny(t, "shop-tool", "1.2"))
	if err := h.aptDownload("shop-tool=1.2"); err != nil {
		t.Error("a release that was added:", err)
	}
	debs, _ := filepath.Glob(filepath.Join(h.root, "var/cache/apt/archives/*.deb"))
	if len(debs) != 3 {
		t.Errorf("downloaded: %v", debs)
	}
}

func TestAptGetsTheListsOfARepositoryThatIsChanging(t *testing.T) {
	r := Repo(t, tiny(t, "shop-tool", "1.0"))
	serve(t, r)
	stable := filepath.Join(r.Dir, "apt/dists/stable")
	known := map[string]string{}
	for _, name := range []string{"InRelease", "Release", "Release.gpg"} {
		known[name] = read(t, filepath.Join(stable, name))
	}
	r.Add(t, tiny(t, "shop-tool", "1.1"))
	for name, text := range known { // the moment before they are replaced
		write(t, filepath.Join(stable, name), text)
	}
	if err := debianHost(t, r, r.Key).aptDownload("shop-tool=1.0"); err != nil {
		t.Error(err)
	}
}

func TestAptRefusesWhatTheKeyHasNotSigned(t *testing.T) {
	good := Repo(t, tiny(t, "shop-tool", "1.0"))
	serve(t, good)
	const stable = "apt/dists/stable/"
	for name, c := range map[string]struct {
		spoil func(t *testing.T, r *Repository)
		want  string
	}{
		"a package": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, "apt/pool/main/s/shop-tool/*.deb"), middle)
		}, "Hash Sum mismatch"},
		"the release": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, stable+"InRelease"), in("Date: "))
		}, "invalid"},
		"the release with its signature apart": {func(t *testing.T, r *Repository) {
			if err := os.Remove(filepath.Join(r.Dir, stable+"InRelease")); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(r.Dir, stable+"Release"), in("Date: "))
		}, "invalid"},
		"the list of packages": {func(t *testing.T, r *Repository) {
			spoil(t, filepath.Join(r.Dir, stable+"main/binary-"+runtime.GOARCH+"/Packages*"), middle)
			spoil(t, filepath.Join(r.Dir, stable+"main/binary-"+runtime.GOARCH+"/by-hash/SHA256/*"), middle)
		}, "mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			r := copyOf(t, good)
			c.spoil(t, r)
			err := debianHost(t, r, r.Key).aptDownload("shop-tool")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
	t.Run("a host with another key", func(t *testing.T) {
		err := debianHost(t, copyOf(t, good), otherKey(t)).aptDownload("shop-tool")
		if err == nil || !strings.Contains(err.Error(), "NO_PUBKEY") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("signed apart is signed too", func(t *testing.T) {
		r := copyOf(t, good)
		if err := os.Remove(filepath.Join(r.Dir, stable+"InRelease")); err != nil {
			t.Fatal(err)
		}
		if err := debianHost(t, r, r.Key).aptDownload("shop-tool"); err != nil {
			t.Error(err)
		}
	})
}

// otherKey is a public key that has signed nothing.
func otherKey(tb testing.TB) string {
	tb.Helper()
	home := newGPGHome(tb)
	key := newKey(tb, home, "Other <other@shop.example>", "")
	path := filepath.Join(tb.TempDir(), "other.asc")
	write(tb, path, gpg(tb, home, "", "--armor", "--export", key))
	return path
}
