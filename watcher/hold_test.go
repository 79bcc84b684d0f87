package watcher

import (
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// held is a host whose K2HR3 holds requests.
func (h *host) held() {
	h.t.Helper()
	h.api.Hold(time.Minute)
	h.applied()
}

func TestAServerThatHoldsIsAskedAgainAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		h.pass(10 * time.Minute)
		reads := h.reads()
		if len(reads) < 10 {
			t.Fatalf("%d reads", len(reads))
		}
		for _, gap := range gaps(reads) {
			if gap != 55*time.Second {
				t.Errorf("asked after %v", gap)
			}
		}
		if h.api.Held() != 1 {
			t.Error("no request is being held")
		}
	})
}

func TestAChangeIsAppliedWithinASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		h.join(2)
		h.pass(600 * time.Millisecond)
		h.wantListed(2, "not within 600 ms")
		h.pass(time.Second)
		if h.api.Held() != 1 {
			t.Error("no request is being held afterwards")
		}
		h.log.want(t, 1, "slave.ini replaced", "server joined "+serverName(2))
	})
}

func TestABurstOfChangesBecomesOneReplacementOfTheLatestText(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		before := len(h.texts())
		for n := range 10 {
			h.join(10 + n)
			h.pass(20 * time.Millisecond)
		}
		h.pass(time.Second)
		if n := len(h.texts()) - before; n != 1 {
			t.Errorf("%d replacements", n)
		}
		for n := range 10 {
			if !h.lists(10 + n) {
				t.Errorf("server %d is missing", 10+n)
			}
		}
	})
}

func TestChangesThatDoNotEndAreAppliedSoonAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		before := len(h.texts())
		first := time.Now()
		for n := 10; len(h.texts()) == before; n++ {
			h.join(n)
			h.pass(100 * time.Millisecond)
			if time.Since(first) > 3*time.Second {
				t.Fatal("nothing was applied")
			}
		}
		if d := time.Since(first); d > 1400*time.Millisecond {
			t.Errorf("the first replacement came %v after the first change", d)
		}
		h.wantListed(10, "the first change is missing")
	})
}

func TestAChangeThatIsTakenBackAtOnceWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		unchanged := h.untouched()
		h.leave(1) // the gap in which a server registers again
		h.pass(100 * time.Millisecond)
		h.join(1)
		h.pass(3 * time.Minute)
		unchanged()
		h.log.want(t, 0, "")
	})
}

func TestAServerThatOnlyClaimsToHoldIsNotHammered(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakek2hr3.FaultName
	}{
		{"304 at once", ""},
		{"200 at once", fakek2hr3.NoETag},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.blind = true
			h.api.Hold(time.Nanosecond)
			if tt.fault != "" {
				h.api.Fault(fakek2hr3.Fault{Name: tt.fault})
			}
			h.applied()
			h.pass(30 * time.Minute)
			if n := len(h.reads()); n < 25 || n > 80 {
				t.Errorf("%d reads in 30 minutes", n)
			}
		})
	}
}

func TestTheNextChangeAfterOneOfNoConcernIsSeenAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		h.cluster.SetText("# a new first line\n" + h.cluster.Text())
		h.pass(3 * time.Second)
		if h.api.Held() != 1 {
			t.Fatal("no request is being held")
		}
		h.cluster.ClearText()
		h.join(2)
		h.pass(600 * time.Millisecond)
		h.wantListed(2, "not within 600 ms")
	})
}

func TestAServerThatStopsHoldingIsAskedAtTheInterval(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.blind = true
		h.held()
		h.api.Hold(0)
		h.pass(time.Minute)
		h.forget()
		h.pass(10 * time.Minute)
		h.checkGaps(time.Minute)
	})
}

func TestNobodyIsAskedToHoldWithWaitZero(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Wait = 0
		h.blind = true
		h.held()
		h.pass(10 * time.Minute)
		for _, r := range h.reads() {
			if r.Prefer != "" {
				t.Errorf("Prefer: %s", r.Prefer)
			}
		}
		h.checkGaps(time.Minute)
	})
}

func TestAChangeIsAppliedThoughK2HR3FailsSince(t *testing.T) {
	for fault, within := range map[fakek2hr3.FaultName]time.Duration{
		fakek2hr3.Hang: giveUp + time.Second,
		fakek2hr3.Cut:  settle, // before the burst is over
	} {
		onHost(t, string(fault), func(t *testing.T, h *host) {
			h.held()
			h.join(2)
			h.pass(10 * time.Millisecond) // the change is told
			on(fakek2hr3.Fault{Name: fault}, read)(h)
			h.pass(within)
			h.wantListed(2, "the change waits for K2HR3")
			h.api.ClearFaults()
		})
	}
}
