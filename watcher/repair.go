package watcher

import (
	"errors"
	"io/fs"
	"log/slog"
	"time"
)

const (
	// leastRepairPause and maxRepairPause bound the pauses between two repairs of a file that
	// somebody else keeps changing. The first repair comes at once: chmpx loses its watch on a path
	// that is empty for half a second (docs/chmpx.md D.2).
	leastRepairPause = time.Second
	maxRepairPause   = time.Minute
)

// repair decides when a file that somebody else has changed is restored.
type repair struct {
	next    alarm
	last    time.Time
	gap     time.Duration
	changed trouble // somebody changes it
	failure trouble // it cannot be put back
}

// mayBegin reports whether it is time for another repair, and plans one for
// later if it is not.
func (r *repair) mayBegin(now time.Time) bool {
	if at := r.last.Add(r.gap); now.Before(at) {
		r.next.set(at)
		return false
	}
	return true
}

// begin takes note of a repair that begins now. err is why the file cannot be
// read, nil if it was changed.
func (r *repair) begin(now time.Time, path string, err error) {
	if now.Sub(r.last) > r.gap+maxRepairPause {
		r.gap = 0
		r.changed.over()
	}
	r.gap = min(max(2*r.gap, leastRepairPause), maxRepairPause)
	r.last = now
	message := "cannot read slave.ini; restoring the last good one"
	switch {
	case err == nil:
		message = "another program changed slave.ini; restoring the last good one"
	case errors.Is(err, fs.ErrNotExist):
		message = "another program removed slave.ini; restoring the last good one"
		err = nil
	}
	r.changed.report(now, slog.LevelWarn, message, err, "file", path)
}

// failed plans another try.
func (r *repair) failed(now time.Time, err error) {
	r.failure.report(now, slog.LevelError, "cannot restore slave.ini", err)
	r.next.set(now.Add(r.gap))
}

// locked takes note that another agent keeps the file, and plans another look.
func (r *repair) locked(now time.Time, err error) {
	r.failure.report(now, slog.LevelError, "cannot keep slave.ini right", err)
	r.next.set(now.Add(maxRepairPause))
}

// done ends a trouble with putting the file back.
func (r *repair) done(message string) { r.failure.end(message) }
