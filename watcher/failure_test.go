package watcher

import (
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

// The pauses; that the file stays, and what is said of each failure, is in the table of faults.
func TestAFailureLeavesTheFileAndIsRetriedWithGrowingPauses(t *testing.T) {
	const lasts = 20 * time.Minute
	for _, tt := range []struct {
		fault fakek2hr3.FaultName
		takes time.Duration // one attempt
	}{{fakek2hr3.InternalError, 0}, {fakek2hr3.Hang, 75 * time.Second}} {
		onHost(t, string(tt.fault), func(t *testing.T, h *host) {
			h.blind = true
			h.applied()
			unchanged := h.untouched()
			on(fakek2hr3.Fault{Name: tt.fault}, read)(h)
			h.join(2) // so that no 304 hides the fault
			h.pass(70*time.Second + tt.takes)
			h.forget()
			h.askNow()
			h.pass(lasts)
			unchanged()
			h.checkBackoff(tt.takes, lasts)
			h.checkNag("cannot read the RESOURCE", lasts)

			h.api.ClearFaults()
			h.pass(h.config.Interval + 2*time.Second + tt.takes)
			h.wantListed(2, "it did not recover by itself")
			h.log.want(t, 1, "K2HR3 answers again")
		})
	}
}

// What K2HR3 works on for nobody keeps it from what somebody waits for. After a request that it did
// not answer it is asked for more only once it says that it is there.
func TestAfterASilenceK2HR3IsFirstAskedWhetherItIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.blind = true
		h.applied()
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang, On: []fakek2hr3.Op{fakek2hr3.OpResource, fakek2hr3.OpRoot}})
		h.join(2)
		h.forget()
		h.askNow()
		h.pass(time.Hour)
		knocks := 0
		for _, r := range h.api.Requests() {
			if r.Op == fakek2hr3.OpRoot {
				knocks++
			}
		}
		if reads := len(h.reads()); reads != 1 || knocks < 3 {
			t.Errorf("in an hour K2HR3 was asked %d times for the RESOURCE, and %d times whether it is there", reads, knocks)
		}
		h.api.ClearFaults()
		h.pass(schedule.LongestPause + time.Minute)
		h.wantListed(2, "it did not recover by itself")
		h.forget()
		h.askNow()
		h.pass(time.Minute)
		for _, r := range h.api.Requests() {
			if r.Op == fakek2hr3.OpRoot {
				t.Error("K2HR3 is still asked whether it is there")
			}
		}
	})
}

// checkBackoff: each pause is bounded by a second, doubled each time, up to the
// interval.
func (h *host) checkBackoff(takes, lasted time.Duration) {
	h.t.Helper()
	var attempts []fakek2hr3.Request
	for _, r := range h.reads() {
		if r.Token == fakek2hr3.TokenNone { // with a token it is the second try of an attempt
			attempts = append(attempts, r)
		}
	}
	if n := len(attempts); n < int(lasted/(takes+schedule.LeastPause+h.config.Interval)) {
		h.t.Errorf("%d attempts in %v", n, lasted)
	}
	total := time.Duration(0)
	for i, gap := range gaps(attempts) {
		total += gap
		if gap < schedule.LeastPause || gap > takes+schedule.LeastPause+h.config.Interval {
			h.t.Errorf("attempt %d came %v after the one before", i+1, gap)
		}
	}
	// The means of so many random pauses are close to half the interval.
	if mean := total / time.Duration(len(attempts)); lasted > 10*time.Minute && mean < 10*time.Second {
		h.t.Errorf("the attempts were %v apart on average: the pauses do not grow", mean)
	}
}

// checkNag: a lasting trouble is told at once, after one minute, after two more,
// after four more, and so on.
func (h *host) checkNag(words string, lasted time.Duration) {
	h.t.Helper()
	most := 1
	for at, gap := time.Duration(0), firstRepeat; at+gap <= lasted; gap *= 2 {
		at += gap
		most++
	}
	if n := h.log.count(words); n < most-2 || n > most {
		h.t.Errorf("%q was logged %d times in %v, want at most %d", words, n, lasted, most)
	}
}

// Only a change of the ring cuts the pause short that K2HR3 asks for, and not again and again.
func TestAServerThatWantsToBeLeftAloneIs(t *testing.T) {
	busy := fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "25", On: []fakek2hr3.Op{fakek2hr3.OpResource}}
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.api.Fault(busy)
		h.askNow()
		h.pass(10 * time.Second)
		h.chmpx.setRing(1, 2) // something to ask for
		h.pass(10 * time.Second)
		h.chmpx.setRing(1, 2, 3)
		h.pass(5 * time.Minute)
		all := gaps(h.reads())
		if len(all) < 4 {
			t.Fatalf("%d reads", len(all)+1)
		}
		if all[0] > 10*time.Second+h.config.Peek+time.Second {
			t.Errorf("the ring has changed, and K2HR3 was asked after %v", all[0])
		}
		for _, gap := range all[1:] {
			if gap < 25*time.Second {
				t.Errorf("it was asked again after %v", gap)
			}
		}
	})
}
