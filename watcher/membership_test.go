package watcher

import (
	"log/slog"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

// A K2HR3 that wants to be left alone is asked for the membership once that is over, however often
// somebody wanted to know meanwhile, and not minutes later.
func TestTheMembershipIsCheckedAtTheEndOfRetryAfter(t *testing.T) {
	for _, asks := range []int{0, 1, 12} {
		inBubble(t, func(t *testing.T, h *host) {
			h.applied()
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "600"})
			h.send(AskNow)
			over := time.Now().Add(10 * time.Minute)
			h.pass(time.Minute)
			h.api.ClearFaults()
			h.forget()
			for range asks {
				h.pass(40 * time.Second)
				h.send(AskNow)
			}
			if n := len(h.api.Requests()); n != 0 {
				t.Errorf("%d requests while K2HR3 wants to be left alone", n)
			}
			h.pass(time.Until(over) + 5*time.Second)
			checks := h.requests(fakek2hr3.OpProbe)
			if len(checks) == 0 {
				t.Fatalf("%d signals: the membership is not checked", asks)
			}
			if late := checks[0].Start.Sub(over); late < -time.Second || late > time.Second {
				t.Errorf("%d signals: the membership is checked %v after the end", asks, late)
			}
		})
	}
}

// Short pauses that K2HR3 wants do not take the place of those that grow.
func TestTheMembershipOfAK2HR3ThatIsDownIsCheckedEverMoreSeldom(t *testing.T) {
	now := time.Now()
	m := membership{doubts: trouble{log: slog.New(&logbook{})}}
	busy := &k2hr3.Error{Kind: k2hr3.ErrServer, Status: 503, RetryAfter: time.Second}
	var longest time.Duration
	for range 100 {
		m.result(now, checked{err: busy}, checking{stretch: 1})
		d := m.next.at.Sub(now)
		if d < busy.RetryAfter || d > schedule.LongestCheckPause+schedule.LeastPause {
			t.Fatalf("the next check comes after %v", d)
		}
		longest = max(longest, d)
		now = m.next.at
	}
	if longest < schedule.LongestCheckPause/2 {
		t.Errorf("the longest pause is %v", longest)
	}
}
