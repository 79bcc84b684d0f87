package watcher

import (
	"context"
	"errors"
	"time"

	"k2hdkc-slave-agent/watcher/member"
)

const (
	// probeEvery is about how often a member looks whether it still is one.
	// Reading by a token would not show it (spec k2hr3 C.8).
	probeEvery = 10 * time.Minute

	// doubtPause is about how long a doubt waits before the membership is
	// looked at, and missedPause how long a host that K2HR3 misses waits before
	// it looks again.
	doubtPause  = 5 * time.Second
	missedPause = 15 * time.Second

	// maxKeepPause is the longest pause after a failure.
	maxKeepPause = 5 * time.Minute
)

// standing is the membership in the role.
type standing struct {
	timer *time.Timer
	done  chan kept
	busy  bool
	due   time.Time // when it must be over, while busy
	again bool

	known  member.Identity // what K2HR3 knows this host by
	sure   bool            // the last look found no fault
	first  bool            // there was a look since the start
	pauses backoff
	nag    nag
}

// kept is what came of seeing to the membership.
type kept struct {
	known      member.Identity
	err        error
	registered bool // anew
}

// keep sees to the membership, beside the loop.
func (w *Watcher) keep(ctx context.Context) {
	if w.standing.busy {
		w.standing.again = true
		return
	}
	w.standing.busy = true
	w.standing.due = w.due(keepExchanges * w.Member.Client.Longest())
	known := w.standing.known
	w.beside(func() {
		before := w.Member.Registrations()
		known, err := w.Member.Keep(ctx, known)
		w.standing.done <- kept{known, err, w.Member.Registrations() != before}
	})
}

func (w *Watcher) keepIn(d time.Duration) { w.standing.timer.Reset(d) }

// kept takes what came of it. The first request for the text follows it,
// whatever it was: the host may be able to read all the same. And so does one
// after each registration, which changes the text.
func (w *Watcher) kept(ctx context.Context, k kept) {
	w.standing.busy = false
	if ctx.Err() != nil {
		return
	}
	if w.standing.know(k.known) {
		w.remember()
	}
	if !w.standing.first || k.registered {
		w.standing.first = true
		w.askAgain(ctx)
	}
	w.standing.sure = k.err == nil
	switch {
	case k.err == nil:
		w.standing.pauses.reset()
		w.standing.nag.over()
		w.keepIn(jitter(probeEvery))
	case errors.Is(k.err, member.ErrMissing):
		w.complain(&w.standing.nag, "membership is not certain", k.err)
		w.keepIn(jitter(missedPause))
	default:
		w.complain(&w.standing.nag, "membership is not certain", k.err)
		w.standing.pauses.next = max(w.standing.pauses.next, doubtPause/2)
		w.keepIn(w.standing.pauses.pause(maxKeepPause))
	}
	if w.standing.again {
		w.standing.again = false
		w.keepIn(0)
	}
}

// know takes over what K2HR3 knows the host by, and reports whether that is
// something else than before.
func (s *standing) know(known member.Identity) bool {
	if s.known == known {
		return false
	}
	s.known = known
	return true
}

// moved has the membership seen to at once. While the host cannot register
// under its new address it is told of the move with each answer; what was
// planned then stays.
func (w *Watcher) moved() {
	if w.standing.sure {
		w.standing.sure = false
		w.keepIn(0)
	}
}

// doubt has the membership seen to soon, unless that is under way already.
func (w *Watcher) doubt() {
	if w.standing.sure {
		w.standing.sure = false
		w.keepIn(jitter(doubtPause))
	}
}
