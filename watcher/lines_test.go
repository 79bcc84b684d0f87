package watcher

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// What is logged once for one thing that happened, and how repeats are counted.

func TestALineCountsWhatCameUpWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logbook{}
		n := trouble{log: slog.New(book)}
		for range 31 { // five minutes
			n.report(time.Now(), slog.LevelWarn, "trouble", errors.New("why"))
			time.Sleep(10 * time.Second)
		}
		n.end("no trouble any more")
		n.end("no trouble any more")
		// After one minute, after two more, and at the end.
		var got []string
		for _, line := range book.shown {
			_, repeats, _ := strings.Cut(line, "repeats=")
			got = append(got, repeats)
		}
		if want := " 5 11 12"; strings.Join(got, " ") != want {
			t.Errorf("repeats %q, want %q:\n%s", strings.Join(got, " "), want, strings.Join(book.shown, "\n"))
		}
		book.forget()
		n.report(time.Now(), slog.LevelWarn, "trouble", errors.New("why"))
		n.report(time.Now(), slog.LevelWarn, "trouble", errors.New("why"))
		n.report(time.Now(), slog.LevelWarn, "trouble", errors.New("another reason"))
		book.want(t, 0, "repeats")
		book.want(t, 2, "trouble")
	})
}

func TestAK2HR3OutOfReachIsOneLine(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut})
		h.start()
		h.pass(50 * time.Second)
		h.log.want(t, 1, "WARN")
		h.log.want(t, 1, "WARN", "cannot read the RESOURCE from K2HR3; there is no slave.ini yet")
		h.pass(20 * time.Minute) // with more looks for the membership
		h.log.want(t, 0, "membership unconfirmed")
		h.api.ClearFaults()
		h.pass(10 * time.Minute)
		h.log.want(t, 1, "K2HR3 answers again")
	})
}

func TestTheFirstFileIsOneLineAndItsChmpxAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), started: h.chmpx.begin}
		h.leave(1)
		h.start()
		h.pass(time.Minute)
		h.log.want(t, 1, "RESOURCE not applied; there is no slave.ini yet")
		h.log.forget()
		h.join(1)
		h.pass(time.Minute)
		h.log.want(t, 1, "slave.ini replaced")
		h.log.want(t, 0, "usable again")
		h.log.want(t, 1, "chmpx runs")
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=1", "servers=1", "pid=")
	})
}
