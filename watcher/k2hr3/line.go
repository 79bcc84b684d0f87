package k2hr3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// line is the way of every request to K2HR3, whatever it is for; each try of an exchange takes it.
type line struct {
	next    http.RoundTripper
	limiter *Limiter
	observe func(Asked)
	limit   time.Duration // from the connection to the last byte of the answer
}

// client returns an HTTP client whose requests take the line, each for limit at most.
func (l line) client(limit time.Duration) *http.Client {
	l.limit = limit
	return &http.Client{
		Transport:     l,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// CloseIdleConnections closes what the transport keeps open between requests.
func (l line) CloseIdleConnections() { (&http.Client{Transport: l.next}).CloseIdleConnections() }

// RoundTrip waits for the request's turn, which counts neither for the limit nor for how long K2HR3
// takes.
func (l line) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := l.limiter.wait(req.Context(), req.URL.Host); err != nil {
		return nil, err
	}
	t := begin(req, l.limit)
	resp, err := l.next.RoundTrip(req.WithContext(t.ctx))
	if err != nil {
		defer t.end()
		err = t.explain(err)
		l.observe(outcomeOf(nil, err, 0))
		return nil, err
	}
	l.observe(outcomeOf(resp, nil, t.took()))
	t.keep(nil)
	if d := retryAfter(resp.StatusCode, resp.Header); d > 0 {
		l.limiter.leaveAlone(req.URL.Host, d)
	}
	resp.Body = &tryBody{ReadCloser: resp.Body, try: t}
	return resp, nil
}

// try is one request, until its answer is read.
type try struct {
	outer context.Context // ends when the request is given up
	ctx   context.Context // the transport's; it ends a little later
	end   func()          // has to be called

	mu        sync.Mutex
	began     time.Time // with the connection
	conn      net.Conn  // to be reset if the request is given up now
	handshake error     // what became of the TLS handshake
}

// begin begins a try. K2HR3 works on a request whose connection is closed to its end, and drops one
// whose connection is reset (docs/flavours.md 9). So the connection of a request that reads is
// reset, if the request is given up before the answer comes. What becomes of one that changes
// something has to be known.
//
// limit counts from the connection on: connecting is not K2HR3's time, and has limits of its own.
func begin(req *http.Request, limit time.Duration) *try {
	outer, cancelOuter := context.WithCancelCause(req.Context())
	ctx, cancel := context.WithCancel(context.WithoutCancel(outer))
	t := &try{outer: outer, began: time.Now()}
	stop := context.AfterFunc(outer, func() {
		t.reset()
		cancel()
	})
	late := time.AfterFunc(connectLimit+limit, func() { cancelOuter(timeoutError{limit}) })
	t.end = func() {
		late.Stop()
		stop()
		cancel()
		cancelOuter(nil)
	}
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	t.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			late.Reset(limit)
			t.connected()
			if reads {
				t.keep(info.Conn)
			}
		},
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { t.shook(err) },
	})
	return t
}

// connected takes note that K2HR3 has the request from now on.
func (t *try) connected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = time.Now()
}

// took is for how long K2HR3 has had the request.
func (t *try) took() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.began)
}

// keep keeps a connection, to reset it if the request is given up; nil: not any more.
func (t *try) keep(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = conn
}

// reset has the connection end by a reset when the transport closes it.
func (t *try) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn := t.conn
	for { // two: to a proxy, and through it to K2HR3
		secure, ok := conn.(*tls.Conn)
		if !ok {
			break
		}
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func (t *try) shook(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handshake = err
}

// explain returns err, or what is behind it: that the request was given up, or that the connection
// ended while TLS was being agreed on.
func (t *try) explain(err error) error {
	if t.outer.Err() != nil {
		return context.Cause(t.outer)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.handshake != nil && isEnd(err) {
		return handshakeError{err}
	}
	return err
}

// isEnd reports whether err says only that the connection ended.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// handshakeError says that the server ended the connection in the TLS handshake without a word.
type handshakeError struct{ err error }

func (e handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e handshakeError) Unwrap() error { return e.err }

// tryBody is the body of an answer.
type tryBody struct {
	io.ReadCloser
	try *try
}

func (b *tryBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && b.try.outer.Err() != nil {
		err = context.Cause(b.try.outer)
	}
	return n, err
}

func (b *tryBody) Close() error {
	err := b.ReadCloser.Close()
	b.try.end()
	return err
}

// timed returns a context for an exchange, and functions that say for how long K2HR3 has had the
// latest request of it, and whether it ever had one: waiting for its turn and connecting are not
// K2HR3's time.
func timed(ctx context.Context) (timed context.Context, took func() time.Duration, had func() bool) {
	var began atomic.Pointer[time.Time]
	var connected atomic.Bool
	note := func() {
		now := time.Now()
		began.Store(&now)
	}
	note()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		note()
		connected.Store(true)
	}})
	return ctx, func() time.Duration { return time.Since(*began.Load()) }, connected.Load
}
