package chmpx

import (
	"net/netip"
	"strings"
)

// maxEndpoints is how many entries of an end point or peer list chmpx keeps.
const maxEndpoints = 4

// endpoints reads a comma list of host[:port]; entries that are neither are
// skipped, and so is what exceeds four (B.3).
func endpoints(s string, normal int) []HostPort {
	var list []HostPort
	for element := range strings.SplitSeq(s, ",") {
		e, ok := hostPort(trim(element), normal)
		if ok && len(list) < maxEndpoints {
			list = append(list, e)
		}
	}
	return list
}

// peers reads a comma list of hosts. Ports are dropped.
func peers(s string) []HostPort {
	list := endpoints(s, noPort)
	for i := range list {
		list[i].Port = noPort
	}
	return list
}

func hostPort(s string, normal int) (HostPort, bool) {
	if _, err := netip.ParseAddr(s); err == nil {
		return HostPort{s, normal}, true
	}
	host, text, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, text, hasPort = s[:i], s[i+1:], true
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if !hostLike(host) || hasPort && !digits(text) {
		return HostPort{}, false
	}
	if !hasPort {
		return HostPort{host, normal}, true
	}
	return HostPort{host, port(text)}, true
}

func hostLike(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return s != "" && strings.Trim(s, allowed) == ""
}
