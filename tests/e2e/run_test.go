package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/cmd/status"
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

func TestRunTakesUpAChangedConfiguration(t *testing.T) {
	t.Parallel()
	first, second := newSite(t, 1), newSite(t, 3)
	h := newHost(t, first, second)
	config := func(s *site, output string, more ...string) []string {
		return append([]string{"[slave]", "output = " + output, "[k2hr3]", "role = " + s.SlaveRole(), "interval = 1h", "api-uri = " + s.uri}, more...)
	}
	cmd := h.command(t.Context(), "run", "--log-format", "json")
	// An agent of systemd's waits for what it lacks.
	cmd.Env = append(h.without("K2HDKC_SLAVE_OUTPUT"), "NOTIFY_SOCKET="+newManager(t).path)
	d := h.startCommand(cmd)
	d.says("not configured: waiting for what is missing", "")
	h.configure(config(first, h.output(), "intervall = 5s")...)
	d.says("the configuration is wrong; waiting for a correct one", "did you mean interval?")
	h.configure(config(first, h.output())...)
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
		until(t, "the wrong configuration in status.json", func() bool { return has(h.look(), status.CodeConfigurationWrong) })
	}
	if n := first.count(fakek2hr3.OpResource); n != 1 {
		t.Errorf("the first K2HR3 was asked %d times, want once, before the change", n)
	}

	h.configure(config(first, h.output())...)
	d.says(realagent.Replaced, "")
	if strings.Contains(read(t, h.output()), name("kv", 2)) {
		t.Error("the mended configuration is not used")
	}
	until(t, "a healthy agent in status.json", func() bool { return h.look().Health == status.Healthy })
	d.end()
}
