package watcher

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

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
