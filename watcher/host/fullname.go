package host

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
)

// FullName returns the full name of this host, and whether that resolves to one of its addresses
// other than the loopback's: what is only the loopback here may be another host to others. It takes
// [chmpx.LookupLimit] at most.
func FullName(ctx context.Context) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, chmpx.LookupLimit)
	defer cancel()
	name, err := fullName(ctx)
	return name, err == nil && resolvesHere(ctx, name)
}

// fullName finds the name as K2HR3's own init script does (docs/k2hr3.md F.1): the host name with
// the resolver's search domain, else its domain, else that of the host's canonical name; without
// any of them the canonical name.
func fullName(ctx context.Context) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	domain := readResolvConf().domain
	canonical := ""
	if names, err := resolver(); err == nil && domain == "" {
		canonical, _ = names.LookupCNAME(ctx, host)
	}
	return join(host, domain, canonical), nil
}

func join(host, domain, canonical string) string {
	canonical = strings.TrimSuffix(canonical, ".")
	if domain == "" {
		_, domain, _ = strings.Cut(canonical, ".")
	}
	name := host + "." + domain
	if domain == "" {
		name = canonical
	}
	if name == "" {
		name = host
	}
	return strings.TrimSuffix(strings.ReplaceAll(name, "..", "."), ".")
}

func resolvesHere(ctx context.Context, name string) bool {
	found, err := lookup(ctx, name)
	return err == nil && isOwn(found)
}

func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	names, err := resolver()
	if err != nil {
		return nil, err
	}
	return names.LookupNetIP(ctx, "ip", name)
}

// isOwn reports whether one of the addresses that were found is one of this host's.
func isOwn(found []netip.Addr) bool {
	own, err := addresses()
	return err == nil && slices.ContainsFunc(own, func(a netip.Addr) bool {
		a = a.Unmap()
		return !a.IsLoopback() && slices.ContainsFunc(found, func(f netip.Addr) bool { return f.Unmap() == a })
	})
}

// MayBeNamed reports whether name may be this host's still, which it was before. It is as long as
// the host is called so, whatever the name service says: that may be wrong for a moment. Else it is
// if it resolves to an address of this host's, or if nobody can tell.
func MayBeNamed(ctx context.Context, name string) bool {
	host, err := os.Hostname()
	if err != nil || firstLabel(host) == firstLabel(name) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, chmpx.LookupLimit)
	defer cancel()
	found, err := lookup(ctx, name)
	if err != nil {
		return !chmpx.NotFound(err)
	}
	return isOwn(found)
}

func firstLabel(name string) string {
	first, _, _ := strings.Cut(strings.ToLower(name), ".")
	return first
}
