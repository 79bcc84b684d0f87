package watcher

import (
	"log/slog"
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

// pause returns how long to wait now; the bound it is drawn from doubles each
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

const (
	firstRepeat = time.Minute
	maxRepeat   = time.Hour
)

// nag keeps a lasting trouble from filling the log: it is told at once when it
// is new, then at growing intervals, and otherwise at debug level.
type nag struct {
	err  error // the latest; nil: there is no trouble
	last string
	at   time.Time
	gap  time.Duration
}

func (n *nag) level(what string, level slog.Level) slog.Level {
	now := time.Now()
	switch {
	case what != n.last:
		n.last, n.gap = what, firstRepeat
	case now.Before(n.at.Add(n.gap)):
		return slog.LevelDebug
	default:
		n.gap = min(2*n.gap, maxRepeat)
	}
	n.at = now
	return level
}

// over reports whether there was a trouble, and forgets it.
func (n *nag) over() bool {
	was := n.last != ""
	*n = nag{}
	return was
}
