package chmpx

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// Host is what chmpx knows, or asks, about the machine it runs on (docs/chmpx.md C.3).
// The zero value is a host without names, addresses and name service.
type Host struct {
	// Name is the kernel's host name.
	Name string
	// FullName is Name if a DNS query for it has an answer, else "".
	FullName string
	// Names are the names chmpx takes for its own: FullName, and those the
	// addresses of Name resolve back to.
	Names []string
	// Addrs are the addresses of all interfaces, loopback included, without zone.
	Addrs []string
	// Lookup returns all names and addresses a name or an address stands for. A
	// *net.DNSError with IsNotFound means there are none; after any other error
	// it counts as not known. It must be safe for concurrent use. nil: nothing
	// can be resolved.
	Lookup func(ctx context.Context, name string) ([]string, error)
	// Paths tells what stands at a path of a TLS key; nil asks the file system.
	Paths func(path string) PathKind
}

// lookupTimeout bounds all lookups of one judgement together.
const lookupTimeout = 5 * time.Second

// LocalHost describes the machine we run on, as chmpx would see it if it
// started now. It asks the name service about the machine's own name, for at
// most five seconds; without an answer the host just has fewer names. An error
// means that the interfaces or the host name can't be read.
func LocalHost(ctx context.Context) (Host, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	h := Host{Lookup: resolve}
	var err error
	if h.Addrs, err = interfaceAddrs(); err != nil {
		return h, err
	}
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
			continue // chmpx leaves a bare kernel name out that only the hosts file knows
		}
		if !slices.Contains(h.Names, name) {
			h.Names = append(h.Names, name)
		}
	}
	return h, nil
}

func interfaceAddrs() ([]string, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, a := range list {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		addr := prefix.Addr().WithZone("")
		addrs = append(addrs, addr.String())
		if addr.Is4In6() {
			addrs = append(addrs, addr.Unmap().String())
		}
	}
	return addrs, nil
}

// reverseNames are the names the addresses of name resolve back to.
func reverseNames(ctx context.Context, name string) []string {
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return nil
	}
	var names []string
	for _, a := range addrs {
		if name, err := reverse(ctx, a); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// resolve is the Lookup of LocalHost: forward, and back for each address.
func resolve(ctx context.Context, name string) ([]string, error) {
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(addrs)
	for _, a := range addrs {
		if i := strings.IndexByte(a, '%'); i >= 0 {
			all = append(all, a[:i])
		}
		switch name, err := reverse(ctx, a); {
		case err == nil:
			all = append(all, name)
		case !notFound(err):
			return all, err
		}
	}
	return all, nil
}

// reverse is the name of an address. Like chmpx, which asks getnameinfo, it
// takes the first one and no aliases of a line in the hosts file.
func reverse(ctx context.Context, addr string) (string, error) {
	names, err := net.DefaultResolver.LookupAddr(ctx, addr)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", &net.DNSError{Err: "no name", Name: addr, IsNotFound: true}
	}
	return strings.TrimSuffix(names[0], "."), nil
}

// notFound reports a definite "there is no such name".
func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
