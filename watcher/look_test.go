package watcher

import (
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// A chmpx that was stopped between the latest probe and a replacement was not ended by that.
func TestAChmpxThatEndedJustBeforeTheReplacementDidNotEndByIt(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.stop()
		h.join(2)
		h.send(AskNow)
		if !h.lists(2) {
			t.Fatal("server 2 is not in the file")
		}
		h.pass(time.Second)
		h.chmpx.start(t)
		h.pass(10 * time.Second)
		h.log.want(t, 0, "ERROR")
		h.wantListed(2, "the file was restored to the one before")
	})
}

// A chmpx that was restarted between the latest probe and a replacement has the tables of its new
// start, however large those of the one before were.
func TestAChmpxThatWasRestartedJustBeforeTheReplacementIsJudgedAsItIs(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied() // its tables have room for 256 nodes
		h.cluster.SetText(set("MAXCHMPX", "4")(h.cluster.Text()))
		h.askNow()
		h.pass(10 * time.Second)
		h.restart(0) // and now for 4
		text := dangers["MAXCHMPX"](h.cluster.Text())
		h.cluster.SetText(text)
		h.send(AskNow)
		h.log.want(t, 1, "WARN", "RESOURCE waits for a restart of chmpx")
		h.wantRevision(2)
		h.restartsInto(text, time.Second)
	})
}

// Where a look does not run chmpxstatus, it comes as often as PeekDirect says, whether chmpx has a
// server or not: chmpx does not notice it.
func TestLooksWithoutChmpxstatusComeMoreOften(t *testing.T) {
	for name, c := range map[string]struct {
		direct  bool
		servers bool
		want    time.Duration
		timers  error
	}{
		"by chmpxstatus":             {false, true, 2 * time.Second, nil},
		"directly":                   {true, true, 200 * time.Millisecond, nil},
		"directly, without a server": {true, false, 200 * time.Millisecond, nil},
		"directly, without a timer":  {true, true, 200 * time.Millisecond, syscall.EMFILE},
		"chmpxstatus, no server":     {false, false, 2 * time.Second, nil},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			h.config.Peek, h.config.PeekDirect = 2*time.Second, 200*time.Millisecond
			h.applied()
			h.chmpx.set(func(f *fakeChmpx) { f.indirect, f.timers = !c.direct, c.timers })
			if !c.servers {
				h.chmpx.setRing()
			}
			h.pass(5 * time.Second)
			before := len(h.chmpx.lookedAt())
			h.pass(time.Minute)
			looks := h.chmpx.lookedAt()[before:]
			for i := 1; i < len(looks); i++ {
				if gap := looks[i].Sub(looks[i-1]); gap > c.want {
					t.Fatalf("look %d comes %v after the one before, want %v", i, gap, c.want)
				}
			}
			if most := int(time.Minute / c.want * 3 / 2); len(looks) > most {
				t.Errorf("%d looks in a minute, want %d at most", len(looks), most)
			}
		})
	}
}

// While chmpx is as it should be, the loop is woken by what changes, not by each look.
func TestNothingNewWakesNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Peek, h.config.PeekDirect = 2*time.Second, 900*time.Millisecond
		h.chmpx.set(func(f *fakeChmpx) { f.indirect = false })
		h.applied()
		h.pass(time.Minute)
		probes := 0
		h.chmpx.set(func(f *fakeChmpx) { probes, f.probes = f.probes, 0 })
		h.pass(10 * time.Minute)
		h.chmpx.set(func(f *fakeChmpx) { probes = f.probes })
		if most := int(10 * time.Minute / calmPause * 3 / 2); probes > most {
			t.Errorf("%d probes in ten minutes, want %d at most", probes, most)
		}
		ring := []int{1}
		for n := 2; n < 5; n++ { // and again after each change
			h.pass(time.Minute)
			h.join(n)
			ring = append(ring, n)
			h.chmpx.setRing(ring...)
			if h.pass(time.Second + 100*time.Millisecond); !h.lists(n) {
				t.Errorf("server %d is not in the file after a second", n)
			}
		}
		h.pass(time.Minute)
		h.chmpx.stop()
		h.pass(2 * time.Second)
		h.log.want(t, 1, "INFO", "chmpx is not running")
	})
}

// A look that had to run chmpxstatus after all is followed by none too early.
func TestALookThatFallsBackToChmpxstatusStarvesNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Peek, h.config.PeekDirect = 100*time.Millisecond, 100*time.Millisecond
		h.applied()
		h.chmpx.setRing()
		h.chmpx.set(func(f *fakeChmpx) { f.indirect = false })
		h.pass(5 * time.Second)
		h.chmpx.set(func(f *fakeChmpx) { f.indirect = true })
		before := len(h.chmpx.lookedAt())
		h.pass(20 * time.Second)
		looks := h.chmpx.lookedAt()[before:]
		for i := 1; i < len(looks); i++ {
			if gap := looks[i].Sub(looks[i-1]); gap < daemon.Starves {
				t.Errorf("look %d comes %v after the one before", i, gap)
			}
		}
		if len(looks) < 20 {
			t.Errorf("%d looks", len(looks))
		}
	})
}

// A restart of chmpx is one line of the log, whether a look falls into it or not, and so is an end.
func TestARestartIsNoEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Peek, h.config.PeekDirect = 2*time.Second, 100*time.Millisecond
		h.chmpx.set(func(f *fakeChmpx) { f.indirect = false })
		h.applied()
		h.pass(3 * time.Second)
		for n, gap := range []time.Duration{0, 150 * time.Millisecond, 900 * time.Millisecond} {
			h.restart(gap)
			h.pass(10 * time.Second)
			h.log.want(t, n+1, "INFO", "chmpx was restarted")
		}
		h.log.want(t, 0, "INFO", "chmpx is not running")
		h.log.want(t, 0, "INFO", "chmpx runs")

		h.restart(5 * time.Second)
		h.pass(10 * time.Second)
		h.log.want(t, 3, "INFO", "chmpx was restarted")
		h.log.want(t, 1, "INFO", "chmpx is not running")
		h.log.want(t, 1, "INFO", "chmpx runs")
	})
}
