package fakek2hr3

import (
	"strconv"
	"time"
)

// The ports every cluster has.
const (
	ServerPort    = 8020
	ServerCtlPort = 8021
	SlaveCtlPort  = 8031
)

// Cluster is one K2HDKC cluster in the stand-in: the resource, policy and role
// trees the DBaaS flavour of Trove sets up, and the things an administrator,
// the other nodes or the cloud do to them.
type Cluster struct {
	s            *Server
	tenant, name string
	policy       *policy
	override     *string // text served instead of the rendered one
	ports        ports
	pods         string // the nodes are pods, with their certificates in this folder; empty: VMs
}

type ports struct{ server, serverCtl, slaveCtl int }

// AddCluster makes a cluster without members. Names are in lower case; one that
// exists is replaced.
func (s *Server) AddCluster(tenant, cluster string) *Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Cluster{s: s, tenant: tenant, name: cluster, ports: ports{ServerPort, ServerCtlPort, SlaveCtlPort}}
	c.policy = &policy{
		yrn:       makeYRN("policy", tenant, cluster),
		resources: []string{c.resourceYRN("server"), c.resourceYRN("slave")},
	}
	for _, kind := range []string{"", "server", "slave"} {
		c.createRole(kind)
		c.createResource(kind)
	}
	s.notify()
	return c
}

func (c *Cluster) path(kind string) string {
	if kind == "" {
		return c.name
	}
	return c.name + "/" + kind
}

func (c *Cluster) roleYRN(kind string) string     { return makeYRN("role", c.tenant, c.path(kind)) }
func (c *Cluster) resourceYRN(kind string) string { return makeYRN("resource", c.tenant, c.path(kind)) }

func (c *Cluster) createRole(kind string) {
	r := newRole(c.tenant, c.path(kind), c.s.newID())
	if kind == "" {
		r.policies = []*policy{c.policy}
	}
	c.s.roles[r.yrn] = r
}

func (c *Cluster) createResource(kind string) {
	res := &resource{cluster: c}
	empty := quote("")
	packages := []keyValue{
		{"k2hr3-init-packages", empty},
		{"k2hr3-init-packagecloud-packages", empty},
		{"k2hr3-init-systemd-packages", empty},
	}
	switch kind {
	case "":
		res.keys = []keyValue{
			{"cluster-name", quote(c.name)},
			{"chmpx-server-port", quote(itoa(c.ports.server))},
			{"chmpx-server-ctlport", quote(itoa(c.ports.serverCtl))},
			{"chmpx-slave-ctlport", quote(itoa(c.ports.slaveCtl))},
		}
	case "server":
		res.mode = "SERVER"
		res.keys = append([]keyValue{{"chmpx-mode", quote("SERVER")}}, packages...)
	case "slave":
		res.mode = "SLAVE"
		res.keys = append([]keyValue{{"chmpx-mode", quote("SLAVE")}}, packages...)
		res.keys = append(res.keys, keyValue{"k2hdkc-dbaas-add-user", "1"})
	}
	c.s.resources[c.resourceYRN(kind)] = res
}

func itoa(n int) string { return strconv.Itoa(n) }

// SlaveRole returns the full YRN of the role slaves register in.
func (c *Cluster) SlaveRole() string { return c.roleYRN("slave") }

// ServerRole returns the full YRN of the role servers register in.
func (c *Cluster) ServerRole() string { return c.roleYRN("server") }

// SlaveResource returns the full YRN of the resource slaves read.
func (c *Cluster) SlaveResource() string { return c.resourceYRN("slave") }

// lock locks the server for a change and returns what ends it, waking held
// requests.
func (c *Cluster) lock() (unlock func()) {
	c.s.mu.Lock()
	return func() {
		c.s.notify()
		c.s.mu.Unlock()
	}
}

// RoleToken issues a role token as a user would: kind is "slave" or "server",
// and a ttl of 0 means one that does not expire (ten years).
func (c *Cluster) RoleToken(kind string, ttl time.Duration) string {
	defer c.lock()()
	r := c.s.roles[c.roleYRN(kind)]
	if r == nil {
		return randomHex(32) // no such role now: a token nobody knows
	}
	if ttl == 0 {
		ttl = unlimitedLife
	}
	return c.s.issue(r, nil, ttl).value
}

// Revoke deletes a role token, whoever made it.
func (c *Cluster) Revoke(token string) {
	defer c.lock()()
	delete(c.s.tokens, token)
}

// Join registers a server node as if it had done so itself.
func (c *Cluster) Join(addr, cuk, tag string) { c.add("server", Host{Addr: addr, CUK: cuk, Tag: tag}) }

// JoinHost is Join for a server node with more to say, such as an inbound
// address.
func (c *Cluster) JoinHost(h Host) { c.add("server", h) }

// Leave takes a server node out as if it had done so itself.
func (c *Cluster) Leave(addr, cuk string) {
	defer c.lock()()
	c.s.removeHost(c.tenant, c.path("server"), addr, 0, cuk)
}

// AddSlave registers another slave as if it had done so itself.
func (c *Cluster) AddSlave(addr, cuk, tag string) {
	c.add("slave", Host{Addr: addr, CUK: cuk, Tag: tag})
}

// DropSlave removes a slave from outside, as K2HR3's listener does when the
// cloud deletes one of the VM's ports.
func (c *Cluster) DropSlave(addr, cuk string) {
	defer c.lock()()
	c.s.removeHost(c.tenant, c.path("slave"), addr, 0, cuk)
}

func (c *Cluster) add(kind string, h Host) {
	defer c.lock()()
	if h.Extra == "" {
		h.Extra = openstackExtra
		if c.pods != "" {
			h.Extra = k8sExtra
		}
	}
	c.s.addHost(c.tenant, c.path(kind), h)
}

// Slaves returns the members of the slave role in K2HR3's order.
func (c *Cluster) Slaves() []Host { return c.membersOf("slave") }

// Servers returns the members of the server role in K2HR3's order.
func (c *Cluster) Servers() []Host { return c.membersOf("server") }

func (c *Cluster) membersOf(kind string) []Host {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.roles[c.roleYRN(kind)].members()
}

// SetText makes the slaves' resource answer text instead of the rendered
// configuration.
func (c *Cluster) SetText(text string) {
	defer c.lock()()
	c.override = &text
}

// ClearText undoes SetText.
func (c *Cluster) ClearText() {
	defer c.lock()()
	c.override = nil
}

// Text returns what the slaves' resource reads now.
func (c *Cluster) Text() string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.text("SLAVE", nil)
}

// SetPolicy deletes the cluster's policy, or puts it back.
func (c *Cluster) SetPolicy(present bool) {
	defer c.lock()()
	c.policy.gone = !present
}

// SetResource deletes the slaves' resource, or puts it back.
func (c *Cluster) SetResource(present bool) {
	defer c.lock()()
	if present {
		c.createResource("slave")
		return
	}
	delete(c.s.resources, c.resourceYRN("slave"))
}

// SetSlaveKey gives a key of the slaves' resource, such as k2hr3-init-packages,
// another string.
func (c *Cluster) SetSlaveKey(name, value string) {
	defer c.lock()()
	res := c.s.resources[c.resourceYRN("slave")]
	for i, kv := range res.keys {
		if kv.name == name {
			res.keys[i].json = quote(value)
			return
		}
	}
	res.keys = append(res.keys, keyValue{name, quote(value)})
}

// SetRole deletes the slaves' role, or makes it anew: in both cases its members
// and all its tokens are gone.
func (c *Cluster) SetRole(present bool) {
	defer c.lock()()
	c.s.removeRole(c.roleYRN("slave"))
	if present {
		c.createRole("slave")
	}
}

// text renders what the cluster's resource of this mode reads. The caller holds
// the server's mu.
func (c *Cluster) text(mode string, active *requestFaults) string {
	if active.has(EmptyText) {
		return ""
	}
	if c.override != nil && mode == "SLAVE" {
		return *c.override + active.padding()
	}
	servers := active.visible("server", c.s.roles[c.roleYRN("server")].members())
	slaves := active.visible("slave", c.s.roles[c.roleYRN("slave")].members())
	if c.pods != "" {
		return renderPods(c.name, mode, c.pods, c.ports, servers, slaves) + active.padding()
	}
	return render(c.name, mode, c.ports, servers, slaves) + active.padding()
}

// UserToken returns a new token of a user of the tenant, for the few
// administrator's requests the stand-in knows (listing and deleting).
func (s *Server) UserToken(tenant string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := randomHex(32)
	s.users[v] = tenant
	return v
}
