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

// wait waits until the file may be replaced, for leastReplacePause at most, and
// takes note that it is replaced then. The error is ctx's.
func (p *Pace) wait(ctx context.Context) error {
	err := p.mayReplace(ctx)
	if err == nil {
		p.last = time.Now()
	}
	return err
}

// mayReplace waits like wait, and takes no note.
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
