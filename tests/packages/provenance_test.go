package packages

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"

	"github.com/google/go-cmp/cmp"
)

// release is a clone of the source with a commit of its own, whose packaging/build is short, and
// what that has built in dist.
type release struct {
	tb                          testing.TB
	tree, dist, gpgHome, signer string
	commit                      string
}

// quickBuild is a packaging/build that takes no time.
const quickBuild = `#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$DIST"
echo "$VERSION $SOURCE_DATE_EPOCH $ARCHES $(go env GOVERSION) $(sha256sum <nfpm.yaml)" >"$DIST/k2hdkc-slave-agent_all.txt"
echo 'the same' >"$DIST/k2hdkc-slave-agent_more.txt"
cd "$DIST"
sha256sum -- k2hdkc-slave-agent* >SHA256SUMS
`

func newRelease(tb testing.TB, build string) *release {
	tb.Helper()
	need.Long(tb, "signs a release")
	need.Programs(tb, "gpg", "gpgv", "git")
	r := &release{tb: tb, tree: tb.TempDir(), dist: tb.TempDir(), gpgHome: newGPGHome(tb)}
	r.signer = newKey(tb, r.gpgHome, "Releases <releases@shop.example>", "")
	for _, name := range []string{"packaging/sign", "packaging/signing", "packaging/verify", "packaging/changelog.yaml", "go.mod", "go.sum", "nfpm.yaml"} {
		write(tb, filepath.Join(r.tree, name), read(tb, filepath.Join(realagent.Root(), name)))
	}
	write(tb, filepath.Join(r.tree, "packaging/build"), build)
	for _, name := range []string{"build", "sign", "verify"} {
		if err := os.Chmod(filepath.Join(r.tree, "packaging", name), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	r.git("init", "--quiet")
	r.git("add", ".")
	r.git("commit", "--quiet", "--message=a release")
	r.commit = strings.TrimSpace(r.git("rev-parse", "HEAD"))
	if out, err := r.run("build"); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return r
}

// copy is the same release, for a test to spoil.
func (r *release) copy(tb testing.TB) *release {
	tb.Helper()
	c := *r
	c.tb, c.tree, c.dist = tb, tb.TempDir(), tb.TempDir()
	for from, to := range map[string]string{r.tree: c.tree, r.dist: c.dist} {
		runHere(tb, "cp", "-a", from+"/.", to)
	}
	return &c
}

func (r *release) git(args ...string) string {
	r.tb.Helper()
	return runHere(r.tb, append([]string{"git", "-C", r.tree, "-c", "user.name=x", "-c", "user.email=x@shop.example", "-c", "commit.gpgSign=false"}, args...)...)
}

// run runs one of the release's scripts, with the variables that it was built with.
func (r *release) run(script string, args ...string) (string, error) {
	cmd := exec.CommandContext(r.tb.Context(), filepath.Join(r.tree, "packaging", script), args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+r.gpgHome, "K2HDKC_REPO_KEY="+r.signer,
		"VERSION=1.2.3", "SOURCE_DATE_EPOCH="+epoch, "ARCHES=amd64 arm64", "DIST="+r.dist)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r *release) sign() {
	r.tb.Helper()
	if out, err := r.run("sign", r.dist); err != nil {
		r.tb.Fatalf("%v\n%s", err, out)
	}
}

func (r *release) file(name string) string { return filepath.Join(r.dist, name) }

// key is the file of the public key.
func (r *release) key() string {
	r.tb.Helper()
	path := filepath.Join(r.tb.TempDir(), "key.asc")
	write(r.tb, path, gpg(r.tb, r.gpgHome, "", "--armor", "--export", r.signer))
	return path
}

// edit replaces a text, which has to be there, in a file of the release.
func (r *release) edit(name, from, to string) {
	r.tb.Helper()
	text := read(r.tb, r.file(name))
	if !strings.Contains(text, from) {
		r.tb.Fatalf("%s has no %q:\n%s", name, from, text)
	}
	write(r.tb, r.file(name), strings.Replace(text, from, to, 1))
}

// signAnew signs a file as packaging/sign does, whatever is in it.
func (r *release) signAnew(name string) {
	r.tb.Helper()
	gpg(r.tb, r.gpgHome, "", "--yes", "--armor", "--local-user", r.signer, "--output", r.file(name+".asc"), "--detach-sign", r.file(name))
}

// TestWhatIsSignedSaysWhereItIsFrom: the signatures are good for others' gpgv, and the statement is
// SLSA's of these very files.
func TestWhatIsSignedSaysWhereItIsFrom(t *testing.T) {
	r := newRelease(t, quickBuild)
	r.sign()
	ring := filepath.Join(t.TempDir(), "ring.gpg")
	write(t, ring, gpg(t, r.gpgHome, "", "--export", r.signer))
	for _, name := range []string{"SHA256SUMS", "provenance.intoto.json"} {
		runHere(t, "gpgv", "--keyring", ring, r.file(name+".asc"), r.file(name))
	}

	type digest map[string]string
	type named struct {
		Name, URI string
		Digest    digest
	}
	var s struct {
		Type          string `json:"_type"`
		Subject       []named
		PredicateType string
		Predicate     struct {
			BuildDefinition struct {
				BuildType            string
				ExternalParameters   map[string]string
				ResolvedDependencies []named
			}
			RunDetails struct{ Builder struct{ ID string } }
		}
	}
	if err := json.Unmarshal([]byte(read(t, r.file("provenance.intoto.json"))), &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != "https://slsa.dev/provenance/v1" ||
		s.Predicate.BuildDefinition.BuildType == "" || s.Predicate.RunDetails.Builder.ID == "" {
		t.Errorf("it is no statement of SLSA's: %+v", s)
	}
	var sums string
	for _, f := range s.Subject {
		sums += f.Digest["sha256"] + "  " + f.Name + "\n"
	}
	if diff := cmp.Diff(read(t, r.file("SHA256SUMS")), sums); diff != "" || len(s.Subject) != 2 {
		t.Errorf("it is about other files (-SHA256SUMS +statement):\n%s", diff)
	}
	want := map[string]string{"command": "packaging/build", "VERSION": "1.2.3", "SOURCE_DATE_EPOCH": epoch, "ARCHES": "amd64 arm64"}
	if diff := cmp.Diff(want, s.Predicate.BuildDefinition.ExternalParameters); diff != "" {
		t.Errorf("built with (-want +got):\n%s", diff)
	}
	sum, _, _ := strings.Cut(runHere(t, "sha256sum", filepath.Join(realagent.Root(), "go.sum")), " ")
	from := []named{
		{Name: "source", Digest: digest{"gitCommit": r.commit}},
		{Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(runtime.Version(), "go")},
		{Name: "go.sum", Digest: digest{"sha256": sum}},
	}
	if diff := cmp.Diff(from, s.Predicate.BuildDefinition.ResolvedDependencies); diff != "" {
		t.Errorf("built from (-want +got):\n%s", diff)
	}
}

// TestWhatNobodyCouldCheckIsNotSigned: nothing is signed, and it says why.
func TestWhatNobodyCouldCheckIsNotSigned(t *testing.T) {
	good := newRelease(t, quickBuild)
	for name, c := range map[string]struct {
		spoil func(r *release)
		words string
	}{
		"a tree that no commit has": {func(r *release) { write(r.tb, filepath.Join(r.tree, "nfpm.yaml"), "other\n") }, "not what any commit has"},
		"a file that has changed":   {func(r *release) { write(r.tb, r.file("k2hdkc-slave-agent_more.txt"), "other\n") }, "not what SHA256SUMS says"},
		"nothing that was built":    {func(r *release) { os.Remove(r.file("SHA256SUMS")) }, "packaging/build makes it"},
		"no key":                    {func(r *release) { r.signer = "" }, "set K2HDKC_REPO_KEY"},
		"a key that is not there":   {func(r *release) { r.signer = "nobody@shop.example" }, "no secret key 'nobody@shop.example'"},
		"a key that packaging/repo refuses too": {func(r *release) { // by packaging/signing, both
			r.signer = "sha1@shop.example"
			gpg(r.tb, r.gpgHome, "", "--pinentry-mode", "loopback", "--passphrase", "", "--cert-digest-algo", "SHA1", "--quick-gen-key", r.signer, "rsa2048", "sign", "never")
		}, "by SHA-1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good.copy(t)
			c.spoil(r)
			if out, err := r.run("sign", r.dist); err == nil || !strings.Contains(out, c.words) {
				t.Errorf("want %q, got %v\n%s", c.words, err, out)
			}
			if signed, _ := filepath.Glob(r.file("*.asc")); signed != nil {
				t.Errorf("signed all the same: %q", signed)
			}
		})
	}
}

// needVerify goes on only where packaging/verify can run.
func needVerify(t *testing.T) (rootfs string) {
	t.Helper()
	machine.Require(t)
	need.Programs(t, "mmdebstrap", "git", "gpg")
	dir, err := machine.Rootfs(t.Context(), machine.Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	return dir + ".tar" // which is kept beside it
}

// TestVerifyBuildsTheReleaseAgain, from the commit and with the variables that the statement names.
func TestVerifyBuildsTheReleaseAgain(t *testing.T) {
	t.Setenv("ROOTFS", needVerify(t))
	good := newRelease(t, quickBuild)
	good.sign()
	// What comes after the release does not count.
	write(t, filepath.Join(good.tree, "nfpm.yaml"), "later\n")
	good.git("commit", "--quiet", "--all", "--message=later")
	t.Run("the same", func(t *testing.T) {
		if out, err := good.run("verify", good.key(), good.dist); err != nil || !strings.Contains(out, "the same, byte by byte: 2 files") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	for name, c := range map[string]struct{ inBuild, words string }{
		"it depends on who builds":      {"hostname >>\"$DIST/k2hdkc-slave-agent_more.txt\"; date +%N >>\"$DIST/k2hdkc-slave-agent_more.txt\"\n", "not what its source gives"},
		"it has what is in no source":   {"[ ! -e " + realagent.Root() + " ] || echo more >\"$DIST/k2hdkc-slave-agent_extra.txt\"\n", "not what its source gives"},
		"it cannot be built any longer": {"[ -e " + realagent.Root() + " ]\n", "cannot be built again"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelease(t, strings.Replace(quickBuild, "cd \"$DIST\"\n", c.inBuild+"cd \"$DIST\"\n", 1))
			r.sign()
			if out, err := r.run("verify", r.key(), r.dist); err == nil || !strings.Contains(out, c.words) {
				t.Errorf("want %q, got %v\n%s", c.words, err, out)
			}
		})
	}
}

// TestVerifyBelievesOnlyWhatIsSigned: each of these is found before anything is built.
func TestVerifyBelievesOnlyWhatIsSigned(t *testing.T) {
	needVerify(t)
	good := newRelease(t, quickBuild)
	good.sign()
	const statement, txt = "provenance.intoto.json", "k2hdkc-slave-agent_more.txt"
	for name, c := range map[string]struct {
		spoil func(r *release)
		words string
	}{
		"a changed byte":      {func(r *release) { spoil(r.tb, r.file(txt), middle) }, "not what SHA256SUMS says"},
		"a file that is gone": {func(r *release) { os.Remove(r.file(txt)) }, "not what SHA256SUMS says"},
		"a changed byte, and its sum": {func(r *release) {
			write(r.tb, r.file(txt), "other\n")
			sum, _, _ := strings.Cut(runHere(r.tb, "sha256sum", r.file(txt)), " ")
			had := read(r.tb, r.file("SHA256SUMS"))
			old, _, _ := strings.Cut(had[strings.LastIndex(strings.TrimSpace(had), "\n")+1:], " ")
			r.edit("SHA256SUMS", old, sum)
		}, "the signature of SHA256SUMS is not one by"},
		"a statement that has changed":   {func(r *release) { r.edit(statement, "1.2.3", "1.2.4") }, "the signature of " + statement},
		"sums that are not signed":       {func(r *release) { os.Remove(r.file("SHA256SUMS.asc")) }, "SHA256SUMS is not signed"},
		"a statement that is not signed": {func(r *release) { os.Remove(r.file(statement + ".asc")) }, statement + " is not signed"},
		"signatures of each other": {func(r *release) {
			os.Rename(r.file("SHA256SUMS.asc"), r.file(statement+".asc"))
			r.signAnew("SHA256SUMS")
		}, "the signature of " + statement},
		"another's signature": {func(r *release) {
			r.signer = newKey(r.tb, r.gpgHome, "Other <other@shop.example>", "")
			r.signAnew("SHA256SUMS")
			r.signer = "releases@shop.example"
		}, "the signature of SHA256SUMS"},
		"a statement about other files": {func(r *release) { r.edit(statement, txt, "other.txt"); r.signAnew(statement) }, "about other files"},
		"a statement about one file less": {func(r *release) {
			r.edit(statement, "  {\"name\": \""+txt, "  {\"was\": \""+txt)
			r.signAnew(statement)
		}, "about other files"},
		"another Go":                           {func(r *release) { r.edit(statement, "generic/go@", "generic/go@9."); r.signAnew(statement) }, "this is go"},
		"a commit that this clone has not got": {func(r *release) { r.edit(statement, r.commit, strings.Repeat("0", 40)); r.signAnew(statement) }, "no commit"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good.copy(t)
			c.spoil(r)
			if out, err := r.run("verify", r.key(), r.dist); err == nil || !strings.Contains(out, c.words) {
				t.Errorf("want %q, got %v\n%s", c.words, err, out)
			}
		})
	}
}
