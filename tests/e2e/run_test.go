package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// configure writes the agent's configuration the way an editor does: a new
// file, renamed.
func configure(t *testing.T, h *host, lines ...string) {
	t.Helper()
	write(t, h.path("slave-agent.ini.new"), strings.Join(lines, "\n")+"\n")
	if err := os.Rename(h.path("slave-agent.ini.new"), h.path("slave-agent.ini")); err != nil {
		t.Fatal(err)
	}
}

// newMemberHost is a host that is a member already, with a folder for its file.
func newMemberHost(t *testing.T, sites ...*site) *host {
	t.Helper()
	h := newHost(t)
	if err := os.Mkdir(h.path("out"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range sites {
		s.AddSlave(hostAddr, hostCUK, hostAddr)
	}
	return h
}

// A K2HR3 that holds the request is the harder case: the agent sits in an
// exchange when the signal comes.
func TestRunEndsOnSIGTERMAndLeavesEverythingInPlace(t *testing.T) {
	for _, hold := range []time.Duration{0, time.Minute} {
		t.Run(map[bool]string{true: "held", false: "not held"}[hold > 0], func(t *testing.T) {
			s := newSite(t)
			s.joinServers(2)
			s.server.Hold(hold)
			h := newMemberHost(t, s)
			p := h.start("--api-uri", s.uri, "--role", s.SlaveRole())
			says(t, p, 0, "slave.ini replaced", "")
			if hold > 0 {
				until(t, "a request that is held", func() bool { return s.server.Held() == 1 })
			}
			before := read(t, h.output())
			end(t, p)
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
	s := newSite(t)
	s.joinServers(1)
	h := newMemberHost(t, s)
	p := h.start("--api-uri", s.uri, "--role", s.SlaveRole(), "--interval", "1h")
	s.next(t)
	next := says(t, p, 0, "slave.ini replaced", "")
	s.Join(addr(7), id("kv", 7), name("kv", 7))
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.next(t)
	says(t, p, next, "slave.ini replaced", "")
	if !strings.Contains(read(t, h.output()), name("kv", 7)) {
		t.Error("the server that joined is not in the file")
	}
	end(t, p)
}

func TestRunTakesUpAChangedConfiguration(t *testing.T) {
	first, second := newSite(t), newSite(t)
	first.joinServers(1)
	second.joinServers(3)
	h := newMemberHost(t, first, second)
	config := func(s *site, output string, more ...string) []string {
		return append([]string{"[slave]", "output = " + output, "[k2hr3]", "role = " + s.SlaveRole(), "interval = 1h", "api-uri = " + s.uri}, more...)
	}
	configure(t, h, config(first, h.output())...)
	cmd := h.command(t.Context(), "run", "--log-format", "json")
	cmd.Env = slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "K2HDKC_SLAVE_OUTPUT=") })
	p := h.startCommand(cmd)
	first.next(t)
	next := says(t, p, 0, "slave.ini replaced", "")

	configure(t, h, config(second, h.output())...)
	next = says(t, p, next, "the configuration has changed", "")
	second.next(t)
	next = says(t, p, next, "slave.ini replaced", "")
	if !strings.Contains(read(t, h.output()), name("kv", 2)) {
		t.Error("the file is not that of the second K2HR3")
	}

	broken := []struct {
		says  string
		lines []string
	}{
		{"did you mean interval?", config(first, h.output(), "intervall = 5s")},
		{"directory is not there", config(first, "/nowhere/slave.ini")},
		{"nobody-of-that-name", config(first, h.output(), "[slave]", "owner = nobody-of-that-name")},
		{"/nowhere/ca.pem", config(first, h.output(), "ca-file = /nowhere/ca.pem")},
	}
	for _, b := range broken {
		configure(t, h, b.lines...)
		next = says(t, p, next, "the configuration is wrong; the agent goes on with the previous one", b.says)
		p.Signal(syscall.SIGHUP) // which reads it again, and asks
		next = says(t, p, next, "the configuration is wrong; the agent goes on with the previous one", b.says)
		second.next(t)
	}
	if n := count(first.server.Requests(), fakek2hr3.OpResource); n != 1 {
		t.Errorf("the first K2HR3 was asked %d times, want once, before the change", n)
	}

	configure(t, h, config(first, h.output())...)
	says(t, p, next, "slave.ini replaced", "")
	if strings.Contains(read(t, h.output()), name("kv", 2)) {
		t.Error("the mended configuration is not used")
	}
	end(t, p)
}

func count(requests []fakek2hr3.Request, op fakek2hr3.Op) int {
	n := 0
	for _, r := range requests {
		if r.Op == op {
			n++
		}
	}
	return n
}

// A token that comes after the agent, as user data may have it, is used at
// once.
func TestRunUsesATokenThatComesLate(t *testing.T) {
	s := newSite(t)
	s.joinServers(1)
	h := newHost(t)
	os.Mkdir(h.path("out"), 0o755)
	p := h.start("--api-uri", s.uri, "--role", s.SlaveRole(), "--interval", "1h", "--role-token-file", h.path("role-token"))
	next := says(t, p, 0, "membership is not certain", "no role token")
	token := s.token(t, h.path("role-token"))
	next = says(t, p, next, "registered with K2HR3", "")
	says(t, p, next, "slave.ini replaced", "")
	end(t, p)
	silent(t, p.Log(), token)
}
