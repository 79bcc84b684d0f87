package lifecycle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

func TestDeb(t *testing.T) {
	n := boot(t, machine.Bookworm)
	before := n.files()
	for _, step := range []struct {
		name string
		do   func(n *node)
	}{
		{"installed without a configuration it is enabled, does not run, and says nothing", unconfigured},
		{"after a reboot it runs and waits for a configuration", waitsForConfiguration},
		{"it begins as soon as it is configured", beginsWhenConfigured},
		{"an upgrade restarts the agent and nothing else", upgraded},
		{"its sandbox is in force", sandboxed},
		{"a downgrade does that too", downgraded},
		{"so does a reinstallation", reinstalled},
		{"a removal ends the membership and leaves chmpx as it is", removed},
		{"chmpx comes up on its file after a reboot without the agent", rebootedWithoutAgent},
		{"installed again it goes on where it was", installedAgain},
		{"a purge leaves the file that chmpx runs on", func(n *node) { purged(n, before) }},
		{"a purge of what was removed before, without a chmpx, leaves nothing", func(n *node) { purgedLater(n, before) }},
	} {
		if !n.test(t, step.name, step.do) {
			t.Fatal("what comes after it would prove nothing")
		}
	}
}

func unconfigured(n *node) {
	n.install(older)
	n.inactive("enabled")
	n.Wants(slave.ChmpxUnit, "ActiveState=inactive")
	if log := n.Log(); log != "" {
		n.TB.Errorf("the agent has said:\n%s", log)
	}
	if r := n.K2HR3.Requests(); len(r) != 0 {
		n.TB.Errorf("K2HR3 was asked: %v", r)
	}
	n.absent(slave.INI, stateDir)
}

func waitsForConfiguration(n *node) {
	n.Boot()
	n.active(older)
	if log := n.Log(); strings.Contains(log, "ERROR") {
		n.TB.Errorf("the agent complains:\n%s", log)
	}
	if status := n.Show(slave.AgentUnit, "StatusText"); !strings.Contains(status, "api-uri") {
		n.TB.Errorf("the unit's status does not tell what the agent waits for: %q", status)
	}
	n.absent(slave.INI)
}

func beginsWhenConfigured(n *node) {
	pid := n.Show(slave.AgentUnit, "MainPID")
	n.Join(1, 2, 3)
	n.configure()
	n.Confirmed(3)
	n.active(older)
	n.wantMember(true)
	n.Wants(slave.AgentUnit, "MainPID="+pid)
	n.sameChmpx()
	n.sameFile()
}

// replaced does what replaces the agent's program, and checks that the agent is
// another one afterwards, and all else the same.
func (n *node) replaced(version string, do func()) {
	n.TB.Helper()
	stayed := n.stays()
	pid := n.Show(slave.AgentUnit, "MainPID")
	conf := n.Run("stat -c '%i %a' "+confFile+" "+token) + n.Run("cat "+confFile+" "+token)
	do()
	if now := n.Show(slave.AgentUnit, "MainPID"); now == pid || now == "0" {
		n.TB.Errorf("the agent's process was %s and is %s", pid, now)
	}
	n.Confirmed(3)
	n.active(version)
	n.sameChmpx()
	n.sameFile()
	stayed()
	if now := n.Run("stat -c '%i %a' "+confFile+" "+token) + n.Run("cat "+confFile+" "+token); now != conf {
		n.TB.Errorf("the configuration was\n%s\nand is\n%s", conf, now)
	}
	n.absent(slave.LeftDropIn, stateDir+"/removed")
}

func upgraded(n *node) {
	n.replaced(newer, func() { n.apt("install", pkg) })
}

func downgraded(n *node) {
	n.replaced(older, func() { n.install(older, "--allow-downgrades") })
}

func reinstalled(n *node) {
	n.replaced(older, func() { n.install(older, "--reinstall") })
}

// sandboxed looks at what systemd makes of the unit, and the kernel of that.
func sandboxed(n *node) {
	n.Wants(slave.AgentUnit, "ProtectSystem=strict", "ProtectHome=yes", "PrivateUsers=yes", "PrivateDevices=yes",
		"NoNewPrivileges=yes", "CapabilityBoundingSet=", "RestrictNamespaces=yes", "MemoryDenyWriteExecute=yes", "UMask=0022")
	pid := n.Show(slave.AgentUnit, "MainPID")
	got := n.Run(`grep -E '^(CapEff|CapBnd|CapPrm|NoNewPrivs|Seccomp):' "/proc/$1/status" | tr '\t' ' '`, pid)
	want := "CapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2"
	if got != want {
		n.TB.Errorf("the agent's process has\n%s\nwant\n%s", got, want)
	}
	// As the agent, in all that it is confined by but the filter of system calls.
	within := `nsenter --mount --target "$1" sh -c 'for d in "$@"; do [ -w "$d" ] && echo "$d"; done; :' sh "$2" "$3" "$4" "$5" "$6"`
	if got := n.Run(within, pid, "/etc", "/usr", "/etc/k2hdkc", stateDir, slave.ChmpxMemory); got != "/etc/k2hdkc\n"+stateDir+"\n"+slave.ChmpxMemory {
		n.TB.Errorf("the agent can write in\n%s", got)
	}
}

func removed(n *node) {
	n.apt("remove", pkg)
	n.gone()
	n.wantMember(false)
	n.sameChmpx()
	n.sameFile()
	n.exist(confFile, token, stateDir, slave.LeftDropIn)
	n.absent("/usr/bin/k2hdkc-slave-agent", slave.DropIn, "/usr/libexec/k2hdkc-slave-agent")
	n.Wants(slave.ChmpxUnit, "DropInPaths="+slave.LeftDropIn, "NeedDaemonReload=no")
}

func rebootedWithoutAgent(n *node) {
	n.Boot() // which finds that no unit has failed
	n.AwaitServers(3)
	n.gone()
	n.wantMember(false)
	n.sameFile()
	n.runs = nil
	n.sameChmpx()
}

func installedAgain(n *node) {
	n.install(newer)
	n.Confirmed(3)
	n.active(newer)
	n.wantMember(true)
	n.sameChmpx()
	n.sameFile()
	n.absent(slave.LeftDropIn, stateDir+"/removed")
	n.Wants(slave.ChmpxUnit, "DropInPaths="+slave.DropIn)

	n.Join(4)
	n.Begin()
	n.Confirmed(4)
	n.sameChmpx()
	n.file = ""
	n.sameFile()
}

func purged(n *node, before []string) {
	if said := n.aptSays("purge", pkg); !strings.Contains(said, "chmpx runs on "+slave.INI) {
		n.TB.Errorf("the purge does not tell why the file stays, but says: %q", said)
	}
	n.gone()
	n.wantMember(false)
	n.sameChmpx()
	n.sameFile()
	if diff := cmp.Diff([]string{"/etc/k2hdkc", slave.INI}, added(before, n.files())); diff != "" {
		n.TB.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func purgedLater(n *node, before []string) {
	n.configure()
	n.install(newer, "--option=Dpkg::Options::=--force-confold")
	n.Confirmed(4)
	n.active(newer)
	n.apt("remove", pkg)
	n.Run("systemctl stop chmpx")
	n.apt("purge", pkg)
	n.gone()
	if diff := cmp.Diff([]string(nil), added(before, n.files())); diff != "" {
		n.TB.Errorf("what is left (-want +got):\n%s", diff)
	}
}
