package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/realagent"
)

// manager is systemd as far as it listens to the agent.
type manager struct {
	tb   testing.TB
	path string
	said chan string
}

func newManager(tb testing.TB) *manager {
	tb.Helper()
	// Such a path has a hundred bytes at most.
	dir, err := os.MkdirTemp("", "")
	must(tb, err)
	m := &manager{tb: tb, path: filepath.Join(dir, "notify"), said: make(chan string, 1000)}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	must(tb, err)
	tb.Cleanup(func() {
		conn.Close()
		os.RemoveAll(dir)
	})
	go func() {
		defer close(m.said)
		for b := make([]byte, 64<<10); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.said <- string(b[:n])
		}
	}()
	return m
}

// await waits for a message that matches, and returns all before it but the signs
// of life.
func (m *manager) await(pattern string) (before []string) {
	m.tb.Helper()
	re, ctx := regexp.MustCompile(pattern), deadline(m.tb)
	for {
		select {
		case message := <-m.said:
			if re.MatchString(message) {
				return before
			}
			if message != "WATCHDOG=1" {
				before = append(before, message)
			}
		case <-ctx.Done():
			m.tb.Fatalf("systemd was not told %q, but %q", pattern, before)
		}
	}
}

// reload has the agent reload, as systemd does, and returns when it has.
func (m *manager) reload(d *daemon) (before []string) {
	m.tb.Helper()
	must(m.tb, d.Signal(syscall.SIGHUP))
	before = m.await(`^RELOADING=1\nMONOTONIC_USEC=\d+\n?$`)
	m.await(`^READY=1$`)
	return before
}

// serve starts the agent the way systemd does, with env besides.
func (h *host) serve(m *manager, env []string, args ...string) *daemon {
	h.tb.Helper()
	cmd := h.command(h.tb.Context(), append([]string{"run", "--log-format", "json"}, args...)...)
	cmd.Env = append(append(cmd.Env, env...), "NOTIFY_SOCKET="+m.path)
	return h.startCommand(cmd)
}

// TestSystemdIsToldHowTheAgentIs walks from the start to the end: what is said
// of the states in between is tested where they are.
func TestSystemdIsToldHowTheAgentIs(t *testing.T) {
	t.Parallel()
	first, second := newSite(t, 0), newSite(t, 3)
	first.server.Hold(time.Minute)
	h := newHost(t, first, second)
	m := newManager(t)
	config := func(s *site) {
		h.configure("[k2hr3]", "role = "+s.SlaveRole(), "interval = 1h", "api-uri = "+s.uri)
	}
	config(first)
	d := h.serve(m, []string{"WATCHDOG_USEC=300000"})
	if before := m.await(`^READY=1$`); len(before) != 0 {
		t.Errorf("said before READY: %q", before)
	}
	m.await(`^STATUS=waiting for the first server of orders/slave$`)
	first.joinServers(2)
	m.await(`^STATUS=revision 1 with 2 servers; K2HR3 holds the request$`)
	until(t, "a request that is held", func() bool { return first.server.Held() == 1 })
	for range 5 {
		m.await(`^WATCHDOG=1$`)
	}
	m.reload(d) // nothing has changed

	// A reload is over with READY, whatever became of it.
	write(t, h.path("slave-agent.ini"), "[k2hr3]\nnonsense = 1\n")
	m.await(`^STATUS=revision 1 .*; the configuration is wrong and the agent goes on with the previous one$`)
	m.reload(d)

	// The change is noticed without a signal too, but not before the file has
	// been left alone for a moment.
	config(second)
	const changed = `^STATUS=revision 2 with 3 servers; asking K2HR3 about every 1h$`
	if before := m.reload(d); !slices.ContainsFunc(before, regexp.MustCompile(changed).MatchString) {
		m.await(changed)
	}
	d.end()
	m.await(`^STOPPING=1$`)
}

// The packages enable the agent on hosts that have no configuration yet.
func TestRunWaitsForAConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t)
	must(t, os.Remove(h.path("instance-id")))
	m := newManager(t)
	start := func() *daemon {
		cmd := h.command(t.Context(), "run", "--log-format", "json")
		// A configuration file that is named has to exist; the folder of K2HR3's
		// script may be missing.
		cmd.Env = append(h.without("K2HDKC_SLAVE_CONFIG"), "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=300000")
		return h.startCommand(cmd)
	}
	d := start()
	m.await(`^READY=1$`)
	d.end() // while it waits
	m.await(`^STOPPING=1$`)
	d = start()
	wanted := "api-uri and role in /etc/k2hdkc/slave-agent.ini or " + h.path("antpickax") + ", and for this host's CUK in " + h.path("instance-id")
	m.await(`^STATUS=not configured: waiting for ` + regexp.QuoteMeta(wanted) + `$`)
	m.await(`^READY=1$`)
	for range 5 {
		m.await(`^WATCHDOG=1$`)
	}
	if _, _, err := d.Await(deadline(t), d.next, func(r realagent.Record) bool {
		return r.Message == "not configured: waiting for what is missing" && r.Text("missing") == wanted
	}); err != nil {
		t.Fatalf("does not say what is missing: %v\n%s", err, d)
	}
	m.reload(d)
	if got := h.look(); got.Agent.State != status.NotConfigured || !has(got, status.CodeNotConfigured) {
		t.Errorf("status.json says %+v", got)
	}

	write(t, h.path("instance-id"), hostCUK+"\n")
	m.await(`^STATUS=not configured: waiting for api-uri and role in `)
	// A folder that was not there, with what K2HR3's script writes.
	must(t, os.Mkdir(h.path("antpickax"), 0o755))
	write(t, h.path("antpickax/k2hr3-api-uri"), "nonsense\n")
	write(t, h.path("antpickax/k2hr3-role-name"), s.SlaveRole()+"\n")
	token := s.token(t, h.path("antpickax/k2hr3-role-token"))
	m.await(`^STATUS=the configuration is wrong: .*k2hr3-api-uri: .*no scheme`)
	d.says("the configuration is wrong; waiting for a correct one", "no scheme")
	until(t, "the wrong configuration in status.json", func() bool { return has(h.look(), status.CodeConfigurationWrong) })
	write(t, h.path("antpickax/k2hr3-api-uri"), s.uri+"\n")
	m.await(`^STATUS=revision 1 with 1 server; `)
	d.says(realagent.Started, "")
	if n := strings.Count(d.String(), "not configured: waiting for"); n != 2 {
		t.Errorf("said %d times that it waits, want once for each thing that was missing", n)
	}
	d.end()
	m.await(`^STOPPING=1$`)
	silent(t, d.String(), token)
}
