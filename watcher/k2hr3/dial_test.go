package k2hr3

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestCanLeave(t *testing.T) {
	for text, want := range map[string]bool{
		"10.0.0.7": true, "::ffff:10.0.0.7": true, "2001:db8::1": true, "::1": true, "2001:db8:0:0:1:2:3:f": true,
		"2001:db8::12": false, "fe80::a00:27ff:fe4e:66a1": false, "fe80::1%eth0": false, "2001:db8::": false,
	} {
		if got := CanLeave(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// listen serves K2HR3's root on an address of loopback and tells where requests come from.
func listen(t *testing.T, address string) (api API, from <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("cannot listen on %s here: %v", address, err)
	}
	seen := make(chan string, 8)
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		seen <- host
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Write([]byte(`{"version":["v1"]}`))
	})}}
	s.Start()
	t.Cleanup(s.Close)
	api, err = ParseAPI("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return api, seen
}

func TestConnectsFromTheAddressGiven(t *testing.T) {
	api, from := listen(t, "127.0.0.1:0")
	c, err := New(Config{API: api, From: netip.MustParseAddr("127.0.0.9")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := <-from; got != "127.0.0.9" {
		t.Errorf("came from %s", got)
	}
}

func TestConnectsOverIPv6WhereThereIsNoIPv4(t *testing.T) {
	api, from := listen(t, "[::1]:0")
	c, err := New(Config{API: api})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := <-from; got != "::1" {
		t.Errorf("came from %s", got)
	}
	if addr, err := c.LocalAddress(context.Background()); err != nil || addr.String() != "::1" {
		t.Errorf("local address %v, %v", addr, err)
	}
}
