package k2hr3

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// raw serves connections on loopback by itself.
func raw(t *testing.T, scheme string, serve func(net.Conn)) API {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-over })
	return must(ParseAPI(scheme + "://" + l.Addr().String()))
}

// hangsUp reads what comes first and ends the connection.
func hangsUp(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) }

func answers(text string) func(net.Conn) {
	return func(conn net.Conn) {
		hangsUp(conn)
		_, _ = io.WriteString(conn, text)
	}
}

// serverHello is one of TLS 1.0.
func serverHello(conn net.Conn) {
	hello := append([]byte{2, 0, 0, 38, 3, 1}, make([]byte, 32)...)
	hello = append(hello, 0, 0, 0x2f, 0)
	hangsUp(conn)
	_, _ = conn.Write(append([]byte{22, 3, 1, 0, byte(len(hello))}, hello...))
	_, _ = io.Copy(io.Discard, conn)
}

// serveSecure does as raw, behind TLS.
func serveSecure(t *testing.T, cert tls.Certificate, serve func(net.Conn)) API {
	t.Helper()
	return raw(t, "https", func(conn net.Conn) {
		serve(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
	})
}

func resets(conn net.Conn) {
	hangsUp(conn)
	_ = conn.(*net.TCPConn).SetLinger(0)
}

// says fails the test unless there is an error that has all the words, and none that would mislead.
func says(t *testing.T, what string, err error, words, misleading []string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: no error", what)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v\nwant %q in it", what, err, w)
		}
	}
	for _, w := range misleading {
		if strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v\nthat is misleading: %q", what, err, w)
		}
	}
}

// TestHintsSayWhatIsWrongAndWhatHelps goes by what an operator would do about each.
func TestHintsSayWhatIsWrongAndWhatHelps(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	issue := func(name string, c *x509.Certificate) tls.Certificate { return ca.pair(t, name, c) }
	dated := func(c *x509.Certificate, from, to time.Duration) *x509.Certificate {
		c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to)
		return c
	}
	good := issue("server", forServer())
	secure := func(conf *tls.Config) API {
		if conf.Certificates == nil {
			conf.Certificates = []tls.Certificate{good}
		}
		return serveTLS(t, conf, pong)
	}
	with := func(c tls.Certificate) API { return secure(&tls.Config{Certificates: []tls.Certificate{c}}) }
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	demands := func(version uint16) API {
		return secure(&tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: version})
	}
	stranger := newAuthorityCalled(t, "elsewhere")
	strangerCert, strangerKey := other.issue(t, "stranger", forClient())
	plain := httptest.NewServer(http.HandlerFunc(pong))
	t.Cleanup(plain.Close)
	secured := secure(&tls.Config{}).base
	http1 := func(host string) API { return must(ParseAPI("http://" + host)) }
	https := func(host string) API { return must(ParseAPI("https://" + host)) }
	dialling := func(err error) Config {
		return Config{Transport: failing(&net.OpError{Op: "dial", Net: "tcp", Err: err})}
	}
	unroutable := func(no syscall.Errno) Config { return dialling(os.NewSyscallError("connect", no)) }
	linkLocal := &net.OpError{Op: "dial", Net: "tcp6", Addr: &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 18080}, Err: os.NewSyscallError("connect", syscall.EINVAL)}
	sha1 := forServer()
	sha1.SignatureAlgorithm = x509.ECDSAWithSHA1
	namesake := newAuthority(t)
	expired := ca.again(t, dated(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, -48*time.Hour, -24*time.Hour))

	noCA := newAuthority(t).again(t, dated(&x509.Certificate{BasicConstraintsValid: true}, -time.Hour, time.Hour))

	for name, tt := range map[string]struct {
		api  API
		cfg  Config
		says []string // what is wrong and helps
		not  []string // what would mislead
		body bool     // it is in the body, which HEAD does not see
	}{
		"TLS 1.1 and older":              {api: secure(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), says: []string{"has to offer TLS 1.2"}, not: []string{"client certificate", "cert-file"}},
		"TLS 1.0 without a word":         {api: raw(t, "https", serverHello), says: []string{"has to offer TLS 1.2"}, not: []string{"client certificate", "cert-file"}},
		"no cipher in common":            {api: secure(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}), says: []string{"no TLS version or cipher suite in common"}, not: []string{"client certificate", "cert-file"}},
		"wants a client certificate":     {api: demands(tls.VersionTLS13), says: []string{"K2HR3 wants a client certificate", "set cert-file and key-file"}},
		"wants one, by TLS 1.2":          {api: demands(tls.VersionTLS12), says: []string{"K2HR3 wants a client certificate", "set cert-file and key-file"}},
		"another client certificate":     {api: demands(tls.VersionTLS13), cfg: Config{CertFile: strangerCert, KeyFile: strangerKey}, says: []string{"does not accept the client certificate"}, not: []string{"set cert-file"}},
		"http behind https":              {api: https(plain.Listener.Addr().String()), says: []string{"api-uri says https", "does not speak it"}},
		"http that hangs up":             {api: raw(t, "https", hangsUp), says: []string{"api-uri says https", "TLS handshake", "if it speaks http there"}},
		"http that resets":               {api: raw(t, "https", resets), says: []string{"api-uri says https", "if it speaks http there"}},
		"http with a page":               {api: raw(t, "https", answers("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")), says: []string{"api-uri says https", "does not speak it"}},
		"https behind http":              {api: http1(secured.Host), says: []string{"api-uri says http, and K2HR3 speaks https"}, not: []string{"check role"}},
		"https that hangs up":            {api: raw(t, "http", hangsUp), says: []string{"or it speaks https there and api-uri says http"}},
		"https with an alert":            {api: raw(t, "http", answers("\x15\x03\x01\x00\x02\x02\x46")), says: []string{"not HTTP", "api-uri says http: if K2HR3 speaks https there"}},
		"https with a page":              {api: raw(t, "http", answers("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>")), says: []string{"api-uri says http, and K2HR3 speaks https"}, not: []string{"check role"}},
		"signed by somebody else":        {api: secure(&tls.Config{}), cfg: Config{CAFile: stranger.file}, says: []string{"ca-file has to name the authority", "CN=ca", "it is not in " + stranger.file}},
		"not known to the system":        {api: secure(&tls.Config{}), cfg: Config{CAFile: "-"}, says: []string{"ca-file has to name the authority", "the system's authorities do not know it"}},
		"another name":                   {api: with(issue("elsewhere", &x509.Certificate{DNSNames: []string{"k2hr3.shop.example"}})), says: []string{"api-uri has to use a name that is in", "k2hr3.shop.example"}},
		"another address":                {api: with(issue("address", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(10, 1, 2, 3)}})), says: []string{"api-uri has to use a name that is in", "10.1.2.3"}},
		"no subjectAltName":              {api: with(issue("127.0.0.1", &x509.Certificate{})), says: []string{"no subjectAltName", "issued anew with 127.0.0.1"}, not: []string{"has to use a name"}},
		"expired":                        {api: with(issue("old", dated(forServer(), -48*time.Hour, -24*time.Hour))), says: []string{"this host's clock says", "has to be renewed"}},
		"not valid yet":                  {api: with(issue("new", dated(forServer(), 24*time.Hour, 48*time.Hour))), says: []string{"this host's clock says", "is not valid yet"}, not: []string{"renewed"}},
		"a client's certificate":         {api: with(issue("client's", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})), says: []string{"another certificate: one for a server"}, not: []string{"clock"}},
		"a name that nobody knows":       {api: http1("k2hr3.invalid"), says: []string{"the host in api-uri does not resolve here"}},
		"something else than K2HR3":      {api: raw(t, "http", answers("SSH-2.0-OpenSSH_9.9\r\n")), says: []string{"what came back is not HTTP"}},
		"a server that is not listening": {api: http1("127.0.0.1:1"), says: []string{"connection refused", "start K2HR3, or correct the port in api-uri"}},
		"https that is not listening":    {api: https("127.0.0.1:1"), says: []string{"connection refused", "correct the port in api-uri"}},
		"no route":                       {api: http1("240.0.0.1"), cfg: unroutable(syscall.ENETUNREACH), says: []string{"network is unreachable", "no way to that address"}},
		"a host that is not there":       {api: http1("240.0.0.1"), cfg: unroutable(syscall.EHOSTUNREACH), says: []string{"no route to host", "no way to that address", "firewall"}},
		"a firewall of this host":        {api: http1("240.0.0.1"), cfg: unroutable(syscall.EPERM), says: []string{"not permitted", "IPAddressDeny="}},
		"link-local without interface":   {api: http1("[fe80::1]:18080"), cfg: Config{Transport: failing(linkLocal)}, says: []string{"invalid argument", "link-local", "api-uri"}},
		"a mapped address in AAAA":       {api: http1("240.0.0.1"), cfg: dialling(&net.AddrError{Err: "no suitable address found", Addr: "10.0.0.1"}), says: []string{"no suitable address", "needs an A record"}},
		"signed by SHA-1":                {api: with(issue("sha1", sha1)), says: []string{"SHA-1", "issued anew"}, not: []string{"ca-file"}},
		"an authority with another key":  {api: secure(&tls.Config{}), cfg: Config{CAFile: namesake.file}, says: []string{"CN=ca", "one of its name is in " + namesake.file, "another key"}, not: []string{"it is not in"}},
		"an authority that cannot sign":  {api: secure(&tls.Config{}), cfg: Config{CAFile: noCA}, says: []string{"may not sign certificates", noCA}, not: []string{"it is not in"}},
		"an authority that has expired":  {api: secure(&tls.Config{}), cfg: Config{CAFile: expired}, says: []string{"this host's clock says", "certificate of its authority", "CN=ca", "has to be renewed"}, not: []string{"K2HR3's certificate"}},
		"headers without an end":         {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 70<<10)+"\r\n\r\n")), says: []string{"longer than 64 KiB", "api-uri may name another server"}, not: []string{"net/http", "https"}},
		"a chunk that is none":           {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")), says: []string{"HTTP with a fault in it", "a proxy or gateway"}, not: []string{"https"}, body: true},
		"a chunk of every length":        {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n")), says: []string{"HTTP with a fault in it"}, body: true},
		"a control character":            {api: raw(t, "http", answers("HTTP/1.1 302 Found\r\nLocation: http://a\x7fb/\r\nContent-Length: 0\r\n\r\n")), says: []string{"HTTP with a fault in it"}, not: []string{"not HTTP", "https"}},
		"a negative length":              {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")), says: []string{"HTTP with a fault in it"}, not: []string{"not HTTP", "https"}},
		"a huge length":                  {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n")), says: []string{"HTTP with a fault in it"}, not: []string{"not HTTP", "https"}},
		"two lengths":                    {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")), says: []string{"HTTP with a fault in it"}, not: []string{"not HTTP", "https"}},
		"a header that is none":          {api: raw(t, "http", answers("HTTP/1.1 200 OK\r\nhello\r\n\r\n")), says: []string{"HTTP with a fault in it"}, not: []string{"not HTTP", "https"}},
		"another protocol behind TLS":    {api: serveSecure(t, good, answers("SSH-2.0-OpenSSH_9.9\r\n")), says: []string{"not HTTP", "api-uri may name another server"}, not: []string{"says http"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			cfg := tt.cfg
			cfg.API = tt.api
			switch cfg.CAFile {
			case "":
				cfg.CAFile = ca.file
			case "-":
				cfg.CAFile = ""
			}
			c := newClient(t, cfg)
			for op, do := range map[string]func() error{
				"Resource": func() error {
					_, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t)})
					return err
				},
				"IsMember": func() error { _, _, err := c.IsMember(t.Context(), role, cuk); return err },
			} {
				if op == "Resource" || !tt.body {
					says(t, op, do(), tt.says, tt.not)
				}
			}
		})
	}
}

func TestAMisspeltRoleIsNotCalledAResource(t *testing.T) {
	for name, tt := range map[string]struct {
		resource string
		message  string
		says     string
	}{
		"it follows from the role": {resourceYRN, "role(orders/slave) in tenant(shop) does not allow to read access to resource(" + resourceYRN + ").", "check role: resource follows from it"},
		"there is no such role":    {resourceYRN, "could not get role(orders/slave) in tenant(shop) policy data.", "there is no such role"},
		"it is set":                {"yrn:yahoo:::shop:resource:orders/other", "role(orders/slave) in tenant(shop) does not allow to read access to resource(x).", "check resource, and the role's policies"},
	} {
		c := newClient(t, Config{Transport: always(404, fault(tt.message))})
		for _, token := range []Token{{}, newToken(t)} {
			_, err := c.Resource(t.Context(), Query{Resource: must(ParseResource(tt.resource)), Role: role, CUK: cuk, Token: token})
			if kindOf(t, err) != ErrNotAllowed || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// inEnvironment is set in a process of its own: net/http reads the variables once.
const inEnvironment = "K2HR3_TEST_IN_ENVIRONMENT"

// underEnvironment runs a test again, with variables, and reports whether this is that run.
func underEnvironment(t *testing.T, variables ...string) bool {
	t.Helper()
	if os.Getenv(inEnvironment) != "" {
		return true
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		variables = append([]string{name + "=", strings.ToLower(name) + "="}, variables...)
	}
	child.Env = append(append(os.Environ(), inEnvironment+"=1"), variables...)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestTheProxyOfTheEnvironmentIsUsed(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		pong(w, r)
	}))
	defer proxy.Close()
	if underEnvironment(t, "HTTP_PROXY="+proxy.URL) {
		c := newClient(t, Config{API: must(ParseAPI("http://k2hr3.invalid:18080"))})
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		// The name of the API does not even resolve here.
		if got, err := c.LocalAddress(t.Context()); err != nil || got.String() != "127.0.0.1" {
			t.Errorf("address towards the proxy: %v, %v", got, err)
		}
		return
	}
	if len(asked) != 1 || asked[0] != "GET http://k2hr3.invalid:18080/" {
		t.Errorf("the proxy was asked %q", asked)
	}
}

// closed is an address that nothing listens at.
const closed = "127.0.0.1:1"

func TestATroubleOfTheProxyIsCalledThat(t *testing.T) {
	for name, tt := range map[string]struct {
		variable string
		api      string
		says     []string
		not      []string
	}{
		"dead":              {"HTTP_PROXY=http://" + closed, "http://k2hr3.example", []string{"the proxy " + closed + " of HTTP_PROXY", "connection refused", "correct HTTP_PROXY", "NO_PROXY"}, []string{"api-uri"}},
		"dead, in letters":  {"http_proxy=" + closed, "http://k2hr3.example", []string{"the proxy " + closed + " of http_proxy", "correct http_proxy"}, []string{"api-uri"}},
		"dead, for https":   {"HTTPS_PROXY=http://" + closed, "https://k2hr3.example", []string{"the proxy " + closed + " of HTTPS_PROXY", "correct HTTPS_PROXY"}, []string{"api-uri"}},
		"dead, by SOCKS":    {"HTTPS_PROXY=socks5://" + closed, "https://k2hr3.example", []string{"the proxy " + closed + " of HTTPS_PROXY"}, []string{"api-uri"}},
		"unknown":           {"HTTP_PROXY=http://proxy.invalid:3128", "http://k2hr3.example", []string{"the proxy proxy.invalid:3128 of HTTP_PROXY", "correct HTTP_PROXY"}, []string{"api-uri", "does not resolve here"}},
		"unknown, letters":  {"http_proxy=proxy.invalid:3128", "http://k2hr3.example", []string{"the proxy proxy.invalid:3128 of http_proxy", "correct http_proxy"}, []string{"api-uri", "does not resolve here"}},
		"unknown, SOCKS":    {"HTTPS_PROXY=socks5://proxy.invalid:1080", "https://k2hr3.example", []string{"the proxy proxy.invalid:1080 of HTTPS_PROXY"}, []string{"api-uri"}},
		"unknown, https":    {"HTTPS_PROXY=http://u:hush@proxy.invalid:3128", "https://k2hr3.example", []string{"the proxy proxy.invalid:3128 of HTTPS_PROXY"}, []string{"api-uri", "hush"}},
		"not for this host": {"HTTPS_PROXY=http://" + closed, "http://k2hr3.invalid", []string{"the host in api-uri does not resolve here"}, []string{"PROXY"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			if !underEnvironment(t, tt.variable) {
				return
			}
			c := newClient(t, Config{API: must(ParseAPI(tt.api))})
			says(t, "Ping", c.Ping(t.Context()), tt.says, tt.not)
		})
	}
}

func TestAProxyThatRefusesIsCalledThat(t *testing.T) {
	const at = "K2HR3_TEST_PROXY"
	for name, tt := range map[string]struct {
		status int
		api    string
		says   string
	}{
		"a password, http":  {407, "http://k2hr3.example", "http://USER:PASSWORD@HOST:PORT in HTTP_PROXY"},
		"a password, https": {407, "https://k2hr3.example", "http://USER:PASSWORD@HOST:PORT in HTTPS_PROXY"},
		"no tunnel":         {403, "https://k2hr3.example:18443", "allow CONNECT to k2hr3.example:18443"},
		"no way":            {502, "https://k2hr3.example", "the proxy does not connect to it: status 502"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			if os.Getenv(at) == "" {
				proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
				defer proxy.Close()
				underEnvironment(t, at+"=1", "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL)
				return
			}
			says(t, "Ping", newClient(t, Config{API: must(ParseAPI(tt.api))}).Ping(t.Context()), []string{tt.says}, nil)
		})
	}
}

func TestAProxyThatIsNoAddressIsRefused(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		t.Setenv(name, "")
	}
	for _, wrong := range []string{"::::", "http://", "http://proxy:port", "proxy:99999", "ftp://proxy:21", "http://proxy:3128/path", "http://u:hush@pro xy", "://proxy"} {
		for scheme, variable := range map[string]string{"http": "HTTP_PROXY", "https": "HTTPS_PROXY"} {
			t.Setenv(variable, wrong)
			_, err := New(Config{API: must(ParseAPI(scheme + "://k2hr3.example"))})
			if err == nil || !strings.Contains(err.Error(), variable+" in the environment is not the address of a proxy") || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s=%s: %v", variable, wrong, err)
			}
			t.Setenv(variable, "")
			if _, err := New(Config{API: must(ParseAPI(scheme + "://k2hr3.example"))}); err != nil {
				t.Error(err)
			}
		}
	}
	for _, right := range []string{"proxy", "proxy:3128", "http://proxy:3128/", "https://u:p@proxy", "socks5://[::1]:1080", "10.0.0.1:8080"} {
		t.Setenv("https_proxy", right)
		if _, err := New(Config{API: must(ParseAPI("https://k2hr3.example"))}); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}
