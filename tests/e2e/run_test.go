package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

// configure writes the agent's configuration the way an editor does: a new
// file, renamed.
func (h *host) configure(lines ...string) {
	h.tb.Helper()
	write(h.tb, h.path("slave-agent.ini.new"), strings.Join(lines, "\n")+"\n")
	must(h.tb, os.Rename(h.path("slave-agent.ini.new"), h.path("slave-agent.ini")))
}

// A K2HR3 that holds the request is the harder case: the agent sits in an
// exchange when the signal comes.
func TestRunEndsOnSIGTERMAndLeavesEverythingInPlace(t *testing.T) {
	for name, hold := range map[string]time.Duration{"held": time.Minute, "not held": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 2)
			s.server.Hold(hold)
			h := newHost(t, s)
			d := h.start(s.args()...)
			d.says(realagent.Replaced, "")
			if hold > 0 {
				until(t, "a request that is held", func() bool { return s.server.Held() == 1 })
			}
			before := read(t, h.output())
			d.end()
			if read(t, h.output()) != before {
				t.Error("the end of the agent changed the file")
			}
			if len(s.Slaves()) != 1 {
				t.Error("the end of the agent took the host out of the role")
			}
			if slices.Contains(names(t, h.path("out")), ".slave.next.ini") {
				t.Error("a temporary file is left behind")
			}
		})
	}
}

func TestRunAsksAtOnceOnSIGHUP(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	d := h.start(s.args("--interval", "1h")...)
	s.next(t)
	d.says(realagent.Replaced, "")
	s.Join(addr(7), id("kv", 7), name("kv", 7))
	must(t, d.Signal(syscall.SIGHUP))
	s.next(t)
	d.says(realagent.Replaced, "")
	if !strings.Contains(read(t, h.output()), name("kv", 7)) {
		t.Error("the server that joined is not in the file")
	}
	d.end()
}

func TestRunTakesUpAChangedConfiguration(t *testing.T) {
	t.Parallel()
	first, second := newSite(t, 1), newSite(t, 3)
	h := newHost(t, first, second)
	config := func(s *site, output string, more ...string) []string {
		return append([]string{"[slave]", "output = " + output, "[k2hr3]", "role = " + s.SlaveRole(), "interval = 1h", "api-uri = " + s.uri}, more...)
	}
	h.configure(config(first, h.output())...)
	cmd := h.command(t.Context(), "run", "--log-format", "json")
	cmd.Env = h.without("K2HDKC_SLAVE_OUTPUT")
	d := h.startCommand(cmd)
	first.next(t)
	d.says(realagent.Replaced, "")

	h.configure(config(second, h.output())...)
	d.says("the configuration has changed", "")
	second.next(t)
	d.says(realagent.Replaced, "")
	if !strings.Contains(read(t, h.output()), name("kv", 2)) {
		t.Error("the file is not that of the second K2HR3")
	}

	for says, lines := range map[string][]string{
		"did you mean interval?": config(first, h.output(), "intervall = 5s"),
		"directory is not there": config(first, "/nowhere/slave.ini"),
		"nobody-of-that-name":    config(first, h.output(), "[slave]", "owner = nobody-of-that-name"),
		"/nowhere/ca.pem":        config(first, h.output(), "ca-file = /nowhere/ca.pem"),
	} {
		h.configure(lines...)
		d.says(realagent.BadOptions, says)
		d.Signal(syscall.SIGHUP) // which reads it again, and asks
		d.says(realagent.BadOptions, says)
		second.next(t)
	}
	if n := first.count(fakek2hr3.OpResource); n != 1 {
		t.Errorf("the first K2HR3 was asked %d times, want once, before the change", n)
	}

	h.configure(config(first, h.output())...)
	d.says(realagent.Replaced, "")
	if strings.Contains(read(t, h.output()), name("kv", 2)) {
		t.Error("the mended configuration is not used")
	}
	d.end()
}

// A token that comes after the agent, as user data may have it, is used at
// once.
func TestRunUsesATokenThatComesLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t)
	d := h.start(s.args("--interval", "1h", "--role-token-file", h.path("role-token"))...)
	d.says(realagent.NotMember, "no role token")
	token := s.token(t, h.path("role-token"))
	d.says(realagent.Registered, "")
	d.says(realagent.Replaced, "")
	d.end()
	silent(t, d.String(), token)
}
