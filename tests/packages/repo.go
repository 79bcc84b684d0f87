package packages

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// Repository is a signed apt and yum repository, made by packaging/repo with a
// key that ends with the test.
type Repository struct {
	// Dir is what a web server serves: apt and yum in folders of these names.
	Dir string
	// Key is the public key, armoured, for apt and for rpm.
	Key string
	// Sources and Repo are what tells apt and dnf of the repository. They are
	// there once it is served.
	Sources, Repo string

	gpgHome, fingerprint, url string
}

// Repo makes a repository of the packages in folders.
func Repo(tb testing.TB, dirs ...string) *Repository {
	tb.Helper()
	NeedRepo(tb)
	r := at(filepath.Join(tb.TempDir(), "repo"))
	r.gpgHome = newGPGHome(tb)
	r.fingerprint = newKey(tb, r.gpgHome, "Packages <packages@shop.example>", "")
	r.Add(tb, dirs...)
	return r
}

// NeedRepo goes on only if long tests are asked for, and the programs are here that
// make a repository.
func NeedRepo(tb testing.TB) {
	tb.Helper()
	need.Long(tb, "makes a package repository")
	need.Programs(tb, "apt-ftparchive", "dpkg-deb", "createrepo_c", "rpm", "rpmsign", "gpg", "flock", "gzip", "xz")
}

func at(dir string) *Repository {
	return &Repository{
		Dir: dir, Key: filepath.Join(dir, "k2hdkc.asc"),
		Sources: filepath.Join(dir, "k2hdkc.sources"), Repo: filepath.Join(dir, "k2hdkc.repo"),
	}
}

// Add publishes the packages of more folders.
func (r *Repository) Add(tb testing.TB, dirs ...string) {
	tb.Helper()
	args := []string{r.Dir}
	if r.url != "" {
		args = []string{"--url", r.url, r.Dir}
	}
	if out, err := r.command(append(args, dirs...)...).CombinedOutput(); err != nil {
		tb.Fatalf("packaging/repo: %v\n%s", err, out)
	}
}

// Serve serves the repository on a listener for as long as the test lasts, and
// returns its address.
func (r *Repository) Serve(tb testing.TB, l net.Listener) (url string) {
	tb.Helper()
	r.listen(tb, l)
	r.Add(tb)
	return r.url
}

func (r *Repository) listen(tb testing.TB, l net.Listener) {
	server := &http.Server{Handler: http.FileServer(http.Dir(r.Dir)), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	tb.Cleanup(func() { server.Close() })
	r.url = "http://" + l.Addr().String()
}

// command is packaging/repo with the repository's key. $DIST is a folder
// without packages, the packages are those of the arguments.
func (r *Repository) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(realagent.Root(), "packaging/repo"), args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+r.gpgHome, "K2HDKC_REPO_KEY="+r.fingerprint, "DIST="+r.gpgHome)
	return cmd
}

// gpgHomes begins the names of keyrings' folders; the number of the process
// that made one follows.
const gpgHomes = "k2hdkc-gpg-"

// newGPGHome makes a keyring with an agent of its own, which ends with the
// test. Its path is short, for the agent's sockets are in it.
func newGPGHome(tb testing.TB) string {
	tb.Helper()
	sweepGPGHomes()
	home, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", gpgHomes, os.Getpid()))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		gpgconf(tb, home, "--kill", "all")
		if err := os.RemoveAll(home); err != nil {
			tb.Error(err)
		}
	})
	return home
}

// sweepGPGHomes removes the keyrings of tests that were killed; an agent whose
// folder is gone ends.
func sweepGPGHomes() {
	homes, _ := filepath.Glob(filepath.Join(os.TempDir(), gpgHomes+"*"))
	for _, home := range homes {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(home), gpgHomes), "-")
		if pid, err := strconv.Atoi(number); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			os.RemoveAll(home)
		}
	}
}

func gpgconf(tb testing.TB, home string, args ...string) {
	tb.Helper()
	cmd := exec.Command("gpgconf", args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Errorf("gpgconf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// newKey makes an RSA key that signs, and returns its fingerprint.
func newKey(tb testing.TB, home, user, passphrase string) string {
	tb.Helper()
	gpg(tb, home, passphrase, "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--quick-gen-key", user, "rsa2048", "sign", "never")
	for line := range strings.Lines(gpg(tb, home, "", "--with-colons", "--list-secret-keys", user)) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			return f[9]
		}
	}
	tb.Fatalf("gpg has made no key for %s", user)
	return ""
}

func gpg(tb testing.TB, home, input string, args ...string) string {
	tb.Helper()
	cmd := exec.Command("gpg", append([]string{"--batch", "--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("gpg %s: %v", strings.Join(args, " "), withStderr(err))
	}
	return string(out)
}

// withStderr adds what a program said to the error it ended with.
func withStderr(err error) error {
	if exit, ok := err.(*exec.ExitError); ok {
		return fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	return err
}
