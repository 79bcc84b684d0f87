package watcher

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

const (
	// leastRestart is the shortest time between two restarts of chmpx.
	leastRestart = 10 * time.Minute

	// jobPatience is how long a newer text waits for the end of a job.
	jobPatience = 2 * time.Second

	// unitLimit bounds a question to systemd that the loop waits for.
	unitLimit = 2 * time.Second
)

// unitJobs is what is under way at chmpx's unit because of a new file.
type unitJobs struct {
	log    *slog.Logger
	absent bool // there is no systemd, or no unit

	began time.Time // the latest job
	next  alarm     // when a newer text supersedes it

	// restartNext: the unit is restarted when the job under way has ended.
	restartNext bool
	restarted   time.Time // when it was last restarted

	// unstarted: chmpx may wait for its first file, which is in place, to be
	// started. It is saved, for the agent may end before it starts chmpx.
	unstarted bool
}

// jobDone is what came of a job of the unit.
type jobDone struct {
	err error
	up  bool // the unit runs, or was started
	// foreign: the unit is down, so the chmpx that runs is not the unit's.
	foreign bool
}

// begin takes note of a job that begins.
func (u *unitJobs) begin(now time.Time) { u.began = now }

// supersede plans the end of the wait for the job under way, because there is a newer
// text than the one it is for. systemd goes on with the job.
func (u *unitJobs) supersede(now time.Time) {
	at := u.began.Add(jobPatience)
	if at.Before(now) {
		at = now
	}
	u.next.set(at)
}

// ended takes what came of a job, and reports whether a restart follows it.
func (u *unitJobs) ended(j jobDone) (restart bool) {
	u.next.clear()
	switch {
	case j.err == nil, errors.Is(j.err, context.Canceled):
	case errors.Is(j.err, daemon.ErrNoSystemd):
		u.log.Info("no systemd here: chmpx learns of a new slave.ini by the rename alone", "reason", j.err)
		u.absent = true
	default:
		u.log.Warn("cannot control chmpx's unit", "error", j.err)
	}
	restart = u.restartNext && !u.absent
	u.restartNext = false
	return restart
}

// awaitsStart takes note that chmpx may wait for the file that is about to be
// put in place, and reports whether that is new.
func (u *unitJobs) awaitsStart() bool {
	was := u.unstarted
	u.unstarted = true
	return !was
}

// recall sets what was saved before the agent was started.
func (u *unitJobs) recall(unstarted bool) { u.unstarted = unstarted }

// started takes note that chmpx does not wait to be started any more, and
// reports whether that is new.
func (u *unitJobs) started() bool {
	was := u.unstarted
	u.unstarted = false
	return was
}

// restartAfterJob has the job under way followed by a restart.
func (u *unitJobs) restartAfterJob() { u.restartNext = true }

func (u *unitJobs) restarting(now time.Time) { u.restarted = now }

// mayRestart reports whether the last restart is long enough ago.
func (u *unitJobs) mayRestart(now time.Time, log *slog.Logger) bool {
	if ago := now.Sub(u.restarted); ago < leastRestart {
		log.Error("not restarting chmpx: it was restarted a short while ago", "ago", ago.Round(time.Second).String())
		return false
	}
	return true
}

// tellUnit does what the options want done to the unit of a chmpx whose file
// is new, and reports whether the unit is up. first: there was no good file
// before, so a chmpx that is down may have waited for this one.
func (w *Watcher) tellUnit(ctx context.Context, first bool) jobDone {
	st, err := w.Unit.State(ctx)
	switch {
	case err != nil:
		return jobDone{err: err}
	case !st.Active():
		return w.startUnit(ctx, st, first)
	case w.Reload == ReloadRestart:
		return jobDone{err: w.restart(ctx), up: true}
	case w.Reload == ReloadAuto && st.CanReload:
		return jobDone{err: w.Unit.Reload(ctx), up: true}
	}
	return jobDone{up: true}
}

// startUnit starts a unit that waits for its first file. One that is down
// later was stopped by somebody, or fails for reasons of its own.
func (w *Watcher) startUnit(ctx context.Context, st daemon.UnitState, first bool) jobDone {
	start, why := daemon.StartDecision(st)
	switch {
	case !start:
	case !w.Start:
		start, why = false, "start is no"
	case !first:
		start, why = false, "only the first slave.ini starts it"
	}
	if !start {
		w.Log.Info("chmpx's unit is not running; not starting it", "state", st.ActiveState, "reason", why)
		return jobDone{}
	}
	w.Log.Info("starting chmpx's unit, which waited for its first slave.ini")
	err := w.Unit.Start(ctx)
	return jobDone{err: err, up: err == nil}
}

// unitStopped reports whether systemd says that chmpx was stopped, rather than
// ended: the unit is down for good and nothing went wrong with it.
func (w *Watcher) unitStopped(ctx context.Context) bool {
	if w.Unit == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	st, err := w.Unit.State(ctx)
	return err == nil && st.Result == "success" && (st.ActiveState == "inactive" || st.ActiveState == "deactivating")
}
