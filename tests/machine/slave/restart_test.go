package slave

import (
	"strings"

	"k2hdkc-slave-agent/tests/machine"
)

// agentOptions sets options of the agent, each NAME=value of its environment,
// for as long as the subtest lasts.
func (s *slave) agentOptions(settings ...string) {
	s.TB.Helper()
	text := "[Service]\nEnvironment=" + strings.Join(settings, " ") + "\n"
	if err := s.CopyIn(machine.Deadline(s.TB), agentOptionsFile, 0o644, strings.NewReader(text)); err != nil {
		s.TB.Fatal(err)
	}
	s.Run("systemctl daemon-reload")
}

// wantStarts checks how often chmpx has been started since the subtest began,
// by whomever.
func (s *slave) wantStarts(want int) {
	s.TB.Helper()
	said := s.Said(ChmpxUnit)
	if n := strings.Count(said, "Started "); n != want {
		s.TB.Errorf("chmpx was started %d times, want %d:\n%s", n, want, said)
	}
}

func restartedForEachChange(s *slave) {
	s.agentOptions("K2HDKC_SLAVE_RELOAD=restart")
	s.running()
	seen := map[string]bool{s.Show(ChmpxUnit, "InvocationID"): true}
	const changes = 3
	for i := range changes {
		s.Join(4 + i)
		s.confirmed()
		// Told by the rename alone, chmpx may run the file before its restart.
		machine.Until(s.TB, "chmpx to be restarted", func() bool {
			now := s.Shows(ChmpxUnit, "ActiveState", "InvocationID")
			return now["ActiveState"] == "active" && !seen[now["InvocationID"]]
		})
		seen[s.Show(ChmpxUnit, "InvocationID")] = true
		machine.Until(s.TB, "chmpx to be up again", func() bool { return s.Try("chmpxstatus -conf "+INI).Status == 0 })
		if _, servers := s.Revision(); servers != 4+i {
			s.TB.Errorf("chmpx has %d servers, want %d", servers, 4+i)
		}
	}
	s.Run("systemctl stop k2hdkc-slave-agent") // it may be up to something
	if len(seen) != 1+changes {
		s.TB.Errorf("chmpx had %d invocations, want one and another for each of %d changes", len(seen), changes)
	}
	s.wantStarts(1 + changes)
	s.Wants(ChmpxUnit, "ActiveState=active", "NRestarts=0")
	if said := s.Said(ChmpxUnit); strings.Contains(said, "Reload") {
		s.TB.Errorf("the unit was reloaded, too:\n%s", said)
	}
}

// loseWatch makes the running chmpx lose its watch: its file is away for longer
// than it looks for one.
func (s *slave) loseWatch() {
	s.TB.Helper()
	s.Run("systemctl stop k2hdkc-slave-agent") // which would put one there
	s.Run(`mv "$1" /root/away && sleep 2 && mv /root/away "$1"`, INI)
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// unconfirmed brings chmpx to where it does not take a change any more, and
// returns when the agent has put the file in place once more.
func (s *slave) unconfirmed(restart string) {
	s.TB.Helper()
	s.agentOptions("K2HDKC_SLAVE_CONFIRM=3s", "K2HDKC_SLAVE_RESTART_UNCONFIRMED="+restart)
	s.running()
	s.loseWatch()
	s.Join(4)
	s.await("slave.ini replaced", "servers:4")
	s.await("it is put in place once more")
}

func restartedWhenUnconfirmed(s *slave) {
	s.unconfirmed("yes")
	s.await("chmpx does not take the file and is restarted")
	s.confirmed()
	if _, servers := s.Revision(); servers != 4 {
		s.TB.Errorf("chmpx has %d servers, want 4", servers)
	}
	s.wantStarts(2)

	// It has its watch again.
	s.Join(5)
	s.confirmed()
	s.wantStarts(2)
	s.Settled()
	s.Wants(ChmpxUnit, "ActiveState=active", "NRestarts=0")
}

func leftAloneWhenUnconfirmed(s *slave) {
	s.unconfirmed("no")
	s.await("a restart of chmpx helps")
	// What comes of the next change is no different.
	s.Join(5)
	s.await("slave.ini replaced", "servers:5")
	s.await("it is put in place once more")
	s.await("a restart of chmpx helps")
	if _, servers := s.Revision(); servers != 3 {
		s.TB.Errorf("chmpx has %d servers: it has not lost its watch, so this proves nothing", servers)
	}
	s.wantStarts(1)

	s.Run("systemctl restart chmpx") // the operator reads the log
	s.await("chmpx runs the file in place")
	if _, servers := s.Revision(); servers != 5 {
		s.TB.Errorf("chmpx has %d servers, want 5", servers)
	}
}
