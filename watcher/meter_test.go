package watcher

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// counts are what a host's watcher has counted.
type counts struct {
	mu                 sync.Mutex
	refused            map[string]int
	replaced, restarts int
	confirmed          []time.Duration
}

func (c *counts) count(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *counts) Refused(verdict string) {
	c.count(func() {
		if c.refused == nil {
			c.refused = map[string]int{}
		}
		c.refused[verdict]++
	})
}
func (c *counts) Replaced()  { c.count(func() { c.replaced++ }) }
func (c *counts) Restarted() { c.count(func() { c.restarts++ }) }
func (c *counts) Confirmed(after time.Duration) {
	c.count(func() { c.confirmed = append(c.confirmed, after) })
}

func TestReplacementsAndConfirmationsAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied() // chmpx takes it when it starts
		h.pass(time.Minute)
		if h.meter.replaced != 1 || len(h.meter.confirmed) != 1 {
			t.Fatalf("%d replacements, confirmed after %v", h.meter.replaced, h.meter.confirmed)
		}
		h.chmpx.set(func(c *fakeChmpx) { c.lag = 20 * time.Second })
		h.change(2)
		h.pass(30 * time.Second)
		if n := len(h.meter.confirmed); n != 2 || h.meter.confirmed[1] < 20*time.Second || h.meter.confirmed[1] > 25*time.Second {
			t.Errorf("confirmed after %v", h.meter.confirmed)
		}
		h.pass(10 * time.Minute)
		if h.meter.replaced != 2 || len(h.meter.confirmed) != 2 {
			t.Errorf("%d replacements, confirmed after %v", h.meter.replaced, h.meter.confirmed)
		}

		h.chmpx.set(func(c *fakeChmpx) { c.lag, c.skip = 0, 1 })
		h.change(3)
		h.pass(2 * time.Minute)
		if n := len(h.meter.confirmed); h.meter.replaced != 4 || n != 3 || h.meter.confirmed[2] < h.config.Confirm {
			t.Errorf("put in place twice: %d replacements, confirmed after %v", h.meter.replaced, h.meter.confirmed)
		}
	})
}

// A text that K2HR3 has for an hour was refused once.
func TestRefusedTextsAreCountedByVerdict(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.blind = true
		h.api.Hold(0)
		h.applied()
		good := h.cluster.Text()
		before, _, _ := strings.Cut(good, "[SVRNODE]")
		_, after, _ := strings.Cut(good, "[SLVNODE]")
		for _, text := range []string{
			strings.Replace(good, "= SLAVE", "= SLAVES", 1),
			strings.Replace(good, "MAXCHMPX            = 256", "MAXCHMPX = 1", 1),
			before + "[SLVNODE]" + after,
			good,
			strings.Replace(good, "= SLAVE", "= SLAVES", 1),
		} {
			h.cluster.SetText(text)
			h.pass(time.Hour)
		}
		if diff := cmp.Diff(map[string]int{"reject": 2, "dangerous": 1, "no_server": 1}, h.meter.refused); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if h.meter.replaced != 1 {
			t.Errorf("%d replacements", h.meter.replaced)
		}
	})
}
