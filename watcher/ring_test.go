package watcher

import (
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

func TestALoneSlaveAsksAtOnceWhenTheRingHasAnotherServer(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.join(2)
		h.chmpx.setRing(1, 2)
		h.pass(h.config.Peek + 100*time.Millisecond)
		h.wantListed(2, "although the ring has it")
		h.log.want(t, 1, "chmpx has other servers than slave.ini", "only chmpx has "+serverName(2))
		if n := len(h.reads()); n != 1 {
			t.Errorf("%d reads", n)
		}
	})
}

func TestTheRingIsAskedForWithBackoffUntilK2HR3Agrees(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.setRing(1, 2)
		h.pass(20 * time.Second)
		h.join(2) // it registers later than chmpx meets it
		h.pass(12 * time.Second)
		h.wantListed(2, "although the ring has it")
		asked := gaps(h.reads())
		for i, gap := range asked {
			if i > 0 && gap < asked[i-1] {
				t.Errorf("pauses %v: they shrink", asked)
			}
		}
		if n := len(asked); n < 4 || n > 12 {
			t.Errorf("%d reads in half a minute", n+1)
		}

		h.others(schedule.ManySlaves)
		h.askNow()
		h.pass(2 * time.Minute)
		h.forget()
		h.pass(25 * time.Minute)
		h.checkGaps(5 * time.Minute) // all is well again
	})
}

func TestTheRingIsAskedForNoLongerThanAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		unchanged := h.untouched()
		h.chmpx.setRing(1, 2) // and K2HR3 will never know it
		h.pass(schedule.ChaseFor + 30*time.Second)
		if n := len(h.reads()); n < 6 || n > 15 {
			t.Errorf("%d reads", n)
		}
		h.pass(2 * time.Minute)
		reads := h.reads()
		for i, gap := range gaps(reads) {
			if since := reads[i].Start.Sub(reads[0].Start); since > schedule.ChaseFor && gap < 54*time.Second {
				t.Errorf("%v after the ring changed the next read came %v later", since, gap)
			}
		}
		h.forget()
		h.pass(20 * time.Minute)
		h.checkGaps(time.Minute)
		unchanged()

		h.chmpx.setRing(1)
		h.pass(3 * time.Second)
		h.log.want(t, 1, "list the same servers again")
	})
}

func TestAServerThatLeavesTheRingIsAskedForOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		gone  bool // K2HR3 knows that it left
		after bool // the file lists it afterwards
	}{
		{"left for good", true, false},
		{"restarted", false, true},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.join(2)
			h.applied()
			if tt.gone {
				h.leave(2)
			}
			h.chmpx.setRing(1)
			h.pass(30 * time.Second)
			if n := len(h.reads()); n != 1 {
				t.Errorf("%d reads", n)
			}
			if h.lists(2) != tt.after {
				t.Errorf("listed: %v", h.lists(2))
			}
		})
	}
}

func TestTheRingCausesNoRequestWhileOneIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		h.chmpx.setRing(1, 2)
		h.pass(30 * time.Second)
		if n := len(h.reads()); n != 0 || h.api.Held() != 1 {
			t.Errorf("%d more requests, %d held", n, h.api.Held())
		}
		h.join(2)
		h.pass(time.Second)
		h.wantListed(2, "although the ring has it")
	})
}

func TestTheRingIsNotWatchedWithPeekZero(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Peek = 0
		h.applied()
		looks := len(h.chmpx.lookedAt())
		h.chmpx.setRing(1, 2)
		h.pass(4 * time.Minute)
		if n := len(h.chmpx.lookedAt()) - looks; n != 0 {
			t.Errorf("%d looks", n)
		}
	})
}

func TestManySlavesSpreadWhatTheyAskForTheRing(t *testing.T) {
	const slaves = 250
	inBubble(t, func(t *testing.T, h *host) {
		h.others(slaves - 1)
		h.applied()
		began := time.Now()
		h.chmpx.setRing(1, 2)
		for len(h.reads()) == 0 && time.Since(began) < 20*time.Second {
			h.pass(10 * time.Millisecond)
		}
		if d := time.Since(began); d > h.config.Peek+slaves*60*time.Millisecond {
			t.Errorf("it asked after %v", d)
		}
		h.pass(30 * time.Second)
		if n := len(h.reads()); n > 8 {
			t.Errorf("%d reads: 250 slaves would be %d", n, n*slaves)
		}
	})
}

func TestALookThatFailsDoesNotMakeALiveDangerAcceptable(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		unchanged := h.untouched()
		h.chmpx.set(func(c *fakeChmpx) { c.hangs = true })
		h.pass(5 * time.Second)
		h.cluster.SetText(strings.Replace(h.cluster.Text(), "GROUP               = orders", "GROUP = invoices", 1))
		h.askNow()
		h.pass(time.Minute)
		unchanged()
		h.log.want(t, h.log.count("dangerous"), "GROUP")
		if h.log.count("dangerous") == 0 {
			t.Error("it was not judged dangerous")
		}
	})
}

func TestWhatIsDangerousForTheLiveChmpxIsRefusedAlsoAtTheAgentsStart(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.stop()
		unchanged := h.untouched()
		h.cluster.SetText(strings.Replace(h.cluster.Text(), "GROUP               = orders", "GROUP = invoices", 1))
		h.chmpx.set(func(c *fakeChmpx) { c.slow = 3 * time.Second }) // K2HR3 is faster
		h.start()
		h.pass(time.Minute)
		unchanged()

		h.chmpx.stop()
		h.pass(time.Minute + 5*time.Second)
		if !strings.Contains(h.file(), "invoices") {
			t.Error("it is refused although no chmpx runs")
		}
	})
}

// A server shows in the ring before it is registered at K2HR3.
func TestAServerThatK2HR3ListsLaterIsInTheFileSoonAfter(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.forget()
		h.chmpx.setRing(1, 2)
		h.pass(h.config.Peek + 5*time.Second)
		h.join(2)
		h.pass(2 * time.Second)
		h.wantListed(2, "not within 2 s of K2HR3's change")
		if n := len(h.api.Requests()); n > 6 {
			t.Errorf("%d requests", n)
		}
	})
}
