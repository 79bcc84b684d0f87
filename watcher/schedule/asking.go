package schedule

import (
	"time"
)

const (
	// LeastAskPause is the shortest time between two requests that somebody wants, however often.
	LeastAskPause = time.Second

	// LeastHold: a server that says it held a request for less did not.
	LeastHold = time.Second

	// Hurry is the longest pause while there is no good file, and longestHurry if K2HR3 takes long.
	Hurry        = 15 * time.Second
	longestHurry = time.Minute

	// LongestPause is the longest pause after a failure, and the length of the rounds in which a
	// host has one turn where the pause or the interval is that long.
	LongestPause = 15 * time.Minute

	// fullTimeout is how long an answer takes after which the pause is about the interval.
	fullTimeout = 20 * time.Second

	// While chmpx shows that all is well, a slave of a cluster with more than fewSlaves asks less
	// often, so that a cluster of up to ManySlaves costs K2HR3 no more than one of fewSlaves does:
	// a request in 3 s with the default interval. A larger one costs more, as changes that the ring
	// does not show are not to take longer still.
	fewSlaves = 20
	// ManySlaves is that many.
	ManySlaves = 100

	// cutPause is the shortest time between two pauses that K2HR3 has asked for, and the ring has
	// cut short.
	cutPause = time.Minute
)

// Reason is why the next request comes when it does, in words.
type Reason string

// The reasons.
const (
	WhyFirst        Reason = "the membership is checked first"
	WhyInterval     Reason = "the interval"
	WhyHeld         Reason = "K2HR3 holds requests until something changes"
	WhyBurst        Reason = "more changes may follow the latest"
	WhyRing         Reason = "the ring has changed"
	WhyWanted       Reason = "something changed here, or the agent was reloaded"
	WhyFailure      Reason = "retry after a failure"
	WhyLost         Reason = "the request that K2HR3 held has ended without an answer"
	WhyRetryAfter   Reason = "K2HR3 asked for the pause (Retry-After)"
	WhyRefused      Reason = "retry after a text that was not applied"
	WhyContradicted Reason = "K2HR3 contradicts itself"
	WhyHasty        Reason = "K2HR3 answers at once what it could hold"
	WhyBusy         Reason = "the interval, which is longer while K2HR3 answers slowly"
)

// Scene is how the host is, as far as that decides when K2HR3 is asked.
type Scene struct {
	Good bool // a good file is in place
	Calm bool // chmpx runs it, and has the same servers
	Turn Turn
}

// Answer is a proper answer.
type Answer struct {
	Took        time.Duration // how long K2HR3 had the request
	Held        time.Duration // how long K2HR3 says it may hold such a request; 0: it does not
	NotModified bool
}

// Failure is a request that brought no proper answer.
type Failure struct {
	Took       time.Duration // how long K2HR3 had the request; 0: it never had
	RetryAfter time.Duration // how long it wants to be left alone; 0: it does not say
	NotAsked   bool          // for that reason it was not asked, and is right after that
	// Cut: not the agent, but whoever is at the other end, ended the connection before there was an
	// answer, or a gateway gave up.
	Cut bool
}

// Asking decides when K2HR3 is asked for the RESOURCE.
type Asking struct {
	interval time.Duration
	dice     Dice
	hold     hold
	load     load

	next   time.Time // of the next request; zero: none is planned
	why    Reason    // for that, or for the one under way
	began  time.Time // when the latest request began
	cause  Reason    // why that did
	wanted bool      // somebody wants a request that begins later than that

	took time.Duration // how long K2HR3 took to answer the latest one, unless it holds requests

	silent     bool // K2HR3 had the latest request for long and gave no answer
	recovering bool // the latest answer came after long pauses, by a K2HR3 that may be busy

	failures  Backoff
	flips     Backoff   // answers that contradict each other
	hasty     Backoff   // answers to held requests that come at once, for nothing
	notBefore time.Time // K2HR3 wants no request earlier
	cut       time.Time // when the ring cut that short
	chase     *chase    // nil: the ring gives no reason to ask
}

// NewAsking returns the schedule of a host whose requests are about interval apart, and that K2HR3
// may hold for wait (0: never).
func NewAsking(interval, wait time.Duration, dice Dice) Asking {
	return Asking{interval: interval, dice: dice, hold: hold{most: wait}, why: WhyFirst}
}

// Next returns when the next request begins, zero if none is planned.
func (a *Asking) Next() time.Time { return a.next }

// Why returns why the next request comes when it does or, while one is under way, why that began.
func (a *Asking) Why() Reason { return a.why }

// Began returns when the latest request began.
func (a *Asking) Began() time.Time { return a.began }

// Wanted reports whether somebody wants a request that begins later than the latest one.
func (a *Asking) Wanted() bool { return a.wanted }

// Holds reports whether the last answer came from a server that holds requests.
func (a *Asking) Holds() bool { return a.hold.holds }

// Hold returns how long K2HR3 may hold the next request; 0: it is not asked to.
func (a *Asking) Hold() time.Duration { return a.hold.ask() }

// Stretch returns by how much K2HR3 is asked less often because its answers are slow: 1 or more.
func (a *Asking) Stretch() float64 { return a.load.stretch() }

// Gently reports whether the agent first asks K2HR3 only whether it is there, which costs K2HR3
// nothing: K2HR3 had the latest request for long and gave no answer. It may still work on that one
// for nobody, and would do so on the next. What somebody wants is asked for at once.
func (a *Asking) Gently() bool { return a.silent && a.cause != WhyWanted }

// Due reports whether it is time for a request, and clears the plan then.
func (a *Asking) Due(now time.Time) bool {
	if a.next.IsZero() || now.Before(a.next) {
		return false
	}
	a.next = time.Time{}
	return true
}

// Plan sets the next request d from now, but not before K2HR3 wants it. A request that somebody
// wants comes as soon as it may.
func (a *Asking) Plan(now time.Time, d time.Duration, why Reason) {
	if a.wanted {
		d, why = a.began.Add(LeastAskPause).Sub(now), WhyWanted
	}
	at := now.Add(max(d, 0))
	if at.Before(a.notBefore) {
		at, why = a.notBefore, WhyRetryAfter
	}
	a.why = why
	a.next = at
}

// Want plans a request for the operator, for a changed input, or for what is new since the latest
// one began. One serves all who want one meanwhile.
func (a *Asking) Want(now time.Time) {
	a.wanted = true
	a.Plan(now, 0, WhyWanted)
}

// Begin takes note of a request that begins.
func (a *Asking) Begin(now time.Time) {
	a.began, a.cause, a.wanted = now, a.why, false
	a.next = time.Time{}
}

// Heard takes note of a proper answer. What it means for the next request is for Same, Replaced,
// Refused or Contradicted to say.
func (a *Asking) Heard(r Answer, s Scene) {
	a.hold.heard(r)
	a.silent, a.took = false, 0
	if r.Held > 0 {
		return
	}
	a.took = r.Took
	if a.cause != WhyRing { // where all slaves of a cluster ask, each has to wait for the others
		a.load.answered(r.Took, a.base(s))
	}
}

// Failed plans the next request after one that brought no proper answer. lost: K2HR3 held it, and
// it ended before its time. That is no failure of K2HR3's yet: it may have been restarted, or a
// proxy ends what takes long. learnt: it was the second one of the same age, so that K2HR3 is asked
// to hold requests for less from now on.
func (a *Asking) Failed(now time.Time, f Failure, s Scene) (lost, learnt bool) {
	if f.RetryAfter > 0 {
		a.notBefore = now.Add(f.RetryAfter)
	}
	if f.NotAsked {
		a.Plan(now, 0, WhyRetryAfter)
		return false, false
	}
	if lost, learnt = a.hold.failed(f); lost {
		round := max(lostRound, TurnLength*time.Duration(s.Turn.Slaves))
		a.failures.bound = max(a.failures.bound, round)
		a.Plan(now, s.Turn.Within(a.dice, LeastPause, round), WhyLost)
		return lost, learnt
	}
	a.silent = f.Took >= slow
	a.load.failed(f.Took, a.base(s))
	a.Plan(now, a.pauseAfter(f.Took, s), WhyFailure)
	return false, false
}

// pauseAfter is the pause after a failure. It grows to the interval, and beyond that, while all is
// well here, if K2HR3 takes long to fail, which is how it is when it has too much to do. Where it
// may be busy each failure waits for the next long round. Long pauses end at this host's turn, so
// that hosts come back evenly.
func (a *Asking) pauseAfter(took time.Duration, s Scene) time.Duration {
	every := a.Every(s)
	first, limit := time.Duration(0), every
	if a.load.suspect() {
		first, limit = LongestPause, LongestPause
	}
	switch {
	case !s.Good:
		first, limit = 0, max(min(a.interval, Hurry), min(3*took, longestHurry))
	case !s.Calm:
		first, limit = min(took, time.Minute), a.behind(s)
	case took >= slow:
		first = max(first, time.Duration(float64(every)*min(1, took.Seconds()/fullTimeout.Seconds())))
		limit = LongestPause
	}
	limit = min(limit, LongestPause)
	bound := a.failures.grow(min(first, limit), limit)
	if bound <= time.Minute {
		return LeastPause + a.dice.Below(bound)
	}
	return s.Turn.Within(a.dice, LeastPause, bound)
}

// behind is about the longest pause of a host whose ring has other servers than its file: what the
// ring has may be missing in the file. One of few asks at the interval, however busy K2HR3 is.
func (a *Asking) behind(s Scene) time.Duration {
	return a.interval + time.Duration(float64(a.calmBase(s)-a.interval)*a.Stretch())
}

// longest is the longest pause after a text that K2HR3 should not have given.
func (a *Asking) longest(s Scene) time.Duration {
	if s.Good {
		return a.interval
	}
	return min(a.interval, Hurry)
}

// Refused plans the next request after a text that was not applied.
func (a *Asking) Refused(now time.Time, s Scene) {
	a.Plan(now, a.failures.Pause(a.dice, 0, a.longest(s)), WhyRefused)
}

// Contradicted plans the next request to a K2HR3 that contradicts itself: the one text may be as
// right as the other, so that it is asked ever less often.
func (a *Asking) Contradicted(now time.Time, s Scene) {
	a.Plan(now, a.flips.Pause(a.dice, 0, a.longest(s)), WhyContradicted)
}

// Replaced plans the next request after a text that replaced the file.
func (a *Asking) Replaced(now time.Time, r Answer, s Scene) {
	a.failuresEnd()
	if r.Held > 0 {
		a.hasty.Reset()
		a.Plan(now, 0, WhyHeld)
		return
	}
	a.afterAnswer(now, r, s)
}

// Same plans the next request after an answer that changes nothing.
func (a *Asking) Same(now time.Time, r Answer, s Scene) {
	a.failuresEnd()
	a.flips.Reset()
	a.afterAnswer(now, r, s)
}

func (a *Asking) failuresEnd() {
	a.recovering = a.failures.bound >= LongestPause && a.load.suspect()
	a.failures.Reset()
}

// afterAnswer: a server that holds requests is asked again at once, if it does hold them. One that
// answers at once with a text that changes nothing may hold the next request, or never.
func (a *Asking) afterAnswer(now time.Time, r Answer, s Scene) {
	switch {
	case r.Held > 0 && r.Took >= LeastHold:
		a.hasty.Reset()
		a.Plan(now, 0, WhyHeld)
	case r.Held > 0 && !r.NotModified:
		a.Plan(now, a.hasty.Pause(a.dice, 0, a.interval), WhyHasty)
	case a.chase != nil:
		a.Plan(now, a.pause(now, s), WhyRing)
	case a.Stretch() > 1 || a.recovering && s.Calm:
		a.Plan(now, a.pause(now, s), WhyBusy)
	default:
		a.Plan(now, a.pause(now, s), WhyInterval)
	}
}

// pause is the time to the next request to a server that does not hold them. While all hosts come
// back to a K2HR3 that may be busy, each takes one turn in a long round.
func (a *Asking) pause(now time.Time, s Scene) time.Duration {
	every := a.Every(s)
	if a.recovering && s.Calm {
		every = max(every, LongestPause)
	}
	if a.chase != nil {
		every = min(every, a.behind(s))
	}
	d := a.dice.Jitter(every)
	if every >= LongestPause && (a.Stretch() > 1 || a.recovering) {
		d = a.atTurn(every, s.Turn)
	}
	if a.chase != nil {
		d = min(d, s.Turn.After(a.dice, a.chase.pause(now, d, a.took)))
	}
	return d
}

// atTurn returns a pause of about every that ends at this host's turn: of all hosts that ask as
// seldom, no more ask in a second than have their turn in it.
func (a *Asking) atTurn(every time.Duration, t Turn) time.Duration {
	d := t.Within(a.dice, every-LongestPause+a.dice.Below(LongestPause), LongestPause)
	if d > longestInterval {
		d -= LongestPause
	}
	return d
}

// Every is about the pause between two requests, as long as nothing happens: longer than the
// interval while all is well in a large cluster, and while K2HR3 is busy.
func (a *Asking) Every(s Scene) time.Duration {
	base := a.base(s)
	return min(time.Duration(float64(base)*a.Stretch()), max(base, longestInterval))
}

// base is Every with a K2HR3 that is not busy: the interval, and while all is well one that grows
// with the number of slaves, from once the interval for fewSlaves to five times for ManySlaves. A
// host that is not on the list of slaves by its CUK does not know how many there are, as one entry
// may stand for any number of hosts (docs/chmpx.md C.4): it asks as seldom as one of many.
func (a *Asking) base(s Scene) time.Duration {
	if !s.Calm {
		return a.interval
	}
	return a.calmBase(s)
}

func (a *Asking) calmBase(s Scene) time.Duration {
	slaves := min(max(s.Turn.Slaves, fewSlaves), ManySlaves)
	if s.Turn.Place < 0 {
		slaves = ManySlaves
	}
	return a.interval * time.Duration(slaves) / fewSlaves
}

// RingChanged asks soon and often, for chmpx has learnt of other servers. hurry: K2HR3 is to be
// asked although it wants to be left alone.
func (a *Asking) RingChanged(now time.Time, t Turn, asking bool) (hurry bool) {
	a.chase = &chase{since: now}
	return a.AskSoon(now, t, asking)
}

// RingAgrees ends what RingChanged began.
func (a *Asking) RingAgrees() { a.chase = nil }

// AskSoon plans a request for this host's turn, unless K2HR3 holds one now and so answers by
// itself. It cuts every pause short, that which K2HR3 asked for too, but that once in cutPause:
// hurry. asking: a request is under way.
func (a *Asking) AskSoon(now time.Time, t Turn, asking bool) (hurry bool) {
	if a.hold.holds && asking {
		return false
	}
	if now.Before(a.notBefore) && now.Sub(a.cut) >= cutPause {
		a.notBefore, a.cut, hurry = time.Time{}, now, true
	}
	a.Plan(now, t.After(a.dice, 0), WhyRing)
	return hurry
}
