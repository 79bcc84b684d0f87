package watcher

import (
	"fmt"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

// ServerNode is a server node of slave.ini, of chmpx's ring, or of both.
type ServerNode struct {
	Name    string
	CtlPort int
	CUK     string
	// RingState is chmpx's state in words (daemon.Node.Words); empty: chmpx does not have it.
	RingState   string
	Connections int // that chmpx has to it
	InFile      bool
	InRing      bool
}

// nodes is the servers of the file beside those of chmpx.
type nodes struct {
	list List[ServerNode]
	down []string // the names of those that chmpx has as down

	file    *chmpx.Config
	last    *daemon.Status
	ring    []daemon.Node
	refused []string // the names of those that refused chmpx, and are up as far as is known
}

// see takes the file in place, the latest status of chmpx, nil if it does not run, and which
// servers have refused it.
func (n *nodes) see(file *chmpx.Config, last *daemon.Status, h *healing) {
	var refused []string
	for _, s := range h.awake() {
		refused = append(refused, s.Name)
	}
	same := slices.Equal(refused, n.refused)
	if file == n.file && last == n.last && same {
		return
	}
	n.refused = refused
	var st daemon.Status
	if last != nil {
		st = *last
	}
	same = same && file == n.file && (last == nil) == (n.last == nil) && slices.Equal(st.Servers, n.ring)
	n.file, n.last, n.ring = file, last, st.Servers
	if same {
		return
	}
	var listed []daemon.Server
	if file != nil {
		listed = servers(file)
	}
	pairs := daemon.Pairs(st, listed)
	list := make([]ServerNode, len(pairs))
	n.down = nil
	for i, p := range pairs {
		list[i] = ServerNode{Name: p.Name, CtlPort: p.CtlPort, CUK: p.CUK, InFile: p.InFile, InRing: p.InRing}
		if p.InRing {
			list[i].RingState, list[i].Connections = p.Node.Words(), p.Node.Sockets
		}
		switch {
		case !p.InRing || p.Node.Up():
		case p.InFile && slices.Contains(refused, p.Name): // half connected is another thing
			// Also before their ports were looked at: until then an application waits for them.
			list[i].RingState = daemon.WordsRefused
		default:
			n.down = append(n.down, p.Name)
		}
	}
	n.list = ListOf(list...)
}

// allDown reports whether chmpx has servers, and each of them as down.
func (n *nodes) allDown() bool { return len(n.down) > 0 && len(n.down) == len(n.ring) }

// downInWords says which servers are down, naming the first few.
func (n *nodes) downInWords() string {
	const most = 3
	switch {
	case n.allDown() && len(n.down) > 1:
		return fmt.Sprintf("all %d servers are down", len(n.down))
	case len(n.down) == 1:
		return n.down[0] + " is down"
	case len(n.down) > most:
		return fmt.Sprintf("%s and %d more servers are down", strings.Join(n.down[:most], ", "), len(n.down)-most)
	}
	return strings.Join(n.down, ", ") + " are down"
}
