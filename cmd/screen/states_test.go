package screen_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/glance"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fatal"
)

// now is the time at which all states are looked at.
var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

const day = 24 * time.Hour

// state is one that the agent and its host can be in.
type state struct {
	name string
	doc  *status.Document // in status.json; nil: there is none
	text string           // in status.json instead
	lock lock
	// look is what can be seen at the moment of asking; the zero value: nothing.
	look glance.Look
	// nobody looks, and may not read the run-dir.
	unreadable bool
	noRunDir   bool
}

type lock int

const (
	held lock = iota // and fresh
	stale
	released
	none
)

// healthy is the document of an agent that is fine, with n servers.
func healthy(n int) *status.Document {
	d := &status.Document{
		WrittenAt: ago(2 * time.Minute), Version: "1.4.0",
		Health: status.Healthy, Since: ago(3*day + 4*time.Hour + 7*time.Minute),
		Identity: status.Identity{
			Role: "yrn:yahoo:::shop:role:orders/slave", Resource: "yrn:yahoo:::shop:resource:orders/slave",
			CUK: "7c0ffee0-1ab5-4e11-9d00-51a5e0000001", Tag: "shop-7.example", Flavour: "openstack",
		},
		Membership: status.Membership{State: "member", Since: ago(3*day + 4*time.Hour + 7*time.Minute), CheckedAt: ago(4*time.Minute + 10*time.Second)},
		K2HR3: status.K2HR3{
			API: "https://k2hr3.example.com", LastOK: ago(21 * time.Second), Holds: true, AskingSince: ago(21 * time.Second),
		},
		File: status.File{
			Path: "/etc/k2hdkc/slave.ini", Present: true, Revision: 18, Servers: n, Slaves: 12,
			SHA256:     "0f343b0931126a20f133d67c2b018a3b5e1f6a1a3a4c0b8a4b7e1d2c3b4a5968",
			ReplacedAt: ago(2*time.Hour + 3*time.Minute),
		},
		Chmpx: status.Chmpx{
			Seen: true, Running: true, PID: 812, StartedAt: ago(3*day + 4*time.Hour), Revision: 18,
			ConfirmedAt: ago(2*time.Hour + 2*time.Minute), Unit: "chmpx.service", Clients: 2,
		},
		Changes: []status.Change{
			{At: ago(2*time.Hour + 3*time.Minute), Revision: 18, Words: "server joined server-3.orders.example:8021"},
			{At: ago(26 * time.Hour), Revision: 17, Words: "server left server-4.orders.example:8021"},
			{At: ago(3*day + 4*time.Hour), Revision: 16, Words: "first file"},
		},
		Agent: status.Agent{State: status.Running, PID: 700, StartedAt: ago(3*day + 4*time.Hour + 8*time.Minute), AliveEvery: 30},
	}
	for i := range n {
		d.Servers = append(d.Servers, server(i+1))
	}
	return d
}

func server(n int) status.Server {
	return status.Server{
		Name: fmt.Sprintf("server-%d.orders.example", n), CtlPort: 8021, CUK: fmt.Sprintf("server-%d", n),
		RingState: "up", Connections: 1, InFile: true, InRing: true,
	}
}

// with is the document of an agent that is fine but for a condition.
func with(code string, severity status.Severity, since time.Duration, message string, change func(*status.Document)) *status.Document {
	d := healthy(3)
	d.Conditions = []status.Condition{{Code: code, Severity: severity, Status: status.Active, Since: ago(since), Message: message}}
	d.Health, d.Since = status.HealthOf(d.Conditions), ago(since)
	if change != nil {
		change(d)
	}
	return d
}

// without is the document of an agent that has no file yet.
func without(code, message string, change func(*status.Document)) *status.Document {
	return with(code, status.Error, 3*time.Minute, message, func(d *status.Document) {
		d.Conditions = append(d.Conditions, status.Condition{
			Code: "no_file", Severity: status.Error, Status: status.Active, Since: ago(3 * time.Minute),
			Message: "there is no slave.ini that chmpx could use yet", DependsOn: []string{code},
		})
		d.File = status.File{Path: d.File.Path}
		d.Chmpx = status.Chmpx{Seen: true, Unit: "chmpx.service"}
		d.Servers, d.Changes = nil, nil
		d.Agent.StartedAt = ago(3 * time.Minute)
		if change != nil {
			change(d)
		}
	})
}

// running is a chmpx that is as the document says.
func running(change func(*daemon.Status)) func(context.Context) (daemon.Status, error) {
	return func(context.Context) (daemon.Status, error) {
		st := daemon.Status{PID: 812, Started: ago(3*day + 4*time.Hour), Group: "orders", Revision: 18, Clients: 2}
		for i := range 3 {
			s := server(i + 1)
			st.Servers = append(st.Servers, daemon.Node{
				Name: s.Name, CtlPort: s.CtlPort, CUK: s.CUK, Sockets: 1, State: "[SERVICE IN][UP][n/a][Nothing][NoSuspend]",
			})
		}
		if change != nil {
			change(&st)
		}
		return st, nil
	}
}

func fails(err error) func(context.Context) (daemon.Status, error) {
	return func(context.Context) (daemon.Status, error) { return daemon.Status{}, err }
}

func unit(active string) func(context.Context) (daemon.UnitState, error) {
	return func(context.Context) (daemon.UnitState, error) {
		return daemon.UnitState{LoadState: "loaded", ActiveState: active, Result: "exit-code"}, nil
	}
}

func file(change func(*chmpx.Config)) func() (*chmpx.Config, error) {
	return func() (*chmpx.Config, error) {
		c := &chmpx.Config{Group: "orders", FileVersion: 18}
		for i := range 3 {
			s := server(i + 1)
			c.Servers = append(c.Servers, chmpx.Node{Name: s.Name, CtlPort: s.CtlPort, CUK: s.CUK})
		}
		if change != nil {
			change(c)
		}
		return c, nil
	}
}

func noFile() (*chmpx.Config, error) { return nil, nil }

// sees is what root sees on a host where all is well.
func sees() glance.Look {
	return glance.Look{File: file(nil), Chmpx: running(nil), UnitState: unit("active"), Unit: "chmpx.service"}
}

// prepare makes the run-dir of a state. The lock is held until the end of t.
func (s state) prepare(tb testing.TB, dir string) {
	tb.Helper()
	if s.noRunDir {
		return
	}
	fatal.If(tb, os.Mkdir(dir, 0o755))
	if s.doc != nil {
		fatal.If(tb, status.Write(dir, *s.doc))
	}
	if s.text != "" {
		fatal.If(tb, os.WriteFile(filepath.Join(dir, status.FileName), []byte(s.text), 0o644))
	}
	if s.lock == none {
		return
	}
	l, err := status.Hold(dir)
	fatal.If(tb, err)
	alive := ago(12 * time.Second)
	switch s.lock {
	case released:
		l.Release()
		alive = ago(4*time.Minute + 5*time.Second)
	case stale:
		alive = ago(6 * time.Minute)
	}
	tb.Cleanup(l.Release)
	fatal.If(tb, os.Chtimes(filepath.Join(dir, status.LockName), alive, alive))
	if s.unreadable {
		fatal.If(tb, os.Chmod(dir, 0))
		tb.Cleanup(func() { os.Chmod(dir, 0o755) })
	}
}
