package e2e

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

const (
	roleYRN     = "yrn:yahoo:::shop:role:orders/slave"
	resourceYRN = "yrn:yahoo:::shop:resource:orders/slave"
)

// minimalK2HR3 is the least a K2HR3 can be for a host that is a member: it says so,
// and has a text. It shares nothing with the stand-in of tests/fakek2hr3, so that a
// mistake of that one cannot hide one of the agent's.
type minimalK2HR3 struct {
	mu   sync.Mutex
	text string
	seen []string // requests, as "METHOD status"
	odd  []string // requests that no slave has to make
}

func (k *minimalK2HR3) setText(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.text = text
}

// requests returns what was asked since the last call, and how it was answered.
func (k *minimalK2HR3) requests() (seen, odd []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen, odd = k.seen, k.odd
	k.seen, k.odd = nil, nil
	return seen, odd
}

func (k *minimalK2HR3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	status := http.StatusNotFound
	switch q := r.URL.Query(); {
	case r.URL.EscapedPath() == "/v1/role/"+roleYRN && r.Method == http.MethodHead && q.Get("cuk") == vmCUK:
		status = http.StatusNoContent
		w.WriteHeader(status)
	case r.URL.EscapedPath() == "/v1/resource/"+resourceYRN && r.Method == http.MethodGet && q.Get("cuk") == vmCUK && q.Get("role") == roleYRN:
		status = k.answer(w, r)
	default:
		k.odd = append(k.odd, r.Method+" "+r.URL.String())
		http.Error(w, `{"result":false,"message":"not asked for in this test"}`, status)
	}
	k.seen = append(k.seen, fmt.Sprintf("%s %d", r.Method, status))
}

// answer is the text in JSON, with an ETag as Express makes it.
func (k *minimalK2HR3) answer(w http.ResponseWriter, r *http.Request) int {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	enc.Encode(struct {
		Result   bool    `json:"result"`
		Message  *string `json:"message"`
		Resource string  `json:"resource"`
	}{true, nil, k.text})
	body.Truncate(body.Len() - 1) // Encode's line end
	sum := sha1.Sum(body.Bytes())
	etag := fmt.Sprintf(`W/"%x-%s"`, body.Len(), strings.TrimRight(base64.StdEncoding.EncodeToString(sum[:]), "="))
	w.Header().Set("X-Powered-By", "Express")
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Write(body.Bytes())
	return http.StatusOK
}
