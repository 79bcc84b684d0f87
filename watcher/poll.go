package watcher

import (
	"errors"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

const (
	// settle is how long a change that a held request brought may be followed
	// by others before it is applied, and maxSettle how long at most.
	settle    = 250 * time.Millisecond
	maxSettle = time.Second

	// giveUp is when a change is applied at the latest, if K2HR3 has fallen
	// silent since.
	giveUp = settle + 2*maxSettle

	// atOnce: an answer that came faster was not held for a change.
	atOnce = 20 * time.Millisecond

	// leastAskPause is the shortest time between two requests that somebody
	// wants, however often.
	leastAskPause = time.Second

	// hurry is the longest pause while there is no good file.
	hurry = 15 * time.Second

	// leastHold: a server that says it held a request for less did not.
	leastHold = time.Second

	// While chmpx shows that all is well, a slave of a cluster with more than
	// fewSlaves asks less often, so that a cluster of up to manySlaves costs
	// K2HR3 no more than one of fewSlaves does: a request in 3 s with the
	// default interval, where one process answers about 20 a second
	// (docs/k2hr3.md K). A larger one costs more, as changes that the ring does
	// not show are not to take longer still.
	fewSlaves, manySlaves = 20, 100

	// chaseFor is how long K2HR3 is asked for what chmpx has learnt from the
	// ring: a server may be there long before its registration, or for good
	// without one.
	chaseFor = time.Minute
	// The pauses between these requests grow to maxChasePause within
	// chaseSoon, and beyond that later.
	firstChasePause = time.Second
	maxChasePause   = 1900 * time.Millisecond
	chaseSoon       = 10 * time.Second
)

// poll decides when K2HR3 is asked for the RESOURCE.
type poll struct {
	interval, wait time.Duration

	next   alarm     // of the next request
	why    reason    // for that, or for the one under way
	began  time.Time // when the latest request began
	wanted bool      // somebody wants a request that begins later than that
	holds  bool      // the last answer came from a server that holds requests

	pending *reply    // a change that waits for the end of its burst
	since   time.Time // when pending began
	latest  alarm     // when pending is applied whatever K2HR3 says
	unseen  *reply    // a change that waits for the first probe of chmpx
	waiting *reply    // a change that waits for the end of a job of chmpx's unit

	failures  backoff
	flips     backoff   // answers that contradict each other
	hasty     backoff   // answers to held requests that come at once, for nothing
	notBefore time.Time // K2HR3 wants no request earlier
	chase     *chase    // nil: the ring gives no reason to ask
	silence   trouble   // K2HR3 gives no text
	heardAt   time.Time // the last proper answer
	failedAt  time.Time // the latest failure since then
}

// reason is why the next request comes when it does, in words.
type reason string

const (
	whyFirst        reason = "the membership is checked first"
	whyInterval     reason = "the interval"
	whyHeld         reason = "K2HR3 holds requests until something changes"
	whyBurst        reason = "more changes may follow the latest"
	whyRing         reason = "the ring has changed"
	whyWanted       reason = "something changed here, or the agent was reloaded"
	whyFailure      reason = "retry after a failure"
	whyRetryAfter   reason = "K2HR3 asked for the pause (Retry-After)"
	whyRefused      reason = "retry after a text that was not applied"
	whyContradicted reason = "K2HR3 contradicts itself"
	whyHasty        reason = "K2HR3 answers at once what it could hold"
)

// reply is what came of one request.
type reply struct {
	answer k2hr3.Answer
	err    error
	took   time.Duration
	at     time.Time // when it was there
	apiUp  bool      // after a failure: K2HR3's API answers all the same
	moved  bool      // the host reaches K2HR3 from another address than it is known by
}

// scene is what poll has to know of the other parts.
type scene struct {
	good bool // a good file is in place
	calm bool // chmpx runs it, and has the same servers
	turn turn
	none bool // there is no slave.ini
}

// chase is a time of frequent requests after the ring has changed.
type chase struct {
	since time.Time
	gap   time.Duration
}

// pause is the time to the next request because of the ring, at most longest.
// The pauses grow, slowly at first: most servers are registered within seconds.
func (c *chase) pause(now time.Time, longest time.Duration) time.Duration {
	age := now.Sub(c.since)
	switch {
	case age >= chaseFor:
		return longest
	case c.gap == 0:
		c.gap = firstChasePause
	case age < chaseSoon:
		c.gap = min(c.gap*5/4, maxChasePause)
	default:
		c.gap = c.gap * 3 / 2
	}
	return min(c.gap, longest)
}

func newPoll(c Config, log *slog.Logger) poll {
	return poll{interval: c.Interval, wait: c.Wait, why: whyFirst, silence: trouble{log: log}}
}

// plan sets the next request d from now, but not before K2HR3 wants it. A request
// that somebody wants comes as soon as it may.
func (p *poll) plan(now time.Time, d time.Duration, why reason) {
	if p.wanted {
		d, why = p.began.Add(leastAskPause).Sub(now), whyWanted
	}
	at := now.Add(max(d, 0))
	if at.Before(p.notBefore) {
		at, why = p.notBefore, whyRetryAfter
	}
	p.why = why
	p.next.set(at)
}

// want plans a request for the operator, for a changed input, or for what is new
// since the latest one began. It takes the place of a request that K2HR3 holds.
// One serves all who want one meanwhile.
func (p *poll) want(now time.Time) {
	p.wanted = true
	p.plan(now, 0, whyWanted)
}

// begin takes note of a request that begins.
func (p *poll) begin(now time.Time) {
	p.began, p.wanted = now, false
	p.next.clear()
}

// hold is how long K2HR3 may hold the next request.
func (p *poll) hold() time.Duration {
	if p.pending != nil {
		return min(p.wait, maxSettle)
	}
	return p.wait
}

// failed plans the next request after one that brought no answer.
func (p *poll) failed(now time.Time, r reply, s scene) {
	message := "cannot read the RESOURCE from K2HR3; slave.ini unchanged"
	if s.none {
		message = "cannot read the RESOURCE from K2HR3; there is no slave.ini yet"
	}
	var hint []any
	if ambiguous(r.err) && r.apiUp {
		hint = []any{"hint", "its API is up: this host is no member any more, or K2HR3's store is down"}
	}
	p.silence.report(now, slog.LevelWarn, message, r.err, hint...)
	pause := p.failures.pause(p.longest(s))
	var e *k2hr3.Error
	if errors.As(r.err, &e) && e.RetryAfter > 0 {
		p.notBefore = now.Add(e.RetryAfter)
	}
	p.failedAt = now
	p.plan(now, pause, whyFailure)
}

// ambiguous: K2HR3 says the same to a host without rights and to every host while its store is down
// (docs/k2hr3.md 0.6).
func ambiguous(err error) bool {
	return errors.Is(err, k2hr3.ErrUnauthorized) || errors.Is(err, k2hr3.ErrNotMember)
}

// longest is the longest pause after something that went wrong.
func (p *poll) longest(s scene) time.Duration {
	if s.good {
		return p.interval
	}
	return min(p.interval, hurry)
}

// heard takes note of a proper answer.
func (p *poll) heard(now time.Time, r reply) {
	p.silence.end("K2HR3 answers again")
	p.holds = r.answer.Held > 0
	p.heardAt, p.failedAt = now, time.Time{}
}

// talk is how the conversation stands. asking: a request is under way.
func (p *poll) talk(asking bool) Talk {
	t := Talk{HeardAt: p.heardAt, NextWhy: string(p.why)}
	if p.silence.err != nil {
		t.FailedAt, t.Failure = p.failedAt, brief(p.silence.err)
	}
	if asking {
		t.AskingSince = p.began
	} else {
		t.NextAt = p.next.at
	}
	return t
}

// unsettled keeps a change back while others may follow it, and reports whether
// it does. Only a server that answers the moment something changes can show the
// beginning of a burst, and only by a request that it did hold.
func (p *poll) unsettled(now time.Time, r reply) bool {
	switch {
	case r.answer.Held == 0:
		return false
	case p.pending == nil && r.took < atOnce:
		return false
	case p.pending == nil:
		p.since = now
		p.latest.set(now.Add(giveUp))
	case p.pending.answer.Text == r.answer.Text || now.Sub(p.since) >= maxSettle:
		return false
	}
	p.pending = &r
	p.plan(now, settle, whyBurst)
	return true
}

// takePending returns the change that waits for the end of its burst, nil if
// none does, and ends the wait.
func (p *poll) takePending() *reply {
	r := p.pending
	p.pending = nil
	p.latest.clear()
	return r
}

// keepUnseen keeps a change until chmpx has been probed.
func (p *poll) keepUnseen(r reply) { p.unseen = &r }

// takeUnseen returns the change that waits for the first probe, nil if none
// does, and ends the wait.
func (p *poll) takeUnseen() *reply {
	r := p.unseen
	p.unseen = nil
	return r
}

// keepWaiting keeps a change until the job of chmpx's unit that is under way has
// ended.
func (p *poll) keepWaiting(r reply) { p.waiting = &r }

// takeWaiting returns the change that waits for the end of a job, nil if none
// does, and ends the wait.
func (p *poll) takeWaiting() *reply {
	r := p.waiting
	p.waiting = nil
	return r
}

// refused plans the next request after a text that was not applied.
func (p *poll) refused(now time.Time, s scene) {
	p.plan(now, p.failures.pause(p.longest(s)), whyRefused)
}

// replaced plans the next request after a text that replaced the file.
func (p *poll) replaced(now time.Time, r reply, s scene) {
	p.failures.reset()
	if r.answer.Held > 0 {
		p.hasty.reset()
		p.plan(now, 0, whyHeld)
		return
	}
	p.planAfterAnswer(now, r, s)
}

// contradicted plans the next request to a K2HR3 that contradicts itself: the one
// text may be as right as the other, so that it is asked ever less often.
func (p *poll) contradicted(now time.Time, s scene) {
	p.plan(now, p.flips.pause(p.longest(s)), whyContradicted)
}

// same plans the next request after an answer that changes nothing.
func (p *poll) same(now time.Time, r reply, s scene) {
	p.failures.reset()
	p.flips.reset()
	p.planAfterAnswer(now, r, s)
}

// planAfterAnswer: a server that holds requests is asked again at once, if it
// does hold them. One that answers at once with a text that changes nothing may
// hold the next request, or never.
func (p *poll) planAfterAnswer(now time.Time, r reply, s scene) {
	switch {
	case r.answer.Held > 0 && r.took >= leastHold:
		p.hasty.reset()
		p.plan(now, 0, whyHeld)
	case r.answer.Held > 0 && !r.answer.NotModified:
		p.plan(now, p.hasty.pause(p.interval), whyHasty)
	case p.chase != nil:
		p.plan(now, p.pause(now, s), whyRing)
	default:
		p.plan(now, p.pause(now, s), whyInterval)
	}
}

// pause is the time to the next request to a server that does not hold them.
func (p *poll) pause(now time.Time, s scene) time.Duration {
	d := jitter(p.every(s))
	if p.chase != nil {
		d = min(d, s.turn.after(p.chase.pause(now, d)))
	}
	return d
}

// every is about the pause between two requests, as long as nothing happens: the
// interval, and while all is well one that grows with the number of slaves, from
// once the interval for fewSlaves to five times for manySlaves. A host that is
// not on the list of slaves by its CUK does not know how many there are, as one
// entry may stand for any number of hosts (docs/chmpx.md C.4): it asks as seldom
// as one of many.
func (p *poll) every(s scene) time.Duration {
	if !s.calm {
		return p.interval
	}
	slaves := min(max(s.turn.slaves, fewSlaves), manySlaves)
	if s.turn.place < 0 {
		slaves = manySlaves
	}
	return p.interval * time.Duration(slaves) / fewSlaves
}

// ringChanged asks soon and often, for chmpx has learnt of other servers.
func (p *poll) ringChanged(now time.Time, t turn, asking bool) {
	p.chase = &chase{since: now}
	p.askSoon(now, t, asking)
}

// ringAgrees ends what ringChanged began.
func (p *poll) ringAgrees() { p.chase = nil }

// askSoon plans a request for this host's turn, unless K2HR3 holds one now and
// so answers by itself. asking: a request is under way.
func (p *poll) askSoon(now time.Time, t turn, asking bool) {
	if p.holds && asking {
		return
	}
	p.plan(now, t.after(0), whyRing)
}
