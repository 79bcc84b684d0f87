package k2hr3

import (
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

func TestWhereRequestsComeFrom(t *testing.T) {
	for name, tt := range map[string]struct {
		at   string
		from netip.Addr
		want string
	}{
		"the address given":            {"127.0.0.1:0", netip.MustParseAddr("127.0.0.9"), "127.0.0.9"},
		"IPv6, where there is no IPv4": {"[::1]:0", netip.Addr{}, "::1"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", tt.at)
			if err != nil {
				t.Skipf("cannot listen on %s here: %v", tt.at, err)
			}
			from := make(chan string, 1)
			s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				host, _, _ := net.SplitHostPort(r.RemoteAddr)
				from <- host
				pong(w, r)
			})}}
			s.Start()
			t.Cleanup(s.Close)
			c := newClient(t, Config{API: must(ParseAPI(s.URL)), From: tt.from})
			noError(t, c.Ping(t.Context()))
			if got := <-from; got != tt.want {
				t.Errorf("came from %s", got)
			}
			if addr, err := c.LocalAddress(t.Context()); !tt.from.IsValid() && (err != nil || addr.String() != tt.want) {
				t.Errorf("local address %v, %v", addr, err)
			}
		})
	}
}
