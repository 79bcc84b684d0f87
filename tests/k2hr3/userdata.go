package k2hr3

import (
	"crypto/rand"
	"encoding/base64"
	"net/url"
)

// register is what a registerpath stands for.
type register struct{ role, token string }

// registerPath makes the opaque, URL-safe string that stands for a token; a new
// one at each call. The caller holds mu.
func (s *Server) registerPath(t *token) string {
	b := make([]byte, 160)
	rand.Read(b) //nolint:errcheck // never fails
	plain := base64.StdEncoding.EncodeToString(b)
	s.registers[plain] = register{role: t.role.yrn, token: t.value}
	return url.QueryEscape(plain)
}

func (s *Server) userdata(ex *exchange) answer { return internalError(404) }
func (s *Server) extdata(ex *exchange) answer  { return internalError(404) }
