package main

import (
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

// agent is the agent's own schedule: package watcher/schedule, as the agent runs it.
type agent struct {
	s      *slave
	asking schedule.Asking
	check  schedule.Checking
}

func newAgent(wait time.Duration) func(*slave, schedule.Dice) policy {
	return func(s *slave, dice schedule.Dice) policy {
		return &agent{s: s, asking: schedule.NewAsking(time.Minute, wait, dice), check: schedule.Checking{Dice: dice}}
	}
}

func (a *agent) begin(now time.Time)     { a.asking.Want(now) }
func (a *agent) next() time.Time         { return a.asking.Next() }
func (a *agent) asks(now time.Time)      { a.asking.Due(now); a.asking.Begin(now) }
func (a *agent) patience() time.Duration { return timeout }
func (a *agent) holds() time.Duration    { return a.asking.Hold() }
func (a *agent) gently() bool            { return a.asking.Gently() }

func (a *agent) knocked(took time.Duration) (time.Duration, bool) {
	return schedule.AfterKnock(a.check.Dice, took)
}

func (a *agent) answered(now time.Time, took, held time.Duration, changed bool) {
	r := schedule.Answer{Took: took, Held: held, NotModified: !changed}
	scene := a.s.scene()
	a.asking.Heard(r, scene)
	if changed {
		a.asking.Replaced(now, r, scene)
	} else {
		a.asking.Same(now, r, scene)
	}
}

func (a *agent) refused(now time.Time, took time.Duration) {
	a.asking.Heard(schedule.Answer{Took: took}, a.s.scene())
	a.asking.Refused(now, a.s.scene())
}

func (a *agent) failed(now time.Time, took time.Duration, cut bool) {
	a.asking.Failed(now, schedule.Failure{Took: took, Cut: cut}, a.s.scene())
}

func (a *agent) ring(now time.Time, agrees bool) {
	if agrees {
		a.asking.RingAgrees()
		return
	}
	a.asking.RingChanged(now, a.s.scene().Turn, a.s.asking != nil)
}

func (a *agent) spread(took time.Duration) time.Duration { return schedule.Spread(a.check.Dice, took) }

func (a *agent) checks(_ time.Time, took time.Duration, failed bool) time.Duration {
	if failed {
		return a.check.Failed(took, a.asking.Stretch())
	}
	return a.check.OK(a.asking.Stretch())
}

// plain is what the others than the agent have in common, unless they say so: they do not hold
// requests, do not ask K2HR3 first whether it is there, wait for no turn, and look neither at the
// ring nor at the membership.
type plain struct{}

func (plain) patience() time.Duration                             { return timeout }
func (plain) holds() time.Duration                                { return 0 }
func (plain) gently() bool                                        { return false }
func (plain) knocked(time.Duration) (time.Duration, bool)         { return 0, true }
func (plain) spread(time.Duration) time.Duration                  { return 0 }
func (plain) ring(time.Time, bool)                                {}
func (plain) checks(time.Time, time.Duration, bool) time.Duration { return 0 }

// timer is what hosts run today: a timer that asks every minute, at the same second on all hosts,
// by a program that waits for its answer for ever and tries nothing again. It registers once, when
// the host boots.
type timer struct {
	plain
	at time.Time
}

func newTimer(*slave, schedule.Dice) policy { return &timer{} }

func (t *timer) begin(now time.Time)     { t.at = now.Truncate(time.Minute).Add(time.Minute) }
func (t *timer) next() time.Time         { return t.at }
func (t *timer) asks(time.Time)          { t.at = time.Time{} }
func (t *timer) patience() time.Duration { return 0 }

func (t *timer) answered(now time.Time, _, _ time.Duration, _ bool) { t.begin(now) }
func (t *timer) refused(now time.Time, _ time.Duration)             { t.begin(now) }
func (t *timer) failed(now time.Time, _ time.Duration, _ bool)      { t.begin(now) }

// polling asks a minute after each answer, give or take 20 ms, and after a failure tries again with
// pauses that double from 250 ms to a minute.
type polling struct {
	plain
	dice  schedule.Dice
	at    time.Time
	pause time.Duration
}

func newPolling(_ *slave, dice schedule.Dice) policy { return &polling{dice: dice} }

func (p *polling) begin(now time.Time) { p.at = now }
func (p *polling) next() time.Time     { return p.at }
func (p *polling) asks(time.Time)      { p.at = time.Time{} }

func (p *polling) answered(now time.Time, _, _ time.Duration, _ bool) {
	p.pause = 0
	p.at = now.Add(time.Minute + p.dice.Below(20*time.Millisecond))
}

func (p *polling) refused(now time.Time, _ time.Duration) { p.failed(now, 0, false) }

func (p *polling) failed(now time.Time, _ time.Duration, _ bool) {
	p.pause = min(max(2*p.pause, 250*time.Millisecond), time.Minute)
	p.at = now.Add(p.pause)
}

// before is the agent as it was: an interval that grows with the cluster, a chase after the ring,
// and pauses after failures of a minute at most, whatever K2HR3 is like.
type before struct {
	plain
	s        *slave
	dice     schedule.Dice
	at       time.Time
	failures schedule.Backoff
	since    time.Time // of the chase
	gap      time.Duration
	check    schedule.Checking
}

func newBefore(s *slave, dice schedule.Dice) policy {
	return &before{s: s, dice: dice, check: schedule.Checking{Dice: dice}}
}

func (b *before) begin(now time.Time) { b.at = now }
func (b *before) next() time.Time     { return b.at }
func (b *before) asks(time.Time)      { b.at = time.Time{} }

func (b *before) answered(now time.Time, _, _ time.Duration, _ bool) {
	b.failures.Reset()
	scene := b.s.scene()
	every := time.Minute
	if scene.Calm {
		every = time.Minute * time.Duration(min(max(scene.Turn.Slaves, 20), 100)) / 20
	}
	d := b.dice.Jitter(every)
	if age := now.Sub(b.since); age < time.Minute {
		switch {
		case b.gap == 0:
			b.gap = time.Second
		case age < 10*time.Second:
			b.gap = min(b.gap*5/4, 1900*time.Millisecond)
		default:
			b.gap = b.gap * 3 / 2
		}
		d = min(d, scene.Turn.After(b.dice, b.gap))
	}
	b.at = now.Add(d)
}

func (b *before) refused(now time.Time, _ time.Duration) { b.failed(now, 0, false) }

func (b *before) failed(now time.Time, _ time.Duration, _ bool) {
	limit := time.Minute
	if !b.s.good {
		limit = 15 * time.Second
	}
	b.at = now.Add(b.failures.Pause(b.dice, 0, limit))
}

func (b *before) ring(now time.Time, agrees bool) {
	if agrees {
		b.since = time.Time{}
		return
	}
	b.since, b.gap = now, 0
	b.at = now.Add(b.s.scene().Turn.After(b.dice, 0))
}

func (b *before) checks(_ time.Time, took time.Duration, failed bool) time.Duration {
	if failed {
		return b.check.Failed(0, 1)
	}
	return b.check.OK(1)
}

// crude is the simplest rule that spares a busy K2HR3: a pause that grows by half when an answer
// takes over 0.2 s, and shrinks by 3 % otherwise.
type crude struct {
	before
	pause time.Duration
}

func newCrude(s *slave, dice schedule.Dice) policy {
	return &crude{before: before{s: s, dice: dice, check: schedule.Checking{Dice: dice}}, pause: 5 * time.Minute}
}

func (c *crude) answered(now time.Time, took, _ time.Duration, _ bool) {
	c.failures.Reset()
	c.learn(took)
	c.at = now.Add(c.dice.Jitter(c.pause))
}

func (c *crude) failed(now time.Time, took time.Duration, _ bool) {
	c.learn(took)
	c.at = now.Add(c.failures.Pause(c.dice, 0, c.pause))
}

func (c *crude) learn(took time.Duration) {
	if took > 200*time.Millisecond {
		c.pause = min(c.pause*3/2, 30*time.Minute)
	} else {
		c.pause = max(c.pause*97/100, 5*time.Minute)
	}
}
