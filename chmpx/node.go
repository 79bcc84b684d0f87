package chmpx

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"k2hdkc-slave-agent/chmpx/ini"
)

// loadServers reads the [SVRNODE] blocks and expands their names.
func (l *loader) loadServers() {
	if len(l.svr.list) == 0 {
		if l.svr.headers > 0 {
			l.add(Reject, RuleNoServer, 0, "NAME", "the file lists no server nodes: none of its %d [SVRNODE] sections has a NAME; chmpx cannot load such a file and exits", l.svr.headers)
		} else {
			l.add(Reject, RuleNoServer, 0, "NAME", "the file lists no server nodes yet: it has no [SVRNODE] section; chmpx cannot load such a file and exits, so wait until a server has joined the cluster")
		}
		return
	}
	l.svr.sort()
	defaultPort, defaultCtlPort := l.globalPort("PORT"), l.globalPort("CTLPORT")
	l.cfg.Servers = make([]Node, 0, len(l.svr.list))
	n := new(Node)
	for _, b := range l.svr.list {
		*n = Node{Port: l.nodePort(b, keyPort, defaultPort, "server")}
		n.Endpoints = l.hostPorts(b, keyEndpoints, n.Port)
		l.readNode(b, n, defaultCtlPort, "server")
		switch l.cfg.IDType {
		case IDCUK:
			l.needsKey(b, keyCUK, "server")
		case IDCtlEndpoints:
			l.needsKey(b, keyEndpoints, "server")
			l.needsKey(b, keyCtlEndpoints, "server")
		case IDCustom:
			l.needsKey(b, keySeed, "server")
		}
		l.serverTLS(b, n)
		l.expandServer(b, *n)
	}
}

// expandServer adds the node once for each name its NAME stands for.
func (l *loader) expandServer(b *block, n Node) {
	line := lineOf(b, keyName)
	names, total, err := expandName(n.Name, maxNodes-len(l.cfg.Servers))
	switch {
	case err != nil:
		l.add(Reject, RuleServerName, line, "NAME", "chmpx cannot expand the server NAME %s: %v; it cannot load the file and exits", quote(n.Name), err)
	case total > absurdNodes:
		names = nil
		l.add(Reject, RuleManyNodes, line, "NAME", "the server NAME %s stands for %d nodes: chmpx would run out of memory or time while it loads the file; it has room for %d at most", quote(n.Name), total, maxNodes)
	case total > len(names):
		l.add(Dangerous, RuleManyNodes, line, "NAME", "with the server NAME %s the file has more than %d nodes: chmpx has no room for them, overruns its tables and crashes", quote(n.Name), maxNodes)
	}
	for _, name := range names {
		if i := strings.IndexByte(name, '%'); i >= 0 {
			name = name[:i]
		}
		n.Name = name
		l.cfg.Servers = append(l.cfg.Servers, n)
	}
}

// loadSlaves reads the [SLVNODE] blocks.
func (l *loader) loadSlaves() {
	if len(l.slv.list) == 0 {
		const mend = "chmpx cannot load such a file and exits; a cluster without slaves needs a placeholder [SLVNODE]"
		if l.slv.headers > 0 {
			l.add(Reject, RuleNoSlave, 0, "NAME", "the file lists no slave nodes: none of its %d [SLVNODE] sections has a NAME; %s", l.slv.headers, mend)
		} else {
			l.add(Reject, RuleNoSlave, 0, "NAME", "the file lists no slave nodes: it has no [SLVNODE] section; %s", mend)
		}
		return
	}
	l.slv.sort()
	defaultCtlPort := l.globalPort("CTLPORT")
	l.cfg.Slaves = make([]Node, 0, len(l.slv.list))
	for _, b := range l.slv.list {
		l.cfg.Slaves = append(l.cfg.Slaves, Node{Port: Unset})
		n := &l.cfg.Slaves[len(l.cfg.Slaves)-1]
		l.readNode(b, n, defaultCtlPort, "slave")
		switch l.cfg.IDType {
		case IDCUK:
			l.needsKey(b, keyCUK, "slave")
		case IDCtlEndpoints:
			l.needsKey(b, keyCtlEndpoints, "slave")
		}
		l.slaveTLS(b, n)
	}
}

// readNode reads the keys that server and slave nodes have in common, less TLS.
func (l *loader) readNode(b *block, n *Node, defaultCtlPort int, kind string) {
	n.Name, n.Line = b.v[keyName].value, b.line
	n.CtlPort = l.nodePort(b, keyCtlPort, defaultCtlPort, kind)
	n.CUK, n.Seed = b.v[keyCUK].value, b.v[keySeed].value
	n.CtlEndpoints = l.hostPorts(b, keyCtlEndpoints, n.CtlPort)
	n.ForwardPeers = l.hostPorts(b, keyForward, Unset)
	n.ReversePeers = l.hostPorts(b, keyReverse, Unset)
}

func (l *loader) nodePort(b *block, k nodeKey, absent int, kind string) int {
	e := b.v[k]
	if e.line != 0 {
		return port(e.value)
	}
	if absent == Unset {
		l.add(Reject, RuleRequiredKey, b.line, k.String(), "%s node %s has no %s and [GLOBAL] has none either (65535 counts as none): chmpx cannot load the file and exits", kind, quote(b.v[keyName].value), k)
	}
	return absent
}

func (l *loader) needsKey(b *block, k nodeKey, kind string) {
	if b.v[k].line == 0 {
		l.add(Reject, RuleIdentity, b.line, k.String(), "%s node %s has no %s, which CHMPXIDTYPE = %s needs: chmpx cannot load the file and exits", kind, quote(b.v[keyName].value), k, l.cfg.IDType)
	}
}

func (l *loader) hostPorts(b *block, k nodeKey, defaultPort int) []HostPort {
	e := b.v[k]
	if e.line == 0 {
		return nil
	}
	pairs, skipped := hostPorts(e.value, defaultPort)
	if skipped > 0 {
		l.add(Accept, RuleEndpoints, e.line, k.String(), "%d elements of %s are not host:port; chmpx skips them", skipped, k)
	}
	if len(pairs) > maxHostPorts {
		l.add(Accept, RuleEndpoints, e.line, k.String(), "%s has %d elements; chmpx uses the first %d", k, len(pairs), maxHostPorts)
	}
	return pairs
}

// sortNodes drops neighbours that are the same node, and sorts, as the load
// does.
func (l *loader) sortNodes() {
	for _, nodes := range []*[]Node{&l.cfg.Servers, &l.cfg.Slaves} {
		*nodes = slices.CompactFunc(*nodes, func(a, b Node) bool {
			return a.Name == b.Name && a.CtlPort == b.CtlPort && a.CUK == b.CUK
		})
		list := *nodes
		sort.SliceStable(list, func(i, j int) bool {
			a, b := &list[i], &list[j]
			return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port),
				cmp.Compare(a.CtlPort, b.CtlPort), strings.Compare(a.CUK, b.CUK)) < 0
		})
	}
}

// SlaveCUKs returns the CUKs of the slave nodes that have a NAME, in the order of the text, as they
// are written: nodes of one NAME and CTLPORT too, which chmpx merges into one.
func SlaveCUKs(b []byte, name string) (cuks []string) {
	var node struct{ name, cuk string }
	end := func() {
		if node.name == name && node.cuk != "" {
			cuks = append(cuks, node.cuk)
		}
		node.name, node.cuk = "", ""
	}
	for line := range ini.Lines(b) {
		switch {
		case line.Kind == ini.Section:
			end()
		case line.Kind == ini.Pair && line.Section == ini.SlvNode && line.Key == "NAME":
			node.name = line.Value
		case line.Kind == ini.Pair && line.Section == ini.SlvNode && line.Key == "CUK":
			node.cuk = line.Value
		}
	}
	end()
	return cuks
}
