package schedule

import (
	"testing"
	"time"
)

var start = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// calm is a host where all is well, one of so many.
func calm(slaves int) Scene {
	return Scene{Good: true, Calm: true, Turn: Turn{Slaves: slaves, Wall: start}}
}

func newHost() Asking { return NewAsking(time.Minute, 55*time.Second, Seeded(1)) }

// pauses makes requests fail again and again, and returns the pauses after them.
func pauses(a *Asking, n int, f Failure, s Scene) (all []time.Duration) {
	now := start
	for range n {
		a.Begin(now)
		now = now.Add(f.Took)
		s.Turn.Wall = now
		a.Failed(now, f, s)
		all = append(all, a.Next().Sub(now))
		now = a.Next()
	}
	return all
}

func longestOf(all []time.Duration) time.Duration {
	var most time.Duration
	for _, d := range all {
		most = max(most, d)
	}
	return most
}

func TestThePauseGrowsWithHowLongK2HR3Took(t *testing.T) {
	none := Scene{}
	other := calm(1)
	other.Calm = false // the ring has another server
	manyOther := calm(200)
	manyOther.Calm = false
	for name, tt := range map[string]struct {
		scene       Scene
		took        time.Duration
		least, most time.Duration // of the longest pause
	}{
		"one of few, refused at once":               {calm(1), time.Millisecond, 30 * time.Second, time.Minute},
		"one of few, timeouts":                      {calm(1), 20 * time.Second, 10 * time.Minute, LongestPause},
		"one of many, refused at once":              {calm(200), time.Millisecond, 3 * time.Minute, 5 * time.Minute},
		"one of many, timeouts":                     {calm(200), 20 * time.Second, 10 * time.Minute, LongestPause},
		"no good file, refused at once":             {none, time.Millisecond, 8 * time.Second, Hurry},
		"no good file, timeouts":                    {none, 20 * time.Second, 30 * time.Second, time.Minute},
		"the ring has another server, timeouts":     {other, 20 * time.Second, 30 * time.Second, time.Minute},
		"one of many, the ring has another, hangs":  {manyOther, 20 * time.Second, 3 * time.Minute, LongestPause},
		"one of many, the ring has another, refuse": {manyOther, time.Millisecond, 3 * time.Minute, 5 * time.Minute},
	} {
		a := newHost()
		all := pauses(&a, 40, Failure{Took: tt.took}, tt.scene)
		if most := longestOf(all); most < tt.least || most > tt.most+LeastPause {
			t.Errorf("%s: the longest pause is %v, want %v to %v", name, most, tt.least, tt.most)
		}
		if tt.took < slow && all[0] > firstPause+LeastPause {
			t.Errorf("%s: the first pause is %v", name, all[0])
		}
	}
}

// The pause that somebody else was told has ended later than this one; it adds none of its own.
func TestARequestThatWasNotSentComesWhenItMay(t *testing.T) {
	a := newHost()
	pauses(&a, 10, Failure{Took: 20 * time.Second}, calm(200))
	now := a.Next()
	for range 3 {
		a.Begin(now)
		a.Failed(now, Failure{RetryAfter: 4 * time.Second, NotAsked: true}, calm(200))
		if got := a.Next().Sub(now); got != 4*time.Second || a.Why() != WhyRetryAfter {
			t.Errorf("it comes after %v (%s)", got, a.Why())
		}
		now = a.Next()
	}
}

// Operators hate agents that sit out a long pause after all is well again.
func TestAChangeOfTheRingCutsAnyPauseShort(t *testing.T) {
	for name, f := range map[string]Failure{
		"after timeouts": {Took: 20 * time.Second},
		"Retry-After":    {Took: time.Millisecond, RetryAfter: LongestPause},
	} {
		a := newHost()
		pauses(&a, 10, f, calm(200))
		now := a.Next().Add(-time.Second)
		if f.RetryAfter > 0 {
			now = start.Add(time.Minute + 10*f.RetryAfter)
			a.Begin(now)
			a.Failed(now, f, calm(200))
			now = now.Add(time.Second)
		}
		turn := calm(200).Turn
		turn.Wall = now
		hurry := a.RingChanged(now, turn, false)
		if d := a.Next().Sub(now); d > 200*TurnLength || a.Why() != WhyRing {
			t.Errorf("%s: K2HR3 is asked after %v (%s)", name, d, a.Why())
		}
		if hurry != (f.RetryAfter > 0) {
			t.Errorf("%s: hurry %v", name, hurry)
		}
		// K2HR3 says again that it wants to be left alone.
		if f.RetryAfter > 0 {
			a.Begin(a.Next())
			a.Failed(a.Began(), f, calm(200))
			if a.RingChanged(a.Began().Add(time.Second), turn, false) {
				t.Errorf("%s: cut again at once", name)
			}
		}
	}
}

// held has a request held for so long, and answered.
func held(a *Asking, now time.Time, took time.Duration, s Scene) time.Time {
	a.Begin(now)
	now = now.Add(took)
	r := Answer{Took: took, Held: 55 * time.Second, NotModified: true}
	a.Heard(r, s)
	a.Same(now, r, s)
	return now
}

func TestHostsWhoseHeldRequestsWereLostComeBackOverAMinute(t *testing.T) {
	parts := make(map[int]int)
	for place := range 200 {
		a, s := newHost(), calm(200)
		s.Turn.Place = place
		now := held(&a, start, 55*time.Second, s)
		a.Begin(now)
		now = now.Add(20 * time.Second)
		s.Turn.Wall = now
		lost, learnt := a.Failed(now, Failure{Took: 20 * time.Second, Cut: true}, s)
		if !lost || learnt || a.Why() != WhyLost || a.Stretch() != 1 {
			t.Fatalf("lost %v, learnt %v, %s", lost, learnt, a.Why())
		}
		d := a.Next().Sub(now)
		if d > time.Minute+LeastPause {
			t.Fatalf("place %d comes after %v", place, d)
		}
		parts[int(d/(10*time.Second))]++
		// K2HR3 is away: the pauses go on from there.
		a.Begin(a.Next())
		s.Turn.Wall = a.Began()
		a.Failed(a.Began(), Failure{}, s)
		if d := a.Next().Sub(a.Began()); d > 2*time.Minute+LeastPause {
			t.Fatalf("place %d comes again after %v", place, d)
		}
	}
	for part, n := range parts {
		if n > 40 {
			t.Errorf("%d of 200 come in part %d of 6", n, part)
		}
	}
	a, s := newHost(), calm(200)
	now := held(&a, start, 55*time.Second, s)
	a.Begin(now)
	a.Failed(now.Add(30*time.Second), Failure{Took: 30 * time.Second, Cut: true}, s)
	a.RingChanged(now.Add(31*time.Second), s.Turn, false)
	if d := a.Next().Sub(now.Add(31 * time.Second)); d > 200*TurnLength {
		t.Errorf("the ring has changed, and the host comes after %v", d)
	}
}

func TestAServerWhoseHeldRequestsAreCutEarlyIsAskedToHoldForLess(t *testing.T) {
	for name, tt := range map[string]struct {
		ages   []time.Duration
		learnt bool
		want   time.Duration
	}{
		"a proxy ends what is silent for 30 s": {[]time.Duration{30 * time.Second, 31 * time.Second}, true, 27 * time.Second},
		"it ends what is silent for 5 s":       {[]time.Duration{5 * time.Second, 5 * time.Second}, true, 0},
		"K2HR3 was restarted twice":            {[]time.Duration{30 * time.Second, 11 * time.Second}, false, 55 * time.Second},
		"once":                                 {[]time.Duration{30 * time.Second}, false, 55 * time.Second},
	} {
		a, s := newHost(), calm(1)
		now := held(&a, start, 55*time.Second, s)
		var learnt bool
		for _, age := range tt.ages {
			a.Begin(now)
			now = now.Add(age)
			_, learnt = a.Failed(now, Failure{Took: age, Cut: true}, s)
			now = a.Next()
		}
		if learnt != tt.learnt || a.Hold() != tt.want {
			t.Errorf("%s: learnt %v, asks to hold for %v, want %v", name, learnt, a.Hold(), tt.want)
		}
		if learnt && tt.want > 0 {
			now = held(&a, now, tt.want, s)
			if a.Next() != now {
				t.Errorf("%s: it is not asked again at once", name)
			}
		}
	}
}

// ask makes requests that are all answered after so long.
func ask(a *Asking, now time.Time, n int, took time.Duration, s Scene) time.Time {
	for range n {
		a.Begin(now)
		now = now.Add(took)
		s.Turn.Wall = now
		r := Answer{Took: took, NotModified: true}
		a.Heard(r, s)
		a.Same(now, r, s)
		now = a.Next()
	}
	return now
}

func TestABusyK2HR3IsAskedLess(t *testing.T) {
	for slaves, base := range map[int]time.Duration{1: time.Minute, 200: 5 * time.Minute} {
		a, s := newHost(), calm(slaves)
		now := ask(&a, start, 20, 50*time.Millisecond, s)
		if every := a.Every(s); every != base {
			t.Errorf("%d slaves: every %v with a K2HR3 that is not busy, want %v", slaves, every, base)
		}
		now = ask(&a, now, 1, time.Second, s)
		if a.Stretch() > 1.3 {
			t.Errorf("%d slaves: one late answer stretches the interval by %.1f", slaves, a.Stretch())
		}
		now = ask(&a, now, 12, time.Second, s)
		if every := a.Every(s); every != longestInterval || a.Why() != WhyBusy {
			t.Errorf("%d slaves: every %v with a busy K2HR3 (%s)", slaves, every, a.Why())
		}
		for range 20 {
			if now = ask(&a, now, 1, time.Second, s); a.Next().Sub(now) > longestInterval {
				t.Errorf("%d slaves: it is asked after %v", slaves, a.Next().Sub(now))
			}
		}
		ask(&a, now, 60, 50*time.Millisecond, s)
		if every := a.Every(s); every != base {
			t.Errorf("%d slaves: every %v once K2HR3 is not busy any more, want %v", slaves, every, base)
		}
	}
}

// A server that registers long after the ring has it is not missed for half an hour.
func TestAHostThatIsBehindItsRingAsksABusyK2HR3(t *testing.T) {
	for _, tt := range []struct {
		slaves      int
		least, most time.Duration
	}{
		{1, 54 * time.Second, 67 * time.Second},
		{20, 54 * time.Second, 67 * time.Second},
		{30, 5 * time.Minute, 20 * time.Minute},
		{200, 5 * time.Minute, longestInterval},
	} {
		a, s := newHost(), calm(tt.slaves)
		now := ask(&a, start, 20, 50*time.Millisecond, s)
		now = ask(&a, now, 12, time.Second, s)
		s.Calm, s.Turn.Wall = false, now
		a.RingChanged(now, s.Turn, false)
		now = ask(&a, now.Add(ChaseFor), 10, time.Second, s)
		if d := a.Next().Sub(a.Began()); d < tt.least || d > tt.most || a.Why() != WhyRing {
			t.Errorf("one of %d asks after %v (%s)", tt.slaves, d, a.Why())
		}
		a.RingAgrees()
		s.Calm = true
		ask(&a, now, 1, time.Second, s)
		if d := a.Next().Sub(a.Began()); d < 5*time.Minute {
			t.Errorf("one of %d asks after %v where all is well", tt.slaves, d)
		}
	}
}

func TestAnswersOfNoTimeAtAllAreNotLate(t *testing.T) {
	a, s := newHost(), calm(1)
	ask(&a, start, 10, 0, s)
	ask(&a, start, 10, 10*time.Millisecond, s)
	if a.Stretch() != 1 {
		t.Errorf("the interval is stretched by %v", a.Stretch())
	}
}

// The number of slaves counts, and the host must be one of those that it counts.
func TestTheIntervalGrowsWithTheNumberOfSlaves(t *testing.T) {
	a := newHost()
	for _, tt := range []struct {
		place, slaves int
		want          time.Duration
	}{
		{0, 1, time.Minute}, {1, 2, time.Minute}, {19, 20, time.Minute},
		{0, 21, 63 * time.Second}, {0, 50, 150 * time.Second}, {98, 99, 297 * time.Second},
		{0, 100, 5 * time.Minute}, {0, 5000, 5 * time.Minute},
		{-1, 0, 5 * time.Minute}, {-1, 1, 5 * time.Minute}, {-1, 50, 5 * time.Minute},
	} {
		s := calm(tt.slaves)
		s.Turn.Place = tt.place
		if got := a.Every(s); got != tt.want {
			t.Errorf("place %d of %d slaves: every %v, want %v", tt.place, tt.slaves, got, tt.want)
		}
		s.Calm = false
		if got := a.Every(s); got != time.Minute {
			t.Errorf("place %d of %d slaves, not all is well: every %v, want the interval", tt.place, tt.slaves, got)
		}
	}
}

func TestARegistrationWaitsWhereK2HR3IsSlow(t *testing.T) {
	if d := Spread(Seeded(1), 7*time.Millisecond); d > 70*time.Millisecond {
		t.Errorf("a host that is alone waits %v", d)
	}
	var most time.Duration
	for seed := range uint64(50) {
		most = max(most, Spread(Seeded(seed), 20*time.Second))
	}
	if most < 50*time.Second || most > time.Minute {
		t.Errorf("the longest wait is %v", most)
	}
}

func TestAK2HR3ThatWasSilentIsAskedGently(t *testing.T) {
	a, s := newHost(), calm(200)
	for _, tt := range []struct {
		took   time.Duration
		gently bool
	}{{time.Millisecond, false}, {20 * time.Second, true}, {time.Millisecond, false}} {
		pauses(&a, 1, Failure{Took: tt.took}, s)
		if a.Gently() != tt.gently {
			t.Errorf("after a failure that took %v: gently %v", tt.took, a.Gently())
		}
	}
	now := a.Next()
	pauses(&a, 1, Failure{Took: 20 * time.Second}, s)
	if ask(&a, now, 1, 50*time.Millisecond, s); a.Gently() {
		t.Error("K2HR3 has answered, and is asked gently")
	}
	for took, want := range map[time.Duration]bool{time.Millisecond: true, 4 * time.Second: true, 6 * time.Second: false} {
		if wait, ask := AfterKnock(Seeded(1), took); ask != want || wait > time.Minute {
			t.Errorf("it took %v to say that it is there: ask %v, after %v", took, ask, wait)
		}
	}
}

// Some answers of a K2HR3 that has time enough are late by chance.
func TestAFewLateAnswersChangeNothing(t *testing.T) {
	a, s := newHost(), calm(200)
	now := start
	for range 30 {
		now = ask(&a, now, 20, 50*time.Millisecond, s)
		now = ask(&a, now, 1, 90*time.Millisecond, s)
		now = ask(&a, now, 1, 150*time.Millisecond, s)
		if a.Stretch() != 1 {
			t.Fatalf("the interval is stretched by %v", a.Stretch())
		}
	}
	late := 0
	for ; a.Stretch() == 1 && late < 20; late++ {
		now = ask(&a, now, 1, 200*time.Millisecond, s)
	}
	if late < 2 || late > 8 {
		t.Errorf("K2HR3 counts as busy after %d late answers in a row", late)
	}
}

// While all hosts come back to a K2HR3 that may be busy, each asks once in a quarter of an hour.
func TestAHostThatComesBackTakesOneTurn(t *testing.T) {
	for name, tt := range map[string]struct {
		late int
		why  Reason
	}{
		"a K2HR3 that may be busy": {2, WhyBusy},
		"one that is not":          {0, WhyInterval},
	} {
		a, s := newHost(), calm(200)
		now := ask(&a, start, 3, 50*time.Millisecond, s)
		ask(&a, now, tt.late, 200*time.Millisecond, s)
		pauses(&a, 3, Failure{Took: time.Millisecond}, s)
		now = a.Next()
		next := ask(&a, now, 1, 50*time.Millisecond, s)
		if d := next.Sub(now); a.Why() != tt.why || (d >= LongestPause*9/10) != (tt.why == WhyBusy) {
			t.Errorf("%s: asked again after %v (%s)", name, d, a.Why())
		}
	}
}
