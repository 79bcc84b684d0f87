package fakek2hr3

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// holding is a server in a bubble with one slave registered, and what it needs
// to ask it.
type holding struct {
	t      *testing.T
	s      *Server
	c      *Cluster
	client *http.Client
	token  string
	tag    string // of the resource as it is
}

// inBubble runs f against a holding server inside a synctest bubble.
func inBubble(t *testing.T, hold time.Duration, f func(h *holding)) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		n := Listen(s)
		defer n.Close()
		c := s.AddCluster("shop", "orders")
		c.Join("10.20.0.11", "srv-1", "srv-1.shop.example")
		c.AddSlave("10.20.0.21", "app-1", "app-1.shop.example")
		s.Hold(hold)
		h := &holding{t: t, s: s, c: c, client: n.Client("10.20.0.21"), token: c.RoleToken("slave", 0)}
		h.tag = h.get(t.Context(), "").tag
		f(h)
	})
}

type held struct {
	status       int
	tag, applied string
	after        time.Duration
	err          error
}

// get asks for the resource, with If-None-Match, and Prefer if wait is given.
func (h *holding) get(ctx context.Context, prefer string) held {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://k2hr3/v1/resource/"+h.c.SlaveResource(), nil)
	if err != nil {
		h.t.Error(err)
		return held{err: err}
	}
	req.Header.Set("X-Auth-Token", "R="+h.token)
	if h.tag != "" {
		req.Header.Set("If-None-Match", h.tag)
	}
	if prefer != "" {
		req.Header.Set("Prefer", prefer)
	}
	start := time.Now()
	res, err := h.client.Do(req)
	if err != nil {
		return held{err: err, after: time.Since(start)}
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return held{res.StatusCode, res.Header.Get("ETag"), res.Header.Get("Preference-Applied"), time.Since(start), err}
}

func TestAServerThatDoesNotHoldAnswersAtOnceAndSaysNothing(t *testing.T) {
	inBubble(t, 0, func(h *holding) {
		if got := h.get(h.t.Context(), "wait=55"); got.status != 304 || got.applied != "" || got.after != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHeldRequestEndsUnchangedAfterTheShorterTime(t *testing.T) {
	for _, tt := range []struct {
		prefer  string
		hold    time.Duration
		after   time.Duration
		applied string
	}{
		{"wait=55", 10 * time.Minute, 55 * time.Second, "wait=55"},
		{"wait=55", 30 * time.Second, 30 * time.Second, "wait=30"},
		{"respond-async, wait=20; x=y", time.Minute, 20 * time.Second, "wait=20"},
		{"wait=0", time.Minute, 0, ""},
		{"wait=soon", time.Minute, 0, ""},
		{"", time.Minute, 0, ""},
	} {
		t.Run(tt.prefer, func(t *testing.T) {
			inBubble(t, tt.hold, func(h *holding) {
				got := h.get(h.t.Context(), tt.prefer)
				if got.status != 304 || got.applied != tt.applied || got.after != tt.after || got.tag != h.tag {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestAnAnswerThatIsNewIsNotHeldAndStillNamesThePreference(t *testing.T) {
	inBubble(t, time.Minute, func(h *holding) {
		h.tag = `W/"0-old"`
		if got := h.get(h.t.Context(), "wait=55"); got.status != 200 || got.applied != "wait=55" || got.after != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHeldRequestAnswersWhateverChangesIt(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(h *holding)
		status int
	}{
		"a server joins":            {func(h *holding) { h.c.Join("10.20.0.12", "srv-2", "srv-2.shop.example") }, 200},
		"a server leaves":           {func(h *holding) { h.c.Leave("10.20.0.11", "srv-1") }, 200},
		"another slave registers":   {func(h *holding) { h.c.AddSlave("10.20.0.22", "app-2", "app-2.shop.example") }, 200},
		"the slave is dropped":      {func(h *holding) { h.c.DropSlave("10.20.0.21", "app-1") }, 200},
		"the text is set":           {func(h *holding) { h.c.SetText("[GLOBAL]\n") }, 200},
		"a fault empties it":        {func(h *holding) { h.s.Fault(Fault{Name: EmptyText}) }, 200},
		"the token is revoked":      {func(h *holding) { h.c.Revoke(h.token) }, 401},
		"the store goes away":       {func(h *holding) { h.s.Fault(Fault{Name: BackendDown, On: []Op{OpResource}, Next: 1}) }, 401},
		"the policy is deleted":     {func(h *holding) { h.c.SetPolicy(false) }, 404},
		"holding is switched off":   {func(h *holding) { h.s.Hold(0) }, 304},
		"the role is made anew":     {func(h *holding) { h.c.SetRole(true) }, 401},
		"the resource disappears":   {func(h *holding) { h.c.SetResource(false) }, 404},
		"a rejoin gap, seen by one": {func(h *holding) { h.s.Fault(Fault{Name: RejoinGap, CUK: "srv-1", Next: 1}) }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, time.Minute, func(h *holding) {
				done := make(chan held)
				go func() { done <- h.get(h.t.Context(), "wait=55") }()
				time.Sleep(7 * time.Second)
				synctest.Wait()
				if n := h.s.Held(); n != 1 {
					t.Errorf("%d requests are held, want 1", n)
				}
				tt.change(h)
				if got := <-done; got.status != tt.status || got.after != 7*time.Second {
					t.Errorf("got %+v, want %d after 7 s", got, tt.status)
				}
				if n := h.s.Held(); n != 0 {
					t.Errorf("%d requests are still held", n)
				}
			})
		})
	}
}

func TestHeldRequestSleepsThroughWhatDoesNotChangeItsText(t *testing.T) {
	inBubble(t, time.Minute, func(h *holding) {
		done := make(chan held)
		go func() { done <- h.get(h.t.Context(), "wait=30") }()
		time.Sleep(5 * time.Second)
		h.c.Join("10.20.0.11", "srv-1", "srv-1.shop.example") // again, the same
		h.s.AddCluster("shop", "returns").Join("10.20.0.51", "other", "other.shop.example")
		if got := <-done; got.status != 304 || got.after != 30*time.Second {
			t.Errorf("got %+v, want 304 after 30 s", got)
		}
	})
}

func TestHeldRequestEndsWithItsClient(t *testing.T) {
	inBubble(t, time.Minute, func(h *holding) {
		ctx, cancel := context.WithTimeout(h.t.Context(), 3*time.Second)
		defer cancel()
		if got := h.get(ctx, "wait=55"); got.err == nil {
			t.Errorf("got %+v", got)
		}
		synctest.Wait()
		if n := h.s.Held(); n != 0 {
			t.Errorf("%d requests are still held", n)
		}
		log := h.s.Requests()
		if last := log[len(log)-1]; last.Status != 0 || last.Prefer != "wait=55" || last.IfNoneMatch != h.tag || last.Held != 3*time.Second {
			t.Errorf("logged %+v", last)
		}
	})
}
