package chmpx

import "strconv"

// Limits of the fixed-size fields in chmpx's shared memory, in bytes.
const (
	maxCUK  = 2047
	maxSeed = 2047
	maxName = 1024
)

// checkNodes finds nodes that load but do not work.
func (l *loader) checkNodes() {
	c := l.cfg
	for i := range c.Servers {
		n := &c.Servers[i]
		l.checkServerPort(n, keyPort, n.Port)
		l.checkServerPort(n, keyCtlPort, n.CtlPort)
		if n.Name == "" {
			l.add(Dangerous, RuleServerName, l.keyLine(&l.svr, n, keyName), "NAME", "the NAME list of this server has an empty name: chmpx makes it a node without a name; remove the stray comma")
		}
		l.checkLengths(&l.svr, n)
		l.checkServerIdentity(n)
	}
	for i := range c.Slaves {
		l.checkLengths(&l.slv, &c.Slaves[i])
	}
	l.checkSameIDs()
}

func (l *loader) checkServerPort(n *Node, k nodeKey, p int) {
	if p > 0 {
		return
	}
	written := l.keyText(&l.svr, n, k)
	line := l.keyLine(&l.svr, n, k)
	if p == 0 {
		l.add(Dangerous, RulePort, line, k.String(), "%s of server node %s is %s, which chmpx reads as 0: nobody can connect to it; use 1 to 32767", k, quote(n.Name), quote(written))
	} else {
		l.add(Dangerous, RulePort, line, k.String(), "%s of server node %s is %s: chmpx keeps ports in 16 signed bits, so nobody can connect to a port above 32767; use 1 to 32767", k, quote(n.Name), quote(written))
	}
}

func (l *loader) checkLengths(in *blocks, n *Node) {
	for _, x := range []struct {
		k    nodeKey
		text string
		most int
	}{{keyName, n.Name, maxName}, {keyCUK, n.CUK, maxCUK}, {keySeed, n.Seed, maxSeed}} {
		if len(x.text) > x.most {
			l.add(Dangerous, RuleTooLong, l.keyLine(in, n, x.k), x.k.String(), "%s has %d bytes: chmpx has room for %d, does not check, and overwrites its own memory; shorten it", x.k, len(x.text), x.most)
		}
	}
}

// checkServerIdentity rejects an empty identity: chmpx loads it, but does not
// start.
func (l *loader) checkServerIdentity(n *Node) {
	k, empty := identityKey(l.cfg.IDType, n)
	if empty {
		l.add(Reject, RuleIdentity, l.keyLine(&l.svr, n, k), k.String(), "server node %s has an empty %s, from which CHMPXIDTYPE = %s makes its identity: chmpx loads the file, but does not start, and leaves the node out on a live reload", quote(n.Name), k, l.cfg.IDType)
	}
}

// identityKey returns the key that a node's identity comes from, and whether it
// is empty.
func identityKey(t IDType, n *Node) (k nodeKey, empty bool) {
	switch t {
	case IDCUK:
		return keyCUK, n.CUK == ""
	case IDCtlEndpoints:
		return keyCtlEndpoints, len(n.CtlEndpoints) == 0
	case IDCustom:
		return keySeed, n.Seed == ""
	}
	return keyName, false
}

// identity is the text that chmpx hashes into the node's identity, as far as it
// is known without the name service.
func identity(t IDType, n *Node) string {
	switch t {
	case IDCUK:
		return n.CUK
	case IDCustom:
		return n.Seed
	case IDCtlEndpoints:
		text := ""
		for _, hp := range n.CtlEndpoints[:min(len(n.CtlEndpoints), maxHostPorts)] {
			text += hp.Host + ":" + strconv.Itoa(hp.Port) + ","
		}
		return text
	}
	return n.Name + ":" + strconv.Itoa(n.CtlPort)
}

// checkSameIDs finds server nodes that have the same identity.
func (l *loader) checkSameIDs() {
	c := l.cfg
	seen := make(map[string]*Node, len(c.Servers))
	for i := range c.Servers {
		n := &c.Servers[i]
		k, empty := identityKey(c.IDType, n)
		if empty {
			continue
		}
		id := identity(c.IDType, n)
		if first := seen[id]; first != nil {
			l.sameID(&l.svr, n, first, k)
			continue
		}
		seen[id] = n
	}
}

func (l *loader) sameID(in *blocks, n, first *Node, k nodeKey) {
	l.add(Dangerous, RuleSameID, l.keyLine(in, n, k), k.String(), "nodes %s and %s (line %d) have the same identity (%s, CHMPXIDTYPE = %s): chmpx takes them for one node and sends messages to the wrong one; give each node its own %s", quote(n.Name), quote(first.Name), first.Line, k, l.cfg.IDType, k)
}

// blockOf finds the block a node was made of.
func (bs *blocks) blockOf(n *Node) *block {
	if bs.byLine == nil {
		bs.byLine = make(map[int]*block, len(bs.list))
		for _, b := range bs.list {
			bs.byLine[b.line] = b
		}
	}
	return bs.byLine[n.Line]
}

// keyLine is the line of a node's key: in its section, in [GLOBAL] if it comes
// from there, or else the line where the section begins.
func (l *loader) keyLine(in *blocks, n *Node, k nodeKey) int {
	if b := in.blockOf(n); b != nil && b.v[k].line != 0 {
		return b.v[k].line
	}
	if e := l.global[k.String()]; e.line != 0 && (k == keyPort || k == keyCtlPort) {
		return e.line
	}
	return n.Line
}

func (l *loader) keyText(in *blocks, n *Node, k nodeKey) string {
	if b := in.blockOf(n); b != nil && b.v[k].line != 0 {
		return b.v[k].value
	}
	return l.global[k.String()].value
}
