package watcher

import (
	"flag"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

// years is half of one, which takes some six seconds; -years 10 is for now and then, and
// takes two minutes.
var years = flag.Float64("years", 0.5, "virtual years that TestYears lasts")

const (
	day = 24 * time.Hour

	// Ten years at the agent's default rhythm are three million exchanges and 160
	// million looks at chmpx, which take a quarter of an hour. The interval is
	// longer here, and so are the pauses between looks at chmpx; the membership
	// and every pause after a failure have their usual rhythm.
	yearsInterval = time.Hour
	yearsPeek     = time.Hour

	// warmDays is how long it takes until everything has come up once.
	warmDays = 60

	outage = 3 * time.Hour
)

// TestYears has years go by in which tokens expire every day, K2HR3's store fails
// for hours every week, K2HR3 forgets the host every month, and servers come and
// go twice a week.
func TestYears(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	inBubble(t, func(t *testing.T, h *host) {
		h.log.least = slog.LevelInfo
		h.config.Interval, h.config.Peek = yearsInterval, yearsPeek
		every(direct(h.api))(h)
		h.applied()
		h.pass(6 * time.Hour)
		h.forget()
		before := measure()
		asked, allowed, registered := 0, 0, 0
		for n := range int(*years * 365) {
			switch n {
			case warmDays:
				before = measure()
			}
			allowed += h.oneDay(n)
			for _, r := range h.api.Requests() {
				asked++
				if r.Op == fakek2hr3.OpRegister && r.Status == http.StatusCreated {
					registered++
				}
			}
			h.turn()
			if t.Failed() {
				t.Fatalf("on day %d", n)
			}
		}
		t.Logf("%d requests, %d allowed, %d registrations", asked, allowed, registered)
		if asked > allowed || asked < int(*years*365*float64(day/schedule.CheckEvery)) {
			t.Errorf("%d requests, want %d at most, and one for each look for the membership at least", asked, allowed)
		}
		if months := int(*years * 365 / 30); registered < months || registered > months+1 {
			t.Errorf("%d registrations in %d months", registered, months)
		}
		after := measure()
		t.Logf("before %+v, after %+v", before, after)
		if after.goroutines > before.goroutines {
			t.Errorf("%d goroutines, %d at the beginning", after.goroutines, before.goroutines)
		}
		if after.heap > before.heap+leak() {
			t.Errorf("%d bytes in use, %d at the beginning", after.heap, before.heap)
		}
	})
}

// leak is what the heap may have grown by: the stand-in keeps a little of each
// token and registration, which is some 150 KiB a year.
func leak() uint64 { return 256<<10 + uint64(*years*(200<<10)) }

// oneDay passes, and returns how many requests it allows.
func (h *host) oneDay(n int) (allowed int) {
	h.t.Helper()
	// The interval and the looks for the membership, which come up to a tenth
	// earlier than planned.
	allowed = int(day/(yearsInterval*9/10)) + int(day/(schedule.CheckEvery*9/10)) + 2
	started := time.Now()

	h.pass(rand.N(time.Hour))
	h.setToken(h.cluster.RoleToken("slave", day-time.Hour)) // so it is expired for an hour
	h.send(AskNow)
	allowed += 2

	if n%7 == 3 {
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second})
		h.pass(outage)
		h.api.ClearFaults()
		// Two slow looks and five minutes at most between attempts, half of that
		// on average; and a read every half hour, by both rights, with a ping.
		allowed += int(outage/time.Minute) + 60
	}
	if n%30 == 29 {
		h.cluster.DropSlave(ownAddr, ownCUK)
		h.pass(30 * time.Minute) // schedule.CheckEvery, and three looks
		allowed += 30
	}
	if n%7 == 1 || n%7 == 5 {
		if server := 2 + n/7%5; n%7 == 1 {
			h.join(server)
		} else {
			h.leave(server)
		}
		allowed += 4
	}
	h.pass(time.Until(started.Add(day)))

	// A change of the day may not have been asked for yet: the stretched interval
	// is an hour.
	if n%7 != 1 && n%7 != 5 {
		h.matches(n)
	}
	return allowed
}

// matches fails unless the file and chmpx are what K2HR3 has.
func (h *host) matches(n int) {
	h.t.Helper()
	text := strings.ReplaceAll(h.cluster.Text(), "__SELF_INSTANCE_ID__", ownCUK)
	if got := h.file(); got != replaceStamp(text, h.revision()) {
		h.t.Errorf("day %d: the file is\n%s\nwant\n%s", n, got, text)
	}
	if string(h.chmpx.loadedFile()) != h.file() {
		h.t.Errorf("day %d: chmpx is not running the file", n)
	}
	if len(h.cluster.Slaves()) != 1 {
		h.t.Errorf("day %d: members: %+v", n, h.cluster.Slaves())
	}
}

// turn forgets what was logged, after a look for secrets in it.
func (h *host) turn() {
	h.check()
	h.forget()
	h.log.mu.Lock()
	h.log.lines, h.log.errs = nil, nil
	h.log.mu.Unlock()
	h.mu.Lock()
	h.secrets, h.staged = h.secrets[len(h.secrets)-1:], nil
	h.mu.Unlock()
	h.chmpx.mu.Lock()
	h.chmpx.looks = nil
	h.chmpx.mu.Unlock()
}

// direct has exchanges without a connection.
func direct(api http.Handler) meddler {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		r := req.Clone(req.Context())
		r.RemoteAddr = ownAddr + ":40000"
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, r)
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return rec.Result(), nil
	}
}

// use is what the process uses.
type use struct {
	goroutines int
	heap       uint64
}

func measure() use {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return use{runtime.NumGoroutine(), m.HeapAlloc}
}
