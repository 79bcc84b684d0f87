package schedule

import "time"

const (
	// CheckEvery is about how often a member checks whether it still is one. Reading by a token
	// would not show it (docs/k2hr3.md C.8).
	CheckEvery = 10 * time.Minute

	// DoubtPause is about how long a doubt waits before the membership is checked.
	DoubtPause = 5 * time.Second
	// MissedPause is how long a host that K2HR3 misses waits before it checks again.
	MissedPause = 15 * time.Second

	// LongestCheckPause is the longest pause after a check that failed, where K2HR3 is not busy.
	LongestCheckPause = 5 * time.Minute

	// A registration waits up to spreadTook times as long as K2HR3 took to answer, and no longer
	// than longestSpread.
	spreadTook    = 10
	longestSpread = time.Minute

	// knockPart is which part of fullTimeout K2HR3 has to say that it is there.
	knockPart = 4
)

// Checking decides when the membership is checked.
type Checking struct {
	Dice     Dice
	failures Backoff
}

// OK returns the time to the next check after one that found no fault. stretch is that of Asking.
func (c *Checking) OK(stretch float64) time.Duration {
	c.failures.Reset()
	return c.Dice.Jitter(min(time.Duration(float64(CheckEvery)*stretch), longestInterval))
}

// Missing returns the time to the next check after one that did not find the host.
func (c *Checking) Missing() time.Duration { return c.Dice.Jitter(MissedPause) }

// Doubt returns the time to a check for which there is a reason.
func (c *Checking) Doubt() time.Duration { return c.Dice.Jitter(DoubtPause) }

// Failed returns the time to the next check after one that failed, for which K2HR3 took so long.
// stretch is that of Asking.
func (c *Checking) Failed(took time.Duration, stretch float64) time.Duration {
	first := DoubtPause
	if took >= slow {
		first = max(first, took*5)
	}
	limit := min(time.Duration(float64(LongestCheckPause)*stretch), LongestPause)
	return c.failures.Pause(c.Dice, min(first, limit), limit)
}

// Spread returns for how long a host that has to register waits, after K2HR3 took so long to
// answer: where many boot together, registrations that come one after another are not given up and
// made again. A host that is alone does not wait.
func Spread(dice Dice, took time.Duration) time.Duration {
	return dice.Below(min(spreadTook*took, longestSpread))
}

// AfterKnock returns how long a host waits after K2HR3 took that long to say that it is there, and
// whether the host asks for the RESOURCE then: it does not where it would have to give that up.
func AfterKnock(dice Dice, took time.Duration) (wait time.Duration, ask bool) {
	return Spread(dice, took), took < fullTimeout/knockPart
}
