package k2hr3

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/render/regularfile"
)

// How long an address is tried alone (RFC 8305, 5). Whoever connects first wins.
const (
	// nextAddress: before another one of the same family is tried besides.
	nextAddress = 250 * time.Millisecond

	// headStart: before IPv6 is tried besides IPv4. It is longer than an IPv4 takes that loses its
	// first packet, which is sent again after a second.
	headStart = 1500 * time.Millisecond

	// loyalty: before the family that did not work last is tried besides the one that did, which
	// may lose its second packet too.
	loyalty = 4 * time.Second
)

// dialer connects to K2HR3, over IPv4 where that is possible: K2HR3 registers a host under the
// address it sees, and most IPv6 addresses it can register but never remove (docs/k2hr3.md C.5). It
// stays with the family that works, as K2HR3 knows the host by its address (docs/k2hr3.md B.2).
type dialer struct {
	from    netip.Addr // to connect from; zero: the routing decides
	works   atomic.Pointer[family]
	connect func(ctx context.Context, network, address string) (net.Conn, error) // to one address
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// family is a family of addresses, as it ends the name of a network.
type family string

const (
	ipv4 family = "4"
	ipv6 family = "6"
)

func newDialer(from netip.Addr) *dialer {
	tcp := &net.Dialer{KeepAlive: 15 * time.Second}
	if from.IsValid() {
		tcp.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return &dialer{
		from:    from,
		connect: tcp.DialContext,
		lookup: func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			if err := regularfile.CheckNames(); err != nil {
				return nil, err // the resolver would hang on one of its files
			}
			return net.DefaultResolver.LookupNetIP(ctx, network, host)
		},
	}
}

// DialContext connects to a host and port by TCP. It returns within dialTimeout.
func (d *dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	families, alone := d.order()
	var attempts []attempt
	for _, f := range families {
		attempts = append(attempts, d.over(f, address))
	}
	conn, i, errs := race(ctx, alone, attempts)
	if conn != nil {
		d.works.Store(&families[i])
		return conn, nil
	}
	return nil, worst(errs)
}

// worst is the error that tells the most: a host without an address of a family is not at fault.
func worst(errs []error) error {
	for _, err := range errs {
		if !noAddress(err) {
			return err
		}
	}
	return errs[len(errs)-1]
}

// order returns the families to try, and for how long the first one is tried alone.
func (d *dialer) order() (families []family, alone time.Duration) {
	works := d.works.Load()
	switch {
	case d.from.Unmap().Is4():
		return []family{ipv4}, 0
	case d.from.Is6():
		return []family{ipv6}, 0
	case works == nil:
		return []family{ipv4, ipv6}, headStart
	case *works == ipv4:
		return []family{ipv4, ipv6}, loyalty
	}
	return []family{ipv6, ipv4}, loyalty
}

// over is an attempt over one family, whose addresses it looks up by itself: a name service that
// has no answer for one family keeps nobody from the other.
func (d *dialer) over(f family, address string) attempt {
	network := "tcp" + string(f)
	return func(ctx context.Context) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		addrs, err := d.addresses(ctx, f, host)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		var attempts []attempt
		for _, addr := range addrs {
			at := net.JoinHostPort(addr.String(), port)
			attempts = append(attempts, func(ctx context.Context) (net.Conn, error) { return d.connect(ctx, network, at) })
		}
		conn, _, errs := race(ctx, nextAddress, attempts)
		if conn == nil {
			return nil, errs[0]
		}
		return conn, nil
	}
}

// addresses are those of a host in one family, at least one.
func (d *dialer) addresses(ctx context.Context, f family, host string) ([]netip.Addr, error) {
	none := &net.AddrError{Err: "no IPv" + string(f) + " address", Addr: host}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Unmap().Is4() != (f == ipv4) {
			return nil, none
		}
		return []netip.Addr{addr.Unmap()}, nil
	}
	addrs, err := d.lookup(ctx, "ip"+string(f), host)
	if err == nil && len(addrs) == 0 {
		err = none
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// localAddress returns the address that the routing has for connections to address, over the family
// that works or, as long as none has, over IPv4 where there is a route. Nothing is sent but
// questions to the name service.
func (d *dialer) localAddress(ctx context.Context, address string) (netip.Addr, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.Addr{}, err
	}
	families, _ := d.order()
	errs := make([]error, len(families))
	for i, f := range families {
		var local netip.Addr
		if local, errs[i] = d.towards(ctx, f, host, port); errs[i] == nil {
			return local, nil
		}
	}
	return netip.Addr{}, worst(errs)
}

// towards returns the address that the routing has for connections to a host over one family.
func (d *dialer) towards(ctx context.Context, f family, host, port string) (netip.Addr, error) {
	network := "udp" + string(f)
	addrs, err := d.addresses(ctx, f, host)
	if err != nil {
		return netip.Addr{}, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(addrs[0].String(), port))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return local.Addr().Unmap(), err
}

// attempt makes a connection. It ends with its context.
type attempt func(context.Context) (net.Conn, error)

// race makes attempts, of which there is at least one: each next one when the one before has had
// its time alone, or has failed. It returns the first connection, and closes what else comes of the
// others; or else the error of each.
func race(ctx context.Context, alone time.Duration, attempts []attempt) (conn net.Conn, winner int, errs []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
		of   int
	}
	results := make(chan result, len(attempts))
	begun, over := 0, 0
	next := time.NewTimer(0)
	defer next.Stop()
	errs = make([]error, len(attempts))
	for over < len(attempts) {
		select {
		case <-next.C:
			if begun < len(attempts) {
				of := begun
				go func() {
					conn, err := attempts[of](ctx)
					results <- result{conn, err, of}
				}()
				begun++
				next.Reset(alone)
			}
		case r := <-results:
			over++
			if r.err != nil {
				errs[r.of] = r.err
				next.Reset(0)
				continue
			}
			go func() {
				for ; over < begun; over++ {
					if r := <-results; r.err == nil {
						r.conn.Close()
					}
				}
			}()
			return r.conn, r.of, nil
		}
	}
	return nil, 0, errs
}

// noAddress reports whether what was dialled has no address of the family.
func noAddress(err error) bool {
	var addr *net.AddrError
	var dns *net.DNSError
	return errors.As(err, &addr) || errors.As(err, &dns) && dns.IsNotFound
}

// CanLeave reports whether K2HR3 could remove a host that it knows by addr. Its
// notion of an IPv6 address ends in a group of one digit; another one it takes
// for a host name when the host leaves, answers as if it had removed it, and
// keeps it for ever (docs/k2hr3.md C.5).
func CanLeave(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is4() {
		return true
	}
	text := addr.String()
	last := text[strings.LastIndexByte(text, ':')+1:]
	return addr.Zone() == "" && len(last) == 1
}
