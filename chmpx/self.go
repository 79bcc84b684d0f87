package chmpx

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Bounds of the search for the own entry.
const (
	maxLookups = 512  // names looked up for one judgement
	maxAtOnce  = 16   // lookups under way at a time
	maxExpand  = 4096 // names one NAME of a candidate expands to
)

// answer is yes, no, or "can't be told": a lookup that got no answer, a
// regular expression that can't be evaluated.
type answer int

const (
	no answer = iota
	unsure
	yes
)

// selfSearch is the result of looking for this host in the configuration.
type selfSearch struct {
	// server is the server node the load takes for this host (C.3, step 1).
	server   *Node
	serverIs answer
	// entry is the node a start takes for its own (step 2).
	entry    *Node
	entryIs  answer
	inServer bool // entry is a server node
	m        *matcher
}

// findSelf looks for this host among the nodes.
func (l *loader) findSelf(ctx context.Context, host Host) selfSearch {
	c := l.cfg
	m := newMatcher(host)
	var asServer, candidates []*Node
	for i := range c.Servers {
		n := &c.Servers[i]
		if n.CtlPort == c.SelfCtlPort && n.CUK == c.SelfCUK {
			asServer = append(asServer, n)
		}
		if m.portAndCUK(c, n) != no {
			candidates = append(candidates, n)
		}
	}
	servers := len(candidates)
	for i := range c.Slaves {
		if n := &c.Slaves[i]; m.portAndCUK(c, n) != no {
			candidates = append(candidates, n)
		}
	}

	// Names decide; look up only those in front of the first sure hit.
	for _, n := range asServer {
		if m.isHost(n, true, true) == yes {
			break
		}
	}
	for i, n := range candidates {
		if m.isHost(n, i < servers, false) == yes && m.portAndCUK(c, n) == yes {
			break
		}
	}
	m.lookUp(ctx)

	s := selfSearch{m: m}
	for _, n := range asServer {
		if is := m.isHost(n, true, true); is > s.serverIs {
			s.server, s.serverIs = n, is
			if is == yes {
				break
			}
		}
	}
	onlyServers := c.Mode == ModeServer || c.Mode == ModeAuto && s.serverIs == yes
	for i, n := range candidates {
		if i >= servers && onlyServers {
			break
		}
		if is := min(m.isHost(n, i < servers, false), m.portAndCUK(c, n)); is > s.entryIs {
			s.entry, s.entryIs, s.inServer = n, is, i < servers
			if is == yes {
				break
			}
		}
	}
	return s
}

// matcher compares names with this host's.
type matcher struct {
	host    Host
	local   []string // names and addresses that are only this host's
	isLocal map[string]bool
	isFold  map[string]bool // in lower case
	found   map[string]lookup
	wanted  []string
}

type lookup struct {
	names []string
	is    answer // yes: names are all there are; no: there are none
}

func newMatcher(host Host) *matcher {
	m := &matcher{host: host, isLocal: make(map[string]bool), isFold: make(map[string]bool), found: make(map[string]lookup)}
	for _, s := range slices.Concat(host.Names, host.Addrs) {
		if s != "" && !isLoopback(s) && !m.isLocal[s] {
			m.local = append(m.local, s)
			m.isLocal[s] = true
			m.isFold[strings.ToLower(s)] = true
		}
	}
	return m
}

// isLoopback reports the names that mean "this host" to chmpx.
func isLoopback(s string) bool {
	return s == "localhost" || s == "127.0.0.1" || s == "::1" || strings.HasPrefix(s, "::1%")
}

// portAndCUK compares what needs no name (C.3, step 2, b and c).
func (m *matcher) portAndCUK(c *Config, n *Node) answer {
	if c.SelfCtlPort != Unset && c.SelfCtlPort != n.CtlPort {
		return no
	}
	return matchCUK(c.SelfCUK, n.CUK)
}

func matchCUK(self, pattern string) answer {
	switch {
	case pattern == self:
		return yes
	case pattern == "":
		return no
	}
	found, err := matchERE(pattern, []string{self})
	switch {
	case errors.Is(err, errRegexpBeyond):
		return unsure
	case found:
		return yes
	}
	return no
}

// isHost compares the node's NAME, and its FORWARD_PEERS unless in the load,
// with this host. Names that are not looked up yet are put on the list.
func (m *matcher) isHost(n *Node, server, inLoad bool) answer {
	if server {
		// A server's NAME is expanded already.
		best := m.isName(n.Name, inLoad)
		if !inLoad {
			for _, hp := range n.ForwardPeers {
				best = max(best, m.isName(hp.Host, false))
			}
		}
		return best
	}
	best := m.isSlave(n.Name)
	for _, hp := range n.ForwardPeers {
		if best == yes {
			break
		}
		best = max(best, m.isSlave(hp.Host))
	}
	return best
}

// isSlave matches a slave's NAME: as a simple pattern, then as an expression.
func (m *matcher) isSlave(name string) answer {
	best := no
	if found, err := matchERE(name, m.local); errors.Is(err, errRegexpBeyond) {
		best = unsure
	} else if found {
		return yes
	}
	names, total, err := expandName(name, maxExpand)
	if err != nil {
		names, total = []string{name}, 1
	}
	if total > len(names) {
		best = unsure
	}
	for _, one := range names {
		if best = max(best, m.isName(one, false)); best == yes {
			break
		}
	}
	return best
}

// isName compares one name, and what it resolves to, with this host.
func (m *matcher) isName(name string, fold bool) answer {
	if i := strings.IndexByte(name, '%'); i >= 0 {
		name = name[:i]
	}
	switch {
	case name == "":
		return no
	case isLoopback(name):
		if len(m.local) > 0 {
			return yes
		}
		return no
	case m.isOwn(name, fold):
		return yes
	case !resolvable(name) || m.host.Lookup == nil:
		return no
	}
	found, known := m.found[name]
	if !known {
		m.wanted = append(m.wanted, name)
		m.found[name] = lookup{is: unsure}
		return unsure
	}
	for _, s := range found.names {
		if m.isOwn(s, fold) || isLoopback(s) && m.host.FullName != "" {
			return yes
		}
	}
	if found.is == unsure {
		return unsure
	}
	return no
}

func (m *matcher) isOwn(s string, fold bool) bool {
	return m.isLocal[s] || fold && m.isFold[strings.ToLower(s)]
}

// resolvable tells expressions, which no resolver knows, from names.
func resolvable(s string) bool {
	if len(s) > 253 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c < '-' || c == '/' || ';' <= c && c <= '@' || '[' <= c && c <= '^' || c == '`' || c > 'z' {
			return false
		}
	}
	return true
}

// lookUp asks for all wanted names at once, in bounded time: what is not there
// by then stays unsure.
func (m *matcher) lookUp(ctx context.Context) {
	if len(m.wanted) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	type result struct {
		name string
		lookup
	}
	asked := m.wanted[:min(len(m.wanted), maxLookups)]
	names := make(chan string, len(asked))
	for _, name := range asked {
		names <- name
	}
	close(names)
	results := make(chan result, len(asked)) // roomy: a late answer blocks nobody
	for range min(maxAtOnce, len(asked)) {
		go func() {
			for name := range names {
				if ctx.Err() != nil {
					return
				}
				all, err := m.host.Lookup(ctx, name)
				r := result{name, lookup{all, yes}}
				if notFound(err) {
					r.is = no
				} else if err != nil {
					r.is = unsure
				}
				results <- r
			}
		}()
	}
	for range asked {
		select {
		case r := <-results:
			m.found[r.name] = r.lookup
		case <-ctx.Done():
			return
		}
	}
}
