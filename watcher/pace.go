package watcher

import (
	"context"
	"time"
)

// leastReplacePause is the shortest time between two replacements of the file,
// whatever K2HR3 answers and whoever else changes the file.
const leastReplacePause = time.Second

// pace keeps replacements of the file apart. Every replacement passes it.
type pace struct{ last time.Time }

// wait waits until the file may be replaced, for leastReplacePause at most, and
// takes note that it is replaced then. The error is ctx's.
func (p *pace) wait(ctx context.Context) error {
	err := p.mayReplace(ctx)
	if err == nil {
		p.last = time.Now()
	}
	return err
}

// mayReplace waits like wait, and takes no note.
func (p *pace) mayReplace(ctx context.Context) error {
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
