package k2hr3

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// LocalAddress returns the address this host reaches K2HR3 from, as its routing
// has it now. Nothing is sent, except that names are resolved. Where a proxy
// stands between, it is the address towards the proxy; K2HR3 then sees the
// proxy's, and knows its hosts by their CUKs alone. The same holds behind NAT.
func (c *Client) LocalAddress(ctx context.Context) (netip.Addr, error) {
	const op = "find this host's address towards K2HR3"
	target := c.api
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.api}); err == nil && proxy != nil {
		target = proxy
	}
	d := c.dial
	d.LocalAddr = nil // a TCP address, if it is set, and not what is asked for
	conn, err := d.DialContext(ctx, "udp", net.JoinHostPort(target.Hostname(), port(target)))
	if err != nil {
		return netip.Addr{}, c.failed(ctx, op, answer{}, err)
	}
	defer conn.Close()
	addr, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, fmt.Errorf("%s: %v is no address", op, conn.LocalAddr())
	}
	return addr.AddrPort().Addr().Unmap(), nil
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
