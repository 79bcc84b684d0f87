package service

import (
	"strings"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/realagent"
)

// agentOptions sets options of the agent, each NAME=value of its environment,
// for as long as the subtest lasts.
func (s *installed) agentOptions(settings ...string) {
	s.TB.Helper()
	s.Put(agentOptionsFile, "[Service]\nEnvironment="+strings.Join(settings, " ")+"\n")
	s.Run("systemctl daemon-reload")
}

// wantStarts checks how often chmpx has been started since the subtest began,
// by whomever.
func (s *installed) wantStarts(want int) {
	s.TB.Helper()
	said := s.Said(slave.ChmpxUnit)
	if n := strings.Count(said, "Started "); n != want {
		s.TB.Errorf("chmpx was started %d times, want %d:\n%s", n, want, said)
	}
}

func restartedForEachChange(s *installed) {
	s.agentOptions("K2HDKC_SLAVE_RELOAD=restart")
	s.running()
	seen := map[string]bool{s.Show(slave.ChmpxUnit, "InvocationID"): true}
	const changes = 3
	for i := range changes {
		s.Join(4 + i)
		s.confirmed()
		// Told by the rename alone, chmpx may run the file before its restart.
		machine.Until(s.TB, "chmpx to be restarted", func() bool {
			now := s.Shows(slave.ChmpxUnit, "ActiveState", "InvocationID")
			return now["ActiveState"] == "active" && !seen[now["InvocationID"]]
		})
		seen[s.Show(slave.ChmpxUnit, "InvocationID")] = true
		machine.Until(s.TB, "chmpx to be up again", s.Answers)
		s.WantServers(4 + i)
	}
	s.Run("systemctl stop k2hdkc-slave-agent") // it may be up to something
	if len(seen) != 1+changes {
		s.TB.Errorf("chmpx had %d invocations, want one and another for each of %d changes", len(seen), changes)
	}
	s.wantStarts(1 + changes)
	s.Wants(slave.ChmpxUnit, "ActiveState=active", "NRestarts=0")
	if said := s.Said(slave.ChmpxUnit); strings.Contains(said, "Reload") {
		s.TB.Errorf("the unit was reloaded, too:\n%s", said)
	}
}

// loseWatch makes the running chmpx lose its watch: its file is away until the
// kernel has one watch less for it, and then for several times as long as chmpx
// looks for a file to watch in its place, which is half a second.
func (s *installed) loseWatch() {
	s.TB.Helper()
	s.Run("systemctl stop k2hdkc-slave-agent") // which would put one there
	s.Run(`watches() { cat /proc/$pid/fdinfo/* 2>/dev/null | grep -c ^inotify || :; }
		pid=$2; before=$(watches)
		mv "$1" /root/away
		until [ "$(watches)" -lt "$before" ]; do sleep 0.1; done
		sleep 4
		mv /root/away "$1"
		kill -0 "$pid"`, slave.INI, s.Show(slave.ChmpxUnit, "MainPID"))
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// unconfirmed brings chmpx to where it does not take a change any more, and
// returns when the agent has put the file in place once more.
func (s *installed) unconfirmed(restart string) {
	s.TB.Helper()
	s.agentOptions("K2HDKC_SLAVE_CONFIRM=3s", "K2HDKC_SLAVE_RESTART_UNCONFIRMED="+restart)
	s.running()
	s.loseWatch()
	s.Join(4)
	s.await(realagent.Replaced, "servers:4")
	s.await(realagent.PutAgain)
}

func restartedWhenUnconfirmed(s *installed) {
	s.unconfirmed("yes")
	s.await("chmpx still did not load slave.ini; restarting it")
	s.confirmed()
	s.WantServers(4)
	s.wantStarts(2)

	// It has its watch again.
	s.Join(5)
	s.confirmed()
	s.wantStarts(2)
	s.Settled()
	s.Wants(slave.ChmpxUnit, "ActiveState=active", "NRestarts=0")
}

func leftAloneWhenUnconfirmed(s *installed) {
	s.unconfirmed("no")
	s.await(realagent.RestartIt)
	// What comes of the next change is no different.
	s.Join(5)
	s.await(realagent.Replaced, "servers:5")
	s.await(realagent.PutAgain)
	s.await(realagent.RestartIt)
	if _, servers := s.Revision(); servers != 3 {
		s.TB.Errorf("chmpx has %d servers: it has not lost its watch, so this proves nothing", servers)
	}
	s.wantStarts(1)

	s.Run("systemctl restart chmpx") // the operator reads the log
	s.await(realagent.Confirmed)
	s.WantServers(5)
}
