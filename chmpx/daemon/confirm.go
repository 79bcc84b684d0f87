package daemon

import (
	"errors"
	"io/fs"
	"time"
)

// Outcome is what a probe of chmpx says about a revision that was applied.
type Outcome int

const (
	// Pending: not yet; probe again.
	Pending Outcome = iota
	// Confirmed: chmpx runs the revision.
	Confirmed
	// Gone: chmpx ran and does not run any more; or it did not run before and
	// has not come up within the limit.
	Gone
	// Late: the limit has passed and chmpx still runs another revision.
	Late
	// Unknown: chmpx cannot be probed, now or at all.
	Unknown
)

const (
	// FirstProbe is how long after the rename to probe chmpx for the first time: it
	// shows a new revision within 50 ms when it is not busy.
	FirstProbe = 60 * time.Millisecond
	// maxPause is the longest pause between two probes.
	maxPause = time.Second
)

// Confirmation decides, probe by probe, whether chmpx has applied a revision. It
// has no clock of its own: the caller probes, says when, and waits between.
type Confirmation struct {
	revision int
	ran      bool // chmpx ran before the rename, or at a probe since
	deadline time.Time
	pause    time.Duration
	absent   int // probes in a row that found no chmpx
}

// NewConfirmation starts to wait for revision at now, the moment of the
// rename, for at most limit. before is the last status from before the rename,
// nil when chmpx did not run or is about to be restarted on purpose.
//
// The caller probes the first time FirstProbe later. FILEVERSION is all that chmpx
// shows of its file: if it had the same number before the rename, the first probe
// confirms the revision and proves nothing.
func NewConfirmation(revision int, before *Status, now time.Time, limit time.Duration) *Confirmation {
	return &Confirmation{revision: revision, ran: before != nil, deadline: now.Add(limit), pause: FirstProbe}
}

// Probed takes the result of one Prober.Status at now. Any outcome but Pending is
// final; with Pending, next is how long to wait before the next probe. The waits
// double up to one second, and the last probe falls on the limit.
//
//   - chmpx runs the revision: Confirmed, in whichever process. A chmpx that was
//     restarted meanwhile has read the same file.
//   - chmpx runs another revision: Pending, at the limit Late.
//   - ErrNotRunning: if chmpx ran before the rename or at an earlier probe,
//     Pending once and Gone at the second probe in a row; else Pending, at the
//     limit Gone.
//   - ErrNotInstalled, ErrCannotRun, or this user may not read chmpx's memory:
//     Unknown at once.
//   - Any other failed probe: Pending, at the limit Unknown.
func (c *Confirmation) Probed(now time.Time, st Status, err error) (outcome Outcome, next time.Duration) {
	switch {
	case err == nil:
		c.ran, c.absent = true, 0
		if st.Revision == c.revision {
			return Confirmed, 0
		}
		outcome = Late
	case errors.Is(err, ErrNotRunning):
		// It takes two probes in a row: one may fall into a restart.
		if c.absent++; c.ran && c.absent >= 2 {
			return Gone, 0
		}
		outcome = Gone
	case errors.Is(err, ErrNotInstalled), errors.Is(err, ErrCannotRun), errors.Is(err, fs.ErrPermission):
		return Unknown, 0
	default:
		outcome = Unknown
	}
	left := c.deadline.Sub(now)
	if left <= 0 {
		return outcome, 0
	}
	c.pause = min(2*c.pause, maxPause)
	return Pending, min(c.pause, left)
}
