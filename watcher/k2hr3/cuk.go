package k2hr3

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CUK is a host's custom unique key, on OpenStack the instance's UUID, on Kubernetes a [Pod]. The
// zero CUK is no key; CUKs are comparable with ==.
type CUK struct{ key string }

// maxCUK is what chmpx takes (docs/chmpx.md B.3). A pod's has some 500 bytes.
const maxCUK = 2047

// cukSigns are what a key may contain besides letters and digits: those of an instance's id, of an
// address, and of a key in base64 for URLs.
const cukSigns = "-_.:=%+@~"

// ParseCUK returns the key s. It refuses what K2HR3 takes and regrets: K2HR3 keeps hosts by "ip
// port cuk", so that one with a blank becomes an entry that nobody can list or remove
// (docs/k2hr3.md A.3); without a key it takes every host of the address (docs/k2hr3.md C.3, C.7);
// and it makes a path of the key, in which a slash or two dots lead elsewhere. It also refuses what
// chmpx would read otherwise: quotes, backslashes, commas and brackets (docs/chmpx.md A.5).
func ParseCUK(s string) (CUK, error) {
	switch {
	case s == "":
		return CUK{}, errors.New("the CUK is empty")
	case len(s) > maxCUK:
		return CUK{}, fmt.Errorf("the CUK has %d bytes: more than %d cannot be meant", len(s), maxCUK)
	case strings.ContainsFunc(s, unicode.IsSpace):
		return CUK{}, errors.New("the CUK contains a blank: K2HR3 would register a host that nobody can find or remove")
	case !isText(s):
		return CUK{}, errors.New("the CUK " + notText)
	case strings.Trim(s, ".") == "" || strings.Contains(s, ".."):
		return CUK{}, errors.New("the CUK has dots that would lead to another key of K2HR3's")
	}
	for _, r := range s {
		if !isCUKSign(r) {
			return CUK{}, fmt.Errorf("the CUK contains %q: it may have letters and digits of ASCII, and %s", r, cukSigns)
		}
	}
	return CUK{s}, nil
}

func isCUKSign(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune(cukSigns, r)
}

// String returns the key.
func (c CUK) String() string { return c.key }

// IsZero reports whether c is no key.
func (c CUK) IsZero() bool { return c.key == "" }

// isText reports whether s may stand in a request and in a message as it is.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

const notText = "contains a control character or a line end, or is not UTF-8"
