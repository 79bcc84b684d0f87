package watcher

import (
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// confirmation decides whether chmpx has taken the file in place.
type confirmation struct {
	limit time.Duration // 0: chmpx is not asked

	pending *daemon.Confirmation // nil: nothing is to be confirmed
	since   time.Time            // when the revision to confirm was put in place
	ran     bool                 // chmpx ran then
	tries   int                  // replacements made because of no confirmation
	unread  bool                 // chmpx cannot read the file, so nothing more is tried
	done    bool                 // chmpx runs the current slave.ini
	doneAt  time.Time            // when it was first seen to
	changed time.Time            // when the change was there that chmpx has yet to run; zero: none
	stopped trouble              // chmpx does not go on
}

// expect waits for chmpx to show a revision that was just put in place. before
// is what chmpx ran until then, nil if it did not run or is restarted. It reports
// whether chmpx is to be probed for it.
func (c *confirmation) expect(now time.Time, revision int, before *daemon.Status) bool {
	c.done = false
	c.ran = before != nil
	if c.limit == 0 {
		return false
	}
	c.since = now
	c.pending = daemon.NewConfirmation(revision, before, now, c.limit)
	return true
}

// look takes a probe while a revision is to be confirmed. With daemon.Pending,
// next is the time to the next probe; any other outcome ends the wait.
func (c *confirmation) look(now time.Time, p probed) (outcome daemon.Outcome, next time.Duration) {
	outcome, next = c.pending.Probed(now, p.status, p.err)
	if outcome != daemon.Pending {
		c.pending = nil
	}
	return outcome, next
}

// change takes note that a change of K2HR3's is in place, which was there at a time; zero: what is
// in place is no change.
func (c *confirmation) change(at time.Time) { c.changed = at }

// confirmed takes note that chmpx runs the current slave.ini, and returns when the change in it was
// there; zero if that is no news.
func (c *confirmation) confirmed(now time.Time) (changed time.Time) {
	if !c.done {
		c.doneAt = now
	}
	changed = c.changed
	c.stopped.over()
	c.done, c.tries, c.unread, c.changed = true, 0, false, time.Time{}
	return changed
}

// renew forgets failed tries: the file in place is another one, or chmpx can read it now.
func (c *confirmation) renew() { c.tries, c.unread = 0, false }

// cannotRead takes note that chmpx cannot read the file.
func (c *confirmation) cannotRead() { c.unread = true }

// failed counts a revision that chmpx did not take, and returns how many there
// were in a row.
func (c *confirmation) failed() int {
	c.tries++
	return c.tries
}
