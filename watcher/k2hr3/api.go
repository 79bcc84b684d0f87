package k2hr3

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// API is where K2HR3's interface is: scheme, host and port. The zero API is no address; APIs are
// comparable with ==.
type API struct{ base url.URL }

// ParseAPI returns the address s. Its errors repeat nothing of s but scheme and host: people paste
// the address of their user data, whose path is as good as the token, or a name with a password.
func ParseAPI(s string) (API, error) {
	const form = "it has to look like https://HOST:PORT"
	if !strings.Contains(s, "://") {
		return API{}, errors.New("the value has no scheme: " + form)
	}
	u, err := url.Parse(s)
	if err != nil {
		return API{}, errors.New("the value is not a URI: " + form)
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return API{}, fmt.Errorf("the value has scheme %q, K2HR3 speaks http and https", u.Scheme)
	case u.User != nil:
		return API{}, fmt.Errorf("the value has a user name in it, which K2HR3 does not know: write %s, and put the role token into role-token-file", base.String())
	case u.Hostname() == "":
		return API{}, errors.New("the value names no host: " + form)
	case !isPort(u.Port()):
		return API{}, fmt.Errorf("port %s of the value is not from 1 to 65535", u.Port())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return API{}, fmt.Errorf("the value has a query or fragment: write %s", base.String())
	case strings.Trim(u.Path, "/") == "v1":
		return API{}, fmt.Errorf("the agent adds /v1 itself: write %s", base.String())
	case strings.Trim(u.Path, "/") != "":
		return API{}, fmt.Errorf("the value has a path, K2HR3 answers at the root of a host: write %s", base.String())
	}
	return API{base}, nil
}

// isPort is also true of no port.
func isPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// String returns the address, without a slash at its end.
func (a API) String() string { return a.base.String() }

// IsZero reports whether a is no address.
func (a API) IsZero() bool { return a == API{} }
