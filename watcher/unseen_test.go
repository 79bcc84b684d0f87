package watcher

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// fakeSigns are those of a fakeChmpx: its process, or only its port.
type fakeSigns struct {
	*fakeChmpx
	port   bool
	looked func(n int) // called before the n-th look of the loop returns, from 1 on
	n      int
}

func (s *fakeSigns) Look(int) daemon.Sighting {
	s.n++
	if s.looked != nil {
		s.looked(s.n)
	}
	return s.seen()
}

func (s *fakeSigns) seen() daemon.Sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reload() // so that it notices each file, and may end of it
	runs := s.slave != nil
	return daemon.Sighting{Process: runs && !s.port, Listens: runs}
}

func (s *fakeSigns) AwaitEnd(ctx context.Context, _ int) (sure bool, err error) {
	for seen := false; ; {
		now := s.seen()
		if seen && !now.MayRun() {
			return !s.port, nil
		}
		seen = seen || now.Any()
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// unseeable are the ways in which chmpx is not seen.
var unseeable = map[string]func(h *host){
	"no chmpxstatus is configured":  func(h *host) { h.blind = true },
	"there is no chmpxstatus":       func(h *host) { h.chmpx.missing = true },
	"chmpxstatus cannot run":        func(h *host) { h.chmpx.failing = daemon.ErrCannotRun },
	"chmpx's memory cannot be read": func(h *host) { h.chmpx.failing = daemon.ErrNoAccess },
}

// unseenTight is tight for a host that does not see chmpx.
func (h *host) unseenTight(set func(h *host), port bool) *fakeSigns {
	set(h)
	signs := &fakeSigns{fakeChmpx: h.chmpx, port: port}
	h.signs = signs
	h.placed()
	h.chmpx.start(h.t)
	h.start()
	h.pass(5 * time.Second)
	h.cluster.SetText(setMaxChmpx(h.cluster.Text()))
	h.askNow()
	h.pass(5 * time.Second)
	h.restart(time.Second)
	h.pass(10 * time.Second)
	h.forget()
	return signs
}

var setMaxChmpx = set("MAXCHMPX", "4")

func TestWhatWaitsForAChmpxThatIsNotSeenIsPutInPlaceBySigns(t *testing.T) {
	for how, blind := range unseeable {
		for name, change := range dangers {
			if name != "GROUP" && how != "no chmpxstatus is configured" {
				continue
			}
			for _, port := range []bool{false, true} {
				for _, gap := range []time.Duration{20 * time.Millisecond, 1500 * time.Millisecond} {
					onHost(t, strings.Join([]string{how, name, map[bool]string{true: "port", false: "process"}[port], gap.String()}, " "), func(t *testing.T, h *host) {
						h.unseenTight(blind, port)
						unchanged := h.untouched()
						first := h.cluster.Text()
						text := change(first)
						h.cluster.SetText(text)
						h.askNow()
						h.pass(30 * time.Second)
						unchanged()
						h.log.want(t, 1, "WARN", "RESOURCE waits for a restart of chmpx", "a chmpx that runs slave.ini as it is", "leave a second")
						h.log.want(t, 0, "the running chmpx")
						h.restartsInto(text, gap)
						// Texts that follow do not wait for anything.
						next := set("RETRYCNT", "3")(text)
						h.cluster.SetText(next)
						h.askNow()
						h.pass(5 * time.Second)
						if body(h.file()) != body(next) {
							t.Errorf("the next text is not in place, but\n%s", h.file())
						}
						// And what is done to the file is undone.
						h.edit(os.Remove)
						h.pass(3 * time.Second)
						if body(h.file()) != body(next) {
							t.Errorf("the file is not restored, but\n%s", h.file())
						}
						// Back again.
						h.cluster.SetText(first)
						h.askNow()
						h.pass(5 * time.Second)
						h.restartsInto(first, gap)
						if !port {
							h.noTemporary()
						}
						h.chmpx.stop() // which lets the previous file go, also where that was not sure
						h.pass(time.Second)
						h.noTemporary()
					})
				}
			}
		}
	}
}

// A chmpx may start at any moment around the rename.
func TestAChmpxThatIsNotSeenAndStartsAtTheWrongMomentSurvives(t *testing.T) {
	for name, change := range dangers {
		for n := 1; n <= 3; n++ {
			onHost(t, name+" "+strings.Repeat("I", n), func(t *testing.T, h *host) {
				signs := h.unseenTight(unseeable["no chmpxstatus is configured"], false)
				text := change(h.cluster.Text())
				h.cluster.SetText(text)
				h.askNow()
				h.pass(10 * time.Second)
				signs.n = 0
				signs.looked = func(i int) {
					if i == n {
						noError(t, h.chmpx.begin())
					}
				}
				h.chmpx.stop()
				h.pass(time.Minute)
				if h.chmpx.slave == nil && n < 3 {
					t.Fatal("chmpx was not started, or has ended")
				}
				signs.looked = nil
				if h.chmpx.slave != nil && body(string(h.chmpx.loaded)) != body(h.file()) {
					t.Log("chmpx runs the file before")
				}
				h.chmpx.stop()
				h.pass(time.Second)
				h.chmpx.start(t)
				h.pass(10 * time.Second)
				h.runsThe(text)
				h.noTemporary()
			})
		}
	}
}

// Where there is no sign either, the text waits for ever, and the advice has to help.
func TestWithoutASignTheAdviceHelps(t *testing.T) {
	for how, blind := range unseeable {
		onHost(t, how, func(t *testing.T, h *host) {
			h.unseenTight(blind, false)
			h.stop()
			h.signs = nil
			h.start()
			h.pass(5 * time.Second)
			before := h.file()
			text := dangers["GROUP"](h.cluster.Text())
			h.cluster.SetText(text)
			h.askNow()
			h.pass(10 * time.Second)
			h.log.want(t, 1, "WARN", "RESOURCE waits for a restart of chmpx", "the agent sees no sign of chmpx here", "remove slave.ini")
			h.restart(5 * time.Second)
			h.pass(time.Minute)
			if h.file() != before {
				t.Errorf("it was put in place by chance:\n%s", h.file())
			}
			h.chmpx.stop()
			h.stop()
			noError(t, os.Remove(h.config.File.Path))
			h.start()
			h.pass(10 * time.Second)
			h.chmpx.start(t)
			h.pass(10 * time.Second)
			h.runsThe(text)
			h.noTemporary()
		})
	}
}
