package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

// What a slave does not need K2HR3 for, as recorded.
const (
	confirms = 300 * time.Millisecond // from the answer to a chmpx that is seen to run it
	peek     = 900 * time.Millisecond // between two looks at the ring
	timeout  = 20 * time.Second
)

// policy is one way to decide when K2HR3 is asked.
type policy interface {
	// begin starts the schedule.
	begin(now time.Time)
	// next is when the next request is due; zero: none is.
	next() time.Time
	// asks takes note of a request that begins.
	asks(now time.Time)
	answered(now time.Time, took, held time.Duration, changed bool)
	// refused: the text is not fit, as the host is no member yet.
	refused(now time.Time, took time.Duration)
	failed(now time.Time, took time.Duration, cut bool)
	// ring: chmpx has other servers than the file, or (agrees) the same again.
	ring(now time.Time, agrees bool)
	// patience is how long the client waits for an answer; 0: for ever.
	patience() time.Duration
	// holds is how long it asks K2HR3 to hold a request.
	holds() time.Duration
	// gently: K2HR3 is first asked whether it is there.
	gently() bool
	// checks: the membership is checked, and when after a check.
	checks(now time.Time, took time.Duration, failed bool) time.Duration
	// knocked: K2HR3 has said that it is there, and is asked after a wait, or not.
	knocked(took time.Duration) (wait time.Duration, ask bool)
	// spread is how long a registration waits.
	spread(took time.Duration) time.Duration
}

// cluster is one role.
type cluster struct {
	turns   schedule.Cluster
	version int // of its servers, as K2HR3 has them
	slaves  []*slave
	changes []change
}

type change struct {
	at      time.Time
	version int
}

// had is when a slave had a version.
type had struct {
	at      time.Time
	version int
}

// slave is one host.
type slave struct {
	f       *fleet
	cluster *cluster
	place   int
	policy  policy

	good    bool // a good file is in place
	member  bool
	version int // of the file
	seen    int // of the ring, as chmpx has it
	asking  *request
	wake    int // of the latest timer

	rightAt []had       // when it had which version
	answers []time.Time // when it got them
	turned  bool        // its latest request failed
	told    time.Time   // when it last saw that the ring has changed
}

func (s *slave) scene() schedule.Scene {
	t := schedule.Turn{Place: -1, Wall: s.f.clock.now, Cluster: s.cluster.turns}
	if s.good {
		t.Place, t.Slaves = s.place, len(s.cluster.slaves)
	}
	return schedule.Scene{Good: s.good, Calm: s.good && s.f.visible && s.seen == s.version, Turn: t}
}

// plan sets the timer for the next request.
func (s *slave) plan() {
	next := s.policy.next()
	if next.IsZero() {
		return
	}
	s.wake++
	mine := s.wake
	s.f.clock.at(next, func() {
		if s.wake == mine && s.asking == nil {
			s.ask()
		}
	})
}

func (s *slave) ask() {
	now := s.f.clock.now
	s.policy.asks(now)
	srv := s.f.server
	q := &request{takes: getTakes, read: true}
	hold := min(srv.holds, s.policy.holds())
	if hold > 0 && s.good {
		q.takes = holdTakes
	}
	s.asking = q
	q.fails = func(took time.Duration, cut bool) {
		s.f.unhold(s)
		s.asking, s.turned = nil, true
		s.policy.failed(s.f.clock.now, took, cut)
		s.plan()
	}
	q.done = func(took time.Duration) {
		if hold > 0 && s.good && s.version == s.cluster.version {
			s.f.hold(s, q, hold)
			return
		}
		q.over = true
		held := time.Duration(0)
		if hold > 0 {
			held = hold
		}
		s.answer(took, held)
	}
	if s.policy.gently() {
		s.knock(q)
		return
	}
	srv.send(q, s.policy.patience())
}

// knock asks K2HR3 whether it is there, and sends a request once it is.
func (s *slave) knock(q *request) {
	first := &request{takes: pingTakes, fails: q.fails}
	first.done = func(took time.Duration) {
		first.over = true
		wait, ask := s.policy.knocked(took)
		if !ask {
			q.end(took, false)
			return
		}
		s.f.clock.after(wait, func() { s.f.server.send(q, s.policy.patience()) })
	}
	s.f.server.send(first, s.policy.patience())
}

// answer takes the text that K2HR3 has now.
func (s *slave) answer(took, held time.Duration) {
	now := s.f.clock.now
	s.asking, s.turned = nil, false
	s.answers = append(s.answers, now)
	if !s.member {
		s.policy.refused(now, took)
		s.plan()
		return
	}
	changed := s.version != s.cluster.version || !s.good
	s.version, s.good = s.cluster.version, true
	if changed {
		s.rightAt = append(s.rightAt, had{now.Add(confirms), s.version})
		s.f.clock.after(confirms, func() {
			if s.f.visible && s.seen != s.version {
				s.policy.ring(s.f.clock.now, false)
				s.plan()
			}
		})
	}
	s.policy.ring(now, true)
	s.policy.answered(now, took, held, changed)
	s.plan()
}

// sees is what chmpx has learnt from the ring.
func (s *slave) sees(version int) {
	before := s.seen == s.version
	s.seen, s.told = version, s.f.clock.now
	if !s.good || !s.f.visible {
		return
	}
	if agrees := s.seen == s.version; agrees != before || !agrees {
		s.policy.ring(s.f.clock.now, agrees)
		s.plan()
	}
}

// after returns when the slave had its first answer after a moment; zero: it had none.
func (s *slave) after(t time.Time) time.Time {
	for _, a := range s.answers {
		if a.After(t) {
			return a
		}
	}
	return time.Time{}
}

// check asks whether the host is a member, and makes it one.
func (s *slave) check() {
	first := !s.member
	s.exchanges([]time.Duration{headTakes}, func(took time.Duration, ok bool) {
		if !ok || s.member {
			s.checked(took, ok, first)
			return
		}
		s.exchanges([]time.Duration{headTakes}, func(took time.Duration, ok bool) {
			if !ok {
				s.checked(took, ok, first)
				return
			}
			s.f.clock.after(s.policy.spread(took), func() {
				s.exchanges([]time.Duration{putTakes, headTakes}, func(took time.Duration, ok bool) {
					s.member = s.member || ok
					s.checked(took, ok, first)
				})
			})
		})
	})
}

func (s *slave) checked(took time.Duration, ok, first bool) {
	now := s.f.clock.now
	if first && s.asking == nil && (ok || s.policy.next().IsZero()) {
		s.policy.begin(now)
		s.plan()
	}
	if d := s.policy.checks(now, took, !ok); d > 0 {
		s.f.clock.after(d, s.check)
	}
}

// exchanges makes exchanges, one after another, until one fails.
func (s *slave) exchanges(takes []time.Duration, done func(took time.Duration, ok bool)) {
	q := &request{takes: takes[0]}
	q.fails = func(took time.Duration, _ bool) { done(took, false) }
	q.done = func(took time.Duration) {
		q.over = true
		if len(takes) == 1 {
			done(took, true)
			return
		}
		s.exchanges(takes[1:], done)
	}
	s.f.server.send(q, timeout)
}

// fleet is all hosts, and their K2HR3.
type fleet struct {
	clock    *clock
	rand     *rand.Rand
	server   *server
	clusters []*cluster
	slaves   []*slave
	visible  bool // slaves see the ring
	held     map[*slave]func()

	turnedAway []*slave // by a K2HR3 that was away
}

// setup says what a fleet is like.
type setup struct {
	seed             uint64
	slaves, clusters int
	processes        int
	abandonedCost    bool
	invisible        bool
	holds            time.Duration
	fresh            bool // no host has a file, or is a member
	policy           func(s *slave, dice schedule.Dice) policy
	startsWithin     time.Duration
}

func newFleet(u setup) *fleet {
	start := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	c := &clock{now: start}
	r := rand.New(rand.NewPCG(u.seed, 11))
	f := &fleet{clock: c, rand: r, server: newServer(c, r, u.processes), visible: !u.invisible, held: map[*slave]func(){}}
	f.server.count.start = start
	f.server.resets = !u.abandonedCost
	f.server.holds = u.holds
	for n := range u.clusters {
		role := fmt.Sprintf("yrn:yahoo:::shop-%d:role:orders-%d/slave", u.seed, n)
		f.clusters = append(f.clusters, &cluster{turns: schedule.ClusterOf(role), version: 1})
	}
	for n := range u.slaves {
		cl := f.clusters[n%u.clusters]
		s := &slave{f: f, cluster: cl, place: len(cl.slaves), version: 1, seen: 1, good: !u.fresh, member: !u.fresh}
		s.policy = u.policy(s, schedule.Seeded(r.Uint64()))
		cl.slaves = append(cl.slaves, s)
		f.slaves = append(f.slaves, s)
	}
	for _, s := range f.slaves {
		c.after(time.Duration(r.Int64N(int64(u.startsWithin))), func() {
			if !s.member {
				s.check()
				return
			}
			s.policy.begin(c.now)
			s.plan()
			if d := s.policy.checks(c.now, 0, false); d > 0 {
				s.check()
			}
		})
	}
	return f
}

// pass lets time pass.
func (f *fleet) pass(d time.Duration) { f.clock.run(f.clock.now.Add(d)) }

// elapsed is the time since the start.
func (f *fleet) elapsed() time.Duration { return f.clock.now.Sub(f.server.count.start) }

// change has a server join or leave a cluster: K2HR3 has it now, and the ring tells within two
// seconds.
func (f *fleet) change(c *cluster) {
	c.version++
	v := c.version
	c.changes = append(c.changes, change{f.clock.now, v})
	for _, s := range c.slaves {
		ring := time.Second + time.Duration(f.rand.Int64N(int64(time.Second)))
		look := time.Duration(f.rand.Int64N(int64(peek)))
		f.clock.after(ring+look, func() { s.sees(v) })
		if tell := f.held[s]; tell != nil {
			f.clock.after(0, tell)
		}
	}
}

// hold keeps a request until its cluster changes, or it is time.
func (f *fleet) hold(s *slave, q *request, most time.Duration) {
	q.held = true
	answer := func() {
		if q.over {
			return
		}
		delete(f.held, s)
		// K2HR3 makes the answer once its turn comes.
		again := &request{takes: holdTakes}
		q.held = false
		again.fails = func(took time.Duration, cut bool) { q.end(f.clock.now.Sub(q.arrived), cut) }
		again.done = func(time.Duration) {
			again.over = true
			if !q.over {
				q.over = true
				s.answer(f.clock.now.Sub(q.arrived), most)
			}
		}
		f.server.send(again, 0)
	}
	f.held[s] = answer
	f.clock.after(most, answer)
}

func (f *fleet) unhold(s *slave) { delete(f.held, s) }

// leave is K2HR3's end.
func (f *fleet) leave() {
	held := f.held
	f.held = map[*slave]func(){}
	for _, s := range f.slaves { // in order, not in that of the map
		if held[s] != nil && s.asking != nil {
			q := s.asking
			q.end(f.clock.now.Sub(q.arrived), true)
		}
	}
	f.server.leave()
}
