package host

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
)

// FullName returns the full name of this host, and whether that resolves to one of its
// addresses. It takes [chmpx.LookupLimit] at most.
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
	names, err := resolver()
	if err != nil {
		return false
	}
	found, err := names.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return false
	}
	own, err := addresses()
	return err == nil && slices.ContainsFunc(own, func(a netip.Addr) bool {
		return slices.ContainsFunc(found, func(f netip.Addr) bool { return f.Unmap() == a.Unmap() })
	})
}
