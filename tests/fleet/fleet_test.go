package main

import (
	"fmt"
	"math"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/need"
)

// seeds are those that each bound is held to; with K2HDKC_TEST_FULL=1 there are more.
func seeds() []uint64 {
	if need.Full() {
		return []uint64{1, 2, 3, 4, 5}
	}
	return []uint64{1, 2}
}

// each plays a scenario with the agent's schedule, once for each seed.
func each(t *testing.T, name string, look func(t *testing.T, o outcome)) {
	eachWith(t, name, false, seeds(), look)
}

// eachWith: cost: K2HR3 works on what was given up.
func eachWith(t *testing.T, name string, cost bool, seeds []uint64, look func(t *testing.T, o outcome)) {
	sc, p := scenarioOf(name), wayOf("agent")
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o := sc.play(p, cost, seed)
			t.Logf("%.1f/s, worst second %d, busy %.2f, wait %v, timeouts %.2f %%, right p50 %v p99 %v max %v, never %d", o.mean, o.worst, o.busy, o.wait.Round(time.Millisecond), 100*o.timeoutShare(), o.at(.5), o.at(.99), o.at(1), o.never)
			look(t, o)
		})
	}
}

func most[T int | float64 | time.Duration](t *testing.T, what string, got, limit T) {
	t.Helper()
	if got > limit || got < 0 {
		t.Errorf("%s: %v, want %v at most", what, got, limit)
	}
}

// 10,000 slaves of one K2HR3 process ask less, until it has time for something else too, and stay
// there; also where they see no ring, or nothing tells K2HR3 what was given up.
func TestTenThousandSlavesSettleWithinAnHour(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		cost  bool
		seeds []uint64
	}{
		{"steady, 10,000 slaves", false, seeds()},
		{"ring not visible", false, seeds()[:1]},
		{"ring not visible", true, seeds()[1:]},
	} {
		for _, seed := range tt.seeds {
			t.Run(fmt.Sprint(tt.name, tt.cost, seed), func(t *testing.T) {
				t.Parallel()
				u := scenarioOf(tt.name).setup
				u.policy, u.seed, u.abandonedCost = wayOf("agent").make, seed, tt.cost
				settles(t, newFleet(u))
			})
		}
	}
}

// settles: no more than 60 % of the process in any half hour, from the first hour on, and no waves.
func settles(t *testing.T, f *fleet) {
	t.Helper()
	const end, half, quarter = 4 * time.Hour, 30 * time.Minute, 15 * time.Minute
	f.pass(end)
	low, high := math.Inf(1), 0.0
	for at := time.Hour; at+half <= end; at += quarter {
		o := f.server.count.between(at, at+half, 1)
		most(t, fmt.Sprintf("busy in the half hour after %v", at), o.busy, 0.6)
		if at >= 90*time.Minute {
			low, high = min(low, o.mean), max(high, o.mean)
		}
	}
	all := f.server.count.between(time.Hour, end, 1)
	t.Logf("busy %.2f, from %.1f to %.1f a second, worst second %d, longest wait %v, %d timeouts", all.busy, low, high, all.worst, all.wait, all.timeouts)
	most(t, "timeouts", float64(all.timeouts), float64(all.all)/100)
	most(t, "the largest rate of half an hour, by the smallest", high/low, 1.5)
}

// As many as that do not make one process busy, and notice nothing of all this.
func TestAThousandSlavesAskAsBefore(t *testing.T) {
	t.Parallel()
	each(t, "steady, 1,000 slaves", func(t *testing.T, o outcome) {
		if unstretched := 1000.0 / 300; math.Abs(o.mean/unstretched-1) > 0.01 {
			t.Errorf("%.3f requests a second, %.3f without a stretch, and more than 1 %% apart", o.mean, unstretched)
		}
		most(t, "timeouts", o.timeouts, 0)
	})
}

func TestAnOutageIsFollowedByAQuietQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	look := func(t *testing.T, o outcome) {
		most(t, "the longest wait", o.wait, 5*time.Second)
		most(t, "timeouts", o.timeoutShare(), 0.01)
		most(t, "who was turned away and has no answer", o.never, 0)
		most(t, "the last answer", o.at(1), 15*time.Minute)
	}
	each(t, "K2HR3 away for 10 minutes", func(t *testing.T, o outcome) {
		most(t, "the worst second", o.worst, 20)
		look(t, o)
	})
	eachWith(t, "K2HR3 away for 10 minutes", true, seeds()[:1], look)
}

func TestAChangeOfTheRingIsSeenInTheMiddleOfARecovery(t *testing.T) {
	t.Parallel()
	each(t, "a ring change in the recovery", func(t *testing.T, o outcome) {
		most(t, "right (p99)", o.at(.99), 20*time.Second)
		most(t, "not right", o.never, 0)
	})
}

func TestAnOverloadIsOverSoonAfterItsEnd(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"half speed for an hour", "overload for an hour"} {
		look := func(t *testing.T, o outcome) { most(t, name+": drained", o.at(1), 5*time.Minute) }
		each(t, name, look)
		eachWith(t, name, true, seeds()[:1], look)
	}
}

func TestAThousandVMsThatBootAtOnceAreRightWithinThreeMinutes(t *testing.T) {
	t.Parallel()
	each(t, "1,000 VMs boot", func(t *testing.T, o outcome) {
		most(t, "right", o.at(1), 3*time.Minute)
		most(t, "not right", o.never, 0)
	})
}

// alone is a host that is the only one.
func alone(seed uint64) *fleet {
	f := newFleet(setup{seed: seed, slaves: 1, clusters: 1, processes: 1, startsWithin: time.Second, policy: newAgent(0)})
	f.pass(30 * time.Minute)
	return f
}

func TestAnAgentAloneIsRightSoon(t *testing.T) {
	t.Parallel()
	var fromRing, fromReturn time.Duration
	for seed := range uint64(100) {
		f := alone(seed)
		at := f.clock.now
		f.change(f.clusters[0])
		f.pass(time.Minute)
		told := f.slaves[0].told
		right, _ := f.slaves[0].hadAt(2)
		fromRing = max(fromRing, right.Sub(told))
		if told.Before(at) || right.IsZero() {
			t.Fatalf("seed %d: told %v, right %v", seed, told, right)
		}

		f.leave()
		f.pass(5 * time.Minute)
		f.change(f.clusters[0]) // which only the ring tells
		f.pass(5 * time.Minute)
		f.server.comeBack()
		back := f.clock.now
		f.pass(5 * time.Minute)
		right, ok := f.slaves[0].hadAt(3)
		if !ok {
			t.Fatalf("seed %d: never right", seed)
		}
		fromReturn = max(fromReturn, right.Sub(back))
	}
	t.Logf("after the ring %v, after K2HR3's return %v", fromRing, fromReturn)
	most(t, "right after the ring", fromRing, 2*time.Second)
	most(t, "right after K2HR3's return", fromReturn, time.Minute+time.Second)
}

// With a K2HR3 that holds requests a change is everywhere at once, and after a restart hosts come
// back over a minute.
func TestHeldRequests(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds()[:1] {
		sc := scenarioOf("one server joins, 10,000 slaves")
		sc.setup.slaves, sc.setup.clusters = 4000, 20
		f := sc.settled(wayOf("agent, held requests"), false, seed)
		f.pass(10 * time.Minute)
		at := f.clock.now
		f.change(f.clusters[3])
		f.pass(time.Minute)
		var o outcome
		f.rights(&o, at)
		t.Logf("right: p99 %v, max %v", o.at(.99), o.at(1))
		most(t, "right (p99)", o.at(.99), time.Second)

		f.leave()
		f.server.comeBack()
		from := f.elapsed()
		f.pass(50 * time.Second)
		late := f.sum(from)
		t.Logf("in 50 s after a restart %.1f a second, worst second %d", late.mean, late.worst)
		most(t, "requests in the worst second after a restart", late.worst, 3*4000/60)
	}
}

func TestTheSameSeedGivesTheSame(t *testing.T) {
	t.Parallel()
	sc, p := scenarioOf("one server joins"), wayOf("agent")
	a, b := sc.play(p, true, 5), sc.play(p, true, 5)
	if a.span != b.span || a.right() != b.right() {
		t.Errorf("%+v\n%+v", a, b)
	}
}
