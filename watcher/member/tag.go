package member

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// lookupLimit bounds the name lookups for one tag.
const lookupLimit = 5 * time.Second

// HostName returns the full name of this host, and whether that resolves to one
// of its addresses. It takes five seconds at most.
func HostName(ctx context.Context) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	name, err := fullName(ctx)
	return name, err == nil && resolvesHere(ctx, name)
}

// fullName is found as K2HR3's own init script finds it (spec k2hr3 F.1): the
// host name with the resolver's search domain, else its domain, else the one
// the host's canonical name has; without any of them the canonical name.
func fullName(ctx context.Context) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	domain := ""
	if conf, err := os.Open("/etc/resolv.conf"); err == nil {
		domain = resolverDomain(conf)
		conf.Close()
	}
	canonical := ""
	if domain == "" {
		canonical, _ = net.DefaultResolver.LookupCNAME(ctx, host)
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

// resolverDomain returns the last word of the search line of a resolv.conf,
// or the domain of its domain line.
func resolverDomain(r io.Reader) string {
	var search, domain string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "search":
			search = words[len(words)-1]
		case "domain":
			domain = words[len(words)-1]
		}
	}
	if search == "" {
		search = domain
	}
	return strings.Trim(search, ".")
}

func resolvesHere(ctx context.Context, name string) bool {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range own {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		for _, f := range found {
			if f.Unmap() == p.Addr().Unmap() {
				return true
			}
		}
	}
	return false
}
