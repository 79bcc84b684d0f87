package k2hr3

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"
)

// Token is a role token. It goes into the header of a request and nowhere else:
// every way to print, log or encode it gives a placeholder. The zero Token is no
// token; tokens are comparable with ==.
type Token struct {
	// A handle, not the text: fmt cannot call methods on a Token in an
	// unexported field, and then prints what it finds, here an address.
	secret unique.Handle[string]
}

const (
	hiddenToken = "role token (hidden)"
	noToken     = "no role token"

	// K2HR3's tokens have 64 characters.
	maxToken = 1024
)

// NewToken returns the role token in s, which may be the content of a file:
// white space around it is cut off. No error contains any of s.
func NewToken(s string) (Token, error) {
	s = strings.Trim(s, " \t\r\n")
	switch {
	case s == "":
		return Token{}, errors.New("role token is empty")
	case strings.ContainsAny(s, "\r\n"):
		return Token{}, errors.New("role token has more than one line: want the token alone")
	case len(s) >= 2 && s[1] == '=' && (s[0] == 'R' || s[0] == 'r'):
		return Token{}, errors.New(`role token begins with "R=": leave that off, it belongs to the request header`)
	case len(s) >= 2 && s[1] == '=' && (s[0] == 'U' || s[0] == 'u'):
		return Token{}, errors.New(`role token begins with "U=": that is a user token, want a role token`)
	case len(s) > maxToken:
		return Token{}, fmt.Errorf("role token has %d characters: more than %d is no token", len(s), maxToken)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return Token{}, errors.New("role token contains a blank, a control character or a character that is not ASCII")
	}
	return Token{secret: unique.Make(s)}, nil
}

// HasForm reports whether t looks as K2HR3's tokens do: 64 digits, 0 to 9 and a to f. A host takes
// others too, as a token there is better tried than refused.
func (t Token) HasForm() bool { return !t.IsZero() && tokenForm.MatchString(t.secret.Value()) }

// IsZero reports whether t is no token.
func (t Token) IsZero() bool { return t == Token{} }

// String returns a placeholder.
func (t Token) String() string {
	if t.IsZero() {
		return noToken
	}
	return hiddenToken
}

// GoString returns a placeholder.
func (t Token) GoString() string { return t.String() }

// Format writes a placeholder, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue returns a placeholder.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns a placeholder: a token is not for storing either.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// header returns the value of x-auth-token. K2HR3 wants the capital R
// (docs/k2hr3.md B.1).
func (t Token) header() string { return "R=" + t.secret.Value() }
