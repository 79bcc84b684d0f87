package service

import (
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/realagent"
)

// The agent's unit as systemd sees it, with all that the packages bring.
func TestAgentAsAService(t *testing.T) {
	s := newInstalled(t)
	s.test(t, "systemctl status says what the agent does", statusSaysWhat)
	s.test(t, "an agent that hangs is told from one that works", hungAgent)
	s.test(t, "an agent that is stuck is restarted, and chmpx is not", stuckAgent)
	s.test(t, "an agent without a configuration waits for it", withoutConfiguration)
	s.test(t, "what the unit's environment asks for is granted at the next daemon-reload", widerRights)
	s.test(t, "a folder that comes after the agent restarts it, once", folderCameLate)
	s.test(t, "the journal explains each entry", journalExplains)
	s.test(t, "metrics are shown where the options want it", metricsInTheSandbox)
	s.test(t, "a bug report of root's has everything but the token", bugReportOfAHost)
}

// says waits for the unit's status text to begin and end like this.
func (s *installed) says(begin, end string) {
	s.TB.Helper()
	machine.Until(s.TB, "the status "+begin+"…"+end, func() bool {
		text := s.Show(slave.AgentUnit, "StatusText")
		return strings.HasPrefix(text, begin) && strings.HasSuffix(text, end)
	})
}

func statusSaysWhat(s *installed) {
	s.Run("systemctl start k2hdkc-slave-agent")
	s.says("waiting for the first server of orders/slave", "")
	s.Join(1, 2, 3)
	s.confirmed()
	s.says("revision 1 with 3 servers, run by chmpx since ", "; K2HR3 holds the request")
	if text := s.Run("systemctl status k2hdkc-slave-agent"); !strings.Contains(text, `Status: "revision 1 with 3 servers, run by chmpx since `) {
		s.TB.Error(text)
	}

	before := s.Show(slave.AgentUnit, "MainPID")
	s.Run("systemctl reload k2hdkc-slave-agent") // and it is over
	s.Wants(slave.AgentUnit, "ActiveState=active", "SubState=running", "MainPID="+before)
	s.Run(`sed -i 's/^role = .*/role = nonsense/' /etc/k2hdkc/slave-agent.ini; systemctl reload k2hdkc-slave-agent`)
	s.says("revision 1 with 3 servers, ", "; the configuration is wrong and the agent goes on with the previous one")
	s.Run(`printf '%s' "$1" >/etc/k2hdkc/slave-agent.ini; systemctl reload k2hdkc-slave-agent`, slave.Config)
	s.says("revision 1 with 3 servers, ", "; K2HR3 holds the request")
	s.Wants(slave.AgentUnit, "MainPID="+before, "NRestarts=0")
}

// hungAgent: an agent whose process is there and does nothing is told from one that works.
func hungAgent(s *installed) {
	s.running()
	state := func(want string) {
		s.TB.Helper()
		machine.Until(s.TB, want+" from status", func() bool {
			r := s.Try("runuser -u nobody -- k2hdkc-slave-agent status --json")
			return strings.Contains(r.Stdout, `"state": "`+want+`"`)
		})
	}
	state("running")
	s.Run("systemctl kill --kill-who=main -s STOP k2hdkc-slave-agent; touch -d '-1 hour' /run/k2hdkc-slave-agent/status.lock")
	state("hung")
	s.Run("systemctl kill --kill-who=main -s CONT k2hdkc-slave-agent; systemctl restart k2hdkc-slave-agent")
	state("running")
	s.Run("systemctl kill --kill-who=main -s KILL k2hdkc-slave-agent")
	s.Run("systemctl stop k2hdkc-slave-agent")
	state("stopped")
	if r := s.Try("runuser -u nobody -- k2hdkc-slave-agent status --json"); !strings.Contains(r.Stdout, `"revision": 1,`) {
		s.TB.Errorf("what it knew last is gone: %v", r)
	}
}

func stuckAgent(s *installed) {
	s.Run(`printf '[Service]\nWatchdogSec=3s\n' >"$1"; systemctl daemon-reload`, agentOptionsFile)
	s.running()
	chmpx := s.Show(slave.ChmpxUnit, "MainPID")
	agent := s.Show(slave.AgentUnit, "MainPID")
	// A request is being held; the signs of life come all the same.
	for range 5 {
		last := s.Show(slave.AgentUnit, "WatchdogTimestampMonotonic")
		machine.Until(s.TB, "another sign of life", func() bool { return s.Show(slave.AgentUnit, "WatchdogTimestampMonotonic") != last })
	}
	s.Wants(slave.AgentUnit, "MainPID="+agent, "NRestarts=0")

	s.Run(`kill -STOP "$1"`, agent)
	s.await(realagent.Started)
	s.confirmed()
	s.Wants(slave.AgentUnit, "NRestarts=1", "ActiveState=active")
	s.Wants(slave.ChmpxUnit, "MainPID="+chmpx, "NRestarts=0")
	s.Join(4)
	s.await(realagent.Replaced, "servers:4")
}

func withoutConfiguration(s *installed) {
	s.Run("mv /etc/k2hdkc/slave-agent.ini /root; systemctl start k2hdkc-slave-agent")
	defer s.Run("mv -f /root/slave-agent.ini /etc/k2hdkc || :")
	s.Wants(slave.AgentUnit, "ActiveState=active", "SubState=running")
	s.says("not configured: waiting for api-uri and role in /etc/k2hdkc/slave-agent.ini or /etc/antpickax", "")
	s.Run("systemctl reload k2hdkc-slave-agent")
	s.Join(1)
	s.Run("mv /root/slave-agent.ini /etc/k2hdkc")
	s.confirmed()
	s.Wants(slave.AgentUnit, "NRestarts=0")
}

// widerRights has the agent write in folders that its unit alone does not open.
func widerRights(s *installed) {
	s.Run("mkdir -p /srv/state /srv/token && cp /etc/k2hdkc/role-token /srv/token/t")
	s.agentOptions("K2HDKC_SLAVE_STATE_DIR=/srv/state", "K2HDKC_SLAVE_ROLE_TOKEN_FILE=/srv/token/t", "K2HDKC_SLAVE_FORGET_BOOTSTRAP_TOKEN=true")
	s.running()
	s.Run("[ -s /srv/state/state.json ]")
	machine.Until(s.TB, "the token to be deleted", func() bool { return s.Try("[ ! -e /srv/token/t ]").Status == 0 })
	s.Wants(slave.AgentUnit, "NRestarts=0", "PrivateUsers=yes")
}

func folderCameLate(s *installed) {
	for _, c := range []struct{ configuration, waits string }{
		{"", "not configured: waiting for api-uri and role"},
		{slave.Config, "waiting for the first server of orders/slave"},
	} {
		s.Put(slave.ConfigFile, c.configuration)
		s.Run(`systemctl stop k2hdkc-slave-agent; rm -rf "$1"; systemctl start k2hdkc-slave-agent`, slave.ChmpxMemory)
		s.says(c.waits, "")
		s.Run(`mkdir -m 777 "$1"`, slave.ChmpxMemory)
		s.await(realagent.LateFolder, slave.ChmpxMemory)
		machine.Until(s.TB, "the agent to be restarted", func() bool { return s.Show(slave.AgentUnit, "NRestarts") == "1" })
		s.says(c.waits, "")
	}
	s.Join(1)
	s.confirmed() // which takes the right to write there
	s.Run("systemctl restart k2hdkc-slave-agent")
	s.confirmed()
	s.Wants(slave.AgentUnit, "ActiveState=active", "NRestarts=0")
	if n := strings.Count(s.log.String(), realagent.LateFolder); n != 2 {
		s.TB.Errorf("restarted %d times for it, want once for each time it came", n)
	}
}
