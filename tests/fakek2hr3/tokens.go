package fakek2hr3

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	tokenLife     = 86400 * time.Second     // of tokens without an expire argument
	unlimitedLife = 315360000 * time.Second // what "no expiry" amounts to
	maxExpire     = 8.6e12                  // seconds; beyond it the date overflows
)

// TokenKind says what a request carried to identify itself.
type TokenKind string

// A request's token, as far as the server knows it.
const (
	TokenNone    TokenKind = "no token"
	TokenUnknown TokenKind = "unknown token"   // never issued, expired, revoked, or of a host that is gone
	TokenByUser  TokenKind = "user-made token" // the shared one an operator hands out
	TokenByHost  TokenKind = "host-made token" // fetched by a member for itself
	TokenOfUser  TokenKind = "user token"
)

// token is one issued role token.
type token struct {
	value   string
	role    *role
	roleID  int    // of the role when the token was issued
	host    *entry // nil: made by a user
	expires time.Time
}

// address is what narrows the token's host down besides its IP address: nothing
// for a user-made one.
func (t *token) address() (port int, cuk string) {
	if t.host == nil {
		return 0, ""
	}
	return t.host.Port, t.host.CUK
}

// caller is who a request comes from.
type caller struct {
	token  *token // a valid role token
	tenant string // of the role token or the user token; empty: no token
}

func (c caller) anonymous() bool { return c.tenant == "" }
func (c caller) user() bool      { return c.tenant != "" && c.token == nil }

// authenticate checks the request's token. It reports false when there is one
// and it is no good. The caller holds mu.
func (s *Server) authenticate(ex *exchange, active *requestFaults) (caller, bool) {
	switch {
	case !ex.hasToken():
		return caller{}, true
	case active.has(BackendDown) || active.has(TokensExpired):
		return caller{}, false
	case ex.asRole:
		t := s.validToken(ex)
		if t == nil {
			return caller{}, false
		}
		return caller{token: t, tenant: t.role.tenant}, true
	default:
		tenant := s.users[ex.token]
		return caller{tenant: tenant}, tenant != ""
	}
}

// validToken returns the request's role token if it can be used from its
// address now. A token dies with its role, and a host's own token also with the
// host's entry, whatever its expiry.
func (s *Server) validToken(ex *exchange) *token {
	t := s.tokens[ex.token]
	switch {
	case t == nil, !s.now().Before(t.expires):
		return nil
	case s.roles[t.role.yrn] != t.role, t.role.id == 0, t.role.id != t.roleID:
		return nil
	case t.host != nil && (t.host.gone || t.host.Addr != ex.source):
		return nil
	}
	return t
}

// unauthorized is the answer to a token that is no good. It echoes the token,
// as the real one does.
func unauthorized(ex *exchange) answer {
	if ex.method == http.MethodHead || ex.method == http.MethodDelete {
		return bare(http.StatusUnauthorized)
	}
	return fail(http.StatusUnauthorized, "token(%s) is not existed, because it is expired or not set yet.", ex.token)
}

// tokenKind classifies the request's token for the log. The caller holds mu.
func (s *Server) tokenKind(ex *exchange) TokenKind {
	if !ex.hasToken() {
		return TokenNone
	}
	if !ex.asRole {
		if s.users[ex.token] != "" {
			return TokenOfUser
		}
		return TokenUnknown
	}
	switch t := s.validToken(ex); {
	case t == nil:
		return TokenUnknown
	case t.host != nil:
		return TokenByHost
	default:
		return TokenByUser
	}
}

// issue makes a role token. The caller holds mu.
func (s *Server) issue(r *role, host *entry, life time.Duration) *token {
	t := &token{value: randomHex(32), role: r, roleID: r.id, host: host, expires: s.now().Add(life)}
	s.tokens[t.value] = t
	return t
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // never fails
	return hex.EncodeToString(b)
}

// getToken is GET /v1/role/token/<role>.
func (s *Server) getToken(ex *exchange, active *requestFaults, who caller, n name) answer {
	if who.user() {
		return s.userToken(ex, n)
	}
	port, cuk := ex.query.port(), ex.query.cuk()
	if who.token != nil {
		if who.token.host == nil {
			return fail(http.StatusBadRequest, "GET request ip address and role token are not same.")
		}
		port, cuk = who.token.address()
	}
	found := s.find(active, n, ex.source, port, cuk)
	if len(found) == 0 {
		shown := "null"
		if cuk != "" {
			shown = quote(cuk)
		}
		return fail(http.StatusNotFound, "Not found ip(%s) with port(%d) and cuk(%s) in tenant(%s) + role(%s)", ex.source, port, shown, n.tenant, n.path)
	}
	r := s.roles[n.yrn("role")]
	if r == nil || r.id == 0 {
		return noRoleID(n.yrn("role"))
	}
	if who.token != nil {
		delete(s.tokens, who.token.value) // renewed: the old one is gone
	}
	return s.tokenAnswer(s.issue(r, found[0], tokenLife))
}

// userToken issues a token on behalf of a user.
func (s *Server) userToken(ex *exchange, n name) answer {
	r := s.roles[n.yrn("role")]
	if r == nil || r.id == 0 {
		return noRoleID(n.yrn("role"))
	}
	life := tokenLife
	if secs, err := strconv.ParseFloat(ex.query.get("expire"), 64); err == nil {
		switch {
		case math.Abs(secs) > maxExpire:
			return internalError(http.StatusInternalServerError)
		case secs == 0:
			life = unlimitedLife
		default:
			// Durations end at 292 years, long enough for any test.
			life = time.Duration(min(secs, 9e9)) * time.Second
		}
	}
	return s.tokenAnswer(s.issue(r, nil, life))
}

func noRoleID(yrn string) answer {
	return fail(http.StatusNotFound, `could not get role id(%s/id) value, or it is wrong value("").`, yrn)
}

func (s *Server) tokenAnswer(t *token) answer {
	return jsonAnswer(http.StatusOK, `{"result":true,"message":null,"token":`+quote(t.value)+`,"registerpath":`+quote(s.registerPath(t))+`}`)
}

// jsonText undoes the JSON form K2HR3 accepts for extra and tag. A value that
// is not JSON stands for itself; ok is false for JSON that is not a string.
func jsonText(v string) (text string, ok bool) {
	if v == "" || !json.Valid([]byte(v)) {
		return v, true
	}
	if !strings.HasPrefix(strings.TrimSpace(v), `"`) {
		return "", false
	}
	err := json.Unmarshal([]byte(v), &text)
	return text, err == nil
}
