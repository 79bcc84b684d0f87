package service

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/realagent"
)

func chmpxRestarted(s *installed) {
	s.running()
	old := s.Number("chmpx process id")
	s.Run("systemctl restart chmpx && systemctl reload chmpx") // which waits for it
	if now := s.Number("chmpx process id"); now == old {
		s.TB.Error("chmpx is the same process")
	}
	s.Join(4)
	s.confirmed()

	killed := s.Show(slave.ChmpxUnit, "MainPID")
	s.Run("systemctl kill --signal=KILL --kill-who=main chmpx")
	s.await(realagent.NoChmpx)
	s.await("chmpx runs", "revision:2", "servers:4")
	s.Wants(slave.ChmpxUnit, "ActiveState=active", "NRestarts=1")
	if s.Show(slave.ChmpxUnit, "MainPID") == killed {
		s.TB.Error("chmpx is the same process")
	}
	s.Join(5)
	s.confirmed()
	s.Wants(slave.ChmpxUnit, "NRestarts=1")
}

func rebooted(s *installed) {
	s.Run("systemctl enable k2hdkc-slave-agent")
	defer s.Run("systemctl disable k2hdkc-slave-agent")
	s.reboot() // which finds that no unit has failed
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive", "ConditionResult=no")
	s.Join(1, 2)
	s.confirmed()

	// K2HR3 is not needed to come up on the last good file.
	undo := s.K2HR3.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut})
	s.reboot()
	s.confirmed()
	s.WantServers(2)
	s.Wants(slave.ChmpxUnit, "ActiveState=active", "NRestarts=0")
	undo()
	s.Join(3)
	s.Run("systemctl reload k2hdkc-slave-agent") // it may be pausing
	s.await(realagent.Replaced, "servers:3")
	s.confirmed()
}

func (s *installed) reboot() {
	s.TB.Helper()
	s.Boot()
	s.await(realagent.Started)
}

// fileWithoutStart: whatever put the first file in place did not live to start
// chmpx.
func fileWithoutStart(s *installed) {
	s.Run("systemctl start chmpx")
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive", "ConditionResult=no")
	s.Join(1)
	s.Run("k2hdkc-slave-agent once --unit '' --confirm 0")
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// leftAlone starts the agent on a node whose chmpx it must not start, and
// expects it to say why; a later change must not start chmpx either.
func (s *installed) leftAlone(why string) {
	s.TB.Helper()
	const props = "ActiveState,SubState,Result,NRestarts,InvocationID,UnitFileState,ExecMainStartTimestampMonotonic"
	before := s.Run("systemctl show chmpx --property=" + props)
	s.Join(1)
	s.Run("systemctl start k2hdkc-slave-agent")
	s.await(realagent.Replaced)
	s.await(why)
	s.Join(2)
	s.await(realagent.Replaced)
	s.await(realagent.UnitDown)
	if after := s.Run("systemctl show chmpx --property=" + props); after != before {
		s.TB.Errorf("the unit was\n%s\nand is\n%s", before, after)
	}
}

func maskedUnit(s *installed) {
	s.Run("systemctl mask chmpx")
	s.leftAlone("the unit is masked")
}

func disabledUnit(s *installed) {
	s.Run("systemctl disable chmpx")
	s.leftAlone("the unit is disabled, not enabled")
}

func startLimitedUnit(s *installed) {
	s.override("[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestartSec=50ms\n")
	s.Run("echo '[GLOBAL]' >" + slave.INI) // nothing that chmpx starts on
	s.Run("systemctl start chmpx")
	machine.Until(s.TB, "the start limit to be hit", func() bool { return s.Show(slave.ChmpxUnit, "ActiveState") == "failed" })
	s.leftAlone("the unit has failed")
}

// override adds to chmpx's unit what an operator would.
func (s *installed) override(text string) {
	s.TB.Helper()
	s.Put("/etc/systemd/system/chmpx.service.d/90-operator.conf", text)
	s.Run("systemctl daemon-reload")
}

// reloading makes a change that chmpx takes only when the returned function is
// called, and returns while the unit's reload job waits for it.
func (s *installed) reloading(n int) (goOn func()) {
	s.TB.Helper()
	goOn = s.hold()
	s.Join(n)
	s.await(realagent.Replaced)
	machine.Until(s.TB, "the reload job to run", func() bool { return s.Show(slave.ChmpxUnit, "ActiveState") == "reloading" })
	return goOn
}

// hold keeps the file in place open, as a slow backup would. chmpx hears of its
// replacement only when the returned function is called.
func (s *installed) hold() (letGo func()) {
	s.TB.Helper()
	f, err := os.Open(s.Machine.HostPath(slave.INI))
	if err != nil {
		s.TB.Fatal(err)
	}
	letGo = func() { f.Close() }
	s.TB.Cleanup(letGo)
	return letGo
}

func busRestarted(s *installed) {
	s.running()
	before := s.Life(slave.ChmpxUnit)
	self := s.Show(slave.AgentUnit, "MainPID")
	goOn := s.reloading(4)
	bus := s.Show("dbus.service", "MainPID")
	s.Run("systemctl kill --signal=KILL dbus.service")
	machine.Until(s.TB, "the bus to be back", func() bool {
		now := s.Show("dbus.service", "MainPID")
		return now != bus && now != "0" && s.Try("busctl --quiet status org.freedesktop.systemd1").Status == 0
	})
	goOn()
	s.confirmed()

	s.Join(5)
	s.confirmed()
	s.Wants(slave.AgentUnit, "MainPID="+self, "NRestarts=0")
	s.sameChmpx(before)
	s.Settled()
	if n := strings.Count(s.Said(slave.ChmpxUnit), "Reloaded "); n != 2 {
		s.TB.Errorf("the unit was reloaded %d times, want 2", n)
	}
}

// stoppedDuringReload stops chmpx's unit while the program of its reload job waits:
// systemd ends that one by the same signal as chmpx.
func stoppedDuringReload(s *installed) {
	s.running()
	goOn := s.reloading(4)
	s.Run("systemctl stop k2hdkc-slave-agent")
	s.Run("systemctl stop chmpx")
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive", "SubState=dead", "Result=success", "ExecMainStatus=0")
	goOn()
	s.Run("systemctl start chmpx && systemctl reload chmpx")
	s.WantServers(4)
}

func agentKilled(s *installed) {
	s.running()
	before := s.Life(slave.ChmpxUnit)
	goOn := s.reloading(4)
	s.Run("systemctl kill --signal=KILL --kill-who=main k2hdkc-slave-agent")
	s.await(realagent.Started)
	goOn()
	s.confirmed()
	s.WantServers(4)
	s.Wants(slave.AgentUnit, "NRestarts=1")

	s.Join(5)
	s.confirmed()
	s.sameChmpx(before)
}

func agentStopped(s *installed) {
	s.running()
	before := s.Life(slave.ChmpxUnit)
	text := s.Run("cat " + slave.INI)
	for _, verb := range []string{"restart", "stop", "start", "reload"} {
		s.Run(`systemctl "$1" k2hdkc-slave-agent`, verb)
		if verb == "restart" || verb == "start" {
			s.confirmed()
		}
		s.sameChmpx(before)
		if now := s.Run("cat " + slave.INI); now != text {
			s.TB.Errorf("%s of the agent has changed the file:\n%s", verb, now)
		}
	}
	s.Wants(slave.AgentUnit, "Result=success", "ActiveState=active")
}

func agentInJournal(s *installed) {
	s.Run("mv /etc/systemd/system/k2hdkc-slave-agent.service.d /root/agent.d && systemctl daemon-reload")
	defer s.Run("mv /root/agent.d /etc/systemd/system/k2hdkc-slave-agent.service.d && systemctl daemon-reload")
	s.Join(1)
	s.Run("systemctl start k2hdkc-slave-agent")
	machine.Until(s.TB, "the agent to have confirmed revision 1 in the journal", func() bool {
		got := s.Log("K2HDKC_REVISION=1")
		return strings.Contains(got, realagent.Replaced) && strings.Contains(got, realagent.Confirmed)
	})
	s.Run("systemctl stop k2hdkc-slave-agent")
}

func withoutDropIn(s *installed) {
	// Hides the package's drop-in, as its own comment says. The sysctl of
	// upstream's unit needs what a container does not have.
	s.Run(`mkdir -p /etc/systemd/system/chmpx.service.d
		ln -s /dev/null "/etc/systemd/system/chmpx.service.d/$1"`, filepath.Base(slave.DropIn))
	s.override("[Service]\nExecStartPre=\n")
	s.Run("systemctl start chmpx")
	s.running()
	s.Wants(slave.ChmpxUnit, "CanReload=no", "ActiveState=active", "NRestarts=0")
	pid := s.Number("chmpx process id")
	if main := s.Show(slave.ChmpxUnit, "MainPID"); strconv.Itoa(pid) == main {
		s.TB.Fatal("chmpx is the unit's main process, this test wants a helper there")
	}
	for n := 4; n < 10; n++ {
		s.Join(n)
		s.confirmed()
	}
	if now := s.Number("chmpx process id"); now != pid {
		s.TB.Errorf("chmpx was process %d and is %d", pid, now)
	}
	if said := s.Said(slave.ChmpxUnit); strings.Contains(said, "Reload") {
		s.TB.Errorf("a unit without a reload job was reloaded:\n%s", said)
	}
	s.Run("systemctl stop k2hdkc-slave-agent chmpx")
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive", "Result=success")
}

// chmpxUnitAlone tests the drop-in without an agent.
func chmpxUnitAlone(s *installed) {
	s.running()
	s.Run("systemctl stop k2hdkc-slave-agent")
	good := s.Run("cat " + slave.INI)
	await := func(seconds int) machine.Result {
		s.TB.Helper()
		return s.Try(fmt.Sprintf("/usr/libexec/k2hdkc-slave-agent/await-chmpx %s %d", slave.INI, seconds))
	}
	if r := await(1); r.Status != 0 || r.Stderr != "" {
		s.TB.Errorf("await-chmpx on what chmpx runs: %v", r)
	}

	// A change that chmpx does not notice.
	letGo := s.hold()
	s.Put(slave.INI, strings.Replace(good, "FILEVERSION         = 1\n", "FILEVERSION         = 77\n", 1))
	if r := await(1); r.Status != 1 || !strings.Contains(r.Stderr, "chmpx runs version 1 after 1s") || !strings.Contains(r.Stderr, "version 77") {
		s.TB.Errorf("await-chmpx on what chmpx does not run: %v", r)
	}
	s.override("[Service]\nExecReload=\nExecReload=/usr/libexec/k2hdkc-slave-agent/await-chmpx " + slave.INI + " 1\n")
	pid := s.Show(slave.ChmpxUnit, "MainPID")
	if r := s.Try("systemctl reload chmpx"); r.Status == 0 {
		s.TB.Error("systemctl reload succeeds though chmpx does not run the file")
	}
	s.Wants(slave.ChmpxUnit, "ActiveState=active", "MainPID="+pid, "NRestarts=0")
	s.Run("systemctl restart chmpx && systemctl reload chmpx")
	if revision, _ := s.Revision(); revision != 77 {
		s.TB.Errorf("chmpx runs %d, want 77", revision)
	}
	letGo()

	// A file that ends chmpx, and a good one again.
	s.Put(slave.INI, "[GLOBAL]\nFILEVERSION = 78\n")
	machine.Until(s.TB, "chmpx to be tried again", func() bool { return s.Show(slave.ChmpxUnit, "NRestarts") != "0" })
	if r := await(1); r.Status != 1 {
		s.TB.Errorf("await-chmpx on a file that chmpx does not load: %v", r)
	}
	s.Put(slave.INI, good)
	machine.Until(s.TB, "chmpx to run the good file", func() bool {
		return s.Answers() && await(1).Status == 0
	})

	s.Run("systemctl stop chmpx")
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive", "Result=success", "ExecMainStatus=0")
	if said := s.Said(slave.ChmpxUnit); strings.Contains(said, "Killing") || strings.Contains(said, "timed out") {
		s.TB.Errorf("chmpx did not end by itself:\n%s", said)
	}
}
