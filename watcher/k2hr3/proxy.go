package k2hr3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// proxyOf returns the proxy on the way to a server, nil if there is none.
func proxyOf(server *url.URL) *url.URL {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: server})
	if err != nil {
		return nil
	}
	return proxy
}

// proxyVariable returns the name of the environment variable that names the proxy to servers of a
// scheme.
func proxyVariable(scheme string) string {
	lower := scheme + "_proxy"
	upper := strings.ToUpper(lower)
	if os.Getenv(upper) == "" && os.Getenv(lower) != "" {
		return lower
	}
	return upper
}

// checkProxy returns an error if the environment names a proxy to servers of a scheme that is no
// address: net/http goes without a proxy then, and says nothing. The error does not repeat the
// value, in which there may be a password.
func checkProxy(scheme string) error {
	name := proxyVariable(scheme)
	value := os.Getenv(name)
	if value == "" || isProxy(value) {
		return nil
	}
	return fmt.Errorf("%s in the environment is not the address of a proxy: write http://HOST:PORT, or unset it", name)
}

func isProxy(value string) bool {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	return err == nil && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) &&
		u.Hostname() != "" && isPort(u.Port()) && strings.Trim(u.Path, "/") == ""
}

// tunnelError says that a proxy refuses to connect to K2HR3.
type tunnelError struct{ status int }

func (e tunnelError) Error() string {
	return fmt.Sprintf("the proxy does not connect to it: status %d (%s)", e.status, http.StatusText(e.status))
}

// checkTunnel is an http.Transport's OnProxyConnectResponse.
func checkTunnel(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return tunnelError{resp.StatusCode}
}
