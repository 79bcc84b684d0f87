package k2hr3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWay(t *testing.T) {
	ca := newAuthority(t)
	good, late := forServer(), forServer()
	late.NotBefore, late.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	ahead := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		pong(w, r)
	}
	plain := httptest.NewServer(http.HandlerFunc(pong))
	t.Cleanup(plain.Close)
	secure := func(cert *x509.Certificate, h http.HandlerFunc) API {
		return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(t, "server", cert)}}, h)
	}
	for name, tt := range map[string]struct {
		api     API
		ca      string
		reached Step
		says    string // by the error, or by that of the certificate
		ahead   time.Duration
		dated   bool
	}{
		"http":                  {api: must(ParseAPI(plain.URL)), reached: Arrived, dated: true},
		"https":                 {api: secure(good, pong), ca: ca.file, reached: Arrived, dated: true},
		"another clock":         {api: secure(good, ahead), ca: ca.file, reached: Arrived, dated: true, ahead: time.Hour},
		"another authority":     {api: secure(forServer(), pong), ca: newAuthority(t).file, reached: Arrived, dated: true, says: "ca-file has to name the authority"},
		"a certificate to come": {api: secure(late, pong), ca: ca.file, reached: Arrived, dated: true, says: "not valid yet"},
		"no https":              {api: must(ParseAPI(strings.Replace(plain.URL, "http:", "https:", 1))), reached: Agreeing, says: "does not speak it"},
		"refused":               {api: must(ParseAPI("http://" + closed)), reached: Connecting, says: "connection refused"},
		"no such name":          {api: must(ParseAPI("http://k2hr3.invalid:1")), reached: Resolving, says: "k2hr3.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newClient(t, Config{API: tt.api, CAFile: tt.ca, Timeout: 5 * time.Second}).Way(t.Context(), 2*time.Second)
			said := ""
			if w.WrongCertificate != nil {
				said = w.WrongCertificate.Error()
			}
			if w.Err != nil {
				said = w.Err.Error()
			}
			if w.Reached != tt.reached || (said == "") != (tt.says == "") || !strings.Contains(said, tt.says) {
				t.Errorf("reached %d, %q; want %d, %q", w.Reached, said, tt.reached, tt.says)
			}
			if w.Dated != tt.dated || (w.Ahead-tt.ahead).Abs() > 2*time.Second {
				t.Errorf("ahead by %v (%v), want %v", w.Ahead, w.Dated, tt.ahead)
			}
			if (w.Certificate != nil) != (tt.ca != "") {
				t.Errorf("certificate %v", w.Certificate)
			}
		})
	}
}

// The limit of who goes it ends it, and K2HR3 is what did not answer.
func TestAWayThatEndsNowhere(t *testing.T) {
	stuck := make(chan struct{})
	c := serve(t, func(http.ResponseWriter, *http.Request) { <-stuck })
	t.Cleanup(func() { close(stuck) }) // before the server ends, which waits for it
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	w := c.Way(ctx, time.Minute)
	if w.Reached != Answering || w.Err == nil || !strings.Contains(w.Err.Error(), "no answer in time") || !strings.Contains(w.Err.Error(), "hangs") {
		t.Errorf("%+v", w)
	}
}

func TestTakesToken(t *testing.T) {
	for status, want := range map[int]bool{http.StatusNoContent: true, http.StatusUnauthorized: false} {
		c := newClient(t, Config{Transport: fake(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodHead || r.Header.Get("x-auth-token") == "" || r.URL.RawQuery != "" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			return response(status, ""), nil
		})})
		if got, _, err := c.TakesToken(t.Context(), role, must(NewToken(strings.Repeat("a", 64)))); got != want || err != nil {
			t.Errorf("%d: %v, %v", status, got, err)
		}
	}
}
