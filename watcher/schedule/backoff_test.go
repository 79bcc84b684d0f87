package schedule

import (
	"testing"
	"time"
)

func FuzzPausesStayWithinTheirBounds(f *testing.F) {
	for _, limit := range []time.Duration{0, 1, time.Second, time.Minute, 24 * time.Hour} {
		f.Add(int64(limit), uint8(40))
	}
	f.Fuzz(func(t *testing.T, limit int64, tries uint8) {
		if limit < 0 || limit > int64(1000*time.Hour) {
			t.Skip()
		}
		var b Backoff
		bound := firstPause
		for range tries {
			d := b.Pause(Dice{}, 0, time.Duration(limit))
			if d < LeastPause || d >= LeastPause+bound {
				t.Fatalf("limit %v: a pause of %v, want less than %v", time.Duration(limit), d, LeastPause+bound)
			}
			bound = min(2*bound, max(time.Duration(limit), firstPause))
		}
		b.Reset()
		if d := b.Pause(Dice{}, 0, time.Duration(limit)); d >= LeastPause+firstPause {
			t.Fatalf("after the reset: %v", d)
		}
	})
}

func TestPausesUseTheirWholeRange(t *testing.T) {
	var low, high bool
	for range 1000 {
		b := Backoff{time.Minute}
		d := b.Pause(Dice{}, 0, time.Minute)
		low = low || d < 6*time.Second
		high = high || d > 54*time.Second
	}
	if !low || !high {
		t.Error("hosts that failed together come back together")
	}
}

func TestJitterIsATenth(t *testing.T) {
	const d = time.Minute
	for name, dice := range map[string]Dice{"by chance": {}, "by a seed": Seeded(1)} {
		least, most := 2*d, time.Duration(0)
		for range 2000 {
			j := dice.Jitter(d)
			least, most = min(least, j), max(most, j)
		}
		if least < d*9/10 || most > d*11/10 || most-least < d*18/100 {
			t.Errorf("%s: from %v to %v", name, least, most)
		}
		if j := dice.Jitter(0); j != 0 {
			t.Errorf("%s: of nothing: %v", name, j)
		}
	}
}
