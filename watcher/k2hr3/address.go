package k2hr3

import (
	"context"
	"net"
	"net/netip"
	"net/url"
)

// LocalAddress returns the address this host reaches K2HR3 from, as its routing
// has it now. K2HR3 may be reached over IPv4 and IPv6; then it is the one that the
// last exchange went by, and before the first exchange that of IPv4. Nothing is
// sent, except that names are resolved. Where a proxy stands between, it is the
// address towards the proxy; K2HR3 then sees the proxy's, and knows its hosts by
// their CUKs alone. The same holds behind NAT.
func (c *Client) LocalAddress(ctx context.Context) (netip.Addr, error) {
	target := c.api
	if proxy := proxyOf(c.api); proxy != nil {
		target = proxy
	}
	addr, err := c.dial.localAddress(ctx, net.JoinHostPort(target.Hostname(), port(target)))
	if err != nil {
		return netip.Addr{}, c.failed(ctx, "find this host's address towards K2HR3", answer{}, err)
	}
	return addr, nil
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
