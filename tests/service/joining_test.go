package service

import (
	"os"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// Who may join chmpx, and what the host has to look like for it.
func TestMembersOfItsGroupJoinChmpxAndNobodyElse(t *testing.T) {
	s := newInstalled(t)
	s.Run("useradd --system app && useradd --system other")
	s.test(t, "before and after a restart, a replacement and a reboot", membersJoin)
	s.test(t, "root's chmpx was killed and has left its memory", afterRoot)
	s.test(t, "a chmpx that root runs still, as the packages before had it", rootStillRuns)
	s.test(t, "chmpx-user and app-group", otherUserAndGroup)
	s.test(t, "a file that only root may read", rootsFile)
	s.test(t, "message queues of their own", ownQueues)
}

// memory is what chmpx's memory looks like: modes, owner and group.
func (s *installed) memory() string {
	s.TB.Helper()
	return s.Run(`stat -c '%a %U:%G' "$1" "$1"/*.chmpx`, slave.ChmpxMemory)
}

// wantOpen checks whom the kernel lets in: a service of app's, if it has the group.
func (s *installed) wantOpen(group string) {
	s.TB.Helper()
	const run = `systemd-run --quiet --pipe --wait --property=User="$1" $2 chmpxstatus -conf /etc/k2hdkc/slave.ini`
	if r := s.Try(run, "app", "--property=SupplementaryGroups="+group); r.Status != 0 || !strings.Contains(r.Stdout, "chmpx process id") {
		s.TB.Errorf("a service with SupplementaryGroups=%s cannot join: %v", group, r)
	}
	for _, user := range []string{"app", "other"} {
		if r := s.Try(run, user, ""); r.Status == 0 {
			s.TB.Errorf("a service of %s's without the group joins: %v", user, r)
		}
	}
}

// wantMember checks that chmpx runs as its own user, and lets in the members of its group.
func (s *installed) wantMember() {
	s.TB.Helper()
	machine.Until(s.TB, "chmpx's memory to be there", s.Answers)
	if got, want := s.memory(), "2770 root:k2hdkc\n660 k2hdkc:k2hdkc"; got != want {
		s.TB.Errorf("chmpx's memory is\n%s\nwant\n%s", got, want)
	}
	status := s.Run(`grep -E '^(Uid|Gid|CapPrm|CapEff|CapBnd|NoNewPrivs)' "/proc/$1/status"`, s.Show(slave.ChmpxUnit, "MainPID"))
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, want) {
			s.TB.Errorf("chmpx has\n%s\nwant %s", status, want)
		}
	}
	if owner := s.Run(`stat -c %U "/proc/$1"`, s.Show(slave.ChmpxUnit, "MainPID")); owner != "k2hdkc" {
		s.TB.Errorf("chmpx runs as %s", owner)
	}
	s.wantOpen("k2hdkc")
	// The agent's sandbox lets it read the memory: it keeps that open.
	machine.Until(s.TB, "the agent to look at chmpx's memory itself", func() bool {
		return s.Try(`find "/proc/$1/fd" -lname '*.chmpx' | grep -q .`, s.Show(slave.AgentUnit, "MainPID")).Status == 0
	})
}

func membersJoin(s *installed) {
	s.running()
	s.Wants(slave.AgentUnit, "SupplementaryGroups=k2hdkc", "PrivateUsers=yes", "CapabilityBoundingSet=", "NRestarts=0")
	s.Wants(slave.ChmpxUnit, "NRestarts=0")
	s.wantMember()

	s.restart()
	s.wantMember()
	s.Join(4)
	s.confirmed()
	s.wantMember()
	before := s.Show(slave.ChmpxUnit, "MainPID")
	s.Run(`kill -KILL "$1"`, before)
	machine.Until(s.TB, "another chmpx", func() bool {
		now := s.Show(slave.ChmpxUnit, "MainPID")
		return now != before && now != "0" && s.Answers()
	})
	s.wantMember()
	s.Run("systemctl enable --quiet k2hdkc-slave-agent")
	s.Boot()
	machine.Until(s.TB, "chmpx to run again", s.Answers)
	s.wantMember()
	s.Run("systemctl disable --quiet k2hdkc-slave-agent")
	s.Join(5)
	s.AwaitServers(5)
}

// asBefore has chmpx run as the packages before had it: as root, with all rights.
const asBefore = `
	mkdir -p /etc/systemd/system/chmpx.service.d
	cat >/etc/systemd/system/chmpx.service.d/99-before.conf <<-END
		[Service]
		User=root
		Group=root
		UMask=0022
		CapabilityBoundingSet=~
		PrivateUsers=no
		ExecStartPre=
	END
	systemctl daemon-reload`

const asNow = `rm /etc/systemd/system/chmpx.service.d/99-before.conf; systemctl daemon-reload`

func afterRoot(s *installed) {
	s.Run(asBefore)
	s.running()
	s.Run("systemctl stop k2hdkc-slave-agent; systemctl kill --signal=KILL chmpx; systemctl stop chmpx")
	// What the real one leaves besides.
	s.Run(`group=$(sed -n 's/^GROUP *= *//p' /etc/k2hdkc/slave.ini)
		touch "/dev/mqueue/$group.0123456789abcdef" && [ -e "$1"/*.chmpx ]`, slave.ChmpxMemory)
	s.Run(asNow)
	s.Run("systemctl start chmpx k2hdkc-slave-agent")
	s.confirmed()
	s.wantMember()
	if left := s.Run("find /dev/mqueue -type f -user root"); left != "" {
		s.TB.Errorf("root's queues are left: %s", left)
	}
	s.Wants(slave.ChmpxUnit, "NRestarts=0")
}

func rootStillRuns(s *installed) {
	s.Run(asBefore)
	s.running()
	chmpx := s.Life(slave.ChmpxUnit)
	s.Run(asNow) // as an upgrade does
	s.Run("systemctl restart k2hdkc-slave-agent")
	s.confirmed()
	s.Join(4)
	s.confirmed()
	s.sameChmpx(chmpx)
	s.restart()
	s.wantMember()
	s.Join(5)
	s.confirmed()
	s.Wants(slave.ChmpxUnit, "NRestarts=0")
}

func otherUserAndGroup(s *installed) {
	s.Run("groupadd --system apps")
	s.agentOptions("K2HDKC_SLAVE_CHMPX_USER=root", "K2HDKC_SLAVE_APP_GROUP=apps")
	s.running()
	if got, want := s.memory(), "2770 root:apps\n660 root:apps"; got != want {
		s.TB.Errorf("chmpx's memory is\n%s\nwant\n%s", got, want)
	}
	s.wantOpen("apps")
	s.Wants(slave.AgentUnit, "PrivateUsers=yes")
	// And back: nobody else is let in, and nothing of root's is in the way.
	s.Run(`systemctl kill --signal=KILL chmpx; systemctl stop chmpx; rm "$1"; systemctl daemon-reload; systemctl restart k2hdkc-slave-agent; systemctl start chmpx`, agentOptionsFile)
	s.confirmed()
	s.wantMember()
}

func rootsFile(s *installed) {
	s.Run(`printf 'mode = 0640\n' | sed -i '/^\[slave\]/r /dev/stdin' /etc/k2hdkc/slave-agent.ini; systemctl daemon-reload`)
	defer func() { s.Put(slave.ConfigFile, slave.Config) }()
	s.running()
	chmpx := s.Life(slave.ChmpxUnit)
	for n := 4; n < 7; n++ {
		s.Join(n)
		s.confirmed()
		if got := s.Run("stat -c '%a %U:%G' " + slave.INI); got != "640 root:k2hdkc" {
			s.TB.Errorf("slave.ini is %s", got)
		}
	}
	s.sameChmpx(chmpx)
}

// recipe is a block of packaging/README.md, by the name of the file that it begins with.
func recipe(tb testing.TB, file string) string {
	tb.Helper()
	text, err := os.ReadFile("../../packaging/README.md")
	if err != nil {
		tb.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "    # "+file)
	block, _, _ = strings.Cut(block, "\n\n")
	if !found || !strings.Contains(block, "[Service]") {
		tb.Fatalf("packaging/README.md has no %s", file)
	}
	_, block, _ = strings.Cut(block, "\n")
	return strings.ReplaceAll("\n"+block, "\n    ", "\n") + "\n"
}

// ownQueues does what packaging/README.md says about message queues.
func ownQueues(s *installed) {
	const (
		holder = "/etc/systemd/system/k2hdkc-queues.service"
		joins  = "/etc/systemd/system/chmpx.service.d/60-queues.conf"
		app    = "/etc/systemd/system/app.service"
	)
	s.Put(holder, recipe(s.TB, holder))
	s.Run("mount -o remount,bind,rw /proc/sys") // as on any host that is no container
	defer s.Run("mount -o remount,bind,ro /proc/sys")
	s.Put(joins, recipe(s.TB, joins))
	s.Put(app, recipe(s.TB, joins)+"User=app\nSupplementaryGroups=k2hdkc\nExecStart=sleep infinity\n")
	defer s.Run(`systemctl stop app k2hdkc-queues; rm -r "$1" "$2"; systemctl daemon-reload`, holder, app)
	s.Run("systemctl daemon-reload")
	s.running()
	s.Run("systemctl start app")
	inside := func(script string) string {
		s.TB.Helper()
		return s.Run(`exec nsenter --mount --ipc --target "$1" setpriv --reuid app --clear-groups sh -c "$2"`, s.Show("app.service", "MainPID"), script)
	}
	check := func() {
		s.TB.Helper()
		machine.Until(s.TB, "chmpx to run", s.Answers)
		namespace := s.Run(`readlink "/proc/$1/ns/ipc"`, s.Show(slave.ChmpxUnit, "MainPID"))
		if got := s.Run(`readlink "/proc/$1/ns/ipc"`, s.Show("app.service", "MainPID")); got != namespace {
			s.TB.Errorf("the application is in %s, chmpx in %s", got, namespace)
		}
		if got := s.Run("readlink /proc/self/ns/ipc"); got == namespace {
			s.TB.Error("everybody is in chmpx's namespace")
		}
		if got := inside("cat /proc/sys/fs/mqueue/msg_max"); got != "8193" {
			s.TB.Errorf("queues may have %s messages there", got)
		}
		if got := s.Run("ls /dev/mqueue"); got != "" {
			s.TB.Errorf("everybody sees the queues %s", got)
		}
		if _, real := fakechmpx.Installed(); real && !strings.Contains(inside("ls /dev/mqueue"), "orders") {
			s.TB.Error("the application does not see chmpx's queues")
		}
	}
	check()
	inside("touch /dev/mqueue/mine")
	s.restart()
	check()
	if got := inside("ls /dev/mqueue"); !strings.Contains(got, "mine") {
		s.TB.Errorf("after a restart of chmpx the application has the queues %q", got)
	}
	s.Join(4)
	s.confirmed()
}
