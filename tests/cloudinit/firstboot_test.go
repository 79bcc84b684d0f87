package cloudinit

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/need"
)

const firstBootUnit = "k2hdkc-slave-first-boot.service"

// firstBootIsOver checks that the unit of the first boot has said so on the console, and that
// nothing of it is left.
func (n *node) firstBootIsOver() {
	n.TB.Helper()
	machine.Until(n.TB, "the console to say OK", func() bool { return strings.Contains(n.Console(), "k2hdkc-slave-agent: check: OK") })
	if got := n.Try("ls /etc/systemd/system /etc/systemd/system/*.d /etc/k2hdkc | grep first-boot || :").Stdout; got != "" {
		n.TB.Errorf("of the first boot's unit this is left: %s", got)
	}
	machine.Until(n.TB, "the first boot's unit to be gone", func() bool { return n.Show(firstBootUnit, "LoadState") == "not-found" })
}

// meddler is what happens to a machine while it waits for the packages: dpkg is
// interrupted, in the midst of a package that has nothing to do with this, and the
// machine reboots. It tells of it when the machine is back.
const meddler = `set -eu
if [ -e /var/lib/meddled ]; then
	exec curl -sf http://outside:8081/back
fi
until journalctl --boot --quiet | grep -q 'packages cannot be installed yet'; do sleep 0.2; done
: >/var/lib/meddled
dpkg-query --status curl | sed 's/^Status: .*/Status: install ok half-configured/' >/var/lib/dpkg/updates/0001
sync
exec systemctl reboot
`

// badFirstDay are the files of an image with somebody else's repository that is gone, a file for
// apt that is none, and our own repository twice: as packaging/README.md says, and by another name
// with another keyring.
func badFirstDay(s *site) []machine.File {
	return []machine.File{
		{Path: "/etc/apt/sources.list.d/backports.list", Text: "deb " + packagesURI + "/debian bullseye-backports main\n"},
		{Path: "/etc/apt/sources.list.d/gone.list", Text: "deb http://outside:9/debian stable main\n"},
		{Path: "/etc/apt/sources.list.d/spoilt.list", Text: "deb this is no source\n"},
		{Path: "/etc/apt/keyrings/k2hdkc.asc", Text: s.key()},
		{Path: "/etc/apt/sources.list.d/k2hdkc.sources", Text: "Types: deb\nURIs: " + packagesURI +
			"/apt\nSuites: stable\nComponents: main\nArchitectures: amd64 arm64\nSigned-By: /etc/apt/keyrings/k2hdkc.asc\n"},
		{Path: "/usr/share/keyrings/shop.asc", Text: s.key()},
		{Path: "/etc/apt/sources.list.d/shop.list", Text: "deb [signed-by=/usr/share/keyrings/shop.asc] " + packagesURI + "/apt/ stable main\n"},
		// What installs it by hand has written its configuration before.
		{Path: "/etc/meddler", Text: meddler},
		{Path: "/etc/systemd/system/meddler.service", Text: "[Service]\nType=exec\nExecStart=/bin/sh /etc/meddler\n"},
		{Path: "/etc/systemd/system/multi-user.target.wants/meddler.service", Link: "../meddler.service"},
	}
}

// late is how long the repository is away after the reboot: several tries to install.
const late = 30 * time.Second

// TestBadFirstDay boots with all at once that may go wrong on a first day. In a virtual machine its
// kernel makes no namespaces of users besides, which it finds out after the units are generated.
func TestBadFirstDay(t *testing.T) {
	machine.RequireHost(t)
	for _, c := range []struct{ suite, format string }{
		{machine.Bookworm, "cloud-config"}, {machine.Bookworm, "script"}, {machine.Trixie, "cloud-config"},
	} {
		t.Run(c.suite+" "+c.format, func(t *testing.T) {
			s := newSite(t)
			s.late = true
			o := s.options("app-1.shop.example", firstInstance, s.userData(s.cluster.RoleToken("slave", 0), c.format))
			o.Suite, o.Reboots = c.suite, 1
			o.Files = append(o.Files, badFirstDay(s)...)
			if need.VM() {
				o.Files = append(o.Files, machine.File{Path: "/etc/sysctl.d/90-hardening.conf", Text: "user.max_user_namespaces = 0\n"})
			}
			begun := o.Plugged
			o.Plugged = func(outside, inside netip.Addr) error {
				back := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					time.AfterFunc(late, func() {
						if err := s.openPackages(outside); err != nil {
							t.Error(err)
						}
					})
				})
				if err := s.serve(outside, "8081", back); err != nil {
					return err
				}
				return begun(outside, inside)
			}
			n := s.boot(o)
			n.confirmed(2)
			n.firstBootIsOver()
			s.wantSlaves(n.is())
			n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
			n.Wants(slave.ChmpxUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
			if got := n.Run("dpkg --audit"); got != "" {
				t.Errorf("dpkg has something left to do:\n%s", got)
			}
			said := n.Run("journalctl --quiet --no-pager --boot --output=cat --unit=" + firstBootUnit)
			for _, want := range []string{
				"k2hdkc-slave-agent: apt reads no source while it cannot make sense of /etc/apt/sources.list.d/spoilt.list; the packages are installed without that",
				"k2hdkc-slave-agent: apt-get update failed for a source that these packages do not need, see above; apt will go on saying so",
				"k2hdkc-slave-agent: /etc/apt/sources.list.d/shop.list knows the repository " + packagesURI + "/apt too; it goes by the key in /etc/apt/keyrings/k2hdkc.asc now",
			} {
				if all := n.Run("journalctl --quiet --no-pager --output=cat --unit=" + firstBootUnit); strings.Count(all, want) != 1 {
					t.Errorf("it does not say once %q:\n%s", want, said)
				}
			}
			// Without what nobody can make sense of, apt works.
			n.Run("rm /etc/apt/sources.list.d/spoilt.list; apt-get indextargets")
		})
	}
}
