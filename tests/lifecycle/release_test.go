package lifecycle

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// TestDebOnOtherReleases goes through a package's life on the oldest and the
// newest systemd that a Debian has.
func TestDebOnOtherReleases(t *testing.T) {
	for _, suite := range []string{machine.Bullseye, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			n := boot(t, suite)
			t.Log(strings.SplitN(n.Run("systemctl --version"), "\n", 2)[0])
			before := n.files()
			n.Join(1, 2, 3)
			n.test(t, "installed on a configured host it begins at once", func(n *node) {
				n.configure()
				n.install(older, "--option=Dpkg::Options::=--force-confold")
				n.Confirmed(3)
				n.active(older)
				n.wantMember(true)
				n.sameChmpx()
				n.sameFile()
			})
			n.test(t, "an upgrade restarts the agent and nothing else", upgraded)
			n.test(t, "a change is confirmed", func(n *node) {
				n.Join(4)
				n.Confirmed(4)
				n.sameChmpx()
				n.Leave(4)
				n.Begin()
				n.Confirmed(3)
				n.file = ""
				n.sameFile()
			})
			n.test(t, "its sandbox is in force", sandboxed)
			n.test(t, "its generator, which is a link, is run", func(n *node) {
				if n.Try("[ -L /lib ]").Status != 0 {
					n.TB.Skip("systemd looks for generators in /lib alone here, see packaging/README.md")
				}
				const operator = "/etc/systemd/system/k2hdkc-slave-agent.service.d/operator.conf"
				n.Run(`mkdir -p "${1%/*}" && printf '[Service]\nEnvironment=K2HDKC_SLAVE_RUN_DIR=/run/elsewhere\n' >"$1" && systemctl daemon-reload`, operator)
				n.exist("/run/systemd/generator/k2hdkc-slave-agent.service.d/50-configuration.conf")
				n.Run(`rm -r "${1%/*}" && systemctl daemon-reload`, operator)
				n.absent("/run/systemd/generator/k2hdkc-slave-agent.service.d")
			})
			n.test(t, "a downgrade restarts the agent and nothing else", downgraded)
			n.test(t, "a reboot comes up with all of it", func(n *node) {
				n.Boot()
				n.Confirmed(3)
				n.active(older)
				n.sameFile()
				n.runs = nil
				n.sameChmpx()
				n.understood()
			})
			n.test(t, "a removal ends the membership and leaves chmpx as it is", removed)
			n.test(t, "chmpx comes up on its file after a reboot without the agent", rebootedWithoutAgent)
			n.test(t, "installed again and purged it leaves nothing", func(n *node) {
				n.apt("install", pkg)
				n.Confirmed(3)
				n.active(newer)
				n.sameChmpx()
				n.understood()
				n.Run("systemctl stop chmpx")
				n.apt("purge", pkg)
				n.gone()
				if diff := cmp.Diff([]string(nil), added(before, n.files())); diff != "" {
					n.TB.Errorf("what is left (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// puzzled is what systemd says about a line of a unit that it does not take as
// it stands.
var puzzled = regexp.MustCompile(`(?i)unknown|failed to parse|ignoring|obsolete|deprecated|not supported|legacy`)

// understood checks that systemd has taken every line of our units, and its
// generator, since the boot.
func (n *node) understood() {
	n.TB.Helper()
	text, err := n.Journal(n.TB.Context(), "")
	if err != nil {
		n.TB.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "k2hdkc-slave-agent") && strings.Contains(line, "systemd") && puzzled.MatchString(line) {
			n.TB.Errorf("systemd says: %s", line)
		}
	}
	r := n.Try("systemd-analyze verify --man=no k2hdkc-slave-agent.service")
	if r.Status != 0 || r.Stderr != "" {
		n.TB.Errorf("systemd-analyze verify: %v", r)
	}
	n.Wants(slave.AgentUnit, "NRestarts=0")
}
