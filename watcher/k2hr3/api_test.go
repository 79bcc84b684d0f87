package k2hr3

import (
	"strings"
	"testing"
)

func TestAddressesOfK2HR3(t *testing.T) {
	for value, want := range map[string]string{
		"http://10.0.0.1:18080":         "http://10.0.0.1:18080",
		"https://k2hr3.shop.example":    "https://k2hr3.shop.example",
		"HTTPS://k2hr3.shop.example:1/": "https://k2hr3.shop.example:1",
		"http://[2001:db8::1]:18080":    "http://[2001:db8::1]:18080",
	} {
		if got, err := ParseAPI(value); err != nil || got.String() != want {
			t.Errorf("%s is understood as %s, %v, want %s", value, got, err, want)
		}
	}
}

func TestWhatIsNoAddressOfK2HR3(t *testing.T) {
	for value, want := range map[string]string{
		"":                               "has no scheme: it has to look like https://HOST:PORT",
		"k2hr3.shop.example:18080":       "has no scheme",
		"10.0.0.1":                       "has no scheme",
		"ftp://k2hr3.shop.example":       `scheme "ftp", K2HR3 speaks http and https`,
		"https://k2hr3.shop.example/v1":  "adds /v1 itself: write https://k2hr3.shop.example",
		"https://k2hr3.shop.example/v1/": "adds /v1 itself",
		"https://k2hr3.shop.example/v1/userdata/secret": "has a path, K2HR3 answers at the root of a host: write https://k2hr3.shop.example",
		"https://k2hr3.shop.example/?a=secret":          "has a query or fragment: write https://k2hr3.shop.example",
		"https://k2hr3.shop.example#secret":             "has a query or fragment",
		"https://ann:secret@k2hr3.shop.example":         "has a user name in it",
		"https://":                                      "names no host",
		"https://:18080":                                "names no host",
		"https://k2hr3.shop.example:99999":              "port 99999 of the value is not from 1 to 65535",
		"https://k2hr3.shop.example:0":                  "port 0",
		"https://k2hr3 secret":                          "is not a URI",
		"https://ann:secret@[x":                         "is not a URI",
	} {
		api, err := ParseAPI(value)
		if err == nil || !strings.Contains(err.Error(), want) || !api.IsZero() {
			t.Errorf("%s: %v, %v, want an error with %q", value, api, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("error %q tells a secret", err)
		}
	}
}
