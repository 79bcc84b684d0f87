package fakek2hr3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lab is a server in a bubble, with a cluster in which one slave and two
// servers are registered.
type lab struct {
	*testing.T
	s     *Server
	c     *Cluster
	n     *InMemory
	token string
}

func inLab(t *testing.T, f func(l *lab)) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		n := Listen(s)
		defer n.Close()
		c := s.AddCluster("shop", "orders")
		c.Join("10.20.0.11", "i-srv-1", "srv-1.shop.example")
		c.Join("10.20.0.12", "i-srv-2", "srv-2.shop.example")
		c.AddSlave("10.20.0.21", "i-app-1", "app-1.shop.example")
		f(&lab{T: t, s: s, c: c, n: n, token: c.RoleToken("slave", 0)})
	})
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error // of the request or of reading its body
	after  time.Duration
}

// do sends a request from the slave; path is short for one of its exchanges.
func (l *lab) do(ctx context.Context, method, path string, header ...string) reply {
	r := reply{}
	req, err := http.NewRequestWithContext(ctx, method, "http://k2hr3"+path, nil)
	if err != nil {
		l.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	start := time.Now()
	client := l.n.Client("10.20.0.21")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err, after: time.Since(start)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r = reply{res.StatusCode, res.Header, string(body), err, time.Since(start)}
	return r
}

func (l *lab) get(header ...string) reply {
	return l.do(l.Context(), "GET", "/v1/resource/"+l.c.SlaveResource(), append([]string{"X-Auth-Token", "R=" + l.token}, header...)...)
}

func (l *lab) put() reply {
	return l.do(l.Context(), "PUT", "/v1/role/"+l.c.SlaveRole()+"?cuk=i-app-1&extra=openstack-auto-v1&tag=app-1.shop.example", "X-Auth-Token", "R="+l.token)
}

func TestFaultsInTheAnswer(t *testing.T) {
	right := reply{}
	inLab(t, func(l *lab) { right = l.get() })
	for _, tt := range []struct {
		fault  Fault
		status int
		check  func(r reply) bool
	}{
		{Fault{Name: InternalError}, 500, func(r reply) bool { return r.body == `{"result":false,"message":"Internal server error"}` }},
		{Fault{Name: NotFound}, 404, func(r reply) bool { return strings.HasPrefix(r.body, `{"result":false,`) }},
		{Fault{Name: TokensExpired}, 401, func(r reply) bool { return strings.Contains(r.body, "is not existed") }},
		{Fault{Name: BrokenTemplate}, 404, func(r reply) bool {
			return strings.HasPrefix(r.body, `{"result":false,"message":"Could not load resource for template engine: \"`) && strings.Contains(r.body, "[GLOBAL]")
		}},
		{Fault{Name: EmptyText}, 200, func(r reply) bool { return r.body == `{"result":true,"message":null,"resource":""}` }},
		{Fault{Name: RejoinGap, CUK: "i-srv-2"}, 200, func(r reply) bool { return !strings.Contains(r.body, "srv-2") && strings.Contains(r.body, "srv-1") }},
		{Fault{Name: RejoinGap}, 200, func(r reply) bool { return !strings.Contains(r.body, "srv-1") && strings.Contains(r.body, "srv-2") }},
		{Fault{Name: NoETag}, 200, func(r reply) bool { return r.header["Etag"] == nil && r.body == right.body }},
		{Fault{Name: HTMLPage}, 200, func(r reply) bool {
			return r.header.Get("Content-Type") == "text/html" && strings.HasPrefix(r.body, "<!DOCTYPE html>")
		}},
		{Fault{Name: BadGateway, RetryAfter: "7"}, 502, func(r reply) bool { return r.header.Get("Retry-After") == "7" && strings.HasPrefix(r.body, "<html>") }},
		{Fault{Name: Unavailable}, 503, func(r reply) bool { return r.header["Retry-After"] == nil && strings.HasPrefix(r.body, "<html>") }},
		{Fault{Name: WrongJSON, Body: `[1]`}, 200, func(r reply) bool { return r.body == `[1]` && r.header.Get("Content-Type") == jsonType }},
		{Fault{Name: WrongJSON}, 200, func(r reply) bool { return r.body == "" && r.header.Get("Content-Length") == "0" }},
		{Fault{Name: Redirect, Location: "http://127.0.0.1:1/login"}, 302, func(r reply) bool { return r.header.Get("Location") == "http://127.0.0.1:1/login" }},
		{Fault{Name: Redirect, Location: "/x", Status: 307}, 307, func(r reply) bool { return r.header.Get("Location") == "/x" }},
		{Fault{Name: Gzipped}, 200, func(r reply) bool {
			return r.header.Get("Content-Encoding") == "gzip" && gunzip(t, []byte(r.body)) == right.body
		}},
		{Fault{Name: Oversized}, 200, func(r reply) bool { return len(r.body) > 2<<20 && strings.HasSuffix(r.body, `"}`) }},
		{Fault{Name: Oversized, Size: 5000}, 200, func(r reply) bool { return len(r.body) > 5000 && len(r.body) < 10000 }},
		{Fault{Name: Slow, Delay: 9 * time.Second}, 200, func(r reply) bool { return r.after == 9*time.Second && r.body == right.body }},
		{Fault{Name: BackendDown, Delay: 14 * time.Second}, 401, func(r reply) bool { return r.after == 14*time.Second }},
		{Fault{Name: Drip, Delay: time.Millisecond}, 200, func(r reply) bool {
			return r.body == right.body && r.after == time.Duration(len(right.body)-1)*time.Millisecond
		}},
	} {
		t.Run(string(tt.fault.Name), func(t *testing.T) {
			inLab(t, func(l *lab) {
				undo := l.s.Fault(tt.fault)
				if r := l.get(); r.err != nil || r.status != tt.status || !tt.check(r) {
					t.Errorf("got %d after %v, %v\n%v\n%.300s", r.status, r.after, r.err, r.header, r.body)
				}
				if log := l.s.Requests(); !slices.Equal(log[0].Fault, []FaultName{tt.fault.Name}) || log[0].Status != tt.status {
					t.Errorf("logged %+v", log[0])
				}
				undo()
				undo()
				if r := l.get(); r.status != 200 || r.body != right.body {
					t.Errorf("after it was undone: %d %v", r.status, r.err)
				}
			})
		})
	}
}

func TestFaultsOfTheTransport(t *testing.T) {
	inLab(t, func(l *lab) {
		t := l.T
		l.s.Fault(Fault{Name: Cut, Next: 1})
		if r := l.get(); !errors.Is(r.err, io.EOF) {
			t.Errorf("cut: %d %v", r.status, r.err)
		}
		l.s.Fault(Fault{Name: Truncated, Next: 1})
		if r := l.get(); r.status != 200 || !errors.Is(r.err, io.ErrUnexpectedEOF) || len(r.body) == 0 {
			t.Errorf("truncated: %d %v", r.status, r.err)
		}
		undo := l.s.Fault(Fault{Name: Hang, Next: 2})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if r := l.do(ctx, "GET", "/"); !errors.Is(r.err, context.DeadlineExceeded) || r.after != 20*time.Second {
			t.Errorf("hang: %d %v after %v", r.status, r.err, r.after)
		}
		released := make(chan reply)
		go func() { released <- l.do(t.Context(), "GET", "/") }()
		time.Sleep(time.Hour)
		undo()
		if r := <-released; r.err == nil || r.after != time.Hour {
			t.Errorf("released: %d %v after %v", r.status, r.err, r.after)
		}
		if r := l.get(); r.status != 200 {
			t.Errorf("afterwards: %d %v", r.status, r.err)
		}
	})
}

func TestClearFaultsReleasesWhatHangs(t *testing.T) {
	inLab(t, func(l *lab) {
		l.s.Fault(Fault{Name: Hang, Next: 1})
		released := make(chan reply)
		go func() { released <- l.do(l.Context(), "GET", "/") }()
		synctest.Wait()
		l.s.ClearFaults()
		if r := <-released; r.err == nil {
			l.Errorf("got %d", r.status)
		}
	})
}

func TestAFaultStrikesOnlyWhatItSelects(t *testing.T) {
	inLab(t, func(l *lab) {
		l.s.Fault(Fault{Name: InternalError, On: []Op{OpResource}, Next: 2})
		l.s.Fault(Fault{Name: BadGateway, From: "10.20.0.99"})
		var got []int
		for range 2 {
			got = append(got, l.do(l.Context(), "GET", "/").status, l.put().status, l.get().status)
		}
		got = append(got, l.get().status)
		if diff := cmp.Diff([]int{200, 201, 500, 200, 201, 500, 200}, got); diff != "" {
			l.Error(diff)
		}
	})
}

func TestForgottenPutAnswersButStoresNothing(t *testing.T) {
	inLab(t, func(l *lab) {
		l.c.DropSlave("10.20.0.21", "i-app-1")
		l.s.Fault(Fault{Name: ForgetPut, Next: 1})
		if r := l.put(); r.status != 201 || len(l.c.Slaves()) != 0 {
			l.Errorf("%d, members %v", r.status, l.c.Slaves())
		}
		if r := l.put(); r.status != 201 || len(l.c.Slaves()) != 1 {
			l.Errorf("the next one: %d, members %v", r.status, l.c.Slaves())
		}
	})
}

func TestBackendDownAnswersAsTheRealOne(t *testing.T) {
	inLab(t, func(l *lab) {
		l.s.Fault(Fault{Name: BackendDown})
		role, res := l.c.SlaveRole(), l.c.SlaveResource()
		for _, tt := range []struct {
			method, path string
			token        bool
			status       int
		}{
			{"GET", "/", false, 200},
			{"GET", "/v1/resource/" + res, true, 401},
			{"GET", "/v1/resource/" + res + "?cuk=i-app-1&role=" + role, false, 404},
			{"HEAD", "/v1/resource/" + res, true, 401},
			{"HEAD", "/v1/resource/" + res + "?cuk=i-app-1&role=" + role, false, 403},
			{"PUT", "/v1/role/" + role, true, 401},
			{"HEAD", "/v1/role/" + role + "?cuk=i-app-1", false, 403},
			{"DELETE", "/v1/role/" + role + "?cuk=i-app-1", false, 403},
			{"GET", "/v1/role/token/" + role + "?cuk=i-app-1", false, 404},
		} {
			var header []string
			if tt.token {
				header = []string{"X-Auth-Token", "R=" + l.token}
			}
			if r := l.do(l.Context(), tt.method, tt.path, header...); r.status != tt.status {
				l.Errorf("%s %s: %d, want %d", tt.method, tt.path, r.status, tt.status)
			}
		}
		if len(l.c.Slaves()) != 1 {
			l.Error("the member is gone")
		}
	})
}

func TestAHeldRequestIsStruckByAFaultThatBegins(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  Fault
		status int // 0: an error
	}{
		"cut":         {Fault{Name: Cut, Next: 1}, 0},
		"bad gateway": {Fault{Name: BadGateway, Next: 1}, 502},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.s.Hold(time.Minute)
				tag := l.get().header.Get("ETag")
				got := make(chan reply)
				go func() { got <- l.get("If-None-Match", tag, "Prefer", "wait=55") }()
				time.Sleep(4 * time.Second)
				l.s.Fault(tt.fault)
				if r := <-got; r.status != tt.status || (r.err != nil) != (tt.status == 0) || r.after != 4*time.Second {
					t.Errorf("got %d %v after %v", r.status, r.err, r.after)
				}
			})
		})
	}
}

func TestIdleConnectionIsClosedAfterFiveSeconds(t *testing.T) {
	inLab(t, func(l *lab) {
		conn, err := l.n.Dialer("10.20.0.21")(l.Context(), "", "")
		if err != nil {
			l.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: k2hr3\r\n\r\n"); err != nil {
			l.Fatal(err)
		}
		start := time.Now()
		all, err := io.ReadAll(conn)
		if err != nil || time.Since(start) != 5*time.Second {
			l.Errorf("ended after %v, %v", time.Since(start), err)
		}
		if !bytes.Contains(all, []byte("\r\nKeep-Alive: timeout=5\r\n")) {
			l.Errorf("not announced:\n%s", all)
		}
	})
}

func TestWrongBodiesAreNoTexts(t *testing.T) {
	for what, body := range WrongBodies() {
		if body == `{"result":true,"message":null,"resource":"[GLOBAL]\n"}` {
			t.Errorf("%s: that one is right", what)
		}
	}
	if len(WrongBodies()) < 10 {
		t.Errorf("only %d", len(WrongBodies()))
	}
}
