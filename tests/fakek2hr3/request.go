package fakek2hr3

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
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
	OpOther    Op = "other"
)

// ops are they by method and mount.
var ops = map[string]Op{
	"GET /": OpRoot, "PUT /v1/role": OpRegister, "HEAD /v1/role": OpProbe, "DELETE /v1/role": OpLeave, "GET /v1/role": OpToken,
	"GET /v1/resource": OpResource, "GET /v1/userdata": OpUserdata, "GET /v1/extdata": OpUserdata,
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
	for _, m := range []string{"/v1/role", "/v1/resource", "/v1/userdata", "/v1/extdata"} {
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
	const reserved = ";/?:@&=+$,#"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return s, false
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if strings.IndexByte(reserved, c) >= 0 {
			b.WriteString(s[i : i+3])
		} else {
			b.WriteByte(c)
		}
		i += 2
	}
	if !utf8.ValidString(b.String()) {
		return s, false
	}
	return b.String(), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

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
	s = strings.ReplaceAll(s, "+", " ")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
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
