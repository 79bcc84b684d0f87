package k2hr3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// script answers the nth request with its nth entry, and the last one for ever.
type script struct {
	steps []fake
	at    []time.Time
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.at = append(s.at, time.Now())
	return s.steps[min(len(s.at), len(s.steps))-1].RoundTrip(req)
}

func failing(err error) fake {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

var (
	refused  = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	dialSlow = tooLate()
	noName   = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "k2hr3.example", IsNotFound: true}}
	badCA    = &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
)

// tooLate is what dialling returns when its time is over.
func tooLate() error {
	ctx, cancel := context.WithTimeout(context.Background(), -1)
	defer cancel()
	_, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:1")
	return err
}

func TestWhatIsTriedAgainAndHowOften(t *testing.T) {
	for name, tt := range map[string]struct {
		step  fake
		tries int
		kind  error
	}{
		"refused":                {failing(refused), 4, ErrTransport},
		"name unknown":           {failing(noName), 4, ErrTransport},
		"closed before answer":   {failing(io.EOF), 4, ErrTransport},
		"answer broke off":       {fake(broken(io.ErrUnexpectedEOF)), 4, ErrTransport},
		"502":                    {always(502, "<p>"), 4, ErrServer},
		"503":                    {always(503, "<p>"), 4, ErrServer},
		"504":                    {always(504, "<p>"), 4, ErrServer},
		"429":                    {always(429, ""), 4, ErrServer},
		"500":                    {always(500, fault("Internal server error")), 1, ErrServer},
		"501":                    {always(501, ""), 1, ErrServer},
		"400":                    {always(400, fault("no")), 1, ErrBadRequest},
		"401":                    {always(401, fault(tokenFault)), 1, ErrUnauthorized},
		"404":                    {always(404, fault("no")), 1, ErrNotFound},
		"302":                    {always(302, "", "Location", "http://elsewhere.example/"), 1, ErrAnswer},
		"compressed":             {always(418, "\x1f", "Content-Encoding", "br"), 1, ErrAnswer},
		"too large":              {fake(endless), 1, ErrTooLarge},
		"dialling timed out":     {failing(dialSlow), 1, ErrTransport},
		"certificate not signed": {failing(badCA), 1, ErrTransport},
	} {
		t.Run(name, func(t *testing.T) {
			for op := range retried(nil, Token{}) {
				synctest.Test(t, func(t *testing.T) {
					s := &script{steps: []fake{tt.step}}
					err := retried(newClient(t, Config{Transport: s}), newToken(t))[op](t.Context())
					if kindOf(t, err) != tt.kind || len(s.at) != tt.tries {
						t.Errorf("%s: %d tries, %v; want %d, %v", op, len(s.at), err, tt.tries, tt.kind)
					}
				})
			}
		})
	}
}

func TestReadingAResourceIsNotTriedAgain(t *testing.T) {
	for _, step := range []fake{failing(refused), always(503, ""), fake(broken(io.ErrUnexpectedEOF))} {
		s := &script{steps: []fake{step}}
		_, err := read(t, s, Query{})
		if err == nil || len(s.at) != 1 {
			t.Errorf("%d tries, %v", len(s.at), err)
		}
	}
}

func TestATryThatSucceedsEndsTheTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []fake{failing(refused), always(503, "<p>"), fake(broken(io.ErrUnexpectedEOF)), always(201, success)}}
		if err := newClient(t, Config{Transport: s}).Register(t.Context(), role, newToken(t), host); err != nil {
			t.Error(err)
		}
		if len(s.at) != 4 {
			t.Errorf("%d tries", len(s.at))
		}
	})
}

func TestTheLastTryDecidesTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []fake{failing(refused), always(503, ""), fake(broken(io.ErrUnexpectedEOF)), always(401, fault(tokenFault))}}
		err := newClient(t, Config{Transport: s}).Register(t.Context(), role, newToken(t), host)
		if kindOf(t, err) != ErrUnauthorized {
			t.Error(err)
		}
		s = &script{steps: []fake{always(503, ""), failing(refused)}}
		err = newClient(t, Config{Transport: s}).Register(t.Context(), role, newToken(t), host)
		var e *Error
		if kindOf(t, err) != ErrTransport || !errors.As(err, &e) || e.Status != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
	})
}

func TestWaitsBetweenTriesGrowAndAreRandom(t *testing.T) {
	longest := [maxTries - 1]time.Duration{}
	seen := map[time.Duration]bool{}
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []fake{failing(refused)}}
			_ = newClient(t, Config{Transport: s}).Ping(t.Context())
			for i := range longest {
				wait := s.at[i+1].Sub(s.at[i])
				longest[i] = max(longest[i], wait)
				seen[wait] = true
			}
		})
	}
	for i, got := range longest {
		limit := retryBase << i
		if got > limit || got < limit/2 {
			t.Errorf("longest of 200 waits after try %d: %v, want nearly %v", i+1, got, limit)
		}
	}
	if len(seen) < 500 {
		t.Errorf("600 waits took %d values", len(seen))
	}
}

func TestBackoffIsCapped(t *testing.T) {
	for attempt := range 80 {
		if got := backoff(retryBase, retryCap, attempt, nil); got < 0 || got > retryCap {
			t.Errorf("wait %v after try %d", got, attempt+1)
		}
	}
}

func TestRetryAfterIsRespectedUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for header, want := range map[string]time.Duration{
			"7":                        7 * time.Second,
			"30":                       30 * time.Second,
			"31":                       31 * time.Second,
			"0":                        0,
			"600":                      10 * time.Minute,
			"3600":                     MaxRetryAfter,
			"99999999999999999999":     MaxRetryAfter,
			"-5":                       0,
			"soon":                     0,
			"":                         0,
			"date 12s":                 12 * time.Second,
			"date 5m":                  5 * time.Minute,
			"date -1h":                 0,
			"date 1000000h":            MaxRetryAfter,
			"Wed, 99 Foo 1999 1:2:3 X": 0,
		} {
			for _, status := range []int{429, 502, 503, 504} {
				header, start := header, time.Now()
				if from, ok := strings.CutPrefix(header, "date "); ok {
					header = start.Add(must(time.ParseDuration(from))).UTC().Format(http.TimeFormat)
				}
				s := &script{steps: []fake{always(status, "", "Retry-After", header), always(204, "")}}
				c := newClient(t, Config{Transport: s})
				_, _, err := c.IsMember(t.Context(), role, cuk)
				if want > patience {
					want := want - time.Second // a date has no fractions of a second
					waitAsToldBy(t, err, want)
					_, _, err = c.IsMember(t.Context(), role, cuk)
				}
				if err != nil {
					t.Fatal(err)
				}
				wait := s.at[1].Sub(start)
				if wait < want-time.Second || wait > want+retryBase {
					t.Errorf("%d, Retry-After %q: waited %v, want %v", status, header, wait, want)
				}
			}
		}
	})
}

// waitAsToldBy waits for as long as an error says, which has to be least or a second more.
func waitAsToldBy(t *testing.T, err error, least time.Duration) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.RetryAfter < least || e.RetryAfter > least+time.Second {
		t.Fatalf("%+v, want it to be left alone for %v", err, least)
	}
	time.Sleep(e.RetryAfter)
}

func TestRetryAfterReachesTheCaller(t *testing.T) {
	for _, status := range []int{302, 400, 401, 403, 404, 429, 500, 501, 503, 511} {
		_, err := read(t, always(status, "", "Retry-After", "9"), Query{})
		var e *Error
		if !errors.As(err, &e) || e.RetryAfter != 9*time.Second {
			t.Errorf("%d: %v, %+v", status, err, e)
		}
	}
}

// Whatever its status is. What is no failure asks for nothing.
func TestNobodyAsksAServerBeforeItsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for status, alone := range map[int]bool{201: false, 204: false, 302: true, 400: true, 401: true, 403: true, 404: true, 500: true, 501: true, 511: true} {
			for op := range retried(nil, Token{}) {
				s := &script{steps: []fake{always(status, "", "Retry-After", "60"), always(204, "")}}
				c := newClient(t, Config{Transport: s})
				start := time.Now()
				_ = retried(c, newToken(t))[op](t.Context())
				for time.Since(start) < 59*time.Second {
					_, _, err := c.IsMember(t.Context(), role, cuk)
					var e *Error
					if errors.As(err, &e) != alone || alone && e.RetryAfter != 60*time.Second-time.Since(start) {
						t.Errorf("%d, %s: after %v: %v", status, op, time.Since(start), err)
					}
					time.Sleep(10 * time.Second)
				}
				if alone && len(s.at) != 1 {
					t.Errorf("%d, %s: %d requests", status, op, len(s.at))
				}
				if _, _, err := c.IsMember(t.Context(), role, cuk); err != nil {
					t.Errorf("%d, %s: after its time: %v", status, op, err)
				}
			}
		}
	})
}

// A gateway means a date by its own clock, which may be another than this host's.
func TestADateOfRetryAfterGoesByTheClockOfTheAnswer(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for _, off := range []time.Duration{-48 * time.Hour, -time.Minute, time.Minute, 48 * time.Hour} {
		for wait, want := range map[time.Duration]time.Duration{40 * time.Second: 40 * time.Second, -time.Second: 0, time.Hour: MaxRetryAfter} {
			header := http.Header{"Date": {at(off)}, "Retry-After": {at(off + wait)}}
			if got := retryAfter(503, header); (got - want).Abs() > time.Second {
				t.Errorf("a clock that is off by %v: left alone for %v, want %v", off, got, want)
			}
		}
	}
}

// Whoever waits for an exchange knows when it must be over.
func TestAnExchangeTakesNoLongerThanItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Transport: slowly(19*time.Second, 503, "Retry-After", "30")})
		for name, op := range retried(c, newToken(t)) {
			start := time.Now()
			err := op(t.Context())
			if took := time.Since(start); err == nil || took > c.Longest() {
				t.Errorf("%s: %v after %v, want %v at most", name, err, took, c.Longest())
			}
		}
	})
}

func TestEndOfTheContextEndsTheTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		s := &script{steps: []fake{always(503, "", "Retry-After", "20")}}
		c := newClient(t, Config{Transport: s, Logger: log.logger()})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		err := c.Register(ctx, role, newToken(t), host)
		if !errors.Is(err, context.Canceled) || kindOf(t, err) != nil || len(s.at) != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v and %d tries", err, time.Since(start), len(s.at))
		}
	})
}

func TestNothingIsLoggedAboveDebug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		for _, step := range []fake{failing(refused), failing(io.EOF), always(503, ""), always(401, ""), broken(io.ErrUnexpectedEOF), silence} {
			c := newClient(t, Config{Transport: step, Logger: log.logger()})
			for _, op := range operations(c, newToken(t)) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_ = op(ctx)
				cancel()
			}
		}
		if log.String() == "" {
			t.Error("nothing is logged at all")
		}
		for line := range strings.Lines(log.String()) {
			if !strings.Contains(line, "level=DEBUG") {
				t.Error(line)
			}
		}
	})
}

func TestNoTokenInAnyErrorOrLog(t *testing.T) {
	echo := fault(tokenFault + " R=" + secret)
	answers := []fake{failing(refused), failing(io.EOF), failing(badCA),
		failing(fmt.Errorf("net/http: malformed HTTP response %q", echo)),
		failing(fmt.Errorf("malformed MIME header line: %s", secret)),
		broken(fmt.Errorf("bad thing %q", secret)),
		func(*http.Request) (*http.Response, error) {
			resp := response(503, "")
			resp.Body = io.NopCloser(iotest.ErrReader(fmt.Errorf("bad thing %q", secret)))
			return resp, nil
		},
		always(200, echo+secret), always(200, secret), always(200, `{"result":true,"token":" `+secret+` x","resource":{"a":"`+secret+`"}}`),
		always(200, `{"result":`+quote(secret)+`}`), always(302, echo, "Location", "http://x.example/"+secret+"?R="+secret),
		always(302, echo, "Location", "http://R="+secret+"@x.example/"),
	}
	for _, status := range []int{200, 201, 204, 304, 400, 401, 403, 404, 429, 500, 502, 503, 504, 600} {
		answers = append(answers, always(status, echo, "X-K2hr3-Error", echo, "WWW-Authenticate", secret))
		for _, message := range []string{"failed to expand " + secret, "could not set " + secret, "tenant" + secret} {
			answers = append(answers, always(status, fault(message)))
		}
	}
	for i, answer := range answers {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			c := newClient(t, Config{Transport: answer, Logger: log.logger()})
			for name, op := range operations(c, newToken(t)) {
				if err := op(t.Context()); err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
					t.Errorf("answer %d, %s: the error shows the token: %#v", i, name, err)
				}
			}
			if strings.Contains(log.String(), secret) {
				t.Errorf("answer %d: the log shows the token: …%s", i, log.String()[strings.Index(log.String(), secret)-200:][:300])
			}
		})
	}
}
