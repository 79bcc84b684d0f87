package watcher

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// once makes one pass as the verb does.
func (h *host) once() error {
	err := h.make().Once(h.t.Context())
	synctest.Wait()
	h.noTemporary()
	return err
}

// placed has the first file put in place, without asking for a chmpx that runs it.
func (h *host) placed() {
	confirm := h.config.Confirm
	h.config.Confirm = 0
	noError(h.t, h.once())
	h.config.Confirm = confirm
	h.forget()
}

func TestOnce(t *testing.T) {
	// done is a host whose file is in place and whose chmpx runs it.
	done := func(h *host) {
		h.placed()
		h.chmpx.start(h.t)
	}
	for _, tt := range []struct {
		name     string
		set      func(h *host)
		want     string // words of the error; empty: none
		revision int    // of the file afterwards
	}{
		{"the first file, without chmpx", func(*host) {}, "chmpx is not running: start it", 1},
		{"the first file, with a chmpx that comes", func(h *host) { go h.chmpx.comes(h.t, 20*time.Second) }, "", 1},
		{"the first file, and chmpx is not asked", func(h *host) { h.config.Confirm = 0 }, "", 1},
		{"nothing to do", done, "", 1},
		{"nothing to do, without chmpx", (*host).placed, "chmpx is not running: start it", 1},
		{"nothing to do, and chmpx is not asked", func(h *host) { h.placed(); h.config.Confirm = 0 }, "", 1},
		{"nothing to do, chmpxstatus is not installed", func(h *host) { h.placed(); h.chmpx.missing = true }, "", 1},
		{"nothing to do, chmpxstatus cannot be run", func(h *host) { h.placed(); h.chmpx.failing = daemon.ErrCannotRun }, "", 1},
		{"a change that chmpx takes", func(h *host) { done(h); h.join(2) }, "", 2},
		{"a change that chmpx takes late", func(h *host) {
			done(h)
			h.chmpx.lag = 20 * time.Second
			h.join(2)
		}, "", 2},
		{"a change that chmpx takes when told again", func(h *host) {
			done(h)
			h.chmpx.skip = 1
			h.join(2)
		}, "", 3},
		{"a change that chmpx does not take", func(h *host) {
			done(h)
			h.chmpx.deaf = true
			h.join(2)
		}, "chmpx did not load it: chmpx runs revision 1, slave.ini has 3", 3},
		{"a change that chmpx does not survive", func(h *host) {
			done(h)
			h.chmpx.lag = time.Hour
			h.join(2)
			go func() {
				time.Sleep(time.Second)
				h.chmpx.stop()
			}()
		}, "is not running now", 3}, // the file before it is back
		{"chmpxstatus is not installed", func(h *host) { h.chmpx.missing = true }, "", 1},
		{"chmpxstatus cannot be run", func(h *host) { h.chmpx.failing = daemon.ErrCannotRun }, "", 1},
		{"chmpxstatus hangs", func(h *host) { h.chmpx.hangs = true }, "nobody can tell whether chmpx runs it", 1},
		{"chmpxstatus has no access", func(h *host) { h.chmpx.failing = daemon.ErrNoAccess }, "no access to chmpx's shared memory", 1},
		{"no chmpxstatus is configured", func(h *host) { h.blind = true }, "", 1},
		{"a refused text", func(h *host) { done(h); h.leave(1) }, "it lists no server nodes yet", 1},
		{"a text with a byte order mark", func(h *host) {
			done(h)
			_, after, _ := strings.Cut(h.cluster.Text(), "[GLOBAL]")
			h.cluster.SetText("\ufeff[GLOBAL]" + after)
		}, "RESOURCE not applied: reject: line 1: the text begins with a UTF-8 byte order mark", 1},
		{"a text whose [SVRNODE] is misspelt", func(h *host) {
			done(h)
			h.cluster.SetText(strings.ReplaceAll(h.cluster.Text(), "[SVRNODE]", "[SvrNode]"))
		}, "you probably mean [SVRNODE]", 1},
		{"a second opinion against it", func(h *host) {
			done(h)
			h.object(func(context.Context) error { return errors.New("no, thank you") })
			h.join(2)
		}, "no, thank you", 1},
		{"K2HR3 is not there", func(h *host) {
			done(h)
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut})
		}, "EOF", 1},
		{"no role token", func(h *host) { h.removeToken() }, "no role token", 0},
		{"no membership, but the file lists this host", func(h *host) {
			h.config.Confirm = 0
			h.cluster.AddSlave(ownAddr, ownCUK, ownAddr)
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
		}, "", 1},
		{"the unit fails", func(h *host) { h.unit = &fakeUnit{fails: daemon.ErrTimeout} }, "chmpx is not running", 1},
		{"the unit is started", func(h *host) {
			h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), started: h.chmpx.begin, lasts: 10 * time.Second}
		}, "", 1},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.set(h)
			err := h.once()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
			h.wantRevision(tt.revision)
			for _, r := range h.reads() {
				if r.Prefer != "" {
					t.Errorf("K2HR3 was asked to hold: %s", r.Prefer)
				}
			}
		})
	}
}

// comes starts chmpx on its file that much later.
func (c *fakeChmpx) comes(t *testing.T, later time.Duration) {
	time.Sleep(later)
	if err := c.begin(); err != nil {
		t.Error(err)
	}
}

// hangs is an opinion that comes to no end before its context does.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// What a pass finds out after its end has been asked for means nothing: it says that it was
// interrupted, at whatever moment, and not how things stand.
func TestOnceThatIsInterruptedSaysSo(t *testing.T) {
	for name, set := range map[string]func(h *host){
		"a slow chmpxstatus": func(h *host) { h.chmpx.slow = time.Second },
		"a slow opinion": func(h *host) {
			h.object(func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Second):
					return nil
				}
			})
		},
		"chmpx is not asked":           func(h *host) { h.config.Confirm = 0; h.object(hangs) },
		"chmpxstatus is not installed": func(h *host) { h.chmpx.missing = true; h.object(hangs) },
		"a slow unit": func(h *host) {
			h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), started: h.chmpx.begin, lasts: time.Second}
		},
		"a slow K2HR3": func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: time.Second}) },
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			set(h)
			for after := 50 * time.Millisecond; ; after += 100 * time.Millisecond {
				os.Remove(h.config.File.Path)
				ctx, cancel := context.WithTimeout(t.Context(), after)
				err := h.make().Once(ctx)
				interrupted := ctx.Err() != nil
				cancel()
				synctest.Wait()
				if !interrupted || after > 10*time.Second {
					break
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after %v: %v", after, err)
				}
			}
		})
	}
}

func TestOnceSaysAtOnceWhatItWaitsFor(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(h *host)
		says  string        // of what it waits for longest
		takes time.Duration // 0: no time at all
	}{
		{"a chmpx that is not there", func(*host) {}, "chmpx to run the current slave.ini, 30s at most", 30 * time.Second},
		{"a chmpxstatus that hangs", func(h *host) { h.chmpx.hangs = true }, "chmpx to run the current slave.ini, 30s at most", 40 * time.Second},
		{"a job", func(h *host) {
			h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), started: h.chmpx.begin, lasts: 10 * time.Second}
		}, "systemd's job of chmpx's unit", 10 * time.Second},
		{"K2HR3", func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang}) }, "for=K2HR3", 40 * time.Second},
		{"nothing, without chmpxstatus", func(h *host) { h.chmpx.missing = true }, "for=K2HR3", 0},
		{"nothing, with chmpx not asked", func(h *host) { h.config.Confirm = 0 }, "for=K2HR3", 0},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.set(h)
			start := time.Now()
			_ = h.once()
			if took := time.Since(start); took < tt.takes || took > tt.takes+2*time.Second {
				t.Errorf("it took %v, want %v", took, tt.takes)
			}
			h.log.want(t, 1, "INFO waiting", tt.says)
			h.log.want(t, 0, "INFO waiting", "at most", "for=K2HR3")
		})
	}
}

func TestOnceTellsWhichKindOfErrorItWas(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.leave(1)
		var refusal *Refusal
		if err := h.once(); !errors.As(err, &refusal) {
			t.Errorf("a refused text: %v", err)
		}
		h.removeToken()
		h.cluster.DropSlave(ownAddr, ownCUK)
		if err := h.once(); !errors.Is(err, member.ErrNoToken) || !errors.Is(err, k2hr3.ErrNotMember) {
			t.Errorf("no role token: %v", err)
		}
	})
}

func TestASecondAgentOnTheSameFileIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		other := h.make()
		for name, verb := range map[string]func() error{
			"Run":  func() error { return other.Run(t.Context(), nil) },
			"Once": func() error { return other.Once(t.Context()) },
		} {
			if err := verb(); !errors.Is(err, render.ErrLocked) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(h.api.Requests()) != 0 {
			t.Error("it asked K2HR3")
		}
		h.stop()
		if err := h.make().Once(t.Context()); err != nil {
			t.Errorf("after the first one has ended: %v", err)
		}
	})
}

func TestPreviewShowsTheNextFileAndChangesNothing(t *testing.T) {
	first := func(*host) {}
	applied := func(h *host) { h.applied(); h.stop(); h.forget() }
	for _, tt := range []struct {
		name    string
		before  func(h *host)
		set     func(h *host)
		want    int // revision of what it shows, 0: nothing
		wantErr string
	}{
		{"a member's first file", first, func(h *host) { h.cluster.AddSlave(ownAddr, ownCUK, ownAddr) }, 1, ""},
		{"no member", first, func(*host) {}, 0, "could be this host"},
		{"nothing new", applied, func(*host) {}, 0, ""},
		{"a new server", applied, func(h *host) { h.join(2) }, 2, ""},
		{"a new server, beside a running agent", (*host).applied, func(h *host) { h.join(2) }, 2, ""},
		{"a refused text", applied, func(h *host) { h.leave(1) }, 0, "no server nodes yet"},
		{"K2HR3 is not there", applied, func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut}) }, 0, "EOF"},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.before(h)
			tt.set(h)
			before, looks := tree(t, h.dir), len(h.chmpx.lookedAt())
			b, err := h.make().Preview(t.Context())
			if got := revisionOf(string(b)); got != tt.want {
				t.Errorf("it shows revision %d, want %d", got, tt.want)
			}
			if (err != nil) != (tt.wantErr != "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("got %v, want %q", err, tt.wantErr)
			}
			if d := cmp.Diff(before, tree(t, h.dir)); d != "" {
				t.Errorf("files have changed: %s", d)
			}
			for _, r := range h.api.Requests() {
				if r.Method != "GET" {
					t.Errorf("%v", r)
				}
			}
			if n := len(h.chmpx.lookedAt()) - looks; n != 0 {
				t.Errorf("%d looks: each may write the probe file", n)
			}
		})
	}
}
