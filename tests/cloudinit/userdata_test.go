package cloudinit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	firstInstance = "9c1b7f64-30d2-4e58-a6f7-1d84c0e25b31"
	cloneInstance = "9c1b7f64-30d2-4e58-a6f7-1d84c0e25b32"
)

func TestUserData(t *testing.T) {
	require(t)
	for _, format := range []string{"cloud-config", "script"} {
		t.Run(format, func(t *testing.T) {
			s := newSite(t)
			token := s.cluster.RoleToken("slave", 0)
			text := s.userData(token, format)
			n := s.boot(s.options("app-1.shop.example", firstInstance, text))
			n.step(t, "it is a slave node after the first boot", func(n *node) { firstBoot(s, n, token) })
			n.step(t, "servers come and go", func(n *node) { follows(s, n) })
			n.step(t, "it reboots while K2HR3 is down", func(n *node) { rebooted(s, n) })
			n.step(t, "it is cloned", func(n *node) { cloned(s, n, text) })
			n.step(t, "the package is upgraded", func(n *node) { upgraded(s, n) })
			n.step(t, "it leaves", func(n *node) { left(s, n) })
		})
	}
}

// TestTokenFromK2HR3sUserData gives K2HR3's two lines of user data where the role
// token is asked for. The agent fetches the token with them, and keeps it to
// itself.
func TestTokenFromK2HR3sUserData(t *testing.T) {
	require(t)
	s := newSite(t)
	token := s.cluster.RoleToken("slave", 0)
	lines := s.include(token)
	n := s.boot(s.options("app-1.shop.example", firstInstance, s.userData(lines, "cloud-config")))
	_, address, _ := strings.Cut(strings.TrimSpace(lines), "\n")
	firstBoot(s, n, address)
	n.wantSecret(token)
}

// firstBoot is all that has to be there after the first boot.
func firstBoot(s *site, n *node, token string) {
	n.tb.Helper()
	n.confirmed(2)
	s.wantSlaves(n.is())
	if got := n.run("cloud-init status --wait"); !strings.Contains(got, "status: done") {
		n.tb.Errorf("cloud-init: %s", got)
	}
	n.wants(agentUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	n.wants(chmpxUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	if got, want := n.run(`sed -n 's/^SELFCUK *= *//p' "$1"`, n.file), n.instance; got != want {
		n.tb.Errorf("the file is for the instance %q, this is %q", got, want)
	}
	if got := n.run("stat -c '%a %U %G' /etc/k2hdkc/role-token"); got != "600 root root" {
		n.tb.Errorf("the token's file is %s", got)
	}
	n.wantSecret(token)
	inTime(n)
}

// wantSecret checks that a token is where only root reads it. What cloud-init
// was given it keeps for root, too.
func (n *node) wantSecret(token string) {
	n.tb.Helper()
	readable := n.try(`grep -rlsF -- "$1" /etc /run /tmp /var/log /var/lib /var/cache /usr/local | while read -r file; do
		find "$file" -perm /077 -print; done`, token)
	for path := range strings.Lines(readable.Stdout) {
		if dir := filepath.Dir(strings.TrimSpace(path)); n.run(`stat -c %a "$1"`, dir) != "700" {
			n.tb.Errorf("others than root can read the token in %s", path)
		}
	}
	if got := n.try(`grep -alsF -- "$1" /proc/[0-9]*/cmdline | grep -v "/$$/" | xargs -r -n1 sh -c 'tr "\0" " " <"$0"'`, token); strings.Contains(got.Stdout, "k2hdkc") {
		n.tb.Errorf("the token is on a command line: %s", got.Stdout)
	}
	if got := n.try(`journalctl --quiet --no-pager | grep -F -- "$1"`, token); got.Status == 0 {
		n.tb.Errorf("the token is in the journal: %s", got.Stdout)
	}
}

// inTime shows the timeline. On a machine that nothing else burdens it takes a
// third of the time that is wanted.
func inTime(n *node) {
	n.tb.Helper()
	took := n.show(n.timeline(), "chmpx is confirmed to run the file")
	n.tb.Logf("from cloud-init's beginning to chmpx confirmed on the first file: %.1f s", took.Seconds())
	want := time.Minute
	if os.Getenv("K2HDKC_TEST_FULL") != "" {
		want = 15 * time.Second
	}
	if !inVM() && took > want {
		n.tb.Errorf("that is more than %v", want)
	}
}

// follows has servers come and go.
func follows(s *site, n *node) {
	n.tb.Helper()
	life := n.life(chmpxUnit)
	s.join(3)
	n.confirmed(3)
	s.leave(1)
	n.confirmed(2)
	if now := n.life(chmpxUnit); now != life {
		n.tb.Errorf("chmpx was restarted: %s, before %s", now, life)
	}
}

// rebooted has the machine reboot while K2HR3 is down, and miss a change.
func rebooted(s *site, n *node) {
	n.tb.Helper()
	// Nothing of the user data is done again.
	n.run(`echo "# an administrator was here" >>/etc/k2hdkc/slave-agent.ini`)
	file := n.run(`cat "$1"`, n.file)
	s.setDown(true)
	s.join(4)
	if err := n.Reboot(deadline(n.tb)); err != nil {
		n.tb.Fatal(err)
	}
	n.mark = ""
	n.confirmed(2)
	n.wants(agentUnit, "ActiveState=active", "NRestarts=0")
	n.wants(chmpxUnit, "ActiveState=active", "NRestarts=0")
	if now := n.run(`cat "$1"`, n.file); now != file {
		n.tb.Errorf("without K2HR3 the file has changed:\n%s\nwas\n%s", now, file)
	}
	if got := n.run("tail -n 1 /etc/k2hdkc/slave-agent.ini"); got != "# an administrator was here" {
		n.tb.Errorf("the configuration was written anew, it ends with %q", got)
	}
	s.wantSlaves(n.is())

	life := n.life(chmpxUnit)
	s.setDown(false)
	n.confirmed(3)
	s.wantSlaves(n.is())
	if now := n.life(chmpxUnit); now != life {
		n.tb.Errorf("chmpx was restarted: %s, before %s", now, life)
	}
}

// cloned boots another machine from a copy of the first one's disk.
func cloned(s *site, n *node, userData string) {
	n.tb.Helper()
	snapshot := filepath.Join(n.tb.TempDir(), "disk")
	if err := n.Snapshot(deadline(n.tb), snapshot); err != nil {
		n.tb.Fatal(err)
	}
	n.seen()
	o := s.options("app-2.shop.example", cloneInstance, userData)
	o.Disk = snapshot
	clone := s.boot(o)
	clone.until("the file to be the clone's own", func() bool {
		return clone.run(`sed -n 's/^SELFCUK *= *//p' "$1"`, clone.file) == cloneInstance
	})
	clone.confirmed(3)
	s.wantSlaves(n.is(), clone.is())
	for _, r := range s.k2hr3.Requests() {
		if r.Source == clone.Addr().String() && r.Method == "PUT" && !strings.Contains(r.Query, "cuk="+cloneInstance) {
			n.tb.Errorf("the clone has registered as another one: %s?%s", r.Path, r.Query)
		}
	}
	// It leaves without the first one's noticing.
	life := n.life(chmpxUnit)
	clone.run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y remove k2hdkc-slave-agent")
	s.wantSlaves(n.is())
	clone.wants(chmpxUnit, "ActiveState=active")
	s.join(5)
	n.confirmed(4)
	if now := n.life(chmpxUnit); now != life {
		n.tb.Errorf("chmpx of the first was restarted: %s, before %s", now, life)
	}
}

// upgraded has apt install a newer version.
func upgraded(s *site, n *node) {
	n.tb.Helper()
	if got := n.run("dpkg-query -W -f '${Version}' k2hdkc-slave-agent"); !strings.HasPrefix(got, firstVersion) {
		n.tb.Errorf("the agent is version %s, want %s", got, firstVersion)
	}
	chmpx, agent := n.life(chmpxUnit), n.life(agentUnit)
	s.publish(nextVersion)
	n.seen()
	n.run("export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; apt-get -qq -y install k2hdkc-slave-agent")
	if got := n.run("k2hdkc-slave-agent version"); !strings.Contains(got, nextVersion) {
		n.tb.Errorf("the agent says it is %s, want %s", got, nextVersion)
	}
	s.join(6)
	n.confirmed(5)
	if now := n.life(chmpxUnit); now != chmpx {
		n.tb.Errorf("chmpx was restarted by the upgrade: %s, before %s", now, chmpx)
	}
	if now := n.life(agentUnit); now == agent {
		n.tb.Error("the old agent still runs")
	}
	s.wantSlaves(n.is())
}

// left has the host leave the cluster: the package is removed.
func left(s *site, n *node) {
	n.tb.Helper()
	chmpx := n.life(chmpxUnit)
	_, had := n.chmpx()
	n.run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y remove k2hdkc-slave-agent")
	s.wantSlaves()
	if now := n.life(chmpxUnit); now != chmpx {
		n.tb.Errorf("chmpx was restarted by the removal: %s, before %s", now, chmpx)
	}
	if _, servers := n.chmpx(); servers != had {
		n.tb.Errorf("chmpx has %d servers, want the last file's %d", servers, had)
	}
	if err := n.Reboot(deadline(n.tb)); err != nil {
		n.tb.Fatal(err)
	}
	n.until("chmpx to run the last file after a reboot", func() bool {
		_, servers := n.chmpx()
		return servers == had
	})
	s.wantSlaves()
}
