package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/agent"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// manager is systemd as far as it listens to the agent.
type manager struct {
	tb   testing.TB
	path string
	said chan string
}

// newManager listens at a path in the host's folder.
func newManager(h *host) *manager {
	h.tb.Helper()
	// Such a path has a hundred bytes at most.
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		h.tb.Fatal(err)
	}
	m := &manager{tb: h.tb, path: filepath.Join(dir, "notify"), said: make(chan string, 1000)}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() {
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

// env is what systemd starts the agent with.
func (m *manager) env(more ...string) []string { return append(more, "NOTIFY_SOCKET="+m.path) }

// await waits for a message that matches and returns it, and all before it.
func (m *manager) await(pattern string) (message string, before []string) {
	m.tb.Helper()
	re := regexp.MustCompile(pattern)
	for {
		select {
		case message := <-m.said:
			if re.MatchString(message) {
				return message, before
			}
			before = append(before, message)
		case <-deadline(m.tb).Done():
			m.tb.Fatalf("systemd was not told %q, but %q", pattern, before)
		}
	}
}

// serve starts the agent the way systemd does.
func (h *host) serve(m *manager, env []string, args ...string) *agent.Process {
	h.tb.Helper()
	cmd := h.command(h.tb.Context(), append([]string{"run", "--log-format", "json"}, args...)...)
	cmd.Env = append(cmd.Env, m.env(env...)...)
	return h.startCommand(cmd)
}

func TestSystemdIsToldHowTheAgentIs(t *testing.T) {
	s := newSite(t)
	h := newMemberHost(t, s)
	m := newManager(h)
	p := h.serve(m, nil, "--api-uri", s.uri, "--role", s.SlaveRole(), "--interval", "1h")
	if _, before := m.await(`^READY=1$`); len(before) != 0 {
		t.Errorf("told before it was ready: %q", before)
	}
	m.await(`^STATUS=waiting for the first server of orders/slave$`)
	s.joinServers(2)
	p.Signal(syscall.SIGHUP)
	reload, _ := m.await(`^RELOADING=1\nMONOTONIC_USEC=\d+\n?$`)
	if usec := strings.Fields(reload)[1]; !within(usec, time.Minute) {
		t.Errorf("the reload began at %s", usec)
	}
	m.await(`^READY=1$`)
	m.await(`^STATUS=revision 1 with 2 servers; K2HR3 is asked about every 1h$`)
	end(t, p)
	if _, before := m.await(`^STOPPING=1$`); slices.ContainsFunc(before, func(s string) bool { return strings.HasPrefix(s, "WATCHDOG") }) {
		t.Errorf("signs of life that nobody has asked for: %q", before)
	}
}

// within reports whether MONOTONIC_USEC=n is that long ago at most.
func within(assignment string, d time.Duration) bool {
	var usec int64
	var now unix.Timespec
	if _, err := fmt.Sscanf(assignment, "MONOTONIC_USEC=%d", &usec); err != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return false
	}
	ago := time.Duration(now.Nano()) - time.Duration(usec)*time.Microsecond
	return ago >= 0 && ago < d
}

// A reload is over with READY, whatever became of it.
func TestEveryReloadEnds(t *testing.T) {
	first, second := newSite(t), newSite(t)
	first.joinServers(1)
	second.joinServers(2)
	h := newMemberHost(t, first, second)
	m := newManager(h)
	config := func(uri string, more ...string) {
		configure(t, h, append([]string{"[k2hr3]", "role = " + first.SlaveRole(), "interval = 1h", "api-uri = " + uri}, more...)...)
	}
	config(first.uri)
	p := h.serve(m, nil)
	m.await(`^STATUS=revision 1 `)
	reload := func() (before []string) {
		t.Helper()
		p.Signal(syscall.SIGHUP)
		_, before = m.await(`^RELOADING=1\n`)
		m.await(`^READY=1$`)
		return before
	}
	reload() // nothing has changed

	write(t, h.path("slave-agent.ini"), "[k2hr3]\nnonsense = 1\n")
	m.await(`^STATUS=revision 1 .*; the configuration is wrong and the agent goes on with the previous one$`)
	reload()

	// The change is noticed without a signal too, but not before the file has
	// been left alone for a moment.
	config(second.uri)
	const changed = "STATUS=revision 2 with 2 servers; K2HR3 is asked about every 1h"
	if before := reload(); !slices.Contains(before, changed) {
		m.await("^" + changed + "$")
	}
	end(t, p)
}

func TestSystemdIsToldThatTheAgentIsAlive(t *testing.T) {
	for _, hold := range []time.Duration{0, time.Minute} {
		t.Run(map[bool]string{true: "held", false: "not held"}[hold > 0], func(t *testing.T) {
			s := newSite(t)
			s.joinServers(1)
			s.server.Hold(hold)
			h := newMemberHost(t, s)
			m := newManager(h)
			p := h.serve(m, []string{"WATCHDOG_USEC=300000"}, "--api-uri", s.uri, "--role", s.SlaveRole(), "--interval", "1h")
			m.await(`^STATUS=revision 1 `)
			if hold > 0 {
				until(t, "a request that is held", func() bool { return s.server.Held() == 1 })
			}
			for range 10 {
				m.await(`^WATCHDOG=1$`)
			}
			p.Signal(syscall.SIGHUP)
			m.await(`^RELOADING=1\n`)
			for range 3 {
				m.await(`^WATCHDOG=1$`)
			}
			end(t, p)
		})
	}
}

// The packages enable the agent on hosts that have no configuration yet.
func TestRunWaitsForAConfiguration(t *testing.T) {
	s := newSite(t)
	s.joinServers(1)
	h := newHost(t)
	for _, name := range []string{"slave-agent.ini", "instance-id"} {
		if err := os.Remove(h.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	m := newManager(h)
	cmd := exec.CommandContext(t.Context(), binary(t), "run", "--log-format", "json")
	// A file that is named has to be there, so it is led away by the folder of
	// K2HR3's script alone.
	cmd.Env = slices.DeleteFunc(h.env(), func(s string) bool { return strings.HasPrefix(s, "K2HDKC_SLAVE_CONFIG=") })
	cmd.Env = append(cmd.Env, m.env("WATCHDOG_USEC=300000")...)
	p := h.startCommand(cmd)

	wanted := "not configured: waiting for api-uri and role in /etc/k2hdkc/slave-agent.ini or " + h.path("antpickax") + ", and for this host's CUK in " + h.path("instance-id")
	m.await(`^STATUS=` + regexp.QuoteMeta(wanted) + `$`)
	m.await(`^READY=1$`)
	for range 5 {
		m.await(`^WATCHDOG=1$`)
	}
	next := says(t, p, 0, wanted, "")
	p.Signal(syscall.SIGHUP)
	m.await(`^RELOADING=1\n`)
	m.await(`^READY=1$`)

	if err := os.MkdirAll(h.path("out"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, h.path("instance-id"), hostCUK+"\n")
	m.await(`^STATUS=not configured: waiting for api-uri and role in `)
	// A folder that was not there, with what K2HR3's script writes.
	if err := os.Mkdir(h.path("antpickax"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, h.path("antpickax/k2hr3-api-uri"), "nonsense\n")
	write(t, h.path("antpickax/k2hr3-role-name"), s.SlaveRole()+"\n")
	token := s.token(t, h.path("antpickax/k2hr3-role-token"))
	m.await(`^STATUS=the configuration is wrong: .*k2hr3-api-uri: .*no scheme`)
	next = says(t, p, next, "the configuration is wrong; waiting for a correct one", "no scheme")
	write(t, h.path("antpickax/k2hr3-api-uri"), s.uri+"\n")
	m.await(`^STATUS=revision 1 with 1 server; `)
	says(t, p, next, "started", "")
	if n := strings.Count(p.Log(), "not configured: waiting for"); n != 2 {
		t.Errorf("said %d times that it waits, want once for each thing that was missing", n)
	}
	end(t, p)
	m.await(`^STOPPING=1$`)
	silent(t, p.Log(), token)
}

func TestRunEndsWhileItWaitsForAConfiguration(t *testing.T) {
	h := newHost(t)
	m := newManager(h)
	p := h.serve(m, nil)
	m.await(`^READY=1$`)
	end(t, p)
	m.await(`^STOPPING=1$`)
}

// What is wrong from the start, and all that is done by hand, fails at once.
func TestOnlyAMissingConfigurationIsWaitedFor(t *testing.T) {
	h := newHost(t)
	for _, verb := range []string{"once", "register", "unregister"} {
		if r := h.agent(verb); r.status != 1 || !strings.Contains(r.stderr, "K2HR3's address is not known") {
			t.Errorf("%s: %v", verb, r)
		}
	}
	if r := h.agent("run", "--role", "nonsense"); r.status != 2 {
		t.Error(r)
	}
	write(t, h.path("slave-agent.ini"), "[k2hr3]\nrole = nonsense\n")
	if r := h.agent("run"); r.status != 1 || !strings.Contains(r.stderr, "nonsense") {
		t.Error(r)
	}
	write(t, h.path("slave-agent.ini"), "")
	write(t, h.path("antpickax/k2hr3-api-uri"), "nonsense\n")
	if r := h.agent("run"); r.status != 1 || !strings.Contains(r.stderr, "no scheme") {
		t.Error(r)
	}
}

// The unit's view of the host is made when the agent is started: what comes
// later is read-only there.
func TestAFolderThatCameLateEndsTheAgent(t *testing.T) {
	for name, configured := range map[string]bool{"while it runs": true, "while it waits": false} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			write(t, m.path("/etc/k2hdkc/slave-agent.ini"), "[chmpx]\nunit =\n[slave]\ncuk = "+machineCUK+"\n")
			cmd := exec.CommandContext(t.Context(), binary(t), "run", "--log-format", "json")
			cmd.Env = []string{"PATH=/nowhere", "INVOCATION_ID=0123456789abcdef0123456789abcdef", "NOTIFY_SOCKET=/nowhere"}
			waits := "not configured"
			if configured {
				server := fakek2hr3.New()
				cluster := server.AddCluster("shop", "orders")
				cmd.Args = append(cmd.Args, "--api-uri", m.serve(server), "--role", cluster.SlaveRole())
				waits = "membership is not certain"
			}
			var p *agent.Process
			err := m.inside(func() (err error) {
				p, err = agent.Start(t.Context(), cmd, nil)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			next := says(t, p, 0, waits, "")
			err = m.inside(func() error {
				// A file system of its own stands for the one that is read-only.
				if err := os.Mkdir("/etc/aside", 0o755); err != nil {
					return err
				}
				if err := unix.Mount("tmpfs", "/etc/aside", "tmpfs", unix.MS_RDONLY, ""); err != nil {
					return err
				}
				return os.Symlink("aside", "/etc/antpickax")
			})
			if err != nil {
				t.Fatal(err)
			}
			says(t, p, next, "a folder has come after the agent started", "")
			select {
			case <-p.Done():
			case <-deadline(t).Done():
				t.Fatal("the agent goes on")
			}
			if status, _ := p.Stop(t.Context()); status != 1 {
				t.Errorf("ended with status %d, want 1, so that it is started anew", status)
			}
		})
	}
}
