package fakek2hr3

import (
	"net/http"
	"strings"
)

// route finds the answer to one exchange. The caller holds mu.
func (s *Server) route(ex *exchange, active *requestFaults) answer {
	a := s.dispatch(ex, active)
	a.noETag = a.noETag || active.has(NoETag)
	if a.refusal && wantsDebug(ex) {
		a.header.Set("X-K2hr3-Error", string(a.body))
	}
	return finish(ex, a)
}

// wantsDebug says whether errors are to be repeated in a header.
func wantsDebug(ex *exchange) bool {
	switch strings.ToLower(ex.header.Get("X-K2hr3-Debug")) {
	case "debug", "dbg", "on", "ok", "1":
		return true
	}
	return false
}

func (s *Server) dispatch(ex *exchange, active *requestFaults) answer {
	if ex.malformed {
		return internalError(http.StatusInternalServerError)
	}
	get := ex.method == http.MethodGet
	switch ex.mount {
	case "/":
		if get || ex.method == http.MethodHead {
			return jsonAnswer(http.StatusOK, `{"version":["v1"]}`)
		}
	case "/v1":
		if get || ex.method == http.MethodHead {
			return jsonAnswer(http.StatusOK, methodTable())
		}
	case "/v1/role":
		return s.dispatchRole(ex, active)
	case "/v1/resource":
		switch ex.method {
		case http.MethodGet:
			return s.getResource(ex, active)
		case http.MethodHead:
			return s.headResource(ex, active)
		case http.MethodOptions:
			return options()
		}
	case "/v1/userdata":
		if get {
			return s.userdata(ex)
		}
	case "/v1/extdata":
		if get {
			return s.extdata(ex)
		}
	}
	return internalError(http.StatusNotFound)
}

func (s *Server) dispatchRole(ex *exchange, active *requestFaults) answer {
	switch ex.method {
	case http.MethodPut:
		return s.putRole(ex, active)
	case http.MethodPost:
		return s.postRole(ex, active)
	case http.MethodHead:
		return s.headRole(ex, active)
	case http.MethodDelete:
		return s.deleteRole(ex, active)
	case http.MethodGet:
		return s.getRole(ex, active)
	case http.MethodOptions:
		return options()
	}
	return internalError(http.StatusNotFound)
}

func options() answer {
	const allow = "DELETE, GET, HEAD, POST, PUT"
	a := newAnswer(http.StatusOK, "text/plain", []byte(allow))
	a.header.Set("Allow", allow)
	a.header.Set("X-Content-Type-Options", "nosniff")
	a.noETag = true // the framework answers this one itself, below its ETags
	return a
}

// methodTable is what GET /v1 answers: every path with its methods.
func methodTable() string {
	type path struct {
		name    string
		methods string
	}
	sections := []struct {
		name  string
		paths []path
	}{
		{"version", []path{{"/", "GET"}, {"/v1", "GET"}}},
		{"user token", []path{{"/v1/user/tokens", "HEAD,GET,POST"}}},
		{"host", []path{
			{"/v1/host", "GET,PUT,POST,DELETE"}, {"/v1/host/{port}", "PUT,POST,DELETE"},
			{"/v1/host/FQDN", "DELETE"}, {"/v1/host/FQDN:{port}", "DELETE"},
			{"/v1/host/IP", "DELETE"}, {"/v1/host/IP:{port}", "DELETE"}}},
		{"service", []path{{"/v1/service", "PUT,POST"}, {"/v1/service/{service}", "GET,HEAD,PUT,POST,DELETE"}}},
		{"role", []path{{"/v1/role", "PUT,POST"}, {"/v1/role/{role}", "HEAD,GET,PUT,POST,DELETE"}, {"/v1/role/token/{role}", "GET"}}},
		{"resource", []path{{"/v1/resource", "PUT,POST"}, {"/v1/resource/{resource}", "HEAD,GET,DELETE"}}},
		{"policy", []path{{"/v1/policy", "PUT,POST"}, {"/v1/policy/{policy}", "HEAD,GET,DELETE"}}},
		{"list", []path{{"/v1/list", "HEAD,GET"}, {"/v1/list/{role, resource, policy}/{path}", "HEAD,GET"}}},
		{"acr", []path{{"/v1/acr/{service}", "GET,PUT,POST,DELETE"}}},
	}
	var outer []string
	for _, sec := range sections {
		var inner []string
		for _, p := range sec.paths {
			inner = append(inner, quote(p.name)+`:["`+strings.ReplaceAll(p.methods, ",", `","`)+`"]`)
		}
		outer = append(outer, quote(sec.name)+":{"+strings.Join(inner, ",")+"}")
	}
	return "{" + strings.Join(outer, ",") + "}"
}
