package k2hr3

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Role is the full YRN of a ROLE, such as yrn:yahoo:::shop:role:orders/slave. The zero Role is no
// role; roles are comparable with ==.
type Role struct{ yrn string }

// Resource is the full YRN of a RESOURCE, such as yrn:yahoo:::shop:resource:orders/slave. The zero
// Resource is no resource; resources are comparable with ==.
type Resource struct{ yrn string }

// ParseRole returns the role with the full YRN s, in lower case. A short name is refused: without
// a token K2HR3 does not know the tenant it would belong to.
//
// K2HR3 itself lower-cases every role and resource that it finds in a URL's path, but not the
// argument role= of a request without a token, where it answers upper case with "not a member"
// (docs/k2hr3.md A.2).
func ParseRole(s string) (Role, error) {
	yrn, err := parseYRN(s, "role")
	return Role{yrn}, err
}

// ParseResource returns the resource with the full YRN s, in lower case.
func ParseResource(s string) (Resource, error) {
	yrn, err := parseYRN(s, "resource")
	return Resource{yrn}, err
}

// String returns the YRN.
func (r Role) String() string { return r.yrn }

// IsZero reports whether r is no role.
func (r Role) IsZero() bool { return r.yrn == "" }

// Resource returns the resource that belongs to r by the convention of K2HR3's tools: same tenant,
// same path (docs/k2hr3.md A.1). Only the type is replaced, as a tenant may be called role too.
func (r Role) Resource() Resource {
	return Resource{yrnForm.ReplaceAllString(r.yrn, "$1:resource:$3")}
}

// tenant returns the tenant of r; empty: r is no role.
func (r Role) tenant() string {
	if m := yrnForm.FindStringSubmatch(r.yrn); m != nil {
		return m[1][strings.LastIndexByte(m[1], ':')+1:]
	}
	return ""
}

// String returns the YRN.
func (r Resource) String() string { return r.yrn }

// IsZero reports whether r is no resource.
func (r Resource) IsZero() bool { return r.yrn == "" }

// yrnForm is yrn:yahoo:SERVICE::TENANT:TYPE:PATH.
var yrnForm = regexp.MustCompile(`^(yrn:yahoo:[^:]*::[^:]+):([^:]*):([^:]+)$`)

// maxYRN leaves room for the rest of a request, whose line and headers K2HR3 takes up to 16 KiB.
const maxYRN = 2048

// parseYRN is stricter than K2HR3, which answers "created" to a registration in a role that is
// misspelt (docs/k2hr3.md A.1).
func parseYRN(s, kind string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("the %s is empty: it has to look like %s", kind, yrnLike(kind))
	}
	if len(s) > maxYRN {
		return "", fmt.Errorf("%d bytes are too long for a YRN", len(s))
	}
	if !isText(s) {
		return "", errors.New("the YRN " + notText)
	}
	lower := strings.ToLower(s)
	m := yrnForm.FindStringSubmatch(lower)
	if m == nil {
		return "", fmt.Errorf("%s is not the full YRN of a %s: it has to look like %s", Quote(s), kind, yrnLike(kind))
	}
	start, is, path := m[1], m[2], m[3]
	if is != kind {
		return "", otherKind(s, is, kind, start+":"+kind+":"+path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%s: its path %q has an empty or dotted part", Quote(s), path)
		}
	}
	return lower, nil
}

// otherKind is the error for the YRN s of something else than the kind that is wanted.
func otherKind(s, is, kind, want string) error {
	if is == "role" || is == "resource" {
		return fmt.Errorf("%s is the YRN of a %s, not of a %s: the %s would be %s", Quote(s), is, kind, kind, want)
	}
	return fmt.Errorf("%s is the YRN of a %s, not of a %s: it has to look like %s", Quote(s), Quote(is), kind, yrnLike(kind))
}

func yrnLike(kind string) string { return "yrn:yahoo:::TENANT:" + kind + ":PATH" }
