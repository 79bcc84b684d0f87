package k2hr3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

const (
	roleYRN     = "yrn:yahoo:::shop:role:orders/slave"
	resourceYRN = "yrn:yahoo:::shop:resource:orders/slave"
	ownCUK      = "0f1e2d3c-vm-7"
	etag        = `W/"2a-abcdefghijklmnopqrstuvwxyz0"`
	success     = `{"result":true,"message":null}`
)

var (
	role = must(ParseRole(roleYRN))
	cuk  = must(ParseCUK(ownCUK))
	host = Registration{CUK: cuk, Tag: "vm7.shop.example"}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// noError fails the test at once if there is one.
func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fake is a transport that answers by itself, and is connected at once.
type fake func(*http.Request) (*http.Response, error)

func (f fake) RoundTrip(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	return f(req)
}

// response returns an answer; pairs are header names and values.
func response(status int, body string, pairs ...string) *http.Response {
	resp := &http.Response{
		StatusCode:    status,
		Header:        http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
	for i := 0; i < len(pairs); i += 2 {
		resp.Header.Set(pairs[i], pairs[i+1])
	}
	return resp
}

// always answers each request alike.
func always(status int, body string, pairs ...string) fake {
	return func(*http.Request) (*http.Response, error) { return response(status, body, pairs...), nil }
}

// silence takes each request and never answers.
func silence(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// slowly answers each request alike, so much later.
func slowly(takes time.Duration, status int, pairs ...string) fake {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(takes):
			return response(status, "", pairs...), nil
		}
	}
}

// newClient returns a client of cfg, with an API of its own if cfg has none.
func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.API.IsZero() {
		cfg.API = must(ParseAPI("http://k2hr3.example:18080"))
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve runs a real server on the loopback and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newClient(t, Config{API: must(ParseAPI(server.URL))})
}

// operations are all exchanges, each with arguments that are right.
func operations(c *Client, token Token) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Ping":       c.Ping,
		"Register":   func(ctx context.Context) error { return c.Register(ctx, role, token, host) },
		"Unregister": func(ctx context.Context) error { return c.Unregister(ctx, role, cuk) },
		"IsMember": func(ctx context.Context) error {
			_, _, err := c.IsMember(ctx, role, cuk)
			return err
		},
		"TakesToken": func(ctx context.Context) error {
			good, _, err := c.TakesToken(ctx, role, token)
			if err == nil && !good { // it is no error, as only K2HR3 itself can say so
				err = &Error{Op: "TakesToken", Kind: ErrUnauthorized}
			}
			return err
		},
		"Resource": func(ctx context.Context) error {
			_, err := c.Resource(ctx, Query{Resource: role.Resource(), Token: token})
			return err
		},
		"Resource by address": func(ctx context.Context) error {
			_, err := c.Resource(ctx, Query{Resource: role.Resource(), Role: role, CUK: cuk})
			return err
		},
		"UserDataToken": func(ctx context.Context) error {
			_, err := c.UserDataToken(ctx, must(parseUserDataAddress("http://k2hr3.example:18080/v1/userdata/abcdef")), role)
			return err
		},
	}
}

// retried are the operations that are tried again by the client itself. For user data the kinds of
// errors are others (TestStatusesOfUserData).
func retried(c *Client, token Token) map[string]func(context.Context) error {
	ops := operations(c, token)
	delete(ops, "Resource")
	delete(ops, "Resource by address")
	delete(ops, "UserDataToken")
	return ops
}

// kindOf returns the one sentinel err is.
func kindOf(t *testing.T, err error) error {
	t.Helper()
	var found []error
	for _, kind := range []error{ErrUnauthorized, ErrNotMember, ErrNotAllowed, ErrTemplate, ErrNotFound,
		ErrBadRequest, ErrUserData, ErrOtherRole, ErrServer, ErrAnswer, ErrTooLarge, ErrTransport} {
		if errors.Is(err, kind) {
			found = append(found, kind)
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	}
	t.Fatalf("%v is of %d kinds: %v", err, len(found), found)
	return nil
}

// journal collects a log.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func quote(s string) string { return strconv.Quote(s) }

const vm = "10.0.0.7"

// stand is a stand-in K2HR3 with one cluster, and a client of it at vm.
type stand struct {
	*fakek2hr3.Server
	cluster   *fakek2hr3.Cluster
	client    *Client
	transport *http.Transport
	role      Role
	log       journal
}

// newStand returns a stand for use in a bubble.
func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{Server: fakek2hr3.New()}
	s.cluster = s.AddCluster("shop", "orders")
	s.cluster.Join("10.0.0.1", "srv-1", "server1.shop.example")
	s.role = must(ParseRole(s.cluster.SlaveRole()))
	cfg := Config{Logger: s.log.logger()}
	transport, err := newTransport(cfg, newDialer(cfg.From), new(atomic.Bool))
	if err != nil {
		t.Fatal(err)
	}
	memory := fakek2hr3.Listen(s.Server)
	transport.base.Proxy = nil
	transport.base.DialContext = memory.Dialer(vm)
	s.transport, cfg.Transport = transport.base, transport
	s.client = newClient(t, cfg)
	t.Cleanup(memory.Close)
	return s
}

func (s *stand) byAddress() Query {
	return Query{Resource: s.role.Resource(), Role: s.role, CUK: cuk}
}
