package fakechmpx

import (
	"slices"
	"strings"
)

// MemberState is how a server node takes part in the RING.
type MemberState string

// The states a ring can be told to have. A server node that has left the RING is
// not listed at all; a slave then shows it as SERVICE OUT and DOWN, or forgets it.
const (
	MemberUp        MemberState = "up"        // serves; the zero value means the same
	MemberSuspended MemberState = "suspended" // chmpx runs without its k2hdkc
	MemberDown      MemberState = "down"      // crashed while in service
	MemberJoining   MemberState = "joining"   // waits to be merged in
	MemberLeaving   MemberState = "leaving"   // waits to be merged out
)

// Member is a server node in the RING, which a slave learns of from the other
// server nodes, whether its own file lists it or not.
type Member struct {
	Name    string      `json:"name"`
	Port    int         `json:"port"`
	CtlPort int         `json:"ctlport"`
	CUK     string      `json:"cuk,omitempty"`
	Seed    string      `json:"seed,omitempty"`
	State   MemberState `json:"state,omitempty"`
	// Refuses: the server node's own file does not list the slave yet, so it takes no connection
	// of it (J.1). That it ends is no news to the slave.
	Refuses bool `json:"refuses,omitempty"`
	// Announced is how often it was asked to announce itself anew (UPDATESTATUS, J.3).
	Announced int `json:"announced,omitempty"`
}

// The texts of E.8 that occur here.
const (
	statusSlave = "SAFE -> [SLAVE][UP][n/a][Nothing][NoSuspend]"
	statusOut   = "SAFE -> [SERVICE OUT][DOWN][n/a][Nothing][NoSuspend]"
	// statusRefused is also that of a server node that is down in service (J.5).
	statusRefused = "SAFE -> [SERVICE IN][DOWN][n/a][Nothing][NoSuspend]"
)

func (s MemberState) status() string {
	switch s {
	case MemberSuspended:
		return "SAFE -> [SERVICE IN][UP][n/a][Nothing][Suspend]"
	case MemberDown:
		return statusRefused
	case MemberJoining:
		return "SAFE -> [SERVICE OUT][UP][ADD][Pending][NoSuspend]"
	case MemberLeaving:
		return "SAFE -> [SERVICE IN][UP][DELETE][Pending][NoSuspend]"
	}
	return "SAFE -> [SERVICE IN][UP][n/a][Nothing][NoSuspend]"
}

// up reports whether its chmpx can be reached.
func (s MemberState) up() bool { return s != MemberDown }

// accepts reports whether the slave gets a connection to it.
func (m Member) accepts() bool { return m.State.up() && !m.Refuses }

// same reports whether two members are one server node.
func (m Member) same(o Member) bool {
	return m.Name == o.Name && m.CtlPort == o.CtlPort && m.CUK == o.CUK && m.Seed == o.Seed
}

// node makes the member an entry as chmpx has for a server it learnt of.
func (m Member) node() Node {
	return Node{Name: m.Name, Port: m.Port, CtlPort: m.CtlPort, CUK: m.CUK, Seed: m.Seed}
}

// is reports whether the member is the server node n. A member without a seed
// is told by the rest.
func (m Member) is(n Node, host Host) bool {
	return m.CtlPort == n.CtlPort && m.CUK == n.CUK &&
		(m.Seed == "" || m.Seed == n.Seed) && host.sameHost(m.Name, n.Name)
}

// sameHost reports whether two names have a name or an address in common.
func (h Host) sameHost(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if h.Lookup == nil {
		return false
	}
	others := h.allNames(b)
	return slices.ContainsFunc(h.allNames(a), func(name string) bool { return slices.Contains(others, name) })
}
