package k2hr3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachRequestIsObserved(t *testing.T) {
	takes := 300 * time.Millisecond
	after := func(resp *http.Response, err error) fake {
		return func(*http.Request) (*http.Response, error) {
			time.Sleep(takes)
			return resp, err
		}
	}
	tests := []struct {
		name   string
		answer fake
		want   []Asked
	}{
		{"a text", after(response(200, `{"result":true,"resource":"x"}`), nil), []Asked{{OutcomeOK, takes}}},
		{"nothing new", after(response(304, ""), nil), []Asked{{OutcomeNotModified, takes}}},
		{"held", after(response(304, "", "Preference-Applied", "wait=55"), nil), []Asked{{OutcomeNotModified, 0}}},
		{"no", after(response(403, "{}"), nil), []Asked{{OutcomeRefused, takes}}},
		{"elsewhere", after(response(302, ""), nil), []Asked{{OutcomeRefused, takes}}},
		{"busy", after(response(429, ""), nil), []Asked{{OutcomeServerError, takes}}},
		{"out of order", after(response(502, ""), nil), []Asked{{OutcomeServerError, takes}}},
		{"no answer", after(nil, io.ErrUnexpectedEOF), []Asked{{OutcomeNoAnswer, 0}}},
		{"silence", silence, []Asked{{OutcomeNoAnswer, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []Asked
				c := newClient(t, Config{Transport: tt.answer, Observe: func(a Asked) { got = append(got, a) }})
				_, _ = c.Resource(t.Context(), Query{Resource: role.Resource(), Role: role, CUK: cuk, ETag: etag, Wait: time.Minute})
				if len(got) != len(tt.want) || got[0] != tt.want[0] {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestTriesAndTheirEndAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := map[Outcome]int{}
		observe := func(a Asked) { count[a.Outcome]++ }
		c := newClient(t, Config{Transport: always(503, ""), Observe: observe})
		if err := c.Ping(t.Context()); err == nil {
			t.Error("no error")
		}
		if count[OutcomeServerError] != maxTries {
			t.Errorf("got %v", count)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c = newClient(t, Config{Observe: observe, Transport: fake(func(r *http.Request) (*http.Response, error) {
			cancel()
			return silence(r)
		})})
		if err := c.Ping(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if count[OutcomeGivenUp] != 1 {
			t.Errorf("got %v", count)
		}
		for o := range count {
			if !slices.Contains(Outcomes(), o) {
				t.Errorf("%s is not listed", o)
			}
		}
	})
}
