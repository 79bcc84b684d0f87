package k2hr3

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sent is what a server gets to see of a request.
type sent struct {
	Line   string
	Header http.Header
}

// record returns a client and the requests its server got, before the answer.
func record(t *testing.T, status int, body string) (*Client, *[]sent) {
	var got []sent
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, sent{r.Method + " " + r.RequestURI, r.Header.Clone()})
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	return c, &got
}

func TestEachExchangeIsSentAsK2HR3WantsIt(t *testing.T) {
	token := newToken(t)
	base := func(extra ...string) http.Header {
		h := http.Header{"Accept": {"application/json"}, "Connection": {"close"}, "User-Agent": {"k2hdkc-slave-agent"}}
		for i := 0; i < len(extra); i += 2 {
			h.Set(extra[i], extra[i+1])
		}
		return h
	}
	tests := map[string]struct {
		status int
		body   string
		do     func(context.Context, *Client) error
		want   sent
	}{
		"ping": {200, `{"version":["v1"]}`,
			func(ctx context.Context, c *Client) error { return c.Ping(ctx) },
			sent{"GET /", base()}},
		"register": {201, success,
			func(ctx context.Context, c *Client) error { return c.Register(ctx, role, token, host) },
			sent{"PUT /v1/role/" + roleYRN + "?cuk=" + ownCUK + "&extra=openstack-auto-v1&tag=vm7.shop.example",
				base("Content-Length", "0", "X-Auth-Token", "R="+secret)}},
		"is member": {204, "",
			func(ctx context.Context, c *Client) error { _, _, err := c.IsMember(ctx, role, cuk); return err },
			sent{"HEAD /v1/role/" + roleYRN + "?cuk=" + ownCUK, base()}},
		"unregister": {204, "",
			func(ctx context.Context, c *Client) error { return c.Unregister(ctx, role, cuk) },
			sent{"DELETE /v1/role/" + roleYRN + "?cuk=" + ownCUK, base()}},
		"resource by token": {200, `{"result":true,"resource":""}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.Resource(ctx, Query{Resource: role.Resource(), Token: token, Role: role, CUK: cuk})
				return err
			},
			sent{"GET /v1/resource/" + resourceYRN, base("X-Auth-Token", "R="+secret)}},
		"resource by address": {200, `{"result":true,"resource":""}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.Resource(ctx, Query{Resource: role.Resource(), Role: role, CUK: cuk})
				return err
			},
			sent{"GET /v1/resource/" + resourceYRN + "?cuk=" + ownCUK + "&role=" + url.QueryEscape(roleYRN), base()}},
		"resource to be held": {304, "",
			func(ctx context.Context, c *Client) error {
				_, err := c.Resource(ctx, Query{Resource: role.Resource(), Token: token, ETag: etag, Wait: 1500 * time.Millisecond})
				return err
			},
			sent{"GET /v1/resource/" + resourceYRN,
				base("X-Auth-Token", "R="+secret, "If-None-Match", etag, "Prefer", "wait=2")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, got := record(t, tt.status, tt.body)
			if err := tt.do(t.Context(), c); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]sent{tt.want}, *got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesAreEscapedNoMoreThanTheyMustBe(t *testing.T) {
	for name, path := range map[string]string{
		"orders/slave":         "orders/slave",
		"two words":            "two%20words",
		"50%":                  "50%25",
		"what?":                "what%3F",
		"a#b":                  "a%23b",
		"größe/日本":             "gr%C3%B6%C3%9Fe/%E6%97%A5%E6%9C%AC",
		"a;b@c&d=e+f$g,h":      "a;b@c&d=e+f$g,h",
		"%2F%3A":               "%252f%253a",
		`"quoted"\<back>|{x}^`: "%22quoted%22%5C%3Cback%3E%7C%7Bx%7D%5E",
	} {
		odd := must(ParseRole("yrn:yahoo:::shop:role:" + name))
		c, got := record(t, http.StatusNoContent, "")
		if _, _, err := c.IsMember(t.Context(), odd, must(ParseCUK("c+1:x=@%"))); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		want := "HEAD /v1/role/yrn:yahoo:::shop:role:" + path + "?cuk=c%2B1%3Ax%3D%40%25"
		if line := (*got)[0].Line; line != want {
			t.Errorf("%q: sent %s, want %s", name, line, want)
		}
	}
}

func TestRoleArgumentIsLowerCase(t *testing.T) {
	c, got := record(t, http.StatusOK, `{"result":true,"resource":""}`)
	upper := must(ParseRole("yrn:yahoo:::Shop:role:Orders/My Slave"))
	if _, err := c.Resource(t.Context(), Query{Resource: upper.Resource(), Role: upper, CUK: must(ParseCUK("CUK-7"))}); err != nil {
		t.Fatal(err)
	}
	want := "GET /v1/resource/yrn:yahoo:::shop:resource:orders/my%20slave" +
		"?cuk=CUK-7&role=yrn%3Ayahoo%3A%3A%3Ashop%3Arole%3Aorders%2Fmy%20slave"
	if line := (*got)[0].Line; line != want {
		t.Errorf("sent %s, want %s", line, want)
	}
}

func TestTagThatIsJSONIsSentAsAJSONString(t *testing.T) {
	for tag, argument := range map[string]string{
		"vm7.shop.example": "vm7.shop.example",
		"10.0.0.7":         "10.0.0.7",
		"fd00::7":          "fd00::7",
		"12345":            `"12345"`,
		"1e3":              `"1e3"`,
		"true":             `"true"`,
		"null":             `"null"`,
		"007":              "007",
		"True":             "True",
	} {
		c, got := record(t, http.StatusCreated, success)
		if err := c.Register(t.Context(), role, newToken(t), Registration{CUK: cuk, Tag: tag}); err != nil {
			t.Errorf("%q: %v", tag, err)
			continue
		}
		line := (*got)[0].Line
		query := must(url.ParseQuery(line[strings.Index(line, "?")+1:]))
		want := url.Values{"cuk": {ownCUK}, "extra": {"openstack-auto-v1"}, "tag": {argument}}
		if diff := cmp.Diff(want, query); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tag, diff)
		}
	}
}

func TestWhatK2HR3WouldRegretIsNotSent(t *testing.T) {
	c := newClient(t, Config{Transport: fake(func(r *http.Request) (*http.Response, error) {
		t.Errorf("sent: %s %s", r.Method, r.URL)
		return response(500, ""), nil
	})})
	token := newToken(t)
	ctx := t.Context()
	register := func(r Role, tok Token, h Registration) error { return c.Register(ctx, r, tok, h) }
	read := func(q Query) error { _, err := c.Resource(ctx, q); return err }
	isMember := func(r Role, cuk CUK) error { _, _, err := c.IsMember(ctx, r, cuk); return err }
	tests := map[string]struct {
		err    error
		reason string
	}{
		"register without role":     {register(Role{}, token, host), "no role is given"},
		"register without token":    {register(role, Token{}, host), "no role token"},
		"register without CUK":      {register(role, token, Registration{Tag: "vm7"}), "no CUK"},
		"register without tag":      {register(role, token, Registration{CUK: cuk}), "tag is empty"},
		"register tag of two lines": {register(role, token, Registration{CUK: cuk, Tag: "vm7\n[GLOBAL]"}), "neither a host name nor an address"},
		"register tag that expands": {register(role, token, Registration{CUK: cuk, Tag: "vm[1-3],db"}), "neither a host name nor an address"},
		"register tag with control": {register(role, token, Registration{CUK: cuk, Tag: "vm\x007"}), "neither a host name nor an address"},
		"register tag of a blank":   {register(role, token, Registration{CUK: cuk, Tag: " "}), "neither a host name nor an address"},
		"register tag not in UTF-8": {register(role, token, Registration{CUK: cuk, Tag: "vm-\xff"}), "neither a host name nor an address"},
		"is member without CUK":     {isMember(role, CUK{}), "no CUK"},
		"is member without role":    {isMember(Role{}, cuk), "no role is given"},
		"unregister without CUK":    {c.Unregister(ctx, role, CUK{}), "no CUK"},
		"unregister without role":   {c.Unregister(ctx, Role{}, cuk), "no role is given"},
		"read without resource":     {read(Query{Token: token}), "no resource is given"},
		"read without any right":    {read(Query{Resource: role.Resource()}), "neither a role token nor a role"},
		"read by address, no CUK":   {read(Query{Resource: role.Resource(), Role: role}), "no CUK"},
	}
	for name, tt := range tests {
		if tt.err == nil || kindOf(t, tt.err) != ErrBadRequest || !strings.Contains(tt.err.Error(), tt.reason) {
			t.Errorf("%s: %v, want a bad request with %q", name, tt.err, tt.reason)
		}
	}
}

func TestOnlyAnETagIsSentAsOne(t *testing.T) {
	for in, want := range map[string]bool{
		etag: true, `"strong"`: true, `W/"9-a/b+c="`: true,
		"": false, "*": false, "W/": false, `"`: false, `""`: false, `W/"a", W/"b"`: false,
		`"a b"`: false, "\"a\r\nx: y\"": false, `w/"a"`: false, `"` + long(300) + `"`: false,
	} {
		var header http.Header
		c := newClient(t, Config{Transport: fake(func(r *http.Request) (*http.Response, error) {
			header = r.Header
			return response(200, `{"result":true,"resource":"x"}`, "ETag", in), nil
		})})
		got, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t), ETag: in})
		if err != nil {
			t.Fatal(err)
		}
		if sent := header.Get("If-None-Match"); (sent == in && in != "") != want {
			t.Errorf("ETag %q: sent %q", in, sent)
		}
		if kept := got.ETag == in && in != ""; kept != want {
			t.Errorf("ETag %q of an answer: kept as %q", in, got.ETag)
		}
	}
}

func TestClientsThatCannotBe(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a client without an API")
	}
	if _, err := New(Config{API: must(ParseAPI("http://k2hr3.example")), Timeout: -1}); err == nil {
		t.Error("a client with a negative timeout")
	}
}
