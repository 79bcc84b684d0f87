package watcher

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// wire is a host in real time, and the real network below it, on the loopback.
// Its pauses are short, and what the tests of it wait for are events: a machine
// that is slow makes them slow, and nothing else.
type wire struct {
	*host
	api    *url.URL
	config k2hr3.Config
	front  *front
}

const (
	wireInterval = 300 * time.Millisecond
	// wireTimeout is for K2HR3s that do not answer. With others an exchange may
	// take as long as it takes.
	wireTimeout = time.Second
	// wireFor is how long a fault lasts, at least.
	wireFor = 2 * time.Second
	// wireSoon is plenty, where there is a processor, for what takes a second: a
	// pause after a failure and a timeout.
	wireSoon = 8 * time.Second
	// wireLimit is when a test gives up.
	wireLimit = 2 * time.Minute
)

// front stands before the stand-in and may do without it.
type front struct {
	http.Handler
	instead atomic.Pointer[http.HandlerFunc]
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if instead := f.instead.Load(); instead != nil {
		(*instead)(w, r)
		return
	}
	f.Handler.ServeHTTP(w, r)
}

func newWire(t *testing.T) *wire {
	w := &wire{host: newHost(t)}
	w.blind = true
	w.host.config.Interval, w.host.config.Wait = wireInterval, 0
	w.addr = "127.0.0.1"
	w.front = &front{Handler: w.host.api}
	return w
}

// serve serves K2HR3 at an address, over TLS if conf says how.
func (w *wire) serve(address string, conf *tls.Config) *http.Server {
	w.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		w.t.Skip(err)
	}
	scheme := "http"
	if conf != nil {
		l, scheme = tls.NewListener(l, conf), "https"
	}
	server := fakek2hr3.NewHTTPServer(w.host.api)
	server.Handler, server.ErrorLog = w.front, log.New(io.Discard, "", 0)
	over := make(chan struct{})
	go func() { defer close(over); server.Serve(l) }()
	w.t.Cleanup(func() { server.Close(); <-over })
	w.api = &url.URL{Scheme: scheme, Host: l.Addr().String()}
	return server
}

// run makes the agent and runs it until the test ends.
func (w *wire) run() {
	w.t.Helper()
	api, err := k2hr3.ParseAPI(w.api.String())
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := w.config
	cfg.API, cfg.Timeout, cfg.Logger = api, cmp.Or(cfg.Timeout, wireLimit), slog.New(w.log)
	client, err := k2hr3.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	agent := w.make()
	m := agent.Member.(*member.Member)
	m.Client, m.Address = client, client.LocalAddress
	m.ClientFrom = func(from netip.Addr) (*k2hr3.Client, error) {
		cfg := cfg
		cfg.From = from
		return k2hr3.New(cfg)
	}
	agent.Member = promptly{m}
	ctx, end := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- agent.Run(ctx, w.events) }()
	w.t.Cleanup(func() {
		end()
		select {
		case err := <-done:
			if err != nil {
				w.t.Error(err)
			}
		case <-time.After(wireLimit):
			w.t.Error("Run does not end")
		}
		client.Close()
	})
	w.soon("the first file", func() bool { return w.lists(1) })
}

// promptly has K2HR3's answers count as fast ones: how slow this machine is does not make K2HR3 a
// busy one, which the agent would ask seldom.
type promptly struct{ *member.Member }

func (m promptly) Ask(ctx context.Context, etag string, wait time.Duration) (k2hr3.Answer, error) {
	a, err := m.Member.Ask(ctx, etag, wait)
	a.Took = 0
	return a, err
}

// soon waits for something.
func (w *wire) soon(what string, is func() bool) {
	w.t.Helper()
	for until := time.Now().Add(wireLimit); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	w.t.Fatalf("after %v still not: %s", wireLimit, what)
}

// suffer holds the agent to a row.
func (w *wire) suffer(f fault, strike, heal func()) {
	w.t.Helper()
	w.forget()
	before := identify(w.t, w.host.config.File.Path)
	struck := time.Now()
	strike()
	w.join(2)
	if f.sees != 0 {
		w.soon("the new server is in the file", func() bool { return w.lists(2) })
	}
	w.tells(f)
	time.Sleep(time.Until(struck.Add(wireFor)))
	if f.sees == 0 && identify(w.t, w.host.config.File.Path) != before {
		w.t.Error("slave.ini was touched")
	}
	n := 0
	for _, r := range w.host.api.Requests() {
		if r.Start.Before(struck.Add(wireFor)) { // the log may have told later
			n++
		}
	}
	if n > f.asks {
		w.t.Errorf("%d requests, want %d at most", n, f.asks)
	}
	heal()
	w.soon("the file is what K2HR3 has", func() bool { return w.lists(2) && w.upToDate() })
}

// tells waits for the log to tell of a row.
func (w *wire) tells(f fault) {
	w.t.Helper()
	w.soon("the log tells", func() bool { return f.hush || w.log.count(f.says...) != 0 })
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.issue(x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, 0)
	return a
}

// issue signs a certificate that becomes valid then. The first one is its own.
func (a *authority) issue(c x509.Certificate, valid time.Duration) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.Subject = pkix.Name{CommonName: strconv.FormatInt(c.SerialNumber.Int64(), 36)}
	c.NotBefore = time.Now().Add(valid - time.Hour)
	c.NotAfter = c.NotBefore.Add(2 * time.Hour)
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	if a.cert == nil {
		a.cert, a.key = &c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(a.cert.Raw) == 0 {
		a.cert, _ = x509.ParseCertificate(der)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// store writes a certificate and its key, if it has one, to a file.
func store(t *testing.T, file string, c tls.Certificate) string {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	if c.PrivateKey != nil {
		der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	// In one piece: it is read at any moment.
	noError(t, errors.Join(os.WriteFile(file+".next", text, 0o600), os.Rename(file+".next", file)))
	return file
}

// secured is a K2HR3 over TLS that a row changes.
type secured struct {
	ca     *authority
	use    func(tls.Certificate) // has K2HR3 show another certificate
	caFile string
	client string // the file with the client's certificate
}

// overTLS runs a row on a K2HR3 over TLS, which may demand a client certificate.
func overTLS(strike func(secured), demand bool) func(*testing.T, fault) {
	return func(t *testing.T, f fault) {
		w, ca := newWire(t), newAuthority(t)
		var current atomic.Pointer[tls.Certificate]
		use := func(c tls.Certificate) { current.Store(&c) }
		good := ca.issue(x509.Certificate{}, 0)
		use(good)
		conf := &tls.Config{
			GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
			SessionTicketsDisabled: true,
		}
		dir := t.TempDir()
		own := tls.Certificate{Certificate: [][]byte{ca.cert.Raw}}
		w.config.CAFile = store(t, filepath.Join(dir, "ca.pem"), own)
		client := filepath.Join(dir, "client.pem")
		shown := ca.issue(x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, 0)
		if demand {
			conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
			w.config.CertFile = store(t, client, shown)
			w.config.KeyFile = client
		}
		w.serve("127.0.0.1:0", conf)
		w.run()
		w.suffer(f, func() {
			strike(secured{ca, use, w.config.CAFile, client})
			if f.sees == 0 {
				w.tells(f) // who has shaken hands before may still read the next change
			}
		}, func() {
			use(good)
			store(t, w.config.CAFile, own)
			if demand {
				store(t, client, shown)
			}
		})
	}
}

// again runs a test again, in a process with more in its environment that is made as attr says, and
// passes on how that went.
func again(t *testing.T, attr *syscall.SysProcAttr, env ...string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	child.Env, child.SysProcAttr = append(os.Environ(), env...), attr
	out, err := child.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL):
		t.Skipf("such a process cannot be made here: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case err != nil || !strings.Contains(string(out), "--- PASS"):
		t.Errorf("%v\n%s", err, out)
	}
}

// proxiedAPI is set in a process that reaches K2HR3 through a proxy: net/http
// reads the environment once.
const proxiedAPI = "K2HDKC_TEST_PROXIED"

// proxy is one that a row changes.
type proxy struct {
	locked atomic.Bool // it wants a password
	dead   func()      // nothing listens any more
	alive  func()
}

// throughProxy runs a row on a K2HR3 behind a proxy.
func throughProxy(strike, heal func(*proxy)) func(*testing.T, fault) {
	return func(t *testing.T, f fault) {
		if at := os.Getenv(proxiedAPI); at == "" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			proxy := l.Addr().String()
			l.Close() // the child will listen there
			again(t, nil, proxiedAPI+"="+proxy, "HTTP_PROXY=http://"+proxy, "http_proxy=http://"+proxy, "NO_PROXY=", "no_proxy=")
			return
		}
		w := newWire(t)
		w.serve("127.0.0.1:0", nil)
		p := newProxy(t, w.api)
		w.api = &url.URL{Scheme: "http", Host: "k2hr3.invalid:18080"}
		w.run()
		w.suffer(f, func() { strike(p) }, func() { heal(p) })
	}
}

func newProxy(t *testing.T, behind *url.URL) *proxy {
	p := &proxy{}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }}
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p.locked.Load() {
			rw.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		forward.ServeHTTP(rw, r)
	})
	p.alive = func() {
		l, err := net.Listen("tcp", os.Getenv(proxiedAPI))
		if err != nil {
			t.Fatal(err)
		}
		server, over := &http.Server{Handler: handler}, make(chan struct{})
		go func() { defer close(over); server.Serve(l) }()
		p.dead = func() { server.Close(); <-over }
	}
	p.alive()
	t.Cleanup(func() { p.dead() })
	return p
}

// nameServer answers questions for addresses of names that it has, by UDP.
type nameServer struct {
	mu    sync.Mutex
	names map[string][]netip.Addr // none: a failure
	conn  net.PacketConn
}

func (n *nameServer) set(name string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = nil
	for _, a := range addrs {
		n.names[name] = append(n.names[name], netip.MustParseAddr(a))
	}
}

// serve answers until its connection is closed: the question again, and the addresses for it.
func (n *nameServer) serve() {
	b := make([]byte, 512)
	for {
		size, from, err := n.conn.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(b[:size]); err != nil {
			continue
		}
		q := m.Questions[0]
		n.mu.Lock()
		addrs := n.names[q.Name.String()]
		n.mu.Unlock()
		reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		if len(addrs) == 0 {
			reply.RCode = dnsmessage.RCodeNameError
		}
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
		for _, addr := range addrs {
			switch {
			case q.Type == dnsmessage.TypeA && addr.Is4():
				reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
			case q.Type == dnsmessage.TypeAAAA && addr.Is6():
				reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
			}
		}
		if packed, err := reply.Pack(); err == nil {
			n.conn.WriteTo(packed, from)
		}
	}
}

// byName runs a row on a K2HR3 that goes by a name, in a process of the row's own, because that has
// a resolver of its own.
func byName(run func(w *wire, f fault, called func(addrs ...string))) func(*testing.T, fault) {
	const env = "K2HDKC_TEST_RESOLVER"
	return func(t *testing.T, f fault) {
		if os.Getenv(env) == "" {
			again(t, nil, env+"=1")
			return
		}
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		const name = "k2hr3.shop.test."
		names := &nameServer{names: map[string][]netip.Addr{}, conn: conn}
		over := make(chan struct{})
		go func() { defer close(over); names.serve() }()
		t.Cleanup(func() { conn.Close(); <-over })
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
		}}
		w := newWire(t)
		w.chmpx.local = []string{"127.0.0.1", "127.0.0.2", "::1", ownAddr}
		run(w, f, func(addrs ...string) {
			names.set(name, addrs...)
			if w.api != nil {
				_, port, _ := net.SplitHostPort(w.api.Host)
				w.api = &url.URL{Scheme: "http", Host: strings.TrimSuffix(name, ".") + ":" + port}
			}
		})
	}
}

// also serves K2HR3 under another address, at the same port.
func (w *wire) also(address string) {
	_, port, _ := net.SplitHostPort(w.api.Host)
	was := w.api
	w.serve(net.JoinHostPort(address, port), nil)
	w.api = was
}

// silent has an address, at K2HR3's port, answer no attempt to connect, until the end of the test.
func (w *wire) silent(address string) {
	w.t.Helper()
	_, port, _ := net.SplitHostPort(w.api.Host)
	at := net.JoinHostPort(address, port)
	l, err := net.Listen("tcp", at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	noError(w.t, raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }))
	for range 10 { // until its queue is full
		c, err := net.DialTimeout("tcp", at, 200*time.Millisecond)
		if err != nil {
			return
		}
		w.t.Cleanup(func() { c.Close() })
	}
	w.t.Skip("cannot make an address silent here")
}

// moves is a K2HR3 whose name means another address from the fault on; at the first one it is gone.
func moves(first, second string) func(w *wire, f fault, called func(addrs ...string)) {
	return func(w *wire, f fault, called func(addrs ...string)) {
		old := w.serve(net.JoinHostPort(first, "0"), nil)
		w.also(second)
		called(first)
		w.run()
		w.suffer(f, func() {
			called(second)
			old.Close()
		}, func() {})
	}
}

// silentIPv4 is a K2HR3 of which only the IPv6 address answers.
func silentIPv4(w *wire, f fault, called func(addrs ...string)) {
	w.serve("[::1]:0", nil)
	w.silent("127.0.0.2")
	called("127.0.0.2", "::1")
	w.run()
	w.suffer(f, func() {}, func() {})
	if m := w.cluster.Slaves(); len(m) != 1 || m[0].Addr != "::1" {
		w.t.Errorf("members: %+v", m)
	}
}

// fallsSilent is a K2HR3 whose IPv4 address falls silent, while the IPv6 address answers.
func fallsSilent(w *wire, f fault, called func(addrs ...string)) {
	old := w.serve("127.0.0.2:0", nil)
	w.also("::1")
	called("127.0.0.2") // so that this is where the host is known by, however slow this machine is
	w.run()
	called("127.0.0.2", "::1")
	w.suffer(f, func() {
		old.Close()
		w.silent("127.0.0.2")
	}, func() {})
}

// deadA is a K2HR3 with two IPv4 addresses, of which one is silent.
func deadA(w *wire, f fault, called func(addrs ...string)) {
	w.serve("127.0.0.3:0", nil)
	w.silent("127.0.0.2")
	called("127.0.0.2", "127.0.0.3")
	w.run()
	w.suffer(f, func() {}, func() {})
}

// halfOpen is a K2HR3 that takes connections and says nothing.
func halfOpen(t *testing.T, f fault) {
	w := newWire(t)
	w.config.Timeout = wireTimeout
	w.serve("127.0.0.1:0", nil)
	behind := w.api.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.api = &url.URL{Scheme: "http", Host: l.Addr().String()}
	var dead atomic.Bool
	var pipes sync.WaitGroup
	pipes.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			pipes.Go(func() {
				defer c.Close()
				if dead.Load() {
					io.Copy(io.Discard, c) // until the client gives up
					return
				}
				b, err := net.Dial("tcp", behind)
				if err != nil {
					return
				}
				defer b.Close()
				go io.Copy(b, c)
				io.Copy(c, b)
			})
		}
	})
	t.Cleanup(func() { l.Close(); pipes.Wait() })
	w.run()
	w.suffer(f, func() { dead.Store(true) }, func() { dead.Store(false) })
}

// dripping is a K2HR3 that sends a byte now and then.
func dripping(t *testing.T, f fault) {
	w := newWire(t)
	w.config.Timeout = wireTimeout
	w.serve("127.0.0.1:0", nil)
	w.run()
	w.suffer(f, func() {
		w.host.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Drip, Delay: 50 * time.Millisecond, On: []fakek2hr3.Op{read}})
	}, w.host.api.ClearFaults)
}

// wireFaults are in real time, so their numbers are of a few seconds and an
// interval of 0.3 s.
func wireFaults() []fault {
	const whatToDo = "keeps the file; says what to do"
	row := func(f fault) fault {
		f.lasts, f.within = cmp.Or(f.lasts, wireFor), wireSoon
		f.asks = cmp.Or(f.asks, 30)
		return f
	}
	return []fault{
		row(fault{name: "half-open", wrong: "something takes connections for K2HR3 and says nothing", does: "keeps the file; gives each request up in time", run: halfOpen,
			says: []string{silent, "no whole answer within"}}),
		row(fault{name: "a real drip", wrong: "the answer comes in a byte now and then, over a real connection", does: "keeps the file; gives it up in time", run: dripping,
			says: []string{silent, "no whole answer within"}}),
		row(fault{name: "a certificate of another authority", wrong: "K2HR3's certificate is replaced by one that another authority has signed", does: whatToDo,
			run: overTLS(func(s secured) {
				s.use(newAuthority(s.ca.t).issue(x509.Certificate{}, 0))
			}, false), says: []string{silent, "ca-file has to name the authority"}}),
		row(fault{name: "the authority is rotated", wrong: "K2HR3's certificate is replaced by one that another authority has signed, and ca-file by that authority's", does: "takes up the new authority with the next request",
			run: overTLS(func(s secured) {
				next := newAuthority(s.ca.t)
				store(s.ca.t, s.caFile, tls.Certificate{Certificate: [][]byte{next.cert.Raw}})
				s.use(next.issue(x509.Certificate{}, 0))
			}, false), sees: wireSoon, asks: 60, hush: true}),
		row(fault{name: "an expired certificate", wrong: "K2HR3's certificate expires, or this host's clock is ahead", does: whatToDo,
			run: overTLS(func(s secured) {
				s.use(s.ca.issue(x509.Certificate{}, -48*time.Hour))
			}, false), says: []string{silent, "this host's clock says"}}),
		row(fault{name: "a certificate that is not valid yet", wrong: "this host's clock is behind, as at the first boot of a board", does: whatToDo,
			run: overTLS(func(s secured) {
				s.use(s.ca.issue(x509.Certificate{}, 48*time.Hour))
			}, false), says: []string{silent, "this host's clock says"}}),
		row(fault{name: "the client certificate expires", wrong: "this host's client certificate expires, and is renewed on disk", does: "keeps the file; says so; uses the renewed one at once",
			run: overTLS(func(s secured) {
				store(s.ca.t, s.client, s.ca.issue(x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, -48*time.Hour))
			}, true), says: []string{silent, "cert-file and key-file need one that is valid"}}),
		row(fault{name: "the client certificate is lost", wrong: "this host's client certificate is deleted", does: "keeps the file; says so; uses the next one at once",
			run: overTLS(func(s secured) {
				if err := os.Remove(s.client); err != nil {
					s.ca.t.Error(err)
				}
			}, true), says: []string{silent, "cert-file"}}),
		row(fault{name: "the proxy wants a password", wrong: "the proxy of HTTP_PROXY wants a password", does: whatToDo,
			run:  throughProxy(func(p *proxy) { p.locked.Store(true) }, func(p *proxy) { p.locked.Store(false) }),
			says: []string{silent, "407", "http://USER:PASSWORD@HOST:PORT in HTTP_PROXY"}}),
		row(fault{name: "the proxy is dead", wrong: "nothing listens any more at the address in HTTP_PROXY", does: "keeps the file; says that it is the proxy, and which variable names it",
			run:  throughProxy(func(p *proxy) { p.dead() }, func(p *proxy) { p.alive() }),
			says: []string{silent, "the proxy 127.0.0.1:", "of HTTP_PROXY", "connection refused", "correct HTTP_PROXY"}}),
		row(fault{name: "the name means another address", wrong: "the name service moves K2HR3 to another address, and nothing is left at the old one", does: "finds it with the next request",
			run: byName(moves("127.0.0.2", "127.0.0.3")), sees: wireSoon, asks: 60, hush: true}),
		row(fault{name: "IPv4 gives way to IPv6", wrong: "K2HR3 is reached by IPv6 only from now on, under an address that it can remove", does: "registers under its IPv6 address",
			run: byName(moves("127.0.0.2", "::1")), sees: wireSoon, asks: 60, says: []string{"registered with K2HR3", "its address has changed from 127.0.0.1 to ::1"}}),
		row(fault{name: "IPv4 is silent", wrong: "K2HR3's name has an IPv4 address that nothing answers at, and an IPv6 address", does: "connects over IPv6 after 1.5 s, and stays there; connecting is not K2HR3's time",
			run: byName(silentIPv4), sees: wireSoon, asks: 60, hush: true}),
		row(fault{name: "IPv4 falls silent", wrong: "K2HR3's IPv4 address falls silent, and its IPv6 address answers", does: "connects over IPv6 after 4 s, stays there, and registers under its IPv6 address",
			run: byName(fallsSilent), sees: wireSoon, asks: 90, says: []string{"registered with K2HR3", "its address has changed from 127.0.0.1 to ::1"}}),
		row(fault{name: "the first of two A records is dead", wrong: "K2HR3's name has two IPv4 addresses, and nothing answers at one of them", does: "connects to the other one after 0.25 s",
			run: byName(deadA), sees: wireSoon, asks: 60, hush: true}),
	}
}
