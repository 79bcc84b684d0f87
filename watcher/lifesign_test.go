package watcher

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// watchdog is what a service manager makes of the signs of life: it ends an
// agent that gives none for limit.
type watchdog struct {
	limit time.Duration

	mu    sync.Mutex
	last  time.Time
	signs int
	gap   time.Duration // the longest so far
}

// watched gives the watchers that the host starts from now on a watchdog.
func (h *host) watched() *watchdog {
	h.dog = &watchdog{limit: 3 * time.Minute}
	return h.dog
}

// start begins to wait for signs.
func (d *watchdog) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = time.Now()
}

func (d *watchdog) fed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gap = max(d.gap, time.Since(d.last))
	d.last = time.Now()
	d.signs++
}

// count returns how many signs there were so far.
func (d *watchdog) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.signs
}

// bites reports whether the agent has been ended.
func (d *watchdog) bites() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return max(d.gap, time.Since(d.last)) >= d.limit
}

// quiet fails the test if the agent would have been ended.
func (d *watchdog) quiet(t *testing.T) {
	t.Helper()
	if d.bites() {
		t.Errorf("the watchdog would have ended the agent: the longest pause was %v, the last sign is %v old", d.gap, time.Since(d.last))
	}
}

func TestSignsOfLifeWhileAllIsWell(t *testing.T) {
	for name, hold := range map[string]time.Duration{"K2HR3 does not hold requests": 0, "K2HR3 holds them for long": 10 * time.Minute} {
		onHost(t, name, func(t *testing.T, h *host) {
			d := h.watched()
			h.api.Hold(hold)
			h.config.Wait = 10 * time.Minute
			h.start()
			if d.count() != 1 {
				t.Errorf("%d signs at the beginning, want one", d.count())
			}
			h.pass(time.Hour)
			if hold > 0 && h.api.Held() != 1 {
				t.Error("no request is being held")
			}
			before := d.count()
			h.pass(6 * time.Hour)
			if n := d.count() - before; n != 360 {
				t.Errorf("%d signs in six hours, want one a minute", n)
			}
			d.quiet(t)
		})
	}
}

// What takes its time, but comes to an end, is no reason to be ended.
func TestSignsOfLifeWhileEverythingIsSlow(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		d := h.watched()
		h.unit = &fakeUnit{state: daemon.UnitState{LoadState: "loaded", ActiveState: "active", CanReload: true}, lasts: 2 * time.Minute}
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.hangs = true })
		every(late(19 * time.Second))(h)
		for n := range 6 {
			h.join(2 + n)
			h.pass(10 * time.Minute)
		}
		h.cluster.DropSlave(ownAddr, ownCUK)
		on(fakek2hr3.Fault{Name: fakek2hr3.BackendDown})(h)
		h.pass(time.Hour)
		h.api.ClearFaults()
		unmeddled(h)
		on(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "30"})(h)
		h.pass(time.Hour)
		d.quiet(t)
		h.log.want(t, 0, "is stuck")
	})
}

func TestNoSignOfLifeFromALoopThatStandsStill(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		d := h.watched()
		h.applied()
		release := make(chan struct{})
		h.object(func(context.Context) error { <-release; return nil })
		h.join(2)
		h.pass(10 * time.Minute) // within which it asks
		before := d.count()
		h.pass(10 * time.Minute)
		if n := d.count() - before; n != 0 || !d.bites() {
			t.Errorf("%d signs of a loop that stands still", n)
		}
		close(release)
		h.pass(time.Minute)
		if d.count() == before {
			t.Error("no sign since it goes on")
		}
	})
}

// hang keeps exchanges back for as long as the test wants, whatever their limits
// are.
func hang(release <-chan struct{}) meddler {
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		<-release
		return next.RoundTrip(req)
	}
}

func TestNoSignOfLifeWhileSomethingIsStuck(t *testing.T) {
	for name, c := range map[string]struct {
		stick  func(h *host, release chan struct{})
		what   string
		within time.Duration // of the beginning
	}{
		"the request to K2HR3": {func(h *host, release chan struct{}) {
			every(hang(release))(h)
			h.send(AskNow)
		}, "the request to K2HR3", 15 * time.Minute},
		"a request that is held": {func(h *host, release chan struct{}) {
			h.api.Hold(time.Minute)
			every(hang(release))(h)
		}, "the request to K2HR3", 20 * time.Minute},
		"the membership": {func(h *host, release chan struct{}) {
			every(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if req.Method == http.MethodHead {
					<-release
				}
				return next.RoundTrip(req)
			})(h)
			h.send(AskNow)
		}, "the check of the membership", 40 * time.Minute},
		"the look at chmpx": {func(h *host, release chan struct{}) {
			h.chmpx.set(func(c *fakeChmpx) { c.stuck = release })
		}, "the probe of chmpx", 3 * time.Minute},
		"chmpx's unit": {func(h *host, release chan struct{}) {
			h.unit.set(func(u *fakeUnit) { u.stuck = release })
			h.join(2)
			h.send(AskNow)
		}, "the job of chmpx's unit", 7 * time.Minute},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			d := h.watched()
			h.unit = &fakeUnit{state: daemon.UnitState{LoadState: "loaded", ActiveState: "active", CanReload: true}}
			h.applied()
			release := make(chan struct{})
			c.stick(h, release)
			h.pass(2 * time.Minute)
			d.quiet(t) // it may just be slow
			h.pass(c.within + d.limit)
			before := d.count()
			h.pass(10 * time.Minute)
			if n := d.count() - before; n != 0 || !d.bites() {
				t.Errorf("%d signs", n)
			}
			h.log.want(t, 1, "ERROR", "is stuck", c.what)
			close(release)
			h.pass(2 * time.Minute)
			if d.count() == before {
				t.Error("no sign since it has come to its end")
			}
		})
	}
}
