package schedule

import (
	"hash/fnv"
	"time"
)

// TurnLength is the time that one slave has for its request when all slaves of a cluster notice the
// same thing at the same moment: one K2HR3 process answers about 20 a second.
const TurnLength = 60 * time.Millisecond

// Turn is when this host asks, among all slaves of its cluster. The slaves have the same list of
// slaves, and clocks that agree well enough; so each takes its turn by its place on the list and
// the time of day, and no two ask at once, whenever they noticed what they ask for.
type Turn struct {
	Place, Slaves int // Place -1: this host is not on the list
	// Cluster keeps clusters from having the same turns for what all of them notice.
	Cluster Cluster
	Wall    time.Time
}

// Cluster is where in a round the turns of a cluster begin.
type Cluster uint32

// ClusterOf returns the Cluster of a role.
func ClusterOf(role string) Cluster {
	h := fnv.New32a()
	_, _ = h.Write([]byte(role))
	return Cluster(h.Sum32())
}

// After returns the time to this host's next turn, at least d away. A slave that is alone has its
// turn at any time, one that is not on the list takes its chance.
func (t Turn) After(dice Dice, d time.Duration) time.Duration {
	if t.Slaves < 2 {
		return d
	}
	round := TurnLength * time.Duration(t.Slaves)
	if t.Place < 0 {
		return d + dice.Below(round)
	}
	return d + until(t.Wall.Add(d), TurnLength*time.Duration(t.Place), round)
}

// Within returns the time to this host's next turn in rounds of a given length, which all slaves of
// all clusters have at the same time; at least d away. Those of one cluster are evenly apart, and
// the clusters begin by chance.
func (t Turn) Within(dice Dice, d, round time.Duration) time.Duration {
	if t.Place < 0 || t.Slaves < 1 || round <= 0 {
		return d + dice.Below(round)
	}
	begin := time.Duration(float64(round) * float64(t.Cluster) / (1 << 32))
	mine := begin + round/time.Duration(t.Slaves)*time.Duration(t.Place)
	return d + until(t.Wall.Add(d), mine, round)
}

// until returns how long it is from a moment to the next place in a round.
func until(from time.Time, place, round time.Duration) time.Duration {
	at := time.Duration(from.UnixNano()) % round
	return ((place-at)%round + round) % round
}
