package e2e

import (
	"slices"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/status"
)

// look is what can be seen of the agent.
func (h *host) look() status.Document {
	d, _ := status.Look(h.path("run"), time.Now())
	return d
}

func has(d status.Document, code string) bool {
	return slices.ContainsFunc(d.Conditions, func(c status.Condition) bool { return c.Code == code && c.Status == status.Active })
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
