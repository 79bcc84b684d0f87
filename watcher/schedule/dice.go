package schedule

import (
	"math/rand/v2"
	"time"
)

// Dice is where chance comes from. The zero Dice is the runtime's.
type Dice struct{ source *rand.Rand }

// Seeded returns dice that fall the same for the same seed.
func Seeded(seed uint64) Dice { return Dice{rand.New(rand.NewPCG(seed, 17))} }

// Below returns a time from 0 to below d, 0 if d is not positive.
func (c Dice) Below(d time.Duration) time.Duration {
	switch {
	case d <= 0:
		return 0
	case c.source == nil:
		return rand.N(d)
	}
	return time.Duration(c.source.Int64N(int64(d)))
}

// Jitter returns d, give or take a tenth.
func (c Dice) Jitter(d time.Duration) time.Duration {
	return d + c.Below(d/5+1) - d/10
}
