package glance

import (
	"context"
	"sync"
	"time"
)

// Sparing returns a look that is taken anew after a while only, and until then gives what it found
// before: chmpx does not connect anew to its servers while it is looked at all the time
// (docs/chmpx.md J.2).
func Sparing[T any](every time.Duration, look func(context.Context) (T, error)) func(context.Context) (T, error) {
	var mu sync.Mutex
	var at time.Time
	var found seen[T]
	return func(ctx context.Context) (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if at.IsZero() || time.Since(at) >= every {
			found.value, found.err = look(ctx)
			at = time.Now()
		}
		return found.value, found.err
	}
}
