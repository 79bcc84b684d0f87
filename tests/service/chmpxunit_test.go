package service

import (
	"strconv"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/need"
)

func TestAgentAndChmpxUnderSystemd(t *testing.T) {
	s := newInstalled(t)
	s.test(t, "systemd finds nothing wrong with the units", func(s *installed) {
		r := s.Try("systemd-analyze verify --man=no --recursive-errors=yes chmpx.service k2hdkc-slave-agent.service")
		if r.Status != 0 || r.Stderr != "" {
			s.TB.Error(r)
		}
	})
	s.test(t, "an enabled chmpx waits for its first file and is started with it", waitsForFirstFile)
	s.test(t, "every one of many changes is confirmed by the same chmpx", everyChange)
	s.test(t, "reload = restart restarts chmpx once for each change", restartedForEachChange)
	s.test(t, "restart-unconfirmed = yes restarts a chmpx that has lost its watch", restartedWhenUnconfirmed)
	s.test(t, "restart-unconfirmed = no never does", leftAloneWhenUnconfirmed)
	s.test(t, "chmpx is restarted, and killed, under the agent", chmpxRestarted)
	s.test(t, "the machine reboots, without a file and without K2HR3", rebooted)
	s.test(t, "a file that nobody started chmpx on", fileWithoutStart)
	s.test(t, "a masked unit is left alone", maskedUnit)
	s.test(t, "a disabled unit is left alone", disabledUnit)
	s.test(t, "a unit that has hit its start limit is left alone", startLimitedUnit)
	s.test(t, "the bus dies during a reload", busRestarted)
	s.test(t, "a stop of chmpx while its reload is still waited for is no failure", stoppedDuringReload)
	s.test(t, "the agent is killed between the rename and the confirmation", agentKilled)
	s.test(t, "stop and restart of the agent leave chmpx alone", agentStopped)
	s.test(t, "the journal has the agent's messages by field", agentInJournal)
	s.test(t, "status tells nobody how all is", statusForNobody)
	s.test(t, "without the drop-in chmpx runs under its helper and follows the rename", withoutDropIn)
	s.test(t, "chmpx's unit does without the agent", chmpxUnitAlone)
}

func waitsForFirstFile(s *installed) {
	s.Run("systemctl start chmpx") // no failure
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive", "ConditionResult=no", "Result=success")
	s.Run("systemctl start k2hdkc-slave-agent")
	s.await("waiting for the first")
	s.Wants(slave.ChmpxUnit, "ActiveState=inactive")

	s.Join(1)
	s.await("starting chmpx's unit, which waited for its first slave.ini")
	e := s.confirmed()
	if revision, servers := s.Revision(); strconv.Itoa(revision) != e.Text("revision") || servers != 1 {
		s.TB.Errorf("chmpx runs revision %d with %d servers; the agent has confirmed %s", revision, servers, e.Text("revision"))
	}
	s.Wants(slave.ChmpxUnit, "ActiveState=active", "CanReload=yes", "NRestarts=0")
	if pid, main := s.Number("chmpx process id"), s.Show(slave.ChmpxUnit, "MainPID"); strconv.Itoa(pid) != main {
		s.TB.Errorf("chmpx is process %d, the unit's main process is %s", pid, main)
	}
	s.Run("systemctl reload chmpx")
}

// manyChanges is how many changes are made in a row.
func manyChanges() int {
	if need.Full() {
		return 200
	}
	return 30
}

func everyChange(s *installed) {
	s.running()
	before := s.Life(slave.ChmpxUnit)
	changes := manyChanges()
	for i := range changes {
		// Grow to eleven servers and shrink again.
		n := 4 + i%8
		if i%16 < 8 {
			s.Join(n)
		} else {
			s.Leave(n)
		}
		s.confirmed()
	}
	s.sameChmpx(before)
	s.WantServers(len(s.Cluster.Servers()))
	s.Settled()
	reloads := strings.Count(s.Said(slave.ChmpxUnit), "Reloaded ")
	if reloads == 0 || reloads > changes { // a job that is under way serves the next change, too
		s.TB.Errorf("the unit was reloaded %d times for %d changes", reloads, changes)
	}
	// Nobody else has restarted it either.
	s.wantStarts(1)
}
