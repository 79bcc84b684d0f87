package service

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// A chmpx that servers have refused, under systemd; and applications that wait for one that is
// whole. The ring is the stand-in's.
func TestHalfConnectedUnderSystemd(t *testing.T) {
	machine.Require(t)
	if _, real := fakechmpx.Installed(); real {
		t.Skip("the real chmpx is installed, and has no ring here; tests/usage has one")
	}
	s := newInstalled(t)
	s.Put(appUnit, "[Unit]\nWants=k2hdkc-slave-online.target\nAfter=k2hdkc-slave-online.target\n"+
		"[Service]\nType=oneshot\nRemainAfterExit=yes\nUser=app\nSupplementaryGroups=k2hdkc\n"+
		"ExecStart=chmpxstatus -conf "+slave.INI+"\nStandardOutput=truncate:"+appSaw+"\n"+
		"[Install]\nWantedBy=multi-user.target\n")
	s.Run("useradd --system app; systemctl daemon-reload")
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", s.HostAddr(), fakek2hr3.ServerPort))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.test(t, "it is restarted while no program has joined, and the application starts when it is whole", healedAndOnline)
	s.test(t, "it is left alone while a program has joined", leftAloneWithAProgram)
	s.test(t, "at boot the application waits until it is whole", onlineAtBoot)
}

const (
	appUnit = "/etc/systemd/system/app.service"
	appSaw  = "/var/lib/app-saw"
	online  = "k2hdkc-slave-online.target"
	waiting = "k2hdkc-slave-wait-online.service"
)

// ringOf is the three servers, of which some, by number, do not list this host. They are at the
// test's end of the cable.
func ringOf(refuse ...int) string {
	var members []fakechmpx.Member
	for n := 1; n <= 3; n++ {
		m := fakechmpx.Member{Name: memberName(n), Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort, CUK: fmt.Sprintf("member-%d", n), Seed: memberName(n)}
		for _, r := range refuse {
			m.Refuses = m.Refuses || r == n
		}
		members = append(members, m)
	}
	b, _ := json.Marshal(members)
	return string(b)
}

func memberName(n int) string { return fmt.Sprintf("orders-member-%d.shop.example", n) }

const ringFile = slave.ChmpxMemory + "/ring.json"

// ring makes the ring so.
func (s *installed) ring(refuse ...int) {
	s.TB.Helper()
	s.Put(ringFile, ringOf(refuse...))
}

// knownServers has K2HR3 list the three, and the machine resolve their names.
func (s *installed) knownServers() {
	s.TB.Helper()
	for n := 1; n <= 3; n++ {
		s.Run(`grep -q " $2\$" /etc/hosts || echo "$1 $2" >>/etc/hosts`, s.HostAddr().String(), memberName(n))
		s.Cluster.Join(s.HostAddr().String(), fmt.Sprintf("member-%d", n), memberName(n))
	}
}

// connected is how many servers chmpx is connected to.
func (s *installed) connected() int {
	s.TB.Helper()
	return strings.Count(s.Try(`chmpxstatus -conf "$1"`, slave.INI).Stdout, "[SERVICE IN][UP]")
}

const half = "chmpx is half connected, and no program has joined it; restarting it"

func healedAndOnline(s *installed) {
	s.knownServers()
	s.ring(1, 2, 3)
	s.Run("systemctl start k2hdkc-slave-agent; systemctl start --no-block app")
	s.confirmed()
	machine.Until(s.TB, "the application to wait", func() bool { return s.Show(waiting, "ActiveState") == "activating" })
	first := s.Life(slave.ChmpxUnit)
	s.ring(2, 3)
	s.await(half, memberName(2), memberName(3))
	machine.Until(s.TB, "another chmpx", func() bool { return s.Life(slave.ChmpxUnit) != first })
	s.Wants(online, "ActiveState=inactive")
	s.Wants("app.service", "ActiveState=inactive")
	if said := s.Said(waiting); strings.Contains(said, "Finished") {
		s.TB.Errorf("the wait is over while servers refuse chmpx:\n%s", said)
	}
	s.ring()
	s.await("chmpx is connected to every server that is up")
	machine.Until(s.TB, "the application to start", func() bool { return s.Show("app.service", "ActiveState") == "active" })
	s.Wants(online, "ActiveState=active")
	s.wantSeen()
	s.Wants(slave.ChmpxUnit, "NRestarts=0")
	s.Run("systemctl stop app " + online + " " + waiting)
}

// wantSeen checks that the application has found chmpx whole when it started.
func (s *installed) wantSeen() {
	s.TB.Helper()
	if seen := s.Run("cat " + appSaw); strings.Count(seen, "[SERVICE IN][UP]") != 3 {
		s.TB.Errorf("the application started on a chmpx that was not whole:\n%s", seen)
	}
}

func leftAloneWithAProgram(s *installed) {
	s.knownServers()
	s.ring(2)
	s.Run(`echo 1 >"$1"/clients`, slave.ChmpxMemory)
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
	before := s.Life(slave.ChmpxUnit)
	s.ring()
	s.await("chmpx is half connected and cannot reach the keys of some servers", "programs have joined it", memberName(2))
	s.sameChmpx(before)
	if n := s.connected(); n != 2 {
		s.TB.Errorf("chmpx is connected to %d servers, so this proves nothing", n)
	}
	s.Run(`echo 0 >"$1"/clients`, slave.ChmpxMemory)
	s.await(half)
	machine.Until(s.TB, "chmpx to be whole", func() bool { return s.connected() == 3 })
}

func onlineAtBoot(s *installed) {
	s.knownServers()
	s.ring()
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
	// The server has forgotten this host for a while, as far as chmpx can tell.
	s.Put("/etc/systemd/system/lists.service", "[Unit]\nAfter=chmpx.service\n[Service]\n"+
		"ExecStart=sh -c 'until chmpxstatus -conf "+slave.INI+" | grep -q \"SERVICE IN..UP\"; do sleep 1; done; cp /root/ring.json "+ringFile+".next; mv "+ringFile+".next "+ringFile+"'\n"+
		"[Install]\nWantedBy=multi-user.target\n")
	s.Put("/root/ring.json", ringOf())
	s.ring(3)
	s.Run("rm -f " + appSaw + "; systemctl daemon-reload; systemctl enable --quiet k2hdkc-slave-agent app lists")
	s.Boot()
	machine.Until(s.TB, "the application to start", func() bool { return s.Show("app.service", "ActiveState") == "active" })
	s.wantSeen()
	if log := s.log.String(); strings.Count(log, half) == 0 {
		s.TB.Error("nothing had to be healed, so this proves nothing")
	}
	chmpx, app := s.Run(`systemctl show -P ExecMainStartTimestampMonotonic chmpx`), s.Run(`systemctl show -P ExecMainStartTimestampMonotonic app`)
	if len(chmpx) > len(app) || len(chmpx) == len(app) && chmpx > app {
		s.TB.Errorf("the application started at %s, before the chmpx that it needs, at %s", app, chmpx)
	}
	s.Run("systemctl disable --quiet k2hdkc-slave-agent app lists; rm /etc/systemd/system/lists.service; systemctl stop app")
}
