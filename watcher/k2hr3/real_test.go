package k2hr3

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// partner is a K2HR3 to exchange with.
type partner struct {
	api   API
	role  string
	token string
	// userData is the address of user data with a token of the role, if known.
	userData string
}

// aPartner is the K2HR3 that K2HR3_API_URI names, if it does: K2HR3_ROLE is then
// the full YRN of a slave role whose resource lists its members by their CUKs, and
// K2HR3_ROLE_TOKEN a role token of it that a user made; K2HR3_CA_FILE may name the
// authority of its certificate, and K2HR3_USER_DATA be the address of user data with
// a token of the role. Without K2HR3_API_URI it is the stand-in, over TCP.
func aPartner(t *testing.T) partner {
	if uri := os.Getenv("K2HR3_API_URI"); uri != "" {
		p := partner{must(ParseAPI(uri)), os.Getenv("K2HR3_ROLE"), os.Getenv("K2HR3_ROLE_TOKEN"), os.Getenv("K2HR3_USER_DATA")}
		if p.role == "" || p.token == "" {
			t.Skip("K2HR3_API_URI is set, but not both of K2HR3_ROLE and K2HR3_ROLE_TOKEN")
		}
		return p
	}
	s := fakek2hr3.New()
	c := s.AddCluster("shop", "orders")
	c.Join("10.0.0.1", "srv-1", "server1.shop.example")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := fakek2hr3.NewHTTPServer(s)
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }() //nolint:errcheck // ends with Close
	t.Cleanup(func() { srv.Close(); <-done })
	uri, token := "http://"+l.Addr().String(), c.RoleToken("slave", 0)
	return partner{must(ParseAPI(uri)), c.SlaveRole(), token, uri + "/v1/userdata/" + c.RegisterPath(token)}
}

// TestExchangesWithARealK2HR3 makes each exchange of the client, in an order in
// which each shows what the one before did. It registers this machine under a
// CUK of its own, and takes it out again.
func TestExchangesWithARealK2HR3(t *testing.T) {
	p := aPartner(t)
	ctx := t.Context()
	var log journal
	c := newClient(t, Config{API: p.api, CAFile: os.Getenv("K2HR3_CA_FILE"), Logger: log.logger()})
	role, token := must(ParseRole(p.role)), must(NewToken(p.token))
	me := Registration{CUK: must(ParseCUK("exchanges-" + rand.Text())), Tag: "exchanges.example.net"}
	t.Cleanup(func() { // whatever has failed, and when the test's context has ended
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := c.Unregister(ctx, role, me.CUK); err != nil && !errors.Is(err, ErrNotMember) {
			t.Errorf("this machine may still be listed with the CUK %s: %v", me.CUK, err)
		}
		if strings.Contains(log.String(), p.token) || strings.Contains(log.String(), "/userdata/") {
			t.Error("the log has the role token, or the way to it, in it")
		}
	})

	check := func(what string, err, want error) {
		t.Helper()
		if kindOf(t, err) != want || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if err != nil && strings.Contains(err.Error(), p.token) {
			t.Errorf("%s: the error has the role token in it", what)
		}
	}
	member := func(what string, want bool) {
		t.Helper()
		is, _, err := c.IsMember(ctx, role, me.CUK)
		check(what, err, nil)
		if is != want {
			t.Errorf("%s: member: %v", what, is)
		}
	}
	read := func(what string, q Query, want error) Answer {
		t.Helper()
		q.Resource = role.Resource()
		a, err := c.Resource(ctx, q)
		check(what, err, want)
		return a
	}
	byToken, byAddress := Query{Token: token}, Query{Role: role, CUK: me.CUK}
	nobodys := must(NewToken(strings.Repeat("0", 64)))

	check("ping", c.Ping(ctx), nil)
	addr, err := c.LocalAddress(ctx)
	if err != nil || !CanLeave(addr) {
		t.Fatalf("this machine would be registered under %v for good: %v", addr, err)
	}
	member("before", false)
	check("leave before", c.Unregister(ctx, role, me.CUK), ErrNotMember)
	read("by address before", byAddress, ErrNotMember)
	read("by a token that is none", Query{Token: nobodys}, ErrUnauthorized)
	check("register by a token that is none", c.Register(ctx, role, nobodys, me), ErrUnauthorized)
	elsewhere := must(ParseRole(p.role + "/no-such-role"))
	if is, _, err := c.IsMember(ctx, elsewhere, me.CUK); is || err != nil {
		t.Errorf("of a role that does not exist: %v, %v", is, err)
	}
	_, err = c.Resource(ctx, Query{Resource: elsewhere.Resource(), Token: token})
	check("a resource that does not exist", err, ErrNotAllowed)
	first := read("by token", byToken, nil)
	if first.Text == "" || first.ETag == "" || strings.Contains(first.Text, me.CUK.String()) {
		t.Errorf("by token: ETag %q, and a text of %d bytes", first.ETag, len(first.Text))
	}
	byToken.ETag = first.ETag
	if a := read("by token, with its ETag", byToken, nil); !a.NotModified {
		t.Error("the ETag has no effect; or the cluster is not at rest")
	}

	_, err = c.UserDataToken(ctx, must(parseUserDataAddress(p.api.String()+"/v1/userdata/AAAA")), role)
	check("user data of nothing", err, ErrUserData)
	if p.userData != "" {
		at := must(parseUserDataAddress(p.userData))
		found, err := c.UserDataToken(ctx, at, role)
		check("user data", err, nil)
		read("by the token in user data", Query{Token: found}, nil)
		_, err = c.UserDataToken(ctx, at, elsewhere)
		check("user data of another role", err, ErrOtherRole)
	}

	check("register", c.Register(ctx, role, token, me), nil)
	member("after the registration", true)
	second := read("by address", byAddress, nil)
	if !strings.Contains(second.Text, me.CUK.String()) || !strings.Contains(second.Text, me.Tag) || second.ETag == first.ETag {
		t.Errorf("the text does not list this host under %s and %s", me.CUK, me.Tag)
	}
	check("register again", c.Register(ctx, role, token, me), nil)
	byAddress.ETag = second.ETag
	if a := read("after another registration", byAddress, nil); !a.NotModified {
		t.Error("registering again has changed the text")
	}
	byAddress.Wait = time.Second
	if a := read("held, if it can", byAddress, nil); !a.NotModified {
		t.Error("a request to hold brings another text")
	}
	me.Tag = "12345"
	check("register a number", c.Register(ctx, role, token, me), nil)
	byAddress = Query{Role: role, CUK: me.CUK}
	if a := read("a number for a tag", byAddress, nil); !strings.Contains(a.Text, me.Tag) {
		t.Error("the text does not list this host under its new tag")
	}
	check("leave", c.Unregister(ctx, role, me.CUK), nil)
	check("leave again", c.Unregister(ctx, role, me.CUK), ErrNotMember)
	member("at the end", false)
	byToken.ETag = ""
	if a := read("by token at the end", byToken, nil); a.Text != first.Text {
		t.Error("the text is not what it was; or the cluster is not at rest")
	}
}

// ordinary asks for the RESOURCE as a program does that closes what it gives up.
func ordinary(ctx context.Context, api API, resource Resource, token Token) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.String()+resourcePath(resource), http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", token.header())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// TestARealK2HR3IsSparedWhatIsGivenUp measures with the K2HR3 that K2HR3_API_URI names (see
// aPartner) how long the next request waits for 60 that were given up after 100 ms, reset or
// closed. docs/flavours.md 9 has what was recorded.
func TestARealK2HR3IsSparedWhatIsGivenUp(t *testing.T) {
	if os.Getenv("K2HR3_API_URI") == "" {
		t.Skip("K2HR3_API_URI is not set; TestWhatReadsIsGivenUpByAReset shows what this rests on")
	}
	p := aPartner(t)
	resource, token := must(ParseRole(p.role)).Resource(), must(NewToken(p.token))
	client := func() *Client { return newClient(t, Config{API: p.api, CAFile: os.Getenv("K2HR3_CA_FILE")}) }
	reading := func(c *Client) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.Resource(ctx, Query{Resource: resource, Token: token})
			return err
		}
	}
	next := func() time.Duration {
		began := time.Now()
		noError(t, reading(client())(t.Context()))
		return time.Since(began)
	}
	after := func(request func() func(context.Context) error) time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var ended sync.WaitGroup
		var answered atomic.Int32
		for range 60 {
			do := request()
			ended.Go(func() {
				if do(ctx) == nil {
					answered.Add(1)
				}
			})
		}
		ended.Wait()
		d := next()
		t.Logf("of 60 requests %d were answered within 100 ms; the next one after %v", answered.Load(), d)
		for next() > 300*time.Millisecond { // until it has worked on all of them
			if t.Context().Err() != nil {
				t.Fatal("K2HR3 does not come to rest")
			}
		}
		return d
	}
	var reset, closed time.Duration
	t.Logf("at rest: %v", next())
	for range 3 {
		reset += after(func() func(context.Context) error { return reading(client()) })
		closed += after(func() func(context.Context) error {
			return func(ctx context.Context) error { return ordinary(ctx, p.api, resource, token) }
		})
	}
	t.Logf("in the mean the next request waits %v for those that were reset, %v for those that were closed", reset/3, closed/3)
	if reset > closed/2 {
		t.Errorf("K2HR3 is spared too little")
	}
}
