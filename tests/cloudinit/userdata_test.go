package cloudinit

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

const (
	firstInstance = "9c1b7f64-30d2-4e58-a6f7-1d84c0e25b31"
	cloneInstance = "9c1b7f64-30d2-4e58-a6f7-1d84c0e25b32"
)

func TestUserData(t *testing.T) {
	machine.RequireHost(t)
	s := newSite(t)
	token := s.cluster.RoleToken("slave", 0)
	text := s.userData(token, "cloud-config")
	n := s.boot(s.options("app-1.shop.example", firstInstance, text))
	n.step(t, "it is a slave node after the first boot", func(n *node) { firstBoot(s, n, token) })
	n.step(t, "servers come and go", func(n *node) { follows(s, n) })
	n.step(t, "it reboots while K2HR3 is down", func(n *node) { rebooted(s, n) })
	n.step(t, "it is cloned", func(n *node) { cloned(s, n, text) })
}

// TestTokenFromK2HR3sUserData gives K2HR3's two lines of user data where the role
// token is asked for. The agent fetches the token with them, and keeps it to
// itself. The user data is in the other format here.
func TestTokenFromK2HR3sUserData(t *testing.T) {
	machine.RequireHost(t)
	s := newSite(t)
	token := s.cluster.RoleToken("slave", 0)
	lines := s.include(token)
	n := s.boot(s.options("app-1.shop.example", firstInstance, s.userData(lines, "script")))
	_, address, _ := strings.Cut(strings.TrimSpace(lines), "\n")
	firstBoot(s, n, address)
	n.wantSecret(token)
}

// firstBoot is all that has to be there after the first boot.
func firstBoot(s *site, n *node, token string) {
	n.TB.Helper()
	n.confirmed(2)
	s.wantSlaves(n.is())
	if got := n.Run("cloud-init status --wait"); !strings.Contains(got, "status: done") {
		n.TB.Errorf("cloud-init: %s", got)
	}
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	if got := n.selfCUK(); got != n.instance {
		n.TB.Errorf("the file is for the instance %q, this is %q", got, n.instance)
	}
	if got := n.Run("stat -c '%a %U %G' /etc/k2hdkc/role-token"); got != "600 root root" {
		n.TB.Errorf("the token's file is %s", got)
	}
	n.wantSecret(token)
	if got := n.Run("id -nG games"); got != "games k2hdkc" {
		n.TB.Errorf("games is in the groups %s", got)
	}
	console := n.Run("journalctl --quiet --no-pager --output=cat --unit=" + firstBootUnit)
	for _, want := range []string{
		"k2hdkc-slave-agent: nosuch cannot be made a member of k2hdkc; later: usermod -aG k2hdkc nosuch\n",
		"k2hdkc-slave-agent: check: OK (slave.ini is one that chmpx takes, and chmpx runs; no key was tried, since k2hdkclinetool is not installed)\n",
	} {
		if !strings.Contains(console+"\n", want) {
			n.TB.Errorf("the console says\n%s\nwant\n%s", console, want)
		}
	}
	n.firstBootIsOver()
	inTime(n)
}

// wantSecret checks that a token is where only root reads it. What cloud-init
// was given it keeps for root, too.
func (n *node) wantSecret(token string) {
	n.TB.Helper()
	readable := n.Try(`grep -rlsF -- "$1" /etc /run /tmp /var/log /var/lib /var/cache /usr/local | while read -r file; do
		find "$file" -perm /077 -print; done`, token)
	for path := range strings.Lines(readable.Stdout) {
		if dir := filepath.Dir(strings.TrimSpace(path)); n.Run(`stat -c %a "$1"`, dir) != "700" {
			n.TB.Errorf("others than root can read the token in %s", path)
		}
	}
	if got := n.Try(`grep -alsF -- "$1" /proc/[0-9]*/cmdline | grep -v "/$$/" | xargs -r -n1 sh -c 'tr "\0" " " <"$0"'`, token); strings.Contains(got.Stdout, "k2hdkc") {
		n.TB.Errorf("the token is on a command line: %s", got.Stdout)
	}
	if got := n.Try(`journalctl --quiet --no-pager | grep -F -- "$1"`, token); got.Status == 0 {
		n.TB.Errorf("the token is in the journal: %s", got.Stdout)
	}
}

// inTime tells how long the first boot took from cloud-init's first word to the
// agent's last. At full length, which is for a machine that nothing else burdens,
// that has a limit.
func inTime(n *node) {
	n.TB.Helper()
	took := n.Run(`begin=$(sed -n '1s/,\([0-9]*\) - .*/.\1/p' /var/log/cloud-init.log)
		end=$(journalctl --quiet --boot --output=short-unix --unit="$1" | grep -m1 -F "$2" | cut -d ' ' -f 1)
		date -u -d "$begin" +%s.%N | awk -v end="$end" '{ printf "%.2fs", end - $1 }'`, slave.AgentUnit, realagent.Confirmed)
	d, err := time.ParseDuration(took)
	if err != nil {
		n.TB.Fatal(err)
	}
	n.TB.Logf("from cloud-init's beginning to chmpx confirmed on the first file: %v", d)
	if need.Full() && !need.VM() && d > 15*time.Second {
		n.TB.Error("that is more than 15 s")
	}
}

// follows has servers come and go.
func follows(s *site, n *node) {
	n.TB.Helper()
	life := n.Life(slave.ChmpxUnit)
	s.join(3)
	n.confirmed(3)
	s.leave(1)
	n.confirmed(2)
	n.sameRun(slave.ChmpxUnit, life)
}

// rebooted has the machine reboot while K2HR3 is down, and miss a change.
func rebooted(s *site, n *node) {
	n.TB.Helper()
	// Nothing of the user data is done again.
	n.Run(`echo "# an administrator was here" >>/etc/k2hdkc/slave-agent.ini`)
	file := n.Run(`cat "$1"`, n.File)
	s.setDown(true)
	s.join(4)
	n.Boot()
	n.confirmed(2)
	n.Wants(slave.AgentUnit, "ActiveState=active", "NRestarts=0")
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "NRestarts=0")
	if now := n.Run(`cat "$1"`, n.File); now != file {
		n.TB.Errorf("without K2HR3 the file has changed:\n%s\nwas\n%s", now, file)
	}
	if got := n.Run("tail -n 1 /etc/k2hdkc/slave-agent.ini"); got != "# an administrator was here" {
		n.TB.Errorf("the configuration was written again, it ends with %q", got)
	}
	s.wantSlaves(n.is())

	life := n.Life(slave.ChmpxUnit)
	s.setDown(false)
	n.confirmed(3)
	s.wantSlaves(n.is())
	n.sameRun(slave.ChmpxUnit, life)
}

// cloned boots another machine from a copy of the first one's disk.
func cloned(s *site, n *node, userData string) {
	n.TB.Helper()
	snapshot := filepath.Join(n.TB.TempDir(), "disk")
	if err := n.Snapshot(machine.Deadline(n.TB), snapshot); err != nil {
		n.TB.Fatal(err)
	}
	o := s.options("app-2.shop.example", cloneInstance, userData)
	o.Disk = snapshot
	clone := s.boot(o)
	machine.Until(n.TB, "the file to be the clone's own", func() bool { return clone.selfCUK() == cloneInstance })
	clone.confirmed(3)
	s.wantSlaves(n.is(), clone.is())
	for _, r := range s.k2hr3.Requests() {
		if r.Source == clone.Addr().String() && r.Method == "PUT" && !strings.Contains(r.Query, "cuk="+cloneInstance) {
			n.TB.Errorf("the clone has registered as another one: %s?%s", r.Path, r.Query)
		}
	}
	// It leaves without the first one's noticing.
	life := n.Life(slave.ChmpxUnit)
	clone.Run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y remove k2hdkc-slave-agent")
	s.wantSlaves(n.is())
	clone.Wants(slave.ChmpxUnit, "ActiveState=active")
	s.join(5)
	n.confirmed(4)
	n.sameRun(slave.ChmpxUnit, life)
}
