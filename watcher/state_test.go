package watcher

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
)

var revisionLine = regexp.MustCompile(`(?m)^FILEVERSION\s*=.*$`)

func replaceRevision(text string, n int) string {
	return revisionLine.ReplaceAllString(text, "FILEVERSION = "+strconv.Itoa(n))
}

func TestARestartedWatcherSendsTheETagAndWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		etag := h.savedState().ETag
		h.stop()
		unchanged := h.untouched()
		state := identify(t, h.config.StateFile)
		h.start()
		h.pass(time.Minute)
		unchanged()
		if identify(t, h.config.StateFile) != state {
			t.Error("the state was written again")
		}
		for _, r := range h.reads() {
			if r.IfNoneMatch != etag || r.Status != 304 {
				t.Errorf("%v If-None-Match=%q, want %q", r, r.IfNoneMatch, etag)
			}
		}
		h.change(2)
		h.wantRevision(2)
	})
}

// Each replacement saves the state, and some do so twice.
func TestAStateThatCannotBeSavedIsToldAtGrowingIntervals(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		const says = "cannot save the state"
		h.applied()
		state := h.savedState()
		noError(t, errors.Join(os.Remove(h.config.StateFile), os.Mkdir(h.config.StateFile, 0o755)))
		for n := range 5 { // within a minute
			h.change(2 + n)
		}
		h.log.want(t, 1, says)
		h.pass(firstRepeat)
		h.change(7)
		h.log.want(t, 2, says)
		h.log.want(t, 1, says, "repeats")
		noError(t, os.Remove(h.config.StateFile))
		h.change(8)
		if h.savedState().Revision == state.Revision {
			t.Error("the state is not saved when it can be")
		}
		noError(t, errors.Join(os.Remove(h.config.StateFile), os.Mkdir(h.config.StateFile, 0o755)))
		h.change(9)
		h.log.want(t, 3, says)
	})
}

// What is in the place of the previous file stays, and each replacement comes upon it.
func TestAPreviousFileThatStaysIsToldAtGrowingIntervals(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		previous := filepath.Join(filepath.Dir(h.config.File.Path), ".slave.previous.ini")
		noError(t, os.MkdirAll(filepath.Join(previous, "full"), 0o755))
		for n := range 5 { // within a minute
			h.change(2 + n)
		}
		h.log.want(t, 1, "cannot remove .slave.previous.ini")
		noError(t, os.RemoveAll(previous))
	})
}

func TestTheRevisionGoesUpByOneWithEachWriteAndStartsAgainAfterTheLargest(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.blind = true
		h.applied()
		h.stop()
		err := errors.Join(os.Remove(h.config.StateFile), overwrite(replaceRevision(h.file(), render.MaxRevision-2))(h.config.File.Path))
		if err != nil {
			t.Fatal(err)
		}
		h.start()
		for i, want := range []int{render.MaxRevision - 1, render.MaxRevision, 1, 2, 3} {
			h.change(2 + i)
			h.wantRevision(want)
			if i == 3 { // the agent restarts, and its state is lost
				h.stop()
				noError(t, os.Remove(h.config.StateFile))
				h.start()
			}
		}
	})
}

func TestTheRevisionIsNeverTheOneThatChmpxRuns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		runs  int
		spoil func(h *host) error // while the agent is down
	}{
		{"file and state are lost", 1, func(h *host) error {
			return errors.Join(os.Remove(h.config.File.Path), os.Remove(h.config.StateFile))
		}},
		{"the file is an older one and the state is lost", 2, func(h *host) error {
			return errors.Join(overwrite(replaceRevision(h.file(), 1))(h.config.File.Path), os.Remove(h.config.StateFile))
		}},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.applied()
			for n := 1; n < tt.runs; n++ {
				h.change(9)
				h.pass(time.Second)
			}
			h.stop()
			noError(t, tt.spoil(h))
			h.chmpx.set(func(c *fakeChmpx) { c.deaf = true }) // it has not looked yet
			h.join(2)
			h.start()
			h.pass(time.Second)
			if got := h.revision(); got == tt.runs || !h.lists(2) {
				t.Errorf("revision %d, and chmpx runs %d", got, tt.runs)
			}
		})
	}
}

func TestLaterKnowsThatRevisionsStartAgain(t *testing.T) {
	const top = render.MaxRevision
	for _, tt := range []struct{ a, b, want int }{
		{1, 2, 2}, {2, 1, 2}, {7, 7, 7}, {0, 5, 5}, {top, 1, 1}, {1, top, 1}, {top - 1, top, top}, {1, 20250203, 20250203}, {-5, 3, 3}, {0, top, top}, {top, -1, top},
	} {
		if got := later(tt.a, tt.b); got != tt.want {
			t.Errorf("later(%d, %d) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestNoRevisionIsGivenTwiceInARowWhateverChmpxRuns(t *testing.T) {
	const top = render.MaxRevision
	some := []int{0, 1, 2, 3, top / 2, top/2 + 1, top - 1, top}
	for range 20000 {
		o := output{revision: some[rand.N(len(some))]}
		runs := some[rand.N(len(some))]
		for range 3 {
			next := o.nextRevision(&daemon.Status{Revision: runs})
			if next < 1 || next > top || next == o.revision || next == runs {
				t.Fatalf("after %d, with chmpx on %d, comes %d", o.revision, runs, next)
			}
			o.revision = next
		}
	}
}

func TestAnOriginIsNotMixedUpWithAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.stop()
		h.config.Origin = strings.ToUpper(h.config.Origin)
		h.start()
		h.pass(time.Second)
		if r := h.reads()[0]; r.IfNoneMatch != "" {
			t.Errorf("the ETag of another origin was sent: %s", r.IfNoneMatch)
		}
		if h.savedState().Origin != h.config.Origin {
			t.Error("the new origin is not remembered")
		}
	})
}
