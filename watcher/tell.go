package watcher

import (
	"context"
	"errors"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// telling is what is under way at chmpx's unit because of a new file.
type telling struct {
	done  chan told
	busy  bool
	due   time.Time // when it must be over, while busy
	waits bool      // a text is kept back until it is over

	// restart: the unit is to be restarted when it is over.
	restart bool

	// unstarted: chmpx may wait for its first file, which is in place, to be
	// started. It is remembered, for the agent may end before it gets to that.
	unstarted bool
}

// told is what came of it.
type told struct {
	err error
	up  bool // the unit runs, or was started
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
	w.steer(ctx, func(ctx context.Context) (bool, error) { return w.tellUnit(ctx, first) })
}

// startWaiting starts a chmpx whose first file is in place since an earlier run
// of the agent, which did not live to start it.
func (w *Watcher) startWaiting(ctx context.Context) {
	if w.telling.unstarted && w.current.good && w.Unit != nil {
		w.steer(ctx, func(ctx context.Context) (bool, error) { return w.tellUnit(ctx, true) })
	}
}

// restart restarts chmpx's unit, which only the operator's options ask for. It
// waits for the end of a job that is under way.
func (w *Watcher) restart(ctx context.Context) {
	if w.telling.busy {
		w.telling.restart = true
		return
	}
	w.looking.restarted = time.Now()
	w.expect(nil)
	w.steer(ctx, func(ctx context.Context) (bool, error) { return true, w.Unit.Restart(ctx) })
}

// steer runs one operation on the unit beside the loop.
func (w *Watcher) steer(ctx context.Context, f func(context.Context) (up bool, err error)) {
	if w.telling.busy {
		// Its end is awaited before anything is applied; this one comes on
		// top of a replacement that was made once more.
		return
	}
	w.telling.busy = true
	w.telling.due = w.due(tellLimit)
	w.beside(func() {
		up, err := f(ctx)
		w.telling.done <- told{err, up}
	})
}

func (w *Watcher) told(ctx context.Context, t told) {
	w.telling.busy = false
	if t.up {
		w.started()
	}
	err := t.err
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
	if w.telling.restart {
		w.telling.restart = false
		if w.Unit != nil && ctx.Err() == nil {
			w.restart(ctx)
		}
	}
}

// started takes note that chmpx does not wait to be started any more.
func (w *Watcher) started() {
	if w.telling.unstarted {
		w.telling.unstarted = false
		w.remember()
	}
}

// tellUnit does what the options want done to the unit of a chmpx whose file
// is new, and reports whether the unit is up.
func (w *Watcher) tellUnit(ctx context.Context, first bool) (up bool, err error) {
	st, err := w.Unit.State(ctx)
	if err != nil {
		return false, err
	}
	if !st.Active() {
		return w.startUnit(ctx, st, first)
	}
	switch {
	case w.Reload == ReloadRestart:
		return true, w.Unit.Restart(ctx)
	case w.Reload == ReloadAuto && st.CanReload:
		return true, w.Unit.Reload(ctx)
	}
	return true, nil
}

// startUnit starts a unit that waits for its first file. One that is down
// later was stopped by somebody, or fails for reasons of its own.
func (w *Watcher) startUnit(ctx context.Context, st daemon.UnitState, first bool) (up bool, err error) {
	start, why := daemon.StartDecision(st)
	if !w.Start || !first || !start {
		w.Log.Info("chmpx's unit is not running", "state", st.ActiveState, "reason", why)
		return false, nil
	}
	w.Log.Info("chmpx's first file is in place; starting its unit")
	err = w.Unit.Start(ctx)
	return err == nil, err
}
