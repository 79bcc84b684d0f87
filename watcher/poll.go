package watcher

import (
	"errors"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
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
)

// poll asks K2HR3 for the RESOURCE: when, and what becomes of an answer until it is applied.
type poll struct {
	schedule.Asking

	pending *reply    // a change that waits for the end of its burst
	since   time.Time // when pending began
	latest  alarm     // when pending is applied whatever K2HR3 says
	unseen  *reply    // a change that waits for the first probe of chmpx
	waiting *reply    // a change that waits for the end of a job of chmpx's unit

	log      *slog.Logger
	silence  trouble   // K2HR3 gives no text
	heardAt  time.Time // the last proper answer
	failedAt time.Time // the latest failure since then
}

// reply is what came of one request.
type reply struct {
	answer k2hr3.Answer
	err    error
	took   time.Duration
	at     time.Time // when it was there
	apiUp  bool      // after a failure: K2HR3's API answers all the same
	// knocked: K2HR3 was only asked whether it is there, as it had been silent before.
	knocked bool
	moved   bool // the host reaches K2HR3 from another address than it is known by
}

func newPoll(c Config, log *slog.Logger) poll {
	asking := schedule.NewAsking(c.Interval, c.Wait, schedule.Dice{})
	return poll{Asking: asking, log: log, silence: trouble{log: log}}
}

// next is when K2HR3 is asked.
func (p *poll) next() alarm { return alarm{p.Next()} }

// hold is how long K2HR3 may hold the next request.
func (p *poll) hold() time.Duration {
	if p.pending != nil {
		return min(p.Hold(), maxSettle)
	}
	return p.Hold()
}

// failed plans the next request after one that brought no answer. none: there is no slave.ini.
func (p *poll) failed(now time.Time, r reply, s schedule.Scene, none bool) {
	lost, learnt := p.Failed(now, r.failure(), s)
	switch {
	case learnt:
		p.log.Info("K2HR3, or a proxy on the way, ends the requests it holds early; asking it to hold them for less",
			"ended after", r.took.Round(time.Second).String(), "asking for", p.Hold().String())
		return
	case lost && p.silence.err == nil:
		p.log.Debug("the request that K2HR3 held has ended without an answer", "after", r.took, "error", r.err)
		return
	}
	message := "cannot read the RESOURCE from K2HR3; slave.ini unchanged"
	if none {
		message = "cannot read the RESOURCE from K2HR3; there is no slave.ini yet"
	}
	var hint []any
	if ambiguous(r.err) && r.apiUp {
		hint = []any{"hint", "its API is up: this host is no member any more, or K2HR3's store is down"}
	}
	err := r.err
	if r.knocked && p.silence.err != nil {
		err = p.silence.err // nothing new is known of that silence
	}
	p.silence.report(now, slog.LevelWarn, message, err, hint...)
	p.failedAt = now
}

// failure is what the schedule has to know of a request that brought no answer.
func (r *reply) failure() schedule.Failure {
	f := schedule.Failure{Took: r.took}
	if e, ok := errors.AsType[*k2hr3.Error](r.err); ok {
		f.RetryAfter, f.NotAsked, f.Cut = e.RetryAfter, e.NotAsked(), e.Cut()
	}
	return f
}

// ambiguous: K2HR3 says the same to a host without rights and to every host while its store is down
// (docs/k2hr3.md 0.6).
func ambiguous(err error) bool {
	return errors.Is(err, k2hr3.ErrUnauthorized) || errors.Is(err, k2hr3.ErrNotMember)
}

// heard takes note of a proper answer.
func (p *poll) heard(now time.Time, r reply, s schedule.Scene) {
	p.silence.end("K2HR3 answers again")
	p.Heard(r.scheduled(), s)
	p.heardAt, p.failedAt = now, time.Time{}
}

// scheduled is what the schedule has to know of an answer.
func (r *reply) scheduled() schedule.Answer {
	return schedule.Answer{Took: r.took, Held: r.answer.Held, NotModified: r.answer.NotModified}
}

// talk is how the conversation stands. asking: a request is under way.
func (p *poll) talk(asking bool) Talk {
	t := Talk{HeardAt: p.heardAt, NextWhy: string(p.Why())}
	if p.silence.err != nil {
		t.FailedAt, t.Failure = p.failedAt, brief(p.silence.err)
	}
	if asking {
		t.AskingSince = p.Began()
	} else {
		t.NextAt = p.Next()
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
	p.Plan(now, settle, schedule.WhyBurst)
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
