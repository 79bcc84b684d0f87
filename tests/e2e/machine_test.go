package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/agent"
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
	todo chan func()
}

// newMachine makes one, with nothing but names on it. A thread of this process
// lives in its namespaces; what is to happen there goes through inside.
func newMachine(tb testing.TB) *machine {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root: it makes a host of its own out of namespaces")
	}
	m := &machine{tb: tb, disk: tb.TempDir(), todo: make(chan func())}
	write(tb, m.path("/etc/hosts"), "127.0.0.1 localhost\n"+
		machineAddr+" "+machineFQDN+" "+machineName+"\n"+k2hr3Addr+" "+k2hr3Name+"\n")
	write(tb, m.path("/etc/resolv.conf"), "search shop.example\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	write(tb, m.path("/etc/nsswitch.conf"), "hosts: files dns\n")
	for _, dir := range []string{"/etc/k2hdkc", "/run", "/var/lib"} {
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	done := make(chan struct{})
	ready := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread and the machine end together
		ready <- m.enter()
		for f := range m.todo {
			f()
		}
	}()
	tb.Cleanup(func() {
		close(m.todo)
		<-done
	})
	if err := <-ready; errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		tb.Skipf("may not make namespaces here: %v", err)
	} else if err != nil {
		tb.Fatal(err)
	}
	return m
}

// path is where a path of the machine is for the test.
func (m *machine) path(name string) string { return filepath.Join(m.disk, name) }

// enter moves this thread into the machine.
func (m *machine) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Sethostname([]byte(machineName)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep the mounts to itself: %w", err)
	}
	for _, dir := range []string{"/etc", "/run", "/var/lib"} {
		if err := unix.Mount(m.path(dir), dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	return network()
}

// network brings the loopback up, with the addresses of the machine and of
// K2HR3.
func network() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	for alias, addr := range map[string]string{"lo:1": machineAddr, "lo:2": k2hr3Addr} {
		if err := setAddress(fd, alias, unix.SIOCSIFADDR, net.ParseIP(addr).To4()); err != nil {
			return fmt.Errorf("give lo the address %s: %w", addr, err)
		}
		if err := setAddress(fd, alias, unix.SIOCSIFNETMASK, []byte{255, 255, 255, 255}); err != nil {
			return fmt.Errorf("narrow %s: %w", addr, err)
		}
	}
	return nil
}

func setAddress(fd int, name string, request uint, value []byte) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := r.SetInet4Addr(value); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, request, r)
}

// inside runs f on the machine: sockets it opens and processes it starts are
// there.
func (m *machine) inside(f func() error) error {
	done := make(chan error)
	m.todo <- func() { done <- f() }
	return <-done
}

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
