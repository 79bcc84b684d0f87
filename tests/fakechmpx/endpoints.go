package fakechmpx

import (
	"net/netip"
	"regexp"
	"strings"
)

// endpoints reads a comma list of host[:port]; entries that are neither are
// skipped. How many of them chmpx uses does not matter to a load.
func endpoints(s string, normal int) []HostPort {
	var list []HostPort
	for element := range strings.SplitSeq(s, ",") {
		if e, ok := hostPort(trim(element), normal); ok {
			list = append(list, e)
		}
	}
	return list
}

// peers reads a comma list of hosts. A load keeps their ports, and compares them.
func peers(s string) []HostPort { return endpoints(s, noPort) }

// What chmpx takes for a host. Any hexadecimal numbers with colons between them
// are an IPv6 address to it, so that "a:1" and ":1" are; and a name has at least
// one letter.
var (
	colons = regexp.MustCompile(`^([[:xdigit:]]{0,4}:){1,7}[[:xdigit:]]{0,4}$|^([[:xdigit:]]{0,4}:){1,6}(\d+\.){3}\d+$`)
	named  = regexp.MustCompile(`^[\w.-]*[A-Za-z][\w.-]*$|^(\d+\.){3}\d+$`)
)

func hostPort(s string, normal int) (HostPort, bool) {
	if zoned, _, cut := strings.Cut(s, "%"); cut && colons.MatchString(zoned) {
		s = zoned
	}
	if colons.MatchString(s) {
		return HostPort{plainAddr(s), normal}, true
	}
	if named.MatchString(s) {
		return HostPort{s, normal}, true
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || !digits(s[i+1:]) {
		return HostPort{}, false
	}
	host := s[:i]
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if !named.MatchString(host) && !colons.MatchString(bare) {
		return HostPort{}, false
	}
	return HostPort{plainAddr(bare), port(s[i+1:])}, true
}

// plainAddr takes an IPv4 address out of its IPv6 notation.
func plainAddr(s string) string {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Is4In6() {
		return addr.Unmap().String()
	}
	return s
}
