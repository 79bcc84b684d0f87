package packages

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/k2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

const (
	older, newer = "1.0.0", "1.1.0"

	agentINI = "/etc/k2hdkc/slave-agent.ini"
	// leftDropIn is what a removal leaves for chmpx.
	leftDropIn = "/etc/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
)

// rpmNode is a slave node that the agent comes to, and goes from, as an rpm. It
// is a Debian; rpm runs the same scripts there.
type rpmNode struct{ *slave.Slave }

func TestRPMOnARunningSystem(t *testing.T) {
	machine.Require(t)
	files := []machine.File{
		{Path: "/root/" + older + ".rpm", From: One(t, Build(t, older), "rpm")},
		{Path: "/root/" + newer + ".rpm", From: One(t, Build(t, newer), "rpm")},
		{Path: "/root/chmpx.rpm", From: One(t, Chmpx(t), "rpm")},
	}
	n := rpmNode{slave.New(t, machine.Options{Files: files})}
	n.Run("rpm -i --nodeps --force-debian /root/chmpx.rpm; systemctl daemon-reload; systemctl --quiet enable chmpx")
	n.test(t, "its life from installation to removal and back", rpmLife)
	n.test(t, "unconfigured it waits in silence", rpmUnconfigured)
	n.test(t, "what the operator has stopped or disabled stays so", rpmStopped)
	n.test(t, "a removal does not wait for a K2HR3 that is down", rpmRemovedWithoutK2HR3)
	n.test(t, "without a file for chmpx a removal leaves nothing for it", rpmRemovedUnused)
	n.test(t, "neighbours are named and left alone", rpmNeighbours)
	n.test(t, "chmpx goes on after a removal and a reboot", rpmRemovedAndRebooted)
}

// test runs a subtest on a node without the agent, whose configuration is there
// already, and with a cluster of three servers.
func (n rpmNode) test(t *testing.T, name string, f func(n rpmNode)) {
	t.Run(name, func(t *testing.T) {
		node := *n.Slave
		node.TB = t
		sub := rpmNode{&node}
		t.Cleanup(func() {
			if t.Failed() {
				text, _ := sub.Journal(context.WithoutCancel(t.Context()), "")
				t.Logf("journal:\n%s", text[max(0, len(text)-8<<10):])
			}
		})
		sub.K2HR3.ClearFaults()
		sub.Cluster = sub.K2HR3.AddCluster("shop", "orders")
		sub.Run(`
			! rpm -q k2hdkc-slave-agent >/dev/null || rpm -e k2hdkc-slave-agent >/dev/null
			systemctl stop chmpx
			rm -rf /etc/k2hdkc /etc/antpickax /var/lib/k2hdkc-slave-agent "$3"/* "$4"
			systemctl daemon-reload
			systemctl reset-failed
			mkdir /etc/k2hdkc
			printf '%s' "$1" >/etc/k2hdkc/slave-agent.ini
			install -m 600 /dev/stdin /etc/k2hdkc/role-token <<-END
				$2
			END`, slave.Config, sub.Cluster.RoleToken("slave", 0), slave.ChmpxMemory, leftDropIn)
		sub.Join(1, 2, 3)
		sub.Begin()
		f(sub)
	})
}

// rpm runs rpm, and returns what it and the package's scripts have printed.
// rpm tells of a script that fails, but does not fail itself.
func (n rpmNode) rpm(args ...string) string {
	n.TB.Helper()
	r := n.Try(`exec rpm --nodeps --force-debian "$@"`, args...)
	if r.Status != 0 || strings.Contains(r.Stderr, "failed") {
		n.TB.Fatalf("rpm %v: %v", args, r)
	}
	return r.Stdout + r.Stderr
}

// agent is what there is to know of the unit that runs.
func (n rpmNode) agent() map[string]string {
	n.TB.Helper()
	return n.Shows(slave.AgentUnit, "MainPID", "InvocationID", "NRestarts")
}

func (n rpmNode) chmpx() map[string]string {
	n.TB.Helper()
	return n.Shows(slave.ChmpxUnit, "ActiveState", "MainPID", "InvocationID", "NRestarts")
}

// works waits until the node is what it should be, and checks that: the agent of
// that version runs, the host is a member, and chmpx runs the file.
func (n rpmNode) works(version string) {
	n.TB.Helper()
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0", "Result=success")
	n.chmpxUp()
	if _, servers := n.Revision(); servers != 3 {
		n.TB.Errorf("chmpx has %d servers, want 3", servers)
	}
	if got := n.members(); got != 1 {
		n.TB.Errorf("the host is %d times in the role, want once", got)
	}
	exe := n.Run(`exe=$(readlink "/proc/$(systemctl show --property=MainPID --value "$1")/exe"); echo "$exe"; "$exe" version`, slave.AgentUnit)
	if !strings.HasPrefix(exe, "/usr/bin/k2hdkc-slave-agent\n") || !strings.Contains(exe, version) {
		n.TB.Errorf("the process runs %s, want version %s", exe, version)
	}
	// All its files are as they were packed, but for the operator's.
	if got := n.Try("rpm -V --nodeps k2hdkc-slave-agent").Stdout; strings.Count(got, "\n") > 1 ||
		strings.TrimSpace(got) != "" && !strings.HasSuffix(strings.TrimSpace(got), " c "+agentINI) {
		n.TB.Errorf("files differ from those of the package:\n%s", got)
	}
	if got := n.Run("cat " + agentINI); got != strings.TrimSpace(slave.Config) {
		n.TB.Errorf("the configuration has become\n%s", got)
	}
}

func (n rpmNode) chmpxUp() {
	n.TB.Helper()
	slave.Until(n.TB, "chmpx to be up", func() bool { return n.Try("chmpxstatus -conf "+slave.INI).Status == 0 })
}

func (n rpmNode) reboot() {
	n.TB.Helper()
	ctx, cancel := context.WithTimeout(n.TB.Context(), 2*time.Minute)
	defer cancel()
	if err := n.Reboot(ctx); err != nil {
		n.TB.Fatal(err)
	}
}

func (n rpmNode) members() (count int) {
	for _, h := range n.Cluster.Slaves() {
		if h.Addr == n.Addr().String() {
			count++
		}
	}
	return count
}

// ini is the identity and the bytes of chmpx's file.
func (n rpmNode) ini() string {
	n.TB.Helper()
	return n.Run("stat -c '%i %Y %a %U' $1; sha256sum $1", slave.INI)
}

func (n rpmNode) same(what, before, now any) {
	n.TB.Helper()
	if diff := cmp.Diff(before, now); diff != "" {
		n.TB.Errorf("%s is not what it was:\n%s", what, diff)
	}
}

func (n rpmNode) exists(want bool, paths ...string) {
	n.TB.Helper()
	for _, path := range paths {
		if got := n.Try(`test -e "$1"`, path).Status == 0; got != want {
			n.TB.Errorf("%s is there: %v, want %v", path, got, want)
		}
	}
}

// starts is how often the agent was started since the subtest began.
func (n rpmNode) starts() int {
	n.TB.Helper()
	return strings.Count(n.Said(slave.AgentUnit), "Started ")
}

func (n rpmNode) silent(what, said string) {
	n.TB.Helper()
	var rest []string
	for line := range strings.Lines(said) {
		// A configuration that was there before is kept, and rpm says so.
		if !strings.Contains(line, ".rpmnew") && !strings.Contains(line, ".rpmsave") {
			rest = append(rest, line)
		}
	}
	if len(rest) != 0 {
		n.TB.Errorf("%s has said %q", what, rest)
	}
}

func rpmLife(n rpmNode) {
	n.silent("the installation", n.rpm("-i", "/root/"+older+".rpm"))
	n.works(older)
	chmpx, ini := n.chmpx(), n.ini()

	for i, step := range []struct {
		name, version string
		args          []string
	}{
		{"an upgrade", newer, []string{"-U", "/root/" + newer + ".rpm"}},
		{"a downgrade", older, []string{"-U", "--oldpackage", "/root/" + older + ".rpm"}},
		{"another upgrade", newer, []string{"-U", "/root/" + newer + ".rpm"}},
		{"a second installation of the same", newer, []string{"-U", "--replacepkgs", "/root/" + newer + ".rpm"}},
	} {
		before, requests := n.agent(), len(n.K2HR3.Requests())
		n.silent(step.name, n.rpm(step.args...))
		n.works(step.version)
		if now := n.agent(); now["MainPID"] == before["MainPID"] || now["InvocationID"] == before["InvocationID"] {
			n.TB.Errorf("after %s the agent is still the process that it was", step.name)
		}
		if got, want := n.starts(), i+2; got != want {
			n.TB.Errorf("after %s the agent has been started %d times, want %d", step.name, got, want)
		}
		for _, r := range n.K2HR3.Requests()[requests:] {
			if r.Op == k2hr3.OpLeave {
				n.TB.Errorf("during %s the host has left its role", step.name)
			}
		}
		n.same("after "+step.name+" chmpx", chmpx, n.chmpx())
		n.same("after "+step.name+" chmpx's file", ini, n.ini())
	}

	files := n.Run("rpm -ql k2hdkc-slave-agent")
	n.silent("the removal", n.rpm("-e", "k2hdkc-slave-agent"))
	n.Wants(slave.AgentUnit, "ActiveState=inactive", "LoadState=not-found")
	if got := n.members(); got != 0 {
		n.TB.Error("the host is still a member after the removal")
	}
	n.same("after the removal chmpx", chmpx, n.chmpx())
	n.same("after the removal chmpx's file", ini, n.ini())
	for path := range strings.FieldsSeq(files) {
		if n.Try(`test -e "$1" -a ! -d "$1"`, path).Status == 0 {
			n.TB.Errorf("%s is left behind", path)
		}
	}
	n.exists(false, "/etc/systemd/system/multi-user.target.wants/"+slave.AgentUnit, agentINI)
	n.exists(true, agentINI+".rpmsave", "/etc/k2hdkc/role-token", leftDropIn)
	n.Wants(slave.ChmpxUnit, "NeedDaemonReload=no", "DropInPaths="+leftDropIn)

	n.Run("mv $1.rpmsave $1", agentINI)
	n.silent("the installation after a removal", n.rpm("-i", "/root/"+newer+".rpm"))
	n.works(newer)
	n.exists(false, leftDropIn)
	n.Wants(slave.ChmpxUnit, "NeedDaemonReload=no", "DropInPaths="+slave.DropIn)
	n.same("after the installation that followed chmpx", chmpx, n.chmpx())
	// And it goes on keeping it.
	n.Leave(3)
	slave.Until(n.TB, "chmpx to have two servers", func() bool { _, servers := n.Revision(); return servers == 2 })
	n.same("after a change chmpx", chmpx, n.chmpx())
}

func rpmUnconfigured(n rpmNode) {
	n.Run("rm -rf /etc/k2hdkc")
	for _, args := range [][]string{
		{"-i", "/root/" + older + ".rpm"},
		{"-U", "/root/" + newer + ".rpm"},
	} {
		n.silent("rpm "+args[0], n.rpm(args...))
		n.Wants(slave.AgentUnit, "ActiveState=inactive", "UnitFileState=enabled", "Result=success", "ExecMainStartTimestamp=")
	}
	if got := n.Run("systemctl --failed --no-legend --plain"); got != "" {
		n.TB.Errorf("failed: %s", got)
	}
	start := time.Now()
	n.silent("the removal", n.rpm("-e", "k2hdkc-slave-agent"))
	if d := time.Since(start); d > 5*time.Second {
		n.TB.Errorf("the removal took %v, with nobody to tell of it", d)
	}
	n.exists(false, leftDropIn, "/etc/k2hdkc/slave-agent.ini.rpmsave")
	if got := n.Said(slave.AgentUnit); strings.Contains(got, "Start") {
		n.TB.Errorf("the agent was started:\n%s", got)
	}
}

func rpmStopped(n rpmNode) {
	n.rpm("-i", "/root/"+older+".rpm")
	n.works(older)
	n.Run("systemctl stop $1", slave.AgentUnit)
	n.rpm("-U", "/root/"+newer+".rpm")
	n.Wants(slave.AgentUnit, "ActiveState=inactive", "UnitFileState=enabled")

	n.Run("systemctl --quiet disable $1", slave.AgentUnit)
	n.rpm("-U", "--oldpackage", "/root/"+older+".rpm")
	n.Wants(slave.AgentUnit, "ActiveState=inactive", "UnitFileState=disabled")

	n.Run("systemctl start $1", slave.AgentUnit)
	n.rpm("-U", "/root/"+newer+".rpm")
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=disabled")

	n.Run("systemctl --quiet --now mask $1", slave.AgentUnit)
	n.rpm("-U", "--oldpackage", "/root/"+older+".rpm")
	n.Wants(slave.AgentUnit, "ActiveState=inactive", "UnitFileState=masked")
	n.Run("systemctl --quiet unmask $1", slave.AgentUnit)
}

func rpmRemovedWithoutK2HR3(n rpmNode) {
	n.rpm("-i", "/root/"+older+".rpm")
	n.works(older)
	chmpx, ini := n.chmpx(), n.ini()
	n.K2HR3.Fault(k2hr3.Fault{Name: k2hr3.Hang})
	start := time.Now()
	said := n.rpm("-e", "k2hdkc-slave-agent")
	took := time.Since(start)
	n.TB.Logf("the removal took %v", took.Round(100*time.Millisecond))
	if took > 14*time.Second { // 10, and what a busy host adds
		n.TB.Errorf("the removal took %v", took)
	}
	if !strings.Contains(said, "could not be taken out of its role") {
		n.TB.Errorf("the operator is told %q", said)
	}
	n.Wants(slave.AgentUnit, "ActiveState=inactive", "LoadState=not-found")
	n.exists(false, "/usr/bin/k2hdkc-slave-agent")
	n.same("chmpx", chmpx, n.chmpx())
	n.same("chmpx's file", ini, n.ini())
}

func rpmRemovedUnused(n rpmNode) {
	n.Cluster = n.K2HR3.AddCluster("shop", "orders") // without a server
	n.Run("printf '%s\n' \"$1\" >/etc/k2hdkc/role-token", n.Cluster.RoleToken("slave", 0))
	n.rpm("-i", "/root/"+older+".rpm")
	slave.Until(n.TB, "the host to be a member", func() bool { return n.members() == 1 })
	n.rpm("-e", "k2hdkc-slave-agent")
	if n.members() != 0 {
		n.TB.Error("the host is still a member")
	}
	n.exists(false, leftDropIn, slave.INI)
}

func rpmNeighbours(n rpmNode) {
	const timer = "k2hr3-get-resource.timer"
	n.Run(`
		printf '[Service]\nType=oneshot\nExecStart=/bin/true\n' >/run/systemd/system/k2hr3-get-resource.service
		printf '[Timer]\nOnCalendar=yearly\n' >/run/systemd/system/k2hr3-get-resource.timer
		systemctl daemon-reload
		systemctl start k2hr3-get-resource.timer
		mkdir /etc/antpickax
		echo chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = /etc/antpickax/slave.ini >/etc/antpickax/override.conf`)
	before := n.Run("cat /etc/antpickax/override.conf")
	said := n.rpm("-i", "/root/"+older+".rpm")
	for _, want := range []string{timer, "/etc/antpickax/override.conf", "left alone"} {
		if !strings.Contains(said, want) {
			n.TB.Errorf("want %q in what the operator is told:\n%s", want, said)
		}
	}
	n.Wants(timer, "ActiveState=active")
	n.same("override.conf", before, n.Run("cat /etc/antpickax/override.conf"))
	n.works(older)
	n.silent("the upgrade", n.rpm("-U", "/root/"+newer+".rpm"))
	n.Run("systemctl stop $1; rm /run/systemd/system/k2hr3-get-resource.*; systemctl daemon-reload", timer)
}

func rpmRemovedAndRebooted(n rpmNode) {
	n.rpm("-i", "/root/"+older+".rpm")
	n.works(older)
	n.rpm("-e", "k2hdkc-slave-agent")
	ini := n.ini()
	for _, again := range []func(){func() { n.Run("systemctl restart chmpx") }, n.reboot} {
		again()
		n.chmpxUp()
		if _, servers := n.Revision(); servers != 3 {
			n.TB.Errorf("chmpx has %d servers, want 3", servers)
		}
		n.Wants(slave.ChmpxUnit, "ActiveState=active")
	}
	n.same("chmpx's file", ini, n.ini())

	// The agent takes over again, after a reboot, too.
	n.Run("mv $1.rpmsave $1", agentINI)
	n.rpm("-i", "/root/"+newer+".rpm")
	n.works(newer)
	n.reboot()
	n.works(newer)
}
