package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

const (
	hostAddr = "127.0.0.1"
	hostCUK  = "2f4b9a10-66c7-4d0e-b8a5-73d1f90e6b02"
)

// host is this machine, with a folder in place of everything that the agent reads
// and writes on it.
type host struct {
	tb  testing.TB
	dir string
}

// newHost makes one that is a member at these sites already.
func newHost(tb testing.TB, sites ...*site) *host {
	tb.Helper()
	h := &host{tb: tb, dir: tb.TempDir()}
	write(tb, h.path("slave-agent.ini"), "")
	write(tb, h.path("instance-id"), hostCUK+"\n")
	must(tb, os.Mkdir(h.path("out"), 0o755))
	for _, s := range sites {
		s.AddSlave(hostAddr, hostCUK, hostAddr)
	}
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) output() string { return h.path("out/slave.ini") }

// env points the agent at the folder. Flags and the configuration file are left to
// the test.
func (h *host) env() []string {
	return append(realagent.Env(h.dir), "K2HDKC_SLAVE_TAG="+hostAddr)
}

// without is env without one setting.
func (h *host) without(name string) []string {
	return slices.DeleteFunc(h.env(), func(s string) bool { return strings.HasPrefix(s, name+"=") })
}

func (h *host) command(ctx context.Context, args ...string) *exec.Cmd {
	h.tb.Helper()
	cmd := exec.CommandContext(ctx, binary(h.tb), args...)
	cmd.Dir = h.dir
	cmd.Env = h.env()
	return cmd
}

// agent runs the agent to its end.
func (h *host) agent(args ...string) result {
	h.tb.Helper()
	cmd := h.command(deadline(h.tb), args...)
	return finish(h.tb, cmd, cmd.Start)
}

// start starts the agent as a daemon.
func (h *host) start(args ...string) *daemon {
	h.tb.Helper()
	return h.startCommand(h.command(h.tb.Context(), append([]string{"run", "--log-format", "json"}, args...)...))
}

func (h *host) startCommand(cmd *exec.Cmd) *daemon {
	h.tb.Helper()
	p, err := realagent.Start(h.tb.Context(), cmd, nil)
	must(h.tb, err)
	h.tb.Cleanup(func() { p.Stop(context.WithoutCancel(h.tb.Context())) })
	return &daemon{Process: p, tb: h.tb}
}

// site is a K2HR3 with one cluster, served on the loopback.
type site struct {
	*fakek2hr3.Cluster
	server *fakek2hr3.Server
	uri    string
	asked  chan fakek2hr3.Request // each GET of the RESOURCE, as it is answered
}

// newSite makes one with n server nodes.
func newSite(tb testing.TB, n int) *site {
	tb.Helper()
	s := &site{server: fakek2hr3.New(), asked: make(chan fakek2hr3.Request, 100)}
	s.Cluster = s.server.AddCluster("shop", "orders")
	s.server.OnRequest(func(r fakek2hr3.Request) {
		if r.Op != fakek2hr3.OpResource {
			return
		}
		select {
		case s.asked <- r:
		default:
		}
	})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(tb, err)
	srv := fakek2hr3.NewHTTPServer(s.server)
	go srv.Serve(l)
	tb.Cleanup(func() { srv.Close() })
	s.uri = "http://" + l.Addr().String()
	s.joinServers(n)
	return s
}

// joinServers lets n server nodes join.
func (s *site) joinServers(n int) {
	for i := range n {
		s.Join(addr(i), id("kv", i), name("kv", i))
	}
}

// args tell the agent of the site, and more.
func (s *site) args(more ...string) []string {
	return append([]string{"--api-uri", s.uri, "--role", s.SlaveRole()}, more...)
}

// next waits for the next GET of the RESOURCE.
func (s *site) next(tb testing.TB) {
	tb.Helper()
	select {
	case <-s.asked:
	case <-deadline(tb).Done():
		tb.Fatal("the RESOURCE was not asked for")
	}
}

// count is how many requests of a kind there were.
func (s *site) count(op fakek2hr3.Op) (n int) {
	for _, r := range s.server.Requests() {
		if r.Op == op {
			n++
		}
	}
	return n
}

// token puts a token that is good for the slaves' role into a file.
func (s *site) token(tb testing.TB, path string) string {
	tb.Helper()
	token := s.RoleToken("slave", 0)
	write(tb, path, token+"\n")
	return token
}

// silent fails if a text shows a token, or a good part of one.
func silent(tb testing.TB, text, token string) {
	tb.Helper()
	for part := token; len(part) >= 12; part = part[1:] {
		if strings.Contains(text, part[:12]) {
			tb.Errorf("shows a part of the token, %.4s...:\n%s", part, text)
			return
		}
	}
}
