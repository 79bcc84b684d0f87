package watcher

import "time"

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
