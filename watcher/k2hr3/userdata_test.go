package k2hr3

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

var someToken = strings.Repeat("0123456789abcdef", 4)

// secretPath stands for a registerpath.
const secretPath = "c2VjcmV0%2BcGF0aA%3D%3D"

func TestWhatARoleTokenFileMayHold(t *testing.T) {
	const address = "https://k2hr3.example:18080/v1/userdata/" + secretPath
	for _, tt := range []struct {
		name, text, token, address string
	}{
		{"the token", someToken, someToken, ""},
		{"the token and a line end", someToken + "\n", someToken, ""},
		{"the token and another line end", someToken + "\r\n", someToken, ""},
		{"user data", "#include\n" + address + "\n", "", address},
		{"user data without a line end", "#include\n" + address, "", address},
		{"user data with other line ends", "#include\r\n" + address + "\r\n", "", address},
		{"user data with blank lines and a comment", "\n#include\n\n# from K2HR3\n" + address + "\n\n", "", address},
		{"user data on one line", "#include " + address, "", address},
		{"user data included once", "#include-once\n" + address, "", address},
		{"the address alone", address + "\n", "", address},
		{"the address over http", "HTTP://k2hr3.example/v1/userdata/x", "", "http://k2hr3.example/v1/userdata/x"},
		{"an address behind a gateway", "https://gw.example/k2hr3/v1/userdata/x", "", "https://gw.example/k2hr3/v1/userdata/x"},
		{"a decoded registerpath", "http://[2001:db8::1]:18080/v1/userdata/a+b/c=", "", "http://[2001:db8::1]:18080/v1/userdata/a%2Bb%2Fc%3D"},
		{"a decoded registerpath that begins with a slash", "http://k2hr3.example/v1/userdata//a", "", "http://k2hr3.example/v1/userdata/%2Fa"},
		{"a decoded registerpath that ends in slashes", "http://k2hr3.example/v1/userdata/a//", "", "http://k2hr3.example/v1/userdata/a%2F%2F"},
		{"escapes in lower case", "http://k2hr3.example/v1/userdata/%2fa%2bb%3d", "", "http://k2hr3.example/v1/userdata/%2Fa%2Bb%3D"},
		{"what is no base64", "http://k2hr3.example/v1/userdata/a%20b-_.~%25", "", "http://k2hr3.example/v1/userdata/a%20b-_.~%25"},
		{"extdata", "http://k2hr3.example/v1/extdata/trove/x", "", "http://k2hr3.example/v1/extdata/trove/x"},
		{"a decoded registerpath of extdata", "http://k2hr3.example/gw/v1/extdata/trove//a+b/c=", "", "http://k2hr3.example/gw/v1/extdata/trove/%2Fa%2Bb%2Fc%3D"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, at, err := ParseTokenFile(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if token.IsZero() != (tt.token == "") || at.IsZero() != (tt.address == "") {
				t.Fatalf("token %v, address %v", token, at)
			}
			if !token.IsZero() && token.header() != "R="+tt.token {
				t.Errorf("another token")
			}
			if !at.IsZero() && at.secret.Value() != tt.address {
				t.Errorf("address %q, want %q", at.secret.Value(), tt.address)
			}
		})
	}
}

func TestARoleTokenFileThatHoldsNeither(t *testing.T) {
	for _, tt := range []struct{ name, text, words string }{
		{"nothing", "\n", "empty"},
		{"a comment and a token", "# for orders\nsecret", "more than one line"},
		{"an include of nothing", "#include\n# later\n", "includes nothing"},
		{"two addresses", "#include\nhttps://h/v1/userdata/secret\nhttps://h/v1/userdata/other", "more than one address"},
		{"an address and more", "https://h/v1/userdata/secret\nsecret", "more than one address"},
		{"another page", "https://k2hr3.example/secret", "leads elsewhere"},
		{"the API", "https://k2hr3.example/", "leads elsewhere"},
		{"no registerpath", "#include\nhttps://k2hr3.example/v1/userdata/", "leads elsewhere"},
		{"slashes for a registerpath", "https://k2hr3.example/v1/userdata///", "leads elsewhere"},
		{"a slash for a registerpath", "https://k2hr3.example/v1/userdata/%2F", "leads elsewhere"},
		{"no section", "#include\nhttps://k2hr3.example/v1/extdata/secret", "leads elsewhere"},
		{"no host", "https:///v1/userdata/secret", "not one of K2HR3"},
		{"another scheme", "#include\nftp://k2hr3.example/v1/userdata/secret", "not one of K2HR3"},
		{"a path", "#include\n/v1/userdata/secret", "not one of K2HR3"},
		{"a query", "https://k2hr3.example/v1/userdata/secret?x=secret", "not one of K2HR3"},
		{"a blank", "https://k2hr3.example/v1/userdata/secret secret", "not one of K2HR3"},
		{"a bad escape", "https://k2hr3.example/v1/userdata/secret%zz", "not one of K2HR3"},
		{"a bad port", "https://k2hr3.example:secret/v1/userdata/x", "not one of K2HR3"},
		{"a password", "https://me:secret@k2hr3.example/v1/userdata/x", "user name or password"},
		{"a book", "https://k2hr3.example/v1/userdata/" + strings.Repeat("secret", 2000), "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, at, err := ParseTokenFile(tt.text)
			if err == nil || !token.IsZero() || !at.IsZero() {
				t.Fatalf("token %v, address %v, error %v", token, at, err)
			}
			if !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%q does not say %q", err, tt.words)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats the content: %v", err)
			}
		})
	}
}

// A registerpath is base64, and may begin with any of its letters. Whether the file has it as K2HR3
// gives it out or decoded, K2HR3 is asked for what it gave out: servers and proxies make one
// slash of two, or leave out the last one.
func TestARegisterpathMayBeginWithAnyLetter(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for _, first := range letters {
		for _, rest := range []string{"", "abcd", "/b+c=", "//c==", "ab//"} {
			plain := string(first) + rest
			if strings.Trim(plain, "/") == "" {
				continue
			}
			for _, section := range []string{"/v1/userdata/", "/v1/extdata/trove/"} {
				want := "https://k2hr3.example:18080" + section + url.QueryEscape(plain)
				for _, written := range []string{plain, url.QueryEscape(plain), url.PathEscape(plain)} {
					_, at, err := ParseTokenFile("#include\nhttps://k2hr3.example:18080" + section + written + "\n")
					if err != nil {
						t.Errorf("%s%s: %v", section, written, err)
						continue
					}
					if got := at.secret.Value(); got != want {
						t.Errorf("%s%s: asks for %s, want %s", section, written, got, want)
					}
				}
			}
		}
	}
}

func TestTheAddressOfUserDataIsNotShown(t *testing.T) {
	at := must(parseUserDataAddress("https://k2hr3.example:18080/v1/userdata/" + secretPath))
	const want = "user data at https://k2hr3.example:18080"
	checkHidden(t, at, secretPath, want)
	if fmt.Sprint(at) != want {
		t.Errorf("%v, want %s", at, want)
	}
}

func TestNeitherLogNorErrorNamesTheAddressOrTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		issued := s.cluster.RoleToken("slave", 0)
		path := s.cluster.RegisterPath(issued)
		at := must(parseUserDataAddress("http://k2hr3.example:18080/v1/userdata/" + path))
		other := must(ParseRole("yrn:yahoo:::shop:role:orders/other"))
		text := &strings.Builder{}
		try := func(role Role) {
			_, err := s.client.UserDataToken(t.Context(), at, role)
			fmt.Fprintln(text, err)
		}
		try(s.role)
		try(other)
		for _, name := range []fakek2hr3.FaultName{fakek2hr3.Hang, fakek2hr3.Truncated, fakek2hr3.Cut, fakek2hr3.BadGateway, fakek2hr3.HTMLPage, fakek2hr3.Gzipped, fakek2hr3.Oversized} {
			s.Fault(fakek2hr3.Fault{Name: name})
			try(s.role)
			s.ClearFaults()
		}
		for _, secret := range []string{issued, path, must(url.PathUnescape(path))} {
			if strings.Contains(text.String(), secret) || strings.Contains(s.log.String(), secret) {
				t.Fatalf("a secret is shown:\n%s\n%s", text, s.log.String())
			}
		}
		if !strings.Contains(text.String(), "http://k2hr3.example:18080") {
			t.Errorf("no error says where:\n%s", text)
		}
	})
}

func TestUserDataIsReadInEveryForm(t *testing.T) {
	const boundary = "================K2HR3INIT1795218420569=="
	script := "#!/bin/sh\nK2HR3_ROLE_TOKEN_FILE=\"/x\"\nK2HR3_ROLE_TOKEN=\"" + someToken + "\"\nK2HR3_ROLE_NAME=\"" + roleYRN + "\"\n"
	message := func(scripts ...string) string {
		text := ""
		for _, s := range scripts {
			text += "--" + boundary + "\r\nContent-Type: text/x-shellscript\r\n\r\n" + s + "\r\n"
		}
		return text + "--" + boundary + "--\r\n"
	}
	const kind = `multipart/mixed; boundary="` + boundary + `"`
	head := "Content-Type: " + kind + "\r\nMIME-Version: 1.0\r\n\r\n"
	good := message("#cloud-config\n", script)
	for _, tt := range []struct {
		name    string
		body    string
		headers []string
		want    error
	}{
		{"plain", good, []string{"Content-Type", kind + "; charset=utf-8"}, nil},
		{"packed", zipped(head + good), []string{"Content-Type", "application/zip", "Content-Encoding", "gzip"}, nil},
		{"packed, and nothing says so", zipped(head + good), []string{"Content-Type", "application/zip"}, nil},
		{"packed by a proxy", zipped(good), []string{"Content-Type", kind, "Content-Encoding", "GZIP"}, nil},
		{"unpacked by a proxy", head + good, []string{"Content-Type", "application/zip", "Content-Encoding", "gzip"}, nil},
		{"a script alone", script, []string{"Content-Type", "text/x-shellscript"}, nil},
		{"a script with other line ends", strings.ReplaceAll(script, "\n", "\r\n"), nil, nil},
		{"exported, in single quotes", "#!/bin/sh\n  export K2HR3_ROLE_TOKEN='" + someToken + "'\nK2HR3_ROLE_NAME=" + roleYRN + "\n", nil, nil},
		{"the role in capitals", strings.Replace(script, "orders/slave", "Orders/Slave", 1), nil, nil},
		{"the script that says what is wrong", message("#!/bin/sh\nexit 1\n"), []string{"Content-Type", kind}, ErrUserData},
		{"no parts", message(), []string{"Content-Type", kind}, ErrUserData},
		{"an empty token", strings.Replace(script, someToken, "", 1), nil, ErrUserData},
		{"a token that is worked out", strings.Replace(script, someToken, "$(cat /x)", 1), nil, ErrUserData},
		{"no role beside the token", strings.Replace(script, "K2HR3_ROLE_NAME", "X", 1), nil, ErrUserData},
		{"another role", strings.Replace(script, "/slave", "/server", 1), nil, ErrOtherRole},
		{"no role at all", strings.Replace(script, roleYRN, "<html>", 1), nil, ErrOtherRole},
		{"no token at all", strings.Replace(script, someToken, "U="+someToken, 1), nil, ErrAnswer},
		{"parts without an end", strings.TrimSuffix(good, "--"+boundary+"--\r\n"), []string{"Content-Type", kind}, ErrAnswer},
		{"very many parts", message(strings.Split(strings.Repeat("x", 100), "")...), []string{"Content-Type", kind}, ErrAnswer},
		{"broken packing", zipped(head + good)[:200], []string{"Content-Encoding", "gzip"}, ErrAnswer},
		{"another packing", good, []string{"Content-Type", kind, "Content-Encoding", "br"}, ErrAnswer},
		{"a web page", "<html>" + someToken, []string{"Content-Type", "text/html"}, ErrAnswer},
		{"JSON", success, nil, ErrAnswer},
		{"nothing", "", nil, ErrAnswer},
		{"a message in one piece", "Content-Type: text/plain\r\n\r\n" + script, nil, ErrAnswer},
		{"too much", strings.Repeat("x", MaxAnswer+1), nil, ErrTooLarge},
		{"too much, packed", zipped("#!" + strings.Repeat("x", MaxAnswer)), []string{"Content-Encoding", "gzip"}, ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, Config{Transport: always(200, tt.body, tt.headers...)})
			token, err := c.UserDataToken(t.Context(), must(parseUserDataAddress("http://h.example/v1/userdata/x")), role)
			if kindOf(t, err) != tt.want || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if (err == nil) != (token == must(NewToken(someToken))) {
				t.Errorf("token %v", token)
			}
			if err != nil && strings.Contains(err.Error(), someToken) {
				t.Errorf("the token is shown: %v", err)
			}
		})
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

func TestWhatIsAskedForUserData(t *testing.T) {
	var got *http.Request
	c := newClient(t, Config{UserAgent: "agent/1.2", Transport: fake(func(r *http.Request) (*http.Response, error) {
		got = r
		return response(404, ""), nil
	})})
	for address, agent := range map[string]string{
		"https://other.example:8443/gw/v1/userdata/" + secretPath: "agent/1.2 (cloud-init)",
		"https://other.example:8443/v1/userdata/%2Fb%2Bc%3D":      "agent/1.2 (cloud-init)",
		"https://other.example:8443/v1/extdata/trove/x%2Fy":       "extdata_k2hr3_trove",
	} {
		_, err := c.UserDataToken(t.Context(), must(parseUserDataAddress(address)), role)
		if !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if got.URL.String() != address || got.Method != "GET" || got.Header.Get("User-Agent") != agent || len(got.Header.Values("x-auth-token")) != 0 {
			t.Errorf("%s %s, %v", got.Method, got.URL, got.Header)
		}
	}
}

func TestStatusesOfUserData(t *testing.T) {
	for status, tt := range map[int]struct {
		kind  error
		tries int
		words string
	}{
		301: {ErrAnswer, 1, ""}, 302: {ErrAnswer, 1, ""}, 307: {ErrAnswer, 1, ""}, 401: {ErrAnswer, 1, ""}, 204: {ErrAnswer, 1, ""},
		404: {ErrNotFound, 1, ""}, 407: {ErrAnswer, 1, ""}, 500: {ErrServer, 1, ""}, 503: {ErrServer, maxTries, ""},
		400: {ErrBadRequest, 1, "check the address"}, // as for a section that is not there
	} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			c := newClient(t, Config{Transport: fake(func(*http.Request) (*http.Response, error) {
				tries++
				return response(status, "secret", "Location", "http://elsewhere.example/v1/userdata/secret"), nil
			})})
			_, err := c.UserDataToken(t.Context(), must(parseUserDataAddress("http://h.example/v1/userdata/secret")), role)
			if kindOf(t, err) != tt.kind || tries != tt.tries || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%d: %v after %d tries", status, err, tries)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%d: a secret is shown: %v", status, err)
			}
		})
	}
}
