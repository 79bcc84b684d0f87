package chmpx

import (
	"net/netip"
	"strings"
)

// maxHostPorts is how many elements of an end point or peer list chmpx uses.
const maxHostPorts = 4

// hostPorts reads a comma list of host[:port]. It skips elements that chmpx
// cannot read, as chmpx does, and counts them.
func hostPorts(list string, defaultPort int) (pairs []HostPort, skipped int) {
	if list == "" {
		return nil, 0
	}
	list = strings.TrimSuffix(list, ",")
	for one := range strings.SplitSeq(list, ",") {
		if hp, ok := hostPort(trimBlank(one), defaultPort); ok {
			pairs = append(pairs, hp)
		} else {
			skipped++
		}
	}
	return pairs, skipped
}

// hostPort reads one host, with or without a port, in the notations chmpx
// knows: host:port, and for IPv6 also [addr]:port, addr#port, "addr port port"
// and the like.
func hostPort(s string, defaultPort int) (HostPort, bool) {
	s = trimBlank(cutZone(s))
	if s == "" {
		return HostPort{}, false
	}
	if isIPv6(s) {
		return HostPort{unmap(s), defaultPort}, true
	}
	if i := strings.Index(s, " port "); i >= 0 {
		s = trimBlank(s[:i] + " " + s[i+len(" port "):])
	}
	host, digits, sep, split := splitPort(s)
	switch {
	case split && strings.IndexByte(host, ':') >= 0:
		if len(host) >= 2 && host[0] == '[' && host[len(host)-1] == ']' {
			host = trimBlank(host[1 : len(host)-1])
		}
		if isIPv6(host) {
			return HostPort{unmap(host), port(digits)}, true
		}
		return HostPort{}, false
	case split && sep == ':':
		return HostPort{host, port(digits)}, isIPv4(host) || isHostName(host)
	}
	return HostPort{s, defaultPort}, isIPv4(s) || isHostName(s)
}

// splitPort cuts trailing digits and the separator before them off s.
func splitPort(s string) (host, digits string, sep byte, ok bool) {
	i := len(strings.TrimRight(s, digits10))
	if i == len(s) || i < 2 || strings.IndexByte(`:#p(\.) `, s[i-1]) < 0 {
		return "", "", 0, false
	}
	return trimBlank(s[:i-1]), s[i:], s[i-1], true
}

// cutZone removes an IPv6 zone, but leaves a port behind it.
func cutZone(s string) string {
	i := strings.LastIndexByte(s, '%')
	if i < 0 {
		return s
	}
	rest := s[i:]
	if k := strings.IndexAny(rest, " #:.p"); k >= 0 {
		return s[:i] + rest[k:]
	}
	return s[:i]
}

// unmap turns an IPv4 address that is written as an IPv6 one into the plain one.
// chmpx goes by the prefix, and takes the last four bytes whatever they are.
func unmap(s string) string {
	if !strings.HasPrefix(s, "::ffff:") {
		return s
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return s
}

// isIPv6 is chmpx's own idea of an IPv6 address: up to seven colons between
// hexadecimal numbers, or up to six and an IPv4 address at the end.
func isIPv6(s string) bool {
	colons, periods, start := 0, 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != ':' && s[i] != '.' {
			continue
		}
		one := s[start:i]
		start = i + 1
		switch {
		case i == len(s):
			if one != "" && (periods == 0 && !isHex16(one) || periods > 0 && !isByte(one)) {
				return false
			}
		case s[i] == ':':
			if periods > 0 || one != "" && !isHex16(one) {
				return false
			}
			colons++
		default:
			if !isByte(one) {
				return false
			}
			periods++
		}
	}
	return periods == 0 && 0 < colons && colons < 8 || periods == 3 && 0 < colons && colons < 7
}

func isIPv4(s string) bool {
	parts := 0
	for one := range strings.SplitSeq(s, ".") {
		if !isByte(one) {
			return false
		}
		parts++
	}
	return parts == 4
}

// isByte reports a decimal number up to 255, leading zeros allowed.
func isByte(s string) bool {
	if !isDigits(s) {
		return false
	}
	s = strings.TrimLeft(s, "0")
	return len(s) <= 3 && atoi(s) <= 255
}

// isHex16 reports a hexadecimal number up to ffff, leading zeros allowed.
func isHex16(s string) bool {
	return strings.Trim(s, digits10+"abcdefABCDEF") == "" && len(strings.TrimLeft(s, "0")) <= 4
}

func isHostName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.ContainsAny(s, letters) && strings.Trim(s, letters+digits10+"-._") == ""
}
