package k2hr3

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The promise, which the limiter keeps with room for what is still connecting.
const (
	window    = 10 * time.Second
	mostBegin = 34
)

// bounded fails the test if more than most of the times are within window.
func bounded(t *testing.T, at []time.Time, most int) {
	t.Helper()
	slices.SortFunc(at, time.Time.Compare)
	for i := range at {
		if i >= most && at[i].Sub(at[i-most]) <= window {
			t.Fatalf("%d requests within %v", most+1, at[i].Sub(at[i-most]))
		}
	}
}

func TestAllRequestsOfAllClientsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limiter Limiter
		var mu sync.Mutex
		var at []time.Time
		count := fake(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			switch rand.N(5) {
			case 0:
				return nil, refused
			case 1:
				return response(503, ""), nil
			case 2:
				return response(200, "<p>"), nil
			}
			return response(401, ""), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var workers sync.WaitGroup
		for range 4 {
			c := newClient(t, Config{Transport: count, Limiter: &limiter})
			for _, op := range operations(c, newToken(t)) {
				workers.Go(func() {
					for ctx.Err() == nil {
						_ = op(ctx)
						if rand.N(100) == 0 {
							select {
							case <-time.After(rand.N(20 * time.Second)):
							case <-ctx.Done():
							}
						}
					}
				})
			}
		}
		workers.Wait()
		bounded(t, at, mostBegin)
		if len(at) < 500 {
			t.Errorf("%d requests in five minutes: nobody gets a turn", len(at))
		}
	})
}

// Whoever gives up leaves the queue, and takes nobody's turn away.
func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []fake{always(204, "")}}
		c := newClient(t, Config{Transport: s})
		for range burst {
			_, _, _ = c.IsMember(t.Context(), role, cuk)
		}
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, _, err := c.IsMember(ctx, role, cuk); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		if len(s.at) != burst {
			t.Errorf("%d requests, want %d", len(s.at), burst)
		}
		start := time.Now()
		if _, _, err := c.IsMember(t.Context(), role, cuk); err != nil || time.Since(start) > turn {
			t.Errorf("%v, after %v", err, time.Since(start))
		}
	})
}

func TestTheWaitForATurnIsNeitherOursNorK2HR3s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Transport: slowly(900*time.Millisecond, 204), Timeout: time.Second})
		var all sync.WaitGroup
		for range burst + 10 {
			all.Go(func() {
				if _, _, err := c.IsMember(t.Context(), role, cuk); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.cluster.AddSlave(vm, ownCUK, host.Tag)
		var all sync.WaitGroup
		for range burst + 10 {
			all.Go(func() {
				got, err := s.client.Resource(t.Context(), s.byAddress())
				if err != nil || got.Took != 0 {
					t.Errorf("K2HR3 took %v, %v", got.Took, err)
				}
			})
		}
		all.Wait()
	})
}

func TestAServerThatWantsToBeLeftAloneIsByEveryClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limiter Limiter
		s := &script{steps: []fake{always(503, "", "Retry-After", "600"), always(204, "")}}
		first := newClient(t, Config{Transport: s, Limiter: &limiter})
		second := newClient(t, Config{Transport: s, Limiter: &limiter})
		_ = first.Ping(t.Context())
		until := time.Now().Add(10 * time.Minute).Format(time.TimeOnly)
		time.Sleep(time.Minute)
		for name, op := range operations(second, newToken(t)) {
			var e *Error
			err := op(t.Context())
			if !errors.As(err, &e) || e.Kind != ErrServer || e.RetryAfter != 9*time.Minute || e.Status != 0 ||
				!strings.Contains(err.Error(), "left alone until "+until) {
				t.Errorf("%s: %v", name, err)
			}
		}
		other := newClient(t, Config{API: must(ParseAPI("http://other.example")), Transport: always(204, ""), Limiter: &limiter})
		if _, _, err := other.IsMember(t.Context(), role, cuk); err != nil {
			t.Errorf("another server: %v", err)
		}
		if len(s.at) != 1 {
			t.Errorf("%d requests", len(s.at))
		}
		time.Sleep(9 * time.Minute)
		if _, _, err := first.IsMember(t.Context(), role, cuk); err != nil {
			t.Error(err)
		}
	})
}

// A shorter wish, or none, takes nothing back.
func TestTheLongestWishToBeLeftAloneCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		l.leaveAlone("a", time.Minute)
		l.leaveAlone("a", time.Second)
		time.Sleep(30 * time.Second)
		var alone aloneError
		if err := l.wait(t.Context(), "a"); !errors.As(err, &alone) || time.Until(alone.until) != 30*time.Second {
			t.Error(err)
		}
		if err := l.wait(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		time.Sleep(30 * time.Second)
		if err := l.wait(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
}
