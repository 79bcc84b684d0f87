package e2e

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/realagent"
)

// look is what can be seen of the agent.
func (h *host) look() status.Document {
	d, _ := status.Look(h.path("run"), time.Now())
	return d
}

func has(d status.Document, code string) bool {
	return slices.ContainsFunc(d.Conditions, func(c status.Condition) bool { return c.Code == code && c.Status == status.Active })
}

func TestStatusFileOfALife(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	h := newHost(t, s)
	if d := h.look(); d.Agent.State != status.Stopped {
		t.Errorf("before the first start: %+v", d.Agent)
	}
	d := h.start(s.args()...)
	d.says(realagent.Replaced, "")
	until(t, "the status of the first file", func() bool { return h.look().File.Revision == 1 })
	got := h.look()
	if got.Agent.State != status.Running || got.Agent.PID != d.PID() || got.Health != status.Healthy || len(got.Servers) != 2 ||
		len(got.Changes) != 1 || got.Changes[0].Words != "first file" || got.Identity.Role != s.SlaveRole() || got.Identity.CUK != hostCUK || got.K2HR3.API != s.uri {
		t.Errorf("running: %+v", got)
	}
	until(t, "the membership", func() bool { return h.look().Membership.State == "member" })

	must(t, d.Signal(syscall.SIGKILL))
	until(t, "the end of the killed agent", func() bool { return h.look().Agent.State == status.Stopped })
	if got := h.look(); got.File.Revision != 1 || !has(got, status.AgentStopped) {
		t.Errorf("killed: %+v", got)
	}

	again := h.start(s.args()...)
	until(t, "the next agent", func() bool { return h.look().Agent.PID == again.PID() })
	second := h.start(s.args("--output", h.path("out/other.ini"))...)
	second.says("another agent uses the run-dir", h.path("run"))
	if got := h.look(); got.Agent.PID != again.PID() {
		t.Errorf("the second agent shows itself as the first: %+v", got.Agent)
	}
	second.end()
	again.end()
	got = h.look()
	if got.Agent.State != status.Stopped || len(got.Changes) != 1 || got.Changes[0].Revision != 1 {
		t.Errorf("stopped: %+v", got)
	}
}

func TestStatusFileOfAStoppedProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	d := h.start(s.args()...)
	d.says(realagent.Replaced, "")
	until(t, "the status", func() bool { return h.look().File.Revision == 1 })
	must(t, d.Signal(syscall.SIGSTOP))
	// It gives no sign of life, so what counts is the time of the latest one.
	long := time.Now().Add(-4 * status.AliveEvery)
	must(t, os.Chtimes(h.path("run/"+status.LockName), long, long))
	if got := h.look(); got.Agent.State != status.Hung || !has(got, status.AgentHung) || got.Health != status.Failed {
		t.Errorf("%+v", got)
	}
	must(t, d.Signal(syscall.SIGCONT))
	d.end()
}

func TestStatusFileWithoutAConfiguration(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	h := newHost(t)
	cmd := h.command(t.Context(), "run", "--log-format", "json")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+m.path)
	d := h.startCommand(cmd)
	until(t, "the status of an agent that is not configured", func() bool {
		got := h.look()
		return got.Agent.State == status.NotConfigured && has(got, status.CodeNotConfigured)
	})
	h.configure("intervall = 5s")
	until(t, "the wrong configuration", func() bool { return has(h.look(), status.CodeConfigurationWrong) })
	s := newSite(t, 1)
	s.AddSlave(hostAddr, hostCUK, hostAddr)
	right := []string{"[k2hr3]", "api-uri = " + s.uri, "role = " + s.SlaveRole()}
	h.configure(right...)
	until(t, "the file", func() bool { return h.look().File.Revision == 1 })
	if got := h.look(); got.Health != status.Healthy || got.Agent.State != status.Running {
		t.Errorf("configured: %+v", got)
	}
	h.configure(append(right, "interval = never")...)
	until(t, "a wrong configuration that changes nothing", func() bool {
		got := h.look()
		return got.Health == status.Degraded && has(got, status.CodeConfigurationWrong) && got.File.Present
	})
	h.configure(right...)
	until(t, "the mended configuration", func() bool { return h.look().Health == status.Healthy })
	d.end()
}

// An agent that ends at its start because of its configuration says so to whoever looks.
func TestStatusFileOfAWrongStart(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"a key that there is not":    "intervall = 5s",
		"a folder that is not there": "[slave]\noutput = /nowhere/slave.ini\n[k2hr3]\napi-uri = http://k2hr3.example\nrole = yrn:yahoo:::shop:role:orders/slave",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.configure(config)
			cmd := h.command(deadline(t), "run")
			cmd.Env = append(h.without("K2HDKC_SLAVE_OUTPUT"), "INVOCATION_ID=1", "RUNTIME_DIRECTORY="+h.path("run"))
			r := finish(t, cmd, cmd.Start)
			if got := h.look(); r.status != 1 || got.Agent.State != status.Stopped || !has(got, status.CodeConfigurationWrong) || len(got.Conditions[0].DependsOn) != 1 {
				t.Errorf("%v\n%+v", r, got)
			}
		})
	}
}
