package watcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// Each host ends its watcher and looks how long that took and what is left; a
// goroutine that stays would keep the bubble from ending.
func TestTheEndIsPromptAtEveryPoint(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(t *testing.T, h *host)
	}{
		{"during the membership probe", func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
			h.start()
		}},
		{"during the registration", func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
			h.start()
		}},
		{"between two tries of the registration", func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "20", On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
			h.start()
			h.pass(5 * time.Second)
		}},
		{"during the first read", func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang, On: []fakek2hr3.Op{fakek2hr3.OpResource}})
			h.start()
		}},
		{"while an answer comes in", func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Drip, Delay: 10 * time.Millisecond, On: []fakek2hr3.Op{fakek2hr3.OpResource}})
			h.start()
			h.pass(time.Second)
		}},
		{"between two failures", func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError})
			h.start()
			h.pass(10 * time.Second)
		}},
		{"during a held request", func(t *testing.T, h *host) {
			h.held()
			if h.api.Held() != 1 {
				t.Error("no request is held")
			}
		}},
		{"while a burst settles", func(t *testing.T, h *host) {
			h.held()
			h.join(2)
			h.pass(settle / 2)
			if h.lists(2) {
				t.Error("it has settled")
			}
		}},
		{"at the interval", func(t *testing.T, h *host) {
			h.applied()
			h.pass(20 * time.Second)
		}},
		{"during the first look", func(t *testing.T, h *host) {
			h.chmpx.hangs = true
			h.start()
			h.pass(5 * time.Second)
			if h.file() != "" {
				t.Error("the look was not waited for")
			}
		}},
		{"during a later look", func(t *testing.T, h *host) {
			h.applied()
			h.chmpx.set(func(c *fakeChmpx) { c.hangs = true })
			h.pass(5 * time.Second)
		}},
		{"while a revision is to be confirmed", func(t *testing.T, h *host) {
			h.applied()
			h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
			h.change(2)
			h.pass(10 * time.Second)
		}},
		{"during a job of the unit", func(t *testing.T, h *host) {
			h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), lasts: time.Hour}
			h.start()
			if h.unit.jobs() != "start" {
				t.Error("no job was started")
			}
		}},
		{"while a repair is put off", func(t *testing.T, h *host) {
			h.applied()
			h.edit(edits["truncated"])
			h.edit(edits["truncated"])
		}},
		{"without a single request", func(t *testing.T, h *host) {
			h.start()
		}},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.set(t, h)
			h.stop()
			h.log.want(t, 0, "context canceled")
		})
	}
}

func TestTheEndDuringASecondOpinionLeavesTheFileAndNoTrace(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		before := h.file()
		h.object(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		h.join(2)
		go func() { h.events <- AskNow }()
		h.pass(time.Second)
		h.stop()
		if h.file() != before {
			t.Error("the file was replaced")
		}
		h.log.want(t, 0, "keeping")
	})
}

func TestOnceEndsWithItsContext(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(h *host)
	}{
		{"while K2HR3 is asked", func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang}) }},
		{"while chmpx is looked at", func(h *host) { h.chmpx.hangs = true }},
		{"while a revision is to be confirmed", func(h *host) {
			h.placed()
			h.chmpx.start(h.t)
			h.chmpx.deaf = true
			h.join(2)
		}},
		{"during a job of the unit", func(h *host) {
			h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), lasts: time.Hour}
			h.config.Confirm = 0
		}},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.set(h)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			start := time.Now()
			err := h.make().Once(ctx)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if d := time.Since(start); d != 5*time.Second {
				t.Errorf("it took %v", d)
			}
			synctest.Wait()
			h.noTemporary()
		})
	}
}

func TestRunDoesNotBeginWhereTheFileCannotBe(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.File.Path = h.dir + "/no/such/slave.ini"
		if err := h.make().Run(t.Context(), nil); !errors.Is(err, render.ErrNoDirectory) {
			t.Errorf("got %v", err)
		}
	})
}
