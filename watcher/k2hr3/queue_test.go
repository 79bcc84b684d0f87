package k2hr3

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// queue is a server with one worker, as a process of K2HR3 is: connections are accepted at once,
// and a request is read when its turn comes. Then K2HR3 asks who sent it, which nobody can tell of
// a connection that was reset; of one that was closed, it still can.
type queue struct {
	addr             string
	conns            chan accepted
	release          chan struct{} // closed: the worker begins
	worked, vanished int           // requests that were worked on, and that were gone by then
	done             chan struct{}
}

// accepted is a connection, and what it is by TLS, if it is.
type accepted struct {
	tcp  *net.TCPConn
	conn net.Conn
}

// isReset reports whether nobody can tell any more who is at the other end.
func (a accepted) isReset() bool {
	var err error
	raw, _ := a.tcp.SyscallConn()
	_ = raw.Control(func(fd uintptr) { _, err = unix.Getpeername(int(fd)) })
	return err != nil
}

func newQueue(t *testing.T, conf *tls.Config) *queue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{addr: l.Addr().String(), conns: make(chan accepted, 100), release: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(q.conns)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			a := accepted{conn.(*net.TCPConn), conn}
			if conf != nil {
				secure := tls.Server(conn, conf)
				_ = secure.Handshake()
				a.conn = secure
			}
			q.conns <- a
		}
	}()
	go func() {
		defer close(q.done)
		<-q.release
		for a := range q.conns {
			conn := a.conn
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && !a.isReset() {
				q.worked++
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 29\r\nConnection: close\r\n\r\n{\"result\":true,\"resource\":\"\"}")
			} else {
				q.vanished++
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-q.done })
	return q
}

// What reads is worth nothing to anybody once it is given up; what changes something is to be
// decided.
func TestAK2HR3WithAQueueIsSparedWhatIsGivenUp(t *testing.T) {
	ca := newAuthority(t)
	server := ca.pair(t, "server", forServer())
	const many = 20
	for name, tt := range map[string]struct {
		op     string
		secure bool
		worked int
	}{
		"reads":         {"Resource", false, 0},
		"reads-by-TLS":  {"Resource", true, 0},
		"looks":         {"IsMember", false, 0},
		"registrations": {"Register", false, many},
	} {
		t.Run(name, func(t *testing.T) {
			scheme, conf := "http://", (*tls.Config)(nil)
			if tt.secure {
				scheme, conf = "https://", &tls.Config{Certificates: []tls.Certificate{server}}
			}
			q := newQueue(t, conf)
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			var sent, ended sync.WaitGroup
			sent.Add(many)
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent.Done() }})
			client := func() *Client {
				return newClient(t, Config{API: must(ParseAPI(scheme + q.addr)), CAFile: ca.file})
			}
			for range many {
				c := client()
				ended.Go(func() { _ = operations(c, newToken(t))[tt.op](ctx) })
			}
			sent.Wait()
			giveUp()
			ended.Wait()

			close(q.release)
			if err := operations(client(), newToken(t))["Resource"](t.Context()); err != nil {
				t.Errorf("a fresh request: %v", err)
			}
			if worked := q.worked - 1; worked != tt.worked || q.vanished != many-tt.worked {
				t.Errorf("of %d requests that were given up %d were worked on, and %d gone; want %d worked on", many, worked, q.vanished, tt.worked)
			}
		})
	}
}
