package k2hr3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Step is a part of the way to K2HR3, in the order in which they are gone.
type Step int

// The steps.
const (
	Resolving  Step = iota // of the name
	Connecting             // by TCP
	Agreeing               // on TLS, and on the tunnel of a proxy
	Answering
	Arrived
)

// Way is how a client gets to K2HR3.
type Way struct {
	// Proxy is the host and port of the proxy on the way, and ProxyVariable the variable that names
	// it; empty: there is none. Names are resolved and connections made to the proxy then.
	Proxy, ProxyVariable string
	// To is the host and port that is connected to.
	To string
	// Addresses are those of To, and Connected is the one that answers first.
	Addresses []netip.Addr
	Connected netip.AddrPort

	// Reached is the step that failed with Err, or Arrived. The way goes on behind a certificate
	// that is not good, since nothing secret is sent on it: WrongCertificate is why it is not.
	Reached          Step
	Err              error
	WrongCertificate error
	// Certificate is the one K2HR3 shows; nil: none.
	Certificate *x509.Certificate

	// Ahead is by how much this host's clock is ahead of that of whoever answers, to the second,
	// and Dated tells whether an answer says so. A K2HR3 behind a gateway may have another clock.
	Ahead time.Duration
	Dated bool
	// Took is how long the answer took, from the connection on.
	Took time.Duration
}

// Way goes the way to K2HR3 once, by a GET of its root, which costs K2HR3 nothing and shows no
// token. name limits how long the name may take to resolve. The error of a step says what helps.
func (c *Client) Way(ctx context.Context, name time.Duration) Way {
	const op = "get to K2HR3"
	target := c.api
	var w Way
	if proxy := proxyOf(c.api); proxy != nil {
		w.Proxy, w.ProxyVariable, target = proxy.Host, proxyVariable(c.api.Scheme), proxy
	}
	w.To = net.JoinHostPort(target.Hostname(), port(target))
	if c.fresh == nil {
		w.Err = errors.New("the network is replaced")
		return w
	}
	if w.Addresses, w.Err = c.allAddresses(ctx, target.Hostname(), name); w.Err != nil {
		if w.Proxy != "" {
			w.Err = &net.OpError{Op: "proxyconnect", Net: "tcp", Err: w.Err}
		}
		w.Err = c.failed(ctx, op, answer{}, w.Err)
		return w
	}
	w.Reached = Connecting
	g := going{client: c, way: &w, proxy: target}
	a, err := g.get(ctx)
	g.mu.Lock() // a dial of the transport's may go on
	defer g.mu.Unlock()
	if err != nil {
		w.Err = c.late(ctx, op, w.explain(err))
		return w
	}
	w.Reached = Answering
	if w.Err = c.judgePing(ctx, op, a); w.Err == nil {
		w.Reached = Arrived
	}
	return w
}

// explain says what did not come in time, where the limit was the caller's.
func (w *Way) explain(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	switch {
	case w.Reached == Connecting && w.Proxy != "":
		return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errNoConnection}
	case w.Reached == Connecting:
		return &net.OpError{Op: "dial", Net: "tcp", Err: errNoConnection}
	}
	return errNoAnswer
}

// patienceError is the end of a caller's patience.
type patienceError string

func (e patienceError) Error() string { return string(e) }
func (patienceError) Timeout() bool   { return true }

const (
	errNoConnection patienceError = "no connection in time"
	errNoAnswer     patienceError = "no answer in time"
)

// late is failed for an exchange whose own limit is its context's: what did not come in time is
// K2HR3's failure then.
func (c *Client) late(ctx context.Context, op string, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return c.failed(context.WithoutCancel(ctx), op, answer{}, err)
	}
	return c.failed(ctx, op, answer{}, err)
}

// allAddresses are those of both families; an error of one counts if the other has none either.
func (c *Client) allAddresses(ctx context.Context, host string, limit time.Duration) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		addrs []netip.Addr
		err   error
	}
	var found [2]result
	var wait sync.WaitGroup
	for i, f := range []family{ipv4, ipv6} {
		wait.Go(func() { found[i].addrs, found[i].err = c.dial.addresses(ctx, f, host) })
	}
	wait.Wait()
	if all := slices.Concat(found[0].addrs, found[1].addrs); len(all) > 0 {
		return all, nil
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: worst([]error{found[0].err, found[1].err})}
}

// going is one GET on the way.
type going struct {
	client *Client
	proxy  *url.URL // or the server itself

	mu         sync.Mutex
	way        *Way
	handshakes int
}

func (g *going) get(ctx context.Context) (answer, error) {
	c := g.client
	req, err := c.request(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return answer{}, err
	}
	pool, _ := c.fresh.roots.get() // what is wrong with the roots shows in the certificate
	transport := c.fresh.base.Clone()
	transport.DialContext = g.dial
	transport.TLSClientConfig.RootCAs = pool
	// The certificate is checked in verify, and the way goes on to learn what K2HR3's clock says.
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error { g.verify(s, pool); return nil }
	defer transport.CloseIdleConnections()
	way := c.line
	way.next = quiet{transport}
	client := way.client(c.timeout)
	ctx, took, _ := timed(ctx)
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	now := time.Now()
	g.mu.Lock()
	g.way.Reached, g.way.Took = Answering, took()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// The answer was dated half of its time ago, and cut to the second.
		g.way.Ahead, g.way.Dated = now.Add(-g.way.Took/2).Sub(at.Add(time.Second/2)).Round(time.Second), true
	}
	g.mu.Unlock()
	return readAnswer(resp)
}

func (g *going) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.client.dial.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.way.Connected, _ = netip.ParseAddrPort(conn.RemoteAddr().String())
	g.way.Reached = Answering
	if g.client.api.Scheme == "https" || g.proxy.Scheme == "https" {
		g.way.Reached = Agreeing
	}
	return conn, nil
}

// verify takes note of whether a certificate is good.
func (g *going) verify(s tls.ConnectionState, pool *x509.CertPool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handshakes++
	names := []string{g.client.api.Hostname()}
	if g.way.Proxy != "" && g.proxy.Scheme == "https" {
		names = []string{g.proxy.Hostname(), g.client.api.Hostname()}
	}
	if len(names) == g.handshakes && g.client.api.Scheme == "https" {
		g.way.Certificate = s.PeerCertificates[0]
		g.way.Reached = Answering
	}
	options := x509.VerifyOptions{Roots: pool, DNSName: names[min(g.handshakes, len(names))-1], Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	if _, err := s.PeerCertificates[0].Verify(options); err != nil && g.way.WrongCertificate == nil {
		err = &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		g.way.WrongCertificate = g.client.failed(context.Background(), "check the certificate", answer{}, err)
	}
}
