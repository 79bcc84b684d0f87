package fakek2hr3

import "regexp"

// The patterns are greedy on purpose: that is how K2HR3 splits a YRN.
var (
	roleYRN     = regexp.MustCompile(`^yrn:yahoo:(.*)::(.*):role:(.*)`)
	resourceYRN = regexp.MustCompile(`^yrn:yahoo:(.*)::(.*):resource:(.*)`)
)

// name is a role or resource name taken apart.
type name struct {
	service, tenant, path string
	full                  bool // it was a YRN, not a short name
}

func splitYRN(pattern *regexp.Regexp, s string) name {
	m := pattern.FindStringSubmatch(s)
	if m == nil {
		return name{path: s}
	}
	return name{service: m[1], tenant: m[2], path: m[3], full: true}
}

func makeYRN(kind, tenant, path string) string {
	return "yrn:yahoo:::" + tenant + ":" + kind + ":" + path
}

func (n name) yrn(kind string) string { return makeYRN(kind, n.tenant, n.path) }
