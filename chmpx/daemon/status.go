package daemon

import (
	"strings"
	"time"
)

// Status is what is to be seen of one running chmpx.
type Status struct {
	PID       int
	Started   time.Time // in whole seconds; with PID it tells one run of chmpx from the next
	Began     time.Time // when its process did, where that is seen, at most 10 ms early; else zero
	Group     string
	Revision  int // FILEVERSION of the file chmpx has applied
	MaxNodes  int // MAXCHMPX of the file chmpx has applied; its tables stay as they were at its start
	FreeNodes int // servers that still fit
	Self      Node
	Servers   []Node
	Slaves    []Node // empty on a slave: only servers keep a list of them
	Clients   int    // processes that have joined chmpx
	SSL       bool   // this node or any other uses TLS
	Direct    bool   // chmpxstatus was not run for this, so chmpx has not noticed it
}

// SameProcess tells whether two statuses are of one run of chmpx.
func (s Status) SameProcess(o Status) bool { return s.PID == o.PID && s.Started.Equal(o.Started) }

// StartedBy returns when chmpx has started: when its process did, or, where that is not seen, the
// end of the second that chmpx tells.
func (s Status) StartedBy() time.Time {
	if s.Began.IsZero() {
		return s.Started.Add(time.Second)
	}
	return s.Began
}

// Node is one node as chmpx has it.
type Node struct {
	Name    string // canonical where the resolver knows one, so not always the NAME of the file
	CUK     string
	Seed    string
	Port    int // -1 on a slave
	CtlPort int
	Sockets int // connections to it
	SSL     bool
	State   string // "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"
}

// Up tells whether chmpx has the node's process as reachable.
func (n Node) Up() bool { return strings.Contains(n.State, "[UP]") }

// ServiceIn tells whether the server takes part in the ring.
func (n Node) ServiceIn() bool { return strings.Contains(n.State, "[SERVICE IN]") }

// Words is the state of a server in words: "up", "down", "up, out of the ring", "up, joining
// (waits)", "up, no program serves". One that is simply up is a good one (docs/chmpx.md E.8).
func (n Node) Words() string {
	has := func(part string) bool { return strings.Contains(n.State, "["+part+"]") }
	words := "down"
	if n.Up() {
		words = "up"
	}
	switch {
	case has("ADD"):
		words += ", joining"
	case has("DELETE"):
		words += ", leaving"
	case n.Up() && !n.ServiceIn():
		words += ", out of the ring"
	}
	switch {
	case has("Pending"):
		words += " (waits)"
	case has("Doing"):
		words += " (copies)"
	case has("Done"):
		words += " (waits for the others)"
	}
	if has("Suspend") {
		words += ", no program serves"
	}
	return words
}
