package options

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// RequireK2HR3 reports what is missing or wrong for verbs that talk to K2HR3: they need its address and a role.
func (o *Options) RequireK2HR3() error {
	var missing []error
	for _, key := range []string{"api-uri", "role"} {
		if err := o.deferred[key]; err != nil {
			missing = append(missing, err)
		}
	}
	return errors.Join(missing...)
}

func setAPIURI(o *Options, value string) error {
	u, err := parseAPIURI(value)
	if err != nil {
		return err
	}
	o.APIURI = u
	return nil
}

// parseAPIURI repeats the value in no message, except for scheme and host: people paste the address of their user data,
// whose path is as good as the token, or a name with a password.
func parseAPIURI(value string) (*url.URL, error) {
	const form = "it has to look like https://HOST:PORT"
	if !strings.Contains(value, "://") {
		return nil, errors.New("the value has no scheme: " + form)
	}
	u, err := url.Parse(value)
	if err != nil {
		return nil, errors.New("the value is not a URI: " + form)
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the value has scheme %q, K2HR3 speaks http and https", u.Scheme)
	case u.User != nil:
		return nil, fmt.Errorf("the value has a user name in it, which K2HR3 does not know: write %s, and put the role token into role-token-file", base.String())
	case u.Hostname() == "":
		return nil, errors.New("the value names no host: " + form)
	case !validPort(u.Port()):
		return nil, fmt.Errorf("port %s of the value is not from 1 to 65535", u.Port())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("the value has a query or fragment: write %s", base.String())
	case strings.Trim(u.Path, "/") == "v1":
		return nil, fmt.Errorf("the agent adds /v1 itself: write %s", base.String())
	case strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("the value has a path, K2HR3 answers at the root of a host: write %s", base.String())
	}
	return &base, nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func setRole(o *Options, value string) error {
	yrn, err := parseYRN(value, "role")
	o.Role = yrn
	return err
}

func setResource(o *Options, value string) error {
	yrn, err := parseYRN(value, "resource")
	o.Resource = yrn
	return err
}

// yrn:yahoo:SERVICE::TENANT:TYPE:PATH
var yrnForm = regexp.MustCompile(`^(yrn:yahoo:[^:]*::[^:]+):([^:]*):([^:]+)$`)

// maxYRN leaves room for the rest of a request, of which K2HR3 takes 16 KiB at most.
const maxYRN = 2048

// parseYRN returns the YRN as K2HR3 stores it. It is stricter than K2HR3, which answers "created" to a registration in
// a role that is misspelt (spec k2hr3 A.1).
func parseYRN(value, kind string) (string, error) {
	if len(value) > maxYRN {
		return "", fmt.Errorf("%d bytes are too long for a YRN", len(value))
	}
	lower := strings.ToLower(value)
	m := yrnForm.FindStringSubmatch(lower)
	if m == nil {
		return "", fmt.Errorf("%s is not the full YRN of a %s: it has to look like yrn:yahoo:::TENANT:%s:PATH", shown(value), kind, kind)
	}
	start, typ, path := m[1], m[2], m[3]
	want := start + ":" + kind + ":" + path
	switch {
	case typ == "role" || typ == "resource":
		if typ != kind {
			return "", fmt.Errorf("%s is the YRN of a %s, not of a %s: the %s would be %s", shown(value), typ, kind, kind, want)
		}
	default:
		return "", fmt.Errorf("%s is the YRN of a %s, not of a %s: it has to look like yrn:yahoo:::TENANT:%s:PATH", shown(value), shown(typ), kind, kind)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%s: its path %q has an empty or dotted part", shown(value), path)
		}
	}
	return lower, nil
}

// resourceOf is the convention of K2HR3's tools: same tenant, same path. Only the type is replaced, as a tenant may be called
// role too.
func resourceOf(role string) string {
	return yrnForm.ReplaceAllString(role, "$1:resource:$3")
}
