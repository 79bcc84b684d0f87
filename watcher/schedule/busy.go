package schedule

import (
	"math"
	"time"
)

const (
	// longestInterval is the longest time between two requests that nothing hurries.
	longestInterval = 30 * time.Minute

	// An idle K2HR3 takes at least fast, as far as is worth telling, and slow at most.
	fast, slow = 20 * time.Millisecond, time.Second

	// tolerance is up to how many times the usual an answer of an idle K2HR3 may take, and mostLate
	// how much one answer beyond that counts at most, in the same measure.
	tolerance, mostLate = 1.7, 2

	// usualRises is how fast the usual follows answers that are slower, and usualFalls how far it
	// follows one that is faster.
	usualRises, usualFalls = 1.02, 0.5

	// rises is how far a late answer takes the level, for each that it counts, and falls how far
	// one that is not late takes it back, times the number of such answers in a row. After
	// somePunctual in a row, which a busy K2HR3 gives hardly ever, each takes back fallsFast.
	rises        = 0.5
	falls        = 0.007
	somePunctual = 10
	fallsFast    = 0.12

	// busyFrom is the level at which K2HR3 begins to count as busy, and busyTo the one at which it
	// does so no longer. In between are the slaves of a K2HR3 that has time enough: some of its
	// answers are late by chance. At the level full the interval is the longest.
	busyFrom, busyTo, full = 2.4, 0.8, 2.6

	// byFailures is the level that failures alone take it to.
	byFailures = 1.9
)

// load is how busy K2HR3 is, as far as this host can tell by itself: by how long its answers take
// against the usual. Nobody sees more than a few answers an hour, so that each moves the level a
// little; that of all slaves together is right long before each one's is. They come to rest where a
// K2HR3 spends about half of its time on them (tests/fleet), and let one alone that spends a fifth.
type load struct {
	usual    time.Duration // how long K2HR3 takes if it is not busy
	level    float64       // from 0 to full
	most     float64       // by how much the interval may be stretched: 1 or more
	busy     bool
	punctual int // answers in a row that were not late
}

// answered takes note of how long an answer took. base is the interval without a stretch.
func (l *load) answered(took, base time.Duration) {
	if l.usual == 0 {
		l.usual = took
	}
	late := float64(took)/float64(min(max(l.usual, fast), slow)) - tolerance
	l.count(late, base)
	if took < l.usual {
		l.usual -= time.Duration(float64(l.usual-took) * usualFalls)
	} else {
		l.usual = min(time.Duration(float64(l.usual)*usualRises), took)
	}
}

// failed takes note of a request that K2HR3 had for so long without answering it well. A refusal
// that comes fast says nothing. A K2HR3 that does not answer at all may have another trouble than
// too much to do, so that this does not make it busy.
func (l *load) failed(took, base time.Duration) {
	if before := l.level; took >= slow {
		l.count(mostLate, base)
		l.level = min(l.level, max(before, byFailures))
	}
}

func (l *load) count(late float64, base time.Duration) {
	switch l.punctual++; {
	case late > 0:
		l.punctual = 0
		l.level += rises * min(late, mostLate)
	case l.punctual <= somePunctual:
		l.level -= falls * float64(l.punctual)
	default:
		l.level -= fallsFast
	}
	l.level = min(max(l.level, 0), full)
	l.most = max(1, float64(longestInterval)/float64(base))
	l.busy = l.level >= busyFrom || l.busy && l.level > busyTo
}

// stretch returns by how much the interval is longer than with a K2HR3 that is not busy: 1 or more.
func (l *load) stretch() float64 {
	if !l.busy {
		return 1
	}
	return math.Pow(l.most, (l.level-busyTo)/(full-busyTo))
}

// suspect reports whether K2HR3 may be busy.
func (l *load) suspect() bool { return l.level > busyTo }
