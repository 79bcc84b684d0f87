package lifecycle

import (
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// TestDebAndTheAdministrator has one machine, on which every subtest begins
// without the package, and ends so. What the package's scripts decide by
// themselves is tested in packaging/maintain.
func TestDebAndTheAdministrator(t *testing.T) {
	n := boot(t, machine.Bookworm)
	n.Join(1, 2, 3)
	for _, c := range []struct {
		name string
		do   func(n *node)
	}{
		{"a disabled agent that runs is replaced and stays disabled", disabledButRuns},
		{"a disabled agent that does not run is left alone", disabledAndStopped},
		{"a masked agent is left alone", masked},
		{"an agent that was stopped is left alone", stopped},
		{"what policy-rc.d forbids is not done", policyForbids},
		{"only the configuration is a conffile", conffiles},
		{"a wrong configuration fails no upgrade, and is all that has to be mended", wrongConfiguration},
		{"a removal does not wait for a K2HR3 that never answers", removedWithoutK2HR3},
	} {
		n.test(t, c.name, func(n *node) {
			n.running()
			c.do(n)
			n.reset()
		})
	}
}

// running installs the older version on a configured host, and waits until
// chmpx runs a file.
func (n *node) running() {
	n.TB.Helper()
	n.configure()
	n.install(older, "--option=Dpkg::Options::=--force-confold")
	n.Confirmed(3)
	n.active(older)
	n.runs, n.file = nil, ""
	n.sameChmpx()
	n.sameFile()
	n.Begin()
}

// reset takes all away again.
func (n *node) reset() {
	n.TB.Helper()
	n.K2HR3.ClearFaults()
	n.Run(`rm -f /usr/sbin/policy-rc.d; systemctl --quiet unmask k2hdkc-slave-agent`)
	n.Run("systemctl stop chmpx || :")
	if n.Try("dpkg-query --list "+pkg).Status == 0 {
		n.apt("purge", pkg)
	}
	n.Run(`rm -rf /etc/k2hdkc /var/lib/antpickax/* /etc/antpickax /etc/systemd/system/chmpx.service.d
		systemctl daemon-reload; systemctl reset-failed`)
}

// leftAlone upgrades an agent that does not run.
func (n *node) leftAlone(fileState string) {
	n.TB.Helper()
	n.inactive(fileState)
	n.apt("install", pkg)
	n.inactive(fileState)
	if got := n.Run("/usr/bin/k2hdkc-slave-agent version"); !strings.Contains(got, newer) {
		n.TB.Errorf("the version is %q, want %s", got, newer)
	}
	n.sameChmpx()
	n.sameFile()
	n.wantMember(true)
	n.Boot()
	n.inactive(fileState)
}

func disabledButRuns(n *node) {
	n.Run("systemctl --quiet disable k2hdkc-slave-agent")
	pid := n.Show(slave.AgentUnit, "MainPID")
	n.apt("install", pkg)
	n.Confirmed(3)
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=disabled", "NRestarts=0")
	if now := n.Show(slave.AgentUnit, "MainPID"); now == pid {
		n.TB.Error("the agent of the old version still runs")
	}
	n.sameChmpx()
	n.sameFile()
}

func disabledAndStopped(n *node) {
	n.Run("systemctl --quiet disable --now k2hdkc-slave-agent")
	n.leftAlone("disabled")
}

func masked(n *node) {
	n.Run("systemctl --quiet mask --now k2hdkc-slave-agent 2>/dev/null")
	n.leftAlone("masked")
	n.Run("systemctl --quiet unmask k2hdkc-slave-agent; systemctl start k2hdkc-slave-agent")
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled")
}

func stopped(n *node) {
	n.Run("systemctl stop k2hdkc-slave-agent")
	n.inactive("enabled")
	n.apt("install", pkg)
	n.inactive("enabled")
	n.sameChmpx()
	n.sameFile()
}

func policyForbids(n *node) {
	n.reset()
	n.configure()
	n.Run(`printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d`)
	said := n.aptSays("install", "--option=Dpkg::Options::=--force-confold", pkg+"="+n.debs[older])
	if !strings.HasPrefix(said, "/usr/sbin/policy-rc.d returned 101") || strings.Count(said, "\n") != 1 {
		n.TB.Errorf("the installation says %q", said)
	}
	n.inactive("enabled")
	n.wantMember(false)
	n.Run("systemctl start k2hdkc-slave-agent")
	n.Confirmed(3)
	pid := n.Show(slave.AgentUnit, "MainPID")
	n.aptSays("install", pkg)
	n.Wants(slave.AgentUnit, "ActiveState=active", "MainPID="+pid)
}

func conffiles(n *node) {
	got := n.Run(`dpkg-query --show --showformat '${Conffiles}' "$1"`, pkg)
	if f := strings.Fields(got); len(f) != 2 || f[0] != confFile {
		n.TB.Errorf("the conffiles are\n%s\nwant %s alone", got, confFile)
	}
	// What the administrator has made of it outlives a removal.
	n.Run(`echo '# mine' >>"$1"`, confFile)
	text := n.Run(`cat "$1"`, confFile)
	n.apt("remove", pkg)
	n.apt("install", pkg)
	if now := n.Run(`cat "$1"`, confFile); now != text {
		n.TB.Errorf("the configuration was\n%s\nand is\n%s", text, now)
	}
	n.Confirmed(3)
	n.active(newer)
}

func wrongConfiguration(n *node) {
	n.Run(`echo 'no-such-key = 1' >>"$1"`, confFile)
	said := n.aptSays("install", pkg)
	if !strings.Contains(said, "the restart of the agent failed: see `journalctl -u "+pkg+"`") {
		n.TB.Errorf("the upgrade says %q", said)
	}
	n.Run("dpkg --configure --pending && ! dpkg --audit | grep .")
	n.sameChmpx()
	n.sameFile()
	n.wantMember(true)
	n.Run(`sed -i '$d' "$1"`, confFile)
	n.Confirmed(3)
	n.Wants(slave.AgentUnit, "ActiveState=active")
	n.sameChmpx()
	n.sameFile()
}

// removedWithoutK2HR3 removes the package from a host that cannot leave its role.
func removedWithoutK2HR3(n *node) {
	n.K2HR3.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang})
	start := time.Now()
	said := n.aptSays("remove", pkg)
	n.TB.Logf("removed after %v", time.Since(start).Round(100*time.Millisecond))
	if !strings.Contains(said, "cannot take this host out of its role") {
		n.TB.Errorf("the removal says %q", said)
	}
	n.gone()
	n.sameChmpx()
	n.sameFile()
	n.exist(slave.LeftDropIn, confFile)
}
