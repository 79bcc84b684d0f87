package watcher

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

var edits = map[string]func(path string) error{
	"edited": func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.Replace(string(b), "= hash", "= random", 1)), 0o644)
	},
	"truncated": func(path string) error { return os.Truncate(path, 0) },
	"deleted":   os.Remove,
	"replaced": func(path string) error {
		other := filepath.Join(filepath.Dir(path), "other.ini")
		if err := os.WriteFile(other, []byte("[GLOBAL]\n"), 0o644); err != nil {
			return err
		}
		return os.Rename(other, path)
	},
}

// asDirectory makes a directory of the file.
func asDirectory(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }

func TestAFileThatSomebodyElseChangedIsPutBackAtOnceUnderTheNextRevision(t *testing.T) {
	for name, edit := range edits {
		onHost(t, name, func(t *testing.T, h *host) {
			h.blind = true
			h.applied()
			good := h.file()
			h.edit(edit)
			want := strings.Replace(good, "FILEVERSION         = 1\n", "FILEVERSION         = 2\n", 1)
			if want == good || h.file() != want {
				t.Errorf("the file is\n%s\nwant\n%s", h.file(), want)
			}
			h.log.want(t, 1, "WARN", "restoring the last good one")
			if n := len(h.reads()); n != 0 {
				t.Errorf("K2HR3 was asked %d times", n)
			}
			h.send(OutputTouched) // of the repair itself
			h.wantRevision(2)     // the repair is not taken for another edit
			h.pass(10 * time.Minute)
			for _, r := range h.reads() {
				if r.Status != 304 {
					t.Errorf("%v: the ETag was lost", r)
				}
			}
		})
	}
}

func TestRepairsOfAFileThatKeepsChangingAreAMinuteApartAtMost(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.blind = true
		h.applied()
		var at []time.Time
		for range 10 {
			revision := h.revision()
			h.edit(edits["truncated"])
			for h.revision() != revision+1 {
				h.pass(50*time.Millisecond + time.Microsecond)
			}
			at = append(at, time.Now())
			h.pass(70 * time.Millisecond)
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			want *= time.Second
			if gap := at[i+1].Sub(at[i]); gap < want-200*time.Millisecond || gap > want+200*time.Millisecond {
				t.Errorf("repair %d came %v after the one before, want %v", i+2, gap, want)
			}
		}
		h.pass(3 * time.Minute)
		h.edit(edits["deleted"])
		if h.file() == "" {
			t.Error("after a while of peace the file is not put back at once")
		}
		h.edit(edits["deleted"])
		h.pass(leastRepairPause)
		if h.file() == "" {
			t.Error("after a while of peace the pauses do not begin anew")
		}
	})
}

func TestAChangeThatNoEventToldOfIsRepairedAtTheNextAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		noError(t, edits["deleted"](h.config.File.Path))
		h.pass(5*time.Minute + 30*time.Second)
		h.wantRevision(2)
	})
}

func TestAFileThatCannotBePutBackIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.blind = true
		h.applied()
		h.edit(asDirectory)
		h.pass(20 * time.Second)
		if n := strings.Count(strings.Join(h.log.all(), "\n"), "cannot restore slave.ini"); n != 5 { // most of them for debugging
			t.Errorf("%d attempts in the first 20 seconds", n)
		}
		h.pass(10 * time.Minute)
		h.checkNag("cannot restore slave.ini", 10*time.Minute)
		h.checkNag("restoring the last good one", 10*time.Minute)
		h.edit(os.Remove)
		h.pass(maxRepairPause + time.Second)
		h.wantListed(1, "it was not put back once it could be")
		h.log.want(t, 1, "slave.ini restored")
	})
}

func TestAFileThatWasNeverGoodIsNotPutBack(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.leave(1)
		noError(t, os.WriteFile(h.config.File.Path, []byte("[GLOBAL]\nGROUP = orders\n"), 0o644))
		h.start()
		h.edit(overwrite("# the operator is at work\n"))
		h.pass(time.Minute)
		if h.file() != "# the operator is at work\n" {
			t.Errorf("the file is %q", h.file())
		}
		h.join(1)
		h.pass(schedule.Hurry + time.Second)
		h.wantListed(1, "the first good text is not applied")
	})
}
