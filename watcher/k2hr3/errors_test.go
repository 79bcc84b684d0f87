package k2hr3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fault is a body as K2HR3 sends it with an error.
func fault(message string) string { return `{"result":false,"message":` + quote(message) + `}` }

const tokenFault = "token(" + secret + ") is not existed, because it is expired or not set yet."

func TestEachErrorOfK2HR3HasItsKindAndAHint(t *testing.T) {
	for _, tt := range []struct {
		op      string
		status  int
		message string
		kind    error
		hint    string
	}{
		{"Resource", 401, tokenFault, ErrUnauthorized, "store is down"},
		{"Register", 401, tokenFault, ErrUnauthorized, "issue a new role token"},
		{"Resource by address", 404, `ip:port("10.0.0.7":0) is not role("` + roleYRN + `") member.`, ErrNotMember, "store is down"},
		{"Resource", 404, `role(orders/slave) in tenant(shop) does not allow to read access to resource(` + resourceYRN + `).`, ErrNotAllowed, "no policy of the role names it"},
		{"Resource by address", 404, `could not get role(orders/slave) in tenant(shop) policy data.`, ErrNotAllowed, "it has no policy"},
		{"Resource", 404, `failed to expand "` + resourceYRN + `" and to execute template engine. there is something wrong in template string : "is not role(x) member. hush"`, ErrTemplate, "template"},
		{"Resource", 404, `Could not load resource for template engine: "does not allow to read access to resource( hush"`, ErrTemplate, "template"},
		{"Resource", 404, `Could not get resource data for resource yrn: ` + resourceYRN, ErrNotFound, "above it"},
		{"Resource", 404, `resource(` + resourceYRN + `) by role(orders/slave) in tenant(shop) does not have value for type(string) data.`, ErrNotFound, "no text"},
		{"Resource by address", 404, `role yrn("x") is not full yrn, or wrong role yrn.`, ErrNotFound, "full YRN"},
		{"Resource", 404, `Internal server error`, ErrNotFound, "api-uri"},
		{"Resource", 404, `something of tomorrow`, ErrNotFound, "does not know"},
		{"Resource by address", 404, `Not initialize yet, or configuration is not set`, ErrServer, "store"},
		{"Resource", 400, `Request query has wrong yrn full path(tenant=other) to resource(tenant=shop)`, ErrBadRequest, "another tenant"},
		{"Register", 400, `There is no x-auth-token header`, ErrBadRequest, "refuses the arguments"},
		{"Register", 400, `could not set enable value to ` + roleYRN + `/hosts key`, ErrServer, "store"},
		{"Register", 500, `Internal server error`, ErrServer, "its log"},
		{"IsMember", 400, "", ErrBadRequest, "refuses the arguments"},
		{"IsMember", 401, "", ErrUnauthorized, "sent no role token"},
		{"IsMember", 404, "", ErrNotFound, "api-uri"},
		{"Unregister", 403, "", ErrNotMember, "store is down"},
		{"Unregister", 401, "", ErrUnauthorized, "sent no role token"},
		{"Unregister", 200, "", ErrAnswer, "K2HR3 gives no such answer"},
		{"IsMember", 200, "", ErrAnswer, "K2HR3 gives no such answer"},
		{"Register", 200, "", ErrAnswer, "K2HR3 gives no such answer"},
		{"Register", 405, "", ErrAnswer, "K2HR3 gives no such answer"},
		{"Register", 414, "", ErrBadRequest, "too long"},
		{"Register", 431, "", ErrBadRequest, "too long"},
		{"Register", 501, "", ErrServer, "api-uri may name another server"},
		{"Resource", 505, "", ErrServer, "api-uri may name another server"},
		{"Resource", 511, "", ErrServer, "captive portal"},
		{"Resource", 429, "", ErrServer, "too often"},
		{"Resource", 502, "", ErrServer, "behind its gateway"},
		{"Resource", 503, "", ErrServer, "behind its gateway"},
	} {
		body := ""
		if tt.message != "" {
			body = fault(tt.message)
		}
		c := newClient(t, Config{Transport: always(tt.status, body)})
		err := operations(c, newToken(t))[tt.op](t.Context())
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s, %d %s: %v", tt.op, tt.status, tt.message, err)
			continue
		}
		if kindOf(t, err) != tt.kind || e.Kind != tt.kind || e.Status != tt.status || e.Host != "k2hr3.example:18080" {
			t.Errorf("%s, %d %s: %v (%v, %d)", tt.op, tt.status, tt.message, err, e.Kind, e.Status)
		}
		text := err.Error()
		if !strings.Contains(text, tt.hint) || !strings.Contains(text, fmt.Sprint("status ", tt.status)) ||
			!strings.Contains(text, "shop:") || strings.Contains(text, secret) || strings.Contains(text, "hush") {
			t.Errorf("%s, %d %s: %s; want a hint with %q", tt.op, tt.status, tt.message, text, tt.hint)
		}
	}
}

// All three no's that K2HR3 gives without a body: to HEAD by address, to HEAD by token, to DELETE.
func TestOnlyK2HR3sOwnNoIsTakenForOne(t *testing.T) {
	type pairs = []string
	for _, tt := range []struct {
		body  string // which HEAD leaves out
		pairs []string
		its   bool
	}{
		{"", nil, true},
		{"", pairs{"Content-Length", "0"}, true},
		{"", pairs{"Content-Type", ""}, true}, // a proxy has left it out
		{"", pairs{"Content-Type", "", "Content-Length", "21"}, false},
		{"", pairs{"Content-Type", "text/html; charset=utf-8"}, false},
		{"<h1>Blocked</h1>", pairs{"Content-Type", "text/html"}, false},
		{"RBAC: access denied", pairs{"Content-Type", "text/plain"}, false},
		{`{"message":"forbidden by gateway"}`, nil, false},
		{"", pairs{"Retry-After", "60"}, false},
	} {
		for op, status := range map[string]int{"IsMember": 403, "Unregister": 403, "TakesToken": 401} {
			body, pairs := tt.body, tt.pairs
			if op != "Unregister" {
				body = ""
			}
			if tt.body != "" {
				pairs = append(pairs[:len(pairs):len(pairs)], "Content-Length", fmt.Sprint(len(tt.body)))
			}
			c := newClient(t, Config{Transport: always(status, body, pairs...)})
			var err error
			no := false
			switch op {
			case "IsMember":
				is, _, failed := c.IsMember(t.Context(), role, cuk)
				no, err = !is && failed == nil, failed
			case "TakesToken":
				good, _, failed := c.TakesToken(t.Context(), role, newToken(t))
				no, err = !good && failed == nil, failed
			case "Unregister":
				err = c.Unregister(t.Context(), role, cuk)
				no = errors.Is(err, ErrNotMember)
			}
			if no != tt.its || !no && kindOf(t, err) != ErrAnswer && kindOf(t, err) != ErrUnauthorized {
				t.Errorf("%s, %q %q: taken for a no: %v; %v", op, tt.body, tt.pairs, no, err)
			}
		}
	}
	c := newClient(t, Config{Transport: always(401, "who are you?", "Content-Type", "text/plain")})
	if err := c.Register(t.Context(), role, newToken(t), host); kindOf(t, err) != ErrAnswer || strings.Contains(err.Error(), "expired") {
		t.Errorf("a password that is wanted: %v", err)
	}
	c = newClient(t, Config{Transport: always(204, "")})
	if is, _, err := c.IsMember(t.Context(), role, cuk); !is || err != nil {
		t.Errorf("204: %v, %v", is, err)
	}
}

func TestAProxys404IsNotTakenForK2HR3s(t *testing.T) {
	c := newClient(t, Config{Transport: always(404, "<h1>nginx</h1>", "Content-Type", "text/html")})
	if _, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t)}); kindOf(t, err) != ErrNotFound || !strings.Contains(err.Error(), "api-uri") {
		t.Errorf("GET: %v", err)
	}
}

func TestEndOfTheContextIsNoFailureOfK2HR3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, op := range operations(newClient(t, Config{Transport: fake(silence)}), newToken(t)) {
			canceled, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			err := op(canceled)
			if !errors.Is(err, context.Canceled) || kindOf(t, err) != nil {
				t.Errorf("%s: %v", name, err)
			}
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			err = op(short)
			if !errors.Is(err, context.DeadlineExceeded) || kindOf(t, err) != nil {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
		}
	})
}

func TestSilenceEndsWithATimeoutOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, limit := range map[time.Duration]time.Duration{0: DefaultTimeout, 7 * time.Second: 7 * time.Second} {
			for name := range operations(nil, Token{}) {
				s := &script{steps: []fake{silence}}
				start := time.Now()
				err := operations(newClient(t, Config{Transport: s, Timeout: timeout}), newToken(t))[name](t.Context())
				var e *Error
				if kindOf(t, err) != ErrTransport || !errors.As(err, &e) || !e.Timeout() ||
					errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprint("no whole answer within ", limit)) {
					t.Errorf("%s: %v", name, err)
				}
				if took := time.Since(start); took != limit || len(s.at) != 1 {
					t.Errorf("%s: gave up after %v and %d tries", name, took, len(s.at))
				}
			}
		}
	})
}
