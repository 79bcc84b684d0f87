package watcher

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// dangers are changes that chmpx does not survive, or does not apply, while it
// runs, and that a fresh one takes. Each makes one text of another.
var dangers = map[string]func(text string) string{
	"GROUP":       set("GROUP", "invoices"),
	"CHMPXIDTYPE": set("CHMPXIDTYPE", "NAME"),
	"DELIVERMODE": set("DELIVERMODE", "random"),
	"MAXMQCLIENT": set("MAXMQCLIENT", "2048"),
	"MAXCHMPX": func(text string) string {
		server := serverBlock.FindString(text)
		for n := range 20 {
			text += strings.ReplaceAll(strings.ReplaceAll(server, serverName(1), serverName(30+n)), serverCUK(1), serverCUK(30+n))
		}
		return set("MAXCHMPX", "64")(text)
	},
	"SELFCTLPORT": func(text string) string {
		head, nodes, _ := strings.Cut(text, "[SVRNODE]")
		return ctlPort.ReplaceAllString(head, "${1} 8099") + "[SVRNODE]" + strings.ReplaceAll(nodes, "8031", "8099")
	},
}

var (
	ctlPort     = regexp.MustCompile(`(?m)^((?:SELF)?CTLPORT\s*=).*$`)
	serverBlock = regexp.MustCompile(`(?s)\[SVRNODE\].*?\n\n`)
)

// set returns what sets a key of GLOBAL.
func set(key, value string) func(string) string {
	line := regexp.MustCompile(`(?m)^` + key + `\s*=.*\n`)
	return func(text string) string {
		return strings.Replace(line.ReplaceAllString(text, ""), "[GLOBAL]\n", "[GLOBAL]\n"+key+" = "+value+"\n", 1)
	}
}

// tight is a host whose chmpx runs, and has no more room than it needs.
func (h *host) tight() {
	h.applied()
	h.cluster.SetText(set("MAXCHMPX", "4")(h.cluster.Text()))
	h.askNow()
	h.pass(5 * time.Second)
	h.restart(time.Second)
	h.pass(10 * time.Second)
	h.forget()
}

// restart ends chmpx and starts it again after a while.
func (h *host) restart(gap time.Duration) {
	h.t.Helper()
	h.chmpx.stop()
	h.pass(gap)
	h.chmpx.start(h.t)
}

// waits brings the host to where a text with another GROUP waits for a restart of chmpx, and
// returns that.
func (h *host) waits() (text string) {
	h.applied()
	text = dangers["GROUP"](h.cluster.Text())
	h.cluster.SetText(text)
	h.askNow()
	h.pass(5 * time.Second)
	return text
}

// runs fails the test unless chmpx runs the file in place, and that has the text.
func (h *host) runsThe(text string) {
	h.t.Helper()
	if want := body(text); body(h.file()) != want {
		h.t.Errorf("the file is\n%s", h.file())
	}
	h.chmpx.mu.Lock()
	defer h.chmpx.mu.Unlock()
	switch {
	case h.chmpx.slave == nil:
		h.t.Error("chmpx does not run")
	case h.chmpx.slave.Snapshot().FileVersion != h.revision():
		h.t.Errorf("chmpx runs revision %d of %d", h.chmpx.slave.Snapshot().FileVersion, h.revision())
	}
}

// restartsInto fails the test unless chmpx, restarted after a while, runs the file with the text.
func (h *host) restartsInto(text string, gap time.Duration) {
	h.t.Helper()
	h.restart(gap)
	h.pass(10 * time.Second)
	h.runsThe(text)
}

// body is a text without what the agent replaces.
func body(text string) string {
	return replaceRevision(strings.ReplaceAll(text, "__SELF_INSTANCE_ID__", ownCUK), 0)
}

// What the running chmpx must not load waits for the next one, however soon that
// follows.
func TestWhatTheRunningChmpxMustNotLoadWaitsForTheNextOne(t *testing.T) {
	for name, change := range dangers {
		for _, gap := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second} {
			onHost(t, name+" "+gap.String(), func(t *testing.T, h *host) {
				h.tight()
				unchanged := h.untouched()
				text := change(h.cluster.Text())
				h.cluster.SetText(text)
				h.send(AskNow)
				h.pass(time.Minute)
				unchanged()
				h.says("RESOURCE waits for a restart of chmpx since ", "keeping revision 2, run by chmpx since "+h.line()[len(h.line())-len(time.DateTime):])
				h.log.want(t, 1, "WARN", "RESOURCE waits for a restart of chmpx", "restart chmpx")
				h.restartsInto(text, gap)
				h.noTemporary()
			})
		}
	}
}

// A chmpx that has just started shows no revision yet, and is none of the file before.
func TestAChmpxThatHasJustStartedIsNotTakenForTheOneBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		text := h.waits()
		h.chmpx.stop()
		h.pass(10 * time.Millisecond)
		h.chmpx.set(func(c *fakeChmpx) { c.young = 2 })
		h.chmpx.start(t)
		h.pass(10 * time.Second)
		h.runsThe(text)
		h.log.want(t, 0, "runs the previous one")
	})
}

// A text that waits until it is known which file a fresh chmpx runs is judged by that file, all of
// it: chmpxstatus does not show CHMPXIDTYPE and DELIVERMODE.
func TestATextThatFollowsAtTheStartOfChmpxIsJudgedByWhatThatRuns(t *testing.T) {
	for name, change := range dangers {
		if name == "MAXCHMPX" {
			continue
		}
		onHost(t, name, func(t *testing.T, h *host) {
			h.tight()
			h.cluster.SetText(dangers["MAXCHMPX"](h.cluster.Text()))
			h.send(AskNow)
			h.pass(time.Minute)
			h.chmpx.stop()
			h.pass(100 * time.Millisecond)
			first := h.cluster.Text()
			text := change(first)
			h.cluster.SetText(text)
			h.askNow()
			h.chmpx.start(t)
			h.pass(10 * time.Second)
			h.runsThe(first)
			h.log.want(t, 2, "WARN", "RESOURCE waits for a restart of chmpx", "restart chmpx")
			h.restartsInto(text, time.Second)
		})
	}
}

// A chmpx may start between the look that finds none and the rename.
func TestAChmpxThatStartsAtTheWrongMomentSurvives(t *testing.T) {
	for name, change := range dangers {
		onHost(t, name, func(t *testing.T, h *host) {
			h.tight()
			text := change(h.cluster.Text())
			h.chmpx.stop()
			h.pass(10 * time.Second)
			started := false
			h.chmpx.set(func(c *fakeChmpx) {
				c.after = func(err error) {
					if errors.Is(err, daemon.ErrNotRunning) && !started {
						started = true
						h.chmpx.begin()
					}
				}
			})
			h.cluster.SetText(text)
			h.askNow()
			h.pass(30 * time.Second)
			if !started || h.chmpx.slave == nil {
				t.Fatal("chmpx was not started, or has ended")
			}
			h.restartsInto(text, 100*time.Millisecond)
			h.noTemporary()
		})
	}
}

// Where chmpx cannot be probed any more, K2HR3's next texts must not wait for it.
func TestAGuardThatNobodyCanEndBlocksNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.stop()
		h.pass(10 * time.Second)
		h.cluster.SetText(dangers["GROUP"](h.cluster.Text()))
		h.chmpx.set(func(c *fakeChmpx) {
			c.after = func(err error) {
				if errors.Is(err, daemon.ErrNotRunning) {
					go h.chmpx.set(func(c *fakeChmpx) { c.failing = daemon.ErrNoAccess })
				}
			}
		})
		h.askNow()
		h.pass(10 * time.Second)
		if _, err := h.config.File.Previous(); err != nil {
			t.Fatal(err)
		}
		h.forget()
		h.join(2)
		text := set("REPLICA", "0")(h.cluster.Text())
		h.cluster.SetText(text)
		h.pass(10 * time.Minute)
		if len(h.reads()) < 2 || body(h.file()) != body(text) {
			t.Errorf("%d requests, and the file is\n%s", len(h.reads()), h.file())
		}
		h.chmpx.set(func(c *fakeChmpx) { c.failing, c.after = nil, nil })
		h.chmpx.start(t)
		h.pass(10 * time.Minute)
		h.runsThe(text)
		h.noTemporary()
	})
}

func TestARestartThatIsWantedIsMadeForWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled"), lasts: 200 * time.Millisecond}
		h.unit.restarted = func() error { h.restart(50 * time.Millisecond); return nil }
		h.config.RestartUnconfirmed = true
		text := h.waits()
		h.pass(10 * time.Second)
		h.runsThe(text)
		h.wantJobs("restart")
	})
}

// chmpx's unit puts the held file in place before it starts chmpx.
func TestAFileThatChmpxsUnitHasPutInPlaceIsTakenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		text := h.waits()
		h.chmpx.stop()
		noError(t, os.Rename(h.config.File.ParkedPath(), h.config.File.Path))
		h.chmpx.start(t)
		h.send(OutputTouched)
		h.pass(10 * time.Second)
		h.runsThe(text)
		h.log.want(t, 0, "another program")
		h.noTemporary()
	})
}

func TestWhatWaitsIsForgottenWhenK2HR3HasAnotherText(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.waits()
		if _, err := h.config.File.Parked(); err != nil {
			t.Fatal(err)
		}
		h.cluster.ClearText()
		good := h.cluster.Text()
		h.askNow()
		h.pass(5 * time.Second)
		h.noTemporary()
		h.restartsInto(good, time.Second)
	})
}

// An agent that ends leaves what waits to the unit, or to the next agent.
func TestWhatWaitsOutlivesTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		text := h.waits()
		h.end()
		<-h.done
		h.end = nil
		h.start()
		h.pass(20 * time.Second)
		h.restartsInto(text, 100*time.Millisecond)
		h.noTemporary()
	})
}

// guarded restarts the agent on a host without a chmpx, where a file of this text is guarded.
func (h *host) guarded(text string) {
	h.t.Helper()
	h.applied()
	h.pass(3 * time.Minute)
	h.stop()
	h.chmpx.stop()
	noError(h.t, os.WriteFile(filepath.Join(h.dir, ".slave.previous.ini"), []byte(text), 0o644))
}

// What is done to the file while another one is guarded is undone when that is over.
func TestAFileThatIsDeletedBesideAGuardIsRestored(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.guarded(h.textWithSelf())
		h.start()
		h.pass(time.Second)
		h.edit(os.Remove)
		h.pass(2 * previousFor)
		if h.file() == "" {
			t.Error("the file is not restored")
		}
	})
}

// What is in the guard's place, or in the file's, may be anything, and ends up nowhere.
func TestAGuardThatIsNone(t *testing.T) {
	for name, spoil := range map[string]struct{ guard, file string }{
		"both": {"rubbish", "rubbish"}, "the guard": {"rubbish", ""}, "the guard is empty": {"", ""}, "the file": {"good", "rubbish"},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			text := spoil.guard
			if text == "good" {
				text = h.textWithSelf()
			}
			h.guarded(text)
			if spoil.file != "" {
				noError(t, overwrite(spoil.file)(h.config.File.Path))
			}
			h.start()
			h.pass(time.Minute)
			h.join(2)
			h.askNow()
			h.pass(10 * time.Second)
			if !h.lists(2) {
				t.Errorf("the file is\n%s", h.file())
			}
			h.chmpx.start(t)
			h.pass(10 * time.Second)
			if !h.lists(2) {
				t.Errorf("with chmpx the file is\n%s", h.file())
			}
		})
	}
}
