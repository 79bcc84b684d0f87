package fakek2hr3

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

// TestTheTextIsTheStockTemplates holds what the slaves' resource reads to what the
// stock template makes of the same cluster.
func TestTheTextIsTheStockTemplates(t *testing.T) {
	stock, err := os.ReadFile("../../chmpx/testdata/stock.ini")
	fatal.If(t, err)
	c := New().AddCluster("shop", "orders")
	c.JoinHost(Host{Addr: "10.20.0.13", CUK: "33cc-db", Tag: "db-c.shop.internal", InboundIP: "10.20.0.13", OutboundIP: "203.0.113.13"})
	c.Join("10.20.0.11", "11aa-db", "db-a.shop.internal")
	c.Join("10.20.0.12", "22bb-db", "db-b.shop.internal")
	c.AddSlave("10.20.0.31", "7e31-web", "app-1.shop.internal")
	text := strings.Replace(c.Text(), "__SELF_INSTANCE_ID__", "7e31-web", 1)
	if diff := cmp.Diff(settings(string(stock)), settings(text)); diff != "" {
		t.Errorf("(-stock +stand-in):\n%s", diff)
	}
}

// settings are the lines of a text that chmpx compares.
func settings(text string) (lines []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && !strings.HasPrefix(line, "DATE ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// Bodies and validators as they were recorded.
func TestETagIsTheRecordedOneForTheRecordedBodies(t *testing.T) {
	for body, want := range map[string]string{
		`{"version":["v1"]}`:                                 `W/"12-xJAXDxNN6dHZloyDSOYZx3NAvM0"`,
		`{"result":true,"message":null}`:                     `W/"1e-76ytJ67rlNiryno+8dHo7N0G2f0"`,
		`{"result":false,"message":"Internal server error"}`: `W/"32-x8PWE4TscXAfH6QR8rzvAH33Q6Y"`,
	} {
		if got := etag([]byte(body)); got != want {
			t.Errorf("%.40s: %s, want %s", body, got, want)
		}
	}
}

// slave is a member of a cluster with one server, on an in-memory network.
type slave struct {
	*testing.T
	s      *Server
	c      *Cluster
	client *http.Client
	token  string
}

func inBubble(t *testing.T, f func(h *slave)) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		n := Listen(s)
		defer n.Close()
		c := s.AddCluster("shop", "orders")
		c.Join("10.20.0.11", "srv-1", "srv-1.shop.example")
		c.AddSlave("10.20.0.21", "app-1", "app-1.shop.example")
		f(&slave{t, s, c, n.Client("10.20.0.21"), c.RoleToken("slave", 0)})
	})
}

type reply struct {
	status int
	header http.Header
	after  time.Duration
	err    error
}

func (h *slave) do(ctx context.Context, method, path string, header ...string) reply {
	req, err := http.NewRequestWithContext(ctx, method, "http://k2hr3"+path, nil)
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	start := time.Now()
	res, err := h.client.Do(req)
	if err != nil {
		return reply{err: err, after: time.Since(start)}
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return reply{res.StatusCode, res.Header, time.Since(start), err}
}

func (h *slave) read(ctx context.Context, header ...string) reply {
	return h.do(ctx, "GET", "/v1/resource/"+h.c.SlaveResource(), append(header, "X-Auth-Token", "R="+h.token)...)
}

// TestHeldRequests: what no K2HR3 does yet (RFC 7240).
func TestHeldRequests(t *testing.T) {
	nothing := func(h *slave) { h.s.AddCluster("shop", "returns").Join("10.20.0.51", "other", "other.shop.example") }
	for name, tt := range map[string]struct {
		hold    time.Duration
		prefer  string
		change  func(h *slave) // after seven seconds
		status  int
		after   time.Duration
		applied string
	}{
		"as long as it is asked for":     {10 * time.Minute, "wait=55", nothing, 304, 55 * time.Second, "wait=55"},
		"as long as the server does":     {30 * time.Second, "wait=55", nothing, 304, 30 * time.Second, "wait=30"},
		"a list of preferences":          {time.Minute, "respond-async, wait=20; x=y", nothing, 304, 20 * time.Second, "wait=20"},
		"not asked for":                  {time.Minute, "", nothing, 304, 0, ""},
		"nonsense is asked for":          {time.Minute, "wait=soon", nothing, 304, 0, ""},
		"a server that does not hold":    {0, "wait=55", nothing, 304, 0, ""},
		"a server joins":                 {time.Minute, "wait=55", func(h *slave) { h.c.Join("10.20.0.12", "srv-2", "srv-2") }, 200, 7 * time.Second, "wait=55"},
		"the token is revoked":           {time.Minute, "wait=55", func(h *slave) { h.c.Revoke(h.token) }, 401, 7 * time.Second, ""},
		"holding is switched off":        {time.Minute, "wait=55", func(h *slave) { h.s.Hold(0) }, 304, 7 * time.Second, ""},
		"a fault that is switched on":    {time.Minute, "wait=55", func(h *slave) { h.s.Fault(Fault{Name: BadGateway, Next: 1}) }, 502, 7 * time.Second, ""},
		"a fault that answers no longer": {time.Minute, "wait=55", func(h *slave) { h.s.Fault(Fault{Name: Cut}) }, 0, 7 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(h *slave) {
				h.s.Hold(tt.hold)
				tag := h.read(h.Context()).header.Get("ETag")
				done := make(chan reply)
				go func() { done <- h.read(h.Context(), "If-None-Match", tag, "Prefer", tt.prefer) }()
				go func() {
					time.Sleep(7 * time.Second)
					tt.change(h)
				}()
				got := <-done
				if got.status != tt.status || got.after != tt.after || got.header.Get("Preference-Applied") != tt.applied || h.s.Held() != 0 {
					h.Errorf("got %+v, want %+v", got, tt)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestAHeldRequestEndsWithItsClient(t *testing.T) {
	inBubble(t, func(h *slave) {
		h.s.Hold(time.Minute)
		tag := h.read(h.Context()).header.Get("ETag")
		ctx, cancel := context.WithTimeout(h.Context(), 3*time.Second)
		defer cancel()
		if got := h.read(ctx, "If-None-Match", tag, "Prefer", "wait=55"); got.err == nil {
			h.Errorf("got %+v", got)
		}
		synctest.Wait()
		log := h.s.Requests()
		if last := log[len(log)-1]; h.s.Held() != 0 || last.Status != 0 || last.Held != 3*time.Second {
			h.Errorf("%d are held, logged %+v", h.s.Held(), last)
		}
	})
}

// A host with such an address can register and never leave.
func TestAHostWithALongIPv6AddressStays(t *testing.T) {
	inBubble(t, func(h *slave) {
		net := Listen(h.s)
		defer net.Close()
		h.client = net.Client("2001:db8::12")
		role := "/v1/role/" + h.c.SlaveRole() + "?cuk=i-six"
		if got := h.do(h.Context(), "PUT", role, "X-Auth-Token", "R="+h.token); got.status != 201 {
			h.Error(got)
		}
		for _, method := range []string{"HEAD", "DELETE", "HEAD"} {
			if got := h.do(h.Context(), method, role); got.status != 204 {
				h.Errorf("%s: %+v", method, got)
			}
		}
	})
}

func TestIdleConnectionsAreClosedAfterFiveSeconds(t *testing.T) {
	inBubble(t, func(h *slave) {
		net := Listen(h.s)
		defer net.Close()
		conn, err := net.Dialer("10.20.0.21")(h.Context(), "", "")
		fatal.If(h, err)
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: k2hr3\r\n\r\n"); err != nil {
			h.Fatal(err)
		}
		start := time.Now()
		if _, err := io.ReadAll(conn); err != nil || time.Since(start) != 5*time.Second {
			h.Errorf("ended after %v, %v", time.Since(start), err)
		}
	})
}
