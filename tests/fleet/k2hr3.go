package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// What K2HR3 needs for one request, measured at K2HR3 2.0.3 (docs/k2hr3.md K). What it really takes
// varies by spread, log-normally.
const (
	getTakes    = 50 * time.Millisecond // a RESOURCE, 200 or 304
	putTakes    = 38 * time.Millisecond // a registration
	headTakes   = 7 * time.Millisecond  // whether a host is a member
	pingTakes   = time.Millisecond      // whether K2HR3 is there
	resetTakes  = 4 * time.Millisecond  // whatever was reset before its turn
	holdTakes   = time.Millisecond      // a K2HR3 that holds: to look whether the text is another
	spread      = 0.15
	refusedSoon = time.Millisecond
)

// server is K2HR3: processes with a queue each. Nothing looks at a connection before its request's
// turn, so a request that was given up is worked on to its end, unless it was reset.
type server struct {
	clock     *clock
	rand      *rand.Rand
	processes []*process
	away      bool
	hanging   bool          // it takes requests and does nothing
	slowness  float64       // 1: as fast as ever
	holds     time.Duration // how long it holds a request; 0: it does not
	resets    bool          // clients reset what they give up, and nothing on the way hides it
	count     counts
}

type process struct {
	waiting []*request
	busy    bool
	current *request
}

// request is one request, until the client has done with it.
type request struct {
	takes   time.Duration
	read    bool // of the RESOURCE
	arrived time.Time
	givenUp bool
	over    bool // the client knows what became of it
	held    bool
	done    func(took time.Duration)
	fails   func(took time.Duration, cut bool)
}

func newServer(c *clock, r *rand.Rand, processes int) *server {
	s := &server{clock: c, rand: r, slowness: 1, resets: true}
	for range processes {
		s.processes = append(s.processes, &process{})
	}
	return s
}

// send brings a request to K2HR3, which the client gives up after a timeout (0: never).
func (s *server) send(q *request, timeout time.Duration) {
	q.arrived = s.clock.now
	if s.away {
		s.clock.after(refusedSoon, func() { q.end(0, true) })
		return
	}
	s.count.asked(s.clock.now, q.read)
	if timeout > 0 {
		s.clock.after(timeout, func() { s.giveUp(q) })
	}
	p := s.processes[s.rand.IntN(len(s.processes))]
	p.waiting = append(p.waiting, q)
	s.next(p)
}

func (s *server) giveUp(q *request) {
	if q.over || q.held {
		return
	}
	q.givenUp = true
	s.count.timedOut(s.clock.now, q.read)
	q.end(s.clock.now.Sub(q.arrived), false)
}

func (q *request) end(took time.Duration, cut bool) {
	if !q.over {
		q.over = true
		q.fails(took, cut)
	}
}

// next has a process work on the next request.
func (s *server) next(p *process) {
	if p.busy || s.hanging || len(p.waiting) == 0 {
		return
	}
	q := p.waiting[0]
	p.waiting = p.waiting[1:]
	takes := time.Duration(float64(q.takes) * math.Exp(spread*s.rand.NormFloat64()) * s.slowness)
	switch {
	case q.givenUp && s.resets:
		takes = resetTakes
	case !q.givenUp:
		s.count.waited(s.clock.now, s.clock.now.Sub(q.arrived))
	}
	s.count.worked(s.clock.now, takes)
	p.busy, p.current = true, q
	s.clock.after(takes, func() {
		if p.current != q {
			return // K2HR3 has been away since
		}
		p.busy, p.current = false, nil
		if !q.over {
			q.done(s.clock.now.Sub(q.arrived))
		}
		s.next(p)
	})
}

// leave is K2HR3's end: all connections end.
func (s *server) leave() {
	s.away = true
	for _, p := range s.processes {
		gone := p.waiting
		if p.current != nil {
			gone = append(gone, p.current)
		}
		p.waiting, p.current, p.busy = nil, nil, false
		for _, q := range gone {
			q.end(s.clock.now.Sub(q.arrived), true)
		}
	}
}

func (s *server) comeBack() { s.away = false }

// hang has K2HR3 do nothing, or go on.
func (s *server) hang(hangs bool) {
	s.hanging = hangs
	for _, p := range s.processes {
		s.next(p)
	}
}

// longestQueue is how many requests wait at the process with most of them.
func (s *server) longestQueue() int {
	n := 0
	for _, p := range s.processes {
		n = max(n, len(p.waiting))
	}
	return n
}

// counts is what is counted at K2HR3, by the second.
type counts struct {
	start    time.Time
	asks     []int // for the RESOURCE
	all      []int
	timeouts []int
	work     []time.Duration
	longest  []time.Duration // wait in the queue of what was worked on
}

func grown[T any](list []T, i int) []T {
	for len(list) <= i {
		var zero T
		list = append(list, zero)
	}
	return list
}

func (c *counts) second(t time.Time) int { return int(t.Sub(c.start) / time.Second) }

func (c *counts) asked(t time.Time, read bool) {
	i := c.second(t)
	c.asks, c.all = grown(c.asks, i), grown(c.all, i)
	c.all[i]++
	if read {
		c.asks[i]++
	}
}

func (c *counts) timedOut(t time.Time, _ bool) {
	i := c.second(t)
	c.timeouts = grown(c.timeouts, i)
	c.timeouts[i]++
}

func (c *counts) worked(t time.Time, d time.Duration) {
	for ; d > 0; t = t.Add(time.Second) {
		i := c.second(t)
		left := min(d, c.start.Add(time.Duration(i+1)*time.Second).Sub(t))
		c.work = grown(c.work, i)
		c.work[i] += left
		d -= left
		t = c.start.Add(time.Duration(i) * time.Second)
	}
}

func (c *counts) waited(t time.Time, d time.Duration) {
	i := c.second(t)
	c.longest = grown(c.longest, i)
	c.longest[i] = max(c.longest[i], d)
}

// span sums up what was counted from one time to another, since the start.
type span struct {
	asks, all, timeouts, worst int
	mean, busy                 float64
	wait                       time.Duration
}

func (c *counts) between(from, to time.Duration, processes int) span {
	var s span
	a, b := int(from/time.Second), int(to/time.Second)
	for i := a; i < b; i++ {
		if i < len(c.asks) {
			s.asks += c.asks[i]
			s.all += c.all[i]
			s.worst = max(s.worst, c.asks[i])
		}
		if i < len(c.timeouts) {
			s.timeouts += c.timeouts[i]
		}
		if i < len(c.work) {
			s.busy += c.work[i].Seconds()
		}
		if i < len(c.longest) {
			s.wait = max(s.wait, c.longest[i])
		}
	}
	n := float64(max(b-a, 1))
	s.mean = float64(s.asks) / n
	s.busy /= n * float64(processes)
	return s
}
