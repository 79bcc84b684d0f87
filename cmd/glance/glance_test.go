package glance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fatal"
)

// A tool that hangs, and heeds no context, costs the limit and a little, and is named.
func TestNothingThatHangsHoldsUpALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		begin := time.Now()
		d := running()
		Look{
			Chmpx:     func(context.Context) (daemon.Status, error) { <-release; return daemon.Status{}, nil },
			UnitState: func(context.Context) (daemon.UnitState, error) { <-release; return daemon.UnitState{}, nil },
			Unit:      "chmpx.service",
		}.Add(t.Context(), &d, begin)
		if took := time.Since(begin); took > Limit+endGrace {
			t.Errorf("took %v", took)
		}
		notes := strings.Join(d.Notes, "\n")
		for _, want := range []string{"chmpx and the ring as the agent sees them: no answer within 1s", "chmpx.service cannot be seen: no answer within 1s"} {
			if !strings.Contains(notes, want) {
				t.Errorf("notes %q, want %q", notes, want)
			}
		}
		if d.Chmpx.PID != 7 {
			t.Errorf("%+v; the agent's own look is what there is", d.Chmpx)
		}
	})
}

// running is what an agent that runs says, who sees chmpx.
func running() status.Document {
	return status.Document{
		WrittenAt: time.Now(), Agent: status.Agent{State: status.Running},
		File:    status.File{Present: true, Revision: 3},
		Chmpx:   status.Chmpx{Seen: true, Running: true, PID: 7, Revision: 3},
		Servers: []status.Server{{Name: "a", CtlPort: 1, InFile: true, InRing: true, RingState: "up", Connections: 1}},
	}
}

// A chmpxstatus that hangs, as it does beside a chmpx that is still starting, is no sign that an
// application can begin; where there is none, the file is all that can be waited for.
func TestNotReadyWhileChmpxstatusHangs(t *testing.T) {
	for name, c := range map[string]struct {
		look func(ctx context.Context) (daemon.Status, error)
		want bool
	}{
		"hangs":          {nil, false},
		"times out":      {func(context.Context) (daemon.Status, error) { return daemon.Status{}, daemon.ErrTimeout }, false},
		"not to be seen": {func(context.Context) (daemon.Status, error) { return daemon.Status{}, daemon.ErrNoAccess }, true},
		"no chmpxstatus": {func(context.Context) (daemon.Status, error) { return daemon.Status{}, ErrNoChmpx }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := running()
				d.Chmpx = status.Chmpx{}
				release := make(chan struct{})
				defer close(release)
				if c.look == nil {
					c.look = func(context.Context) (daemon.Status, error) { <-release; return daemon.Status{}, nil }
				}
				Look{Chmpx: c.look}.Add(t.Context(), &d, time.Now())
				if got := Ready(d, time.Now()); got != c.want {
					t.Errorf("ready: %v, want %v; %q", got, c.want, d.Notes)
				}
			})
		})
	}
}

// Where no agent vouches for it, what was seen of chmpx at some time is nothing to go by.
func TestWhatADeadAgentSawOfChmpxIsForgotten(t *testing.T) {
	d := running()
	d.Agent.State = status.Stopped
	d.Conditions = []status.Condition{
		{Code: "server_down", Severity: status.Warning, Status: status.Active},
		{Code: "k2hr3_unreachable", Severity: status.Warning, Status: status.Active},
	}
	Look{Chmpx: func(context.Context) (daemon.Status, error) { return daemon.Status{}, daemon.ErrNoAccess }}.Add(t.Context(), &d, time.Now())
	if d.Chmpx.Seen || d.Servers[0].InRing || d.Servers[0].RingState != "" {
		t.Errorf("%+v %+v", d.Chmpx, d.Servers)
	}
	if len(d.Conditions) != 1 || d.Conditions[0].Code != "k2hr3_unreachable" {
		t.Errorf("%+v: what chmpx was like is not known any more", d.Conditions)
	}
}

// A server that looks as if it had refused chmpx may be down. An agent that runs has looked at its
// port; without one, chmpx counts as half connected, and is not ready.
func TestWhetherAServerHasRefusedChmpx(t *testing.T) {
	st := daemon.Status{PID: 7, Revision: 3, Servers: []daemon.Node{
		{Name: "a", CtlPort: 1, Sockets: 1, State: "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"},
		{Name: "b", CtlPort: 1, State: "[SERVICE IN][DOWN][n/a][Nothing][NoSuspend]"},
	}}
	down := status.Condition{Code: "server_down", Severity: status.Warning, Status: status.Active}
	pending := down
	pending.Status = status.Pending
	half := status.Condition{Code: "half_connected", Severity: status.Warning, Status: status.Active}
	for _, tt := range []struct {
		name       string
		state      status.AgentState
		conditions []status.Condition
		ready      bool
	}{
		{"the agent has not looked yet", status.Running, nil, false},
		{"it looks", status.Running, []status.Condition{pending}, false},
		{"it is down", status.Running, []status.Condition{down}, true},
		{"it has refused chmpx", status.Running, []status.Condition{half}, false},
		{"one is down, one refuses", status.Running, []status.Condition{half, down}, false},
		{"no agent", status.Stopped, []status.Condition{down}, false},
	} {
		d := running()
		d.Servers = append(d.Servers, status.Server{Name: "b", CtlPort: 1, InFile: true, InRing: true, RingState: "down"})
		d.Agent.State, d.Conditions = tt.state, tt.conditions
		Look{Chmpx: func(context.Context) (daemon.Status, error) { return st, nil }}.Add(t.Context(), &d, time.Now())
		if ready := Ready(d, time.Now()); ready != tt.ready {
			t.Errorf("%s: ready %v: %+v %+v", tt.name, ready, d.Servers, d.Conditions)
		}
	}
}

// An application waits for every server that has keys for it, and for no other.
func TestAServerOutOfTheRingIsNotWaitedFor(t *testing.T) {
	for state, want := range map[string]string{
		"[SERVICE IN][UP][n/a][Nothing][NoSuspend]": "a connection to b",
		"[SERVICE OUT][UP][n/a][Nothing][Suspend]":  "",
	} {
		st := daemon.Status{PID: 7, Revision: 3, Servers: []daemon.Node{
			{Name: "a", CtlPort: 1, Sockets: 1, State: "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"},
			{Name: "b", CtlPort: 1, State: state},
		}}
		d := running()
		Look{Chmpx: func(context.Context) (daemon.Status, error) { return st, nil }}.Add(t.Context(), &d, time.Now())
		if got := Offline(d, time.Now()); got != want {
			t.Errorf("%s: an application waits for %q, want %q", state, got, want)
		}
	}
}

func TestAnAgentThatCannotBeSeenMayRun(t *testing.T) {
	d := running()
	d.Agent.State = status.Unknown
	if got := Offline(d, time.Now()); got != "the agent's status, which cannot be seen" {
		t.Errorf("an application waits for %q", got)
	}
}

func TestAPauseBetweenLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		look := Sparing(5*time.Second, func(context.Context) (int, error) { looks++; return looks, nil })
		for range 11 {
			_, _ = look(t.Context())
			time.Sleep(time.Second)
		}
		if looks != 3 {
			t.Errorf("%d looks in 11 s, want 3", looks)
		}
	})
}

const slaveINI = `[GLOBAL]
FILEVERSION = 5
MODE = SLAVE
DELIVERMODE = HASH
GROUP = orders
SELFCTLPORT = 8022
CUK_OF_NOBODY = x

[SVRNODE]
NAME = server-1.orders.example
PORT = 8020
CTLPORT = 8021

[SLVNODE]
NAME = [.]*
CTLPORT = 8022
`

func TestFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		path := filepath.Join(dir, name)
		fatal.If(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	if c, err := File(at("good.ini", slaveINI)); err != nil || c.FileVersion != 5 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := File(filepath.Join(dir, "none.ini")); err != nil || c != nil {
		t.Errorf("no file: %+v, %v", c, err)
	}
	for _, path := range []string{at("empty.ini", ""), at("bad.ini", strings.Replace(slaveINI, "GROUP", "GRUPPE", 1)), dir} {
		if _, err := File(path); !errors.Is(err, ErrNotGood) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestEye: with the probe file of a daemon nothing is written there; without it slave.ini says
// which chmpx it is.
func TestEye(t *testing.T) {
	dir := t.TempDir()
	answer, err := filepath.Abs("../../chmpx/daemon/testdata/healthy.txt")
	fatal.If(t, err)
	asked := filepath.Join(dir, "asked")
	command := filepath.Join(dir, "chmpxstatus")
	script := fmt.Sprintf("#!/bin/sh\necho \"$2\" >>%s\ncat \"$2\" >>%s\ncat %s\n", asked, asked, answer)
	fatal.If(t, os.WriteFile(command, []byte(script), 0o755))
	runDir, file := filepath.Join(dir, "run"), filepath.Join(dir, "slave.ini")
	fatal.If(t, os.Mkdir(runDir, 0o755))
	e := Eye{Command: command, RunDir: runDir, File: file}
	if _, err := e.Status(t.Context()); !errors.Is(err, ErrNoChmpx) {
		t.Errorf("%v; nothing says which chmpx", err)
	}
	fatal.If(t, os.WriteFile(file, []byte(slaveINI), 0o644))
	look := func(want string) {
		t.Helper()
		os.Remove(asked)
		st, err := e.Status(t.Context())
		if err != nil || st.PID != 4711 {
			t.Fatalf("%+v, %v", st, err)
		}
		if with, _ := os.ReadFile(asked); !strings.Contains(string(with), want) {
			t.Errorf("asked with %s, want %q", with, want)
		}
	}
	look("GROUP = orders")
	if names, _ := os.ReadDir(runDir); len(names) != 0 {
		t.Errorf("%v in the daemon's run-dir", names)
	}
	probe := filepath.Join(runDir, daemon.ProbeName)
	fatal.If(t, os.WriteFile(probe, []byte(strings.Replace(slaveINI, "orders", "others", 1)), 0o444))
	look(probe + "\n")
}
