package watcher

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

// The ceiling, whatever K2HR3 answers and whoever asks: so many requests in ceilingSpan, and one
// replacement in leastReplacePause.
const (
	ceilingSpan = 10 * time.Second
	ceilingMost = 36
)

var histories = flag.Int("histories", 40, "random histories that TestTheCeiling tries")

// traffic is all that goes to K2HR3, also what never arrives there.
type traffic struct {
	mu     sync.Mutex
	began  []begun
	rand   *rand.Rand
	meddle meddler // nil: nobody is in the way
}

// begun is a request that began.
type begun struct {
	at   time.Time
	read bool // of the RESOURCE
}

func reads(req *http.Request) bool { return strings.HasPrefix(req.URL.Path, "/v1/resource/") }

// watchTraffic puts a traffic between the host and K2HR3.
func (h *host) watchTraffic(r *rand.Rand) *traffic {
	w := &traffic{rand: r}
	every(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		w.mu.Lock()
		w.began = append(w.began, begun{time.Now(), reads(req)})
		m := w.meddle
		w.mu.Unlock()
		if m == nil {
			return next.RoundTrip(req)
		}
		return m(req, next)
	})(h)
	return w
}

func (w *traffic) set(m meddler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meddle = m
}

// since are the requests that began since then.
func (w *traffic) since(then time.Time) []begun {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.began), func(b begun) bool { return b.at.Before(then) })
}

// readSince reports whether a request for the RESOURCE has begun since.
func (w *traffic) readSince(then time.Time) bool {
	return slices.ContainsFunc(w.since(then), func(b begun) bool { return b.read })
}

// checkCeiling looks at everything that was sent, and at every replacement.
func (h *host) checkCeiling(w *traffic) {
	h.t.Helper()
	h.checkArrivals()
	var began []time.Time
	for _, b := range w.since(time.Time{}) {
		began = append(began, b.at)
	}
	h.checkMoments("begin", began)
	h.checkPace()
}

// checkArrivals looks at what K2HR3 has got since the last forget.
func (h *host) checkArrivals() {
	h.t.Helper()
	var at []time.Time
	for _, r := range h.api.Requests() {
		at = append(at, r.Start)
	}
	h.checkMoments("arrive", at)
}

func (h *host) checkMoments(what string, at []time.Time) {
	h.t.Helper()
	slices.SortFunc(at, time.Time.Compare)
	for i := ceilingMost; i < len(at); i++ {
		if took := at[i].Sub(at[i-ceilingMost]); took <= ceilingSpan {
			h.t.Errorf("%d requests %s within %v, from %v on", ceilingMost+1, what, took, at[i-ceilingMost])
			return
		}
	}
}

// checkPace looks at every replacement.
func (h *host) checkPace() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := 1; i < len(h.replaced); i++ {
		if gap := h.replaced[i].Sub(h.replaced[i-1]); gap < leastReplacePause {
			h.t.Errorf("slave.ini was replaced twice within %v", gap)
		}
	}
}

// replica is another K2HR3 behind the same address. It is behind: it lacks whatever comes later.
func (h *host) replica() *fakek2hr3.Server {
	stale := fakek2hr3.New()
	cluster := stale.AddCluster("shop", "orders")
	cluster.Join(serverAddr(1), serverCUK(1), serverName(1))
	cluster.AddSlave(ownAddr, ownCUK, ownAddr)
	return stale
}

// alternating has every second request to read answered by another K2HR3.
func alternating(other *fakek2hr3.Server) meddler {
	var n atomic.Int32
	there := direct(other)
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if reads(req) && n.Add(1)%2 == 0 {
			return there(req, next)
		}
		return next.RoundTrip(req)
	}
}

// signals sends many signals over a time, and returns when the last one was sent.
func (h *host) signals(n int, over time.Duration) (last time.Time) {
	for range n {
		h.send(AskNow)
		last = time.Now()
		time.Sleep(over / time.Duration(n))
	}
	synctest.Wait()
	return last
}

func TestFiveThousandSignals(t *testing.T) {
	const alone = 10 * time.Minute
	for name, tt := range map[string]struct {
		strike func(h *host)
		most   int           // requests while the signals come
		within time.Duration // one begins after the last signal
	}{
		"all is well":         {func(*host) {}, ceilingMost, 2 * time.Second},
		"requests are held":   {func(h *host) { h.api.Hold(time.Minute); h.pass(6 * time.Minute) }, ceilingMost, 2 * time.Second},
		"K2HR3 is slow":       {on(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 3 * time.Second}), ceilingMost, 15 * time.Second},
		"the store is down":   {on(fakek2hr3.Fault{Name: fakek2hr3.BackendDown}), ceilingMost, 5 * time.Second},
		"connections are cut": {on(fakek2hr3.Fault{Name: fakek2hr3.Cut}), ceilingMost, 5 * time.Second},
		"503":                 {on(fakek2hr3.Fault{Name: fakek2hr3.Unavailable}), ceilingMost, 5 * time.Second},
		"K2HR3 wants to be left alone": {func(h *host) {
			on(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "600"})(h)
			h.send(AskNow)
			h.pass(2 * time.Second)
			h.api.ClearFaults()
		}, 0, alone},
		"its membership check wants to be left alone": {func(h *host) {
			on(fakek2hr3.Fault{Name: fakek2hr3.BadGateway, RetryAfter: "600"}, fakek2hr3.OpProbe)(h)
			h.send(AskNow)
			h.pass(2 * time.Second)
			h.api.ClearFaults()
		}, 0, alone},
	} {
		onHost(t, strings.ReplaceAll(name, " ", "-"), func(t *testing.T, h *host) {
			w := h.watchTraffic(nil)
			h.applied()
			tt.strike(h)
			start := time.Now()
			last := h.signals(5000, 9*time.Second)
			if n := len(w.since(start)); n > tt.most {
				t.Errorf("%d requests in 9 s, want %d at most", n, tt.most)
			}
			h.pass(tt.within)
			if !w.readSince(last) {
				t.Errorf("within %v no request for the RESOURCE has begun since the last signal", tt.within)
			}
			h.pass(alone)
			h.checkCeiling(w)
		})
	}
}

// happening is one thing that may happen in a history.
type happening struct {
	name string
	do   func(h *host, w *traffic)
}

func happenings() []happening {
	fault := func(h *host, w *traffic) {
		names := fakek2hr3.FaultNames()
		f := fakek2hr3.Fault{
			Name: names[w.rand.IntN(len(names))], Next: w.rand.IntN(6), Body: "{}", Location: "http://x.example/",
			RetryAfter: []string{"", "1", "20", "40", "600", "3600"}[w.rand.IntN(6)],
			Delay:      time.Duration(w.rand.Int64N(int64(3 * time.Second))),
		}
		for _, op := range []fakek2hr3.Op{fakek2hr3.OpResource, fakek2hr3.OpProbe, fakek2hr3.OpRegister, fakek2hr3.OpRoot} {
			if w.rand.IntN(3) == 0 {
				f.On = append(f.On, op)
			}
		}
		h.api.Fault(f)
	}
	server := func(w *traffic) int { return 2 + w.rand.IntN(3) }
	return []happening{
		{"a fault", fault},
		{"another fault", fault},
		{"the faults are over", func(h *host, w *traffic) { h.api.ClearFaults(); w.set(nil) }},
		{"K2HR3 holds requests", func(h *host, _ *traffic) { h.api.Hold(time.Minute) }},
		{"K2HR3 holds none", func(h *host, _ *traffic) { h.api.Hold(0) }},
		{"replicas disagree", func(h *host, w *traffic) {
			stale := h.replica()
			stale.Hold(time.Duration(w.rand.IntN(2)) * time.Minute)
			w.set(alternating(stale))
		}},
		{"answers are late", func(_ *host, w *traffic) { w.set(late(time.Duration(w.rand.Int64N(int64(20 * time.Second))))) }},
		{"every second exchange fails", func(_ *host, w *traffic) { w.set(everySecond()) }},
		{"nothing listens", func(_ *host, w *traffic) { w.set(refused(errors.New("connect: connection refused"))) }},
		{"a signal", func(h *host, _ *traffic) { h.send(AskNow) }},
		{"many signals", func(h *host, w *traffic) {
			h.signals(1+w.rand.IntN(400), time.Duration(w.rand.Int64N(int64(3*time.Second))))
		}},
		{"the file is touched", func(h *host, _ *traffic) { h.send(OutputTouched) }},
		{"the file is edited", func(h *host, _ *traffic) {
			if text := h.file(); text != "" {
				h.edit(overwrite(text + "# edited\n"))
			}
		}},
		{"a server joins", func(h *host, w *traffic) { h.join(server(w)) }},
		{"a server leaves", func(h *host, w *traffic) { h.leave(server(w)) }},
		{"the ring changes", func(h *host, w *traffic) { h.chmpx.setRing(1, server(w)) }},
		{"the clock jumps", func(h *host, w *traffic) {
			h.offset.Store(w.rand.Int64N(int64(48*time.Hour)) - int64(24*time.Hour))
		}},
		{"K2HR3 forgets the host", func(h *host, _ *traffic) { h.cluster.DropSlave(ownAddr, ownCUK) }},
		{"the token is revoked", func(h *host, _ *traffic) { h.cluster.Revoke(h.token) }},
		{"a new token", func(h *host, _ *traffic) { h.setToken(h.cluster.RoleToken("slave", 0)) }},
	}
}

// history is one, which ends with everything in order.
func (h *host) history(seed uint64) {
	w := h.watchTraffic(rand.New(rand.NewPCG(seed, 13)))
	h.ownClock()
	h.applied()
	all := happenings()
	var told []string
	for range 60 {
		next := all[w.rand.IntN(len(all))]
		told = append(told, fmt.Sprintf("%s %s", time.Now().Format("15:04:05.000"), next.name))
		next.do(h, w)
		pause := time.Duration(w.rand.Int64N(int64(8 * time.Second)))
		if w.rand.IntN(10) == 0 {
			pause *= 10
		}
		h.pass(pause)
	}
	h.api.ClearFaults()
	w.set(nil)
	h.setToken(h.cluster.RoleToken("slave", 0))
	h.join(2)
	last := h.signals(50, time.Second)
	// What is under way still may be told, late, to leave K2HR3 alone.
	h.pass(k2hr3.DefaultTimeout + k2hr3.MaxRetryAfter)
	if !w.readSince(last) {
		h.t.Error("no request for the RESOURCE has begun since the last signal")
	}
	h.pass(schedule.LongestCheckPause + 2*time.Minute)
	h.right("at the end")
	h.checkCeiling(w)
	if h.t.Failed() {
		h.t.Logf("history %d:\n%s", seed, strings.Join(told, "\n"))
	}
}

func TestTheCeiling(t *testing.T) {
	for n := range *histories {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(_ *testing.T, h *host) { h.history(uint64(n)) })
		})
	}
}
