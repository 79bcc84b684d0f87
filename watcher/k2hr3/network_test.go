package k2hr3

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// dialled returns a client with the real transport, whose connections are pipes
// to serve: no network, so it can run in virtual time. serve gets the number of
// the connection, from 1, and the connection, which it need not close.
func dialled(t *testing.T, cfg Config, serve func(n int, conn net.Conn)) *Client {
	t.Helper()
	transport, err := newTransport(cfg, newDialer(cfg.From), new(atomic.Bool))
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int32
	var conns sync.WaitGroup
	transport.base.Proxy = nil
	transport.base.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		conns.Go(func() {
			defer server.Close()
			serve(int(count.Add(1)), server)
		})
		return client, nil
	}
	cfg.Transport = transport
	c := newClient(t, cfg)
	t.Cleanup(func() {
		c.Close()
		conns.Wait()
	})
	return c
}

// request reads one request and returns its method, or "" at the end.
func request(r *bufio.Reader) string {
	req, err := http.ReadRequest(r)
	if err != nil {
		return ""
	}
	return req.Method
}

func say(conn net.Conn, status int, body string) {
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

const textAnswer = `{"result":true,"message":null,"resource":"x"}`

func TestARegistrationWhoseConnectionDiesIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		c := dialled(t, Config{}, func(n int, conn net.Conn) {
			asked = append(asked, fmt.Sprint(n, " ", request(bufio.NewReader(conn))))
			if n > 1 {
				say(conn, 201, success)
			}
		})
		if err := c.Register(t.Context(), role, newToken(t), host); err != nil {
			t.Error(err)
		}
		if got := strings.Join(asked, ", "); got != "1 PUT, 2 PUT" {
			t.Errorf("asked: %s", got)
		}
	})
}

// K2HR3 closes a kept connection after 5 s, which a registration at that moment
// would run into; and a kept one leads to where its name led to long ago.
func TestNoConnectionIsUsedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connections := 0
		c := dialled(t, Config{}, func(n int, conn net.Conn) {
			connections = n
			r := bufio.NewReader(conn)
			for request(r) != "" {
				say(conn, 200, textAnswer)
			}
		})
		for want := 1; want < 5; want++ {
			if _, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t)}); err != nil {
				t.Error(err)
			}
			if connections != want {
				t.Errorf("request %d: connection %d", want, connections)
			}
		}
	})
}

func TestAHeldRequestDoesNotKeepOthersWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialled(t, Config{}, func(_ int, conn net.Conn) {
			r := bufio.NewReader(conn)
			for {
				switch request(r) {
				case "GET":
					time.Sleep(55 * time.Second)
					say(conn, 200, textAnswer)
				case "PUT":
					say(conn, 201, success)
				case "HEAD":
					_, _ = io.WriteString(conn, "HTTP/1.1 204 X\r\n\r\n")
				default:
					return
				}
			}
		})
		held := make(chan error)
		go func() {
			_, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t), Wait: 55 * time.Second})
			held <- err
		}()
		synctest.Wait()
		start := time.Now()
		if err := c.Register(t.Context(), role, newToken(t), host); err != nil {
			t.Error(err)
		}
		if _, _, err := c.IsMember(t.Context(), role, cuk); err != nil {
			t.Error(err)
		}
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		if err := <-held; err != nil {
			t.Error(err)
		}
	})
}

func TestABodyThatDripsIsGivenUp(t *testing.T) {
	for _, name := range []string{"Resource", "Ping", "Register"} {
		for _, status := range []int{200, 401, 503} {
			synctest.Test(t, func(t *testing.T) {
				c := dialled(t, Config{}, func(_ int, conn net.Conn) {
					request(bufio.NewReader(conn))
					_, err := fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 100000\r\n\r\n", status)
					for ; err == nil; _, err = io.WriteString(conn, " ") {
						time.Sleep(time.Second)
					}
				})
				start := time.Now()
				err := operations(c, newToken(t))[name](t.Context())
				// A 503 is retried, each time after its body was given up.
				limit := DefaultTimeout
				if status == 503 {
					limit = maxTries * (DefaultTimeout + retryCap)
				}
				if took := time.Since(start); err == nil || took > limit {
					t.Errorf("%s, %d: %v after %v", name, status, err, took)
				}
			})
		}
	}
}

func TestBrokenHTTPIsNotQuoted(t *testing.T) {
	for _, garbage := range []string{
		"token(" + secret + ") is not existed\r\n\r\n",
		"HTTP/1.1 " + secret + "\r\n\r\n",
		"HTTP/1.1 200 X\r\n" + secret + "\r\n\r\n",
		"HTTP/1.1 200 X\r\nContent-Length: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 X\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"HTTP/1.1 200 X\r\nX: " + strings.Repeat(secret, 2000) + "\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			c := dialled(t, Config{Logger: log.logger()}, func(_ int, conn net.Conn) {
				r := bufio.NewReader(conn)
				request(r)
				_, _ = io.WriteString(conn, garbage)
			})
			for name, op := range operations(c, newToken(t)) {
				err := op(t.Context())
				if err == nil || strings.Contains(err.Error(), secret[:16]) {
					t.Errorf("%.40q, %s: %v", garbage, name, err)
				}
			}
			if strings.Contains(log.String(), secret[:16]) {
				t.Errorf("%.40q: logged", garbage)
			}
		})
	}
}

// An answer longer than it says leaves bytes behind, which net/http prints when
// the connection is to be used again.
func TestNothingOfAnOverlongAnswerIsPrinted(t *testing.T) {
	var printed journal
	defer log.SetOutput(log.Writer())
	log.SetOutput(&printed)
	synctest.Test(t, func(t *testing.T) {
		c := dialled(t, Config{}, func(_ int, conn net.Conn) {
			r := bufio.NewReader(conn)
			for request(r) != "" {
				_, _ = io.WriteString(conn, "HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"+secret+secret)
			}
		})
		for range 3 {
			_, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t)})
			if kindOf(t, err) != ErrUnauthorized {
				t.Error(err)
			}
			synctest.Wait()
		}
	})
	if strings.Contains(printed.String(), secret[:16]) {
		t.Errorf("printed: %s", printed.String())
	}
}

func TestAHeaderWithoutEndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialled(t, Config{}, func(_ int, conn net.Conn) {
			request(bufio.NewReader(conn))
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 X\r\nContent-Length: %d\r\nX: %s\r\n\r\n%s", len(textAnswer), long(maxHeader), textAnswer)
		})
		_, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t)})
		if kindOf(t, err) != ErrTransport || !strings.Contains(err.Error(), "longer than 64 KiB") {
			t.Error(err)
		}
	})
}

func TestRefusedConnectionSaysSo(t *testing.T) {
	c := newClient(t, Config{API: must(ParseAPI("http://" + closed))})
	_, err := c.Resource(t.Context(), Query{Resource: role.Resource(), Token: newToken(t)})
	const want = "read resource " + resourceYRN + ": " + closed + ": dial tcp4 " + closed + ": connect: connection refused"
	if err == nil || !strings.HasPrefix(err.Error(), want+"; nothing listens ") {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestLocalAddressIsTheOneTowardsTheAPI(t *testing.T) {
	for api, want := range map[string]string{
		"http://127.0.0.1:18080": "127.0.0.1",
		"http://127.0.0.1":       "127.0.0.1",
		"https://localhost":      "",
	} {
		c := newClient(t, Config{API: must(ParseAPI(api))})
		got, err := c.LocalAddress(t.Context())
		if err != nil || !got.IsLoopback() || (want != "" && got.String() != want) {
			t.Errorf("%s: %v, %v", api, got, err)
		}
	}
	c := newClient(t, Config{API: must(ParseAPI("http://k2hr3.invalid"))})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := c.LocalAddress(ctx); !errors.Is(err, context.Canceled) || got.IsValid() {
		t.Errorf("%v, %v", got, err)
	}
}
