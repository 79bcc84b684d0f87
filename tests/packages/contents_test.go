package packages

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"

	"github.com/google/go-cmp/cmp"
)

// newest is the version that the tests of what is in a package look at: the last
// one in the changelog.
func newest(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(realagent.Root(), "packaging/changelog.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^- semver: (.*)$`).FindSubmatch(text)
	if version == nil {
		tb.Fatal("packaging/changelog.yaml has no version in it")
	}
	return string(version[1])
}

// maxSize is the most that a package may be to download, maxImage the image for both architectures,
// and maxProgram the most that the program in them may be.
const (
	maxSize    = 4 << 20
	maxImage   = 12 << 20
	maxProgram = 9 << 20
)

// limitOf is the most that a file may be to download.
func limitOf(name string) int {
	if strings.HasSuffix(name, "_oci.tar") {
		return maxImage
	}
	return maxSize
}

// inBoth are the files of both packages: path, and mode with type.
var inBoth = map[string]string{
	"/etc/k2hdkc":                 "drwxr-xr-x",
	"/etc/k2hdkc/slave-agent.ini": "-rw-r--r--",
	"/usr/bin/k2hdkc-slave-agent": "-rwxr-xr-x",
	"/usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf": "-rw-r--r--",
	"/usr/lib/systemd/system/k2hdkc-slave-agent.service":                 "-rw-r--r--",
	"/usr/lib/systemd/system-generators/k2hdkc-slave-agent-generator":    "lrwxrwxrwx",
	"/usr/lib/systemd/catalog/k2hdkc-slave-agent.catalog":                "-rw-r--r--",
	"/usr/lib/sysusers.d/k2hdkc-slave-agent.conf":                        "-rw-r--r--",
	"/usr/libexec/k2hdkc-slave-agent/prepare-chmpx":                      "lrwxrwxrwx",
	"/usr/lib/tmpfiles.d/k2hdkc-slave-agent.conf":                        "-rw-r--r--",
	"/usr/libexec/k2hdkc-slave-agent/await-chmpx":                        "lrwxrwxrwx",
	"/usr/libexec/k2hdkc-slave-agent/generate-again":                     "lrwxrwxrwx",
	"/usr/libexec/k2hdkc-slave-agent/maintain":                           "lrwxrwxrwx",
	"/usr/libexec/k2hdkc-slave-agent/take-parked":                        "lrwxrwxrwx",
	"/usr/libexec/k2hdkc-slave-agent/wait-online":                        "lrwxrwxrwx",
	"/usr/lib/systemd/system/k2hdkc-slave-online.target":                 "-rw-r--r--",
	"/usr/lib/systemd/system/k2hdkc-slave-wait-online.service":           "-rw-r--r--",
	"/usr/share/bash-completion/completions/k2hdkc-slave-agent":          "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/k2hdkc-slave-agent.fish":       "-rw-r--r--",
	"/usr/share/man/man5/slave-agent.ini.5.gz":                           "-rw-r--r--",
	"/usr/share/man/man8/k2hdkc-slave-agent.8.gz":                        "-rw-r--r--",
	"/usr/share/doc/k2hdkc-slave-agent/README.md":                        "-rw-r--r--",
	"/usr/share/doc/k2hdkc-slave-agent/cloud-init.md":                    "-rw-r--r--",
	"/usr/share/doc/k2hdkc-slave-agent/sbom.cdx.json":                    "-rw-r--r--",
	"/usr/share/doc/k2hdkc-slave-agent/doctor.md":                        "-rw-r--r--",
	"/usr/share/doc/k2hdkc-slave-agent/status.md":                        "-rw-r--r--",
	"/usr/share/k2hdkc-slave-agent/alerts.yml":                           "-rw-r--r--",
	"/usr/share/k2hdkc-slave-agent/dashboard.json":                       "-rw-r--r--",
	"/usr/share/k2hdkc-slave-agent":                                      "drwxr-xr-x",
	"/usr/lib/systemd/system/chmpx.service.d":                            "drwxr-xr-x",
	"/usr/libexec/k2hdkc-slave-agent":                                    "drwxr-xr-x",
	"/usr/share/doc/k2hdkc-slave-agent":                                  "drwxr-xr-x",
}

// inDeb and inRPM are the files that only one of them has.
var (
	inDeb = map[string]string{
		"/usr/share/doc/k2hdkc-slave-agent/changelog.Debian.gz": "-rw-r--r--",
		"/usr/share/doc/k2hdkc-slave-agent/copyright":           "-rw-r--r--",
		"/usr/share/lintian/overrides/k2hdkc-slave-agent":       "-rw-r--r--",
		"/usr/share/zsh/vendor-completions/_k2hdkc-slave-agent": "-rw-r--r--",
	}
	inRPM = map[string]string{
		"/usr/lib/systemd/system-preset/80-k2hdkc-slave-agent.preset": "-rw-r--r--",
		"/usr/share/licenses/k2hdkc-slave-agent":                      "drwxr-xr-x",
		"/usr/share/licenses/k2hdkc-slave-agent/Apache-2.0":           "-rw-r--r--",
		"/usr/share/licenses/k2hdkc-slave-agent/MPL-2.0":              "-rw-r--r--",
		"/usr/share/licenses/k2hdkc-slave-agent/copyright":            "-rw-r--r--",
		"/usr/share/zsh/site-functions/_k2hdkc-slave-agent":           "-rw-r--r--",
	}
)

func TestPackagesContainWhatTheyShouldAndNoMore(t *testing.T) {
	need.Programs(t, "dpkg-deb", "rpm")
	dir := Build(t, newest(t))
	want, got := maps.Clone(inBoth), map[string]string{}
	maps.Copy(want, inDeb)
	for path := range want {
		// dpkg wants the folders above as well, up to those that all have.
		for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
			want[dir] = "drwxr-xr-x"
		}
	}
	for line := range strings.Lines(runHere(t, "dpkg-deb", "--contents", One(t, dir, "deb"))) {
		f := strings.Fields(line)
		path := "/" + strings.Trim(strings.TrimPrefix(f[5], "."), "/")
		if f[1] != "root/root" && f[1] != "0/0" {
			t.Errorf("%s belongs to %s", path, f[1])
		}
		got[path] = f[0]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the deb (-want +got):\n%s", diff)
	}

	want, got = maps.Clone(inBoth), map[string]string{}
	maps.Copy(want, inRPM)
	for path, mode := range want {
		if mode[0] == 'l' {
			want[path] = "l---------" // as nfpm writes it; on Linux a link has no mode
		}
	}
	const format = `[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]`
	for line := range strings.Lines(runHere(t, "rpm", "-qp", "--queryformat", format, One(t, dir, "rpm"))) {
		f := strings.Fields(line)
		if f[2] != "root:root" {
			t.Errorf("%s belongs to %s", f[0], f[2])
		}
		got[f[0]] = f[1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rpm (-want +got):\n%s", diff)
	}
}

func TestOnlyTheAgentsConfigurationIsTheOperators(t *testing.T) {
	need.Programs(t, "dpkg-deb", "rpm")
	const want = "/etc/k2hdkc/slave-agent.ini"
	if got := strings.TrimSpace(runHere(t, "dpkg-deb", "--info", One(t, Build(t, newest(t)), "deb"), "conffiles")); got != want {
		t.Errorf("conffiles of the deb: %q", got)
	}
	got := runHere(t, "rpm", "-qp", "--queryformat", `[%{FILENAMES} %{FILEFLAGS:fflags}\n]`, One(t, Build(t, newest(t)), "rpm"))
	var configs []string
	for line := range strings.Lines(got) {
		if path, flags, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(flags, "c") {
			configs = append(configs, path+" "+flags)
		}
	}
	if diff := cmp.Diff([]string{want + " cn"}, configs); diff != "" { // n: not replaced
		t.Errorf("configuration of the rpm (-want +got):\n%s", diff)
	}
}

func TestHeadOfTheDeb(t *testing.T) {
	need.Programs(t, "dpkg-deb")
	deb := One(t, Build(t, newest(t)), "deb")
	want := map[string]string{
		"Package": "k2hdkc-slave-agent", "Version": newest(t) + "-1", "Architecture": runtime.GOARCH, "Section": "net", "Priority": "optional",
		"Depends": "init-system-helpers (>= 1.54~)", "Recommends": "chmpx", "Pre-Depends": "", "Homepage": "https://k2hdkc.antpick.ax/",
	}
	got := map[string]string{}
	for field := range want {
		got[field] = strings.TrimSpace(runHere(t, "dpkg-deb", "--field", deb, field))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHeadOfTheRPM(t *testing.T) {
	need.Programs(t, "rpm")
	const format = `%{NAME} %{VERSION} %{RELEASE} %{LICENSE} %{BUILDHOST} %{BUILDTIME} %{URL}\nrequires[ %{REQUIRES}]\nrecommends[ %{RECOMMENDS}]\nscripts %|PREIN?{pre }|%|POSTIN?{post }|%|PREUN?{preun }|%|POSTUN?{postun }|%|POSTTRANS?{posttrans}|`
	got := runHere(t, "rpm", "-qp", "--queryformat", format, One(t, Build(t, newest(t)), "rpm"))
	want := "k2hdkc-slave-agent " + newest(t) + " 1 MIT localhost " + epoch + " https://k2hdkc.antpick.ax/\n" +
		"requires /bin/sh\nrecommends chmpx\nscripts post preun postun posttrans"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPackagesAreSmall(t *testing.T) {
	dir := Build(t, newest(t))
	for _, kind := range []string{"deb", "rpm"} {
		info, err := os.Stat(One(t, dir, kind))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", info.Name(), info.Size())
		if info.Size() > maxSize {
			t.Errorf("%s has %d bytes, %d are allowed", info.Name(), info.Size(), maxSize)
		}
	}
	need.Programs(t, "dpkg-deb")
	tree := t.TempDir()
	runHere(t, "dpkg-deb", "--extract", One(t, dir, "deb"), tree)
	info, err := os.Stat(filepath.Join(tree, "usr/bin/k2hdkc-slave-agent"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program: %d bytes", info.Size())
	if info.Size() > maxProgram {
		t.Errorf("the program has %d bytes, %d are allowed", info.Size(), maxProgram)
	}
}

// What the other tests run is the program of the packages, and what is measured is built like it.
func TestBuildFlagsAreTheSameInTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(realagent.Root(), "packaging/compile"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\ntags="+realagent.Tags+"\n") {
		t.Errorf("packaging/compile has other tags than %q", realagent.Tags)
	}
	for _, flag := range realagent.Release() {
		if !strings.Contains(string(text), flag) {
			t.Errorf("packaging/compile has no %s", flag)
		}
	}
}

func TestChecksumsAreOfAllThatIsBuilt(t *testing.T) {
	need.Programs(t, "sha256sum")
	dir := Build(t, newest(t))
	cmd := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "SHA256SUMS" && !strings.Contains(string(text), "  "+e.Name()+"\n") {
			t.Errorf("%s has no checksum", e.Name())
		}
	}
}

func TestVersionIsTheSameEverywhere(t *testing.T) {
	need.Programs(t, "dpkg-deb")
	for _, version := range []string{newest(t), "2.0.0~rc1"} {
		dir := Build(t, version)
		tree := t.TempDir()
		runHere(t, "dpkg-deb", "--extract", One(t, dir, "deb"), tree)
		if got := runHere(t, filepath.Join(tree, "usr/bin/k2hdkc-slave-agent"), "version"); !strings.Contains(got, version) {
			t.Errorf("the program of %s says it is %s", version, got)
		}
		log := runHere(t, "zcat", filepath.Join(tree, "usr/share/doc/k2hdkc-slave-agent/changelog.Debian.gz"))
		if want := "k2hdkc-slave-agent (" + version + "-1) unstable; urgency=medium\n"; !strings.HasPrefix(log, want) {
			t.Errorf("the changelog of %s begins with %.60q", version, log)
		}
		if strings.Count(log, "("+version+"-1)") != 1 || !strings.Contains(log, "First release.") {
			t.Errorf("the changelog of %s:\n%s", version, log)
		}
		got := runHere(t, "rpm", "-qp", "--queryformat", `%{VERSION}-%{RELEASE} [%{CHANGELOGNAME}\n]`, One(t, dir, "rpm"))
		first, _, _ := strings.Cut(got, "\n")
		if !strings.HasPrefix(first, version+"-1 ") || !strings.HasSuffix(first, " - "+version+"-1") {
			t.Errorf("the rpm of %s has version and changelog %q", version, first)
		}
	}
}

func TestVersionsThatArePackagesOfNothingAreRefused(t *testing.T) {
	for _, version := range []string{"1.2", "v1.2.3", "1.2.3-1", "1.2.3 ", "1.2.3~RC 1", "../1.2.3"} {
		dir := t.TempDir()
		err := build(realagent.Root(), dir, version, runtime.GOARCH)
		if err == nil || !strings.Contains(err.Error(), "VERSION") {
			t.Errorf("%q: %v", version, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%q has left %v", version, entries)
		}
	}
}

// scripts are the package's own, by name.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	dir := Build(t, newest(t))
	tree := t.TempDir()
	runHere(t, "dpkg-deb", "--raw-extract", One(t, dir, "deb"), tree)
	for _, name := range []string{"DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm"} {
		text, err := os.ReadFile(filepath.Join(tree, name))
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(text)
	}
	for _, name := range []string{"POSTIN", "PREUN", "POSTUN", "POSTTRANS"} {
		head := runHere(t, "rpm", "-qp", "--queryformat", "%{"+name+"PROG}\n%{"+name+"}\n", One(t, dir, "rpm"))
		found["rpm/"+name] = "#!" + head
	}
	return found
}

func TestScriptsAreRightShell(t *testing.T) {
	need.Programs(t, "dpkg-deb", "rpm", "dash")
	shellcheck, _ := exec.LookPath("shellcheck")
	for name, text := range scripts(t) {
		path := filepath.Join(t.TempDir(), filepath.Base(name))
		write(t, path, text)
		if !strings.HasPrefix(text, "#!/bin/sh\n") {
			t.Errorf("%s begins with %.20q", name, text)
		}
		runHere(t, "dash", "-n", path)
		if shellcheck != "" {
			runHere(t, shellcheck, "--shell=sh", path)
		}
	}
	if shellcheck == "" {
		t.Log("shellcheck is not installed; .ci/packages has it")
	}
}

// Whether chmpx runs is not for a package of the agent to change. No command of
// these names another unit than the agent's.
func TestScriptsTouchNoUnitButTheAgents(t *testing.T) {
	need.Programs(t, "dpkg-deb", "rpm")
	command := regexp.MustCompile(`(?m)^(?:[^#\n]*[\s;|&(!])?(?:systemctl|deb-systemd-\w+|service|kill|pkill)\s.*`)
	harmless := regexp.MustCompile(`daemon-reload|"\$unit"|k2hdkc-slave-agent\.service|command -v (systemctl|deb-systemd-\w+)`)
	for name, text := range scripts(t) {
		for _, line := range command.FindAllString(text, -1) {
			if !harmless.MatchString(line) {
				t.Errorf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
}
