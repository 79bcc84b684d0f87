package watcher

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
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
		if h.revision() != 2 {
			t.Errorf("revision %d", h.revision())
		}
	})
}

func TestAStateThatIsOfNoUseCostsOneRequest(t *testing.T) {
	spoil := func(f func(s *state)) func(t *testing.T, h *host) {
		return func(t *testing.T, h *host) {
			s := h.savedState()
			f(&s)
			b, err := json.Marshal(s)
			if err == nil {
				err = os.WriteFile(h.config.StateFile, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(text string) func(t *testing.T, h *host) {
		return func(t *testing.T, h *host) {
			if err := os.WriteFile(h.config.StateFile, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, h *host)
		said  int
	}{
		{"lost", func(t *testing.T, h *host) {
			if err := os.Remove(h.config.StateFile); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"empty", write(""), 1},
		{"cut", write(`{"version":1,"ori`), 1},
		{"garbage", write("\x00\x00\x00\x00"), 1},
		{"of another version", spoil(func(s *state) { s.Version = 7 }), 1},
		{"of another origin", spoil(func(s *state) { s.Origin = "http://elsewhere" }), 0},
		{"of another file", spoil(func(s *state) { s.Sum = "4711" }), 0},
		{"a directory", func(t *testing.T, h *host) {
			err := errors.Join(os.Remove(h.config.StateFile), os.Mkdir(h.config.StateFile, 0o755))
			if err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		for _, hold := range []time.Duration{0, time.Minute} {
			t.Run(tt.name+" hold "+hold.String(), func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *host) {
					h.api.Hold(hold)
					h.applied()
					h.stop()
					tt.spoil(t, h)
					h.forget()
					unchanged := h.untouched()
					h.start()
					h.pass(10 * time.Minute)
					unchanged()
					h.log.want(t, tt.said, "cannot use the saved state")
					whole := 0
					for _, r := range h.reads() {
						if r.IfNoneMatch == "" {
							whole++
						}
					}
					if whole != 1 {
						t.Errorf("%d requests for the whole text, want 1", whole)
					}
				})
			})
		}
	}
}

func TestAStateDirectoryThatIsNotThereIsNoReasonToStop(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.StateFile = h.dir + "/state/not/there.json"
		h.start()
		h.change(2)
		h.log.want(t, 4, "WARN", "cannot save the state")
		h.config.StateFile = h.dir + "/state/state.json" // for the look at what was left behind
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
			if h.revision() != want {
				t.Errorf("revision %d, want %d", h.revision(), want)
			}
			if i == 3 { // the agent restarts, and its state is lost
				h.stop()
				if err := os.Remove(h.config.StateFile); err != nil {
					t.Fatal(err)
				}
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
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *host) {
				h.applied()
				for n := 1; n < tt.runs; n++ {
					h.change(9)
					h.pass(time.Second)
				}
				h.stop()
				if err := tt.spoil(h); err != nil {
					t.Fatal(err)
				}
				h.chmpx.set(func(c *fakeChmpx) { c.deaf = true }) // it has not looked yet
				h.join(2)
				h.start()
				h.pass(time.Second)
				if got := h.revision(); got == tt.runs || !h.lists(2) {
					t.Errorf("revision %d, and chmpx runs %d", got, tt.runs)
				}
			})
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
