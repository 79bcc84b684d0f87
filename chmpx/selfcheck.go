package chmpx

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkSelf judges what the search found, and returns this host's entry.
func (l *loader) checkSelf(host Host, s selfSearch) *Node {
	l.checkServerHit(s)
	if l.loadFailed {
		return nil
	}
	if s.entryIs != yes {
		l.selfNotFound(host, s)
		return nil
	}
	c := l.cfg
	if name := placeholderForm.FindString(c.SelfCUK); name != "" {
		l.add(Dangerous, RulePlaceholder, l.global["SELFCUK"].line, "SELFCUK", "SELFCUK has the placeholder %s in it: %s", quote(name), notReplaced(name))
	}
	if s.inServer {
		if c.Mode == ModeSlave {
			l.add(Dangerous, RuleSelfServer, s.entry.Line, "NAME", "chmpx takes the server node %s for this host's entry, although MODE is SLAVE: it starts as a slave with a server's identity; set SELFCTLPORT and SELFCUK so that they tell the two apart", quote(s.entry.Name))
		}
		return s.entry
	}
	l.checkOwnPort(s.entry)
	l.checkOwnIdentity(s.entry)
	return s.entry
}

// checkServerHit applies the last rule of the load: MODE and the server list
// must agree.
func (l *loader) checkServerHit(s selfSearch) {
	c := l.cfg
	line := l.global["MODE"].line
	if s.serverIs == yes {
		at := s.server.Line
		switch c.Mode {
		case ModeSlave:
			l.add(Reject, RuleSelfServer, at, "NAME", "MODE is SLAVE, but the server node %s is this host and has the same SELFCTLPORT and SELFCUK: chmpx cannot load the file and exits; give the slave a CTLPORT or CUK of its own", quote(s.server.Name))
			l.loadFailed = true
		case ModeAuto:
			c.Server = true
			l.add(Dangerous, RuleSelfServer, at, "NAME", "the server node %s is this host, and MODE is missing: chmpx starts as a SERVER, not as a slave; set MODE = SLAVE, and a CTLPORT or CUK of its own", quote(s.server.Name))
		case ModeServer:
			l.add(Dangerous, RuleSelfServer, line, "MODE", "MODE is SERVER: chmpx starts as the server node %s, not as a slave", quote(s.server.Name))
		}
		return
	}
	switch {
	case c.Mode == ModeServer && s.serverIs == unsure:
		l.add(Dangerous, RuleSelfUnsure, line, "MODE", "MODE is SERVER, and the agent could not find out whether the server node %s is this host", quote(s.server.Name))
	case c.Mode == ModeServer:
		l.add(Reject, RuleMode, line, "MODE", "MODE is SERVER, but no server node with this SELFCTLPORT and SELFCUK is this host: chmpx cannot load the file and exits; set MODE = SLAVE")
		l.loadFailed = true
	case c.Mode == ModeAuto && s.serverIs == unsure:
		l.add(Dangerous, RuleSelfUnsure, s.server.Line, "NAME", "MODE is missing, and the agent could not find out whether the server node %s is this host; if it is, chmpx starts as a server; set MODE = SLAVE", quote(s.server.Name))
	}
}

// checkOwnPort checks the control port of this host's entry, on which chmpx
// listens.
func (l *loader) checkOwnPort(n *Node) {
	line, written := l.keyLine(&l.slv, n, keyCtlPort), l.keyText(&l.slv, n, keyCtlPort)
	switch {
	case n.CtlPort < 0:
		l.add(Reject, RulePort, line, "CTLPORT", "this host's control port is %s: chmpx loads the file, but cannot listen on ports above 32767 and does not start; use 1 to 32767", quote(written))
	case n.CtlPort == 0:
		l.add(Dangerous, RulePort, line, "CTLPORT", "this host's control port is %s, which chmpx reads as 0: it listens on a port that the kernel picks, where nobody finds it; use 1 to 32767", quote(written))
	}
}

// checkOwnIdentity checks that this host's entry has an identity, and shares it
// with no other.
func (l *loader) checkOwnIdentity(n *Node) {
	t := l.cfg.IDType
	k, empty := identityKey(t, n)
	if empty {
		l.add(Reject, RuleSelfIdentity, l.keyLine(&l.slv, n, k), k.String(), "this host's entry %s has no %s, from which CHMPXIDTYPE = %s makes its identity: chmpx loads the file, but does not start; give it one", quote(n.Name), k, t)
		return
	}
	if t == IDName {
		return
	}
	id := identity(t, n)
	for _, nodes := range [][]Node{l.cfg.Servers, l.cfg.Slaves} {
		for i := range nodes {
			if other := &nodes[i]; other != n && identity(t, other) == id {
				l.sameID(&l.slv, n, other, k)
			}
		}
	}
}

// selfNotFound says why no entry is this host's, as far as that is known.
func (l *loader) selfNotFound(host Host, s selfSearch) {
	c := l.cfg
	near := l.nearest(s.m)
	if s.entryIs == unsure {
		l.selfUnsure(s)
		return
	}
	if len(s.m.local) == 0 {
		// Whatever the file says (docs/chmpx.md C.3).
		l.add(Reject, RuleSelfMissing, 0, "", "this host has no address besides the loopback's, and no name in DNS: chmpx loads the file, but starts on no such host; bring its network up")
		return
	}
	const then = "chmpx loads the file, but does not start on this host"
	switch {
	case placeholderForm.MatchString(c.SelfCUK):
		l.add(Reject, RulePlaceholder, l.global["SELFCUK"].line, "SELFCUK", "SELFCUK is still the placeholder %s: %s; %s", quote(c.SelfCUK), then, notReplaced(placeholderForm.FindString(c.SelfCUK)))
	case near.byCUK != nil:
		n := near.byCUK
		l.add(Reject, RuleSelfMissing, l.keyLine(&l.slv, n, keyName), "NAME", "the entry %s has this host's CUK, but its NAME is not a name or address of this host (%s): %s; %s", quote(n.Name), hostAddrs(host), then, nameMend(host, n.Name))
	case near.byPort != nil && isLoopback(near.byPort.Name) && near.byPort.CUK != "":
		n := near.byPort
		l.add(Reject, RuleSelfMissing, n.Line, "CUK", "only the entry %s could be this host, and it is a placeholder whose CUK %s does not match SELFCUK %s: %s; register this host in the role, and wait until K2HR3 lists it", quote(n.Name), quote(n.CUK), quote(c.SelfCUK), then)
	case near.byPort != nil:
		n := near.byPort
		l.add(Reject, RuleSelfMissing, l.keyLine(&l.slv, n, keyCUK), "CUK", "the entry %s has this host's name and control port, but its CUK is %s and SELFCUK is %s: %s; register this host again with its present CUK", quote(n.Name), quote(n.CUK), quote(c.SelfCUK), then)
	case near.byHost != nil:
		n := near.byHost
		l.add(Reject, RuleSelfMissing, l.keyLine(&l.slv, n, keyCtlPort), "CTLPORT", "the entry %s has this host's name, but its CTLPORT is %s and SELFCTLPORT is %d: %s", quote(n.Name), quote(l.keyText(&l.slv, n, keyCtlPort)), c.SelfCtlPort, then)
	default:
		l.add(Reject, RuleSelfMissing, 0, "", "none of the %d slave nodes is this host (%s): %s; register this host in the role, and wait until K2HR3 lists it", len(c.Slaves), hostAddrs(host), then)
	}
}

// selfUnsure is for an entry whose name could not be looked up in time. With this
// host's CUK the file was made for this host, and chmpx looks the name up itself
// when it starts; without it nothing else says so.
func (l *loader) selfUnsure(s selfSearch) {
	v, why := Dangerous, "and nothing else says so"
	if s.entry.CUK != "" && s.entry.CUK == l.cfg.SelfCUK && !s.inServer {
		v, why = Accept, "but the CUK is this host's; if the name does not resolve when chmpx starts, it does not start"
	}
	l.add(v, RuleSelfUnsure, s.entry.Line, "NAME", "the agent could not find out whether the entry %s is this host, %s; check name resolution, or put the name into /etc/hosts", quote(s.entry.Name), why)
}

// nearMisses are entries that would be this host's but for one thing.
type nearMisses struct{ byCUK, byPort, byHost *Node }

func (l *loader) nearest(m *matcher) nearMisses {
	var near nearMisses
	c := l.cfg
	for i := range c.Slaves {
		n := &c.Slaves[i]
		samePort := c.SelfCtlPort == Unset || c.SelfCtlPort == n.CtlPort
		switch {
		case samePort && n.CUK != "" && n.CUK == c.SelfCUK:
			near.byCUK = n
			return near
		case near.byPort == nil && samePort && m.namedHere(n):
			near.byPort = n
		case near.byHost == nil && m.namedHere(n):
			near.byHost = n
		}
	}
	return near
}

// namedHere reports whether the node has a name of this host, without further
// lookups.
func (m *matcher) namedHere(n *Node) bool {
	return m.isLocal[n.Name] || isLoopback(n.Name) ||
		slices.ContainsFunc(m.found[n.Name].names, func(s string) bool { return m.isLocal[s] })
}

// nameMend says what to do so that a NAME resolves to this host.
func nameMend(host Host, name string) string {
	addrs := ownAddrs(host)
	if len(addrs) == 0 {
		return "give this host an address that other hosts can reach, and register it under that"
	}
	if !isHostName(name) {
		return fmt.Sprintf("register this host under another tag, such as %s", addrs[0])
	}
	return fmt.Sprintf("add the line \"%s %s\" to /etc/hosts, or register this host under another tag", addrs[0], name)
}

func hostAddrs(host Host) string {
	addrs := ownAddrs(host)
	if len(addrs) == 0 {
		return "it has no address"
	}
	const most = 4
	if len(addrs) > most {
		return strings.Join(addrs[:most], ", ") + ", …"
	}
	return strings.Join(addrs, ", ")
}

// ownAddrs are the host's addresses that another host could use, IPv4 first.
func ownAddrs(host Host) []string {
	var four, six []string
	for _, s := range host.Addrs {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil || a.IsLoopback() || a.IsLinkLocalUnicast():
		case a.Is4():
			four = append(four, s)
		default:
			six = append(six, s)
		}
	}
	return append(four, six...)
}
