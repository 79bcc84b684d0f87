package k2hr3

import (
	"net/http"
	"time"
)

// idleTimeout is how long the real one keeps an idle connection.
const idleTimeout = 5 * time.Second

// NewHTTPServer returns an http.Server for s that closes idle connections after
// five seconds, as K2HR3 announces and does, and refuses a request whose head
// is longer than 16 KiB.
func NewHTTPServer(s *Server) *http.Server {
	return &http.Server{
		Handler:           s,
		IdleTimeout:       idleTimeout,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    12 << 10, // net/http adds 4 KiB
	}
}
