package fakek2hr3

import (
	"net/http"
	"time"
)

// idleTimeout is how long the real one keeps an idle connection.
const idleTimeout = 5 * time.Second

// NewHTTPServer returns an http.Server for s that closes idle connections after
// five seconds, as K2HR3 announces and does, refuses a request whose head is
// longer than 16 KiB, and speaks nothing newer than HTTP/1.1, over TLS neither.
func NewHTTPServer(s *Server) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Protocols:         &protocols,
		Handler:           s,
		IdleTimeout:       idleTimeout,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    12 << 10, // net/http adds 4 KiB
	}
}
