package schedule

import (
	"fmt"
	"math/rand/v2"
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

// In a long round the slaves of a cluster are evenly apart, and clusters begin at different times.
func TestEachSlaveHasOneTurnInALongRound(t *testing.T) {
	const slaves, round = 200, 15 * time.Minute
	wall := time.Now()
	begins := make(map[time.Duration]bool)
	for cluster := range 20 {
		mine := make(map[time.Duration]int)
		for place := range slaves {
			turn := Turn{Place: place, Slaves: slaves, Cluster: ClusterOf(fmt.Sprint(cluster)), Wall: wall}
			d := turn.Within(Dice{}, 0, round)
			if again := turn.Within(Dice{}, d+1, round); again != d+round {
				t.Fatalf("place %d has its turn after %v and after %v", place, d, again)
			}
			at := (time.Duration(wall.UnixNano()) + d) % round
			mine[at/(round/slaves)]++
			if place == 0 {
				begins[at] = true
			}
		}
		if len(mine) < slaves-1 { // the first and the last may share a part
			t.Errorf("cluster %d: %d slaves have their turns in %d parts of the round", cluster, slaves, len(mine))
		}
	}
	if len(begins) != 20 {
		t.Errorf("20 clusters begin at %d times", len(begins))
	}
	for range 100 {
		if d := (Turn{Place: -1, Slaves: slaves}).Within(Dice{}, time.Second, round); d < time.Second || d >= round+time.Second {
			t.Errorf("not on the list: %v", d)
		}
	}
}
