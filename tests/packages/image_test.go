package packages

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

const (
	older, newer = "1.0.0", "1.1.0"

	agentINI   = slave.ConfigFile
	leftDropIn = slave.LeftDropIn
)

// image is the root of a system that does not run, as in the making of an image:
// what dnf or dpkg installs into it, and what its scripts do there, stays in a
// mount namespace that ends with the test.
type image struct {
	tb   testing.TB
	host host
	path string // how this test reaches it
}

// newImage makes one of a Debian's files, which has what the scripts need, in
// which a part of a shell script has been run. Its dnf knows the repository,
// which may be nil, and of no package there.
func newImage(tb testing.TB, r *Repository, prepare string) *image {
	tb.Helper()
	machine.Require(tb)
	base, err := machine.Rootfs(tb.Context(), machine.Bookworm)
	if err != nil {
		tb.Fatal(err)
	}
	top := tb.TempDir()
	cmd := exec.Command("unshare", "--mount", "--propagation=private", "--fork", "--kill-child", "sh", "-euc", `
		mount -t tmpfs -o mode=755 image "$2"
		cd "$2"
		mkdir upper work root
		mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" image root
		mount --bind /dev root/dev
		mount -t proc proc root/proc
		cd root
		`+prepare+`
		echo READY
		exec cat`, "sh", base, top)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			tb.Error(err)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "READY\n" {
		tb.Fatalf("no image: %q, %v", line, err)
	}
	i := &image{tb: tb}
	if r != nil {
		i.host = elHost(tb, r, "")
	}
	pid := child(tb, cmd.Process.Pid)
	i.host.root = filepath.Join(top, "root")
	i.host.within = []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", pid)}
	i.path = fmt.Sprintf("/proc/%d/root%s", pid, i.host.root)
	return i
}

// child is the process that another one waits for.
func child(tb testing.TB, pid int) (child int) {
	tb.Helper()
	text := read(tb, fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if n, err := fmt.Sscan(text, &child); n != 1 {
		tb.Fatalf("process %d has the children %q: %v", pid, text, err)
	}
	return child
}

// dnf has to succeed, and so has each script that it runs.
func (i *image) dnf(args ...string) string {
	i.tb.Helper()
	out := i.host.dnf(i.tb, args...)
	for _, bad := range []string{"scriptlet", "warning", "rror"} {
		if strings.Contains(strings.ReplaceAll(out, "warning: /etc/k2hdkc/slave-agent.ini", ""), bad) {
			i.tb.Errorf("dnf %s:\n%s", strings.Join(args, " "), out)
		}
	}
	return out
}

func (i *image) exists(want bool, paths ...string) {
	i.tb.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(i.path + path); (err == nil) != want {
			i.tb.Errorf("%s: %v, want it to be there: %v", path, err, want)
		}
	}
}

// enabled tells whether systemd would start the agent at boot.
func (i *image) enabled(want bool) {
	i.tb.Helper()
	i.exists(want, "/etc/systemd/system/multi-user.target.wants/"+slave.AgentUnit)
}

// installed checks that the agent of that version is there with all its files.
func (i *image) installed(version string) {
	i.tb.Helper()
	out, err := exec.Command(i.path+"/usr/bin/k2hdkc-slave-agent", "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), version) {
		i.tb.Errorf("installed is %q, want %s (%v)", out, version, err)
	}
	i.exists(true, i.files()...)
}

// files are those of the package.
func (i *image) files() []string {
	i.tb.Helper()
	return strings.Fields(i.host.dnf(i.tb, "repoquery", "--installed", "-l", "k2hdkc-slave-agent"))
}

func (i *image) write(path, text string) {
	i.tb.Helper()
	write(i.tb, i.path+path, text)
}

// wants checks what a file has in it.
func (i *image) wants(path, want string) {
	i.tb.Helper()
	if got := read(i.tb, i.path+path); got != want {
		i.tb.Errorf("%s is\n%s\nwant\n%s", path, got, want)
	}
}

// yumRepo has both versions of the agent and chmpx, as an EL would get them, and
// what stands in for the package with an EL's shell.
func yumRepo(tb testing.TB) *Repository {
	tb.Helper()
	r := Repo(tb, Build(tb, older), Build(tb, newer), Chmpx(tb), Shell(tb))
	serve(tb, r)
	return r
}

func TestRPMInAnImage(t *testing.T) {
	machine.Require(t)
	r := yumRepo(t)
	var asked atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer api.Close()
	config := "[k2hr3]\napi-uri = " + api.URL + "\nrole = yrn:yahoo:::shop:role:orders/slave\n"
	const slaveINI = "[GLOBAL]\nFILEVERSION = 7\n"

	t.Run("its life from installation to removal and back", func(t *testing.T) {
		i := newImage(t, r, "")
		i.dnf("install", "chmpx", "k2hdkc-slave-agent-"+older)
		i.installed(older)
		i.enabled(true)
		packed := read(t, i.path+agentINI)
		i.write(agentINI, config)
		i.write(slave.INI, slaveINI)

		i.dnf("upgrade", "k2hdkc-slave-agent")
		i.installed(newer)
		i.enabled(true)
		i.dnf("downgrade", "k2hdkc-slave-agent-"+older)
		i.installed(older)
		i.enabled(true)
		i.dnf("reinstall", "k2hdkc-slave-agent-"+older)
		i.installed(older)
		i.enabled(true)
		i.wants(agentINI, config)
		i.wants(slave.INI, slaveINI)
		i.exists(false, leftDropIn)

		files := i.files()
		i.dnf("remove", "k2hdkc-slave-agent")
		i.enabled(false)
		for _, path := range files {
			if info, err := os.Lstat(i.path + path); err == nil && !info.IsDir() {
				t.Errorf("%s is left behind", path)
			}
		}
		i.wants(slave.INI, slaveINI)
		i.wants(agentINI+".rpmsave", config)
		i.exists(true, leftDropIn)

		i.dnf("install", "k2hdkc-slave-agent")
		i.installed(newer)
		i.enabled(true)
		i.exists(false, leftDropIn)
		i.wants(agentINI, packed)
	})
	t.Run("a preset that says otherwise counts", func(t *testing.T) {
		i := newImage(t, r, `
			mkdir -p etc/systemd/system-preset
			echo "disable k2hdkc-*" >etc/systemd/system-preset/10-shop.preset`)
		i.dnf("install", "k2hdkc-slave-agent")
		i.installed(newer)
		i.enabled(false)
	})
	t.Run("without systemd", func(t *testing.T) {
		i := newImage(t, r, "rm -rf usr/bin/systemctl bin/systemctl usr/bin/systemd-* lib/systemd usr/lib/systemd")
		i.dnf("install", "k2hdkc-slave-agent-"+older)
		i.installed(older)
		i.dnf("upgrade", "k2hdkc-slave-agent")
		i.installed(newer)
		i.dnf("remove", "k2hdkc-slave-agent")
		i.exists(false, "/usr/bin/k2hdkc-slave-agent")
	})
	if n := asked.Load(); n != 0 {
		t.Errorf("K2HR3 was asked %d times about a host that does not run", n)
	}
}

// normal is what dpkg says of a package that is as it should be, and systemctl of a unit that is
// enabled.
var normal = regexp.MustCompile(`(?m)^(Created symlink '?/etc/systemd/system/multi-user.target.wants/|Configuration file | ==> |dpkg: warning: while removing |\s*$).*\n?`)

// TestDebInAnImage: wherever dpkg runs, the agent is enabled and nothing is started or asked.
func TestDebInAnImage(t *testing.T) {
	machine.Require(t)
	deb := One(t, Build(t, older), "deb")
	for _, c := range []struct{ name, dpkg, deb, config string }{
		{"dpkg in a chroot", `chroot "$1" dpkg`, "/agent.deb", ""},
		{"dpkg in a chroot with a configuration", `chroot "$1" dpkg`, "/agent.deb", slave.Config},
		{"dpkg from outside", `dpkg --root="$1"`, `"$1/agent.deb"`, ""},
		{"dpkg from outside with a configuration", `dpkg --root="$1"`, `"$1/agent.deb"`, slave.Config},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newImage(t, nil, "cp '"+deb+"' agent.deb")
			if c.config != "" {
				i.write(agentINI, c.config)
			}
			// silent runs dpkg where nothing else runs and nobody can be reached.
			silent := func(args string) {
				t.Helper()
				argv := append(slices.Clone(i.host.within), "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
					"sh", "-euc", c.dpkg+" "+args+" 2>&1 >/dev/null; pgrep -l k2hdkc-slave-ag || :", "sh", i.host.root)
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Env = []string{"DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
				out, err := cmd.CombinedOutput()
				if said := normal.ReplaceAllString(string(out), ""); err != nil || said != "" {
					t.Errorf("dpkg %s: %v; it says, or there runs:\n%s", args, err, said)
				}
			}
			silent("--force-confold --install " + c.deb)
			i.enabled(true)
			i.exists(false, "/var/lib/k2hdkc-slave-agent", slave.INI, "/run/k2hdkc-slave-agent")
			begin := time.Now()
			silent("--purge " + slave.Package)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("the purge took %v", took)
			}
			left, err := i.inside("find /etc /var/lib -name '*k2hdkc*' ! -path '/var/lib/dpkg/*'")
			if err != nil || left != "" {
				t.Errorf("left behind: %v\n%s", err, left)
			}
		})
	}
}
