package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k2hdkc-slave-agent/tests/k2hr3"
)

func chmpxRestarted(s *slave) {
	s.running()
	old := s.number("chmpx process id")
	s.run("systemctl restart chmpx && systemctl reload chmpx") // which waits for it
	if now := s.number("chmpx process id"); now == old {
		s.tb.Error("chmpx is the same process")
	}
	s.join(4)
	s.confirmed()

	killed := s.show(chmpxUnit, "MainPID")
	s.run("systemctl kill --signal=KILL --kill-who=main chmpx")
	s.await("chmpx does not run")
	s.await("chmpx runs", "revision:2", "servers:4")
	s.wants(chmpxUnit, "ActiveState=active", "NRestarts=1")
	if s.show(chmpxUnit, "MainPID") == killed {
		s.tb.Error("chmpx is the same process")
	}
	s.join(5)
	s.confirmed()
	s.wants(chmpxUnit, "NRestarts=1")
}

func rebooted(s *slave) {
	s.run("systemctl enable k2hdkc-slave-agent")
	defer s.run("systemctl disable k2hdkc-slave-agent")
	s.reboot() // which finds that no unit has failed
	s.wants(chmpxUnit, "ActiveState=inactive", "ConditionResult=no")
	s.join(1, 2)
	s.confirmed()

	// K2HR3 is not needed to come up on the last good file.
	undo := s.k2hr3.Fault(k2hr3.Fault{Name: k2hr3.Cut})
	s.reboot()
	s.confirmed()
	if _, servers := s.revision(); servers != 2 {
		s.tb.Errorf("chmpx has %d servers, want 2", servers)
	}
	s.wants(chmpxUnit, "ActiveState=active", "NRestarts=0")
	undo()
	s.join(3)
	s.run("systemctl reload k2hdkc-slave-agent") // it may be pausing
	s.await("slave.ini replaced", "servers:3")
	s.confirmed()
}

func (s *slave) reboot() {
	s.tb.Helper()
	if err := s.Reboot(deadline(s.tb)); err != nil {
		s.tb.Fatal(err)
	}
	s.await("started")
}

// fileWithoutStart: whatever put the first file in place did not live to start
// chmpx.
func fileWithoutStart(s *slave) {
	s.run("systemctl start chmpx")
	s.wants(chmpxUnit, "ActiveState=inactive", "ConditionResult=no")
	s.join(1)
	s.run("k2hdkc-slave-agent once --unit '' --confirm 0")
	s.run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// leftAlone starts the agent on a node whose chmpx it must not start, and
// expects it to say why; a later change must not start chmpx either.
func (s *slave) leftAlone(why string) {
	s.tb.Helper()
	const props = "ActiveState,SubState,Result,NRestarts,InvocationID,UnitFileState,ExecMainStartTimestampMonotonic"
	before := s.run("systemctl show chmpx --property=" + props)
	s.join(1)
	s.run("systemctl start k2hdkc-slave-agent")
	s.await("slave.ini replaced")
	s.await(why)
	s.join(2)
	s.await("slave.ini replaced")
	s.await("chmpx's unit is not running")
	if after := s.run("systemctl show chmpx --property=" + props); after != before {
		s.tb.Errorf("the unit was\n%s\nand is\n%s", before, after)
	}
}

func maskedUnit(s *slave) {
	s.run("systemctl mask chmpx")
	s.leftAlone("the unit is masked")
}

func disabledUnit(s *slave) {
	s.run("systemctl disable chmpx")
	s.leftAlone("the unit is disabled, not enabled")
}

func startLimitedUnit(s *slave) {
	s.override("[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestartSec=50ms\n")
	s.run("echo '[GLOBAL]' >" + slaveINI) // nothing that chmpx starts on
	s.run("systemctl start chmpx")
	until(s.tb, "the start limit to be hit", func() bool { return s.show(chmpxUnit, "ActiveState") == "failed" })
	s.leftAlone("the unit has failed")
}

// override adds to chmpx's unit what an operator would.
func (s *slave) override(text string) {
	s.tb.Helper()
	err := s.CopyIn(deadline(s.tb), "/etc/systemd/system/chmpx.service.d/90-operator.conf", 0o644, strings.NewReader(text))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.run("systemctl daemon-reload")
}

// reloading makes a change that chmpx takes only when the returned function is
// called, and returns while the unit's reload job waits for it.
func (s *slave) reloading(n int) (goOn func()) {
	s.tb.Helper()
	goOn = s.hold()
	s.join(n)
	s.await("slave.ini replaced")
	until(s.tb, "the reload job to run", func() bool { return s.show(chmpxUnit, "ActiveState") == "reloading" })
	return goOn
}

// hold keeps the file in place open, as a slow backup would. chmpx hears of its
// replacement only when the returned function is called.
func (s *slave) hold() (letGo func()) {
	s.tb.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/root%s", s.leader, slaveINI))
	if err != nil {
		s.tb.Fatal(err)
	}
	letGo = func() { f.Close() }
	s.tb.Cleanup(letGo)
	return letGo
}

func busRestarted(s *slave) {
	s.running()
	before := s.shows(chmpxUnit, "MainPID", "InvocationID")
	self := s.show(agentUnit, "MainPID")
	goOn := s.reloading(4)
	bus := s.show("dbus.service", "MainPID")
	s.run("systemctl kill --signal=KILL dbus.service")
	until(s.tb, "the bus to be back", func() bool {
		now := s.show("dbus.service", "MainPID")
		return now != bus && now != "0" && s.try("busctl --quiet status org.freedesktop.systemd1").Status == 0
	})
	goOn()
	s.confirmed()

	s.join(5)
	s.confirmed()
	s.wants(agentUnit, "MainPID="+self, "NRestarts=0")
	if now := s.shows(chmpxUnit, "MainPID", "InvocationID"); !sameProps(before, now) {
		s.tb.Errorf("chmpx was restarted: before %v, now %v", before, now)
	}
	s.settled()
	if n := strings.Count(s.said(chmpxUnit), "Reloaded "); n != 2 {
		s.tb.Errorf("the unit was reloaded %d times, want 2", n)
	}
}

func agentKilled(s *slave) {
	s.running()
	before := s.shows(chmpxUnit, "MainPID", "InvocationID")
	goOn := s.reloading(4)
	s.run("systemctl kill --signal=KILL --kill-who=main k2hdkc-slave-agent")
	s.await("started")
	goOn()
	s.confirmed()
	if _, servers := s.revision(); servers != 4 {
		s.tb.Errorf("chmpx has %d servers, want 4", servers)
	}
	s.wants(agentUnit, "NRestarts=1")

	s.join(5)
	s.confirmed()
	if now := s.shows(chmpxUnit, "MainPID", "InvocationID"); !sameProps(before, now) {
		s.tb.Errorf("chmpx was restarted: before %v, now %v", before, now)
	}
}

func agentStopped(s *slave) {
	s.running()
	before := s.shows(chmpxUnit, "MainPID", "InvocationID", "NRestarts")
	text := s.run("cat " + slaveINI)
	for _, verb := range []string{"restart", "stop", "start", "reload"} {
		s.run(`systemctl "$1" k2hdkc-slave-agent`, verb)
		if verb == "restart" || verb == "start" {
			s.confirmed()
		}
		if now := s.shows(chmpxUnit, "MainPID", "InvocationID", "NRestarts"); !sameProps(before, now) {
			s.tb.Errorf("%s of the agent: chmpx was %v and is %v", verb, before, now)
		}
		if now := s.run("cat " + slaveINI); now != text {
			s.tb.Errorf("%s of the agent has changed the file:\n%s", verb, now)
		}
	}
	s.wants(agentUnit, "Result=success", "ActiveState=active")
}

func agentInJournal(s *slave) {
	s.run("mv /etc/systemd/system/k2hdkc-slave-agent.service.d /root/agent.d && systemctl daemon-reload")
	defer s.run("mv /root/agent.d /etc/systemd/system/k2hdkc-slave-agent.service.d && systemctl daemon-reload")
	s.join(1)
	s.run("systemctl start k2hdkc-slave-agent")
	until(s.tb, "the agent to have confirmed revision 1 in the journal", func() bool {
		got := s.run(`journalctl --quiet --unit=k2hdkc-slave-agent --since="$1" K2HDKC_REVISION=1 --output=cat`, s.begin)
		return strings.Contains(got, "slave.ini replaced") && strings.Contains(got, "chmpx runs the file in place")
	})
	s.run("systemctl stop k2hdkc-slave-agent")
}

func withoutDropIn(s *slave) {
	// Hides the package's drop-in, as its own comment says. The sysctl of
	// upstream's unit needs what a container does not have.
	s.run(`mkdir -p /etc/systemd/system/chmpx.service.d
		ln -s /dev/null "/etc/systemd/system/chmpx.service.d/$1"`, filepath.Base(dropIn))
	s.override("[Service]\nExecStartPre=\n")
	s.run("systemctl start chmpx")
	s.running()
	s.wants(chmpxUnit, "CanReload=no", "ActiveState=active", "NRestarts=0")
	pid := s.number("chmpx process id")
	if main := s.show(chmpxUnit, "MainPID"); strconv.Itoa(pid) == main {
		s.tb.Fatal("chmpx is the unit's main process, this test wants a helper there")
	}
	for n := 4; n < 10; n++ {
		s.join(n)
		s.confirmed()
	}
	if now := s.number("chmpx process id"); now != pid {
		s.tb.Errorf("chmpx was process %d and is %d", pid, now)
	}
	if said := s.said(chmpxUnit); strings.Contains(said, "Reload") {
		s.tb.Errorf("a unit without a reload job was reloaded:\n%s", said)
	}
	s.run("systemctl stop k2hdkc-slave-agent chmpx")
	s.wants(chmpxUnit, "ActiveState=inactive", "Result=success")
}

// chmpxUnitAlone tests the drop-in without an agent.
func chmpxUnitAlone(s *slave) {
	s.running()
	s.run("systemctl stop k2hdkc-slave-agent")
	good := s.run("cat " + slaveINI)
	await := func(seconds int) Result {
		s.tb.Helper()
		return s.try(fmt.Sprintf("/usr/libexec/k2hdkc-slave-agent/await-chmpx %s %d", slaveINI, seconds))
	}
	put := func(text string) {
		s.tb.Helper()
		if err := s.CopyIn(deadline(s.tb), slaveINI, 0o644, strings.NewReader(text)); err != nil {
			s.tb.Fatal(err)
		}
	}
	if r := await(1); r.Status != 0 || r.Stderr != "" {
		s.tb.Errorf("await-chmpx on what chmpx runs: %v", r)
	}

	// A change that chmpx does not notice.
	letGo := s.hold()
	put(strings.Replace(good, "FILEVERSION         = 1\n", "FILEVERSION         = 77\n", 1))
	if r := await(1); r.Status != 1 || !strings.Contains(r.Stderr, "chmpx runs version 1 after 1 s") || !strings.Contains(r.Stderr, "version 77") {
		s.tb.Errorf("await-chmpx on what chmpx does not run: %v", r)
	}
	s.override("[Service]\nExecReload=\nExecReload=/usr/libexec/k2hdkc-slave-agent/await-chmpx " + slaveINI + " 1\n")
	pid := s.show(chmpxUnit, "MainPID")
	if r := s.try("systemctl reload chmpx"); r.Status == 0 {
		s.tb.Error("systemctl reload succeeds though chmpx does not run the file")
	}
	s.wants(chmpxUnit, "ActiveState=active", "MainPID="+pid, "NRestarts=0")
	s.run("systemctl restart chmpx && systemctl reload chmpx")
	if revision, _ := s.revision(); revision != 77 {
		s.tb.Errorf("chmpx runs %d, want 77", revision)
	}
	letGo()

	// A file that ends chmpx, and a good one again.
	put("[GLOBAL]\nFILEVERSION = 78\n")
	until(s.tb, "chmpx to be tried again", func() bool { return s.show(chmpxUnit, "NRestarts") != "0" })
	if r := await(1); r.Status != 1 {
		s.tb.Errorf("await-chmpx on a file that chmpx does not load: %v", r)
	}
	put(good)
	until(s.tb, "chmpx to run the good file", func() bool {
		return s.try("chmpxstatus -conf "+slaveINI).Status == 0 && await(1).Status == 0
	})

	start := time.Now()
	s.run("systemctl stop chmpx")
	s.wants(chmpxUnit, "ActiveState=inactive", "Result=success", "ExecMainStatus=0")
	if took := time.Since(start); took > 10*time.Second {
		s.tb.Errorf("the stop took %v: chmpx was killed", took)
	}
	if said := s.said(chmpxUnit); strings.Contains(said, "Killing") || strings.Contains(said, "timed out") {
		s.tb.Errorf("chmpx did not end by itself:\n%s", said)
	}
}
