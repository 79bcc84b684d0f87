package fakek2hr3

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Op is the kind of exchange a request asks for.
type Op string

// The exchanges the agent, or the tools it replaces, can cause.
const (
	OpRoot     Op = "root"     // GET /
	OpRegister Op = "register" // PUT role
	OpProbe    Op = "probe"    // HEAD role
	OpLeave    Op = "leave"    // DELETE role
	OpToken    Op = "token"    // GET role/token
	OpResource Op = "resource" // GET resource
	OpUserdata Op = "userdata" // GET userdata, extdata
	OpScope    Op = "scope"    // POST user/tokens
	OpOther    Op = "other"
)

// ops are they by method and mount.
var ops = map[string]Op{
	"GET /": OpRoot, "PUT /v1/role": OpRegister, "HEAD /v1/role": OpProbe, "DELETE /v1/role": OpLeave, "GET /v1/role": OpToken,
	"GET /v1/resource": OpResource, "POST /v1/user/tokens": OpScope, "GET /v1/userdata": OpUserdata, "GET /v1/extdata": OpUserdata,
}

// exchange is a request as K2HR3 reads it.
type exchange struct {
	method    string
	op        Op
	rawPath   string // as sent
	mount     string // "/", "/v1/role", ...; empty: none of ours
	name      string // the path below the mount, decoded
	malformed bool   // the path cannot be decoded
	query     query
	source    string
	token     string // without its R= or U= prefix; empty: none was sent
	asRole    bool   // sent as R=
	body      []byte // of a POST
	header    http.Header
	host      string
}

func newExchange(r *http.Request) *exchange {
	ex := &exchange{
		method: r.Method, header: r.Header, host: r.Host,
		source: sourceAddress(r.RemoteAddr, r.Header.Values("X-Forwarded-For")),
		query:  parseQuery(r.URL.RawQuery),
	}
	ex.rawPath = requestPath(r)
	path, ok := decodeURI(ex.rawPath)
	ex.malformed = !ok
	ex.mount, ex.name = splitMount(path)
	ex.op = OpOther
	if op, ok := ops[ex.method+" "+ex.mount]; ok {
		ex.op = op
	}
	ex.token, ex.asRole = parseToken(strings.Join(r.Header.Values("X-Auth-Token"), ", "))
	if ex.method == http.MethodPost {
		ex.body, _ = io.ReadAll(io.LimitReader(r.Body, 64<<10))
	}
	return ex
}

// requestPath returns the path exactly as it was sent: Go's own decoding would
// lose the difference between ":" and "%3A".
func requestPath(r *http.Request) string {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") {
		return r.URL.EscapedPath()
	}
	path, _, _ := strings.Cut(uri, "?")
	return path
}

// parseToken reads an x-auth-token header. Only the exact prefix R= makes it a
// role token, also when nothing follows.
func parseToken(header string) (value string, asRole bool) {
	if v, ok := strings.CutPrefix(header, "R="); ok {
		return v, true
	}
	return strings.TrimPrefix(header, "U="), false
}

// hasToken says whether the request counts as carrying a token.
func (ex *exchange) hasToken() bool { return ex.token != "" || ex.asRole }

func splitMount(path string) (mount, name string) {
	if path == "/" || path == "" {
		return "/", ""
	}
	lower := strings.ToLower(path)
	for _, m := range []string{"/v1/role", "/v1/resource", "/v1/userdata", "/v1/extdata", "/v1/user/tokens"} {
		if lower == m {
			return m, ""
		}
		if strings.HasPrefix(lower, m+"/") {
			// A trailing slash is no part of the name.
			return m, strings.TrimSuffix(path[len(m)+1:], "/")
		}
	}
	return "", ""
}

// decodeURI undoes percent-encoding except for the characters that have a
// meaning in a URI, which stay as they were sent. It reports false for a
// malformed escape and for bytes that are not UTF-8.
func decodeURI(s string) (string, bool) {
	text, err := url.PathUnescape(reserved.ReplaceAllString(s, "%25$1"))
	if err != nil || !utf8.ValidString(text) {
		return s, false
	}
	return text, true
}

// reserved are the escapes of characters that have a meaning in a URI.
var reserved = regexp.MustCompile(`(?i)%(3b|2f|3f|3a|40|26|3d|2b|24|2c|23)`)

// query holds the arguments of a request; one given twice is an array to
// K2HR3, which ignores it.
type query map[string][]string

func parseQuery(raw string) query {
	q := query{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		q[unescape(k)] = append(q[unescape(k)], unescape(v))
	}
	return q
}

func unescape(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		s = text
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// get returns the argument, or "" when it is absent or given more than once.
func (q query) get(name string) string {
	if v := q[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

func (q query) has(name string) bool { return len(q[name]) > 0 }

// shown renders an argument the way K2HR3's messages do.
func (q query) shown(name string) string {
	switch v := q[name]; len(v) {
	case 0:
		return "undefined"
	case 1:
		return quote(v[0])
	default:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = quote(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
}

// cuk returns the trimmed cuk argument.
func (q query) cuk() string { return strings.TrimSpace(q.get("cuk")) }

// port returns the port argument; anything that is not a number is 0, any port.
func (q query) port() int {
	var n int
	if json.Unmarshal([]byte(q.get("port")), &n) != nil || n < 0 {
		return 0
	}
	return n
}

// sourceAddress is the address K2HR3 believes a request comes from:
// X-Forwarded-For counts only when the peer is this machine, and then its
// right-most address that is not loopback itself.
func sourceAddress(remote string, forwarded []string) string {
	peer := remote
	if host, _, err := net.SplitHostPort(remote); err == nil {
		peer = host
	}
	peer = strings.TrimPrefix(peer, "::ffff:")
	if !isLoopback(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	source := peer
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimPrefix(strings.TrimSpace(hops[i]), "::ffff:")
		if hop == "" {
			continue
		}
		source = hop
		if !isLoopback(hop) {
			break
		}
	}
	return source
}

func isLoopback(addr string) bool {
	a, err := netip.ParseAddr(addr)
	return err == nil && a.IsLoopback()
}
