package watcher

import (
	"context"
	"time"
)

const (
	// tick is how often the clock is looked at.
	tick = 10 * time.Second
	// leap is how far the wall clock must be off what the ticks make of it.
	// Slewing by a time service stays far below.
	leap = 30 * time.Second
)

// clock notices that the host was away. Timers do not run while a VM is paused
// or suspended, so that everything planned comes late by that time; the wall
// clock, once it is set right, tells. A step of the clock for another reason
// looks the same and costs one request.
type clock struct {
	timer *time.Timer
	wall  time.Time // at the last look, without its monotonic part
	at    time.Time // with it
}

// start begins to watch the clock.
func (c *clock) start(wall time.Time) {
	c.at, c.wall = time.Now(), wall.Round(0)
	c.timer.Reset(tick)
}

// jump returns by how much the wall clock has gone its own way since the last
// look.
func (c *clock) jump(wall time.Time) time.Duration {
	ran := time.Since(c.at)
	jump := wall.Round(0).Sub(c.wall) - ran
	c.start(wall)
	return jump
}

// checkClock asks K2HR3 after the host was away.
func (w *Watcher) checkClock(ctx context.Context) {
	jump := w.clock.jump(w.wall())
	if jump.Abs() < leap {
		return
	}
	w.Log.Info("the clock has jumped: the host was paused, or its time was set; asking K2HR3", "by", jump.Round(time.Second).String())
	w.event(ctx, AskNow)
	w.lookIn(0)
}

// wall returns what the clock on the wall shows.
func (w *Watcher) wall() time.Time {
	if w.Wall != nil {
		return w.Wall()
	}
	return time.Now()
}
