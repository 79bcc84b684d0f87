package watcher

import (
	"context"
	"time"
)

// leastReplacePause is the shortest time between two replacements of the file,
// whatever K2HR3 answers and whoever else changes the file.
const leastReplacePause = time.Second

// Pace keeps replacements of the file apart. Every replacement passes it. Watchers that follow one
// another share one, as a change of the configuration is no reason for two replacements within that
// pause. The zero Pace is ready for use, by one watcher at a time.
type Pace struct{ last time.Time }

// replaced takes note that the file is replaced now.
func (p *Pace) replaced(now time.Time) { p.last = now }

// mayReplace waits until the file may be replaced, for leastReplacePause at most. The error is
// ctx's.
func (p *Pace) mayReplace(ctx context.Context) error {
	if d := time.Until(p.last.Add(leastReplacePause)); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	return nil
}
