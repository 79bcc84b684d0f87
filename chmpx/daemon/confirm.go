package daemon

import (
	"errors"
	"io/fs"
	"time"
)

// Outcome is what a look at chmpx says about a revision that was put in place.
type Outcome int

const (
	// Pending: not yet; look again.
	Pending Outcome = iota
	// Confirmed: chmpx runs the revision.
	Confirmed
	// Gone: chmpx ran and does not run any more; or it did not run before and
	// has not come up within the limit.
	Gone
	// Late: the limit has passed and chmpx lives on an other revision.
	Late
	// Unknown: chmpx cannot be looked at, now or in general.
	Unknown
)

const (
	// FirstLook is how long after the rename the first look is worth its
	// while: chmpx shows a new revision within 50 ms when it is not busy.
	FirstLook = 60 * time.Millisecond
	// maxPause is the longest pause between two looks.
	maxPause = time.Second
)

// Confirmation decides, look by look, whether chmpx has taken a revision. It
// keeps no time of its own: the caller looks, says when, and waits as told.
type Confirmation struct {
	revision int
	ran      bool // chmpx ran before the rename, or at a look since
	deadline time.Time
	pause    time.Duration
	absent   int // looks in a row that found no chmpx
}

// NewConfirmation starts to wait for revision at now, the moment of the
// rename, for at most limit. before is the last status from before the rename,
// nil when chmpx did not run or is about to be restarted on purpose.
//
// The caller looks the first time FirstLook later. FILEVERSION is all chmpx
// shows of its file: when it had the same number before the rename already,
// the first look confirms and proves nothing.
func NewConfirmation(revision int, before *Status, now time.Time, limit time.Duration) *Confirmation {
	return &Confirmation{revision: revision, ran: before != nil, deadline: now.Add(limit), pause: FirstLook}
}

// Look takes the result of one Prober.Status at now. Any outcome but Pending
// is final; with Pending, next is how long to wait before the next look. The
// waits double up to one second, and the last look falls on the limit.
//
//   - The revision runs: Confirmed, in whichever process. A chmpx that was
//     restarted meanwhile has read the same file.
//   - Another revision runs: Pending, at the limit Late.
//   - ErrNotRunning: when chmpx ran before the rename or at an earlier look,
//     Pending once and Gone at the second look in a row; else Pending, at the
//     limit Gone.
//   - ErrNotInstalled, or chmpx's memory may not be read: Unknown at once.
//   - Any other failure to look: Pending, at the limit Unknown.
func (c *Confirmation) Look(now time.Time, st Status, err error) (outcome Outcome, next time.Duration) {
	switch {
	case err == nil:
		c.ran, c.absent = true, 0
		if st.Revision == c.revision {
			return Confirmed, 0
		}
		outcome = Late
	case errors.Is(err, ErrNotRunning):
		// It takes two looks in a row: one may have met a restart half way.
		if c.absent++; c.ran && c.absent >= 2 {
			return Gone, 0
		}
		outcome = Gone
	case errors.Is(err, ErrNotInstalled), errors.Is(err, fs.ErrPermission):
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
