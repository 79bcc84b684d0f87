package k2hr3

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Role is the full YRN of a ROLE, such as yrn:yahoo:::shop:role:orders/slave.
// The zero Role is no role; roles are comparable with ==.
type Role struct{ yrn string }

// Resource is the full YRN of a RESOURCE, such as
// yrn:yahoo:::shop:resource:orders/slave. The zero Resource is no resource;
// resources are comparable with ==.
type Resource struct{ yrn string }

// ParseRole returns the role with the full YRN s. A short name is refused:
// without a token K2HR3 does not know the tenant it would belong to.
func ParseRole(s string) (Role, error) {
	if err := checkYRN(s, "role"); err != nil {
		return Role{}, err
	}
	return Role{yrn: s}, nil
}

// ParseResource returns the resource with the full YRN s.
func ParseResource(s string) (Resource, error) {
	if err := checkYRN(s, "resource"); err != nil {
		return Resource{}, err
	}
	return Resource{yrn: s}, nil
}

// String returns the YRN as it was given.
func (r Role) String() string { return r.yrn }

// IsZero reports whether r is no role.
func (r Role) IsZero() bool { return r.yrn == "" }

// Resource returns the resource that belongs to r by the convention of
// K2HR3's tools: same tenant, same path (spec k2hr3 A.1).
func (r Role) Resource() Resource {
	if r.IsZero() {
		return Resource{}
	}
	parts := strings.SplitN(r.yrn, ":", yrnParts)
	parts[yrnType] = "resource"
	return Resource{yrn: strings.Join(parts, ":")}
}

// asQuery returns r as the query argument role= wants it: K2HR3 lower-cases
// names in paths, but not there (spec k2hr3 A.2).
func (r Role) asQuery() string { return strings.ToLower(r.yrn) }

// String returns the YRN as it was given.
func (r Resource) String() string { return r.yrn }

// IsZero reports whether r is no resource.
func (r Resource) IsZero() bool { return r.yrn == "" }

// The parts of yrn:DOMAIN:SERVICE:REGION:TENANT:TYPE:PATH.
const (
	yrnDomain = 1
	yrnRegion = 3
	yrnTenant = 4
	yrnType   = 5
	yrnPath   = 6
	yrnParts  = 7

	// K2HR3 refuses a request whose line and headers exceed 16 KiB.
	maxYRN = 2048
)

// checkYRN is stricter than K2HR3, which answers 201 to a registration in a
// role that is misspelt (spec k2hr3 A.1).
func checkYRN(s, kind string) error {
	form := "yrn:yahoo:::TENANT:" + kind + ":PATH"
	switch {
	case s == "":
		return fmt.Errorf("empty %s: want %s", kind, form)
	case len(s) > maxYRN:
		return fmt.Errorf("%s of %d bytes: more than %d is no name", kind, len(s), maxYRN)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s %q is not UTF-8", kind, s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%s %q contains a control character or a line end", kind, s)
	}
	parts := strings.SplitN(s, ":", yrnParts)
	if len(parts) < yrnParts || parts[0] != "yrn" {
		return fmt.Errorf("%s %q is not a full YRN: want %s", kind, s, form)
	}
	switch {
	case parts[yrnDomain] != "yahoo" || parts[yrnRegion] != "":
		return fmt.Errorf("%s %q: K2HR3 knows only YRNs of the form %s", kind, s, form)
	case parts[yrnTenant] == "":
		return fmt.Errorf("%s %q names no tenant: want %s", kind, s, form)
	case parts[yrnType] != kind:
		return fmt.Errorf("%s %q is a YRN of type %q: want %s", kind, s, parts[yrnType], form)
	case strings.Contains(parts[yrnPath], ":"):
		return fmt.Errorf("%s %q has a colon in its path: want %s", kind, s, form)
	}
	for name := range strings.SplitSeq(parts[yrnPath], "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("%s %q: path %q has an empty or dotted part", kind, s, parts[yrnPath])
		}
	}
	return nil
}
