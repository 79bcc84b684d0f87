package k2hr3

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// server is a K2HR3 whose manners change.
type server struct {
	silent  bool
	status  int
	applied string
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	return fake(s.answer).RoundTrip(r)
}

func (s *server) answer(r *http.Request) (*http.Response, error) {
	if s.silent {
		return silence(r)
	}
	return response(s.status, `{"result":true,"resource":"x"}`, "Preference-Applied", s.applied), nil
}

// TestHowLongASilenceMayLast goes through what a client can learn of a server,
// step by step; after each step the server falls silent, on another client that
// has learnt the same.
func TestHowLongASilenceMayLast(t *testing.T) {
	const timeout, wait = 20 * time.Second, 55 * time.Second
	var (
		unchanged  = server{status: 304}
		changed    = server{status: 200}
		held       = server{status: 304, applied: "wait=55"}
		heldChange = server{status: 200, applied: "wait=55"}
		gateway    = server{status: 502}
		unknown    = server{status: 401}
		silent     = server{silent: true}
	)
	for name, tt := range map[string]struct {
		learnt []server
		etag   string
		want   time.Duration
	}{
		"nothing is known":                   {nil, etag, wait + timeout},
		"it answered at once":                {[]server{unchanged}, etag, timeout},
		"it answered at once with a change":  {[]server{changed}, etag, timeout},
		"it holds":                           {[]server{held}, etag, wait + timeout},
		"it holds until a change":            {[]server{heldChange}, etag, wait + timeout},
		"it held once, and no more":          {[]server{held, unchanged}, etag, timeout},
		"it has learnt to hold":              {[]server{unchanged, held}, etag, wait + timeout},
		"it fell silent before":              {[]server{unchanged, silent}, etag, wait + timeout},
		"it came back as it was":             {[]server{unchanged, silent, unchanged}, etag, timeout},
		"a gateway answered":                 {[]server{gateway}, etag, wait + timeout},
		"a gateway answered in between":      {[]server{unchanged, gateway}, etag, timeout},
		"the token was refused":              {[]server{unknown}, etag, wait + timeout},
		"it had nothing to compare with yet": {[]server{changed}, "", wait + timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				c := newClient(t, Config{Transport: s, Timeout: timeout})
				q := Query{Resource: role.Resource(), Token: newToken(t), ETag: tt.etag, Wait: wait}
				for _, *s = range tt.learnt {
					_, _ = c.Resource(t.Context(), q)
				}
				*s = silent
				start := time.Now()
				_, err := c.Resource(t.Context(), q)
				var e *Error
				if !errors.As(err, &e) || e.Kind != ErrTransport || !e.Timeout() {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("gave up after %v, want %v", took, tt.want)
				}
			})
		})
	}
}

func TestEndOfTheCallersContextTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{status: 304}
		c := newClient(t, Config{Transport: s, Timeout: 20 * time.Second})
		q := Query{Resource: role.Resource(), Token: newToken(t), ETag: etag, Wait: time.Minute}
		if _, err := c.Resource(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		s.silent = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Resource(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		start := time.Now()
		_, _ = c.Resource(t.Context(), q)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}
