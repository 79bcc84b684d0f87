package schedule

import "time"

const (
	firstPause = time.Second

	// LeastPause is the shortest pause after a failure.
	LeastPause = 200 * time.Millisecond
)

// Backoff gives growing pauses with full jitter, so that hosts that failed together do not come
// back together.
type Backoff struct{ bound time.Duration }

// Pause returns how long to wait now. It draws from a bound that doubles each time, from first (at
// least a second) up to limit.
func (b *Backoff) Pause(dice Dice, first, limit time.Duration) time.Duration {
	return LeastPause + dice.Below(b.grow(first, limit))
}

// grow returns the next bound.
func (b *Backoff) grow(first, limit time.Duration) time.Duration {
	b.bound = min(max(2*b.bound, first, firstPause), max(limit, firstPause))
	return b.bound
}

// Reset makes the next pause a first one.
func (b *Backoff) Reset() { b.bound = 0 }
