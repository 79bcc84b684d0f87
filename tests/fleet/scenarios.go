package main

import (
	"slices"
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

// way is a policy and its name.
type way struct {
	name string
	make func(*slave, schedule.Dice) policy
	hold time.Duration // how long K2HR3 holds requests
	// adapts: it needs an hour and a half to find its interval; the others have none to find.
	adapts bool
}

func ways() []way {
	return []way{
		{name: "timer in phase", make: newTimer},
		{name: "plain polling", make: newPolling},
		{name: "agent before", make: newBefore},
		{name: "crude rule", make: newCrude, adapts: true},
		{name: "agent", make: newAgent(0), adapts: true},
		{name: "agent, held requests", make: newAgent(55 * time.Second), hold: 55 * time.Second},
	}
}

// outcome is what came of a scenario.
type outcome struct {
	span
	rights []time.Duration // how long it took until a slave was right
	never  int             // how many were not right at the end
}

// at returns the time within which a part of the slaves was right.
func (o *outcome) at(part float64) time.Duration {
	n := len(o.rights) + o.never
	i := int(part*float64(n)+0.9999) - 1
	if n == 0 {
		return 0
	}
	if i >= len(o.rights) {
		return -1
	}
	return o.rights[max(i, 0)]
}

// timeoutShare is which part of the requests timed out.
func (o *outcome) timeoutShare() float64 {
	if o.all == 0 {
		return 0
	}
	return float64(o.timeouts) / float64(o.all)
}

// scenario is one good or bad day.
type scenario struct {
	name, what string
	setup      setup
	run        func(f *fleet) outcome
	right      string   // what the last column is, if not the time until hosts are right
	ways       []string // those it is played with; nil: all
}

// settle lets a fleet find its pace.
func (f *fleet) settle(adapts bool) {
	if adapts {
		f.pass(90 * time.Minute)
	} else {
		f.pass(5 * time.Minute)
	}
}

// sum counts from a moment until now.
func (f *fleet) sum(from time.Duration) outcome {
	return outcome{span: f.server.count.between(from, f.elapsed(), len(f.server.processes))}
}

// rights adds how long the slaves of clusters took to be right after their latest changes, of which
// there were some since then.
func (f *fleet) rights(o *outcome, since time.Time) {
	for _, c := range f.clusters {
		for _, ch := range c.changes {
			if ch.at.Before(since) {
				continue
			}
			for _, s := range c.slaves {
				at, ok := s.hadAt(ch.version)
				if !ok {
					o.never++
					continue
				}
				o.rights = append(o.rights, max(0, at.Sub(ch.at)))
			}
		}
	}
	slices.Sort(o.rights)
}

// hadAt returns when a slave had a version, or a later one.
func (s *slave) hadAt(version int) (time.Time, bool) {
	for _, r := range s.rightAt {
		if r.version >= version {
			return r.at, true
		}
	}
	return time.Time{}, false
}

const outage = 10 * time.Minute

func scenarios() []scenario {
	large := setup{slaves: 10000, clusters: 50, processes: 1, startsWithin: 10 * time.Second}
	medium := setup{slaves: 1000, clusters: 5, processes: 1, startsWithin: 10 * time.Second}
	huge := setup{slaves: 100000, clusters: 500, processes: 6, startsWithin: 10 * time.Second}
	blind := large
	blind.invisible = true
	boot := medium
	boot.fresh = true
	boot2 := boot
	boot2.processes = 2
	return []scenario{
		{name: "steady, 1,000 slaves", what: "half an hour without changes", setup: medium, run: steady},
		{name: "steady, 10,000 slaves", what: "half an hour without changes", setup: large, run: steady, ways: []string{"timer in phase", "plain polling", "agent before", "crude rule", "agent"}},
		{name: "steady, 100,000 slaves", what: "half an hour without changes", setup: huge, run: steady, ways: []string{"agent"}},
		{name: "one server joins", what: "one cluster of 200, among 1,000 slaves", setup: medium, run: oneJoins},
		{name: "one server joins, 10,000 slaves", what: "one cluster of 200, among 10,000 slaves", setup: large, run: oneJoins, ways: []string{"crude rule", "agent", "agent, held requests"}},
		{name: "rolling replacement", what: "in each of 5 clusters of 200 three servers leave and come back, one every 5 minutes", setup: medium, run: rolling},
		{name: "1,000 VMs boot", what: "within 10 s, none has a file or is registered", setup: boot, run: boots},
		{name: "1,000 VMs boot, 2 processes", what: "the same, two processes", setup: boot2, run: boots},
		{name: "K2HR3 away for 10 minutes", what: "10,000 slaves; nothing listens; the 15 minutes after that", setup: large, run: away, right: "who was turned away has an answer after (p50, p99, max)", ways: []string{"timer in phase", "plain polling", "agent before", "crude rule", "agent"}},
		{name: "K2HR3 hangs for 10 minutes", what: "10,000 slaves; it listens and does nothing; the 15 minutes after that", setup: large, run: hangs, right: "who was turned away has an answer after (p50, p99, max)", ways: []string{"crude rule", "agent"}},
		{name: "a ring change in the recovery", what: "one of 50 clusters of 200, 2 minutes after K2HR3 has come back", setup: large, run: changeInRecovery, ways: []string{"crude rule", "agent"}},
		{name: "half speed for an hour", what: "10,000 slaves; each request takes twice as long", setup: large, run: halfSpeed, right: "drained after", ways: []string{"timer in phase", "plain polling", "agent before", "crude rule", "agent"}},
		{name: "overload for an hour", what: "10,000 slaves; K2HR3 is as slow as makes what they ask twice what it can do", setup: large, run: overload, right: "drained after", ways: []string{"crude rule", "agent"}},
		{name: "ring not visible", what: "10,000 slaves; half an hour without changes", setup: blind, run: steady, ways: []string{"crude rule", "agent"}},
	}
}

func steady(f *fleet) outcome {
	from := f.elapsed()
	f.pass(30 * time.Minute)
	return f.sum(from)
}

func oneJoins(f *fleet) outcome {
	from, at := f.elapsed(), f.clock.now
	f.change(f.clusters[0])
	f.pass(10 * time.Minute)
	o := f.sum(from)
	f.rights(&o, at)
	return o
}

func rolling(f *fleet) outcome {
	from, at := f.elapsed(), f.clock.now
	for range 3 {
		for _, d := range []time.Duration{time.Minute, 4 * time.Minute} {
			for _, c := range f.clusters {
				f.change(c)
			}
			f.pass(d)
		}
	}
	f.pass(5 * time.Minute)
	o := f.sum(from)
	f.rights(&o, at)
	return o
}

// boots is for a fleet that has just begun.
func boots(f *fleet) outcome {
	f.pass(15 * time.Minute)
	o := f.sum(0)
	for _, s := range f.slaves {
		if len(s.rightAt) == 0 {
			o.never++
			continue
		}
		o.rights = append(o.rights, s.rightAt[0].at.Sub(f.server.count.start))
	}
	slices.Sort(o.rights)
	return o
}

func away(f *fleet) outcome {
	f.leave()
	f.pass(outage)
	f.server.comeBack()
	return f.recovery()
}

// recovery is the quarter of an hour after K2HR3 is back. Who was turned away is right with the
// next answer.
func (f *fleet) recovery() outcome {
	from, at := f.elapsed(), f.clock.now
	f.turnedAway = nil
	for _, s := range f.slaves {
		if s.turned {
			f.turnedAway = append(f.turnedAway, s)
		}
	}
	f.pass(15*time.Minute + time.Second)
	o := f.sum(from)
	for _, s := range f.turnedAway {
		if s.after(at).IsZero() {
			o.never++
			continue
		}
		o.rights = append(o.rights, s.after(at).Sub(at))
	}
	slices.Sort(o.rights)
	return o
}

func hangs(f *fleet) outcome {
	f.server.hang(true)
	f.pass(outage)
	f.server.hang(false)
	return f.recovery()
}

func changeInRecovery(f *fleet) outcome {
	f.leave()
	f.pass(outage)
	f.server.comeBack()
	from := f.elapsed()
	f.pass(2 * time.Minute)
	at := f.clock.now
	f.change(f.clusters[7])
	f.pass(13 * time.Minute)
	o := f.sum(from)
	f.rights(&o, at)
	return o
}

func halfSpeed(f *fleet) outcome {
	return f.slow(2)
}

// overload makes K2HR3 so slow that what it is asked in a steady hour is twice what it can do.
func overload(f *fleet) outcome {
	before := f.server.count.between(f.elapsed()-15*time.Minute, f.elapsed(), len(f.server.processes))
	return f.slow(2 / max(before.busy, 0.01))
}

// slow makes K2HR3 slower for an hour, and looks how long it takes to come to itself afterwards:
// that is what is told as the time until it is right.
func (f *fleet) slow(by float64) outcome {
	from := f.elapsed()
	f.server.slowness = max(by, 1)
	f.pass(time.Hour)
	f.server.slowness = 1
	end := f.elapsed()
	drained := time.Duration(-1)
	for range 120 {
		f.pass(10 * time.Second)
		if drained < 0 && f.server.longestQueue() < 20 {
			drained = f.elapsed() - end
		}
	}
	o := f.sum(from)
	if drained < 0 {
		o.never = 1
	} else {
		o.rights = []time.Duration{drained}
	}
	return o
}
