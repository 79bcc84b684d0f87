package watcher

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Second
	leastPause = 200 * time.Millisecond
)

// backoff gives growing pauses with full jitter, so that hosts that failed
// together do not come back together.
type backoff struct{ next time.Duration }

// pause returns how long to wait now. It draws from a bound that doubles each
// time, up to limit.
func (b *backoff) pause(limit time.Duration) time.Duration {
	b.next = min(max(2*b.next, firstPause), max(limit, firstPause))
	return leastPause + rand.N(b.next)
}

func (b *backoff) reset() { b.next = 0 }

// jitter returns d, give or take a tenth.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) - d/10
}

// alarm is the moment at which a part of the loop wants to act; zero: it does
// not want to.
type alarm struct{ at time.Time }

func (a *alarm) set(at time.Time) { a.at = at }

func (a *alarm) clear() { a.at = time.Time{} }

// rings reports whether the moment has come, and clears the alarm then.
func (a *alarm) rings(now time.Time) bool {
	if a.at.IsZero() || now.Before(a.at) {
		return false
	}
	a.clear()
	return true
}

// earliest returns the first of the moments that are set, zero if none is.
func earliest(alarms ...alarm) time.Time {
	var first time.Time
	for _, a := range alarms {
		if !a.at.IsZero() && (first.IsZero() || a.at.Before(first)) {
			first = a.at
		}
	}
	return first
}
