package k2hr3

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkUnchanged is a poll that finds nothing new, over the loopback: the
// server's share is in it.
func BenchmarkUnchanged(b *testing.B) {
	c := serve(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", r.Header.Get("If-None-Match"))
		w.WriteHeader(http.StatusNotModified)
	})
	q := Query{Resource: role.Resource(), Token: newToken(b), ETag: etag}
	for b.Loop() {
		if got, err := c.Resource(b.Context(), q); err != nil || !got.NotModified {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkUnchangedOwnShare is the same without a server and a network.
func BenchmarkUnchangedOwnShare(b *testing.B) {
	b.ReportAllocs()
	c := newClient(b, Config{Transport: always(http.StatusNotModified, "", "ETag", etag)})
	q := Query{Resource: role.Resource(), Token: newToken(b), ETag: etag}
	for b.Loop() {
		if got, err := c.Resource(b.Context(), q); err != nil || !got.NotModified {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkText is a poll that brings a text of 100 nodes, some 20 KiB.
func BenchmarkText(b *testing.B) {
	b.ReportAllocs()
	body := `{"result":true,"message":null,"resource":"` + strings.Repeat(`\n[SVRNODE]\nNAME = server.shop.example\n`+strings.Repeat(`KEY = value\n`, 12), 100) + `"}`
	c := newClient(b, Config{Transport: fake(func(*http.Request) (*http.Response, error) {
		resp := response(http.StatusOK, "", "ETag", etag)
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return resp, nil
	})})
	q := Query{Resource: role.Resource(), Token: newToken(b)}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := c.Resource(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}
