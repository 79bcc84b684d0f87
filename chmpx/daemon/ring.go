package daemon

import (
	"slices"
	"strings"
)

// Server is a server node as slave.ini lists it, patterns in NAME expanded and
// GLOBAL's CTLPORT filled in.
type Server struct {
	Name    string // for messages, and to tell apart servers that share the rest
	CtlPort int
	CUK     string
}

// Server returns the node as the file lists it.
func (n Node) Server() Server { return Server{Name: n.Name, CtlPort: n.CtlPort, CUK: n.CUK} }

// Pair is a server as slave.ini lists it, as chmpx has it, or both.
type Pair struct {
	Server         // of the file where it lists it, else as chmpx has it
	InFile, InRing bool
	Node           Node // as chmpx has it; zero unless InRing
}

// Pairs finds for each server of the file the one that chmpx has, by control port and CUK. The
// file's come first, in its order, then those that only chmpx has.
//
// Several servers may share control port and CUK, for instance all those without a CUK on one port.
// Pairs then counts them, and the name says which of them are left over.
func Pairs(st Status, file []Server) []Pair {
	type key struct {
		port int
		cuk  string
	}
	pairs := make([]Pair, 0, len(file)+len(st.Servers))
	open := make(map[key][]int, len(file)) // servers of the file that have no node yet
	for i, s := range file {
		pairs = append(pairs, Pair{Server: s, InFile: true})
		k := key{s.CtlPort, s.CUK}
		open[k] = append(open[k], i)
	}
	take := func(n Node, at int) {
		k := key{n.CtlPort, n.CUK}
		p := &pairs[open[k][at]]
		p.Node, p.InRing = n, true
		open[k] = append(open[k][:at], open[k][at+1:]...)
	}
	var unnamed []Node // not in the file under this name
	for _, n := range st.Servers {
		at := slices.IndexFunc(open[key{n.CtlPort, n.CUK}], func(i int) bool { return strings.EqualFold(file[i].Name, n.Name) })
		if at < 0 {
			unnamed = append(unnamed, n)
			continue
		}
		take(n, at)
	}
	for _, n := range unnamed {
		if len(open[key{n.CtlPort, n.CUK}]) == 0 {
			pairs = append(pairs, Pair{Server: n.Server(), InRing: true, Node: n})
			continue
		}
		take(n, 0)
	}
	return pairs
}

// Leaving returns the servers that are out of service and down now and were not at
// the probe before. It is only a hint: a server that leaves for good and one that
// reboots look the same as long as the file lists them.
func Leaving(before, now Status) []Node {
	was := make(map[Server]bool, len(before.Servers))
	for _, n := range before.Servers {
		was[n.Server()] = n.Up() || n.ServiceIn()
	}
	var leaving []Node
	for _, n := range now.Servers {
		if !n.Up() && !n.ServiceIn() && was[n.Server()] {
			leaving = append(leaving, n)
		}
	}
	return leaving
}
