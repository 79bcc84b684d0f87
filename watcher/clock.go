package watcher

import "time"

const (
	// clockEvery is how often the clock is looked at.
	clockEvery = 10 * time.Second
	// leap is how far the wall clock must be off what the timers make of it.
	// Slewing by a time service stays far below.
	leap = 30 * time.Second
)

// clock notices that the host was away. Timers do not run while a VM is paused
// or suspended, so that everything planned comes late by that time; the wall
// clock, once it is set right, tells. A step of the clock for another reason
// looks the same and costs one request.
type clock struct {
	next alarm
	wall time.Time // at the last look, without its monotonic part
	at   time.Time // with it
}

// start begins to watch the clock.
func (c *clock) start(now, wall time.Time) {
	c.at, c.wall = now, wall.Round(0)
	c.next.set(now.Add(clockEvery))
}

// jump returns by how much the wall clock has gone its own way since the last
// look.
func (c *clock) jump(now, wall time.Time) time.Duration {
	jump := wall.Round(0).Sub(c.wall) - now.Sub(c.at)
	c.start(now, wall)
	return jump
}
