package slave

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
)

func chmpxRestarted(s *slave) {
	s.running()
	old := s.Number("chmpx process id")
	s.Run("systemctl restart chmpx && systemctl reload chmpx") // which waits for it
	if now := s.Number("chmpx process id"); now == old {
		s.TB.Error("chmpx is the same process")
	}
	s.Join(4)
	s.confirmed()

	killed := s.Show(ChmpxUnit, "MainPID")
	s.Run("systemctl kill --signal=KILL --kill-who=main chmpx")
	s.await("chmpx does not run")
	s.await("chmpx runs", "revision:2", "servers:4")
	s.Wants(ChmpxUnit, "ActiveState=active", "NRestarts=1")
	if s.Show(ChmpxUnit, "MainPID") == killed {
		s.TB.Error("chmpx is the same process")
	}
	s.Join(5)
	s.confirmed()
	s.Wants(ChmpxUnit, "NRestarts=1")
}

func rebooted(s *slave) {
	s.Run("systemctl enable k2hdkc-slave-agent")
	defer s.Run("systemctl disable k2hdkc-slave-agent")
	s.reboot() // which finds that no unit has failed
	s.Wants(ChmpxUnit, "ActiveState=inactive", "ConditionResult=no")
	s.Join(1, 2)
	s.confirmed()

	// K2HR3 is not needed to come up on the last good file.
	undo := s.K2HR3.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut})
	s.reboot()
	s.confirmed()
	if _, servers := s.Revision(); servers != 2 {
		s.TB.Errorf("chmpx has %d servers, want 2", servers)
	}
	s.Wants(ChmpxUnit, "ActiveState=active", "NRestarts=0")
	undo()
	s.Join(3)
	s.Run("systemctl reload k2hdkc-slave-agent") // it may be pausing
	s.await("slave.ini replaced", "servers:3")
	s.confirmed()
}

func (s *slave) reboot() {
	s.TB.Helper()
	if err := s.Reboot(machine.Deadline(s.TB)); err != nil {
		s.TB.Fatal(err)
	}
	s.await("started")
}

// fileWithoutStart: whatever put the first file in place did not live to start
// chmpx.
func fileWithoutStart(s *slave) {
	s.Run("systemctl start chmpx")
	s.Wants(ChmpxUnit, "ActiveState=inactive", "ConditionResult=no")
	s.Join(1)
	s.Run("k2hdkc-slave-agent once --unit '' --confirm 0")
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// leftAlone starts the agent on a node whose chmpx it must not start, and
// expects it to say why; a later change must not start chmpx either.
func (s *slave) leftAlone(why string) {
	s.TB.Helper()
	const props = "ActiveState,SubState,Result,NRestarts,InvocationID,UnitFileState,ExecMainStartTimestampMonotonic"
	before := s.Run("systemctl show chmpx --property=" + props)
	s.Join(1)
	s.Run("systemctl start k2hdkc-slave-agent")
	s.await("slave.ini replaced")
	s.await(why)
	s.Join(2)
	s.await("slave.ini replaced")
	s.await("chmpx's unit is not running")
	if after := s.Run("systemctl show chmpx --property=" + props); after != before {
		s.TB.Errorf("the unit was\n%s\nand is\n%s", before, after)
	}
}

func maskedUnit(s *slave) {
	s.Run("systemctl mask chmpx")
	s.leftAlone("the unit is masked")
}

func disabledUnit(s *slave) {
	s.Run("systemctl disable chmpx")
	s.leftAlone("the unit is disabled, not enabled")
}

func startLimitedUnit(s *slave) {
	s.override("[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestartSec=50ms\n")
	s.Run("echo '[GLOBAL]' >" + INI) // nothing that chmpx starts on
	s.Run("systemctl start chmpx")
	machine.Until(s.TB, "the start limit to be hit", func() bool { return s.Show(ChmpxUnit, "ActiveState") == "failed" })
	s.leftAlone("the unit has failed")
}

// override adds to chmpx's unit what an operator would.
func (s *slave) override(text string) {
	s.TB.Helper()
	err := s.CopyIn(machine.Deadline(s.TB), "/etc/systemd/system/chmpx.service.d/90-operator.conf", 0o644, strings.NewReader(text))
	if err != nil {
		s.TB.Fatal(err)
	}
	s.Run("systemctl daemon-reload")
}

// reloading makes a change that chmpx takes only when the returned function is
// called, and returns while the unit's reload job waits for it.
func (s *slave) reloading(n int) (goOn func()) {
	s.TB.Helper()
	goOn = s.hold()
	s.Join(n)
	s.await("slave.ini replaced")
	machine.Until(s.TB, "the reload job to run", func() bool { return s.Show(ChmpxUnit, "ActiveState") == "reloading" })
	return goOn
}

// hold keeps the file in place open, as a slow backup would. chmpx hears of its
// replacement only when the returned function is called.
func (s *slave) hold() (letGo func()) {
	s.TB.Helper()
	f, err := os.Open(s.HostPath(INI))
	if err != nil {
		s.TB.Fatal(err)
	}
	letGo = func() { f.Close() }
	s.TB.Cleanup(letGo)
	return letGo
}

func busRestarted(s *slave) {
	s.running()
	before := s.Shows(ChmpxUnit, "MainPID", "InvocationID")
	self := s.Show(AgentUnit, "MainPID")
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
	s.Wants(AgentUnit, "MainPID="+self, "NRestarts=0")
	if now := s.Shows(ChmpxUnit, "MainPID", "InvocationID"); !sameProps(before, now) {
		s.TB.Errorf("chmpx was restarted: before %v, now %v", before, now)
	}
	s.Settled()
	if n := strings.Count(s.Said(ChmpxUnit), "Reloaded "); n != 2 {
		s.TB.Errorf("the unit was reloaded %d times, want 2", n)
	}
}

// stoppedDuringReload stops chmpx's unit while the program of its reload job waits:
// systemd ends that one by the same signal as chmpx.
func stoppedDuringReload(s *slave) {
	s.running()
	goOn := s.reloading(4)
	s.Run("systemctl stop k2hdkc-slave-agent")
	s.Run("systemctl stop chmpx")
	s.Wants(ChmpxUnit, "ActiveState=inactive", "SubState=dead", "Result=success", "ExecMainStatus=0")
	goOn()
	s.Run("systemctl start chmpx && systemctl reload chmpx")
	if _, servers := s.Revision(); servers != 4 {
		s.TB.Errorf("chmpx has %d servers, want 4", servers)
	}
}

func agentKilled(s *slave) {
	s.running()
	before := s.Shows(ChmpxUnit, "MainPID", "InvocationID")
	goOn := s.reloading(4)
	s.Run("systemctl kill --signal=KILL --kill-who=main k2hdkc-slave-agent")
	s.await("started")
	goOn()
	s.confirmed()
	if _, servers := s.Revision(); servers != 4 {
		s.TB.Errorf("chmpx has %d servers, want 4", servers)
	}
	s.Wants(AgentUnit, "NRestarts=1")

	s.Join(5)
	s.confirmed()
	if now := s.Shows(ChmpxUnit, "MainPID", "InvocationID"); !sameProps(before, now) {
		s.TB.Errorf("chmpx was restarted: before %v, now %v", before, now)
	}
}

func agentStopped(s *slave) {
	s.running()
	before := s.Shows(ChmpxUnit, "MainPID", "InvocationID", "NRestarts")
	text := s.Run("cat " + INI)
	for _, verb := range []string{"restart", "stop", "start", "reload"} {
		s.Run(`systemctl "$1" k2hdkc-slave-agent`, verb)
		if verb == "restart" || verb == "start" {
			s.confirmed()
		}
		if now := s.Shows(ChmpxUnit, "MainPID", "InvocationID", "NRestarts"); !sameProps(before, now) {
			s.TB.Errorf("%s of the agent: chmpx was %v and is %v", verb, before, now)
		}
		if now := s.Run("cat " + INI); now != text {
			s.TB.Errorf("%s of the agent has changed the file:\n%s", verb, now)
		}
	}
	s.Wants(AgentUnit, "Result=success", "ActiveState=active")
}

func agentInJournal(s *slave) {
	s.Run("mv /etc/systemd/system/k2hdkc-slave-agent.service.d /root/agent.d && systemctl daemon-reload")
	defer s.Run("mv /root/agent.d /etc/systemd/system/k2hdkc-slave-agent.service.d && systemctl daemon-reload")
	s.Join(1)
	s.Run("systemctl start k2hdkc-slave-agent")
	machine.Until(s.TB, "the agent to have confirmed revision 1 in the journal", func() bool {
		got := s.Run(`journalctl --quiet --unit=k2hdkc-slave-agent --since="$1" K2HDKC_REVISION=1 --output=cat`, s.begin)
		return strings.Contains(got, "slave.ini replaced") && strings.Contains(got, "chmpx runs the file in place")
	})
	s.Run("systemctl stop k2hdkc-slave-agent")
}

func withoutDropIn(s *slave) {
	// Hides the package's drop-in, as its own comment says. The sysctl of
	// upstream's unit needs what a container does not have.
	s.Run(`mkdir -p /etc/systemd/system/chmpx.service.d
		ln -s /dev/null "/etc/systemd/system/chmpx.service.d/$1"`, filepath.Base(DropIn))
	s.override("[Service]\nExecStartPre=\n")
	s.Run("systemctl start chmpx")
	s.running()
	s.Wants(ChmpxUnit, "CanReload=no", "ActiveState=active", "NRestarts=0")
	pid := s.Number("chmpx process id")
	if main := s.Show(ChmpxUnit, "MainPID"); strconv.Itoa(pid) == main {
		s.TB.Fatal("chmpx is the unit's main process, this test wants a helper there")
	}
	for n := 4; n < 10; n++ {
		s.Join(n)
		s.confirmed()
	}
	if now := s.Number("chmpx process id"); now != pid {
		s.TB.Errorf("chmpx was process %d and is %d", pid, now)
	}
	if said := s.Said(ChmpxUnit); strings.Contains(said, "Reload") {
		s.TB.Errorf("a unit without a reload job was reloaded:\n%s", said)
	}
	s.Run("systemctl stop k2hdkc-slave-agent chmpx")
	s.Wants(ChmpxUnit, "ActiveState=inactive", "Result=success")
}

// chmpxUnitAlone tests the drop-in without an agent.
func chmpxUnitAlone(s *slave) {
	s.running()
	s.Run("systemctl stop k2hdkc-slave-agent")
	good := s.Run("cat " + INI)
	await := func(seconds int) machine.Result {
		s.TB.Helper()
		return s.Try(fmt.Sprintf("/usr/libexec/k2hdkc-slave-agent/await-chmpx %s %d", INI, seconds))
	}
	put := func(text string) {
		s.TB.Helper()
		if err := s.CopyIn(machine.Deadline(s.TB), INI, 0o644, strings.NewReader(text)); err != nil {
			s.TB.Fatal(err)
		}
	}
	if r := await(1); r.Status != 0 || r.Stderr != "" {
		s.TB.Errorf("await-chmpx on what chmpx runs: %v", r)
	}

	// A change that chmpx does not notice.
	letGo := s.hold()
	put(strings.Replace(good, "FILEVERSION         = 1\n", "FILEVERSION         = 77\n", 1))
	if r := await(1); r.Status != 1 || !strings.Contains(r.Stderr, "chmpx runs version 1 after 1s") || !strings.Contains(r.Stderr, "version 77") {
		s.TB.Errorf("await-chmpx on what chmpx does not run: %v", r)
	}
	s.override("[Service]\nExecReload=\nExecReload=/usr/libexec/k2hdkc-slave-agent/await-chmpx " + INI + " 1\n")
	pid := s.Show(ChmpxUnit, "MainPID")
	if r := s.Try("systemctl reload chmpx"); r.Status == 0 {
		s.TB.Error("systemctl reload succeeds though chmpx does not run the file")
	}
	s.Wants(ChmpxUnit, "ActiveState=active", "MainPID="+pid, "NRestarts=0")
	s.Run("systemctl restart chmpx && systemctl reload chmpx")
	if revision, _ := s.Revision(); revision != 77 {
		s.TB.Errorf("chmpx runs %d, want 77", revision)
	}
	letGo()

	// A file that ends chmpx, and a good one again.
	put("[GLOBAL]\nFILEVERSION = 78\n")
	machine.Until(s.TB, "chmpx to be tried again", func() bool { return s.Show(ChmpxUnit, "NRestarts") != "0" })
	if r := await(1); r.Status != 1 {
		s.TB.Errorf("await-chmpx on a file that chmpx does not load: %v", r)
	}
	put(good)
	machine.Until(s.TB, "chmpx to run the good file", func() bool {
		return s.Try("chmpxstatus -conf "+INI).Status == 0 && await(1).Status == 0
	})

	start := time.Now()
	s.Run("systemctl stop chmpx")
	s.Wants(ChmpxUnit, "ActiveState=inactive", "Result=success", "ExecMainStatus=0")
	if took := time.Since(start); took > 10*time.Second {
		s.TB.Errorf("the stop took %v: chmpx was killed", took)
	}
	if said := s.Said(ChmpxUnit); strings.Contains(said, "Killing") || strings.Contains(said, "timed out") {
		s.TB.Errorf("chmpx did not end by itself:\n%s", said)
	}
}
