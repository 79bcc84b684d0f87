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

	tokenDigits = 64 // of K2HR3's tokens, 0 to 9 and a to f (docs/k2hr3.md B.3)
)

// NewToken returns the role token in s, which may be the content of a file:
// white space around it is cut off. What K2HR3 could only call expired is an
// error, which contains nothing of s.
func NewToken(s string) (Token, error) {
	s = strings.Trim(s, " \t\r\n")
	if what := notToken(s); what != "" {
		return Token{}, errors.New("role token " + what)
	}
	return Token{secret: unique.Make(s)}, nil
}

// notToken says what keeps s from being a token, and what to do about it.
func notToken(s string) string {
	const want = "write the 64 digits alone, as K2HR3 shows them"
	bare := strings.Trim(s, "\"'`")
	switch {
	case s == "":
		return "is empty"
	case strings.ContainsAny(s, "\r\n"):
		return "has more than one line: " + want
	case strings.HasPrefix(s, "R=") || strings.HasPrefix(s, "r="):
		return `begins with "R=", which belongs to the request's header: ` + want
	case strings.HasPrefix(s, "U=") || strings.HasPrefix(s, "u="):
		return `begins with "U=": that is a user token, and a role token is needed`
	case bare != s:
		return "is in quotes: " + want
	case tokenForm.MatchString(s):
		return ""
	case tokenForm.MatchString(strings.ToLower(s)):
		return "has capital letters, and K2HR3 tells them from small ones: " + want
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "contains a blank, a control character or a character that is not ASCII: " + want
	case strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }):
		return "contains something else than the digits 0 to 9 and a to f: " + want
	}
	return fmt.Sprintf("has %d digits, and K2HR3's have %d: a part of it is missing, or there is too much", len(s), tokenDigits)
}

// IsZero reports whether t is no token.
func (t Token) IsZero() bool { return t == Token{} }

// String returns a placeholder.
func (t Token) String() string {
	if t.IsZero() {
		return noToken
	}
	return hiddenToken
}

// Format writes a placeholder, whatever the verb, %#v too.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue returns a placeholder.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns a placeholder: a token is not for storing either.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// header returns the value of x-auth-token. K2HR3 wants the capital R
// (docs/k2hr3.md B.1).
func (t Token) header() string { return "R=" + t.secret.Value() }
