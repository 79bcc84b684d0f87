package fakek2hr3

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask sends one request from an address and returns its answer with the body
// read.
func ask(t *testing.T, h http.Handler, method, uri, from string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, uri, nil)
	r.RemoteAddr = from + ":40000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}

func TestARegisteredSlaveFindsItselfInItsResource(t *testing.T) {
	s := New()
	c := s.AddCluster("shop", "orders")
	c.Join("10.20.0.11", "srv-1", "srv-1.shop.example")
	token := c.RoleToken("slave", 0)

	res, _ := ask(t, s, "PUT", "/v1/role/"+c.SlaveRole()+"?cuk=app-1&extra=openstack-auto-v1&tag=app-1.shop.example", "10.20.0.21", "X-Auth-Token", "R="+token)
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("register: %s", res.Status)
	}
	res, body := ask(t, s, "GET", "/v1/resource/"+c.SlaveResource(), "10.20.0.21", "X-Auth-Token", "R="+token)
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `NAME                = app-1.shop.example\nCUK                 = app-1\n`) {
		t.Fatalf("resource: %s\n%s", res.Status, body)
	}
	res, _ = ask(t, s, "GET", "/v1/resource/"+c.SlaveResource()+"?cuk=app-1&role="+c.SlaveRole(), "10.20.0.21", "If-None-Match", res.Header.Get("ETag"))
	if res.StatusCode != http.StatusNotModified {
		t.Fatalf("the same by address: %s", res.Status)
	}
}

func TestRenderedConfiguration(t *testing.T) {
	for _, tt := range []struct {
		golden, mode string
		fill         func(c *Cluster)
	}{
		{"nobody.ini", "SLAVE", func(c *Cluster) {}},
		{"slave.ini", "SLAVE", fillCluster},
		{"server.ini", "SERVER", fillCluster},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			s := New()
			c := s.AddCluster("shop", "orders")
			tt.fill(c)
			s.mu.Lock()
			got := c.text(tt.mode, nil)
			s.mu.Unlock()
			want, err := os.ReadFile("testdata/" + tt.golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func fillCluster(c *Cluster) {
	c.JoinHost(Host{Addr: "10.20.0.12", CUK: "i-srv-2", Tag: "srv-2.shop.example", InboundIP: "192.0.2.12", OutboundIP: "192.0.2.212"})
	c.Join("10.20.0.11", "i-srv-1", "srv-1.shop.example")
	c.AddSlave("10.20.0.22", "", "")
	c.AddSlave("10.20.0.21", "i-app-1", "app-1.shop.example")
	c.add("slave", Host{Addr: "10.20.0.23", CUK: "i-app-3", Tag: "app-3.shop.example", InboundIP: "192.0.2.23", OutboundIP: "192.0.2.223"})
}

func TestTheLogTellsTokensApartWithoutKeepingThem(t *testing.T) {
	s := New()
	c := s.AddCluster("shop", "orders")
	c.AddSlave("10.20.0.21", "i-app-1", "app-1")
	shared, user := c.RoleToken("slave", 0), s.UserToken("shop")
	_, body := ask(t, s, "GET", "/v1/role/token/"+c.SlaveRole()+"?cuk=i-app-1", "10.20.0.21")
	own := tokenBody.FindStringSubmatch(body)[1]
	var seen []string
	s.OnRequest(func(r Request) { seen = append(seen, fmt.Sprint(r.Op, " ", r.Token, " ", r.Status)) })
	s.ForgetRequests()
	for _, header := range []string{"", "R=" + shared, "R=" + own, "R=nonsense", "U=" + user, user} {
		ask(t, s, "HEAD", "/v1/role/"+c.SlaveRole()+"?cuk=i-app-1", "10.20.0.21", "X-Auth-Token", header)
	}
	want := []string{
		"probe no token 204", "probe user-made token 204", "probe host-made token 204", "probe unknown token 401",
		"probe user token 204", "probe user token 204",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	all := fmt.Sprintf("%+v %v", s.Requests(), s.Requests())
	for _, secret := range []string{shared, own, user} {
		if strings.Contains(all, secret) {
			t.Errorf("the log keeps a token:\n%s", all)
		}
	}
}

func TestManyHostsAtOnce(t *testing.T) {
	s := New()
	c := s.AddCluster("shop", "orders")
	token := c.RoleToken("slave", 0)
	s.Hold(time.Second)
	undo := s.Fault(Fault{Name: InternalError, On: []Op{OpRoot}, Next: 50})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			from := fmt.Sprintf("10.20.1.%d", i)
			arg := fmt.Sprintf("?cuk=i-%d&extra=openstack-auto-v1&tag=t%d", i, i)
			ask(t, s, "GET", "/", from)
			ask(t, s, "PUT", "/v1/role/"+c.SlaveRole()+arg, from, "X-Auth-Token", "R="+token)
			ask(t, s, "GET", "/v1/resource/"+c.SlaveResource(), from, "X-Auth-Token", "R="+token)
			if i%2 == 0 {
				ask(t, s, "DELETE", "/v1/role/"+c.SlaveRole()+fmt.Sprintf("?cuk=i-%d", i), from)
			}
			s.Requests()
		})
	}
	wg.Wait()
	undo()
	if n := len(c.Slaves()); n != 25 {
		t.Errorf("%d members, want 25", n)
	}
	failed := 0
	for _, r := range s.Requests() {
		if r.Status == http.StatusInternalServerError {
			failed++
		}
	}
	if failed != 50 {
		t.Errorf("%d requests were struck, want 50", failed)
	}
}
