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
	"k2hdkc-slave-agent/tests/packages"
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

// meddler is what happens to a machine while it waits for the packages: something is done to it, in
// place of MEDDLE, and it reboots. It tells of it when the machine is back.
const meddler = `set -eu
if [ -e /var/lib/meddled ]; then
	exec curl -sf http://outside:8081/back
fi
until journalctl --boot --quiet | grep -q 'packages cannot be installed yet'; do sleep 0.2; done
: >/var/lib/meddled
MEDDLE
sync
exec systemctl reboot
`

// interrupted is a dpkg that was interrupted in the midst of a package that has nothing to do with
// this.
const interrupted = `dpkg-query --status curl | sed 's/^Status: .*/Status: install ok half-configured/' >/var/lib/dpkg/updates/0001`

// meddling are the files of that on a machine's disk.
func meddling(meddle string) []machine.File {
	return []machine.File{
		{Path: "/etc/meddler", Text: strings.Replace(meddler, "MEDDLE", meddle, 1)},
		{Path: "/etc/systemd/system/meddler.service", Text: "[Service]\nType=exec\nExecStart=/bin/sh /etc/meddler\n"},
		{Path: "/etc/systemd/system/multi-user.target.wants/meddler.service", Link: "../meddler.service"},
	}
}

// awayFor is several tries to install.
const awayFor = 30 * time.Second

// badDay are the options of a machine that is meddled with on its first day: it reboots, and the
// repository is there only so late after that.
func (s *site) badDay(format, meddle string, late time.Duration) machine.Options {
	s.tb.Helper()
	s.late = true
	o := s.options("app-1.shop.example", firstInstance, s.userData(s.cluster.RoleToken("slave", 0), format))
	o.Reboots = 1
	o.Files = append(o.Files, meddling(meddle)...)
	begun := o.Plugged
	o.Plugged = func(outside, inside netip.Addr) error {
		back := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.AfterFunc(late, func() {
				if err := s.openPackages(outside); err != nil {
					s.tb.Error(err)
				}
			})
		})
		if err := s.serve(outside, "8081", back); err != nil {
			return err
		}
		return begun(outside, inside)
	}
	return o
}

// slaveAfterAll checks that a machine has become a slave node in the end.
func (s *site) slaveAfterAll(n *node) {
	n.TB.Helper()
	n.confirmed(2)
	n.firstBootIsOver()
	s.wantSlaves(n.is())
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
}

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
	}
}

// TestBadFirstDay boots with all at once that may go wrong on a first day. In a virtual machine its
// kernel makes no namespaces of users besides, which it finds out after the units are generated.
func TestBadFirstDay(t *testing.T) {
	machine.RequireHost(t)
	for _, c := range []struct{ suite, format string }{
		{machine.Bookworm, "cloud-config"}, {machine.Bookworm, "script"}, {machine.Trixie, "cloud-config"},
	} {
		t.Run(c.suite+" "+c.format, func(t *testing.T) {
			s := newSiteOf(t, c.suite)
			o := s.badDay(c.format, interrupted, awayFor)
			o.Suite = c.suite
			o.Files = append(o.Files, badFirstDay(s)...)
			if need.VM() {
				o.Files = append(o.Files, machine.File{Path: "/etc/sysctl.d/90-hardening.conf", Text: "user.max_user_namespaces = 0\n"})
			}
			n := s.boot(o)
			s.slaveAfterAll(n)
			if got := n.Run("dpkg --audit"); got != "" {
				t.Errorf("dpkg has something left to do:\n%s", got)
			}
			said := n.Run("journalctl --quiet --no-pager --output=cat --unit=" + firstBootUnit)
			for _, want := range []string{
				"k2hdkc-slave-agent: apt reads no source while it cannot make sense of /etc/apt/sources.list.d/spoilt.list; the packages are installed without that",
				"k2hdkc-slave-agent: apt-get update failed for a source that these packages do not need, see above; apt will go on saying so",
				"k2hdkc-slave-agent: /etc/apt/sources.list.d/shop.list knows the repository " + packagesURI + "/apt too; it goes by the key in /etc/apt/keyrings/k2hdkc.asc now",
			} {
				if strings.Count(said, want) != 1 {
					t.Errorf("it does not say once %q:\n%s", want, said)
				}
			}
			// Without what nobody can make sense of, apt works.
			n.Run("rm /etc/apt/sources.list.d/spoilt.list; apt-get indextargets")
		})
	}
}

// TestARebootWhileItWaits has nothing else go wrong: cloud-init does nothing a second time.
func TestARebootWhileItWaits(t *testing.T) {
	machine.RequireHost(t)
	s := newSite(t)
	s.slaveAfterAll(s.boot(s.badDay("cloud-config", "", time.Second)))
}

// elImage are the files of an image whose packages come by dnf, as far as a Debian can be one: what
// is Debian's goes before anything asks for it. Somebody else's repositories are there that are
// gone or that nobody can make sense of, and that may not be left out; so is ours, by another name.
func elImage() []machine.File {
	const may = "enabled=1\ngpgcheck=0\nskip_if_unavailable=False\n"
	const repos = "/etc/yum.repos.d/"
	return []machine.File{
		{Path: "/etc/systemd/system/no-debian.service", Text: "[Unit]\nDefaultDependencies=no\nAfter=systemd-remount-fs.service\nBefore=sysinit.target cloud-init-local.service\n" +
			"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'rm -f /usr/bin/apt* /usr/bin/dpkg*'\n"},
		{Path: "/etc/systemd/system/sysinit.target.wants/no-debian.service", Link: "../no-debian.service"},
		{Path: repos + "gone.repo", Text: "[gone]\nname=gone\nbaseurl=http://outside:9/\n" + may},
		{Path: repos + "missing.repo", Text: "[missing]\nname=missing\nbaseurl=" + packagesURI + "/epel/\n" + may},
		{Path: repos + "spoilt.repo", Text: "this is no repository\n"},
		{Path: repos + "shop.repo", Text: "[shop]\nname=ours\nbaseurl=" + packagesURI + "/yum/\n" + may},
	}
}

// TestBadFirstDayByDnf is the same where dnf is what installs.
func TestBadFirstDayByDnf(t *testing.T) {
	machine.Require(t)
	s := newSite(t)
	s.repo.Add(t, packages.Shell(t))
	o := s.badDay("cloud-config", "", awayFor)
	// cloud-init would configure apt, if it was told anything about it.
	o.Files = append(o.Files[1:], elImage()...)
	n := s.boot(o)
	s.slaveAfterAll(n)
	if got := n.Run("rpm --query --queryformat '%{NAME} ' chmpx k2hdkc-slave-agent"); got != "chmpx k2hdkc-slave-agent" {
		t.Errorf("rpm has %q", got)
	}
	if got := n.Run("rpm --query --queryformat '%{RSAHEADER:pgpsig}' k2hdkc-slave-agent"); !strings.Contains(got, "RSA/SHA256") {
		t.Errorf("the package is signed by %q", got)
	}
}
