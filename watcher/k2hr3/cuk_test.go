package k2hr3

import (
	"strings"
	"testing"
)

func TestKeysOfCloudsAreTaken(t *testing.T) {
	for _, key := range []string{
		"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0", "i-0abcdef1234567890", "iid-local01", "nocloud",
		"iid-datasource-none", "vm-7.shop.example", "10.0.0.7", "2001:db8::7", "eyJhIjoxfQ==", "eyJhIjoxfQ%3d%3d", "a_b~c@d+e",
	} {
		if got, err := ParseCUK(key); err != nil || got.String() != key {
			t.Errorf("%s: %v, %v", key, got, err)
		}
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	for value, want := range map[string]string{
		"":         "the CUK is empty",
		"a b":      "contains a blank: K2HR3 would register a host that nobody can find or remove",
		"a\u00a0b": "contains a blank",
		"a\nb":     "contains a blank",
		"a\x01b":   "contains a control character",
		"a\xff":    "is not UTF-8",
		`a"b`:      `contains '"'`,
		`a\b`:      `contains '\\'`,
		"../a":     "dots that would lead to another key",
		"..":       "dots that would lead to another key",
		".":        "dots that would lead to another key",
		"a/../b":   "dots that would lead to another key",
		"a/b":      "contains '/'",
		"a?b=c":    "contains '?'",
		"a#b":      "contains '#'",
		"a&cuk=b":  "contains '&'",
		"a;b":      "contains ';'",
		"a,b":      "contains ','",
		"[a]":      "contains '['",
		"{{a}}":    "contains '{'",
		"größe":    "contains 'ö'",
		long(2048): "has 2048 bytes",
	} {
		key, err := ParseCUK(value)
		if err == nil || !strings.Contains(err.Error(), want) || !key.IsZero() {
			t.Errorf("%.20q: %v, %v, want an error with %q", value, key, err, want)
		}
	}
}
