package watcher

import (
	"context"
	"errors"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

const (
	// settle is how long a change that a held request told of may be followed
	// by others before it is applied, and maxSettle how long at most.
	settle    = 250 * time.Millisecond
	maxSettle = time.Second

	// giveUp is when a change is applied at the latest, if K2HR3 has fallen
	// silent since.
	giveUp = settle + 2*maxSettle

	// atOnce: an answer that came faster was not held for a change.
	atOnce = 20 * time.Millisecond

	// hurry is the longest pause while there is no good file.
	hurry = 15 * time.Second

	// leastHold: a server that says it held a request for less did not.
	leastHold = time.Second

	// stretch is what the interval is multiplied with while chmpx shows that
	// all is well.
	stretch = 5
)

// asking is the conversation with K2HR3.
type asking struct {
	timer  *time.Timer
	done   chan asked
	cancel context.CancelFunc // of the request under way; nil: none
	due    time.Time          // when that must be over
	again  bool               // ask anew once it has ended

	// holds: the last answer came from a server that holds requests.
	holds   bool
	late    *time.Timer   // pending has waited long enough
	pending *k2hr3.Answer // waits for the burst to be over
	since   time.Time     // when pending began
	unseen  *asked        // waits for the first look at chmpx
	pauses  backoff
	hasty   backoff   // answers to held requests that come at once, for nothing
	notYet  time.Time // K2HR3 wants to be left alone until then
	silence nag       // K2HR3 gives no text
	refusal nag       // its text is refused, or cannot be written
	refused string    // the text, empty if the latest was not refused
}

// asked is what came of asking.
type asked struct {
	answer k2hr3.Answer
	err    error
	took   time.Duration
	alive  bool // after a failure: K2HR3's API answers all the same
	moved  bool // the host reaches K2HR3 from another address than it is known by
	again  bool // another answer is wanted at once, whatever becomes of this one
}

// ask starts a request, unless one is under way.
func (w *Watcher) ask(ctx context.Context) {
	if w.asking.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	w.asking.cancel = cancel
	w.asking.due = w.due(2*w.Wait + askExchanges*w.Member.Client.Longest())
	etag, known := w.knownETag(), w.standing.known
	wait := w.Wait
	if w.asking.pending != nil {
		wait = min(wait, maxSettle)
	}
	w.beside(func() {
		defer cancel()
		a := w.askOnce(ctx, etag, wait)
		a.moved = ctx.Err() == nil && w.Member.Moved(ctx, known)
		w.asking.done <- a
	})
}

// knownETag is that of the text in place. Without a good file the text is
// wanted even if it is the same.
func (w *Watcher) knownETag() string {
	if !w.current.good {
		return ""
	}
	return w.etag
}

// askOnce is one request.
func (w *Watcher) askOnce(ctx context.Context, etag string, wait time.Duration) (a asked) {
	start := time.Now()
	a.answer, a.err = w.Member.Ask(ctx, etag, wait)
	a.took = time.Since(start)
	if ambiguous(a.err) {
		a.alive = w.Member.Client.Ping(ctx) == nil
	}
	return a
}

// ambiguous: K2HR3 says the same to a host without rights and to every host
// while its store is down (spec k2hr3 0.6).
func ambiguous(err error) bool {
	return errors.Is(err, k2hr3.ErrUnauthorized) || errors.Is(err, k2hr3.ErrNotMember)
}

// askAgain asks at once, also if a request is being held.
func (w *Watcher) askAgain(ctx context.Context) {
	if w.asking.cancel != nil {
		w.asking.again = true
		w.asking.cancel()
		return
	}
	w.ask(ctx)
}

// askIn sets the time of the next request.
func (w *Watcher) askIn(d time.Duration) {
	w.asking.timer.Reset(max(d, time.Until(w.asking.notYet)))
}

// answered takes what came of a request and decides when to ask next.
func (w *Watcher) answered(ctx context.Context, a asked) {
	w.asking.cancel = nil
	if a.moved {
		w.moved()
	}
	a.again = w.asking.again
	w.asking.again = false
	switch {
	case ctx.Err() != nil:
	case a.err != nil && a.again:
		w.askIn(0)
	case a.err != nil:
		w.failed(ctx, a)
	default:
		if w.asking.silence.over() {
			w.Log.Info("K2HR3 answers again")
		}
		w.asking.holds = a.answer.Held > 0
		if w.Member.Outside() {
			w.doubt()
		}
		w.good(ctx, a)
	}
	if ctx.Err() == nil {
		w.checkDrift(ctx) // the events of the file may have been lost
	}
}

// failed takes a request that brought nothing.
func (w *Watcher) failed(ctx context.Context, a asked) {
	err := a.err
	if p := w.asking.pending; p != nil {
		w.asking.pending = nil
		w.pass(ctx, asked{answer: *p})
	}
	if errors.Is(err, k2hr3.ErrNotMember) {
		w.doubt()
	}
	w.complain(&w.asking.silence, silence(a), err)
	pause := w.asking.pauses.pause(w.longest())
	var e *k2hr3.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		w.asking.notYet = time.Now().Add(e.RetryAfter)
	}
	w.askIn(pause)
}

// silence says what an answer without a text may mean.
func silence(a asked) string {
	const stays = "K2HR3 gave no text; the file in place stays"
	if ambiguous(a.err) && a.alive {
		return stays + " (its API is up: the host has lost its right, or K2HR3's store is down)"
	}
	return stays
}

// longest is the longest pause after something that went wrong.
func (w *Watcher) longest() time.Duration {
	if w.current.good {
		return w.Interval
	}
	return min(w.Interval, hurry)
}

// good takes a proper answer.
func (w *Watcher) good(ctx context.Context, a asked) {
	if a.again {
		defer w.askIn(0)
	}
	switch {
	case a.answer.NotModified:
		w.asking.pending = nil
		w.accepted()
		w.askIn(w.pauseAfterSame(a))
	case w.telling.busy:
		w.telling.waits = true // told asks again: by then there may be a later text
	case w.unsettled(a):
		w.askIn(settle)
	case w.lookFirst(ctx, a.answer.Text):
		w.asking.unseen = &a
	default:
		w.asking.pending = nil
		w.pass(ctx, a)
	}
}

// accepted ends what was wrong with the text.
func (w *Watcher) accepted() {
	w.asking.refused = ""
	w.asking.pauses.reset()
	if w.asking.refusal.over() {
		w.Log.Info("the RESOURCE is as it should be again")
	}
}

// unsettled keeps a change back while others may follow it. Only a server that
// tells of changes the moment they happen can show the beginning of a burst,
// and only by a request that it did hold; and without a good file every moment
// counts.
func (w *Watcher) unsettled(a asked) bool {
	p := w.asking.pending
	switch {
	case a.answer.Held == 0 || w.knownETag() == "" || a.answer.Text == w.asking.refused:
		return false
	case p == nil && a.took < atOnce:
		return false
	case p == nil:
		w.asking.since = time.Now()
		w.asking.late.Reset(giveUp)
	case p.Text == a.answer.Text || time.Since(w.asking.since) >= maxSettle:
		return false
	}
	w.asking.pending = &a.answer
	return true
}

// settleNow ends the wait for the end of a burst where K2HR3 does not say any
// more whether there is one.
func (w *Watcher) settleNow(ctx context.Context) {
	p := w.asking.pending
	if p == nil {
		return
	}
	w.asking.pending = nil
	w.pass(ctx, asked{answer: *p})
	w.askAgain(ctx)
}

// pass leads an answer to the file and decides when to ask next.
func (w *Watcher) pass(ctx context.Context, a asked) {
	replaced, err := w.apply(ctx, a.answer)
	var refusal *Refusal
	switch {
	case ctx.Err() != nil: // what a judgement says then means nothing
	case errors.As(err, &refusal):
		w.asking.refused = a.answer.Text
		if refusal.Report.Has(chmpx.RuleSelfMissing) {
			w.doubt() // K2HR3 may have forgotten this host
		}
		w.complain(&w.asking.refusal, "the file in place stays", err)
		w.askIn(w.asking.pauses.pause(w.longest()))
	case err != nil:
		w.complain(&w.asking.refusal, "slave.ini could not be replaced", w.explain(err))
		w.askIn(w.asking.pauses.pause(w.longest()))
	default:
		w.accepted()
		if replaced && a.answer.Held > 0 {
			w.asking.hasty.reset()
			w.askIn(0)
			return
		}
		w.askIn(w.pauseAfterSame(a))
	}
}

// pauseAfterSame: a server that holds requests is asked again at once, if it
// does hold them. One that tells at once of a text that changes nothing may
// hold the next request, or never.
func (w *Watcher) pauseAfterSame(a asked) time.Duration {
	switch {
	case a.answer.Held == 0:
		return w.pause()
	case a.took >= leastHold:
		w.asking.hasty.reset()
		return 0
	case a.answer.NotModified:
		return w.pause()
	}
	return w.asking.hasty.pause(w.Interval)
}

// pause is the time to the next request to a server that does not hold them.
func (w *Watcher) pause() time.Duration {
	d := w.Interval
	if w.looking.calm() {
		d *= stretch
	}
	d = jitter(d)
	if r := w.looking.ring; r != nil {
		d = min(d, w.slot(r.pause(d)))
	}
	return d
}
