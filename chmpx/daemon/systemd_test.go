package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"k2hdkc-slave-agent/tests/fakesystemd"
	"k2hdkc-slave-agent/tests/fatal"
)

// These tests talk D-Bus to a systemd that is played on a private bus.

// startBus starts a bus of the test's own and makes it the system bus.
func startBus(t *testing.T) (conn *dbus.Conn, stop func()) {
	t.Helper()
	conn, address, stop := fakesystemd.Bus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	return conn, stop
}

// manager plays systemd's manager object.
type manager struct {
	conn   *dbus.Conn
	result string // of jobs; empty: none is told
	fault  string // name of the error a call gets
}

func (m *manager) StartUnit(name, mode string) (dbus.ObjectPath, *dbus.Error) {
	return m.job(name)
}

func (m *manager) ReloadUnit(name, mode string) (dbus.ObjectPath, *dbus.Error) {
	return m.job(name)
}

func (m *manager) TryRestartUnit(name, mode string) (dbus.ObjectPath, *dbus.Error) {
	return m.job(name)
}

func (m *manager) job(unit string) (dbus.ObjectPath, *dbus.Error) {
	if m.fault != "" {
		return "", dbus.NewError(m.fault, []any{"no"})
	}
	const path = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")
	if m.result != "" {
		// Nobody waits for the answer before the result is told.
		_ = m.conn.Emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.JobRemoved", uint32(7), path, unit, m.result)
	}
	return path, nil
}

// unitObject plays the object of the unit.
type unitObject struct{ active string }

func (u *unitObject) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	v := dbus.MakeVariant
	return map[string]dbus.Variant{
		"LoadState": v("loaded"), "ActiveState": v(u.active), "UnitFileState": v("enabled"),
		"CanReload": v(true), "Result": v("success"),
		"InvocationID": v([]byte{1, 2}),
		"Job": v(struct {
			ID   uint32
			Path dbus.ObjectPath
		}{9, "/org/freedesktop/systemd1/job/9"}),
	}, nil
}

func play(t *testing.T, conn *dbus.Conn, m *manager, active string) {
	t.Helper()
	m.conn = conn
	fakesystemd.Play(t, conn, "chmpx.service", m, &unitObject{active})
}

func realUnit() *Unit {
	return &Unit{Name: "chmpx.service", Timeout: 10 * time.Second, poll: 10 * time.Millisecond}
}

func TestStateOverTheBus(t *testing.T) {
	conn, _ := startBus(t)
	play(t, conn, &manager{}, "active")
	got, err := realUnit().State(t.Context())
	fatal.If(t, err)
	want := UnitState{LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled", CanReload: true,
		Result: "success", invocation: "\x01\x02", busy: true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestJobsOverTheBus(t *testing.T) {
	conn, _ := startBus(t)
	play(t, conn, &manager{result: "done"}, "active")
	u := realUnit()
	for range 20 {
		for _, do := range []func(context.Context) error{u.Start, u.Reload, u.Restart} {
			fatal.If(t, do(t.Context()))
		}
	}
	play(t, conn, &manager{result: "failed"}, "inactive")
	if err := u.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "journalctl") {
		t.Errorf("a job that fails: %v", err)
	}
}

func TestRefusalOverTheBusSaysWhatToDo(t *testing.T) {
	conn, _ := startBus(t)
	play(t, conn, &manager{fault: "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"}, "inactive")
	if err := realUnit().Start(t.Context()); err == nil || !strings.Contains(err.Error(), "polkit") {
		t.Errorf("error %v", err)
	}
}

func TestBusThatDiesDuringAJob(t *testing.T) {
	conn, stop := startBus(t)
	play(t, conn, &manager{}, "active")
	u := realUnit()
	u.Timeout = time.Second
	time.AfterFunc(300*time.Millisecond, stop)
	began := time.Now()
	if err := u.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestBusWithoutSystemd(t *testing.T) {
	startBus(t)
	if _, err := realUnit().State(t.Context()); !errors.Is(err, ErrNoSystemd) {
		t.Errorf("error %v, want ErrNoSystemd", err)
	}
}

func TestNoBus(t *testing.T) {
	if _, err := os.Stat("/run/systemd/private"); err == nil && os.Geteuid() == 0 {
		t.Skip("root reaches this host's own systemd without a bus")
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	if _, err := realUnit().State(t.Context()); !errors.Is(err, ErrNoSystemd) {
		t.Errorf("error %v, want ErrNoSystemd", err)
	}
}

func TestBusThatNeverAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	mute, err := net.Listen("unix", path)
	fatal.If(t, err)
	defer mute.Close()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+path)
	u := realUnit()
	u.Timeout = 200 * time.Millisecond
	if _, err := u.State(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want context.DeadlineExceeded", err)
	}
}
