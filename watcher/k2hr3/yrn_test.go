package k2hr3

import (
	"strings"
	"testing"
)

func TestFullYRNsAreParsed(t *testing.T) {
	for in, want := range map[string][2]string{
		"yrn:yahoo:::shop:role:orders/slave":     {"yrn:yahoo:::shop:role:orders/slave", "yrn:yahoo:::shop:resource:orders/slave"},
		"yrn:yahoo:svc::shop:role:orders":        {"yrn:yahoo:svc::shop:role:orders", "yrn:yahoo:svc::shop:resource:orders"},
		"YRN:Yahoo:::Shop:role:a/role/B":         {"yrn:yahoo:::shop:role:a/role/b", "yrn:yahoo:::shop:resource:a/role/b"},
		"yrn:yahoo:::role:role:role":             {"yrn:yahoo:::role:role:role", "yrn:yahoo:::role:resource:role"},
		"yrn:yahoo:::shop:role:two words/50%/é?": {"yrn:yahoo:::shop:role:two words/50%/é?", "yrn:yahoo:::shop:resource:two words/50%/é?"},
	} {
		role, err := ParseRole(in)
		if err != nil {
			t.Errorf("ParseRole(%q): %v", in, err)
			continue
		}
		if role.String() != want[0] || role.IsZero() {
			t.Errorf("ParseRole(%q) = %q, zero %v, want %q", in, role, role.IsZero(), want[0])
		}
		if got := role.Resource().String(); got != want[1] {
			t.Errorf("resource of %q = %q, want %q", in, got, want[1])
		}
		if parsed, err := ParseResource(want[1]); err != nil || parsed != role.Resource() {
			t.Errorf("ParseResource(%q) = %v, %v", want[1], parsed, err)
		}
	}
	if !(Role{}).Resource().IsZero() {
		t.Error("no role has a resource")
	}
}

func TestWhatIsNoFullYRNIsRefusedWithTheReason(t *testing.T) {
	const notFull = "is not the full YRN of a role: it has to look like yrn:yahoo:::TENANT:role:PATH"
	for in, reason := range map[string]string{
		"":                                      "the role is empty",
		"orders/slave":                          `"orders/slave" ` + notFull,
		"yrn:yahoo:::shop":                      notFull,
		"yrn:yahoo:::shop:orders/slave":         notFull,
		"yrn:yahoo::shop:role:orders":           notFull,
		"urn:yahoo:::shop:role:orders":          notFull,
		"yrn:google:::shop:role:orders":         notFull,
		"yrn:yahoo::east:shop:role:orders":      notFull,
		"yrn:yahoo::::role:orders":              notFull,
		"yrn:yahoo:::shop:role:orders:slave":    notFull,
		"yrn:yahoo:::shop:role:":                notFull,
		"yrn:yahoo:::shop:resource:orders":      "is the YRN of a resource, not of a role: the role would be yrn:yahoo:::shop:role:orders",
		"yrn:yahoo:::shop:policy:orders":        `is the YRN of a "policy", not of a role`,
		"yrn:yahoo:::shop:role:orders/":         "empty or dotted part",
		"yrn:yahoo:::shop:role:/orders":         "empty or dotted part",
		"yrn:yahoo:::shop:role:a//b":            "empty or dotted part",
		"yrn:yahoo:::shop:role:a/../b":          "empty or dotted part",
		"yrn:yahoo:::shop:role:orders\n":        "line end",
		"yrn:yahoo:::shop:role:\xff":            "not UTF-8",
		"yrn:yahoo:::shop:role:" + long(2048):   "too long for a YRN",
		"yrn:yahoo:::shop:role:orders/sl\x00ve": "control character",
		secret:                                  "not shown",
	} {
		role, err := ParseRole(in)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParseRole(%.40q): error %v, want one with %q", in, err, reason)
		}
		if !role.IsZero() {
			t.Errorf("ParseRole(%.40q) = %v besides the error", in, role)
		}
	}
	_, err := ParseResource(roleYRN)
	if err == nil || !strings.Contains(err.Error(), "the resource would be "+resourceYRN) {
		t.Errorf("ParseResource of a role: %v", err)
	}
}

func long(n int) string { return strings.Repeat("x", n) }
