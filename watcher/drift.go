package watcher

import (
	"context"
	"log/slog"
	"time"
)

const (
	// leastDrift and mostDrift are the pauses between two repairs of a file
	// that somebody else keeps changing. The first repair comes at once: chmpx
	// loses its watch on a path that is empty for half a second (spec chmpx
	// D.2).
	leastDrift = time.Second
	mostDrift  = time.Minute
)

// drift is what somebody else does to the file.
type drift struct {
	timer    *time.Timer
	repaired time.Time
	gap      time.Duration
	nag      nag // somebody changes it
	failure  nag // it cannot be put back
}

// checkDrift puts the file back if it is not what was put in place.
func (w *Watcher) checkDrift(ctx context.Context) {
	if !w.current.good {
		return
	}
	b, err := w.File.Read()
	if err == nil && sum(b) == w.current.sum {
		if w.drift.failure.over() {
			w.Log.Info("slave.ini is as it should be again")
		}
		return
	}
	if wait := time.Until(w.drift.repaired.Add(w.drift.gap)); wait > 0 {
		w.drift.timer.Reset(wait)
		return
	}
	what := "was changed"
	if err != nil {
		what = "cannot be read"
	}
	w.space()
	w.Log.Log(ctx, w.drift.nag.level(what, slog.LevelWarn), "slave.ini "+what+" by somebody else; the last good one is put back", "file", w.File.Path, "error", err)
	if err := w.again(ctx); err != nil {
		w.drift.failure.err = err
		w.Log.Log(ctx, w.drift.failure.level(err.Error(), slog.LevelError), "slave.ini could not be put back", "error", w.explain(err))
		w.drift.timer.Reset(w.drift.gap)
		return
	}
	if w.drift.failure.over() {
		w.Log.Info("slave.ini is put back")
	}
}

// space keeps repairs apart that follow one another.
func (w *Watcher) space() {
	now := time.Now()
	if now.Sub(w.drift.repaired) > w.drift.gap+mostDrift {
		w.drift.gap = 0
		w.drift.nag.over()
	}
	w.drift.gap = min(max(2*w.drift.gap, leastDrift), mostDrift)
	w.drift.repaired = now
}
