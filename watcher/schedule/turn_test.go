package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// All slaves of a large cluster notice a new server within one peek, and ask again for a while
// because K2HR3 does not have it yet.
func TestNoTwoSlavesHaveTheSameTurn(t *testing.T) {
	const slaves = 250
	wall := time.Now()
	perSecond := make(map[int64]int)
	for place := range slaves {
		noticed := rand.N(2 * time.Second)
		next := func(d time.Duration) time.Duration {
			return Turn{Place: place, Slaves: slaves, Wall: wall}.After(Dice{}, d)
		}
		c := chase{since: wall}
		first := next(noticed)
		if first > noticed+slaves*TurnLength {
			t.Errorf("slave %d waits until %v", place, first)
		}
		for at := first; at < ChaseFor; at = next(at + c.pause(wall, time.Hour, 0)) {
			perSecond[int64(at/time.Second)]++
		}
	}
	for second, n := range perSecond {
		if n > 20 {
			t.Errorf("%d requests in second %d", n, second)
		}
	}
}

func TestALoneSlaveHasItsTurnAtAnyTime(t *testing.T) {
	for slaves, most := range map[int]time.Duration{0: 0, 1: 0, 2: 2 * TurnLength} {
		if d := (Turn{Place: -1, Slaves: slaves}).After(Dice{}, 0); d > most {
			t.Errorf("%d slaves: %v", slaves, d)
		}
	}
	if d := (Turn{Place: -1}).After(Dice{}, time.Second); d != time.Second {
		t.Errorf("without a file: %v", d)
	}
}

// In a long round the slaves of a cluster are evenly apart, and clusters begin at different times,
// a little later by chance in each round.
func TestEachSlaveHasOneTurnInALongRound(t *testing.T) {
	const slaves, round = 200, 15 * time.Minute
	const shift, within = round / shifts, round - round/shifts
	wall := time.Unix(0, 0).Add(1000000 * within)
	begins, shifted := make(map[time.Duration]bool), make(map[time.Duration]bool)
	for cluster := range 20 {
		var turns []time.Duration
		for place := range slaves {
			turn := Turn{Place: place, Slaves: slaves, Cluster: ClusterOf(fmt.Sprint(cluster)), Wall: wall}
			d := turn.Within(Dice{}, 0, round)
			again := turn.Within(Dice{}, d+shift, round)
			if (again - d - within).Abs() > shift {
				t.Fatalf("place %d has its turn after %v and after %v", place, d, again)
			}
			shifted[again-d] = true
			if place == 0 {
				begins[d] = true
			}
			turns = append(turns, d)
		}
		slices.Sort(turns)
		for i, d := range turns[1:] {
			if apart := d - turns[i]; (apart - within/slaves).Abs() > time.Microsecond {
				t.Fatalf("cluster %d: two turns are %v apart, want %v", cluster, apart, within/slaves)
			}
		}
	}
	if len(begins) != 20 || len(shifted) < 20 {
		t.Errorf("20 clusters begin at %d times, and come at %d times in the next round", len(begins), len(shifted))
	}
	for range 100 {
		if d := (Turn{Place: -1, Slaves: slaves}).Within(Dice{}, time.Second, round); d < time.Second || d >= round+time.Second {
			t.Errorf("not on the list: %v", d)
		}
	}
}

// Names that differ in their last letter alone are as far apart as any.
func TestClustersThatAreNamedAlikeBeginAnywhere(t *testing.T) {
	parts := make(map[Cluster]int)
	for n := range 1000 {
		parts[ClusterOf(fmt.Sprintf("yrn:yahoo:::shop:role:orders-%d/slave", n))>>29]++
	}
	for part := range Cluster(8) {
		if n := parts[part]; n < 80 || n > 170 {
			t.Errorf("%d of 1000 clusters begin in part %d of 8", n, part)
		}
	}
}
