package watcher

import (
	"math/rand/v2"
	"time"
)

// turnLength is the time that one slave has for its request when all slaves of
// a cluster notice the same thing at the same moment: one K2HR3 process answers
// about 20 a second.
const turnLength = 60 * time.Millisecond

// turn is when this host asks, among all slaves of its cluster. The slaves have
// the same list of slaves, and clocks that agree well enough; so each takes its
// turn by its place on the list and the time of day, and no two ask at once,
// whenever they noticed what they ask for.
type turn struct {
	place, slaves int // place -1: this host is not on the list
	wall          time.Time
}

// after returns the time to this host's next turn, at least d away. A slave that
// is alone has its turn at any time, one that is not on the list takes its
// chance.
func (t turn) after(d time.Duration) time.Duration {
	if t.slaves < 2 {
		return d
	}
	round := turnLength * time.Duration(t.slaves)
	if t.place < 0 {
		return d + rand.N(round)
	}
	at := time.Duration(t.wall.Add(d).UnixNano()) % round
	return d + (turnLength*time.Duration(t.place)-at+round)%round
}
