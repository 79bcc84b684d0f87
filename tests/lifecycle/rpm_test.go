package lifecycle

import (
	"regexp"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/packages"
)

// saved is where rpm puts a configuration that was changed.
const saved = confFile + ".rpmsave"

// TestRPM has one machine, on which every subtest begins without the package.
// The machine is a Debian; rpm runs the same scripts there, in the same order,
// but knows of no dependencies.
func TestRPM(t *testing.T) {
	n := boot(t, machine.Bookworm)
	for _, version := range []string{older, newer} {
		n.put("/root/"+version+".rpm", packages.One(t, packages.Build(t, version), "rpm"))
	}
	n.put("/root/chmpx.rpm", packages.One(t, packages.Chmpx(t), "rpm"))
	n.Join(1, 2, 3)
	for _, c := range []struct {
		name string
		do   func(n *node)
	}{
		{"an upgrade, a downgrade and a reinstallation restart the agent and nothing else", rpmReplaced},
		{"a removal ends the membership and leaves chmpx as it is, and the next installation goes on", rpmRemoved},
		{"unconfigured it does not run, and says nothing", rpmUnconfigured},
		{"what the administrator has stopped, disabled or masked stays so", rpmAdministrator},
		{"both packages at once on a configured host are all that it needs", rpmTogether},
	} {
		n.test(t, c.name, func(n *node) {
			n.rpmReset()
			n.configure()
			c.do(n)
		})
	}
}

// rpmReset takes all away that an installation, or a subtest, has left.
func (n *node) rpmReset() {
	n.TB.Helper()
	n.K2HR3.ClearFaults()
	n.Run(`! rpm -q "$1" >/dev/null || rpm -e "$1"
		systemctl stop chmpx
		rm -rf /etc/k2hdkc /etc/antpickax /var/lib/antpickax/* "$2" "$3"
		systemctl daemon-reload; systemctl reset-failed`, pkg, stateDir, slave.LeftDropIn)
	n.runs, n.file = nil, ""
	n.Begin()
}

// said by rpm are the lines that are nothing of the package's scripts.
var said = regexp.MustCompile(`(?m)^warning: /etc/k2hdkc/slave-agent.ini (saved|created) as .*\n`)

// rpm runs rpm, and returns what it says besides what it does with a changed
// configuration. A script that fails does not make rpm fail.
func (n *node) rpm(args ...string) string {
	n.TB.Helper()
	r := n.Try(`exec rpm --nodeps --force-debian "$@"`, args...)
	if r.Status != 0 || strings.Contains(r.Stderr, "failed") {
		n.TB.Fatalf("rpm %v: %v", args, r)
	}
	return said.ReplaceAllString(r.Stdout+r.Stderr, "")
}

// rpmSilent runs rpm, which has to say nothing.
func (n *node) rpmSilent(args ...string) {
	n.TB.Helper()
	if out := n.rpm(args...); out != "" {
		n.TB.Errorf("rpm %v says: %s", args, out)
	}
}

func rpmFile(version string) string { return "/root/" + version + ".rpm" }

// rpmInstall installs the package on a configured host, and checks that all is
// well then.
func (n *node) rpmInstall(version string) {
	n.TB.Helper()
	n.rpmSilent("-i", rpmFile(version))
	n.Confirmed(3)
	n.active(version)
	n.wantMember(true)
	n.asPacked()
	n.sameChmpx()
	n.sameFile()
}

// asPacked checks that all files are there as they were packed, but for the
// configuration.
func (n *node) asPacked() {
	n.TB.Helper()
	for line := range strings.Lines(n.Try("rpm -V --nodeps " + pkg).Stdout) {
		if !strings.HasSuffix(strings.TrimSpace(line), " c "+confFile) {
			n.TB.Errorf("not as it was packed: %s", line)
		}
	}
}

func rpmReplaced(n *node) {
	n.rpmInstall(older)
	for _, step := range []struct {
		version string
		args    []string
	}{
		{newer, []string{"-U", rpmFile(newer)}},
		{older, []string{"-U", "--oldpackage", rpmFile(older)}},
		{newer, []string{"-U", rpmFile(newer)}},
		{newer, []string{"-U", "--replacepkgs", rpmFile(newer)}},
		{newer, []string{"--reinstall", rpmFile(newer)}},
	} {
		n.Begin()
		n.replaced(step.version, func() { n.rpmSilent(step.args...) })
		n.asPacked()
		// The old version's scripts run after the new one's.
		if said := n.Said(slave.AgentUnit); strings.Count(said, "Started ") != 1 || strings.Count(said, "Stopped ") != 1 {
			n.TB.Errorf("rpm %v should restart the agent once:\n%s", step.args, said)
		}
	}
}

func rpmRemoved(n *node) {
	n.rpmInstall(older)
	files := n.Run("rpm -ql " + pkg)
	n.rpmSilent("-e", pkg)
	n.gone()
	n.wantMember(false)
	n.sameChmpx()
	n.sameFile()
	if left := n.Run(`for f; do [ -d "$f" ] || [ ! -e "$f" ] || echo "$f"; done`, strings.Fields(files)...); left != "" {
		n.TB.Errorf("left behind:\n%s", left)
	}
	n.exist(saved, token, slave.LeftDropIn)
	n.absent("/etc/systemd/system/multi-user.target.wants/"+slave.AgentUnit, "/usr/libexec/k2hdkc-slave-agent")
	n.Wants(slave.ChmpxUnit, "DropInPaths="+slave.LeftDropIn, "NeedDaemonReload=no")
	rebootedWithoutAgent(n)

	// rpm has taken the configuration away with the package.
	n.Run(`mv "$1" "$2"`, saved, confFile)
	n.Begin()
	n.rpmInstall(newer)
	n.absent(slave.LeftDropIn)
	n.Wants(slave.ChmpxUnit, "DropInPaths="+slave.DropIn, "NeedDaemonReload=no")
	n.Begin()
	n.Boot()
	n.Confirmed(3)
	n.active(newer)
	n.wantMember(true)
	n.sameFile()
}

func rpmUnconfigured(n *node) {
	n.Run("rm -r /etc/k2hdkc")
	n.K2HR3.ForgetRequests()
	for _, args := range [][]string{
		{"-i", rpmFile(older)}, {"-U", rpmFile(newer)}, {"-U", "--oldpackage", rpmFile(older)},
	} {
		n.rpmSilent(args...)
		n.inactive("enabled")
		n.asPacked()
	}
	if log := n.Log(); log != "" {
		n.TB.Errorf("the agent has said:\n%s", log)
	}
	n.rpmSilent("-e", pkg)
	n.gone()
	if r := n.K2HR3.Requests(); len(r) != 0 {
		n.TB.Errorf("K2HR3 was asked: %v", r)
	}
	n.absent(slave.LeftDropIn, saved, confFile, stateDir)
}

func rpmAdministrator(n *node) {
	n.rpmInstall(older)
	n.administrator(func() { n.rpmSilent("-U", rpmFile(newer)) }, func() { n.rpmSilent("-U", "--oldpackage", rpmFile(older)) })
}

func rpmTogether(n *node) {
	n.Run("systemctl --quiet disable chmpx")
	n.apt("purge", "chmpx")
	n.Run("rm -rf /var/lib/antpickax; systemctl daemon-reload")
	defer func() {
		n.Run("rpm -e chmpx; systemctl daemon-reload")
		n.apt("install", "chmpx")
		n.Run("systemctl --quiet enable chmpx")
	}()
	said := n.rpm("-i", rpmFile(older), "/root/chmpx.rpm")
	if !strings.Contains(said, "chmpx.service is enabled") {
		n.TB.Errorf("the package does not tell that it has enabled chmpx, but says %q", said)
	}
	n.Confirmed(3)
	n.active(older)
	n.wantMember(true)
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	n.sameFile()
	n.Begin()
	n.Boot()
	n.Confirmed(3)
	n.sameFile()

	// Enabled once is enough.
	n.Run("systemctl --quiet disable chmpx")
	n.rpmSilent("-U", rpmFile(newer))
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "UnitFileState=disabled")
	n.rpmSilent("-e", pkg)
}
