package k2hr3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unique"
)

// UserDataAddress is the address of what K2HR3 has for the cloud-init of a new VM, with
// a role token in it: <API>/v1/userdata/<registerpath>, or the same of extdata.
// Whoever has the address has the token, so every way to print, log or encode a
// UserDataAddress gives its scheme and host alone. The zero UserDataAddress is no address.
type UserDataAddress struct {
	secret unique.Handle[string]
}

const (
	formUserData = "want <API>/v1/userdata/<registerpath>, as K2HR3 shows it beside the role token"

	// K2HR3 refuses a request whose line and headers exceed 16 KiB.
	maxUserData = 8 << 10
)

// ParseTokenFile returns what is in a role token file: the token, or the address
// of user data that has one. The address may stand alone or, as in user data for
// cloud-init, after "#include". No error contains any of text.
func ParseTokenFile(text string) (Token, UserDataAddress, error) {
	included := false
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := cutInclude(line); ok {
			included, line = true, rest
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	switch {
	case !included && (len(lines) == 0 || !isWebAddress(lines[0])):
		token, err := NewToken(text)
		return token, UserDataAddress{}, err
	case len(lines) == 0:
		return Token{}, UserDataAddress{}, errors.New("user data includes nothing: " + formUserData + " after #include")
	case len(lines) > 1:
		return Token{}, UserDataAddress{}, errors.New("user data has more than one address, or more than that: want K2HR3's address alone")
	}
	at, err := parseUserDataAddress(lines[0])
	return Token{}, at, err
}

// cutInclude returns what follows the word cloud-init includes by.
func cutInclude(line string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(line, "#include-once"); !ok {
		rest, ok = strings.CutPrefix(line, "#include")
	}
	return strings.TrimSpace(rest), ok
}

func isWebAddress(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	return ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// userDataPath is a path up to the registerpath, which is base64 and may begin with a slash.
var userDataPath = regexp.MustCompile(`/v1/(?:userdata|extdata/([\w.-]+))/`)

func parseUserDataAddress(s string) (UserDataAddress, error) {
	u, err := url.Parse(s)
	switch {
	case len(s) > maxUserData:
		return UserDataAddress{}, fmt.Errorf("address of user data has %d bytes: more than %d is none", len(s), maxUserData)
	case err != nil, !isWebAddress(s), u.Hostname() == "", u.RawQuery != "" || u.ForceQuery || u.Fragment != "",
		strings.ContainsFunc(s, unicode.IsSpace):
		return UserDataAddress{}, errors.New("address of user data is not one of K2HR3: " + formUserData)
	case u.User != nil:
		return UserDataAddress{}, errors.New("address of user data contains a user name or password, which K2HR3 does not know: " + formUserData)
	}
	path := u.EscapedPath()
	at := userDataPath.FindStringIndex(path)
	if at == nil {
		return UserDataAddress{}, errors.New("address of user data leads elsewhere: " + formUserData)
	}
	registerPath, err := url.PathUnescape(path[at[1]:])
	if err != nil || strings.Trim(registerPath, "/") == "" {
		return UserDataAddress{}, errors.New("address of user data leads elsewhere: " + formUserData)
	}
	start := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + path[:at[1]]
	return UserDataAddress{secret: unique.Make(start + escaped(registerPath))}, nil
}

// escaped is a registerpath in the form that K2HR3 gives out. K2HR3 understands most of them
// decoded too (docs/k2hr3.md E.2), but not one that ends in a slash, and a proxy may make one slash
// of two.
func escaped(registerPath string) string {
	return strings.ReplaceAll(url.QueryEscape(registerPath), "+", "%20")
}

// IsZero reports whether u is no address.
func (u UserDataAddress) IsZero() bool { return u == UserDataAddress{} }

// String returns scheme and host.
func (u UserDataAddress) String() string {
	if u.IsZero() {
		return "no user data"
	}
	return "user data at " + u.server().String()
}

// Format writes scheme and host, whatever the verb, %#v too.
func (u UserDataAddress) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue returns scheme and host.
func (u UserDataAddress) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText returns scheme and host.
func (u UserDataAddress) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// server is where the address leads, without the way there.
func (u UserDataAddress) server() *url.URL {
	full, err := url.Parse(u.secret.Value())
	if err != nil { // it was parsed before
		return &url.URL{}
	}
	return &url.URL{Scheme: full.Scheme, Host: full.Host}
}

// agent returns the User-Agent that K2HR3 answers: one with cloud-init in it,
// and without a version, which would be taken for a wish to have it packed. What
// extdata answers is configured, by convention after the name of the section
// (docs/k2hr3.md E).
func (u UserDataAddress) agent(own string) string {
	full, err := url.Parse(u.secret.Value())
	if err == nil {
		if m := userDataPath.FindStringSubmatch(full.EscapedPath()); m != nil && m[1] != "" {
			return "extdata_k2hr3_" + m[1]
		}
	}
	return own + " (cloud-init)"
}

// UserDataToken returns the role token that the script in K2HR3's user data at u
// has, which has to be one for role ([ErrOtherRole]). K2HR3 answers an address
// it cannot read with a script too, one without a token ([ErrUserData]). It is
// the same token each time, and K2HR3 does not look whether it is still good
// (docs/k2hr3.md E.1).
func (c *Client) UserDataToken(ctx context.Context, u UserDataAddress, role Role) (Token, error) {
	if u.IsZero() || role.IsZero() {
		return Token{}, c.refusedHere("read user data", errors.New("no address or no role is given"))
	}
	op := "read the role token from " + u.String()
	at := c.at(u.server())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.secret.Value(), nil)
	if err != nil {
		return Token{}, at.refusedHere(op, errors.New("it is no address"))
	}
	req.Header.Set("User-Agent", u.agent(c.userAgent))
	a, err := at.send(req, op, readUserData)
	if err != nil {
		return Token{}, err
	}
	if a.status != http.StatusOK {
		e := at.newError(op, a.status, judgeUserData(a))
		e.RetryAfter = retryAfter(a.status, a.header)
		return Token{}, e
	}
	token, err := tokenInUserData(a, role)
	if err != nil {
		return Token{}, at.failed(ctx, op, a, err)
	}
	return token, nil
}

// at returns a client for another server than the API, whose addresses are not
// for the log.
func (c *Client) at(server *url.URL) *Client {
	way := c.route
	way.server, way.named = server, "the address in the role token file"
	return &Client{
		api: server, route: way,
		userAgent: c.userAgent, timeout: c.timeout, log: slog.New(slog.DiscardHandler),
		dial: c.dial, line: c.line, retrier: c.silent,
	}
}

// judgeUserData returns what a status other than success means.
func judgeUserData(a answer) verdict {
	const check = "check the address in the role token file"
	switch {
	case a.status == http.StatusBadRequest:
		return verdict{ErrBadRequest, "K2HR3 gives this agent nothing at that address: " + check}
	case a.status == http.StatusNotFound:
		return verdict{ErrNotFound, "K2HR3 has no user data there: " + check}
	case a.status >= 300 && a.status < 400:
		return verdict{ErrAnswer, "redirects are not followed: the role token file has to name the address that it leads to"}
	case a.status == http.StatusTooManyRequests, a.status >= 500, a.status == http.StatusProxyAuthRequired:
		return judgeOther(a.status)
	}
	return verdict{ErrAnswer, "K2HR3 gives no such answer: " + check}
}
