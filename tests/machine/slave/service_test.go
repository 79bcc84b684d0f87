package slave

import (
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
)

// The agent's unit as systemd sees it, with all that the packages bring.
func TestAgentAsAService(t *testing.T) {
	s := newSlave(t)
	s.test(t, "systemctl status says what the agent does", statusSaysWhat)
	s.test(t, "an agent that is stuck is started anew, and chmpx is not", stuckAgent)
	s.test(t, "an agent without a configuration waits for it", withoutConfiguration)
	s.test(t, "what the unit's environment asks for is granted at the next daemon-reload", widerRights)
	s.test(t, "a folder that comes after the agent has it started anew, once", folderCameLate)
}

// says waits for the unit's status text to begin and end like this.
func (s *slave) says(begin, end string) {
	s.TB.Helper()
	machine.Until(s.TB, "the status "+begin+"…"+end, func() bool {
		text := s.Show(AgentUnit, "StatusText")
		return strings.HasPrefix(text, begin) && strings.HasSuffix(text, end)
	})
}

func statusSaysWhat(s *slave) {
	s.Run("systemctl start k2hdkc-slave-agent")
	s.says("waiting for the first server of orders/slave", "")
	s.Join(1, 2, 3)
	s.confirmed()
	s.says("revision 1 with 3 servers, run by chmpx since ", "; K2HR3 holds the request")
	if text := s.Run("systemctl status k2hdkc-slave-agent"); !strings.Contains(text, `Status: "revision 1 with 3 servers, run by chmpx since `) {
		s.TB.Error(text)
	}

	before := s.Show(AgentUnit, "MainPID")
	s.Run("systemctl reload k2hdkc-slave-agent") // and it is over
	s.Wants(AgentUnit, "ActiveState=active", "SubState=running", "MainPID="+before)
	s.Run(`sed -i 's/^role = .*/role = nonsense/' /etc/k2hdkc/slave-agent.ini; systemctl reload k2hdkc-slave-agent`)
	s.says("revision 1 with 3 servers, ", "; the configuration is wrong and the agent goes on with the previous one")
	s.Run(`printf '%s' "$1" >/etc/k2hdkc/slave-agent.ini; systemctl reload k2hdkc-slave-agent`, Config)
	s.says("revision 1 with 3 servers, ", "; K2HR3 holds the request")
	s.Wants(AgentUnit, "MainPID="+before, "NRestarts=0")
}

func stuckAgent(s *slave) {
	s.Run(`printf '[Service]\nWatchdogSec=3s\n' >"$1"; systemctl daemon-reload`, agentOptionsFile)
	s.running()
	chmpx := s.Show(ChmpxUnit, "MainPID")
	agent := s.Show(AgentUnit, "MainPID")
	// A request is being held; the signs of life come all the same.
	for range 5 {
		last := s.Show(AgentUnit, "WatchdogTimestampMonotonic")
		machine.Until(s.TB, "another sign of life", func() bool { return s.Show(AgentUnit, "WatchdogTimestampMonotonic") != last })
	}
	s.Wants(AgentUnit, "MainPID="+agent, "NRestarts=0")

	s.Run(`kill -STOP "$1"`, agent)
	s.await("started")
	s.confirmed()
	s.Wants(AgentUnit, "NRestarts=1", "ActiveState=active")
	s.Wants(ChmpxUnit, "MainPID="+chmpx, "NRestarts=0")
	s.Join(4)
	s.await("slave.ini replaced", "servers:4")
}

func withoutConfiguration(s *slave) {
	s.Run("mv /etc/k2hdkc/slave-agent.ini /root; systemctl start k2hdkc-slave-agent")
	defer s.Run("mv -f /root/slave-agent.ini /etc/k2hdkc || :")
	s.Wants(AgentUnit, "ActiveState=active", "SubState=running")
	s.says("not configured: waiting for api-uri and role in /etc/k2hdkc/slave-agent.ini or /etc/antpickax", "")
	s.Run("systemctl reload k2hdkc-slave-agent")
	s.Join(1)
	s.Run("mv /root/slave-agent.ini /etc/k2hdkc")
	s.confirmed()
	s.Wants(AgentUnit, "NRestarts=0")
}

// widerRights has the agent write in folders that its unit alone does not open.
func widerRights(s *slave) {
	s.Run("mkdir -p /srv/state /srv/token && cp /etc/k2hdkc/role-token /srv/token/t")
	s.agentOptions("K2HDKC_SLAVE_STATE_DIR=/srv/state", "K2HDKC_SLAVE_ROLE_TOKEN_FILE=/srv/token/t", "K2HDKC_SLAVE_FORGET_BOOTSTRAP_TOKEN=true")
	s.running()
	s.Run("[ -s /srv/state/state.json ]")
	machine.Until(s.TB, "the token to be deleted", func() bool { return s.Try("[ ! -e /srv/token/t ]").Status == 0 })
	s.Wants(AgentUnit, "NRestarts=0", "PrivateUsers=yes")
}

func folderCameLate(s *slave) {
	s.Run(`rmdir "$1"; systemctl start k2hdkc-slave-agent`, ChmpxMemory)
	s.says("waiting for the first server of orders/slave", "")
	s.Run(`mkdir -m 777 "$1"`, ChmpxMemory)
	s.await("a folder has come after the agent started", ChmpxMemory)
	s.await("started")
	s.Join(1)
	s.confirmed() // which takes the right to write there
	s.Run("systemctl restart k2hdkc-slave-agent")
	s.confirmed()
	s.Wants(AgentUnit, "ActiveState=active")
	if n := strings.Count(s.log.since(0), "a folder has come after"); n != 1 {
		s.TB.Errorf("started anew %d times for it", n)
	}
}
