package lifecycle

import "time"

const (
	// quiet is how long the inputs must be left alone before the agent takes up a change: whoever
	// writes one of them often writes several.
	quiet = 300 * time.Millisecond
	// longest is how long a change waits at most for those that follow it: a program may touch an
	// input over and over, for ever.
	longest = 2 * time.Second
)

// lull waits for the end of a burst of changes. Its C fires when that has come, or takes too long.
type lull struct {
	*time.Timer
	latest time.Time // when the burst counts as over; zero: there is none
}

func newLull() *lull {
	l := &lull{Timer: time.NewTimer(time.Hour)}
	l.Stop()
	return l
}

// touched takes note of a change.
func (l *lull) touched() {
	if !l.pending() {
		l.latest = time.Now().Add(longest)
	}
	l.Reset(min(quiet, time.Until(l.latest)))
}

// over takes note that C has fired.
func (l *lull) over() { l.latest = time.Time{} }

// pending tells whether a burst is going on.
func (l *lull) pending() bool { return !l.latest.IsZero() }
