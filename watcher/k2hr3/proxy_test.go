package k2hr3

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
)

const proxied = "K2HR3_TEST_PROXIED_API"

// TestProxyOfTheEnvironmentIsUsed runs itself again: net/http reads the
// environment once in a process.
func TestProxyOfTheEnvironmentIsUsed(t *testing.T) {
	if api := os.Getenv(proxied); api != "" {
		askThroughProxy(t, must(ParseAPI(api)))
		return
	}
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		_, _ = io.WriteString(w, `{"version":["v1"]}`)
	}))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyOfTheEnvironmentIsUsed$")
	child.Env = append(os.Environ(), proxied+"=http://k2hr3.invalid:18080",
		"HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(asked) != 1 || asked[0] != "GET http://k2hr3.invalid:18080/" {
		t.Errorf("the proxy was asked %q", asked)
	}
}

func askThroughProxy(t *testing.T, api API) {
	c := newClient(t, Config{API: api})
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	// The name of the API does not even resolve here.
	if got, err := c.LocalAddress(t.Context()); err != nil || got.String() != "127.0.0.1" {
		t.Errorf("address towards the proxy: %v, %v", got, err)
	}
}
