package k2hr3

import (
	"strings"
	"testing"
)

func TestFullYRNsAreParsed(t *testing.T) {
	for in, resource := range map[string]string{
		"yrn:yahoo:::shop:role:orders/slave":     "yrn:yahoo:::shop:resource:orders/slave",
		"yrn:yahoo:svc::shop:role:orders":        "yrn:yahoo:svc::shop:resource:orders",
		"yrn:yahoo:::Shop:role:a/role/b":         "yrn:yahoo:::Shop:resource:a/role/b",
		"yrn:yahoo:::role:role:role":             "yrn:yahoo:::role:resource:role",
		"yrn:yahoo:::shop:role:two words/50%/é?": "yrn:yahoo:::shop:resource:two words/50%/é?",
	} {
		role, err := ParseRole(in)
		if err != nil {
			t.Errorf("ParseRole(%q): %v", in, err)
			continue
		}
		if role.String() != in || role.IsZero() {
			t.Errorf("ParseRole(%q) = %q, zero %v", in, role, role.IsZero())
		}
		if got := role.Resource().String(); got != resource {
			t.Errorf("resource of %q = %q, want %q", in, got, resource)
		}
		if parsed, err := ParseResource(resource); err != nil || parsed != role.Resource() {
			t.Errorf("ParseResource(%q) = %v, %v", resource, parsed, err)
		}
	}
	if !(Role{}).Resource().IsZero() {
		t.Error("no role has a resource")
	}
}

func TestWhatIsNoFullYRNIsRefusedWithTheReason(t *testing.T) {
	for in, reason := range map[string]string{
		"":                                      "empty role",
		"orders/slave":                          "not a full YRN",
		"yrn:yahoo:::shop:orders/slave":         "not a full YRN",
		"urn:yahoo:::shop:role:orders":          "not a full YRN",
		"yrn:google:::shop:role:orders":         "knows only",
		"yrn:yahoo::east:shop:role:orders":      "knows only",
		"yrn:yahoo::::role:orders":              "no tenant",
		"yrn:yahoo:::shop:resource:orders":      `type "resource"`,
		"yrn:yahoo:::shop:role:orders:slave":    "colon",
		"yrn:yahoo:::shop:role:":                "empty or dotted part",
		"yrn:yahoo:::shop:role:orders/":         "empty or dotted part",
		"yrn:yahoo:::shop:role:a//b":            "empty or dotted part",
		"yrn:yahoo:::shop:role:a/../b":          "empty or dotted part",
		"yrn:yahoo:::shop:role:orders\n":        "line end",
		"yrn:yahoo:::shop:role:\xff":            "not UTF-8",
		"yrn:yahoo:::shop:role:" + long(2048):   "no name",
		"yrn:yahoo:::shop:role:orders/sl\x00ve": "control character",
	} {
		role, err := ParseRole(in)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParseRole(%.40q): error %v, want one with %q", in, err, reason)
		}
		if !role.IsZero() {
			t.Errorf("ParseRole(%.40q) = %v besides the error", in, role)
		}
	}
	if _, err := ParseResource("yrn:yahoo:::shop:role:orders"); err == nil {
		t.Error("ParseResource takes a role")
	}
}

func long(n int) string { return strings.Repeat("x", n) }
