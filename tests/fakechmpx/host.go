package fakechmpx

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Host is what chmpx knows of the machine it runs on. The zero value knows no
// address, resolves nothing and sees the real file system.
type Host struct {
	// Names are the names and addresses this host goes by, loopback included.
	Names []string
	// Lookup gives a name's addresses and an address's names. Nil: nothing resolves.
	Lookup func(nameOrAddress string) []string
	// Stat looks at the files TLS settings name. Nil: os.Stat.
	Stat func(path string) (fs.FileInfo, error)
}

// How long LocalHost's resolver waits for one answer, and for all of them: where
// there is no name service a test is not to wait for it.
const (
	lookupTimeout = 500 * time.Millisecond
	lookupBudget  = 2 * time.Second
)

// LocalHost describes the machine this process runs on (C.3). Its Lookup asks
// the system's resolver, once for each name and for two seconds altogether;
// after that nothing resolves any more.
func LocalHost() Host {
	r := &resolver{left: lookupBudget, known: map[string][]string{}}
	h := Host{Lookup: r.lookup}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			h.Names = append(h.Names, prefix.Addr().Unmap().WithZone("").String())
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return h
	}
	addresses := h.Lookup(name)
	if len(addresses) > 0 {
		h.Names = append(h.Names, name)
	}
	for _, addr := range addresses {
		h.Names = append(h.Names, h.Lookup(addr)...)
	}
	return h
}

// resolver remembers its answers, the missing ones too.
type resolver struct {
	mu    sync.Mutex
	left  time.Duration
	known map[string][]string
}

func (r *resolver) lookup(nameOrAddress string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, asked := r.known[nameOrAddress]
	if asked || r.left <= 0 {
		return answer
	}
	begin := time.Now()
	answer = resolve(nameOrAddress)
	r.left -= time.Since(begin)
	r.known[nameOrAddress] = answer
	return answer
}

// resolve answers with addresses for a name, with names for an address.
func resolve(nameOrAddress string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	if _, err := netip.ParseAddr(nameOrAddress); err != nil {
		addrs, _ := net.DefaultResolver.LookupHost(ctx, nameOrAddress)
		return addrs
	}
	names, _ := net.DefaultResolver.LookupAddr(ctx, nameOrAddress)
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".")
	}
	return names
}

func (h Host) stat(path string) (fs.FileInfo, error) {
	if h.Stat == nil {
		return os.Stat(path)
	}
	return h.Stat(path)
}

// allNames expands a name to everything the resolver knows it by, itself included.
func (h Host) allNames(name string) []string {
	all := []string{name}
	if addr, err := netip.ParseAddr(name); err == nil {
		all = append(all, addr.String(), addr.Unmap().String())
	}
	if h.Lookup == nil {
		return all
	}
	for _, found := range h.Lookup(name) {
		all = append(all, found)
		all = append(all, h.Lookup(found)...)
	}
	return all
}

// local reports whether name always means the host chmpx runs on (B.5).
func local(name string) bool {
	return name == "localhost" || name == "127.0.0.1" || name == "::1"
}

func loopback(name string) bool {
	addr, err := netip.ParseAddr(name)
	return local(name) || err == nil && addr.IsLoopback()
}

// amServer is chmpx's question during a load whether this host is one of the
// servers (C.3, step 1). An unset SELFCTLPORT is no server's control port.
func (h Host) amServer(c *Config) bool {
	for _, n := range c.Servers {
		if n.CtlPort != c.SelfCtlPort || n.CUK != c.SelfCUK {
			continue
		}
		if local(n.Name) || slices.ContainsFunc(h.allNames(n.Name), h.ownName) {
			return true
		}
	}
	return false
}

func (h Host) ownName(name string) bool {
	return !loopback(name) && slices.ContainsFunc(h.Names, func(own string) bool {
		return strings.EqualFold(own, name)
	})
}

// findSelf looks for the own entry as a fresh start does (C.3, step 2).
func (h Host) findSelf(c *Config) (Node, bool) {
	if !slices.ContainsFunc(h.Names, func(own string) bool { return !loopback(own) }) {
		return Node{}, false // nothing is a host that has only the loopback
	}
	for _, n := range c.Servers {
		if selfPort(c, n) && matchCUK(n.CUK, c.SelfCUK) && h.anyName(n, h.isServerName) {
			return n, true
		}
	}
	for _, n := range c.Slaves {
		if selfPort(c, n) && matchCUK(n.CUK, c.SelfCUK) && h.anyName(n, h.isSlaveName) {
			return n, true
		}
	}
	return Node{}, false
}

func selfPort(c *Config, n Node) bool {
	return c.SelfCtlPort == noPort || n.CtlPort == c.SelfCtlPort
}

func (h Host) anyName(n Node, match func(string) bool) bool {
	if match(n.Name) {
		return true
	}
	return slices.ContainsFunc(n.ForwardPeers, func(p HostPort) bool { return match(p.Host) })
}

func (h Host) isServerName(name string) bool {
	return local(name) || slices.ContainsFunc(h.allNames(name), func(n string) bool {
		return slices.Contains(h.Names, n)
	})
}

// isSlaveName matches a SLVNODE's NAME: literally, as a simple pattern, and as
// an unanchored extended regular expression (C.4).
func (h Host) isSlaveName(name string) bool {
	if names, err := expandNames(name); err == nil && slices.ContainsFunc(names, h.isServerName) {
		return true
	}
	return slices.ContainsFunc(h.Names, func(own string) bool { return found(name, own) })
}

// matchCUK holds a node's CUK against the own one (C.3, step 2, c).
func matchCUK(node, self string) bool {
	switch {
	case node == self:
		return true
	case node == "":
		return false
	}
	return found(node, self)
}

// found searches text for a POSIX extended regular expression. One that does
// not compile is found nowhere. Bytes are taken one by one, as in the C locale.
func found(expression, text string) bool {
	re, err := regexp.CompilePOSIX(latin1(expression))
	return err == nil && re.MatchString(latin1(text))
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := 0; i < len(s); i++ {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
