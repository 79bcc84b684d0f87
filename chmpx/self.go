package chmpx

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of the search for this host's entry.
const (
	maxLookups = 512     // names looked up for one judgement
	maxAtOnce  = 16      // lookups under way at a time
	maxExpand  = 1 << 16 // names all NAMEs of candidates expand to
	maxCompile = 4096    // regular expressions compiled
)

// answer is yes, no or unsure: a name service that did not answer, a regular
// expression that cannot be translated.
type answer int

const (
	no answer = iota
	unsure
	yes
)

// selfSearch is the result of looking for this host in the configuration.
type selfSearch struct {
	// server is the server node that the load takes for this host (docs/chmpx.md
	// C.3, step 1).
	server   *Node
	serverIs answer
	// entry is the node that a start takes for this host's (step 2).
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
	var fits []answer // of each candidate, by port and CUK
	consider := func(n *Node) {
		if fit := m.portAndCUK(c, n); fit != no {
			candidates, fits = append(candidates, n), append(fits, fit)
		}
	}
	for i := range c.Servers {
		n := &c.Servers[i]
		if n.CtlPort == c.SelfCtlPort && n.CUK == c.SelfCUK {
			asServer = append(asServer, n)
		}
		consider(n)
	}
	servers := len(candidates)
	for i := range c.Slaves {
		consider(&c.Slaves[i])
	}

	// Names decide; look up only those before the first sure hit.
	for _, n := range asServer {
		if m.isHost(n, true, true) == yes {
			break
		}
	}
	for i, n := range candidates {
		if m.isHost(n, i < servers, false) == yes && fits[i] == yes {
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
		if is := min(m.isHost(n, i < servers, false), fits[i]); is > s.entryIs {
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
	slaves  map[string]slaveName
	// What is left of maxExpand and maxCompile.
	expand, compile int
}

// slaveName is a slave's NAME, analysed once.
type slaveName struct {
	names []string // what it expands to as a simple pattern
	is    answer   // whether it matches as an expression
}

type lookup struct {
	names []string
	is    answer // yes: names are all there are; no: there are none
}

func newMatcher(host Host) *matcher {
	m := &matcher{host: host, isLocal: make(map[string]bool), isFold: make(map[string]bool),
		found: make(map[string]lookup), slaves: make(map[string]slaveName), expand: maxExpand, compile: maxCompile}
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

// portAndCUK compares what needs no name (docs/chmpx.md C.3, step 2, b and c).
func (m *matcher) portAndCUK(c *Config, n *Node) answer {
	if c.SelfCtlPort != Unset && c.SelfCtlPort != n.CtlPort {
		return no
	}
	switch {
	case n.CUK == c.SelfCUK:
		return yes
	case n.CUK == "":
		return no
	}
	return m.matchERE(n.CUK, []string{c.SelfCUK})
}

// isHost compares the node's NAME, and its FORWARD_PEERS unless in the load,
// with this host. It puts names that are not looked up yet on the list.
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
	s, known := m.slaves[name]
	if !known {
		s = m.slaveName(name)
		m.slaves[name] = s
	}
	best := s.is
	for _, one := range s.names {
		if best = max(best, m.isName(one, false)); best == yes {
			break
		}
	}
	return best
}

func (m *matcher) slaveName(name string) slaveName {
	s := slaveName{is: m.matchERE(name, m.local)}
	if s.is == yes {
		return s
	}
	names, total, err := expandName(name, m.expand)
	if err != nil {
		names, total = []string{name}, 1
	}
	if total > len(names) {
		s.is = unsure
	}
	m.expand -= len(names)
	s.names = names
	return s
}

// matchERE searches the texts for the expression, as long as there is budget.
func (m *matcher) matchERE(expr string, texts []string) answer {
	if m.compile--; m.compile < 0 && !plainERE(expr) {
		return unsure
	}
	found, err := matchERE(expr, texts)
	switch {
	case errors.Is(err, errRegexpBeyond):
		return unsure
	case found:
		return yes
	}
	return no
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
	case m.isOwn(name, fold), m.isOwnAddr(name):
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

// isOwnAddr compares addresses, however they are written, without a resolver.
func (m *matcher) isOwnAddr(s string) bool {
	if strings.IndexByte(s, ':') < 0 {
		return false // IPv4 is written in one way only
	}
	a, err := netip.ParseAddr(s)
	return err == nil && m.isLocal[a.Unmap().String()]
}

func (m *matcher) isOwn(s string, fold bool) bool {
	return m.isLocal[s] || fold && m.isFold[strings.ToLower(s)]
}

// resolvable reports whether s is a name, not an expression, which no resolver
// knows.
func resolvable(s string) bool {
	return len(s) <= 253 && !strings.ContainsFunc(s, func(c rune) bool {
		return c < '-' || c == '/' || ';' <= c && c <= '@' || '[' <= c && c <= '^' || c == '`' || c > 'z'
	})
}

// lookUp looks up all wanted names at once, in bounded time. A name without an
// answer by then stays unsure.
func (m *matcher) lookUp(ctx context.Context) {
	if len(m.wanted) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, LookupLimit)
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
	results := make(chan result, len(asked)) // room for all: a late answer blocks nobody
	for range min(maxAtOnce, len(asked)) {
		go func() {
			for name := range names {
				if ctx.Err() != nil {
					return
				}
				all, err := m.host.Lookup(ctx, name)
				r := result{name, lookup{all, yes}}
				if NotFound(err) {
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
