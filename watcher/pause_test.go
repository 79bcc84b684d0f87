package watcher

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
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
		var b backoff
		bound := firstPause
		for range tries {
			d := b.pause(time.Duration(limit))
			if d < leastPause || d >= leastPause+bound {
				t.Fatalf("limit %v: a pause of %v, want less than %v", time.Duration(limit), d, leastPause+bound)
			}
			bound = min(2*bound, max(time.Duration(limit), firstPause))
		}
		b.reset()
		if d := b.pause(time.Duration(limit)); d >= leastPause+firstPause {
			t.Fatalf("after the reset: %v", d)
		}
	})
}

func TestPausesUseTheirWholeRange(t *testing.T) {
	var low, high bool
	for range 1000 {
		b := backoff{next: time.Minute}
		d := b.pause(time.Minute)
		low = low || d < 6*time.Second
		high = high || d > 54*time.Second
	}
	if !low || !high {
		t.Error("hosts that failed together come back together")
	}
}

func TestJitterIsATenth(t *testing.T) {
	const d = time.Minute
	least, most := 2*d, time.Duration(0)
	for range 2000 {
		j := jitter(d)
		least, most = min(least, j), max(most, j)
	}
	if least < d*9/10 || most > d*11/10 || most-least < d*18/100 {
		t.Errorf("from %v to %v", least, most)
	}
	if j := jitter(0); j != 0 {
		t.Errorf("of nothing: %v", j)
	}
}

func TestATroubleIsToldAtOnceThenAtGrowingIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logbook{least: slog.LevelDebug}
		n := trouble{log: slog.New(book)}
		logged := func(what string) bool {
			before := book.count("")
			n.report(time.Now(), slog.LevelWarn, what, errors.New(what))
			return book.count("") > before
		}
		var told []time.Duration
		start := time.Now()
		for time.Since(start) < 5*time.Hour {
			if logged("trouble") {
				told = append(told, time.Since(start))
			}
			time.Sleep(10 * time.Second)
		}
		minutes := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}
		if len(told) != len(minutes) {
			t.Fatalf("told at %v", told)
		}
		for i, m := range minutes {
			if told[i] != m*time.Minute {
				t.Errorf("told at %v, want %v", told[i], m*time.Minute)
			}
		}
		if !logged("another") {
			t.Error("another trouble is not told at once")
		}
		if !n.over() || n.over() {
			t.Error("it is over once")
		}
		if !logged("another") {
			t.Error("a trouble that is back is not told at once")
		}
	})
}
