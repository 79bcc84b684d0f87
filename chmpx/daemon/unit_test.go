package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"k2hdkc-slave-agent/tests/fatal"
)

// fakeSystemd plays systemd for the connections a Unit makes to it.
type fakeSystemd struct {
	mu      sync.Mutex
	props   map[string]any // of the unit, at this moment
	result  string         // of a job; empty: none is ever told
	err     error          // of a call that asks for a job
	stuck   bool           // calls are never answered
	onJob   func()         // what a job does to the unit
	lose    time.Duration  // a connection with a job dies after this long; 0: never
	noBus   error          // dialling fails
	dials   int
	open    int
	jobs    []string
	deadBus bool // after a loss nothing can be dialled
}

func (f *fakeSystemd) unit() *Unit {
	return &Unit{Name: "chmpx.service", dial: func(context.Context) (bus, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.dials++
		if f.noBus != nil {
			return nil, f.noBus
		}
		f.open++
		return &fakeBus{systemd: f, connected: true}, nil
	}}
}

type fakeBus struct {
	systemd   *fakeSystemd
	connected bool
}

func (b *fakeBus) GetAllPropertiesContext(ctx context.Context, unit string) (map[string]any, error) {
	if unit != "chmpx.service" {
		return nil, errors.New("asked for " + unit)
	}
	if b.systemd.stuck {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b.systemd.mu.Lock()
	defer b.systemd.mu.Unlock()
	return b.systemd.props, nil
}

func (b *fakeBus) job(verb, name, mode string, ch chan<- string) (int, error) {
	f := b.systemd
	f.jobs = append(f.jobs, verb+" "+name+" "+mode)
	if f.err != nil {
		return 0, f.err
	}
	if f.onJob != nil {
		f.onJob()
	}
	if f.lose > 0 {
		time.AfterFunc(f.lose, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			b.connected = false
			if f.deadBus {
				f.noBus = errors.New("dial: no bus")
			}
		})
	}
	if f.result != "" {
		if cap(ch) != 1 {
			return 0, errors.New("the result channel must have room for one")
		}
		time.AfterFunc(300*time.Millisecond, func() { ch <- f.result })
	}
	return 1, nil
}

func (b *fakeBus) StartUnitContext(_ context.Context, name, mode string, ch chan<- string) (int, error) {
	return b.job("start", name, mode, ch)
}

func (b *fakeBus) ReloadUnitContext(_ context.Context, name, mode string, ch chan<- string) (int, error) {
	return b.job("reload", name, mode, ch)
}

func (b *fakeBus) TryRestartUnitContext(_ context.Context, name, mode string, ch chan<- string) (int, error) {
	return b.job("try-restart", name, mode, ch)
}

func (b *fakeBus) Connected() bool {
	b.systemd.mu.Lock()
	defer b.systemd.mu.Unlock()
	return b.connected
}

func (b *fakeBus) Close() {
	b.systemd.mu.Lock()
	defer b.systemd.mu.Unlock()
	b.systemd.open--
}

func unitProps(active string, more map[string]any) map[string]any {
	props := map[string]any{
		"LoadState": "loaded", "ActiveState": active, "UnitFileState": "enabled",
		"CanReload": true, "Result": "success",
		"InvocationID": []byte{1}, "Job": []any{uint32(0), "/"},
		"ExecStart": [][]any{{"/usr/bin/chmpx", []string{"/usr/bin/chmpx", "-conf", "x.ini"}, false}},
	}
	for k, v := range more {
		props[k] = v
	}
	return props
}

func TestUnitState(t *testing.T) {
	tests := []struct {
		name  string
		props map[string]any
		want  UnitState
	}{
		{"running", unitProps("active", nil), UnitState{LoadState: "loaded", ActiveState: "active",
			UnitFileState: "enabled", CanReload: true, Result: "success", Command: "/usr/bin/chmpx", Args: []string{"/usr/bin/chmpx", "-conf", "x.ini"}}},
		{"missing", map[string]any{"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": "", "CanReload": false},
			UnitState{LoadState: "not-found", ActiveState: "inactive"}},
		{"failed", unitProps("failed", map[string]any{"CanReload": false, "Result": "start-limit-hit"}),
			UnitState{LoadState: "loaded", ActiveState: "failed", UnitFileState: "enabled",
				Result: "start-limit-hit", Command: "/usr/bin/chmpx", Args: []string{"/usr/bin/chmpx", "-conf", "x.ini"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeSystemd{props: tt.props}
			got, err := f.unit().State(t.Context())
			fatal.If(t, err)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(UnitState{})); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			if f.dials != 1 || f.open != 0 {
				t.Errorf("%d connections made, %d left open", f.dials, f.open)
			}
		})
	}
	if _, err := (&fakeSystemd{props: map[string]any{"Id": "x"}}).unit().State(t.Context()); err == nil {
		t.Error("an answer without a state was taken")
	}
}

func TestUnitJobs(t *testing.T) {
	const limit = 10 * time.Second
	start := func(u *Unit, ctx context.Context) error { return u.Start(ctx) }
	reload := func(u *Unit, ctx context.Context) error { return u.Reload(ctx) }
	restart := func(u *Unit, ctx context.Context) error { return u.Restart(ctx) }
	up := unitProps("active", nil)
	down := unitProps("inactive", nil)
	starting := unitProps("activating", map[string]any{"Job": []any{uint32(9), "/job/9"}})
	tests := []struct {
		name    string
		do      func(*Unit, context.Context) error
		systemd *fakeSystemd
		then    map[string]any // what the job makes of the unit; nil: it stays
		later   map[string]any // and after 4.5 s
		jobs    []string
		says    string // part of the error; empty: none
		within  time.Duration
	}{
		{name: "start", do: start, systemd: &fakeSystemd{props: down, result: "done"}, jobs: []string{"start chmpx.service fail"}},
		{name: "reload", do: reload, systemd: &fakeSystemd{props: up, result: "done"}, jobs: []string{"reload chmpx.service fail"}},
		{name: "restart", do: restart, systemd: &fakeSystemd{props: up, result: "done"}, jobs: []string{"try-restart chmpx.service fail"}},

		{name: "the job fails", do: start, systemd: &fakeSystemd{props: down, result: "failed"},
			jobs: []string{"start chmpx.service fail"}, says: "journalctl -u chmpx.service"},
		{name: "the job is cancelled", do: start, systemd: &fakeSystemd{props: down, result: "canceled"},
			jobs: []string{"start chmpx.service fail"}, says: "cancelled"},
		{name: "the job times out", do: restart, systemd: &fakeSystemd{props: up, result: "timeout"},
			jobs: []string{"try-restart chmpx.service fail"}, says: "longer than systemd allows"},
		{name: "a dependency fails", do: start, systemd: &fakeSystemd{props: down, result: "dependency"},
			jobs: []string{"start chmpx.service fail"}, says: "depends on"},
		{name: "the job is skipped", do: start, systemd: &fakeSystemd{props: down, result: "skipped"},
			jobs: []string{"start chmpx.service fail"}, says: "skipped"},
		{name: "a result of tomorrow", do: start, systemd: &fakeSystemd{props: down, result: "melted"},
			jobs: []string{"start chmpx.service fail"}, says: `"melted"`},
		{name: "systemd refuses", do: start, systemd: &fakeSystemd{props: down, err: errors.New("destructive")},
			jobs: []string{"start chmpx.service fail"}, says: "destructive"},

		{name: "no reload without a reload job", do: reload, says: "no reload job",
			systemd: &fakeSystemd{props: unitProps("active", map[string]any{"CanReload": false}), result: "done"}},
		{name: "no reload of a unit that is down", do: reload, says: "does not run",
			systemd: &fakeSystemd{props: down, result: "done"}},
		{name: "no restart of a unit that is down", do: restart, says: "does not run",
			systemd: &fakeSystemd{props: down, result: "done"}},

		{name: "start, connection lost, and it started", do: start, then: up,
			systemd: &fakeSystemd{props: down, lose: time.Second}, jobs: []string{"start chmpx.service fail"}, within: 3 * time.Second},
		{name: "start, connection lost, and it starts in the end", do: start, then: starting, later: up,
			systemd: &fakeSystemd{props: down, lose: time.Second}, jobs: []string{"start chmpx.service fail"}, within: 6 * time.Second},
		{name: "start, connection lost, and it never comes to an end", do: start, then: starting,
			systemd: &fakeSystemd{props: down, lose: time.Second}, jobs: []string{"start chmpx.service fail"}, says: "lost", within: limit + time.Second},
		{name: "start, connection lost, and it failed", do: start, then: unitProps("failed", map[string]any{"Result": "exit-code"}),
			systemd: &fakeSystemd{props: down, lose: time.Second}, jobs: []string{"start chmpx.service fail"}, says: "exit-code", within: 3 * time.Second},
		{name: "start, connection lost, and it stayed down", do: start,
			systemd: &fakeSystemd{props: down, lose: time.Second}, jobs: []string{"start chmpx.service fail"}, says: "inactive", within: 3 * time.Second},
		{name: "start, connection lost, and the bus is gone", do: start, then: up,
			systemd: &fakeSystemd{props: down, lose: time.Second, deadBus: true}, jobs: []string{"start chmpx.service fail"}, says: "lost", within: limit + time.Second},
		{name: "restart, connection lost, a new run", do: restart, then: unitProps("active", map[string]any{"InvocationID": []byte{2}}),
			systemd: &fakeSystemd{props: up, lose: time.Second}, jobs: []string{"try-restart chmpx.service fail"}, within: 3 * time.Second},
		{name: "restart, connection lost, the old run", do: restart,
			systemd: &fakeSystemd{props: up, lose: time.Second}, jobs: []string{"try-restart chmpx.service fail"}, says: "lost", within: 3 * time.Second},
		{name: "reload, connection lost: nobody can tell", do: reload,
			systemd: &fakeSystemd{props: up, lose: time.Second}, jobs: []string{"reload chmpx.service fail"}, says: "lost", within: 3 * time.Second},

		{name: "no result by the deadline, but it started", do: start, then: up,
			systemd: &fakeSystemd{props: down}, jobs: []string{"start chmpx.service fail"}, within: limit + time.Second},
		{name: "no result by the deadline", do: start,
			systemd: &fakeSystemd{props: down}, jobs: []string{"start chmpx.service fail"}, says: "deadline exceeded", within: limit + time.Second},
		{name: "systemd does not answer", do: start,
			systemd: &fakeSystemd{props: down, stuck: true}, says: "does not answer", within: limit + time.Second},
		{name: "no systemd", do: start, systemd: &fakeSystemd{noBus: ErrNoSystemd}, says: ErrNoSystemd.Error(), within: time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := tt.systemd
				f.onJob = func() {
					if tt.then != nil {
						f.props = tt.then
					}
					if tt.later != nil {
						time.AfterFunc(4500*time.Millisecond, func() {
							f.mu.Lock()
							defer f.mu.Unlock()
							f.props = tt.later
						})
					}
				}
				u := f.unit()
				u.Timeout = limit
				began := time.Now()
				err := tt.do(u, t.Context())
				took := time.Since(began)
				switch {
				case tt.says == "" && err != nil:
					t.Errorf("error %v", err)
				case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
					t.Errorf("error %v does not say %q", err, tt.says)
				}
				if tt.within == 0 {
					tt.within = 300 * time.Millisecond
				}
				if took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
				if diff := cmp.Diff(tt.jobs, f.jobs); diff != "" {
					t.Error("jobs (-want +got)\n" + diff)
				}
				if f.open != 0 {
					t.Errorf("%d connections left open", f.open)
				}
			})
		})
	}
}

func TestUnitWithoutANameHasNoSystemd(t *testing.T) {
	f := &fakeSystemd{props: unitProps("active", nil)}
	u := f.unit()
	u.Name = ""
	if _, err := u.State(t.Context()); !errors.Is(err, ErrNoSystemd) || f.dials > 0 {
		t.Errorf("error %v after %d connections, want ErrNoSystemd and none", err, f.dials)
	}
}

func TestUnitJobEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSystemd{props: unitProps("inactive", nil)}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		began := time.Now()
		err := f.unit().Start(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestStartDecisionStartsOnlyWhatIsEnabledAndDown(t *testing.T) {
	down := UnitState{LoadState: "loaded", ActiveState: "inactive", UnitFileState: "enabled"}
	with := func(f func(*UnitState)) UnitState {
		s := down
		f(&s)
		return s
	}
	file := func(word string) UnitState { return with(func(s *UnitState) { s.UnitFileState = word }) }
	active := func(word string) UnitState { return with(func(s *UnitState) { s.ActiveState = word }) }
	load := func(word string) UnitState { return with(func(s *UnitState) { s.LoadState = word }) }
	tests := []struct {
		name  string
		state UnitState
		start bool
		says  string
	}{
		{"enabled", down, true, "enabled and down"},
		{"enabled until the next boot", file("enabled-runtime"), true, "enabled and down"},
		{"disabled", file("disabled"), false, "disabled"},
		{"static", file("static"), false, "static"},
		{"linked", file("linked"), false, "linked"},
		{"indirect", file("indirect"), false, "indirect"},
		{"generated", file("generated"), false, "generated"},
		{"no unit file", file(""), false, "not enabled"},
		{"masked", with(func(s *UnitState) { s.LoadState, s.UnitFileState = "masked", "masked" }), false, "masked"},
		{"missing", with(func(s *UnitState) { s.LoadState, s.UnitFileState = "not-found", "" }), false, "no such unit"},
		{"unreadable", load("bad-setting"), false, "bad-setting"},
		{"running", active("active"), false, "active"},
		{"starting", active("activating"), false, "activating"},
		{"stopping", active("deactivating"), false, "deactivating"},
		{"failed", with(func(s *UnitState) { s.ActiveState, s.Result = "failed", "start-limit-hit" }), false, "start-limit-hit"},
		{"a job is queued", with(func(s *UnitState) { s.busy = true }), false, "already working"},
		{"nothing known", UnitState{}, false, "could not load"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start, why := StartDecision(tt.state)
			if start != tt.start || !strings.Contains(why, tt.says) {
				t.Errorf("%t, %q; want %t, %q", start, why, tt.start, tt.says)
			}
		})
	}
}
