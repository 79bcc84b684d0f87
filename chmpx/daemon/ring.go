package daemon

import "strings"

// Server is a server node as slave.ini lists it, patterns in NAME expanded and
// GLOBAL's CTLPORT filled in.
type Server struct {
	Name    string // for messages, and to tell apart servers that share the rest
	CtlPort int
	CUK     string
}

// Server returns the node as the file lists it.
func (n Node) Server() Server { return Server{Name: n.Name, CtlPort: n.CtlPort, CUK: n.CUK} }

// RingDiffers compares the servers that chmpx has with those of the file, by
// control port and CUK. joined are those that only chmpx has: a server of the ring
// that the file does not list, or one that the file dropped and that still runs.
// left are those that only the file has; their Node says no more than the file
// does. The state of a node does not matter, since a listed server that is down
// stays in chmpx's list; see Leaving.
//
// Several servers may share control port and CUK, for instance all those without a
// CUK on one port. RingDiffers then counts them, and the name says which of them
// are left over.
//
// The result means something only while chmpx runs the file's revision.
func RingDiffers(st Status, file []Server) (joined, left []Node) {
	type key struct {
		port int
		cuk  string
	}
	open := make(map[key][]Server, len(file))
	for _, s := range file {
		k := key{s.CtlPort, s.CUK}
		open[k] = append(open[k], s)
	}
	var unnamed []Node // not in the file under this name
	for _, n := range st.Servers {
		k := key{n.CtlPort, n.CUK}
		i := named(open[k], n.Name)
		if i < 0 {
			unnamed = append(unnamed, n)
			continue
		}
		open[k] = append(open[k][:i], open[k][i+1:]...)
	}
	for _, n := range unnamed {
		k := key{n.CtlPort, n.CUK}
		if len(open[k]) == 0 {
			joined = append(joined, n)
			continue
		}
		open[k] = open[k][1:]
	}
	for _, s := range file {
		k := key{s.CtlPort, s.CUK}
		if i := named(open[k], s.Name); i >= 0 {
			open[k] = append(open[k][:i], open[k][i+1:]...)
			left = append(left, Node{Name: s.Name, CtlPort: s.CtlPort, CUK: s.CUK})
		}
	}
	return joined, left
}

func named(list []Server, name string) int {
	for i, s := range list {
		if strings.EqualFold(s.Name, name) {
			return i
		}
	}
	return -1
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
