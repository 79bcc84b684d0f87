package k2hr3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// DefaultTimeout is the time for an answer that is not being held. A K2HR3
// whose store is down takes about 14 s to say so.
const DefaultTimeout = 20 * time.Second

// Config is what a Client is made from. Only API is needed.
type Config struct {
	API API
	// CAFile holds the authorities K2HR3's certificate is checked against, in
	// PEM. Empty: those of the system. Both are read again when they change.
	CAFile string
	// CertFile and KeyFile are this host's client certificate, in PEM. They
	// are read again for each TLS handshake.
	CertFile, KeyFile string
	// Timeout bounds each try of an exchange, from the connection to the last byte
	// of the answer, but for the time K2HR3 was asked to hold the request.
	// Connecting may take 20 s besides. 0: DefaultTimeout.
	Timeout time.Duration
	// Tries is how often an exchange is tried while its connection fails, or K2HR3 is busy; 0: a
	// few times within two minutes.
	Tries int
	// Limiter is what every request passes. Nil: one of the client's own.
	Limiter *Limiter
	// UserAgent is sent with each request. Empty: the agent's name.
	UserAgent string
	// Logger gets Debug messages only. Nil: nothing is logged.
	Logger *slog.Logger
	// Observe, which may be nil, is called with each request that was made, from the goroutine that
	// made it. It must not block.
	Observe func(Asked)
	// From is the address of this host to connect from. Zero: the routing
	// decides.
	From netip.Addr
	// Transport replaces the network, for tests. Nil: the real one.
	Transport http.RoundTripper
}

// Client talks to one K2HR3. It is safe for concurrent use.
type Client struct {
	api       *url.URL
	route     route
	userAgent string
	timeout   time.Duration
	log       *slog.Logger
	dial      *dialer
	fresh     *fresh // nil: the network is replaced
	line      line
	retrier   *retryablehttp.Client
	silent    *retryablehttp.Client // the same, without a log
	holding   holding
}

// New returns a client for cfg. It reads the certificate files, and does not
// touch the network.
func New(cfg Config) (*Client, error) {
	if cfg.API.IsZero() {
		return nil, errors.New("no address of K2HR3 is given")
	}
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("timeout %v is negative", cfg.Timeout)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "k2hdkc-slave-agent"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	dial := newDialer(cfg.From)
	way := route{server: &cfg.API.base, named: "api-uri", caFile: cfg.CAFile, cert: cfg.CertFile, wantsCert: new(atomic.Bool)}
	var real *fresh
	if cfg.Transport == nil {
		transport, err := newTransport(cfg, dial, way.wantsCert)
		if err != nil {
			return nil, err
		}
		real, cfg.Transport = transport, transport
	}
	if cfg.Tries <= 0 {
		cfg.Tries = maxTries
	}
	if cfg.Limiter == nil {
		cfg.Limiter = new(Limiter)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Asked) {}
	}
	all := line{next: quiet{cfg.Transport}, limiter: cfg.Limiter, observe: cfg.Observe}
	retried := all.client(cfg.Timeout)
	return &Client{
		api:       &cfg.API.base,
		route:     way,
		userAgent: cfg.UserAgent,
		timeout:   cfg.Timeout,
		log:       cfg.Logger,
		dial:      dial,
		fresh:     real,
		line:      all,
		retrier:   newRetrier(retried, cfg.Tries, cfg.Logger),
		silent:    newRetrier(retried, cfg.Tries, slog.New(slog.DiscardHandler)),
	}, nil
}

// Close closes what the client keeps open between exchanges. The client stays usable.
func (c *Client) Close() { c.line.client(c.timeout).CloseIdleConnections() }

// Disturb lets requests begin although K2HR3 wants to be left alone (Retry-After), until it says so
// again.
func (c *Client) Disturb() { c.line.limiter.disturb(c.api.Host) }

// request returns a request below the API. path is not escaped yet; a colon or
// slash in it is sent as it is, because K2HR3 does not decode their escapes
// (docs/k2hr3.md A.3).
func (c *Client) request(ctx context.Context, method, path string, query url.Values) (*http.Request, error) {
	target := *c.api
	target.Path = path
	// Values.Encode writes a blank as "+", which only forms define.
	target.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	req, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}

func rolePath(role Role) string             { return "/v1/role/" + role.yrn }
func resourcePath(resource Resource) string { return "/v1/resource/" + resource.yrn }

func setToken(req *http.Request, token Token) {
	if !token.IsZero() {
		req.Header.Set("x-auth-token", token.header())
	}
}

// quiet keeps what a server sent out of the errors of a transport: where HTTP
// breaks, Go quotes the bytes it stumbled over, and those may be the rest of a
// body that echoes a token.
type quiet struct{ transport http.RoundTripper }

func (q quiet) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := q.transport.RoundTrip(req)
	if err != nil {
		return nil, withoutQuotes(err)
	}
	return resp, nil
}

func (q quiet) CloseIdleConnections() {
	if t, ok := q.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// withoutQuotes returns err, or a stand-in for it if it may quote the server.
func withoutQuotes(err error) error {
	var network net.Error
	if errors.As(err, &network) || isCertificateError(err) || errors.Is(err, context.Canceled) {
		return err
	}
	has := func(words string) bool { return strings.Contains(err.Error(), words) }
	switch {
	case has("malformed HTTP "): // its first line
		return errNotHTTP
	case has("server response headers exceeded"):
		return errLongHead
	case has("malformed"), has(`"`), has("chunk"), has("header line too long"):
		return errFaultyHTTP
	}
	return err
}

var (
	errNotHTTP    = errors.New("what came back is not HTTP")
	errFaultyHTTP = errors.New("what came back is HTTP with a fault in it: in a header, as Content-Length or Location, or a chunk")
	errLongHead   = fmt.Errorf("the headers of what came back are longer than %d KiB", maxHeader>>10)
)

// drain reads what is left of a small body and closes it, so that the connection
// ends in order rather than by a reset.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 4<<10)
	_ = body.Close()
}
