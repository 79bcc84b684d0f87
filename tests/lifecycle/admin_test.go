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
		{"what the administrator has stopped, disabled or masked stays so", func(n *node) {
			n.administrator(func() { n.apt("install", pkg) }, func() { n.install(older, "--allow-downgrades") })
		}},
		{"what policy-rc.d forbids is not done", policyForbids},
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

// administrator has one stop, disable and mask the agent of the older version. What upgrades and
// downgrades the package leaves that so, and the membership, chmpx and its file alone.
func (n *node) administrator(upgrade, downgrade func()) {
	n.TB.Helper()
	n.Run("systemctl stop k2hdkc-slave-agent")
	upgrade()
	n.inactive("enabled")

	n.Run("systemctl --quiet disable k2hdkc-slave-agent")
	downgrade()
	n.inactive("disabled")

	n.Run("systemctl start k2hdkc-slave-agent")
	pid := n.Show(slave.AgentUnit, "MainPID")
	upgrade()
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=disabled", "NRestarts=0")
	if now := n.Show(slave.AgentUnit, "MainPID"); now == pid {
		n.TB.Error("the agent of the old version still runs")
	}

	n.Run("systemctl --quiet mask --now k2hdkc-slave-agent 2>/dev/null")
	downgrade()
	n.inactive("masked")
	n.Run("systemctl --quiet unmask k2hdkc-slave-agent")
	n.wantMember(true)
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
