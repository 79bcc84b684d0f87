package service

import (
	"encoding/json"
	"strings"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/machine"
)

// statusForNobody: a user without rights is told how all is, with an agent and without one, though
// it may not read the configuration. A bus that is gone holds nobody up.
func statusForNobody(s *installed) {
	s.Run("chmod 600 /etc/k2hdkc/slave-agent.ini")
	s.running()
	look := func(args string) machine.Result {
		s.TB.Helper()
		return s.Try("runuser -u nobody -- k2hdkc-slave-agent status " + args)
	}
	document := func() (d status.Document) {
		s.TB.Helper()
		if r := look("--json"); json.Unmarshal([]byte(r.Stdout), &d) != nil {
			s.TB.Fatal(r)
		}
		return d
	}
	machine.Until(s.TB, "a healthy agent", func() bool { return look("--brief").Status == 0 })
	if d := document(); d.Chmpx.UnitState != "active" || !d.Chmpx.Running || len(d.Servers) != 3 || d.Agent.State != status.Running {
		s.TB.Errorf("%+v", d)
	}
	if r := look("--ready"); r.Status != 1 || r.Stdout != "" { // no server is up
		s.TB.Error(r)
	}
	s.TB.Log(s.Run(`runuser -u nobody -- sh -euc '
		time=$(date +%s%N)
		for i in $(seq 50); do k2hdkc-slave-agent status >/dev/null; done
		echo "50 looks by nobody: $((($(date +%s%N) - time) / 1000000)) ms"'`))

	s.Run("systemctl stop dbus.socket dbus; sleep 0.1")
	if r := look(""); r.Status != 0 || !strings.HasPrefix(r.Stdout, "healthy since ") {
		s.TB.Errorf("without a bus: %v", r)
	}
	s.Run("systemctl start dbus.socket dbus; systemctl stop k2hdkc-slave-agent")
	if r := look(""); r.Status != 3 || !strings.HasPrefix(r.Stdout, "failed: the agent does not run") {
		s.TB.Errorf("after the stop: %v", r)
	}
	if d := document(); d.Chmpx.UnitState != "active" || d.Agent.State != status.Stopped || !d.File.Present {
		s.TB.Errorf("after the stop: %+v", d)
	}
	if r := look("--ready"); r.Status != 0 {
		s.TB.Errorf("after the stop: %v", r)
	}
}
