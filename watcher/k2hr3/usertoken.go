package k2hr3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unique"
)

// ErrUserToken says that K2HR3 does not take the user's token, or that the user may not use the
// tenant.
var ErrUserToken = errors.New("user token refused")

// UserToken is a user's token, by which K2HR3 makes role tokens. Whoever has it acts as that user,
// so every way to print, log or encode it gives a placeholder. The zero UserToken is none.
type UserToken struct {
	secret unique.Handle[string]
}

// maxUserToken is more than a token has, in bytes.
const maxUserToken = 8 << 10

// NewUserToken returns the user's token in s, which may be the content of a file: white space
// around it is cut off. The error has nothing of s.
func NewUserToken(s string) (UserToken, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "U=")
	switch {
	case s == "":
		return UserToken{}, errors.New("user token is empty")
	case strings.HasPrefix(s, "R="):
		return UserToken{}, errors.New(`user token begins with "R=": that is a role token, which role-token-file names`)
	case len(s) > maxUserToken:
		return UserToken{}, fmt.Errorf("user token has %d bytes: more than %d is none", len(s), maxUserToken)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return UserToken{}, errors.New("user token has more than one line, or a blank or sign that no token has: write the token alone")
	}
	return UserToken{unique.Make(s)}, nil
}

// IsZero reports whether t is no token.
func (t UserToken) IsZero() bool { return t == UserToken{} }

// String returns a placeholder.
func (t UserToken) String() string {
	if t.IsZero() {
		return "no user token"
	}
	return "user token (hidden)"
}

// Format writes a placeholder, whatever the verb, %#v too.
func (t UserToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue returns a placeholder.
func (t UserToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns a placeholder.
func (t UserToken) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// RoleToken has K2HR3 make a token of role that is good for life: it exchanges the user's unscoped
// token for one of the role's tenant, and that for the role token (docs/flavours.md 5.3). Each call
// makes another one; those before stay good for their time.
func (c *Client) RoleToken(ctx context.Context, user UserToken, role Role, life time.Duration) (Token, error) {
	scoped, err := c.scope(ctx, user, role.tenant())
	if err != nil {
		return Token{}, err
	}
	x := exchange{
		op: "get a role token of " + role.yrn, method: http.MethodGet, path: "/v1/role/token/" + role.yrn, user: scoped,
		query: url.Values{"expire": {strconv.Itoa(int(math.Ceil(life.Seconds())))}},
	}
	a, err := c.do(ctx, x)
	if err != nil {
		return Token{}, err
	}
	switch {
	case a.status == http.StatusNotFound && strings.HasPrefix(a.message(), "could not get role id("):
		return Token{}, c.newError(x.op, a.status, verdict{ErrNotFound, "there is no such role: check role, and whether the cluster is set up in K2HR3"})
	case a.status == http.StatusUnauthorized && a.isJSON():
		return Token{}, c.newError(x.op, a.status, verdict{ErrUserToken, "K2HR3 does not take the token that it has just made of the user's; " + hintStore})
	case a.status != http.StatusOK:
		return Token{}, c.refused(x.op, a, asked{})
	}
	text, err := a.tokenText()
	if err != nil {
		return Token{}, c.failed(ctx, x.op, a, err)
	}
	token, err := NewToken(text)
	if err != nil {
		return Token{}, c.failed(ctx, x.op, a, wrongAnswer("the answer's %v", err))
	}
	return token, nil
}

// scope exchanges a user's unscoped token for one of a tenant.
func (c *Client) scope(ctx context.Context, user UserToken, tenant string) (UserToken, error) {
	x := exchange{op: "get a user token of tenant " + tenant, method: http.MethodPost, path: "/v1/user/tokens", user: user}
	if user.IsZero() || tenant == "" {
		return UserToken{}, c.refusedHere(x.op, errors.New("no user token or no role is given"))
	}
	var err error
	if x.body, err = json.Marshal(map[string]any{"auth": map[string]string{"tenantName": tenant}}); err != nil {
		return UserToken{}, c.refusedHere(x.op, err)
	}
	a, err := c.do(ctx, x)
	if err != nil {
		return UserToken{}, err
	}
	switch a.status {
	case http.StatusCreated, http.StatusOK:
	case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
		if !a.isJSON() {
			return UserToken{}, c.refused(x.op, a, asked{})
		}
		return UserToken{}, c.newError(x.op, a.status, verdict{ErrUserToken,
			"the user token has expired (K2HR3 keeps one a day, or as long as the login behind it), or the tenant is not the user's: put a new one into user-token-file"})
	default:
		return UserToken{}, c.refused(x.op, a, asked{})
	}
	text, err := a.tokenText()
	if err != nil {
		return UserToken{}, c.failed(ctx, x.op, a, err)
	}
	scoped, err := NewUserToken(text)
	if err != nil {
		return UserToken{}, c.failed(ctx, x.op, a, wrongAnswer("the answer's %v", err))
	}
	return scoped, nil
}

// tokenText returns the token of an answer that says success.
func (a answer) tokenText() (string, error) {
	m, err := a.success()
	if err != nil {
		return "", err
	}
	return m.text("token")
}

// header returns the value of x-auth-token.
func (t UserToken) header() string { return "U=" + t.secret.Value() }
