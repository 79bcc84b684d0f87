package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoSystemd says that there is no systemd to talk to: the host was not
// booted with it, or its bus is not there.
var ErrNoSystemd = errors.New("systemd cannot be reached over D-Bus")

// UnitState is what systemd says of a unit. A unit that systemd does not know
// has LoadState "not-found" and ActiveState "inactive".
type UnitState struct {
	LoadState     string   // loaded, not-found, masked, bad-setting, error
	ActiveState   string   // active, reloading, inactive, failed, activating, deactivating
	UnitFileState string   // enabled, enabled-runtime, disabled, masked, static, linked; empty when unknown
	CanReload     bool     // the unit has a reload job
	Result        string   // of the latest run: success, exit-code, signal, start-limit-hit
	Command       string   // what the unit runs, its path alone; chmpx, or a helper script
	Args          []string // the whole command line of that, with the program's name
	User          string   // whom it runs as; empty: root
	DropIns       []string // the paths of the drop-ins that count
	Stale         bool     // the unit's files have changed since systemd read them

	invocation string // identifies one run of the unit
	busy       bool   // a job of the unit is queued or runs
}

// Active tells whether the unit runs.
func (s UnitState) Active() bool { return s.ActiveState == "active" || s.ActiveState == "reloading" }

// StartDecision says whether the agent may start a unit in this state, and why.
// The agent starts only a unit that the operator has enabled and that is merely
// down: anything else is the operator's decision, or a fault that a start does not
// cure.
func StartDecision(s UnitState) (start bool, why string) {
	switch s.LoadState {
	case "loaded":
	case "not-found":
		return false, "there is no such unit"
	case "masked":
		return false, "the unit is masked"
	default:
		return false, fmt.Sprintf("systemd could not load the unit (%s)", s.LoadState)
	}
	switch s.ActiveState {
	case "inactive":
	case "failed":
		return false, fmt.Sprintf("the unit has failed (%s)", s.Result)
	default:
		return false, fmt.Sprintf("the unit is %s", s.ActiveState)
	}
	switch s.UnitFileState {
	case "enabled", "enabled-runtime":
	case "":
		return false, "the unit is not enabled"
	default:
		return false, fmt.Sprintf("the unit is %s, not enabled", s.UnitFileState)
	}
	if s.busy {
		return false, "systemd is already working on the unit"
	}
	return true, "the unit is enabled and down"
}

// Unit is chmpx's unit. Every method makes a connection of its own and closes
// it; all give ErrNoSystemd when there is no systemd.
type Unit struct {
	Name    string        // "chmpx.service"; empty: there is no systemd here
	Timeout time.Duration // for one method, besides ctx's deadline; 0: two minutes

	dial func(context.Context) (bus, error) // nil: the system's
	poll time.Duration                      // between two questions for the state, when a job's result was lost; 0: a second
}

// bus is what the unit needs of a connection to systemd.
type bus interface {
	GetAllPropertiesContext(ctx context.Context, unit string) (map[string]any, error)
	StartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	ReloadUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	TryRestartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	Connected() bool
	Close()
}

// unitTimeout is longer than systemd's own limit for the start of a service.
const unitTimeout = 2 * time.Minute

// State asks systemd for the state of the unit.
func (u *Unit) State(ctx context.Context) (UnitState, error) {
	ctx, cancel := u.limit(ctx)
	defer cancel()
	conn, err := u.connect(ctx)
	if err != nil {
		return UnitState{}, err
	}
	defer conn.Close()
	return u.state(ctx, conn)
}

// Start starts the unit and waits until systemd has done so. StartDecision says
// whether to start it.
func (u *Unit) Start(ctx context.Context) error {
	return u.do(ctx, job{
		verb:    "start",
		call:    bus.StartUnitContext,
		settled: func(_, now UnitState) bool { return now.Active() },
	})
}

// Reload runs the unit's own reload job; the unit is never restarted for it.
// A unit without one, or one that does not run, is an error.
func (u *Unit) Reload(ctx context.Context) error {
	return u.do(ctx, job{
		verb: "reload",
		call: bus.ReloadUnitContext,
		allowed: func(s UnitState) error {
			if err := mustRun(s); err != nil {
				return err
			}
			if !s.CanReload {
				return errors.New("it has no reload job")
			}
			return nil
		},
		// Nothing shows afterwards whether a reload was made.
		settled: func(_, _ UnitState) bool { return false },
	})
}

// Restart restarts the unit if it runs. One that does not run is an error: whether
// to start it is another decision.
func (u *Unit) Restart(ctx context.Context) error {
	return u.do(ctx, job{
		verb:    "restart",
		call:    bus.TryRestartUnitContext,
		allowed: mustRun,
		settled: func(before, now UnitState) bool { return now.Active() && now.invocation != before.invocation },
	})
}

func mustRun(s UnitState) error {
	if !s.Active() {
		return fmt.Errorf("it does not run (%s)", s.ActiveState)
	}
	return nil
}

// job is one kind of thing systemd is asked to do with the unit.
type job struct {
	verb    string
	call    func(b bus, ctx context.Context, name, mode string, ch chan<- string) (int, error)
	allowed func(UnitState) error            // nil: in any state
	settled func(before, now UnitState) bool // the state shows that it was done
}

// mode makes a job fail rather than undo one that is queued: the operator may be
// stopping the unit.
const mode = "fail"

func (u *Unit) do(ctx context.Context, j job) error {
	ctx, cancel := u.limit(ctx)
	defer cancel()
	if err := u.try(ctx, j); err != nil {
		return fmt.Errorf("%s %s: %w", j.verb, u.Name, err)
	}
	return nil
}

func (u *Unit) try(ctx context.Context, j job) error {
	conn, err := u.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	before, err := u.state(ctx, conn)
	if err != nil {
		return err
	}
	if j.allowed != nil {
		if err := j.allowed(before); err != nil {
			return err
		}
	}
	// One result, and room for it: the connection must never wait for us.
	result := make(chan string, 1)
	if _, err := j.call(conn, ctx, u.Name, mode, result); err != nil {
		return u.explain(ctx, err)
	}
	word, err := u.wait(ctx, conn, result)
	if err != nil {
		return u.afterLoss(ctx, j, before, err)
	}
	return u.verdict(word)
}

var errLost = errors.New("the connection to systemd was lost before it reported the result")

// wait returns systemd's result of the job. A connection that breaks delivers
// none, so wait watches it too.
func (u *Unit) wait(ctx context.Context, conn bus, result <-chan string) (string, error) {
	check := time.NewTicker(u.pollEvery())
	defer check.Stop()
	for {
		select {
		case word := <-result:
			return word, nil
		case <-ctx.Done():
			return "", fmt.Errorf("systemd has not reported the result: %w", context.Cause(ctx))
		case <-check.C:
			if conn.Connected() {
				continue
			}
			select {
			case word := <-result:
				return word, nil
			default:
				return "", errLost
			}
		}
	}
}

// afterLoss finds out from the unit's state what became of a job whose result did
// not arrive. It asks until ctx ends, and once if ctx has ended already.
func (u *Unit) afterLoss(ctx context.Context, j job, before UnitState, loss error) error {
	for {
		now, err := u.lateState(ctx)
		switch {
		case err != nil:
		case j.settled(before, now):
			return nil
		case now.ActiveState == "failed":
			return fmt.Errorf("%w; the unit has failed (%s): see `journalctl -u %s`", loss, now.Result, u.Name)
		case !now.busy:
			return fmt.Errorf("%w; the unit is %s", loss, now.ActiveState)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: see `systemctl status %s`", loss, u.Name)
		case <-time.After(u.pollEvery()):
		}
	}
}

// lateState is State with a little time of its own, for when ctx has ended.
func (u *Unit) lateState(ctx context.Context) (UnitState, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return u.State(ctx)
}

// verdict turns the result of a job into an error that says where to find the
// cause.
func (u *Unit) verdict(word string) error {
	switch word {
	case "done":
		return nil
	case "failed":
		return fmt.Errorf("the job failed: see `journalctl -u %s`", u.Name)
	case "timeout":
		return fmt.Errorf("the job took longer than systemd allows: see `journalctl -u %s`", u.Name)
	case "dependency":
		return fmt.Errorf("a unit it depends on failed: see `systemctl list-dependencies %s`", u.Name)
	case "canceled":
		return errors.New("somebody cancelled the job")
	case "skipped":
		return fmt.Errorf("systemd skipped the job, as it does not apply in the unit's state: see `systemctl status %s`", u.Name)
	}
	return fmt.Errorf("the job ended as %q: see `journalctl -u %s`", word, u.Name)
}

func (u *Unit) state(ctx context.Context, conn bus) (UnitState, error) {
	props, err := conn.GetAllPropertiesContext(ctx, u.Name)
	if err != nil {
		return UnitState{}, fmt.Errorf("state of %s: %w", u.Name, u.explain(ctx, err))
	}
	s := UnitState{
		LoadState:     text(props, "LoadState"),
		ActiveState:   text(props, "ActiveState"),
		UnitFileState: text(props, "UnitFileState"),
		CanReload:     props["CanReload"] == true,
		Result:        text(props, "Result"),
	}
	s.Command, s.Args = command(props)
	s.User = text(props, "User")
	s.DropIns, _ = props["DropInPaths"].([]string)
	s.Stale = props["NeedDaemonReload"] == true
	if id, ok := props["InvocationID"].([]byte); ok {
		s.invocation = string(id)
	}
	// A pair of a number, 0 for none, and a path.
	if pair, ok := props["Job"].([]any); ok && len(pair) > 0 {
		s.busy = pair[0] != uint32(0)
	}
	if s.LoadState == "" || s.ActiveState == "" {
		return UnitState{}, fmt.Errorf("state of %s: systemd's answer does not have it", u.Name)
	}
	return s, nil
}

// command returns the path and the arguments of the first ExecStart=, which comes as a list of
// structures that begin with them.
func command(props map[string]any) (path string, args []string) {
	list, _ := props["ExecStart"].([][]any)
	if len(list) == 0 || len(list[0]) == 0 {
		return "", nil
	}
	path, _ = list[0][0].(string)
	if len(list[0]) > 1 {
		args, _ = list[0][1].([]string)
	}
	return path, args
}

func text(props map[string]any, name string) string {
	s, _ := props[name].(string)
	return s
}

func (u *Unit) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := u.Timeout
	if timeout <= 0 {
		timeout = unitTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

func (u *Unit) pollEvery() time.Duration {
	if u.poll > 0 {
		return u.poll
	}
	return time.Second
}

func (u *Unit) connect(ctx context.Context) (bus, error) {
	if u.Name == "" {
		return nil, fmt.Errorf("%w: no unit is configured", ErrNoSystemd)
	}
	dial := u.dial
	if dial == nil {
		dial = dialSystemd
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, u.explain(ctx, err)
	}
	return conn, nil
}

// explain says what an error of the bus means to the operator.
func (u *Unit) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("systemd does not answer: %w", context.Cause(ctx))
	}
	return explainBus(err)
}
