package host

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/render/regularfile"
)

// Look describes this machine as chmpx would see it if it started now. It asks the name service
// for the machine's own name, for [chmpx.LookupLimit] at most; without an answer the host has
// fewer names. An error means that the interfaces or the host name cannot be read.
func Look(ctx context.Context) (chmpx.Host, error) {
	ctx, cancel := context.WithTimeout(ctx, chmpx.LookupLimit)
	defer cancel()
	h := chmpx.Host{Lookup: resolve}
	own, err := addresses()
	if err != nil {
		return h, err
	}
	h.Addrs = asText(own)
	if h.Name, err = os.Hostname(); err != nil {
		return h, err
	}
	asked := make(chan bool, 1)
	go func() { asked <- inDNS(ctx, h.Name) }()
	names := reverseNames(ctx, h.Name)
	if <-asked {
		h.FullName = h.Name
		h.Names = append(h.Names, h.Name)
	}
	for _, name := range names {
		if name == h.Name && h.FullName == "" {
			continue // chmpx ignores a bare kernel name that only the hosts file knows
		}
		if !slices.Contains(h.Names, name) {
			h.Names = append(h.Names, name)
		}
	}
	return h, nil
}

// reverseNames are the names the addresses of name resolve back to.
func reverseNames(ctx context.Context, name string) []string {
	r, err := resolver()
	if err != nil {
		return nil
	}
	addrs, err := r.LookupHost(ctx, name)
	if err != nil {
		return nil
	}
	var names []string
	for _, a := range addrs {
		if name, err := reverse(ctx, r, a); err == nil && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// resolve is the Lookup of [Look]: forward, and back for each address.
func resolve(ctx context.Context, name string) ([]string, error) {
	r, err := resolver()
	if err != nil {
		return nil, err
	}
	addrs, err := r.LookupHost(ctx, name)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(addrs)
	for _, a := range addrs {
		if i := strings.IndexByte(a, '%'); i >= 0 {
			all = append(all, a[:i])
		}
		name, err := reverse(ctx, r, a)
		if err != nil {
			return all, err
		}
		if name != "" {
			all = append(all, name)
		}
	}
	return all, nil
}

// reverse returns the name of an address, empty if it has none. Like chmpx, which asks
// getnameinfo, it takes the first one and no aliases of a line in the hosts file.
func reverse(ctx context.Context, r *net.Resolver, addr string) (string, error) {
	names, err := r.LookupAddr(ctx, addr)
	switch {
	case chmpx.NotFound(err), err == nil && len(names) == 0:
		return "", nil
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(names[0], "."), nil
}

// resolver returns what asks the name service, or the error that it would hang on one of its files.
func resolver() (*net.Resolver, error) { return net.DefaultResolver, regularfile.CheckNames() }

// addresses returns the addresses of all interfaces, loopback included.
func addresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, prefix.Addr().WithZone(""))
		}
	}
	return addrs, nil
}

// asText writes addresses as a file may name them: one of IPv4 within IPv6 in both ways.
func asText(addrs []netip.Addr) []string {
	var texts []string
	for _, addr := range addrs {
		texts = append(texts, addr.String())
		if addr.Is4In6() {
			texts = append(texts, addr.Unmap().String())
		}
	}
	return texts
}
