package service

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/packages"
)

// TestAnApplicationThroughUpgradesAndAReboot begins with the package as it was before chmpx had a
// user of its own: root's chmpx, its memory that is root's, and a folder that is everybody's. From
// the restart of chmpx after the upgrade on a member of its group gets in, and nobody else does,
// whatever happens. With k2hdkc on PATH the member sets a key and prints it.
func TestAnApplicationThroughUpgradesAndAReboot(t *testing.T) {
	machine.Require(t)
	const upgrade, next = "/root/1.0.0.deb", "/root/1.1.0.deb"
	s := newInstalledOf(t, packages.BuildBefore(t, "packaging/preparechmpx", "0.9.0"),
		machine.File{Path: upgrade, From: packages.One(t, packages.Build(t, "1.0.0"), "deb")},
		machine.File{Path: next, From: packages.One(t, packages.Build(t, "1.1.0"), "deb")})
	s.Run("useradd --system app && useradd --system other")
	s.test(t, "all of it", func(s *installed) {
		s.Run("systemctl enable --quiet k2hdkc-slave-agent")
		s.Join(1)
		ring := newServerNode(s)
		s.Run("systemctl start k2hdkc-slave-agent")
		s.confirmed()
		if got, want := s.Run(`stat -c '%a %U:%G' "$1"/*.chmpx`, slave.ChmpxMemory), "644 root:root"; got != want {
			s.TB.Errorf("the package before has left %s, want %s: this proves nothing", got, want)
		}
		if s.uses("app", "") {
			s.TB.Error("anybody joins root's chmpx: this proves nothing")
		}
		own := s.restarts()

		s.upgrades(upgrade)
		first := s.restarts()
		s.served("an upgrade from the package before")
		again := s.restarts()
		s.served("a restart of chmpx")
		s.TB.Logf("chmpx was down for %v at a restart with the package before, for %v at the first one after the upgrade, for %v at the next", own, first, again)

		s.mark = s.log.Count()
		s.Join(2)
		ring.takeUp(s)
		s.confirmed()
		s.served("a replacement of the file")

		s.upgrades(next)
		s.served("an upgrade of the package")

		s.Boot()
		machine.Until(s.TB, "chmpx to run again", s.Answers)
		s.served("a reboot")
		s.Wants(slave.AgentUnit, "NRestarts=0")
	})
}

// upgrades installs another package, which leaves chmpx alone.
func (s *installed) upgrades(deb string) {
	s.TB.Helper()
	chmpx := s.Life(slave.ChmpxUnit)
	s.mark = s.log.Count()
	s.Run(`dpkg --force-confold --install "$1"`, deb)
	s.confirmed()
	s.sameChmpx(chmpx)
}

// restarts restarts chmpx, and returns how long it was down. Its unit has to come up at once.
func (s *installed) restarts() time.Duration {
	s.TB.Helper()
	s.Run("systemctl restart chmpx")
	machine.Until(s.TB, "chmpx to run again", s.Answers)
	s.Wants(slave.ChmpxUnit, "NRestarts=0")
	times := s.Shows(slave.ChmpxUnit, "ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
	stopped, err := strconv.Atoi(times["ActiveExitTimestampMonotonic"])
	started, err2 := strconv.Atoi(times["ActiveEnterTimestampMonotonic"])
	if err != nil || err2 != nil {
		s.TB.Fatal(times)
	}
	return time.Duration(started-stopped) * time.Microsecond
}

// served checks who can use the cluster after something has happened.
func (s *installed) served(after string) {
	s.TB.Helper()
	s.wantMember()
	if _, real := packages.K2hdkc(); !real {
		return
	}
	machine.Until(s.TB, "a server to be connected after "+after, func() bool {
		return strings.Contains(s.Run("chmpxstatus -conf "+slave.INI), "[SERVICE IN][UP]")
	})
	for _, who := range []struct {
		user, group string
		want        bool
	}{{"app", "k2hdkc", true}, {"app", "", false}, {"other", "", false}} {
		if got := s.uses(who.user, who.group); got != who.want {
			s.TB.Errorf("after %s a service of %s's with the group %q sets and prints a key: %v", after, who.user, who.group, got)
		}
	}
	s.TB.Logf("after %s: app of the group sets and prints a key, app and other without it do not", after)
}

// uses reports whether a service can use the cluster: set a key and print it where k2hdkc is there,
// join chmpx where it is not.
func (s *installed) uses(user, group string) bool {
	s.TB.Helper()
	command, want := "chmpxstatus -conf "+slave.INI, "chmpx process id"
	if _, real := packages.K2hdkc(); real {
		key := fmt.Sprint("key-", time.Now().UnixNano())
		s.Run(`printf 'set %s value\nprint %s\nexit\n' "$1" "$1" >/var/tmp/commands; chmod 644 /var/tmp/commands`, key)
		command, want = "k2hdkclinetool -conf "+slave.INI+" -run /var/tmp/commands", `"`+key+`" => "value"`
	}
	r := s.Try(`timeout 60 systemd-run --quiet --pipe --wait --property=User="$1" --property=SupplementaryGroups="$2" `+command, user, group)
	return r.Status == 0 && strings.Contains(r.Stdout, want)
}
