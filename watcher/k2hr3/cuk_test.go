package k2hr3

import (
	"strings"
	"testing"
)

func TestKeysThatCannotBeUsed(t *testing.T) {
	for value, want := range map[string]string{
		"":         "the CUK is empty",
		"a b":      "contains a blank: K2HR3 would register a host that nobody can find or remove",
		"a\u00a0b": "contains a blank",
		"a\nb":     "contains a blank",
		"a\x01b":   "contains a control character",
		"a\xff":    "is not UTF-8",
		`a"b`:      "contains a quote or a backslash",
		`a\b`:      "contains a quote or a backslash",
		long(256):  "has 256 bytes",
	} {
		key, err := ParseCUK(value)
		if err == nil || !strings.Contains(err.Error(), want) || !key.IsZero() {
			t.Errorf("%.20q: %v, %v, want an error with %q", value, key, err, want)
		}
	}
}
