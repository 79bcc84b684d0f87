package machine

import "strings"

// agentOptions sets options of the agent, each NAME=value of its environment,
// for as long as the subtest lasts.
func (s *slave) agentOptions(settings ...string) {
	s.tb.Helper()
	text := "[Service]\nEnvironment=" + strings.Join(settings, " ") + "\n"
	if err := s.CopyIn(deadline(s.tb), agentOptionsFile, 0o644, strings.NewReader(text)); err != nil {
		s.tb.Fatal(err)
	}
	s.run("systemctl daemon-reload")
}

// wantStarts checks how often chmpx has been started since the subtest began,
// by whomever.
func (s *slave) wantStarts(want int) {
	s.tb.Helper()
	said := s.said(chmpxUnit)
	if n := strings.Count(said, "Started "); n != want {
		s.tb.Errorf("chmpx was started %d times, want %d:\n%s", n, want, said)
	}
}

func restartedForEachChange(s *slave) {
	s.agentOptions("K2HDKC_SLAVE_RELOAD=restart")
	s.running()
	seen := map[string]bool{s.show(chmpxUnit, "InvocationID"): true}
	const changes = 3
	for i := range changes {
		s.join(4 + i)
		s.confirmed()
		// Told by the rename alone, chmpx may run the file before its restart.
		until(s.tb, "chmpx to be restarted", func() bool {
			now := s.shows(chmpxUnit, "ActiveState", "InvocationID")
			return now["ActiveState"] == "active" && !seen[now["InvocationID"]]
		})
		seen[s.show(chmpxUnit, "InvocationID")] = true
		until(s.tb, "chmpx to be up again", func() bool { return s.try("chmpxstatus -conf "+slaveINI).Status == 0 })
		if _, servers := s.revision(); servers != 4+i {
			s.tb.Errorf("chmpx has %d servers, want %d", servers, 4+i)
		}
	}
	s.run("systemctl stop k2hdkc-slave-agent") // it may be up to something
	if len(seen) != 1+changes {
		s.tb.Errorf("chmpx had %d invocations, want one and another for each of %d changes", len(seen), changes)
	}
	s.wantStarts(1 + changes)
	s.wants(chmpxUnit, "ActiveState=active", "NRestarts=0")
	if said := s.said(chmpxUnit); strings.Contains(said, "Reload") {
		s.tb.Errorf("the unit was reloaded, too:\n%s", said)
	}
}

// loseWatch makes the running chmpx lose its watch: its file is away for longer
// than it looks for one.
func (s *slave) loseWatch() {
	s.tb.Helper()
	s.run("systemctl stop k2hdkc-slave-agent") // which would put one there
	s.run(`mv "$1" /root/away && sleep 2 && mv /root/away "$1"`, slaveINI)
	s.run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// unconfirmed brings chmpx to where it does not take a change any more, and
// returns when the agent has put the file in place once more.
func (s *slave) unconfirmed(restart string) {
	s.tb.Helper()
	s.agentOptions("K2HDKC_SLAVE_CONFIRM=3s", "K2HDKC_SLAVE_RESTART_UNCONFIRMED="+restart)
	s.running()
	s.loseWatch()
	s.join(4)
	s.await("slave.ini replaced", "servers:4")
	s.await("it is put in place once more")
}

func restartedWhenUnconfirmed(s *slave) {
	s.unconfirmed("yes")
	s.await("chmpx does not take the file and is restarted")
	s.confirmed()
	if _, servers := s.revision(); servers != 4 {
		s.tb.Errorf("chmpx has %d servers, want 4", servers)
	}
	s.wantStarts(2)

	// It has its watch again.
	s.join(5)
	s.confirmed()
	s.wantStarts(2)
	s.settled()
	s.wants(chmpxUnit, "ActiveState=active", "NRestarts=0")
}

func leftAloneWhenUnconfirmed(s *slave) {
	s.unconfirmed("no")
	s.await("a restart of chmpx helps")
	// What comes of the next change is no different.
	s.join(5)
	s.await("slave.ini replaced", "servers:5")
	s.await("it is put in place once more")
	s.await("a restart of chmpx helps")
	if _, servers := s.revision(); servers != 3 {
		s.tb.Errorf("chmpx has %d servers: it has not lost its watch, so this proves nothing", servers)
	}
	s.wantStarts(1)

	s.run("systemctl restart chmpx") // the operator reads the log
	s.await("chmpx runs the file in place")
	if _, servers := s.revision(); servers != 5 {
		s.tb.Errorf("chmpx has %d servers, want 5", servers)
	}
}
