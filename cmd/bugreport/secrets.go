package bugreport

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// leastSecret is the length from which on a secret is looked for, in bytes: a shorter one is found
// in texts that have nothing to do with it.
const leastSecret = 4

// Secrets are what must not get out: those of this host, by their text, and what looks like one.
type Secrets struct {
	known []string // longest first
}

// NewSecrets returns those of some texts: passwords, tokens, the content of files with keys. Each
// line of a text that is long enough to be looked for is one.
func NewSecrets(texts ...string) Secrets {
	var s Secrets
	for _, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			// What frames a key is no secret.
			if len(line) >= leastSecret && !strings.HasPrefix(line, "-----") && !slices.Contains(s.known, line) {
				s.known = append(s.known, line)
			}
		}
	}
	slices.SortStableFunc(s.known, func(a, b string) int { return len(b) - len(a) })
	return s
}

const (
	instead = "(removed)"
	gone    = "(a line with a secret was here)"
)

var (
	// The user and password of a URL.
	userPart = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:/{2})[^/@\s"'<>]*@`)
	// A key in PEM, whole or broken off, also within a quoted string.
	pemKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)
	// The address of user data is as good as the token in there.
	userData = regexp.MustCompile(`(?i)(/v1/(?:user|ext)data/)[^\s"'?#]+`)
	// A token has 64 digits, as the sum of a file has, which is named so.
	tokenLike = regexp.MustCompile(`(sha256"?:? ?"?)?[0-9A-Fa-f]{64,}`)
	// The header by which a token is sent, and words that come before a secret.
	named = regexp.MustCompile(`(?i)((?:x-auth-token|authorization|proxy-authorization|password|passwd|secret|unscopedtoken|scopedtoken)"?\s*[:=]\s*"?)((?:U=|R=|Basic |Bearer )?[^\s"',;]+)`)
)

// Remove takes secrets out of a text, and says in how many places.
func (s Secrets) Remove(text string) (clean string, places int) {
	replace := func(re *regexp.Regexp, with string) {
		if n := len(re.FindAllStringIndex(text, -1)); n > 0 {
			places += n
			text = re.ReplaceAllString(text, with)
		}
	}
	replace(pemKey, instead)
	replace(userPart, "${1}"+instead+"@")
	replace(userData, "${1}"+instead)
	replace(named, "${1}"+instead)
	text = tokenLike.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "sha256") {
			return found
		}
		places++
		return instead
	})
	for _, known := range s.known {
		for _, written := range written(known) {
			if n := strings.Count(text, written); n > 0 {
				places += n
				text = strings.ReplaceAll(text, written, instead)
			}
		}
	}
	if !s.In(text) {
		return text, places
	}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if s.In(line) {
			places++
			lines[i] = gone + "\n"
		}
	}
	return strings.Join(lines, ""), places
}

// In reports whether a known secret is in a text: as it is, quoted, in base64 or hex, in part or
// wholly percent-encoded, also where a line has been broken in between.
func (s Secrets) In(text string) bool {
	whole := []string{text, decoded(text), decoded(decoded(text))}
	joined := []string{withoutBlanks(text), decoded(withoutBlanks(text))}
	contains := func(forms []string, s string) bool {
		return slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(form, s) })
	}
	for _, known := range s.known {
		for _, w := range append(written(known), inBase64(known)...) {
			if contains(whole, w) || contains(joined, withoutBlanks(w)) {
				return true
			}
		}
	}
	return false
}

func withoutBlanks(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// written are the ways to write a secret out.
func written(secret string) []string {
	quoted := strings.Trim(strconv.Quote(secret), `"`)
	marshalled, _ := json.Marshal(secret)
	sum := hex.EncodeToString([]byte(secret))
	ways := []string{
		secret, quoted, strings.Trim(string(marshalled), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		url.UserPassword("", secret).String()[1:], sum, strings.ToUpper(sum),
	}
	slices.Sort(ways)
	ways = slices.Compact(ways)
	slices.SortStableFunc(ways, func(a, b string) int { return len(b) - len(a) })
	return ways
}

// inBase64 is what of a secret shows in base64, for each place at which it may begin.
func inBase64(secret string) (list []string) {
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			b := append(make([]byte, before), secret...)
			b = b[:len(b)/3*3] // what follows the secret changes the rest
			from := (before*8 + 5) / 6
			if core := encoding.EncodeToString(b); len(core) > from+leastSecret {
				list = append(list, core[from:])
			}
		}
	}
	return list
}

var percent = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// decoded undoes percent-encoding, as far as there is any.
func decoded(text string) string {
	return percent.ReplaceAllStringFunc(text, func(s string) string {
		b, _ := hex.DecodeString(s[1:]) // there is nothing else in it
		return string(b)
	})
}

// Passwords returns the passwords, and the users with them, of the URLs in variables of an
// environment: those of proxies.
func Passwords(environ []string) (list []string) {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if err != nil || u.User == nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			list = append(list, password, fmt.Sprintf("%s:%s", u.User.Username(), password))
		}
	}
	return list
}
