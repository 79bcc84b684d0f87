package fakek2hr3

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForwardedForIsBelievedFromLoopbackOnly(t *testing.T) {
	for _, tt := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"10.20.0.21:40000", nil, "10.20.0.21"},
		{"10.20.0.21:40000", []string{"10.20.0.99"}, "10.20.0.21"},
		{"127.0.0.1:40000", nil, "127.0.0.1"},
		{"127.0.0.1:40000", []string{"10.20.0.99"}, "10.20.0.99"},
		{"127.0.0.77:40000", []string{"127.0.0.21"}, "127.0.0.21"},
		{"127.0.0.1:40000", []string{"1.2.3.4, 10.20.0.99"}, "10.20.0.99"},
		{"127.0.0.1:40000", []string{"1.2.3.4", "10.20.0.99, 127.0.0.3"}, "10.20.0.99"},
		{"[::1]:40000", []string{"2001:db8::12"}, "2001:db8::12"},
		{"[::ffff:127.0.0.1]:40000", []string{"::ffff:10.20.0.99"}, "10.20.0.99"},
		{"[::ffff:10.20.0.21]:40000", nil, "10.20.0.21"},
	} {
		if got := sourceAddress(tt.remote, tt.forwarded); got != tt.want {
			t.Errorf("%s forwarded for %q: %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

func TestPathsAreDecodedExceptForReservedCharacters(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		ok       bool
	}{
		{"/v1/role/a/b", "/v1/role/a/b", true},
		{"/v1/role/%61%2Fb%3ac", "/v1/role/a%2Fb%3ac", true},
		{"/%E6%97%A5", "/日", true},
		{"/%20%22", `/ "`, true},
		{"/%zz", "/%zz", false},
		{"/%4", "/%4", false},
		{"/%ff", "/%ff", false},
	} {
		got, ok := decodeURI(tt.in)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s: %q %v, want %q %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestMalformedEscapeIsAnInternalError(t *testing.T) {
	r := httptest.NewRequest("GET", "/v1/resource/x", nil)
	r.RequestURI = "/v1/resource/%zz"
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	if w.Code != 500 || w.Body.String() != `{"result":false,"message":"Internal server error"}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestQueryIsReadLikeNode(t *testing.T) {
	got := parseQuery("a=1&b=x+y%20z&b=2&c&d=%E6%97%A5&e=%zz&f=1;g=2&&h=%ff")
	want := query{"a": {"1"}, "b": {"x y z", "2"}, "c": {""}, "d": {"日"}, "e": {"%zz"}, "f": {"1;g=2"}, "h": {"\uFFFD"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.get("a") != "1" || got.get("b") != "" || got.get("nosuch") != "" {
		t.Error("one given twice must count as absent")
	}
	for arg, port := range map[string]int{"8031": 8031, "": 0, "abc": 0, "-1": 0} {
		if p := (query{"port": {arg}}).port(); p != port {
			t.Errorf("port %q is %d", arg, p)
		}
	}
}

func TestETagIsTheRecordedOneForTheRecordedBodies(t *testing.T) {
	for body, want := range map[string]string{
		`{"version":["v1"]}`:             `W/"12-xJAXDxNN6dHZloyDSOYZx3NAvM0"`,
		`{"result":true,"message":null}`: `W/"1e-76ytJ67rlNiryno+8dHo7N0G2f0"`,
		methodTable():                    `W/"359-RT1FNfi22vUO4Z2rLE7gkWlfqBs"`,
		`{"result":false,"message":"Internal server error"}`: `W/"32-x8PWE4TscXAfH6QR8rzvAH33Q6Y"`,
	} {
		if got := etag([]byte(body)); got != want {
			t.Errorf("%.40s: %s, want %s", body, got, want)
		}
	}
}

func TestAddressesByK2HR3sOwnSyntax(t *testing.T) {
	for addr, want := range map[string]bool{
		"10.20.0.21": true, "010.1.1.1": false, "10.1.1.256": false, "10.1.1": false, "foo": false,
		"2001:db8::1": true, "2001:db8::12": false, "fe80::1%eth0": false, "": false,
	} {
		if isIP(addr) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
}

func TestAHostWithALongIPv6AddressCannotLeave(t *testing.T) {
	s := New()
	c := s.AddCluster("shop", "orders")
	role := "/v1/role/" + c.SlaveRole() + "?cuk=i-six"
	token := c.RoleToken("slave", 0)
	for _, step := range []struct {
		method, token string
		want          int
	}{{"PUT", token, 201}, {"HEAD", "", 204}, {"DELETE", "", 204}, {"HEAD", "", 204}} {
		header := []string{}
		if step.token != "" {
			header = []string{"X-Auth-Token", "R=" + step.token}
		}
		if res, _ := ask(t, s, step.method, role, "[2001:db8::12]", header...); res.StatusCode != step.want {
			t.Errorf("%s: %s, want %d", step.method, res.Status, step.want)
		}
	}
}

func TestTokensExpireByTheGivenClock(t *testing.T) {
	now := time.Date(2025, 2, 3, 9, 0, 0, 0, time.UTC)
	s := New(WithClock(func() time.Time { return now }))
	c := s.AddCluster("shop", "orders")
	token := c.RoleToken("slave", time.Hour)
	forever := c.RoleToken("slave", 0)
	status := func(token string) int {
		res, _ := ask(t, s, "HEAD", "/v1/role/"+c.SlaveRole(), "10.20.0.21", "X-Auth-Token", "R="+token)
		return res.StatusCode
	}
	if got := status(token); got != 204 {
		t.Errorf("fresh: %d", got)
	}
	now = now.Add(time.Hour)
	if got := status(token); got != 401 {
		t.Errorf("after its time: %d", got)
	}
	now = now.Add(5 * 365 * 24 * time.Hour)
	if got := status(forever); got != 204 {
		t.Errorf("one without expiry after five years: %d", got)
	}
}

func TestPostRegistersLikePut(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		members    []Host
	}{
		{"a host", `{"host":{"cuk":"i-app-1","extra":"openstack-auto-v1","tag":"app-1","port":8031}}`, 201,
			[]Host{{Addr: "10.20.0.21", Port: 8031, CUK: "i-app-1", Extra: openstackExtra, Tag: "app-1"}}},
		{"a host without anything", `{"host":{}}`, 201, []Host{{Addr: "10.20.0.21"}}},
		{"no hosts", `{"host":[]}`, 201, []Host{}},
		{"no host at all", `{}`, 400, []Host{}},
		{"not JSON", `{"host":`, 400, []Host{}},
		{"a numeric tag", `{"host":{"cuk":"i-app-1","tag":"12345"}}`, 400, []Host{}},
		{"another address", `{"host":{"host":"10.9.9.9","cuk":"x"}}`, 201, []Host{{Addr: "10.9.9.9", CUK: "x"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			c := s.AddCluster("shop", "orders")
			r := httptest.NewRequest("POST", "/v1/role/"+c.SlaveRole(), strings.NewReader(tt.body))
			r.RemoteAddr = "10.20.0.21:40000"
			r.Header.Set("X-Auth-Token", "R="+c.RoleToken("slave", 0))
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.members, c.Slaves()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
