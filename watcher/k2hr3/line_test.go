package k2hr3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ends serves one connection on loopback: it reads the request, answers as told, and returns how
// the client ended the connection: by EOF, or by a reset.
func ends(t *testing.T, conf *tls.Config, answer string, got chan<- struct{}) (addr string, how <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		secure := conn
		if conf != nil {
			secure = tls.Server(conn, conf)
		}
		b := make([]byte, 4096)
		if _, err := secure.Read(b); err != nil {
			over <- err
			return
		}
		_, _ = io.WriteString(secure, answer)
		got <- struct{}{}
		_, err = io.Copy(io.Discard, conn)
		over <- err
	}()
	return l.Addr().String(), over
}

// tellsRead is a body that tells when it is read.
type tellsRead struct {
	io.ReadCloser
	reading chan<- struct{}
}

func (b tellsRead) Read(p []byte) (int, error) {
	select {
	case b.reading <- struct{}{}:
	default:
	}
	return b.ReadCloser.Read(p)
}

// K2HR3 drops a request whose connection is reset, and works on one whose connection is closed to
// its end (docs/flavours.md 9).
func TestWhatReadsIsGivenUpByAReset(t *testing.T) {
	ca := newAuthority(t)
	server := ca.pair(t, "server", forServer())
	const begun = "HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n{"
	for name, tt := range map[string]struct {
		op     string
		secure bool
		answer string
		late   bool // given up by its limit, else by its context
		reset  bool
	}{
		"a read":                  {op: "Resource", reset: true},
		"a read by TLS":           {op: "Resource", secure: true, reset: true},
		"a read that is too slow": {op: "Resource", late: true, reset: true},
		"a ping":                  {op: "Ping", reset: true},
		"a look":                  {op: "IsMember", reset: true},
		"a look that is too slow": {op: "IsMember", late: true, reset: true},
		"a read that is answered": {op: "Resource", answer: begun},
		"a registration":          {op: "Register"},
		"a slow registration":     {op: "Register", late: true},
		"a leave":                 {op: "Unregister"},
		"a slow leave by TLS":     {op: "Unregister", secure: true, late: true},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			cfg := Config{CAFile: ca.file, Timeout: time.Minute}
			if tt.late {
				cfg.Timeout = 200 * time.Millisecond
			}
			scheme, conf := "http://", (*tls.Config)(nil)
			if tt.secure {
				scheme, conf = "https://", &tls.Config{Certificates: []tls.Certificate{server}}
			}
			got := make(chan struct{}, 1)
			addr, how := ends(t, conf, tt.answer, got)
			cfg.API = must(ParseAPI(scheme + addr))
			transport, err := newTransport(cfg, newDialer(cfg.From), new(atomic.Bool))
			if err != nil {
				t.Fatal(err)
			}
			reading := make(chan struct{}, 1)
			cfg.Transport = fake(func(r *http.Request) (*http.Response, error) {
				resp, err := transport.RoundTrip(r)
				if err == nil {
					resp.Body = tellsRead{resp.Body, reading}
				}
				return resp, err
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- operations(newClient(t, cfg), newToken(t))[tt.op](ctx) }()
			<-got
			if tt.answer != "" {
				<-reading
			}
			if !tt.late {
				cancel()
			}
			if err := <-result; err == nil || tt.late != strings.Contains(err.Error(), "no whole answer within") {
				t.Error(err)
			}
			if err := <-how; errors.Is(err, syscall.ECONNRESET) != tt.reset {
				t.Errorf("the connection ended with %v, reset wanted: %v", err, tt.reset)
			}
		})
	}
}
