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
	return Cluster(mixed(h.Sum32()))
}

// mixed has each bit of n change all others, so that names that differ in their last letter alone
// have nothing in common.
func mixed(n uint32) uint32 {
	for range 2 {
		n ^= n >> 16
		n *= 0x7feb352d
	}
	return n ^ n>>15
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

// shifts is into how many of its shifts a long round is divided: in each round a cluster begins
// later by chance, by one shift at most, so that no slave is behind the same others each time.
const shifts = 200

// Within returns the time to this host's next turn in rounds of a given length, which all slaves of
// all clusters have at the same time; at least d away, and no more than a round beyond that. Those
// of one cluster are evenly apart, and the clusters begin by chance.
func (t Turn) Within(dice Dice, d, round time.Duration) time.Duration {
	if t.Place < 0 || t.Slaves < 1 || round < shifts {
		return d + dice.Below(round)
	}
	shift := round / shifts
	round -= shift
	begin := part(round, t.Cluster)
	d += until(t.Wall.Add(d), begin+round/time.Duration(t.Slaves)*time.Duration(t.Place), round)
	number := uint32(t.Wall.Add(d).UnixNano() / int64(round)) //nolint:gosec // any number will do
	return d + part(shift, Cluster(mixed(uint32(t.Cluster)+number)))
}

// part returns that part of d that c is of all there can be.
func part(d time.Duration, c Cluster) time.Duration {
	return time.Duration(float64(d) * float64(c) / (1 << 32))
}

// until returns how long it is from a moment to the next place in a round.
func until(from time.Time, place, round time.Duration) time.Duration {
	at := time.Duration(from.UnixNano()) % round
	return ((place-at)%round + round) % round
}
