package fakek2hr3

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const openstackExtra = "openstack-auto-v1"

// Host is one member of a role.
type Host struct {
	Addr       string
	Port       int // 0: any
	CUK        string
	Extra      string
	Tag        string
	InboundIP  string
	OutboundIP string
}

// key orders and identifies members: byte-wise, so 10.0.0.100 comes before
// 10.0.0.9.
func (h Host) key() string {
	port := "*"
	if h.Port != 0 {
		port = strconv.Itoa(h.Port)
	}
	return h.Addr + " " + port + " " + h.CUK
}

// entry is a registration; a new one of the same host is another entry.
type entry struct {
	Host
	gone bool
}

// matches applies the rule by which K2HR3 recognises a host: an absent port,
// cuk or extra on either side matches anything, and the asking side's extra
// follows from whether it has a cuk.
//
// A pod is strict: its address and its whole cuk have to be those of the registration.
func (e *entry) matches(source string, port int, cuk string) bool {
	extra := ""
	if cuk != "" {
		extra = openstackExtra
	}
	if _, ok := podOf(cuk); ok || e.Extra == k8sExtra {
		return ok && e.Extra == k8sExtra && e.Addr == source && e.Port == port && e.CUK == cuk
	}
	return e.Addr == source &&
		(e.Port == port || e.Port == 0 || port == 0) &&
		(e.CUK == cuk || e.CUK == "" || cuk == "") &&
		(e.Extra == extra || e.Extra == "" || extra == "")
}

// role is a role, or just the host list of one that was never created.
type role struct {
	yrn, tenant, path string
	id                int // 0: never created
	policies          []*policy
	hosts             map[string]*entry // by Host.key
}

func newRole(tenant, path string, id int) *role {
	return &role{yrn: makeYRN("role", tenant, path), tenant: tenant, path: path, id: id, hosts: map[string]*entry{}}
}

// members returns the role's own hosts in K2HR3's order.
func (r *role) members() []Host {
	if r == nil {
		return nil
	}
	hosts := make([]Host, 0, len(r.hosts))
	for _, e := range r.hosts {
		hosts = append(hosts, e.Host)
	}
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.key(), b.key()) })
	return hosts
}

func (r *role) drop(e *entry) {
	e.gone = true
	delete(r.hosts, e.key())
}

// tree returns the role and its sub-roles, ordered by name. The caller holds mu.
func (s *Server) tree(tenant, path string) []*role {
	top := makeYRN("role", tenant, path)
	var rs []*role
	for yrn, r := range s.roles {
		if yrn == top || strings.HasPrefix(yrn, top+"/") {
			rs = append(rs, r)
		}
	}
	slices.SortFunc(rs, func(a, b *role) int { return strings.Compare(a.yrn, b.yrn) })
	return rs
}

// find returns the entries of the role and its sub-roles that match; without a
// store, or by a worker that does not know them yet, there are none.
func (s *Server) find(active *requestFaults, n name, source string, port int, cuk string) []*entry {
	if active.has(BackendDown) || active.has(StaleWorker) {
		return nil
	}
	var found []*entry
	for _, r := range s.tree(n.tenant, n.path) {
		for _, h := range r.members() {
			if e := r.hosts[h.key()]; e.matches(source, port, cuk) {
				found = append(found, e)
			}
		}
	}
	return found
}

// removeHost drops what matches from the role and its sub-roles.
func (s *Server) removeHost(tenant, path, source string, port int, cuk string) {
	for _, r := range s.tree(tenant, path) {
		for _, e := range r.hosts {
			if e.matches(source, port, cuk) {
				r.drop(e)
			}
		}
	}
	s.notify()
}

// addHost registers a host, replacing what it matches.
func (s *Server) addHost(tenant, path string, h Host) {
	s.removeHost(tenant, path, h.Addr, h.Port, h.CUK)
	yrn := makeYRN("role", tenant, path)
	r := s.roles[yrn]
	if r == nil {
		r = newRole(tenant, path, 0)
		s.roles[yrn] = r
	}
	if strings.Contains(h.CUK, " ") {
		return // K2HR3 stores such a host where it never finds it again
	}
	if old := r.hosts[h.key()]; old != nil {
		old.gone = true
	}
	r.hosts[h.key()] = &entry{Host: h}
	s.notify()
}

// registration is what PUT role asks for.
type registration struct {
	host Host
	// byUser: the request names the host's address, which takes a token made
	// by a user.
	byUser bool
}

// putRole is PUT /v1/role/<role>: a host registers itself.
func (s *Server) putRole(ex *exchange, active *requestFaults) answer {
	if !ex.hasToken() {
		return fail(http.StatusBadRequest, "There is no x-auth-token header")
	}
	who, ok := s.authenticate(ex, active)
	if !ok {
		return unauthorized(ex)
	}
	if ex.name == "" {
		return fail(http.StatusBadRequest, "POST request url does not have role name")
	}
	q := ex.query
	reg := registration{host: Host{Addr: ex.source, Port: q.port(), CUK: q.cuk()}}
	if h := q.get("host"); h != "" {
		reg.host.Addr, reg.byUser = strings.ToLower(h), true
	}
	if reg.host.Extra, ok = jsonText(q.get("extra")); !ok {
		return fail(http.StatusBadRequest, "PUT request has extra which is not string: %s", quote(q.get("extra")))
	}
	if reg.host.Tag, ok = jsonText(q.get("tag")); !ok {
		return internalError(http.StatusInternalServerError) // the real one trips over its own message
	}
	for _, arg := range []struct {
		name  string
		value *string
	}{{"inbound", &reg.host.InboundIP}, {"outbound", &reg.host.OutboundIP}} {
		if *arg.value = q.get(arg.name + "ip"); *arg.value != "" && !isIP(*arg.value) {
			return fail(http.StatusBadRequest, "PUT request has %s ip address which is not ignore ip address string: %s", arg.name, quote(*arg.value))
		}
	}
	return s.register(ex, active, who, reg)
}

// register stores a registration made with a valid token. Neither the token's
// own role nor the existence of the named one is looked at.
func (s *Server) register(ex *exchange, active *requestFaults, who caller, reg registration) answer {
	if reg.byUser && who.token != nil && who.token.host != nil {
		return fail(http.StatusBadRequest, `parameters are wrong : user=null, tenant=%s`, quote(who.tenant))
	}
	yrn := strings.ToLower(ex.name)
	n := splitYRN(roleYRN, yrn)
	if n.full && (n.tenant != who.tenant || n.service != "") {
		return fail(http.StatusBadRequest, "role(%s) yrn has service(%s) and tenant(%s), but it is not specified service(null) and tenant(%s)", yrn, n.service, n.tenant, who.tenant)
	}
	if !reg.host.mayRegister(ex.source) {
		return fail(http.StatusBadRequest, "could not set enable value to %s/hosts key", makeYRN("role", who.tenant, n.path))
	}
	if !active.has(ForgetPut) {
		s.addHost(who.tenant, n.path, reg.host)
	}
	return created()
}

// namedRole takes the role in a path apart for HEAD, GET and DELETE. ok is
// false when it cannot be meant: a short name without a token, or another
// tenant's role with one.
func namedRole(ex *exchange, path string, who caller) (n name, ok bool) {
	n = splitYRN(roleYRN, strings.ToLower(path))
	if !n.full {
		n.tenant = who.tenant
		return n, n.path != "" && !who.anonymous()
	}
	return n, who.anonymous() || n.tenant == who.tenant
}

// headRole is HEAD /v1/role/<role>. Without a token it asks whether the caller
// is a member; with a role token only whether the token is good.
func (s *Server) headRole(ex *exchange, active *requestFaults) answer {
	who, ok := s.authenticate(ex, active)
	if !ok {
		return unauthorized(ex)
	}
	n, ok := namedRole(ex, ex.name, who)
	if !ok {
		return bare(http.StatusBadRequest)
	}
	switch {
	case who.token != nil:
	case who.user():
		if r := s.roles[n.yrn("role")]; r == nil || r.id == 0 {
			return bare(http.StatusForbidden)
		}
	case len(s.find(active, n, ex.source, ex.query.port(), ex.query.cuk())) == 0:
		return bare(http.StatusForbidden)
	}
	return noContent()
}

// deleteRole is DELETE /v1/role/...: without a token the calling host leaves,
// with a role token that token is deleted (not the host).
func (s *Server) deleteRole(ex *exchange, active *requestFaults) answer {
	who, ok := s.authenticate(ex, active)
	if !ok {
		return unauthorized(ex)
	}
	if ex.name == "" {
		return s.leaveAll(ex)
	}
	n, ok := namedRole(ex, ex.name, who)
	if !ok {
		return bare(http.StatusBadRequest)
	}
	port, cuk := ex.query.port(), ex.query.cuk()
	if who.token != nil {
		port, cuk = who.token.address()
	}
	switch {
	case who.user() && ex.query.get("host") != "":
		s.removeHost(n.tenant, n.path, strings.ToLower(ex.query.get("host")), port, cuk)
	case who.user():
		return bare(http.StatusNotImplemented) // an administrator's
	case who.token != nil && who.token.role.yrn != n.yrn("role"):
		return bare(http.StatusBadRequest)
	case len(s.find(active, n, ex.source, port, cuk)) == 0:
		return bare(http.StatusForbidden)
	case who.token != nil:
		delete(s.tokens, who.token.value)
		s.notify()
	case isIP(ex.source):
		s.removeHost(n.tenant, n.path, ex.source, port, cuk)
	}
	// An address that fails K2HR3's own syntax check counts as a host name:
	// the answer is the same, and nothing is removed.
	return noContent()
}

// removeRole forgets a role with its hosts; its tokens die with it.
func (s *Server) removeRole(yrn string) {
	if r := s.roles[yrn]; r != nil {
		for _, e := range r.hosts {
			e.gone = true
		}
		delete(s.roles, yrn)
	}
	s.notify()
}

// getRole is GET /v1/role/token/...
func (s *Server) getRole(ex *exchange, active *requestFaults) answer {
	who, ok := s.authenticate(ex, active)
	if !ok {
		return unauthorized(ex)
	}
	path, wantsToken := strings.CutPrefix(ex.name, "token/")
	n, ok := namedRole(ex, path, who)
	switch {
	case path == "":
		return fail(http.StatusBadRequest, "GET request url does not have role name")
	case !ok && !n.full:
		return fail(http.StatusBadRequest, "GET request role name which is not full yrn, and not token. role name must be full yrn, if token is not specified.")
	case !ok:
		return fail(http.StatusBadRequest, "GET request query has wrong tenant yrn full path(tenant=%s) or not specify tenant.", n.tenant)
	case !wantsToken && !who.user():
		return fail(http.StatusBadRequest, "GET request without UserToken for getting role(%s), need User Token.", n.yrn("role"))
	case !wantsToken && ex.query.get("expand") == "false":
		return s.listRole(n)
	case !wantsToken:
		return internalError(http.StatusNotImplemented) // an administrator's
	}
	return s.getToken(ex, active, who, n)
}

// K2HR3's own idea of an address: no leading zeros in IPv4, and an IPv6 address
// must end in exactly one hex digit.
var (
	ipv4 = regexp.MustCompile(`^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$`)
	ipv6 = regexp.MustCompile(`^(?:[0-9a-fA-F]{0,4}:)+[0-9a-fA-F]$`)
)

func isIP(s string) bool { return ipv4.MatchString(s) || ipv6.MatchString(s) }
