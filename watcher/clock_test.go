package watcher

import (
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

func TestAHostThatWasAwayAsksAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		jump time.Duration
		asks bool
	}{
		{"paused for an hour", time.Hour, true},
		{"set back by a day", -24 * time.Hour, true},
		{"slewed by a time service", 2 * time.Second, false},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.ownClock()
			h.others(schedule.ManySlaves)
			h.applied()
			h.pass(3 * time.Minute) // calm: the next request is minutes away
			h.forget()
			h.offset.Store(int64(tt.jump))
			h.pass(clockEvery + time.Second)
			if asked := len(h.requests(fakek2hr3.OpResource)) == 1; asked != tt.asks {
				t.Errorf("%d requests", len(h.requests(fakek2hr3.OpResource)))
			}
			h.forget()
			h.pass(2 * clockEvery)
			if n := len(h.requests(fakek2hr3.OpResource)); n != 0 {
				t.Errorf("%d more requests for the same jump", n)
			}
		})
	}
}

// Whoever compares the latest sign of life with the clock takes a host that was away for hung.
func TestAHostThatWasAwayGivesASignOfLife(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.ownClock()
		d := h.watched()
		h.start()
		h.pass(time.Minute + time.Second) // a sign was given a second ago
		before := d.count()
		h.offset.Store(int64(time.Hour))
		h.pass(clockEvery)
		if n := d.count() - before; n != 1 {
			t.Errorf("%d signs", n)
		}
		d.quiet(t)
	})
}
