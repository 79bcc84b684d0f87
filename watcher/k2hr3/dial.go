package k2hr3

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"k2hdkc-slave-agent/render/regularfile"
)

// dialer connects to K2HR3, over IPv4 where that is possible: K2HR3 registers a
// host under the address it sees, and most IPv6 addresses it can register but
// never remove (docs/k2hr3.md C.5).
type dialer struct{ net.Dialer }

func newDialer(from netip.Addr) dialer {
	d := dialer{net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d
}

// DialContext tries "tcp4" before "tcp6", and so for "udp".
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := resolvable(address); err != nil {
		return nil, err
	}
	conn, err := d.Dialer.DialContext(ctx, network+"4", address)
	if err == nil || ctx.Err() != nil {
		return conn, err
	}
	conn, err6 := d.Dialer.DialContext(ctx, network+"6", address)
	if err6 == nil {
		return conn, nil
	}
	if noAddress(err) {
		return nil, err6
	}
	return nil, err
}

// resolvable returns the error that the resolver would hang on one of its files.
func resolvable(address string) error {
	if _, err := netip.ParseAddrPort(address); err == nil {
		return nil
	}
	return regularfile.CheckNames()
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
