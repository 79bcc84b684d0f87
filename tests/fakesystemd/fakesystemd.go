// Package fakesystemd stands in for systemd where an agent has one unit to start and to restart: on
// a D-Bus of its own, whose address the agent gets in its environment. It knows of that unit what
// the agent asks for, and nothing else. It needs dbus-daemon.
package fakesystemd

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

// Service is what the unit runs.
type Service interface {
	// Start starts it, and returns when it is up.
	Start() error
	// Stop ends it in order.
	Stop() error
	// Done is closed when the process that was started last has ended.
	Done() <-chan struct{}
}

// Systemd has one unit, which is enabled.
type Systemd struct {
	conn    *dbus.Conn
	address string
	unit    string
	service Service

	mu         sync.Mutex
	active     bool
	invocation []byte
	jobs       uint32
	starts     int
	jobDone    sync.WaitGroup
}

// restartAfter is RestartSec= of chmpx's drop-in.
const restartAfter = 2 * time.Second

const (
	objectPath = "/org/freedesktop/systemd1"
	manager    = "org.freedesktop.systemd1.Manager"
)

// New starts one, without running the unit. It ends with the test.
func New(tb testing.TB, unit string, service Service) *Systemd {
	tb.Helper()
	s := &Systemd{unit: unit, service: service}
	tb.Cleanup(func() { s.jobDone.Wait() })
	s.conn, s.address, _ = Bus(tb)
	Play(tb, s.conn, unit, methods{s}, properties{s})
	go s.restarts(tb.Context())
	return s
}

// Bus starts a D-Bus, and connects to it. It ends with the test, or by stop.
func Bus(tb testing.TB) (conn *dbus.Conn, address string, stop func()) {
	tb.Helper()
	need.Programs(tb, "dbus-daemon")
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address",
		"--address=unix:path="+filepath.Join(tb.TempDir(), "bus"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	fatal.If(tb, err)
	fatal.If(tb, cmd.Start())
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	tb.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	fatal.If(tb, err)
	address = strings.TrimSpace(line)
	conn, err = dbus.Connect(address)
	fatal.If(tb, err)
	tb.Cleanup(func() { conn.Close() })
	return conn, address, stop
}

// Play answers on a bus as systemd's manager and as one unit's properties.
func Play(tb testing.TB, conn *dbus.Conn, unit string, systemd, properties any) {
	tb.Helper()
	fatal.If(tb, conn.Export(systemd, objectPath, manager))
	fatal.If(tb, conn.Export(properties, unitPath(unit), "org.freedesktop.DBus.Properties"))
	_, err := conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue)
	fatal.If(tb, err)
}

// Env is the setting by which an agent finds this systemd.
func (s *Systemd) Env() string { return "DBUS_SYSTEM_BUS_ADDRESS=" + s.address }

// Starts is how often the unit's service has been started, by whomever.
func (s *Systemd) Starts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// Stop stops the unit, as systemctl stop does.
func (s *Systemd) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop()
}

// Restart restarts the unit if it runs, as systemctl try-restart does.
func (s *Systemd) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restart()
}

func (s *Systemd) restart() error {
	if !s.active {
		return nil
	}
	if err := s.stop(); err != nil {
		return err
	}
	return s.start()
}

func (s *Systemd) stop() error {
	if !s.active {
		return nil
	}
	s.active = false
	return s.service.Stop()
}

func (s *Systemd) start() error {
	if s.active {
		return nil
	}
	id := make([]byte, 16)
	rand.Read(id)
	if err := s.service.Start(); err != nil {
		return err
	}
	s.active, s.invocation, s.starts = true, id, s.starts+1
	return nil
}

// restarts is Restart=always: a service that ends by itself is started again.
func (s *Systemd) restarts(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		active, done := s.active, s.service.Done()
		s.mu.Unlock()
		if !active {
			done = nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(restartAfter / 10):
		case <-done:
			select {
			case <-ctx.Done():
				return
			case <-time.After(restartAfter):
			}
			s.mu.Lock()
			if s.active && s.service.Done() == done {
				s.active = false
				s.start()
			}
			s.mu.Unlock()
		}
	}
}

// methods are those of systemd's manager that the agent calls.
type methods struct{ s *Systemd }

func (m methods) StartUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	return m.s.job(name, (*Systemd).start)
}

func (m methods) TryRestartUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	return m.s.job(name, (*Systemd).restart)
}

func (m methods) ReloadUnit(string, string) (dbus.ObjectPath, *dbus.Error) {
	return "", dbus.NewError("org.freedesktop.systemd1.JobTypeNotApplicable", []any{"the unit has no reload job"})
}

// job does something to the unit, and tells of its end.
func (s *Systemd) job(name string, do func(*Systemd) error) (dbus.ObjectPath, *dbus.Error) {
	if name != s.unit {
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"there is no unit " + name})
	}
	s.mu.Lock()
	s.jobs++
	id := s.jobs
	path := dbus.ObjectPath(fmt.Sprintf("%s/job/%d", objectPath, id))
	s.jobDone.Go(func() {
		defer s.mu.Unlock()
		result := "done"
		if err := do(s); err != nil {
			result = "failed"
		}
		s.conn.Emit(objectPath, manager+".JobRemoved", id, path, name, result)
	})
	return path, nil
}

// properties are those of the unit.
type properties struct{ s *Systemd }

func (p properties) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "inactive"
	if s.active {
		state = "active"
	}
	v := dbus.MakeVariant
	return map[string]dbus.Variant{
		"LoadState": v("loaded"), "ActiveState": v(state), "UnitFileState": v("enabled"), "Result": v("success"),
		"CanReload": v(false), "InvocationID": v(s.invocation),
	}, nil
}

// unitPath is the path of a unit's object: what is neither letter nor digit is a byte in hex.
func unitPath(unit string) dbus.ObjectPath {
	var b strings.Builder
	for _, c := range []byte(unit) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return dbus.ObjectPath(objectPath + "/unit/" + b.String())
}
