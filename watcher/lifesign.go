package watcher

import (
	"log/slog"
	"time"
)

const (
	// How many exchanges with K2HR3 a question for the text may take besides
	// the reading itself, and how many a check of the membership may take.
	// Both are more than there can be. A gentle question has one more, and a wait.
	askExchanges   = 3
	knockExchanges = 2
	checkExchanges = 12

	// probeLimit and jobLimit are more than a probe of chmpx and a job of its
	// unit can take: the program is ended after ten seconds and run twice at
	// most; systemd is given two minutes for each of two things.
	probeLimit = time.Minute
	jobLimit   = 5 * time.Minute

	// overdueAfter is how much longer something has to take to be stuck rather
	// than slow.
	overdueAfter = time.Minute
)

// lifeSign is the sign of life that the loop gives.
type lifeSign struct {
	log   *slog.Logger
	every time.Duration // 0: nobody wants one
	next  alarm
	stuck string // what was overdue at the latest sign
	told  bool   // it is logged that there is none because of it
}

// sign reports whether to give a sign of life. stuck names an operation that is
// overdue, empty if none is. The loop still runs then, but the agent does not do its
// work. sign withholds the signal only if the same operation is overdue twice in a
// row, because after a pause of the host everything looks overdue once.
func (a *lifeSign) sign(now time.Time, stuck string) bool {
	a.next.set(now.Add(a.every))
	before := a.stuck
	a.stuck = stuck
	if stuck == "" || stuck != before {
		a.told = false
		return true
	}
	if !a.told {
		a.log.Error("an operation is stuck; the agent sends no watchdog signal until it ends", "what", stuck)
	}
	a.told = true
	return false
}
