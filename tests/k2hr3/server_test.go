package k2hr3

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
