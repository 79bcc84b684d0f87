package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/packages"
)

// The versions that are published, the newest last.
const (
	older = "1.0.0"
	newer = "1.1.0"
)

const (
	pkg      = slave.Package
	confFile = slave.ConfigFile
	token    = slave.TokenFile
	stateDir = "/var/lib/k2hdkc-slave-agent"
)

// node is a slave node to be, whose apt knows the signed repository of the
// agent's packages. chmpx is installed and enabled.
type node struct {
	*slave.Slave
	debs map[string]string // the package's version in apt, by ours
	runs map[string]string // what chmpx was when sameChmpx was first asked
	file string            // what slave.ini was when sameFile was
}

// boot boots one, on a release of Debian.
func boot(t *testing.T, suite string) *node {
	t.Helper()
	machine.Require(t)
	packages.NeedRepo(t)
	if _, real := fakechmpx.Installed(); real && suite == machine.Bookworm {
		t.Log("the real chmpx runs in the machine")
	}
	dirs := []string{packages.ChmpxOn(t, suite), packages.Build(t, older), packages.Build(t, newer)}
	repo := packages.Repo(t, dirs...)
	n := &node{Slave: slave.New(t, machine.Options{Suite: suite}), debs: map[string]string{}}
	for _, version := range []string{older, newer} {
		deb := packages.One(t, packages.Build(t, version), "deb")
		out, err := exec.Command("dpkg-deb", "--field", deb, "Version").Output()
		if err != nil {
			t.Fatal(err)
		}
		n.debs[version] = strings.TrimSpace(string(out))
	}
	l, err := net.Listen("tcp", n.HostAddr().String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	repo.Serve(t, l)
	n.put("/etc/apt/keyrings/k2hdkc.asc", repo.Key)
	n.put("/etc/apt/sources.list.d/k2hdkc.sources", repo.Sources)
	n.apt("update")
	n.apt("install", "chmpx")
	n.Run("systemctl --quiet enable chmpx")
	return n
}

// test runs a subtest, which goes on where the one before has stopped.
func (n *node) test(t *testing.T, name string, f func(n *node)) bool {
	return t.Run(name, func(t *testing.T) {
		t.Cleanup(func() {
			if t.Failed() {
				text, _ := n.Journal(context.WithoutCancel(t.Context()), "")
				t.Logf("journal:\n%s", text[max(0, len(text)-6<<10):])
			}
		})
		before := n.TB
		n.TB = t
		defer func() { n.TB = before }()
		n.Begin()
		f(n)
	})
}

// normal is what apt and dpkg say about packages that are as they should be,
// and systemctl about a unit that is enabled.
var normal = regexp.MustCompile(`^(` + strings.Join([]string{
	`(Get|Hit|Ign):\d+ http://`, `Reading `, `Building `, `The following `, `  [a-z]`, `\d+ upgraded, `, `Need to get `, `After this operation, `, `Fetched `,
	`debconf: delaying package configuration, since apt-utils is not installed`,
	`dpkg: warning: downgrading `,
	`\(Reading database `, `Selecting `, `Preparing to unpack `, `Unpacking `, `Setting up `, `Removing `, `Purging configuration files `, `Processing triggers for systemd `,
	`Created symlink '?/etc/systemd/system/multi-user.target.wants/`,
	`Configuration file '/etc/k2hdkc/slave-agent.ini'`, ` ==> File on system created by you`, ` ==> File also in package provided`,
	` ==> (Keeping old config file as default|Using current old file as you requested)`,
	// The folder is the same as /lib/systemd/system-generators, of which dpkg
	// does not know.
	`dpkg: warning: while removing k2hdkc-slave-agent, directory '/usr/lib/systemd/system-generators' not empty so not removed`,
}, "|") + `)`)

// apt runs apt-get, which has to succeed and to say nothing unusual.
func (n *node) apt(args ...string) {
	n.TB.Helper()
	if said := n.aptSays(args...); said != "" {
		n.TB.Errorf("apt-get %v says: %s", args, said)
	}
}

// aptSays runs apt-get, which has to succeed, and returns what it says besides
// what is normal: that is what the package's own scripts say, and what goes wrong.
func (n *node) aptSays(args ...string) string {
	n.TB.Helper()
	r := n.Try(`apt-get --quiet --assume-yes --option=Dpkg::Use-Pty=0 "$@"`, args...)
	if r.Status != 0 {
		n.TB.Fatalf("apt-get %v: %v", args, r)
	}
	var unusual strings.Builder
	for line := range strings.Lines(r.Stdout + r.Stderr) {
		if !normal.MatchString(line) && strings.TrimSpace(line) != "" {
			unusual.WriteString(line)
		}
	}
	return unusual.String()
}

// install installs a version of the agent's package.
func (n *node) install(version string, args ...string) {
	n.TB.Helper()
	n.apt(append(append([]string{"install"}, args...), pkg+"="+n.debs[version])...)
}

// configure gives the host what the agent needs: the options, and a role token
// that nobody else can read.
func (n *node) configure() {
	n.TB.Helper()
	n.Run(`mkdir -p /etc/k2hdkc
		install -m 600 /dev/stdin "$1" <<-END
			$2
		END
		cat >"$3" <<-END
			$4
		END`, token, n.Cluster.RoleToken("slave", 0), confFile, slave.Config)
}

// put copies a file of the host.
func (n *node) put(to, from string) {
	n.TB.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		n.TB.Fatal(err)
	}
	n.Put(to, string(b))
}

// member tells whether K2HR3 lists this host in its role, once.
func (n *node) member() bool {
	n.TB.Helper()
	var mine []fakek2hr3.Host
	for _, h := range n.Cluster.Slaves() {
		if h.CUK == slave.CUK {
			mine = append(mine, h)
		}
	}
	if len(mine) > 1 || len(mine) == 1 && mine[0].Addr != n.Addr().String() {
		n.TB.Errorf("K2HR3 lists this host, %s, as %v", n.Addr(), mine)
	}
	return len(mine) == 1
}

func (n *node) wantMember(want bool) {
	n.TB.Helper()
	if n.member() != want {
		n.TB.Errorf("K2HR3 lists this host: %v, want %v", !want, want)
	}
}

// stays checks that what happened from here on till the returned function is
// called has not ended the membership for a moment.
func (n *node) stays() (check func()) {
	n.K2HR3.ForgetRequests()
	return func() {
		n.TB.Helper()
		for _, r := range n.K2HR3.Requests() {
			if r.Op == fakek2hr3.OpLeave {
				n.TB.Errorf("the host has left its role: %v", r)
			}
		}
		n.wantMember(true)
	}
}

// active checks that the agent runs the version that it should, and always has
// since it was started.
func (n *node) active(version string) {
	n.TB.Helper()
	n.Wants(slave.AgentUnit, "LoadState=loaded", "ActiveState=active", "SubState=running",
		"UnitFileState=enabled", "NRestarts=0", "Result=success", "NeedDaemonReload=no")
	if got := n.Run("k2hdkc-slave-agent version"); !strings.Contains(got, version) {
		n.TB.Errorf("the agent's version is %q, want %s", got, version)
	}
	exe := n.Run(`readlink "/proc/$1/exe"`, n.Show(slave.AgentUnit, "MainPID"))
	if exe != "/usr/bin/k2hdkc-slave-agent" {
		n.TB.Errorf("the agent that runs is %s", exe)
	}
	n.noneFailed()
}

// inactive checks that the agent is installed and does not run.
func (n *node) inactive(fileState string) {
	n.TB.Helper()
	n.Wants(slave.AgentUnit, "ActiveState=inactive", "SubState=dead", "UnitFileState="+fileState, "Result=success", "MainPID=0")
	n.noneFailed()
}

// gone checks that there is no unit and no program of the agent any more.
func (n *node) gone() {
	n.TB.Helper()
	n.Wants(slave.AgentUnit, "LoadState=not-found", "ActiveState=inactive")
	if got := n.Run("pgrep --list-full k2hdkc-slave-ag || :"); got != "" {
		n.TB.Errorf("still running:\n%s", got)
	}
	n.noneFailed()
}

func (n *node) noneFailed() {
	n.TB.Helper()
	if failed := n.Run("systemctl --failed --no-legend --plain"); failed != "" {
		n.TB.Errorf("failed units:\n%s", failed)
	}
}

// sameChmpx checks that the same chmpx runs all the time.
func (n *node) sameChmpx() {
	n.TB.Helper()
	var now map[string]string
	machine.Until(n.TB, "the reload of chmpx to end", func() bool { // which may begin after chmpx has the file
		now = n.Shows(slave.ChmpxUnit, "ActiveState", "MainPID", "InvocationID", "NRestarts")
		return now["ActiveState"] != "reloading"
	})
	now["process"] = fmt.Sprint(n.Number("chmpx process id"))
	now["start"] = n.Run(`cut -d ' ' -f 22 "/proc/$1/stat"`, now["process"])
	if n.runs == nil {
		n.runs = now
	}
	if !maps.Equal(n.runs, now) || now["ActiveState"] != "active" {
		n.TB.Errorf("chmpx is another one (-before +now):\n%s", cmp.Diff(n.runs, now))
	}
}

// sameFile checks that slave.ini is the same file, never written since.
func (n *node) sameFile() {
	n.TB.Helper()
	now := n.Run("stat -c 'inode %i, mode %a, changed %z' " + slave.INI + " && sha256sum " + slave.INI)
	if n.file == "" {
		n.file = now
	}
	if now != n.file {
		n.TB.Errorf("slave.ini was\n%s\nand is\n%s", n.file, now)
	}
}

// exist and absent check paths.
func (n *node) exist(paths ...string) {
	n.TB.Helper()
	for _, p := range paths {
		if n.Try(`[ -e "$1" ]`, p).Status != 0 {
			n.TB.Errorf("%s is missing", p)
		}
	}
}

func (n *node) absent(paths ...string) {
	n.TB.Helper()
	for _, p := range paths {
		if n.Try(`[ ! -e "$1" ] && [ ! -L "$1" ]`, p).Status != 0 {
			n.TB.Errorf("%s is there", p)
		}
	}
}

// files are the paths of the machine where packages leave something. What
// belongs to apt, dpkg and systemd themselves is not listed, but for what
// systemd has been told about units.
func (n *node) files() []string {
	n.TB.Helper()
	return strings.Split(n.Run(`find /etc /usr /opt /srv /var/lib /run -xdev \
		\( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /run/systemd -o -path /run/log -o -path /run/udev \
			-o -path '/run/credentials/systemd-*' -o -path /var/lib/systemd/timers -o -path /var/lib/antpickax \) -prune -o -print | sort`), "\n")
}

// added are the paths that are there now and were not before.
func added(before, now []string) (list []string) {
	for _, p := range now {
		if _, found := slices.BinarySearch(before, p); !found {
			list = append(list, p)
		}
	}
	return list
}
