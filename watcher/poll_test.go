package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

func TestTheFirstFileIsInPlaceAtOnceWithOwnCUKAndRevision(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.start()
		if got := len(h.reads()); got != 1 {
			t.Errorf("%d reads, want 1", got)
		}
		want := strings.ReplaceAll(h.cluster.Text(), "__SELF_INSTANCE_ID__", ownCUK)
		if got := h.file(); got != want {
			t.Errorf("the file is\n%s\nwant\n%s", got, want)
		}
		h.wantRevision(1)
		h.log.want(t, 1, "slave.ini replaced", "first file", "revision=1", "servers=1", "slaves=1")
	})
}

func TestWithoutAStampTheTextsOwnRevisionStays(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Stamp = false
		text := strings.Replace(h.textWithSelf(), "FILEVERSION         = 1", "FILEVERSION = 4711", 1)
		h.cluster.SetText(text)
		h.start()
		if want := strings.ReplaceAll(text, "__SELF_INSTANCE_ID__", ownCUK); h.file() != want {
			t.Errorf("the file is\n%s", h.file())
		}
		h.cluster.SetText(strings.Replace(text, "4711", "4712", 1))
		h.askNow()
		h.pass(schedule.LeastAskPause + leastReplacePause)
		h.wantRevision(4712) // with the stamp off a new FILEVERSION is a change
	})
}

func TestAClusterWithoutServersIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.leave(1)
		h.start()
		h.pass(3 * time.Minute)
		if h.file() != "" || len(h.texts()) != 0 {
			t.Error("a text without servers was staged")
		}
		if n := h.log.count("waiting for the first"); n < 2 || n > 3 {
			t.Errorf("said %d times in three minutes", n)
		}
		h.log.want(t, h.log.count("waiting for the first"), "WARN")
		if n := len(h.reads()); n < 12 || n > 60 {
			t.Errorf("%d reads in three minutes without a good file", n)
		}
		h.join(2)
		h.pass(schedule.Hurry + time.Second)
		h.wantListed(2, "the first server was not applied")
	})
}

func (h *host) savedState() state {
	b, err := os.ReadFile(h.config.StateFile)
	var s state
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		h.t.Error(err)
	}
	return s
}

func TestUnchangedAnswersWriteNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  fakek2hr3.FaultName
		status int
	}{
		{"answered with 304", "", 304},
		{"without ETags", fakek2hr3.NoETag, 200},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			if tt.fault != "" {
				h.api.Fault(fakek2hr3.Fault{Name: tt.fault})
			}
			h.applied()
			unchanged := h.untouched()
			state := identify(t, h.config.StateFile)
			h.pass(time.Hour)
			unchanged()
			if identify(t, h.config.StateFile) != state {
				t.Error("the state was written again")
			}
			reads, etag := h.reads(), h.savedState().ETag
			if len(reads) < 11 {
				t.Fatalf("%d reads in an hour", len(reads))
			}
			if (etag == "") != (tt.fault == fakek2hr3.NoETag) {
				t.Errorf("the ETag remembered is %q", etag)
			}
			for _, r := range reads {
				if r.Status != tt.status || r.IfNoneMatch != etag || r.Prefer != "wait=55" {
					t.Errorf("%v If-None-Match=%q Prefer=%q, want %q", r, r.IfNoneMatch, r.Prefer, etag)
				}
			}
			h.log.want(t, 0, "slave.ini replaced")
		})
	}
}

// textWithSelf is the text of the RESOURCE once the host is a member.
func (h *host) textWithSelf() string {
	h.cluster.ClearText()
	h.cluster.AddSlave(ownAddr, ownCUK, ownAddr)
	return h.cluster.Text()
}

func TestAChangeChmpxDoesNotCompareWritesNothingAndItsETagIsUsed(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new string
	}{
		{"a comment", "[GLOBAL]", "# mind the gap\n[GLOBAL]"},
		{"DATE", "03 Feb 2025", "04 Mar 2026"},
		{"the order of keys", "RETRYCNT            = 500\nCONTIMEOUT          = 1000\n", "CONTIMEOUT          = 1000\nRETRYCNT            = 500\n"},
		{"FILEVERSION", "FILEVERSION         = 1", "FILEVERSION         = 99"},
	} {
		for _, hold := range []time.Duration{0, time.Minute} {
			onHost(t, tt.name+" hold "+hold.String(), func(t *testing.T, h *host) {
				h.api.Hold(hold)
				h.blind = true
				h.applied()
				old, before := h.cluster.Text(), h.savedState().ETag
				unchanged := h.untouched()
				if !strings.Contains(old, tt.old) {
					t.Fatal("the text has nothing to change")
				}
				h.cluster.SetText(strings.Replace(old, tt.old, tt.new, 1))
				h.pass(3 * time.Minute)
				unchanged()
				reads := h.reads()
				etag := reads[len(reads)-1].IfNoneMatch
				if etag == before || etag != h.savedState().ETag {
					t.Errorf("If-None-Match %q: before %q, remembered %q", etag, before, h.savedState().ETag)
				}
				if n := h.log.count(""); n != 0 {
					t.Errorf("%d log lines", n)
				}
			})
		}
	}
}

// Whatever a change is that the ring does not show, few slaves see it within the
// interval, and many do not ask K2HR3 more often than few do.
func TestSlavesOfAClusterSeeAChangeOfASettingByTheInterval(t *testing.T) {
	for _, tt := range []struct {
		slaves int
		within time.Duration
	}{{1, time.Minute}, {20, time.Minute}, {40, 2 * time.Minute}, {120, 5 * time.Minute}} {
		onHost(t, strconv.Itoa(tt.slaves), func(t *testing.T, h *host) {
			h.others(tt.slaves - 1)
			h.applied()
			h.pass(30 * time.Minute)
			h.checkGaps(tt.within)
			h.cluster.SetText(strings.Replace(h.cluster.Text(), "RETRYCNT            = 500", "RETRYCNT            = 501", 1))
			h.pass(tt.within * 11 / 10)
			if !strings.Contains(h.file(), "RETRYCNT            = 501") {
				t.Errorf("the change is not in the file after %v", tt.within)
			}
		})
	}
}

// others registers more slaves.
func (h *host) others(n int) {
	for n := range n {
		h.cluster.AddSlave(fmt.Sprintf("10.30.%d.%d", n/200, n%200+1), fmt.Sprintf("other-%d", n), fmt.Sprintf("other-%d.shop.example", n))
	}
}

func TestTheIntervalIsStretchedOnlyWhileAllIsWell(t *testing.T) {
	const short, long = time.Minute, 5 * time.Minute
	failing := func(h *host) { h.chmpx.set(func(c *fakeChmpx) { c.failing = daemon.ErrTimeout }) }
	for _, tt := range []struct {
		name   string
		before func(h *host) // nil: all is well
		later  func(h *host)
		want   time.Duration
	}{
		{"chmpx runs the file and the ring agrees", nil, nil, long},
		{"no chmpxstatus is configured", func(h *host) { h.blind = true }, nil, short},
		{"chmpxstatus is not installed", func(h *host) { h.chmpx.missing = true }, nil, short},
		{"chmpxstatus fails", failing, nil, short},
		{"chmpxstatus fails later", nil, failing, short},
		{"chmpx is down later", nil, func(h *host) { h.chmpx.stop() }, short},
		{"chmpx runs another revision later", nil, func(h *host) {
			h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
			h.join(2)
			h.askNow()
		}, short},
		{"the ring has another server later", nil, func(h *host) { h.chmpx.setRing(1, 9) }, short},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.others(schedule.ManySlaves)
			if tt.before != nil {
				tt.before(h)
			}
			h.applied()
			if tt.later != nil {
				tt.later(h)
				h.pass(6 * time.Minute) // what was planned before
				h.forget()
			}
			h.pass(25 * time.Minute)
			h.checkGaps(tt.want)
		})
	}
}

// checkGaps fails unless the reads were d apart, give or take a tenth, and not
// all alike.
func (h *host) checkGaps(d time.Duration) {
	h.t.Helper()
	all := gaps(h.reads())
	if len(all) < 3 {
		h.t.Fatalf("%d reads", len(all)+1)
	}
	alike := true
	for _, gap := range all {
		alike = alike && gap == all[0]
		if gap < d*9/10 || gap > d*11/10 {
			h.t.Errorf("a read came after %v, want %v ±10 %%", gap, d)
		}
	}
	if alike {
		h.t.Errorf("all reads were exactly %v apart: no jitter", all[0])
	}
}

// A registration that ends while a text from before it waits for the first look
// at chmpx has the text asked for at once, not after the pause that follows its
// refusal.
func TestATextFromBeforeARegistrationDoesNotDelayTheNextOne(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		ctx, end := context.WithCancel(t.Context())
		l := h.make().newLoop(ctx, false)
		defer l.close()
		defer end()
		l.poll.Want(time.Now())
		l.requestDone(time.Now(), reply{answer: k2hr3.Answer{Text: h.cluster.Text()}})
		l.result(time.Now(), <-l.results)
		if l.output.refused == "" {
			t.Fatal("the text was not refused")
		}
		if d := l.idle(); d != 0 {
			t.Errorf("K2HR3 is asked after %v", d)
		}
	})
}
