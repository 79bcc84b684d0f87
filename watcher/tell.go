package watcher

import (
	"context"
	"errors"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// telling is what is under way at chmpx's unit because of a new file.
type telling struct {
	done  chan error
	busy  bool
	waits bool // a text is kept back until it is over
}

// tell makes chmpx read the file that was just put in place, and waits for it
// to show that. The rename has told a running chmpx already. first: there was
// no good file before, so a chmpx that is down may have waited for this one.
func (w *Watcher) tell(ctx context.Context, first bool) {
	before := w.looking.last
	if w.Reload == ReloadRestart {
		before = nil
	}
	w.expect(before)
	if w.Unit == nil {
		return
	}
	w.steer(ctx, func(ctx context.Context) error { return w.tellUnit(ctx, first) })
}

// restart restarts chmpx's unit, which only the operator's options ask for.
func (w *Watcher) restart(ctx context.Context) {
	w.expect(nil)
	w.steer(ctx, w.Unit.Restart)
}

// steer runs one operation on the unit beside the loop.
func (w *Watcher) steer(ctx context.Context, f func(context.Context) error) {
	if w.telling.busy {
		// Its end is awaited before anything is applied; this one comes on
		// top of a replacement that was made once more.
		return
	}
	w.telling.busy = true
	w.beside(func() { w.telling.done <- f(ctx) })
}

func (w *Watcher) told(err error) {
	w.telling.busy = false
	if w.telling.waits {
		w.telling.waits = false
		w.askIn(0)
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case errors.Is(err, daemon.ErrNoSystemd):
		w.Log.Info("no systemd here: chmpx is told by the rename alone", "reason", err)
		w.Unit = nil
	default:
		w.Log.Warn("chmpx's unit", "error", err)
	}
}

// tellUnit does what the options want done to the unit of a chmpx whose file
// is new.
func (w *Watcher) tellUnit(ctx context.Context, first bool) error {
	st, err := w.Unit.State(ctx)
	if err != nil {
		return err
	}
	if st.ActiveState != "active" && st.ActiveState != "reloading" {
		return w.startUnit(ctx, st, first)
	}
	switch {
	case w.Reload == ReloadRestart:
		return w.Unit.Restart(ctx)
	case w.Reload == ReloadAuto && st.CanReload:
		return w.Unit.Reload(ctx)
	}
	return nil
}

// startUnit starts a unit that waits for its first file. One that is down
// later was stopped by somebody, or fails for reasons of its own.
func (w *Watcher) startUnit(ctx context.Context, st daemon.UnitState, first bool) error {
	start, why := daemon.StartDecision(st)
	if !w.Start || !first || !start {
		w.Log.Info("chmpx's unit is not running", "state", st.ActiveState, "reason", why)
		return nil
	}
	w.Log.Info("chmpx's first file is in place; starting its unit")
	return w.Unit.Start(ctx)
}
