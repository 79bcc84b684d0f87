package k2hr3

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"

	"github.com/google/go-cmp/cmp"
)

const vm = "10.0.0.7"

// stand is a stand-in K2HR3 with one cluster, and a client of it at vm.
type stand struct {
	*fakek2hr3.Server
	cluster   *fakek2hr3.Cluster
	client    *Client
	transport *http.Transport
	role      Role
	token     Token // made by a user
	log       journal
}

// newStand returns a stand for use in a bubble.
func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{Server: fakek2hr3.New()}
	s.cluster = s.AddCluster("shop", "orders")
	s.cluster.Join("10.0.0.1", "srv-1", "server1.shop.example")
	s.role = must(ParseRole(s.cluster.SlaveRole()))
	s.token = must(NewToken(s.cluster.RoleToken("slave", 0)))
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

func (s *stand) byToken(token Token) Query { return Query{Resource: s.role.Resource(), Token: token} }
func (s *stand) byAddress() Query {
	return Query{Resource: s.role.Resource(), Role: s.role, CUK: cuk}
}

func TestTheLifeOfAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		c, ctx := s.client, t.Context()
		check := func(step string, err, want error) {
			t.Helper()
			if kindOf(t, err) != want || (err == nil) != (want == nil) {
				t.Errorf("%s: %v, want %v", step, err, want)
			}
		}
		member := func(step string, want bool) {
			t.Helper()
			got, _, err := c.IsMember(ctx, s.role, cuk)
			check(step, err, nil)
			if got != want {
				t.Errorf("%s: member %v", step, got)
			}
		}
		text := func(step string, q Query, want error) Answer {
			t.Helper()
			got, err := c.Resource(ctx, q)
			check(step, err, want)
			if err == nil && !got.NotModified && got.Text != s.cluster.Text() {
				t.Errorf("%s: another text: %s", step, cmp.Diff(s.cluster.Text(), got.Text))
			}
			return got
		}

		check("ping", c.Ping(ctx), nil)
		member("before", false)
		check("unregister before", c.Unregister(ctx, s.role, cuk), ErrNotMember)
		text("read by address before", s.byAddress(), ErrNotMember)
		text("read by token before", s.byToken(s.token), nil)

		check("register", c.Register(ctx, s.role, s.token, host), nil)
		member("after", true)
		want := []fakek2hr3.Host{{Addr: vm, CUK: ownCUK, Extra: "openstack-auto-v1", Tag: host.Tag}}
		if diff := cmp.Diff(want, s.cluster.Slaves()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		got := text("read by address", s.byAddress(), nil)
		if !strings.Contains(got.Text, host.Tag) || got.ETag == "" || got.Held != 0 {
			t.Errorf("read: %+v", got)
		}
		again := s.byToken(s.token)
		again.ETag = got.ETag
		if got := text("read again", again, nil); !got.NotModified || got.ETag != again.ETag {
			t.Errorf("read again: %+v", got)
		}

		check("register again", c.Register(ctx, s.role, s.token, host), nil)
		check("unregister", c.Unregister(ctx, s.role, cuk), nil)
		check("unregister again", c.Unregister(ctx, s.role, cuk), ErrNotMember)
		member("at the end", false)
	})
}

func TestTagsThatLookLikeJSONAreRegisteredAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		for _, tag := range []string{"12345", "true", "null", "1e3"} {
			if err := s.client.Register(t.Context(), s.role, s.token, Registration{CUK: cuk, Tag: tag}); err != nil {
				t.Error(err)
			}
			if got := s.cluster.Slaves()[0].Tag; got != tag {
				t.Errorf("%q is registered as %q", tag, got)
			}
		}
	})
}

func TestARoleInCapitalsIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.role = must(ParseRole("yrn:yahoo:::shop:role:Orders/SLAVE"))
		if err := s.client.Register(t.Context(), s.role, s.token, host); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.Resource(t.Context(), s.byAddress()); err != nil {
			t.Error(err)
		}
	})
}

func TestEachTroubleOfK2HR3HasItsKind(t *testing.T) {
	all := func(kind error) map[string]error {
		m := map[string]error{}
		for name := range operations(nil, Token{}) {
			m[name] = kind
		}
		return m
	}
	for name, tt := range map[string]struct {
		fault fakek2hr3.Fault
		want  map[string]error
	}{
		"store down": {fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second}, map[string]error{
			"Ping": nil, "Register": ErrUnauthorized, "Resource": ErrUnauthorized,
			"Resource by address": ErrNotMember, "Unregister": ErrNotMember, "IsMember": nil}},
		"tokens expired": {fakek2hr3.Fault{Name: fakek2hr3.TokensExpired}, map[string]error{
			"Resource": ErrUnauthorized, "Register": ErrUnauthorized, "Resource by address": nil}},
		"broken template": {fakek2hr3.Fault{Name: fakek2hr3.BrokenTemplate}, map[string]error{
			"Resource": ErrTemplate, "Resource by address": ErrTemplate}},
		"nothing found":   {fakek2hr3.Fault{Name: fakek2hr3.NotFound, On: []fakek2hr3.Op{fakek2hr3.OpResource}}, map[string]error{"Resource": ErrNotFound}},
		"internal error":  {fakek2hr3.Fault{Name: fakek2hr3.InternalError}, map[string]error{"Resource": ErrServer, "Register": ErrServer}},
		"web page":        {fakek2hr3.Fault{Name: fakek2hr3.HTMLPage}, map[string]error{"Ping": ErrAnswer, "Resource": ErrAnswer, "Register": ErrAnswer, "IsMember": ErrAnswer, "Unregister": ErrAnswer}},
		"bad gateway":     {fakek2hr3.Fault{Name: fakek2hr3.BadGateway, RetryAfter: "2"}, all(ErrServer)},
		"unavailable":     {fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "3600"}, all(ErrServer)},
		"redirect":        {fakek2hr3.Fault{Name: fakek2hr3.Redirect, Location: "https://new.example/"}, all(ErrAnswer)},
		"compressed":      {fakek2hr3.Fault{Name: fakek2hr3.Gzipped}, map[string]error{"Resource": ErrAnswer, "Ping": ErrAnswer}},
		"silent":          {fakek2hr3.Fault{Name: fakek2hr3.Hang}, all(ErrTransport)},
		"slow":            {fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 19 * time.Second}, map[string]error{"Resource": nil, "Ping": nil, "Register": nil}},
		"too slow":        {fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 21 * time.Second}, all(ErrTransport)},
		"dripping":        {fakek2hr3.Fault{Name: fakek2hr3.Drip, Delay: time.Second}, map[string]error{"Resource": ErrTransport}},
		"truncated":       {fakek2hr3.Fault{Name: fakek2hr3.Truncated}, map[string]error{"Resource": ErrTransport, "Ping": ErrTransport}},
		"oversized":       {fakek2hr3.Fault{Name: fakek2hr3.Oversized}, map[string]error{"Resource": ErrTooLarge}},
		"cut":             {fakek2hr3.Fault{Name: fakek2hr3.Cut}, all(ErrTransport)},
		"cut three times": {fakek2hr3.Fault{Name: fakek2hr3.Cut, Next: 3}, map[string]error{"Register": nil}},
	} {
		for op, want := range tt.want {
			t.Run(name+"/"+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStand(t)
					s.cluster.AddSlave(vm, ownCUK, host.Tag)
					s.Fault(tt.fault)
					err := operations(s.client, s.token)[op](t.Context())
					if kindOf(t, err) != want || (err == nil) != (want == nil) {
						t.Errorf("%v, want %v", err, want)
					}
				})
			})
		}
	}
}

func TestStoreDownLooksLikeNoMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.cluster.AddSlave(vm, ownCUK, host.Tag)
		s.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown})
		if got, _, err := s.client.IsMember(t.Context(), s.role, cuk); got || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestWhatAnAdministratorTookAwayIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		do                 func(*fakek2hr3.Cluster)
		byToken, byAddress error
	}{
		"policy": {func(c *fakek2hr3.Cluster) { c.SetPolicy(false) }, ErrNotAllowed, ErrNotAllowed},
		"role":   {func(c *fakek2hr3.Cluster) { c.SetRole(false) }, ErrUnauthorized, ErrNotMember},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.cluster.AddSlave(vm, ownCUK, host.Tag)
			tt.do(s.cluster)
			if _, err := s.client.Resource(t.Context(), s.byToken(s.token)); kindOf(t, err) != tt.byToken {
				t.Errorf("%s, by token: %v", name, err)
			}
			if _, err := s.client.Resource(t.Context(), s.byAddress()); kindOf(t, err) != tt.byAddress {
				t.Errorf("%s, by address: %v", name, err)
			}
		})
	}
}

func TestWrongBodiesOfTheStandIn(t *testing.T) {
	for name, body := range fakek2hr3.WrongBodies() {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.Fault(fakek2hr3.Fault{Name: fakek2hr3.WrongJSON, Body: body})
			if got, err := s.client.Resource(t.Context(), s.byToken(s.token)); kindOf(t, err) != ErrAnswer || got != (Answer{}) {
				t.Errorf("%s: %.100q, %v", name, got.Text, err)
			}
		})
	}
}

func TestAHeldRequestBringsTheChangeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.Hold(time.Minute)
		q := s.byToken(s.token)
		q.Wait = 55 * time.Second
		start := time.Now()
		first, err := s.client.Resource(t.Context(), q)
		if err != nil || first.Held != q.Wait || time.Since(start) != 0 {
			t.Fatalf("%v, held %v, after %v", err, first.Held, time.Since(start))
		}
		q.ETag = first.ETag
		time.AfterFunc(30*time.Second, func() { s.cluster.Join("10.0.0.2", "srv-2", "server2.shop.example") })
		second, err := s.client.Resource(t.Context(), q)
		if err != nil || second.NotModified || !strings.Contains(second.Text, "server2") || time.Since(start) != 30*time.Second {
			t.Fatalf("%v, %+v, after %v", err, second, time.Since(start))
		}
		q.ETag = second.ETag
		third, err := s.client.Resource(t.Context(), q)
		if err != nil || !third.NotModified || third.Held != q.Wait || time.Since(start) != 85*time.Second {
			t.Fatalf("%v, %+v, after %v", err, third, time.Since(start))
		}
	})
}

func TestAServerMayLearnToHoldAndForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		q := s.byToken(s.token)
		q.Wait = 55 * time.Second
		first, err := s.client.Resource(t.Context(), q)
		if err != nil || first.Held != 0 {
			t.Fatal(first.Held, err)
		}
		q.ETag = first.ETag
		for i, step := range []struct {
			hold, took time.Duration
			kind       error
		}{
			{0, 0, nil},
			// It takes one silence to find out.
			{time.Minute, 20 * time.Second, ErrTransport},
			{time.Minute, 55 * time.Second, nil},
			{10 * time.Second, 10 * time.Second, nil},
			{0, 0, nil},
		} {
			s.Hold(step.hold)
			start := time.Now()
			got, err := s.client.Resource(t.Context(), q)
			if took := time.Since(start); kindOf(t, err) != step.kind || took != step.took || (err == nil && !got.NotModified) {
				t.Errorf("step %d: %v, %+v, after %v", i, err, got, took)
			}
		}
	})
}

func TestNoTokenInErrorsOrLogsOfTheStandIn(t *testing.T) {
	for _, name := range []fakek2hr3.FaultName{fakek2hr3.BackendDown, fakek2hr3.TokensExpired, fakek2hr3.InternalError,
		fakek2hr3.BrokenTemplate, fakek2hr3.NotFound, fakek2hr3.HTMLPage, fakek2hr3.BadGateway, fakek2hr3.Truncated,
		fakek2hr3.Cut, fakek2hr3.Hang, fakek2hr3.Gzipped, fakek2hr3.Redirect, fakek2hr3.Oversized, fakek2hr3.Drip} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.cluster.AddSlave(vm, ownCUK, host.Tag)
			raw := s.cluster.RoleToken("slave", 0)
			token := must(NewToken(raw))
			s.Fault(fakek2hr3.Fault{Name: name, Delay: time.Second, Location: "http://x.example/" + raw})
			for op, do := range operations(s.client, token) {
				if err := do(t.Context()); err != nil && strings.Contains(fmt.Sprintf("%v %#v", err, err), raw) {
					t.Errorf("%s, %s: %v", name, op, err)
				}
			}
			if strings.Contains(s.log.String(), raw) {
				t.Errorf("%s: the log shows the token", name)
			}
		})
	}
}

func TestTokensReachTheServerInTheHeaderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		for _, op := range operations(s.client, s.token) {
			_ = op(t.Context())
		}
		byOp := map[fakek2hr3.Op]fakek2hr3.TokenKind{}
		for _, r := range s.Requests() {
			if r.Source != vm || strings.Contains(r.Path+r.Query, s.token.header()[2:]) {
				t.Errorf("%v", r)
			}
			switch {
			case r.Method == http.MethodGet && r.Op == fakek2hr3.OpResource:
			case r.Op == fakek2hr3.OpProbe && r.Query == "":
				byOp["TakesToken"] = r.Token
			default:
				byOp[r.Op] = r.Token
			}
		}
		want := map[fakek2hr3.Op]fakek2hr3.TokenKind{
			fakek2hr3.OpRoot: fakek2hr3.TokenNone, fakek2hr3.OpProbe: fakek2hr3.TokenNone, fakek2hr3.OpLeave: fakek2hr3.TokenNone,
			fakek2hr3.OpRegister: fakek2hr3.TokenByUser, "TakesToken": fakek2hr3.TokenByUser,
		}
		if diff := cmp.Diff(want, byOp); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
