package schedule

import "time"

const (
	// ChaseFor is how long K2HR3 is asked for what chmpx has learnt from the ring: a server may be
	// there long before its registration, or for good without one.
	ChaseFor = time.Minute
	// The pauses between these requests grow to maxChasePause within chaseSoon, and beyond that
	// later.
	firstChasePause = time.Second
	maxChasePause   = 1900 * time.Millisecond
	chaseSoon       = 10 * time.Second

	// chaseTook: such a pause is at least so many times as long as K2HR3 took to answer.
	chaseTook = 10
)

// chase is a time of frequent requests after the ring has changed.
type chase struct {
	since time.Time
	gap   time.Duration
}

// pause is the time to the next request because of the ring, at most longest, after an answer that
// took so long. The pauses grow, slowly at first: most servers are registered within seconds.
func (c *chase) pause(now time.Time, longest, took time.Duration) time.Duration {
	age := now.Sub(c.since)
	switch {
	case age >= ChaseFor:
		return longest
	case c.gap == 0:
		c.gap = firstChasePause
	case age < chaseSoon:
		c.gap = min(c.gap*5/4, maxChasePause)
	default:
		c.gap = c.gap * 3 / 2
	}
	return min(max(c.gap, chaseTook*took), longest)
}
