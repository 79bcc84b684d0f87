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
}

// parseRead checks the arguments in the order K2HR3 does.
func (s *Server) parseRead(ex *exchange, active *requestFaults) (readRequest, *answer) {
	refuse := func(a answer) (readRequest, *answer) { return readRequest{}, &a }
	who, ok := s.authenticate(ex, active)
	if !ok {
		return refuse(unauthorized(ex))
	}
	if who.user() {
		return refuse(internalError(http.StatusNotImplemented)) // the administrator's view is not modelled
	}
	req := readRequest{byToken: !who.anonymous()}
	var bad *answer
	if req.yrn, bad = resourceArg(ex, who); bad != nil {
		return readRequest{}, bad
	}
	q := ex.query
	switch req.typ = strings.ToLower(q.get("type")); req.typ {
	case "":
		req.typ = "string"
	case "string":
	case "keys":
		if req.key = q.get("keyname"); req.key == "" {
			return refuse(fail(http.StatusBadRequest, "GET request type=keys, but keyname(undefined) parameter is empty."))
		}
	default:
		return refuse(fail(http.StatusBadRequest, "GET request type(%s) parameter is wrong.", q.get("type")))
	}
	switch {
	case req.byToken && (q.has("port") || q.has("cuk") || q.has("role")):
		return refuse(fail(http.StatusBadRequest, "GET resource:port/cuk/role field is specified, but it is not allowed by no token : port=%s, cuk=%s, role=%s",
			q.shown("port"), q.shown("cuk"), q.shown("role")))
	case req.byToken:
		req.role = name{tenant: who.tenant, path: who.token.role.path, full: true}
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
	value := quote(res.cluster.text(res.mode, active))
	if req.typ == "keys" {
		var ok bool
		if value, ok = s.keyValue(res, req); !ok {
			return fail(http.StatusNotFound, "resource(%s) by role(%s) in tenant(%s) does not have value for type(keys[%s]) data.", req.yrn, req.role.path, req.role.tenant, req.key)
		}
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

// keyValue looks a key up among the resource's own and inherited keys.
func (s *Server) keyValue(res *resource, req readRequest) (string, bool) {
	key := strings.TrimPrefix(req.key, req.yrn+"/keys/")
	for _, kv := range s.effectiveKeys(res) {
		if kv.name == key {
			return kv.json, true
		}
	}
	return "", false
}

// effectiveKeys are the cluster's keys, overridden and extended by the
// resource's own.
func (s *Server) effectiveKeys(res *resource) []keyValue {
	if res.mode == "" {
		return res.keys
	}
	return append(slices.Clone(s.resources[res.cluster.resourceYRN("")].keys), res.keys...)
}
