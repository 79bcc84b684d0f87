package watcher

import "time"

const (
	// How many exchanges with K2HR3 a question for the text may take besides
	// the reading itself, and how many it may take to see to the membership.
	// Both are more than there can be.
	askExchanges  = 3
	keepExchanges = 9

	// lookLimit and tellLimit are more than a look at chmpx and the telling of
	// its unit can take: the program is ended after ten seconds and run twice
	// at most; systemd is given two minutes for each of two things.
	lookLimit = time.Minute
	tellLimit = 5 * time.Minute

	// overdueAfter is how much longer something has to take to be stuck rather
	// than slow.
	overdueAfter = time.Minute
)

// alive is the sign of life that the loop gives.
type alive struct {
	timer *time.Timer
	stuck string // what was overdue at the latest sign
	told  bool   // there is none given because of it
}

// showAlive gives the sign of life, unless something does not come to its end:
// the loop goes on then, and yet the agent does not do what it is there for.
// That must be so twice in a row, for a host that was paused may find every
// limit behind it at once.
func (w *Watcher) showAlive() {
	if w.Alive == nil || w.AliveEvery <= 0 {
		return
	}
	w.alive.timer.Reset(w.AliveEvery)
	before := w.alive.stuck
	w.alive.stuck = w.overdue(time.Now())
	if w.alive.stuck != "" && w.alive.stuck == before {
		if !w.alive.told {
			w.Log.Error("something does not come to its end; no sign of life is given until it does", "what", before)
		}
		w.alive.told = true
		return
	}
	w.alive.told = false
	w.Alive()
}

// due is when something that begins now, and takes d at most, is stuck.
func (w *Watcher) due(d time.Duration) time.Time { return time.Now().Add(d + overdueAfter) }

// overdue names something that should long be over; empty: there is nothing.
func (w *Watcher) overdue(now time.Time) string {
	for _, op := range []struct {
		what string
		busy bool
		due  time.Time
	}{
		{"the request to K2HR3", w.asking.cancel != nil, w.asking.due},
		{"seeing to the membership", w.standing.busy, w.standing.due},
		{"the look at chmpx", w.looking.busy, w.looking.due},
		{"telling chmpx's unit", w.telling.busy, w.telling.due},
	} {
		if op.busy && now.After(op.due) {
			return op.what
		}
	}
	return ""
}
