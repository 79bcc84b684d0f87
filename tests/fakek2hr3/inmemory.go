package fakek2hr3

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// InMemory serves a Server over pipes instead of sockets: whole HTTP
// connections, cut ones and idle timeouts included, which also work inside a
// testing/synctest bubble. Close it before the bubble ends.
type InMemory struct {
	srv    *http.Server
	conns  chan net.Conn
	closed chan struct{}
	served chan struct{}

	mu         sync.Mutex
	transports []*http.Transport
}

// Listen starts serving s in memory.
func Listen(s *Server) *InMemory {
	n := &InMemory{srv: NewHTTPServer(s), conns: make(chan net.Conn), closed: make(chan struct{}), served: make(chan struct{})}
	go func() {
		defer close(n.served)
		n.srv.Serve(pipeListener{n}) //nolint:errcheck // always an error, after Close
	}()
	return n
}

// Close ends all connections and waits until nobody is accepting any more.
func (n *InMemory) Close() {
	n.mu.Lock()
	for _, t := range n.transports {
		t.CloseIdleConnections()
	}
	n.mu.Unlock()
	n.srv.Close() //nolint:errcheck // closes the listener, which cannot fail
	<-n.served
}

// Dialer returns a dial function, as http.Transport takes it, whose connections
// seem to come from the address from, whatever they are told to dial.
func (n *InMemory) Dialer(from string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case n.conns <- pipeConn{server, from}:
			return client, nil
		case <-n.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Client returns an HTTP client whose requests seem to come from the address
// from. Any http URL reaches the server.
func (n *InMemory) Client(from string) *http.Client {
	t := &http.Transport{DialContext: n.Dialer(from), DisableCompression: true}
	n.mu.Lock()
	n.transports = append(n.transports, t)
	n.mu.Unlock()
	return &http.Client{Transport: t}
}

type pipeListener struct{ n *InMemory }

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.n.conns:
		return c, nil
	case <-l.n.closed:
		return nil, net.ErrClosed
	}
}

// Close is called once, by the http.Server.
func (l pipeListener) Close() error {
	close(l.n.closed)
	return nil
}

func (l pipeListener) Addr() net.Addr { return pipeAddr("k2hr3") }

type pipeConn struct {
	net.Conn
	from string
}

func (c pipeConn) RemoteAddr() net.Addr { return pipeAddr(net.JoinHostPort(c.from, "40000")) }

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }
