package fakechmpx

import (
	"cmp"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Effect is what a load did to a running chmpx.
type Effect string

// What can come of a load, or of an event that should have led to one.
const (
	Reloaded  Effect = "reloaded"  // cached and in force
	Unchanged Effect = "unchanged" // nothing that chmpx compares differs
	Refused   Effect = "refused"   // cached, but nothing of it is in force (D.5)
	Died      Effect = "died"      // the load failed and chmpx ended itself, status 0
	Crashed   Effect = "crashed"   // tables overrun, SIGSEGV
	Lost      Effect = "lost"      // the watch is gone until chmpx is restarted
)

// Slave models what a running slave keeps between loads: the cached and the
// applied configuration and the table of server nodes. It is not safe for
// concurrent use.
type Slave struct {
	host    Host
	first   *Config // what the process was started with
	cached  *Config // what the next load is compared with
	applied *Config
	self    Node
	servers []*server
	ring    []announced
	// clock counts what has happened in the RING and to the slave: it orders reports and entries
	// as time stamps do in the real one (J.2).
	clock   int
	looked  time.Time // when chmpxstatus ran last
	clients int
	sockets int // the descriptor given out last
	changed time.Time
	// overrun is set when the tables hold more than they have room for.
	overrun bool
}

type server struct {
	Node
	status  string
	socket  int // 0: not connected
	updated time.Time
	heard   int // the latest report of it that was taken
	stamp   int // a report must be as new as this to count
}

// announced is a member, and when it last told the RING how it is.
type announced struct {
	Member
	at int
}

// IdleFor is how long nothing may have happened to a slave without any server node that is up for
// it to try them again. A run of chmpxstatus is something (J.2).
const IdleFor = 100 * time.Millisecond

// firstSocket is below the first descriptor a chmpx has left for connections.
const firstSocket = 12

// NewSlave is a slave that has just started on c. With more server nodes than
// MAXCHMPX leaves room for it starts too, as the real one does, and crashes at
// the next change or at its end.
func NewSlave(c *Config, host Host) *Slave { return newSlave(c, host, host) }

// newSlave is a slave that tells server nodes apart as the host nodes does.
func newSlave(c *Config, host, nodes Host) *Slave {
	s := &Slave{host: nodes, first: c, cached: c, applied: c, sockets: firstSocket, changed: time.Now()}
	s.self, _ = host.findSelf(c)
	s.add(c.Servers)
	s.overrun = s.free() < 0
	return s
}

// literal is h without its resolver. A running stand-in compares the names of
// server nodes with it: with a few hundred of them the real one's lookups take minutes.
func literal(h Host) Host {
	h.Lookup = nil
	return h
}

// free is the number of node slots left. The tables keep their start-up size,
// and the own node takes one.
func (s *Slave) free() int { return s.first.Tuning.MaxChmpx - 1 - len(s.servers) }

// Reload takes a configuration that loaded, as after an inotify event.
func (s *Slave) Reload(c *Config) Effect {
	if s.cached.Equal(c) {
		return Unchanged
	}
	s.cached = c
	if c.Group != s.first.Group || c.IDType != s.first.IDType {
		return Refused
	}
	s.add(c.Servers)
	if s.overrun || s.free() < 0 {
		s.overrun = true
		return Crashed
	}
	s.applied = c
	s.dropGone() // no server node is tried for it (J.2)
	return Reloaded
}

// SetRing tells the slave who is in the RING now. A member that is new or in another state
// announces itself to the slave, through any server node that it is connected to; one that merely
// refuses the slave no more does not. SetRing returns Crashed when the members do not fit the
// tables, else Reloaded.
func (s *Slave) SetRing(members []Member) Effect {
	s.clock++
	next := make([]announced, len(members))
	for i, m := range members {
		next[i] = announced{m, s.clock}
		for _, before := range s.ring {
			if before.same(m) && before.State == m.State && before.Announced == m.Announced {
				next[i].at = before.at
			}
		}
	}
	s.ring = next
	return cmp.Or(s.mergeRing(), Reloaded)
}

// SetClients says how many programs have joined the slave.
func (s *Slave) SetClients(n int) { s.clients = n }

// Looked is a run of chmpxstatus, which keeps a slave without any server node that is up from
// trying them for a while.
func (s *Slave) Looked() Effect {
	effect := s.Idle()
	s.looked = time.Now()
	return effect
}

// Idle is what a slave does that has nothing else to do: without any server node that is up it
// tries them all (J.2).
func (s *Slave) Idle() Effect {
	if s.connected() {
		return Unchanged
	}
	effect := s.mergeRing()
	if effect == "" && !s.connected() {
		return Unchanged
	}
	return cmp.Or(effect, Reloaded)
}

// add enters the nodes of the file that are not known (D.5).
func (s *Slave) add(nodes []Node) {
	for _, n := range nodes {
		if s.first.idSeed(n) == "" {
			continue // no id, no entry
		}
		if !slices.ContainsFunc(s.servers, func(known *server) bool { return s.same(known.Node, n) }) {
			s.servers = append(s.servers, &server{Node: n, status: statusOut})
		}
	}
}

// same reports whether two entries are one node. PORT and TLS do not count.
func (s *Slave) same(a, b Node) bool {
	return a.CtlPort == b.CtlPort && a.CUK == b.CUK && a.Seed == b.Seed &&
		reflect.DeepEqual(a.Endpoints, b.Endpoints) && reflect.DeepEqual(a.CtlEndpoints, b.CtlEndpoints) &&
		reflect.DeepEqual(a.ForwardPeers, b.ForwardPeers) && reflect.DeepEqual(a.ReversePeers, b.ReversePeers) &&
		s.host.sameHost(a.Name, b.Name)
}

func (s *Slave) inFile(n Node) bool {
	return slices.ContainsFunc(s.applied.Servers, func(f Node) bool { return s.same(f, n) })
}

// dropGone removes what the file no longer lists and the RING does not know.
func (s *Slave) dropGone() {
	s.servers = slices.DeleteFunc(s.servers, func(known *server) bool {
		return known.status == statusOut && !s.inFile(known.Node)
	})
}

// connected reports whether the slave has a server node that is up.
func (s *Slave) connected() bool {
	return slices.ContainsFunc(s.servers, func(n *server) bool { return n.socket != 0 })
}

// entry finds the server node that a member is, or enters it.
func (s *Slave) entryOf(m Member) *server {
	i := slices.IndexFunc(s.servers, func(known *server) bool { return m.is(known.Node, s.host) })
	if i < 0 {
		i = len(s.servers)
		s.servers = append(s.servers, &server{Node: m.node(), status: statusOut})
	}
	return s.servers[i]
}

// mergeRing brings the table in line with what the slave hears of the RING: members are learnt,
// what left is out of service, and gone if the file does not list it. A slave that is connected to
// no server node any more hears nothing.
func (s *Slave) mergeRing() Effect {
	connected := s.connected()
	listed := map[*server]bool{}
	for _, m := range s.ring {
		if n := s.entryOf(m.Member); m.State.up() {
			listed[n] = true
		}
	}
	for _, known := range s.servers {
		if known.socket != 0 && !listed[known] {
			s.setStatus(known, statusOut) // its connection ends
		}
	}
	if connected && !s.connected() {
		s.lose()
	}
	if !s.connected() && time.Since(s.looked) >= IdleFor {
		s.connect()
	}
	if s.connected() {
		s.hear()
	}
	s.dropGone()
	if s.overrun || s.free() < 0 {
		s.overrun = true
		return Crashed
	}
	return ""
}

// lose is the end of the last connection: the slave forgets who is in service, and believes only
// what is newer than that (J.2).
func (s *Slave) lose() {
	for _, known := range s.servers {
		s.setStatus(known, statusOut)
		known.stamp = s.clock
	}
}

// connect reaches the first server node that takes the slave.
func (s *Slave) connect() {
	for _, m := range s.ring {
		if m.accepts() {
			n := s.entryOf(m.Member)
			n.heard = m.at
			s.setStatus(n, m.State.status())
			return
		}
	}
}

// hear takes the reports of the RING that are news. What is up is tried once; one that refuses the
// slave counts as down in service from then on (J.1).
func (s *Slave) hear() {
	listed := map[*server]bool{}
	for _, m := range s.ring {
		n := s.entryOf(m.Member)
		listed[n] = true
		if m.at < n.stamp || m.at == n.heard {
			continue
		}
		n.heard = m.at
		if m.Refuses && m.State.up() && n.socket == 0 {
			s.setStatus(n, statusRefused)
			continue
		}
		s.setStatus(n, m.State.status())
	}
	for _, known := range s.servers {
		if !listed[known] {
			s.setStatus(known, statusOut)
		}
	}
}

// setStatus keeps the socket of a node that stays up.
func (s *Slave) setStatus(n *server, status string) {
	if n.status == status {
		return
	}
	n.status = status
	n.updated = time.Now()
	up := strings.Contains(status, "[UP]")
	switch {
	case !up:
		n.socket = 0
	case n.socket == 0:
		s.sockets++
		n.socket = s.sockets
	}
}

// Snapshot is the state chmpxstatus shows. The caller adds what only a process
// has: PID, Start and Ticks.
func (s *Slave) Snapshot() Snapshot {
	c := s.applied
	shot := Snapshot{
		Group: s.first.Group, CtlPort: s.first.SelfCtlPort,
		FileVersion: c.FileVersion, Date: c.Date.Unix(),
		Mode: s.first.Mode, IDType: s.first.IDType, Random: s.first.Random,
		Tuning: c.Tuning, K2Hash: s.first.K2Hash, Slots: s.first.Tuning.MaxChmpx,
		Free: max(s.free(), 0), Clients: s.clients,
		Self: s.entry(s.self, statusSlave, s.changed),
	}
	shot.Tuning.MaxMQServer = s.first.Tuning.MaxMQServer
	shot.Tuning.MaxHistLog = s.first.Tuning.MaxHistLog
	shot.Self.Name = s.ownName()
	for _, n := range s.servers {
		e := s.entry(n.Node, n.status, n.updated)
		if n.socket != 0 {
			e.Sockets = []int{n.socket}
		}
		if strings.Contains(n.status, "[SERVICE IN]") {
			e.Hash = uint64(shot.Hashes)
			shot.Hashes++
		}
		shot.Servers = append(shot.Servers, e)
	}
	return shot
}

// ownName is the own entry's NAME, or an address where that is a pattern.
func (s *Slave) ownName() string {
	if slices.Contains(s.host.Names, s.self.Name) && !loopback(s.self.Name) {
		return s.self.Name
	}
	for _, name := range s.host.Names {
		if !loopback(name) {
			return name
		}
	}
	return "localhost"
}

func (s *Slave) entry(n Node, status string, updated time.Time) Entry {
	e := Entry{Node: n, ID: s.id(n), Hash: noID, Status: status}
	if !updated.IsZero() {
		e.Updated = uint64(updated.Unix())<<24 | uint64(updated.Nanosecond()/1000)
	}
	return e
}

// id makes a node's id from its seed and the cluster's name.
func (s *Slave) id(n Node) uint64 {
	node, group := fnv.New32a(), fnv.New32a()
	node.Write([]byte(s.first.idSeed(n)))
	group.Write([]byte(s.first.Group))
	return uint64(node.Sum32())<<32 | uint64(group.Sum32())
}
