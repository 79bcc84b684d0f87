package cloudinit

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"

	"github.com/google/go-cmp/cmp"
)

// fresh is a VM as far as a script can see: nothing in /etc, and of all programs
// those it names. Each writes its arguments to a log.
type fresh struct {
	t        *testing.T
	bin, log string
}

// stub is what a program does once it has written its arguments down.
const stub = `#!/bin/sh
printf '%%s' "${0##*/}" >>%[1]s
printf ' %%s' "$@" >>%[1]s
echo >>%[1]s
%[2]s
`

func newFresh(t *testing.T, manager string) *fresh {
	t.Helper()
	if out, err := exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no namespace can be made here: %v\n%s", err, out)
	}
	dir := t.TempDir()
	f := &fresh{t: t, bin: filepath.Join(dir, "bin"), log: filepath.Join(dir, "log")}
	if err := os.Mkdir(f.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"awk", "cat", "chmod", "cp", "date", "mkdir", "mv", "rm", "timeout"} {
		path, err := exec.LookPath(tool)
		if err == nil {
			path, err = filepath.EvalSymlinks(path) // by way of /etc, for some
		}
		if err != nil {
			t.Fatal(err)
		}
		f.program(tool, "exec "+path+` "$@"`)
	}
	f.program("sleep", "")
	f.program("sync", "")
	f.systemctl("")
	f.program(manager, f.installing())
	return f
}

// systemctl also does what it is for: it runs the unit of the first boot.
func (f *fresh) systemctl(does string) {
	f.t.Helper()
	f.program("systemctl", `case "$*" in "start --wait k2hdkc-slave-first-boot.service") exec "$SHELL" /etc/k2hdkc/first-boot ;; esac
`+does)
}

// file puts a file into /etc, as the image has it.
func (f *fresh) file(path, text string) {
	f.t.Helper()
	dir := filepath.Join(filepath.Dir(f.bin), "image", filepath.Dir(path))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// installing is what a package manager does: the programs are there after it.
func (f *fresh) installing() string {
	return fmt.Sprintf(`case "$*" in *install*)
		for p in chmpx k2hdkc-slave-agent; do
			printf '#!/bin/sh\nprintf "%%%%s\\n" "${0##*/} $*" >>%[2]s\n' >%[1]s/$p
			chmod 755 %[1]s/$p
		done
	esac`, f.bin, f.log)
}

func (f *fresh) program(name, does string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.bin, name), fmt.Appendf(nil, stub, f.log, does), 0o755); err != nil {
		f.t.Fatal(err)
	}
}

// enter makes a namespace in which /etc is another one, and packs that at the
// end.
const enter = `set -eu
mount -t tmpfs none /etc
printf 'ID=debian\nVERSION_CODENAME=bookworm\n' >/etc/os-release
[ ! -e "$1/image" ] || cp -R "$1/image/." /etc
[ ! -e "$1/etc.tar" ] || tar -C /etc -xf "$1/etc.tar"
mount -t tmpfs none /run
status=0
SHELL=$2 PATH="$1/bin" "$2" "$1/script" || status=$?
tar -C /etc --exclude=./os-release -cf "$1/etc.tar" .
exit $status`

// run runs a script with a shell and returns what it prints, the files in /etc
// as "MODE PATH" with their contents, and the calls of programs.
func (f *fresh) run(shell, script string) (out string, files map[string]string, calls []string, err error) {
	f.t.Helper()
	dir := filepath.Dir(f.bin)
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.log, nil, 0o644); err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", enter, "sh", dir, shell)
	b, err := cmd.CombinedOutput()
	log, logErr := os.ReadFile(f.log)
	if logErr != nil {
		f.t.Fatal(logErr)
	}
	for line := range strings.Lines(string(log)) {
		calls = append(calls, strings.TrimSpace(line))
	}
	return string(b), f.unpack(filepath.Join(dir, "etc.tar")), calls, err
}

func (f *fresh) unpack(path string) map[string]string {
	f.t.Helper()
	r, err := os.Open(path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	files := map[string]string{}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			f.t.Fatal(err)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			f.t.Fatal(err)
		}
		if h.Name == "./" {
			continue
		}
		files[fmt.Sprintf("%04o %s", h.FileInfo().Mode().Perm(), strings.TrimPrefix(h.Name, "."))] = string(text)
	}
}

// shells are those that /bin/sh may be.
func shells(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"dash", "bash"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if found == nil {
		t.Skip("neither dash nor bash here")
	}
	return found
}

// apt is how apt-get is called.
const apt = "apt-get -y -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "

var managers = map[string]struct {
	files map[string]string
	calls []string
}{
	"apt-get": {
		map[string]string{"0755 /apt/": "", "0755 /apt/sources.list.d/": "", "0755 /apt/keyrings/": "", "0644 /apt/keyrings/k2hdkc.asc": "KEY", "0644 /apt/keyrings/chmpx.asc": "KEY",
			"0644 /apt/sources.list.d/k2hdkc.sources": "# Packages of k2hdkc\nTypes: deb\nURIs: https://packages.example.com/k2hdkc/apt\nSuites: stable\n" +
				"Components: main\nSigned-By: /etc/apt/keyrings/k2hdkc.asc\n",
			"0644 /apt/sources.list.d/chmpx.sources": "# Packages of chmpx\nTypes: deb\nURIs: https://packages.example.org/antpickax/debian\nSuites: bookworm\n" +
				"Components: main contrib\nSigned-By: /etc/apt/keyrings/chmpx.asc\n"},
		[]string{
			apt + "update",
			apt + "install chmpx k2hdkc-slave-agent",
		},
	},
	"dnf": {
		map[string]string{"0755 /yum.repos.d/": "", "0755 /pki/": "", "0755 /pki/rpm-gpg/": "", "0644 /pki/rpm-gpg/RPM-GPG-KEY-k2hdkc": "KEY", "0644 /pki/rpm-gpg/RPM-GPG-KEY-chmpx": "KEY",
			"0644 /yum.repos.d/k2hdkc.repo": "[k2hdkc]\nname=Packages of k2hdkc\nbaseurl=https://packages.example.com/k2hdkc/yum\n" +
				"enabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-k2hdkc\n",
			"0644 /yum.repos.d/chmpx.repo": "[chmpx]\nname=Packages of chmpx\nbaseurl=https://packages.example.org/el/$releasever/$basearch\n" +
				"enabled=1\ngpgcheck=0\nrepo_gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-chmpx\n"},
		[]string{"dnf -y --refresh --setopt=*.skip_if_unavailable=1 install chmpx k2hdkc-slave-agent"},
	},
}

// starts are the calls that follow the installation.
var starts = []string{
	"systemctl daemon-reload", "systemctl start --wait k2hdkc-slave-first-boot.service",
	"systemctl daemon-reload",
	"systemctl enable k2hdkc-slave-agent.service", "systemctl --no-block start k2hdkc-slave-agent.service",
	"systemctl enable chmpx.service", "systemctl --no-block start chmpx.service",
	"systemctl daemon-reload", // the unit is away
}

// begins is how many of starts come before the installation.
const begins = 2

// acting drops the calls that only look, and those of the shell's own tools.
func acting(calls []string) []string {
	var acts []string
	for _, c := range calls {
		verb, rest, _ := strings.Cut(c, " ")
		switch {
		case verb == "systemctl" && (strings.HasPrefix(rest, "show") || strings.Contains(rest, "is-active")):
		case verb == "apt-get" || verb == "dnf" || verb == "yum" || verb == "systemctl" || verb == "sleep":
			acts = append(acts, c)
		}
	}
	return acts
}

func (f *fresh) userData(manager string) UserData {
	u := example(f.t)
	chmpx := "deb https://packages.example.org/antpickax/debian $RELEASE main contrib"
	if manager == "dnf" {
		chmpx = "rpm https://packages.example.org/el/$releasever/$basearch"
	}
	u.Repos = append(u.Repos, repository(f.t, "chmpx", chmpx))
	u.Files = append(u.Files, File{Path: "/etc/it's here/END", Mode: Private, Text: "$(id) `id` \\ $HOME\nEND\nEND_\n"})
	return u
}

// withoutTool is what was checked where nothing can set a key.
const withoutTool = " (slave.ini is one that chmpx takes, and chmpx runs; no key was tried, since k2hdkclinetool is not installed)\n"

// TestTheEndTriesAKey: where the tool is, OK is said only if a key goes through the ring.
func TestTheEndTriesAKey(t *testing.T) {
	const try = "k2hdkc-slave-agent doctor --write-test --only write-test"
	for _, c := range []struct {
		name   string
		fails  int // looks
		end    string
		wanted int
	}{
		{"at once", 0, "check: OK (slave.ini is one that chmpx takes, and chmpx runs; a key was set, read and deleted through the ring)\n", 1},
		{"when the last server lists this host", 3, "through the ring)\n", 4},
		{"never", 1000, "check: not OK yet: no key can be set, read and deleted through the ring; k2hdkc-slave-agent doctor --write-test says why\n", 0},
	} {
		f := newFresh(t, "apt-get")
		clock, count := filepath.Join(t.TempDir(), "clock"), filepath.Join(t.TempDir(), "count")
		f.program("date", fmt.Sprintf(`now=100; [ ! -e %[1]s ] || read -r now <%[1]s
			now=$((now + 10)); echo $now >%[1]s; echo $now`, clock))
		f.program("chmpx", "")
		f.program("k2hdkclinetool", "")
		f.program("k2hdkc-slave-agent", fmt.Sprintf(`case "$*" in *write-test*)
			n=0; [ ! -e %[1]s ] || read -r n <%[1]s
			echo $((n + 1)) >%[1]s
			[ $n -ge %[2]d ] || exit 1
		esac`, count, c.fails))
		out, _, calls, err := f.run(shells(t)[0], render(t, f.userData("apt-get").Script))
		if err != nil || !strings.HasSuffix(out, c.end) || strings.Count(out, "check: ") != 1 {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		tried := 0
		for _, call := range calls {
			if call == try {
				tried++
			}
		}
		if c.wanted != 0 && tried != c.wanted || tried == 0 {
			t.Errorf("%s: tried %d times, want %d", c.name, tried, c.wanted)
		}
	}
}

// TestPackagesAndUsersBesides: a slave is one without them.
func TestPackagesAndUsersBesides(t *testing.T) {
	const usermod = "usermod -aG apps "
	for _, c := range []struct {
		name         string
		there, fails bool // of the package
		noUser       bool
		want         []string
		says         string
	}{
		{"both can be had", false, false, false, []string{"install k2hdkc", usermod + "shop", usermod + "mail"}, ""},
		{"the image has the package", true, false, false, []string{usermod + "shop", usermod + "mail"}, ""},
		{"the repository has no such package", false, true, false, nil, "k2hdkc-slave-agent: k2hdkc cannot be installed\n"},
		{"there is no such user", true, false, true, nil, "k2hdkc-slave-agent: shop cannot be made a member of apps; later: usermod -aG apps shop\n"},
	} {
		f := newFresh(t, "apt-get")
		u := f.userData("apt-get")
		u.Packages, u.Users, u.Group = []string{"k2hdkc"}, []string{"shop", "mail"}, "apps"
		f.program("chmpx", "")
		f.program("k2hdkc-slave-agent", "")
		if c.there {
			f.program("k2hdkc", "")
		}
		apt := fmt.Sprintf("case \"$*\" in *'install k2hdkc') : >%[1]s; chmod 755 %[1]s ;; esac", filepath.Join(f.bin, "k2hdkc"))
		if c.fails {
			apt = "case \"$*\" in *'install k2hdkc') exit 100 ;; esac"
		}
		f.program("apt-get", apt)
		f.program("usermod", map[bool]string{true: "exit 6"}[c.noUser])
		out, _, calls, err := f.run(shells(t)[0], render(t, u.Script))
		if err != nil || !strings.Contains(out, c.says) || !strings.HasSuffix(out, "check: OK"+withoutTool) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		var got []string
		for _, call := range calls {
			if _, name, ok := strings.Cut(call, "force-confold install "); ok {
				got = append(got, "install "+name)
			} else if strings.HasPrefix(call, usermod) {
				got = append(got, call)
			}
		}
		if c.want != nil && !cmp.Equal(got, c.want) {
			t.Errorf("%s: calls %q, want %q", c.name, got, c.want)
		}
	}
}

func TestScriptMakesASlaveNode(t *testing.T) {
	for manager, want := range managers {
		for _, shell := range shells(t) {
			t.Run(manager+" "+filepath.Base(shell), func(t *testing.T) {
				f := newFresh(t, manager)
				u := f.userData(manager)
				script := render(t, u.Script)
				out, files, calls, err := f.run(shell, script)
				if err != nil || !strings.HasSuffix(out, "k2hdkc-slave-agent: check: OK"+withoutTool) {
					t.Fatalf("%v\n%s", err, out)
				}
				all := map[string]string{
					"0755 /k2hdkc/": "", "0600 /k2hdkc/role-token": token + "\n", "0644 /k2hdkc/slave-agent.ini": config,
					"0755 /systemd/": "", "0755 /systemd/system/": "", "0755 /systemd/system/multi-user.target.d/": "",
					"0755 /it's here/": "", "0600 /it's here/END": u.Files[2].Text,
				}
				for name, text := range want.files {
					all[name] = text
					if text == "KEY" {
						all[name] = key(t)
					}
				}
				if diff := cmp.Diff(all, files); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(slices.Concat(starts[:begins], want.calls, starts[begins:]), acting(calls)); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				noToken(t, out, calls)

				out, again, calls, err := f.run(shell, script)
				if err != nil {
					t.Fatalf("the second time: %v\n%s", err, out)
				}
				if diff := cmp.Diff(files, again); diff != "" {
					t.Errorf("the second time files are others (-first +second):\n%s", diff)
				}
				if diff := cmp.Diff(starts, acting(calls)); diff != "" {
					t.Errorf("calls of the second time (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func noToken(t *testing.T, out string, calls []string) {
	t.Helper()
	if len(calls) == 0 {
		t.Error("no call was seen, so nothing is proven")
	}
	for _, text := range append(calls, out) {
		if strings.Contains(text, token) {
			t.Errorf("the token is in %s", text)
		}
	}
}

func TestInstallationIsTriedUntilItSucceeds(t *testing.T) {
	f := newFresh(t, "apt-get")
	count := filepath.Join(t.TempDir(), "count")
	f.program("apt-get", fmt.Sprintf(`case "$*" in *update) printf x >>%[1]s; esac
		n=; [ ! -e %[1]s ] || read -r n <%[1]s || :
		case "$*:$n" in *update:* | *:xxxxxxxxxx) ;; *) exit 100 ;; esac
		%[2]s`, count, f.installing()))
	out, _, calls, err := f.run(shells(t)[0], render(t, f.userData("apt-get").Script))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var slept []string
	for _, c := range calls {
		if pause, ok := strings.CutPrefix(c, "sleep "); ok {
			slept = append(slept, pause)
		}
	}
	if diff := cmp.Diff([]string{"2", "4", "8", "16", "32", "64", "128", "256", "300"}, slept); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	if !strings.Contains(out, "cannot be installed yet; trying again in 300 s") || !strings.HasSuffix(out, "check: OK"+withoutTool) {
		t.Errorf("it says:\n%s", out)
	}
}

func TestScriptSaysWhatTheAgentWaitsFor(t *testing.T) {
	f := newFresh(t, "apt-get")
	clock := filepath.Join(t.TempDir(), "clock")
	f.program("date", fmt.Sprintf(`now=100; [ ! -e %[1]s ] || read -r now <%[1]s
		now=$((now + 10)); echo $now >%[1]s; echo $now`, clock))
	f.systemctl(`case "$*" in *is-active*) exit 3 ;; *StatusText*) echo "waiting for the role" ;; esac`)
	out, _, _, err := f.run(shells(t)[0], render(t, f.userData("apt-get").Script))
	if err != nil || !strings.HasSuffix(out, "check: not OK yet; the agent keeps trying: waiting for the role\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The unit of an agent that the image has had gets its rights before it is
// started, and one that runs is restarted for them.
func TestAgentOfTheImageGetsItsRights(t *testing.T) {
	f := newFresh(t, "apt-get")
	reloaded := filepath.Join(t.TempDir(), "reloaded")
	f.program("chmpx", "")
	f.program("k2hdkc-slave-agent", "")
	f.systemctl(fmt.Sprintf(`case "$*" in
		daemon-reload) : >%[1]s ;;
		*DropInPaths*) echo DropInPaths=; [ ! -e %[1]s ] || echo /run/systemd/generator/50-configuration.conf ;;
	esac`, reloaded))
	out, _, calls, err := f.run(shells(t)[0], render(t, f.userData("apt-get").Script))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := slices.Insert(slices.Clone(starts), 1, "systemctl --no-block restart k2hdkc-slave-agent.service")
	if diff := cmp.Diff(want, acting(calls)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestScriptForTheOtherFamilyDoesNothing(t *testing.T) {
	for manager, other := range map[string]string{"apt-get": "dnf", "dnf": "apt-get"} {
		f := newFresh(t, manager)
		out, files, calls, err := f.run(shells(t)[0], render(t, f.userData(other).Script))
		if err == nil || !strings.Contains(out, "this user data is for an image with ") || slices.ContainsFunc(acting(calls), func(c string) bool { return !strings.HasPrefix(c, "systemctl") }) {
			t.Errorf("%s: %v, %q\n%s", manager, err, acting(calls), out)
		}
		for name := range files {
			if strings.Contains(name, "first-boot") {
				t.Errorf("%s: %s is still there", manager, name)
			}
		}
	}
}

// Both formats write the same files and run the same commands.
func TestBothFormatsAreTheSame(t *testing.T) {
	u := newFresh(t, "apt-get").userData("apt-get")
	u.Unit = `it's@a\x2dunit.service`
	script, config := render(t, u.Script), render(t, u.CloudConfig)
	files, err := u.files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.Contains(script, f.Text) || !strings.Contains(config, fmt.Sprintf("path: %q", f.Path)) {
			t.Errorf("%s is not in both", f.Path)
		}
	}
	if !strings.HasSuffix(script, begin) {
		t.Error("the script ends otherwise")
	}
	f := newFresh(t, "apt-get")
	_, _, calls, err := f.run(shells(t)[0], script)
	if got := acting(calls); err != nil || got[len(got)-2] != "systemctl --no-block start "+u.Unit {
		t.Errorf("%v: %q", err, got)
	}
}

func TestWithoutUnitChmpxIsLeftAlone(t *testing.T) {
	f := newFresh(t, "apt-get")
	u := f.userData("apt-get")
	u.Unit = ""
	out, _, calls, err := f.run(shells(t)[0], render(t, u.Script))
	if err != nil || !strings.HasSuffix(out, "check: OK (slave.ini is one that chmpx takes)\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := acting(calls); !cmp.Equal(got[len(got)-4:], append(slices.Clone(starts[begins:begins+3]), "systemctl daemon-reload")) {
		t.Errorf("calls: %q", got)
	}
}

func TestShellcheckFindsNothing(t *testing.T) {
	need.Programs(t, "shellcheck")
	u := example(t)
	u.Repos = append(u.Repos, repository(t, "chmpx", "deb https://packages.example.org/antpickax/debian $RELEASE main"))
	for name, script := range map[string]string{"script": render(t, u.Script), "first boot": render(t, u.firstBootScript)} {
		// It cannot follow /etc/os-release of a VM, nor calls by a function.
		cmd := exec.Command("shellcheck", "--shell=sh", "--exclude=SC1091,SC2317", "-")
		cmd.Stdin = bytes.NewReader([]byte(script))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
