package k2hr3

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// network is a network in virtual time.
type network struct {
	mu      sync.Mutex
	hosts   map[string]reach // by address
	names   map[string]reach // of a name in one family: "ip4", "ip6"
	open    int
	dialled []string
}

// reach is how long something takes, and what comes of it. The zero reach is right at once.
type reach struct {
	after time.Duration
	err   error
	addrs []string // of a name
}

var (
	silent = reach{after: time.Hour, err: errors.New("this comes too late")}
	shut   = reach{err: syscall.ECONNREFUSED}
	gone   = reach{err: &net.DNSError{Err: "no such host", Name: "k2hr3.example", IsNotFound: true}}
)

// wait waits as a dialler or resolver does.
func (r reach) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return timeoutError{}
		}
		return ctx.Err()
	case <-time.After(r.after):
		return r.err
	}
}

func (n *network) get(m map[string]reach, key string) reach {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r, ok := m[key]; ok {
		return r
	}
	return shut
}

func (n *network) connect(ctx context.Context, kind, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	n.mu.Lock()
	n.dialled = append(n.dialled, host)
	n.mu.Unlock()
	if err := n.get(n.hosts, host).wait(ctx); err != nil {
		return nil, &net.OpError{Op: "dial", Net: kind, Addr: &net.IPAddr{IP: net.ParseIP(host)}, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open++
	return &netConn{n: n, host: host}, nil
}

func (n *network) lookup(ctx context.Context, kind, _ string) ([]netip.Addr, error) {
	r := n.get(n.names, kind)
	if err := r.wait(ctx); err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range r.addrs {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

// netConn is a connection that knows where it leads.
type netConn struct {
	net.Conn
	n    *network
	host string
}

func (c *netConn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.n.open--
	return nil
}

func (n *network) dialer(from netip.Addr) *dialer {
	d := newDialer(from)
	d.connect, d.lookup = n.connect, n.lookup
	return d
}

// dial dials, and returns where that led and how long it took.
func (n *network) dial(t *testing.T, d *dialer) (where string, took time.Duration, err error) {
	t.Helper()
	start := time.Now()
	conn, err := d.DialContext(t.Context(), "tcp", "k2hr3.example:443")
	took = time.Since(start)
	synctest.Wait()
	if err != nil {
		if n.open != 0 {
			t.Errorf("%d connections are open", n.open)
		}
		return "", took, err
	}
	if n.open != 1 {
		t.Errorf("%d connections are open, want the one that is returned", n.open)
	}
	conn.Close()
	return conn.(*netConn).host, took, nil
}

func named(addrs ...string) reach { return reach{addrs: addrs} }

func TestTheFirstAddressThatAnswersIsTaken(t *testing.T) {
	const a, b, c, d, six = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "2001:db8::1"
	ok := reach{}
	for name, tt := range map[string]struct {
		names, hosts map[string]reach
		want         string
		took         time.Duration
	}{
		"both families are fine":        {map[string]reach{"ip4": named(a), "ip6": named(six)}, map[string]reach{a: ok, six: ok}, a, 0},
		"IPv4 loses a packet":           {map[string]reach{"ip4": named(a), "ip6": named(six)}, map[string]reach{a: {after: 1200 * time.Millisecond}, six: ok}, a, 1200 * time.Millisecond},
		"IPv4 is silent":                {map[string]reach{"ip4": named(a), "ip6": named(six)}, map[string]reach{a: silent, six: ok}, six, headStart},
		"two IPv4 are silent":           {map[string]reach{"ip4": named(a, b), "ip6": named(six)}, map[string]reach{a: silent, b: silent, six: ok}, six, headStart},
		"IPv4 is shut":                  {map[string]reach{"ip4": named(a), "ip6": named(six)}, map[string]reach{a: shut, six: ok}, six, 0},
		"IPv4 is shut after a while":    {map[string]reach{"ip4": named(a), "ip6": named(six)}, map[string]reach{a: {after: time.Second, err: syscall.EHOSTUNREACH}, six: ok}, six, time.Second},
		"IPv6 is silent":                {map[string]reach{"ip4": named(a), "ip6": named(six)}, map[string]reach{a: ok, six: silent}, a, 0},
		"no A record":                   {map[string]reach{"ip4": gone, "ip6": named(six)}, map[string]reach{six: ok}, six, 0},
		"no AAAA record":                {map[string]reach{"ip4": named(a), "ip6": gone}, map[string]reach{a: ok}, a, 0},
		"nobody answers for AAAA":       {map[string]reach{"ip4": named(a), "ip6": silent}, map[string]reach{a: ok}, a, 0},
		"nobody answers for A":          {map[string]reach{"ip4": silent, "ip6": named(six)}, map[string]reach{six: ok}, six, headStart},
		"the name service is slow":      {map[string]reach{"ip4": {after: 400 * time.Millisecond, addrs: []string{a}}, "ip6": named(six)}, map[string]reach{a: ok, six: ok}, a, 400 * time.Millisecond},
		"the first of two A is silent":  {map[string]reach{"ip4": named(a, b), "ip6": gone}, map[string]reach{a: silent, b: ok}, b, nextAddress},
		"the first of two A is shut":    {map[string]reach{"ip4": named(a, b), "ip6": gone}, map[string]reach{a: shut, b: ok}, b, 0},
		"the first three are silent":    {map[string]reach{"ip4": named(a, b, c, d), "ip6": named(six)}, map[string]reach{a: silent, b: silent, c: silent, d: ok, six: ok}, d, 3 * nextAddress},
		"the first of two A is slow":    {map[string]reach{"ip4": named(a, b), "ip6": gone}, map[string]reach{a: {after: 300 * time.Millisecond}, b: {after: 300 * time.Millisecond}}, a, 300 * time.Millisecond},
		"the first of two AAAA is dead": {map[string]reach{"ip4": gone, "ip6": named("2001:db8::2", six)}, map[string]reach{"2001:db8::2": silent, six: ok}, six, nextAddress},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{names: tt.names, hosts: tt.hosts}
				where, took, err := n.dial(t, n.dialer(netip.Addr{}))
				if where != tt.want || took != tt.took || err != nil {
					t.Errorf("%s after %v (%v), want %s after %v", where, took, err, tt.want, tt.took)
				}
			})
		})
	}
}

func TestTheFamilyThatWorksIsKept(t *testing.T) {
	const four, six = "10.0.0.1", "2001:db8::1"
	ok := reach{}
	type step struct {
		four, six reach
		want      string
		took      time.Duration
	}
	slow := func(d time.Duration) reach { return reach{after: d} }
	for name, steps := range map[string][]step{
		"IPv6, though IPv4 comes back":         {{silent, ok, six, headStart}, {ok, ok, six, 0}, {ok, slow(3 * time.Second), six, 3 * time.Second}, {ok, ok, six, 0}},
		"IPv6, until it is silent":             {{silent, ok, six, headStart}, {ok, silent, four, loyalty}, {ok, ok, four, 0}},
		"IPv6, until it is shut":               {{shut, ok, six, 0}, {ok, shut, four, 0}, {ok, ok, four, 0}},
		"IPv4, though it loses two packets":    {{ok, ok, four, 0}, {slow(3100 * time.Millisecond), ok, four, 3100 * time.Millisecond}},
		"IPv4, until it is silent":             {{ok, ok, four, 0}, {silent, ok, six, loyalty}, {ok, ok, six, 0}},
		"IPv4, until there is no route":        {{ok, ok, four, 0}, {reach{err: syscall.ENETUNREACH}, ok, six, 0}},
		"IPv4 through an outage of everything": {{ok, ok, four, 0}, {silent, silent, "", dialTimeout}, {shut, shut, "", 0}, {ok, ok, four, 0}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{names: map[string]reach{"ip4": named(four), "ip6": named(six)}}
				d := n.dialer(netip.Addr{})
				for i, s := range steps {
					n.hosts = map[string]reach{four: s.four, six: s.six}
					where, took, err := n.dial(t, d)
					if where != s.want || took != s.took || (err == nil) != (s.want != "") {
						t.Errorf("%d: %s after %v (%v), want %s after %v", i, where, took, err, s.want, s.took)
					}
				}
			})
		})
	}
}

func TestWhatNobodyAnswersIsAnErrorOfTheFirstAddress(t *testing.T) {
	const a, b, six = "10.0.0.1", "10.0.0.2", "2001:db8::1"
	for name, tt := range map[string]struct {
		names, hosts map[string]reach
		want         string
		timeout      bool
		took         time.Duration
	}{
		"silent":             {map[string]reach{"ip4": named(a, b), "ip6": named(six)}, map[string]reach{a: silent, b: silent, six: silent}, a, true, dialTimeout},
		"shut":               {map[string]reach{"ip4": named(a, b), "ip6": named(six)}, nil, a, false, 0},
		"no address at all":  {map[string]reach{"ip4": gone, "ip6": gone}, nil, "no such host", false, 0},
		"an empty answer":    {map[string]reach{"ip4": {}, "ip6": {}}, nil, "no IPv6 address", false, 0},
		"IPv6 alone is shut": {map[string]reach{"ip4": gone, "ip6": named(six)}, nil, six, false, 0},
		"no name service":    {map[string]reach{"ip4": silent, "ip6": silent}, nil, "", true, dialTimeout},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{names: tt.names, hosts: tt.hosts}
				_, took, err := n.dial(t, n.dialer(netip.Addr{}))
				if err == nil || !strings.Contains(err.Error(), tt.want) || isTimeout(err) != tt.timeout || took != tt.took {
					t.Errorf("%v after %v, want %s after %v", err, took, tt.want, tt.took)
				}
			})
		})
	}
}

func TestDiallingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: map[string]reach{"ip4": named("10.0.0.1", "10.0.0.2"), "ip6": silent},
			hosts: map[string]reach{"10.0.0.1": silent, "10.0.0.2": silent}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(700*time.Millisecond, cancel)
		start := time.Now()
		_, err := n.dialer(netip.Addr{}).DialContext(ctx, "tcp", "k2hr3.example:80")
		if !errors.Is(err, context.Canceled) || time.Since(start) != 700*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestAnAddressToConnectFromDecidesTheFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for from, want := range map[string]string{"10.9.9.9": "10.0.0.1", "2001:db8::9": "2001:db8::1"} {
			n := &network{names: map[string]reach{"ip4": named("10.0.0.1"), "ip6": named("2001:db8::1")},
				hosts: map[string]reach{"10.0.0.1": {after: 5 * time.Second}, "2001:db8::1": {after: 5 * time.Second}}}
			where, _, err := n.dial(t, n.dialer(netip.MustParseAddr(from)))
			if where != want || err != nil || len(n.dialled) != 1 {
				t.Errorf("from %s: %s, %v; dialled %v", from, where, err, n.dialled)
			}
		}
	})
}

func TestAnAddressInPlaceOfANameIsNotLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, literal := range []string{"10.0.0.1", "2001:db8::1", "fe80::1%eth0"} {
			n := &network{hosts: map[string]reach{literal: {}}}
			conn, err := n.dialer(netip.Addr{}).DialContext(t.Context(), "tcp", net.JoinHostPort(literal, "80"))
			if err != nil || conn.(*netConn).host != literal {
				t.Errorf("%s: %v", literal, err)
			}
		}
	})
}

// The host tells itself by the address that K2HR3 sees.
func TestTheLocalAddressIsThatOfTheFamilyThatWorks(t *testing.T) {
	d := newDialer(netip.Addr{})
	d.lookup = func(_ context.Context, network, _ string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr(map[string]string{"ip4": "127.0.0.1", "ip6": "::1"}[network])}, nil
	}
	for _, f := range []family{"", ipv4, ipv6} {
		want := "127.0.0.1"
		if f == ipv6 {
			want = "::1"
		}
		if f != "" {
			d.works.Store(&f)
		}
		got, err := d.localAddress(t.Context(), "k2hr3.example:80")
		if err != nil && f == ipv6 {
			t.Skipf("no IPv6 here: %v", err)
		}
		if got.String() != want {
			t.Errorf("IPv%s works: %v, %v", f, got, err)
		}
	}
}

// A connection that takes its time is not a slow K2HR3: a slow no would be disbelieved.
func TestConnectingIsNotK2HR3sTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.cluster.AddSlave(vm, ownCUK, host.Tag)
		slow := s.transport.DialContext
		s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(9 * time.Second)
			return slow(ctx, network, addr)
		}
		start := time.Now()
		is, took, err := s.client.IsMember(t.Context(), s.role, cuk)
		if !is || err != nil || took != 0 || time.Since(start) != 9*time.Second {
			t.Errorf("%v, %v; K2HR3 took %v of %v", is, err, took, time.Since(start))
		}
		if got, err := s.client.Resource(t.Context(), s.byAddress()); err != nil || got.Took != 0 {
			t.Errorf("%v; K2HR3 took %v", err, got.Took)
		}
	})
}
