package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"k2hdkc-slave-agent/tests/agent"
	"k2hdkc-slave-agent/tests/netns"
)

const (
	machineName = "app-1"
	machineFQDN = "app-1.shop.example"
	machineAddr = "10.20.0.7"
	machineCUK  = "5d0c7a3e-91b4-4f60-8a2d-0e6c1b7f4a01"
	k2hr3Name   = "k2hr3.shop.example"
	k2hr3Addr   = "10.20.0.1"
)

// machine is a slave VM as far as the agent can tell: a host name, addresses, a
// resolver, and its own /etc, /run and /var/lib, in namespaces of their own. Its
// disk is a folder, so that the test sees what happens on it.
type machine struct {
	tb   testing.TB
	disk string
	host *netns.Host
}

// newMachine makes one, with nothing but names on it. What is to happen there
// goes through inside.
func newMachine(tb testing.TB) *machine {
	tb.Helper()
	m := &machine{tb: tb, disk: tb.TempDir()}
	write(tb, m.path("/etc/hosts"), "127.0.0.1 localhost\n"+
		machineAddr+" "+machineFQDN+" "+machineName+"\n"+k2hr3Addr+" "+k2hr3Name+"\n")
	write(tb, m.path("/etc/resolv.conf"), "search shop.example\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	write(tb, m.path("/etc/nsswitch.conf"), "hosts: files dns\n")
	folders := map[string]string{}
	for _, dir := range []string{"/etc", "/run", "/var/lib"} {
		folders[dir] = m.path(dir)
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Mkdir(m.path("/etc/k2hdkc"), 0o755); err != nil {
		tb.Fatal(err)
	}
	m.host = netns.New(tb, netns.Spec{Name: machineName, Addrs: []string{machineAddr, k2hr3Addr}, Folders: folders})
	return m
}

// path is where a path of the machine is for the test.
func (m *machine) path(name string) string { return filepath.Join(m.disk, name) }

// inside runs f on the machine: sockets it opens and processes it starts are
// there.
func (m *machine) inside(f func() error) error { return m.host.Do(f) }

// serve serves K2HR3 to the machine, at k2hr3Name, and returns its URI.
func (m *machine) serve(h http.Handler) string {
	m.tb.Helper()
	var l net.Listener
	err := m.inside(func() (err error) {
		l, err = net.Listen("tcp4", k2hr3Addr+":0")
		return err
	})
	if err != nil {
		m.tb.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	m.tb.Cleanup(func() { s.Close() })
	return fmt.Sprintf("http://%s:%d", k2hr3Name, l.Addr().(*net.TCPAddr).Port)
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	m.tb.Helper()
	cmd := exec.CommandContext(ctx, binary(m.tb), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/nowhere"}
	return cmd
}

// agent runs the agent to its end.
func (m *machine) agent(args ...string) result {
	m.tb.Helper()
	cmd := m.command(deadline(m.tb), args...)
	return finish(m.tb, cmd, func() error { return m.inside(cmd.Start) })
}

// start starts the agent as a daemon.
func (m *machine) start(args ...string) *agent.Process {
	m.tb.Helper()
	cmd := m.command(m.tb.Context(), append([]string{"run", "--log-format", "json"}, args...)...)
	var p *agent.Process
	err := m.inside(func() (err error) {
		p, err = agent.Start(m.tb.Context(), cmd, nil)
		return err
	})
	if err != nil {
		m.tb.Fatal(err)
	}
	return p
}
