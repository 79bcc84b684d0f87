package watcher

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

// change makes K2HR3 have a new text and the watcher ask for it.
func (h *host) change(server int) {
	h.join(server)
	h.send(AskNow)
	if !h.lists(server) {
		h.pass(schedule.LeastAskPause + leastReplacePause + settle)
	}
	if !h.lists(server) {
		h.t.Fatalf("server %d is not in the file", server)
	}
}

func TestAChmpxThatTakesTheFileIsConfirmed(t *testing.T) {
	for _, lag := range []time.Duration{0, 300 * time.Millisecond, 20 * time.Second} {
		onHost(t, "after "+lag.String(), func(t *testing.T, h *host) {
			h.applied()
			h.chmpx.set(func(c *fakeChmpx) { c.lag = lag })
			h.change(2)
			h.pass(lag + 1100*time.Millisecond)
			h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=2")
			h.pass(time.Minute)
			h.wantRevision(2)
			h.log.want(t, 0, "WARN")
			h.log.want(t, 0, "ERROR")
		})
	}
}

func TestAFileThatChmpxMissedIsPutInPlaceOnceMore(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.skip = 1 })
		h.change(2)
		h.pass(h.config.Confirm - time.Second)
		h.wantRevision(2) // it gets its time
		h.pass(3 * time.Second)
		if h.revision() != 3 || !h.lists(2) {
			t.Errorf("revision %d", h.revision())
		}
		h.log.want(t, 1, "WARN", "replacing the file once more", "revision=2", "runs=1")
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=3")
		h.log.want(t, 0, "ERROR")
		h.chmpx.set(func(c *fakeChmpx) { c.skip = 1 })
		h.change(3)
		h.pass(h.config.Confirm + 2*time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=5")
	})
}

func TestAChmpxThatTakesNothingIsToldOfLoudlyAndLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled")}
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.change(2)
		h.pass(10 * time.Minute)
		h.wantRevision(3) // it is put in place once more, and that once only
		h.log.want(t, 1, "ERROR", "does not load slave.ini", "restart chmpx")
		h.change(3)
		h.pass(10 * time.Minute)
		h.log.want(t, 2, "ERROR", "does not load slave.ini")
		h.wantJobs("")

		h.chmpx.set(func(c *fakeChmpx) { c.deaf = false })
		h.chmpx.start(t) // the operator restarts it
		h.pass(3 * time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=5")
	})
}

func TestAChmpxThatTakesNothingIsRestartedWhereThatIsWanted(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.RestartUnconfirmed = true
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled")}
		h.unit.restarted = h.chmpx.begin
		h.applied()
		for round, revision := range []int{3, 5} {
			h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
			h.change(2 + round)
			h.pass(2*h.config.Confirm + 2*time.Second)
			h.log.want(t, round+1, "ERROR", "restarting it")
			if jobs := h.unit.jobs(); len(jobs) != (round+1)*len("restart ")-1 {
				t.Errorf("jobs: %s", jobs)
			}
			h.log.want(t, 1, "chmpx runs the current slave.ini", "revision="+string(rune('0'+revision)))
			h.pass(leastRestart)
		}
	})
}

// A chmpx that is stopped has lost nothing: neither another replacement nor a restart is of use.
func TestAChmpxThatIsStoppedIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.RestartUnconfirmed = true
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled")}
		h.unit.restarted = h.chmpx.begin
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.stopped, c.lag = true, time.Hour })
		h.change(2)
		h.pass(h.config.Confirm + 2*time.Second)
		h.log.want(t, 1, "WARN", "chmpx is stopped", "kill -CONT", "revision=2", "runs=1")
		h.pass(15 * time.Minute)
		h.log.want(t, 0, "lost its watch")
		if n := h.log.count("WARN", "chmpx is stopped"); n < 2 || n > 6 {
			t.Errorf("it says so %d times", n)
		}
		h.wantRevision(2)
		h.wantJobs("")
		h.chmpx.set(func(c *fakeChmpx) { c.stopped, c.lag = false, 0 })
		h.pass(5 * time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=2")
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true }) // what goes wrong later is another trouble
		h.change(3)
		h.pass(time.Minute)
		h.log.want(t, 1, "WARN", "replacing the file once more")
	})
}

func TestARestartWaitsForAReloadThatIsStillUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.RestartUnconfirmed = true
		h.config.Confirm = 3 * time.Second
		h.unit = &fakeUnit{state: daemon.UnitState{LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled", CanReload: true}}
		h.unit.restarted = h.chmpx.begin
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.unit.set(func(u *fakeUnit) { u.lasts = 20 * time.Second })
		h.change(2)
		h.pass(time.Minute)
		if jobs := h.unit.jobs(); !strings.HasSuffix(jobs, "restart") || strings.Count(jobs, "restart") != 1 {
			t.Errorf("jobs: %s", jobs)
		}
	})
}

func TestARestartThatDoesNotHelpIsNotRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.RestartUnconfirmed = true
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled")}
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.change(2)
		h.pass(20 * time.Minute)
		if jobs := h.unit.jobs(); jobs != "restart" || h.meter.restarts != 1 {
			t.Errorf("jobs: %s; %d restarts are counted", jobs, h.meter.restarts)
		}
		h.log.want(t, 1, "ERROR", "restart chmpx")
	})
}

// killed is a host whose chmpx has ended within moments of getting a second
// server.
func (h *host) killed() {
	h.applied()
	h.chmpx.set(func(c *fakeChmpx) { c.lag = time.Hour })
	h.change(2)
	h.chmpx.stop()
	h.pass(5 * time.Second)
}

// The file is put in place once more before it ends chmpx: the ban is of the text.
func TestATextThatEndsChmpxAtItsSecondTryIsBanned(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.skip = 1 })
		h.change(2)
		h.chmpx.set(func(c *fakeChmpx) { c.lag = time.Hour })
		h.pass(h.config.Confirm + time.Second)
		h.log.want(t, 1, "replacing the file once more")
		h.chmpx.set(func(c *fakeChmpx) { c.left = true })
		h.chmpx.stop()
		h.pass(5 * time.Second)
		h.chmpx.set(func(c *fakeChmpx) { c.lag = 0 })
		h.chmpx.start(t)
		h.pass(time.Hour)
		if h.lists(2) {
			t.Error("the text that ended chmpx is back")
		}
	})
}

// A file that cannot be taken back now is taken back later.
func TestARestoreThatFailsIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.lag = time.Hour })
		h.change(2)
		next := filepath.Join(h.dir, ".slave.next.ini", "in the way")
		noError(t, os.MkdirAll(next, 0o755))
		h.chmpx.stop()
		h.pass(5 * time.Second)
		h.log.want(t, 1, "ERROR", "cannot restore the slave.ini that chmpx ran before")
		noError(t, os.RemoveAll(filepath.Dir(next)))
		h.pass(10 * time.Minute)
		if h.lists(2) {
			t.Error("the text that ended chmpx is still in place")
		}
	})
}

func TestAFileThatEndsChmpxIsTakenBackUntilThereIsAnotherText(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.chmpx.set(func(c *fakeChmpx) { c.left = true })
		h.killed()
		h.log.want(t, 1, "ERROR", "chmpx ended on the new slave.ini", "revision=2")
		if h.lists(2) || h.revision() != 3 {
			t.Fatalf("in place is revision %d:\n%s", h.revision(), h.file())
		}
		h.chmpx.set(func(c *fakeChmpx) { c.lag = 0 })
		h.chmpx.start(t)
		h.pass(time.Hour)
		if h.lists(2) {
			t.Error("the text that ended chmpx is back")
		}
		h.checkNag("RESOURCE not applied; slave.ini unchanged", time.Hour)
		h.join(3)
		h.pass(2 * h.config.Interval)
		h.wantListed(3, "the next text was not put in place")
	})
}

// Without systemd nobody can tell a chmpx that somebody has stopped from one that the file has
// ended: the text gets a second chance once chmpx runs the one before, and no third.
func TestAChmpxThatMayHaveBeenStoppedGetsTheTextOnceMore(t *testing.T) {
	for name, c := range map[string]struct {
		unit *fakeUnit // nil: there is no systemd
		ends bool      // the text ends chmpx each time
		left bool      // and chmpx crashes
		want bool
	}{
		"it was stopped":                       {nil, false, false, true},
		"the text ends it":                     {nil, true, false, false},
		"it crashed":                           {nil, false, true, false},
		"systemd is not there":                 {&fakeUnit{fails: daemon.ErrNoSystemd}, false, false, true},
		"systemd knows that nobody stopped it": {&fakeUnit{state: unitState("loaded", "active", "enabled")}, false, false, false},
	} {
		onHost(t, strings.ReplaceAll(name, " ", "-"), func(t *testing.T, h *host) {
			h.unit = c.unit
			h.chmpx.set(func(f *fakeChmpx) { f.left = c.left })
			h.killed()
			h.pass(10 * time.Minute)
			if h.lists(2) {
				t.Error("the text is back although chmpx does not run")
			}
			h.chmpx.set(func(f *fakeChmpx) { f.lag = 0 })
			h.chmpx.start(t)
			for range 3 {
				if c.ends {
					h.chmpx.set(func(f *fakeChmpx) { f.lag = time.Hour })
					for range 600 {
						if h.pass(time.Second); h.lists(2) {
							h.chmpx.stop()
						}
					}
					h.chmpx.set(func(f *fakeChmpx) { f.lag = 0 })
					h.chmpx.start(t)
				}
				h.pass(10 * time.Minute)
			}
			if h.lists(2) != c.want {
				t.Errorf("the text is in place: %v", !c.want)
			}
			if tries := h.log.count("slave.ini replaced", "revision="); c.ends && tries != 2 {
				t.Errorf("%d replacements, want the text, and that once more", tries)
			}
		})
	}
}

// Another program's text ends chmpx before the agent has put its own back: that one is not to
// blame, and K2HR3's text, which is the same, is not banned.
func TestAFileThatChmpxRanBeforeIsNotBlamedForItsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.lag = time.Hour })
		h.edit(func(path string) error { return os.WriteFile(path, []byte("garbage\n"), 0o644) })
		h.chmpx.stop()
		h.pass(5 * time.Second)
		h.log.want(t, 1, "another program changed slave.ini")
		h.log.want(t, 1, "ERROR", "chmpx ended; slave.ini is good, so look for the cause in chmpx's log")
		h.log.want(t, 0, "chmpx ended on the new slave.ini")
		h.wantRevision(2)
		h.chmpx.set(func(c *fakeChmpx) { c.lag = 0 })
		h.chmpx.start(t)
		h.askNow()
		h.pass(time.Minute)
		h.log.want(t, 0, "RESOURCE not applied")
	})
}

func TestAReloadOfTheAgentTriesAFileAgainThatHasEndedChmpx(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.killed()
		h.chmpx.set(func(c *fakeChmpx) { c.lag = 0 })
		h.chmpx.start(t)
		h.askNow()
		h.pass(3 * time.Second)
		h.wantListed(2, "not tried again")
	})
}

func TestAChmpxThatIsStoppedMeanwhileDoesNotSpeakAgainstTheFile(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.unit = &fakeUnit{state: daemon.UnitState{LoadState: "loaded", ActiveState: "inactive", Result: "success", UnitFileState: "disabled"}}
		h.killed()
		if !h.lists(2) || h.revision() != 2 {
			t.Errorf("in place is revision %d", h.revision())
		}
		h.log.want(t, 1, "chmpx was stopped")
	})
}

func TestAChmpxThatIsStartedLaterIsConfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.others(schedule.ManySlaves)
		h.start()
		h.pass(10 * time.Minute)
		h.log.want(t, 1, "INFO", "chmpx is not running")
		h.chmpx.start(t)
		h.pass(3 * time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=1")
		h.pass(2 * time.Minute)
		h.forget()
		h.pass(25 * time.Minute)
		h.checkGaps(5 * time.Minute)
	})
}

func TestAChmpxThatRunsAnOlderRevisionAtTheAgentsStartIsBroughtUpToDate(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.stop()
		h.chmpx.set(func(c *fakeChmpx) { c.skip = 1 })
		noError(t, overwrite(replaceRevision(h.file(), 9))(h.config.File.Path))
		h.start()
		h.pass(h.config.Confirm + 3*time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=10")
	})
}

func TestWithoutChmpxstatusTheLogSaysSoOnceAndItIsRarelyLookedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.chmpx.missing = true
		h.start()
		h.pass(time.Hour)
		h.log.want(t, 1, "cannot confirm reloads", "watch the ring")
		if n := len(h.chmpx.lookedAt()); n < 30 || n > 65 {
			t.Errorf("%d looks in an hour", n)
		}
		h.chmpx.set(func(c *fakeChmpx) { c.missing = false })
		h.chmpx.start(t)
		h.pass(absentPause + time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini")
	})
}

func TestWithConfirmZeroNothingIsSaidOfARevisionThatIsNotTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Confirm = 0
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.change(2)
		h.pass(10 * time.Minute)
		h.wantRevision(2)
		h.log.want(t, 0, "does not load")
	})
}

func TestANewTextWhileOneIsBeingConfirmedIsAppliedAndConfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.held()
		h.chmpx.set(func(c *fakeChmpx) { c.lag = 5 * time.Second })
		h.join(2)
		h.pass(2 * time.Second)
		h.join(3)
		h.pass(2 * time.Second)
		h.wantListed(3, "the second text waits for the first to be confirmed")
		h.pass(10 * time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=3")
		h.log.want(t, 0, "WARN")
	})
}

func TestLooksDoNotPileUpBehindOneThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.hangs = true })
		before := len(h.chmpx.lookedAt())
		h.change(2)
		h.pass(5 * time.Minute)
		if n := len(h.chmpx.lookedAt()) - before; n > 27 {
			t.Errorf("%d looks of ten seconds in five minutes", n)
		}
		h.log.want(t, 1, "cannot probe chmpx")
		h.join(3)
		h.pass(68 * time.Second)
		h.wantListed(3, "the file is not kept any more")
		if n := len(h.requests(fakek2hr3.OpResource)); n > 10 {
			t.Errorf("%d reads", n)
		}
	})
}
