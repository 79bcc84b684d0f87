package fakek2hr3

import (
	"net/http"
	"slices"
	"strings"
)

// policy allows the roles it is given to to read some resources.
type policy struct {
	yrn       string
	resources []string // YRNs, compared exactly
	gone      bool     // deleted, while roles still refer to it
}

// resource is one node of a cluster's resource tree. Its text comes from the
// cluster.
type resource struct {
	cluster *Cluster
	mode    string // SERVER, SLAVE, or empty for the cluster itself
	keys    []keyValue
}

type keyValue struct{ name, json string }

// effectivePolicies are the role's own and its ancestors', ancestors first.
func (s *Server) effectivePolicies(r *role) []*policy {
	var pols []*policy
	parts := strings.Split(r.path, "/")
	for i := range parts {
		if p := s.roles[makeYRN("role", r.tenant, strings.Join(parts[:i+1], "/"))]; p != nil && p.id != 0 {
			pols = append(pols, p.policies...)
		}
	}
	return pols
}

// readRequest is a GET or HEAD of a resource whose arguments are in order.
type readRequest struct {
	yrn      string
	typ, key string
	role     name
	roleArg  string // as sent, in the mode without a token
	byToken  bool
	byUser   bool
	expand   bool
}

// parseRead checks the arguments in the order K2HR3 does.
func (s *Server) parseRead(ex *exchange, active *requestFaults) (readRequest, *answer) {
	refuse := func(a answer) (readRequest, *answer) { return readRequest{}, &a }
	who, ok := s.authenticate(ex, active)
	if !ok {
		return refuse(unauthorized(ex))
	}
	req := readRequest{byToken: !who.anonymous(), byUser: who.user(), expand: ex.query.get("expand") != "false"}
	var bad *answer
	if req.yrn, bad = resourceArg(ex, who); bad != nil {
		return readRequest{}, bad
	}
	q := ex.query
	if !req.byUser {
		req.typ = strings.ToLower(q.get("type"))
		switch req.typ {
		case "":
			req.typ = "string"
		case "string", "object":
		case "keys":
			if req.key = q.get("keyname"); req.key == "" {
				shown := "undefined"
				if q.has("keyname") {
					shown = strings.Join(q["keyname"], ",")
				}
				return refuse(fail(http.StatusBadRequest, "GET request type=keys, but keyname(%s) parameter is empty.", shown))
			}
		default:
			return refuse(fail(http.StatusBadRequest, "GET request type(%s) parameter is wrong.", q.get("type")))
		}
	}
	switch {
	case req.byToken && (q.has("port") || q.has("cuk") || q.has("role")):
		return refuse(fail(http.StatusBadRequest, "GET resource:port/cuk/role field is specified, but it is not allowed by no token : port=%s, cuk=%s, role=%s",
			q.shown("port"), q.shown("cuk"), q.shown("role")))
	case req.byToken:
		if who.token != nil {
			req.role = name{tenant: who.tenant, path: who.token.role.path, full: true}
		}
	case q.get("role") == "":
		return refuse(fail(http.StatusBadRequest, "GET request does not have role yrn in post data."))
	default:
		// Not lower-cased: a role in the wrong case has no members.
		req.roleArg = q.get("role")
		req.role = splitYRN(roleYRN, req.roleArg)
		req.role.tenant = strings.ToLower(req.role.tenant)
	}
	return req, nil
}

// resourceArg makes the YRN of the resource named in the path.
func resourceArg(ex *exchange, who caller) (string, *answer) {
	refuse := func(format string, args ...any) (string, *answer) {
		a := fail(http.StatusBadRequest, format, args...)
		return "", &a
	}
	if ex.name == "" {
		return refuse("Default resource name is not specified or wrong value : null")
	}
	n := splitYRN(resourceYRN, strings.ToLower(ex.name))
	service := strings.TrimSpace(ex.query.get("service"))
	switch {
	case !n.full && who.anonymous():
		return refuse("Request query does not have yrn full path to resource")
	case !n.full:
		return makeYRN("resource", who.tenant, n.path), nil
	case !who.anonymous() && n.tenant != who.tenant:
		return refuse("Request query has wrong yrn full path(tenant=%s) to resource(tenant=%s)", n.tenant, who.tenant)
	case service != "" && !strings.EqualFold(service, n.service):
		return refuse("Request query has service name(%s) and path has service name(%s), but both are not same service name.", service, n.service)
	}
	return strings.ToLower(ex.name), nil
}

// getResource is GET /v1/resource/<resource>.
func (s *Server) getResource(ex *exchange, active *requestFaults) answer {
	req, bad := s.parseRead(ex, active)
	if bad != nil {
		return *bad
	}
	if req.byUser {
		return s.describeResource(req, active)
	}
	if bad := s.mayRead(ex, active, req); bad != nil {
		return *bad
	}
	res := s.resources[req.yrn]
	if res == nil {
		return fail(http.StatusNotFound, "Could not get resource data for resource yrn: %s", req.yrn)
	}
	if active.has(BrokenTemplate) {
		return fail(http.StatusNotFound, "Could not load resource for template engine: %s", quote(brokenTemplate))
	}
	value, ok := s.value(res, req, active)
	if !ok {
		kind := req.typ
		if req.key != "" {
			kind += "[" + req.key + "]"
		}
		return fail(http.StatusNotFound, "resource(%s) by role(%s) in tenant(%s) does not have value for type(%s) data.", req.yrn, req.role.path, req.role.tenant, kind)
	}
	return jsonAnswer(http.StatusOK, `{"result":true,"message":null,"resource":`+value+`}`)
}

// mayRead checks membership, where there is no token, and policy.
func (s *Server) mayRead(ex *exchange, active *requestFaults, req readRequest) *answer {
	refuse := func(format string, args ...any) *answer {
		a := fail(http.StatusNotFound, format, args...)
		return &a
	}
	if !req.byToken {
		if !req.role.full {
			return refuse("role yrn(%s) is not full yrn, or wrong role yrn.", quote(req.roleArg))
		}
		port := ex.query.port()
		if len(s.find(active, req.role, ex.source, port, ex.query.cuk())) == 0 {
			return refuse("ip:port(%s:%d) is not role(%s) member.", quote(ex.source), port, quote(req.roleArg))
		}
	}
	r := s.roles[req.role.yrn("role")]
	var pols []*policy
	if r != nil {
		pols = s.effectivePolicies(r)
	}
	if len(pols) == 0 {
		return refuse("could not get role(%s) in tenant(%s) policy data.", req.role.path, req.role.tenant)
	}
	allowed := slices.ContainsFunc(pols, func(p *policy) bool { return !p.gone && slices.Contains(p.resources, req.yrn) })
	if !allowed {
		return refuse("role(%s) in tenant(%s) does not allow to read access to resource(%s).", req.role.path, req.role.tenant, req.yrn)
	}
	return nil
}

// value is the JSON of what was asked for.
func (s *Server) value(res *resource, req readRequest, active *requestFaults) (string, bool) {
	switch req.typ {
	case "string":
		return quote(res.cluster.text(res.mode, active)), true
	case "keys":
		return s.keyValue(res, req, active)
	}
	return "", false // no resource of a cluster has an object
}

// keyValue looks a key up among the resource's own and inherited keys and the
// variables its template uses.
func (s *Server) keyValue(res *resource, req readRequest, active *requestFaults) (string, bool) {
	key := strings.TrimPrefix(req.key, req.yrn+"/keys/")
	for _, kv := range s.effectiveKeys(res) {
		if kv.name == key {
			return kv.json, true
		}
	}
	for _, kind := range []string{"server", "slave"} {
		r := s.roles[res.cluster.roleYRN(kind)]
		if req.key == res.cluster.roleYRN(kind)+"/hosts/ip" {
			return hostsJSON(active.visible(kind, r.members())), true
		}
	}
	return "", false
}

// hostsJSON is a host list as the variable of a template shows it.
func hostsJSON(hosts []Host) string {
	orNull := func(s string) string {
		if s == "" {
			return "null"
		}
		return quote(s)
	}
	parts := make([]string, len(hosts))
	for i, h := range hosts {
		port := itoa(h.Port)
		parts[i] = quote(h.Addr+","+port+","+h.CUK) + `:{"host":` + quote(h.Addr) + `,"port":` + port +
			`,"extra":` + orNull(h.Extra) + `,"cuk":` + orNull(h.CUK) + `,"tag":` + orNull(h.Tag) +
			`,"inboundip":` + orNull(h.InboundIP) + `,"outboundip":` + orNull(h.OutboundIP) + `}`
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// effectiveKeys are the cluster's keys, overridden and extended by the
// resource's own.
func (s *Server) effectiveKeys(res *resource) []keyValue {
	if res.mode == "" {
		return res.keys
	}
	return append(slices.Clone(s.resources[res.cluster.resourceYRN("")].keys), res.keys...)
}

// describeResource is the whole resource, as a user gets it.
func (s *Server) describeResource(req readRequest, active *requestFaults) answer {
	res := s.resources[req.yrn]
	if res == nil {
		return fail(http.StatusNotFound, "Could not get resource data for resource yrn: %s", req.yrn)
	}
	keys, text, tail := res.keys, "", `,"aliases":[]`
	if req.expand {
		keys, text, tail = s.effectiveKeys(res), res.cluster.text(res.mode, active), ""
	}
	pairs := make([]string, len(keys))
	for i, kv := range keys {
		pairs[i] = quote(kv.name) + ":" + kv.json
	}
	return jsonAnswer(http.StatusOK, `{"result":true,"message":null,"resource":{"string":`+quote(text)+`,"object":null,"keys":{`+
		strings.Join(pairs, ",")+`},"expire":null`+tail+`}}`)
}

// headResource is HEAD /v1/resource/<resource>: policy and existence, whether
// or not the template can be rendered.
func (s *Server) headResource(ex *exchange, active *requestFaults) answer {
	req, bad := s.parseRead(ex, active)
	if bad != nil {
		return bare(bad.status)
	}
	res := s.resources[req.yrn]
	if res == nil || !req.byUser && s.mayRead(ex, active, req) != nil {
		return bare(http.StatusForbidden)
	}
	if req.typ == "object" {
		return bare(http.StatusForbidden)
	}
	if req.typ == "keys" && !slices.ContainsFunc(s.effectiveKeys(res), func(kv keyValue) bool { return kv.name == req.key }) {
		return bare(http.StatusForbidden)
	}
	return noContent()
}
