package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

func newExposer(t *testing.T) *Exposer {
	t.Helper()
	e := &Exposer{Metrics: counted()}
	t.Cleanup(e.Close)
	return e
}

// free is an address of the loopback that nobody listens at.
func free(t *testing.T) Socket {
	t.Helper()
	ln := occupied(t)
	ln.Close()
	return Socket{"tcp", ln.Addr().String()}
}

func occupied(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	fatal.If(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

func dial(t *testing.T, s Socket) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout(s.Network, s.Address, 5*time.Second)
	fatal.If(t, err)
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// ask sends one request and returns the whole answer.
func ask(t *testing.T, s Socket, request string) (head, body string) {
	t.Helper()
	conn := dial(t, s)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	fatal.If(t, err)
	head, body, _ = strings.Cut(string(answer), "\r\n\r\n")
	return head, body
}

const get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

func TestAnswers(t *testing.T) {
	e := newExposer(t)
	s := free(t)
	fatal.If(t, e.Listen(s))
	text := string(e.Metrics.Text())
	tests := []struct{ name, request, status, body string }{
		{"scrape", get, "HTTP/1.1 200 OK", text},
		{"HTTP/1.0", "GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", text},
		{"with a query", "GET /metrics?name=x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", text},
		{"head", "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", ""},
		{"another path", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found", "the metrics are at /metrics\n"},
		{"below", "GET /metrics/../debug HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found", "the metrics are at /metrics\n"},
		{"post", "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", "ask with GET\n"},
		{"no HTTP", "\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400 Bad Request", "this is no HTTP request\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head, body := ask(t, s, tt.request)
			if !strings.HasPrefix(head, tt.status+"\r\n") || body != tt.body {
				t.Errorf("got %q, %q", head, body)
			}
			if !strings.Contains(head, "\r\nConnection: close") || !strings.Contains(head, "\r\nContent-Type: text/plain; version=0.0.4") {
				t.Errorf("head %q", head)
			}
		})
	}
	resp, err := http.Get("http://" + s.Address + "/metrics")
	fatal.If(t, err)
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != text || resp.StatusCode != http.StatusOK {
		t.Errorf("%d, %v, %q", resp.StatusCode, err, body)
	}
}

// Those who connect and say nothing, or never end, hold up nobody but each other, and not for long.
func TestSlowReadersAreGivenUp(t *testing.T) {
	e := newExposer(t)
	s := free(t)
	fatal.If(t, e.Listen(s))
	endless := dial(t, s)
	go func() {
		_, _ = io.WriteString(endless, "GET /metrics HTTP/1.1\r\nX: ")
		for {
			if _, err := endless.Write(bytes.Repeat([]byte("x"), 4<<10)); err != nil {
				return
			}
		}
	}()
	if answer, _ := io.ReadAll(endless); strings.Contains(string(answer), "200 OK") {
		t.Error("a head without end got an answer")
	}
	for range maxConns {
		dial(t, s)
	}
	if head, _ := ask(t, s, get); !strings.HasPrefix(head, "HTTP/1.1 200 OK") {
		t.Errorf("got %q", head)
	}
}

func TestListenMoves(t *testing.T) {
	e := newExposer(t)
	first, second := free(t), Socket{"unix", filepath.Join(t.TempDir(), "metrics.sock")}
	for _, s := range []Socket{first, first, second} {
		fatal.If(t, e.Listen(s))
		if head, _ := ask(t, s, get); !strings.HasPrefix(head, "HTTP/1.1 200 OK") {
			t.Errorf("%v: got %q", s, head)
		}
	}
	if _, err := net.Dial(first.Network, first.Address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the first address is still served: %v", err)
	}
	if info, err := os.Stat(second.Address); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("not everybody may connect: %v, %v", info, err)
	}

	taken := Socket{"tcp", occupied(t).Addr().String()}
	if err := e.Listen(taken); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address in use: %v", err)
	}
	if head, _ := ask(t, second, get); !strings.HasPrefix(head, "HTTP/1.1 200 OK") {
		t.Errorf("the socket of before is gone: %q", head)
	}
	fatal.If(t, e.Listen(Socket{}))
	if _, err := os.Stat(second.Address); err == nil {
		t.Error("the socket is still there")
	}
}

func TestASocketThatIsLeftOver(t *testing.T) {
	s := Socket{"unix", filepath.Join(t.TempDir(), "metrics.sock")}
	ln, err := net.Listen(s.Network, s.Address)
	fatal.If(t, err)
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	e := newExposer(t)
	if err := e.Listen(s); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody listens there: %v", err)
	}
	ln.Close() // as a killed agent does
	if err := e.Listen(s); err != nil {
		t.Errorf("nobody listens there: %v", err)
	}

	file := Socket{"unix", filepath.Join(t.TempDir(), "file")}
	fatal.If(t, os.WriteFile(file.Address, []byte("mine"), 0o600))
	if err := e.Listen(file); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody's file: %v", err)
	}
	if b, err := os.ReadFile(file.Address); err != nil || string(b) != "mine" {
		t.Errorf("somebody's file is %q now, %v", b, err)
	}
}

// lines are what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestTextfile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.prom")
	synctest.Test(t, func(t *testing.T) {
		var log lines
		m := counted()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.keepTextfile(ctx, path, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		var last os.FileInfo
		written := func(why string, want bool) {
			t.Helper()
			synctest.Wait()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatalf("%s: %v", why, err)
			}
			if got := last == nil || !os.SameFile(last, info); got != want {
				t.Errorf("%s: written %v", why, got)
			}
			last = info
			if text, err := os.ReadFile(path); want && (err != nil || !bytes.Equal(text, m.Text())) {
				t.Errorf("%s: %v\n%s", why, err, text)
			}
			if info.Mode() != 0o644 {
				t.Errorf("mode %v", info.Mode())
			}
		}
		written("at the start", true)
		time.Sleep(textfileGap) // counted has told of changes
		written("what changed at the start", true)
		time.Sleep(textfileEvery - time.Millisecond)
		written("nothing is new", false)
		time.Sleep(time.Millisecond)
		written("a minute is over", true)
		m.Replaced()
		m.Replaced()
		written("too soon", false)
		time.Sleep(textfileGap)
		written("a change", true)

		fatal.If(t, os.RemoveAll(dir))
		time.Sleep(3 * textfileEvery)
		synctest.Wait()
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "cannot write metrics-textfile") {
			t.Errorf("log:\n%s", got)
		}
		fatal.If(t, os.Mkdir(dir, 0o755))
		last = nil // the kernel may use its inode again
		time.Sleep(textfileEvery)
		written("the folder is back", true)
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "is written again") {
			t.Errorf("log:\n%s", got)
		}
		cancel()
		<-done
		if _, err := os.Stat(path); err == nil {
			t.Error("the file outlives who keeps it")
		}
	})
}
