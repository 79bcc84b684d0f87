package fakek2hr3

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// The one extdata section, as Trove configures it.
const (
	extdataName      = "trove"
	extdataUserAgent = "extdata_k2hr3_trove"
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

// RegisterPath returns a new registerpath for a token RoleToken returned, as a
// user finds it next to the token.
func (c *Cluster) RegisterPath(token string) string {
	defer c.lock()()
	t := c.s.tokens[token]
	if t == nil {
		return "unknown"
	}
	return c.s.registerPath(t)
}

// userdata is GET /v1/userdata/<registerpath>: what cloud-init fetches.
func (s *Server) userdata(ex *exchange) answer {
	if bad := needUserAgent(ex); bad != nil {
		return *bad
	}
	agent := strings.ToLower(ex.header.Get("User-Agent"))
	if !strings.Contains(agent, "cloud-init") {
		return notYourClient()
	}
	if ex.name == "" {
		return fail(http.StatusBadRequest, "GET request url does not have userdata path parameter")
	}
	parts := []part{{"text/x-shellscript", "k2hr3-init-error.sh", "#!/bin/sh\necho 'this path stands for no role' >&2\nexit 1\n"}}
	if reg, ok := s.registered(ex.name); ok {
		parts = []part{
			{"text/cloud-config", "k2hr3-cloud-config.txt", "#cloud-config\npackages:\n  - curl\n"},
			{"text/x-shellscript", "k2hr3-init.sh", s.script(ex, reg)},
		}
	}
	boundary := fmt.Sprintf("================K2HR3INIT%d==", s.now().UnixMilli())
	body := multipart(boundary, parts)
	if !wantsGzip(ex) && !newCloudInit(agent) {
		a := newAnswer(http.StatusOK, `multipart/mixed; boundary="`+boundary+`"; charset=utf-8`, []byte(body))
		a.header.Set("MIME-Version", "1.0")
		a.header.Set("Number-Attachments", strconv.Itoa(len(parts)))
		return a
	}
	head := fmt.Sprintf("Content-Type: multipart/mixed; boundary=\"%s\"\r\nMIME-Version: 1.0\r\nNumber-Attachments: %d\r\n\r\n", boundary, len(parts))
	return gzipAnswer("k2hr3-userdata.gz", head+body)
}

// extdata is GET /v1/extdata/<name>/<registerpath>: a script for tools other
// than cloud-init.
func (s *Server) extdata(ex *exchange) answer {
	if bad := needUserAgent(ex); bad != nil {
		return *bad
	}
	// Split at the last slash: a decoded registerpath does not work here.
	i := strings.LastIndex(ex.name, "/")
	if i <= 0 || i == len(ex.name)-1 {
		return fail(http.StatusBadRequest, "GET request url does not have extdata path parameter")
	}
	section := ex.name[:i]
	reg, ok := s.registered(ex.name[i+1:])
	switch {
	case section != extdataName:
		return fail(http.StatusBadRequest, "GET request URL path(%s) does not exist", section)
	case !strings.EqualFold(ex.header.Get("User-Agent"), extdataUserAgent):
		return notYourClient()
	case !ok:
		return fail(http.StatusBadRequest, "GET /extdata/%s/<path> is invalid", section)
	case wantsGzip(ex):
		return gzipAnswer("k2hr3-extdata.gz", s.script(ex, reg))
	}
	return newAnswer(http.StatusOK, "text/x-shellscript; charset=utf-8", []byte(s.script(ex, reg)))
}

func needUserAgent(ex *exchange) *answer {
	if ex.header.Get("User-Agent") != "" {
		return nil
	}
	a := fail(http.StatusBadRequest, "GET request does not have User-Agent header")
	return &a
}

func notYourClient() answer {
	return fail(http.StatusBadRequest, "GET request is not allowed from your client")
}

// registered looks a registerpath up, as it was given out or decoded.
func (s *Server) registered(path string) (register, bool) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return register{}, false
	}
	reg, ok := s.registers[plain]
	return reg, ok
}

func wantsGzip(ex *exchange) bool {
	for enc := range strings.SplitSeq(ex.header.Get("Accept-Encoding"), ",") {
		switch strings.ToLower(strings.TrimSpace(enc)) {
		case "gzip", "deflate":
			return true
		}
	}
	return false
}

var cloudInit = regexp.MustCompile(`cloud-init/(\d+).(\d+).(\d+)`)

// newCloudInit says whether the client is known to unpack without asking.
func newCloudInit(agent string) bool {
	m := cloudInit.FindStringSubmatch(agent)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	patch, _ := strconv.Atoi(m[3])
	return major > 0 || minor > 7 || patch >= 9
}

type part struct{ contentType, file, text string }

func multipart(boundary string, parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\nMIME-Version: 1.0\r\nContent-Type: %s; charset=\"us-ascii\"\r\nContent-Transfer-Encoding: 7bit\r\n"+
			"Content-Disposition: attachment; filename=\"%s\"\r\n\r\n%s\r\n", boundary, p.contentType, p.file, p.text)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.String()
}

func gzipAnswer(file, text string) answer {
	a := newAnswer(http.StatusOK, "application/zip", gzipped([]byte(text)))
	a.header.Set("Content-Encoding", "gzip")
	a.header.Set("Content-Transfer-Encoding", "binary")
	a.header.Set("Content-Disposition", "attachment; filename="+file)
	return a
}

// ScriptValues are what K2HR3 fills into the template of its registration
// script.
type ScriptValues struct{ Role, Tenant, Token, API string }

// WithInitScript makes f the registration script in userdata and extdata, for
// tests that run it. The default only has the values in it.
func WithInitScript(f func(ScriptValues) string) Option {
	return func(s *Server) { s.initScript = f }
}

func (s *Server) script(ex *exchange, reg register) string {
	v := ScriptValues{Role: reg.role, Token: reg.token, API: "http://" + ex.host}
	v.Tenant, _, _ = strings.Cut(reg.role, ":role:")
	return s.initScript(v)
}

// Assignments returns the values as the lines of shell in which K2HR3's own
// script has them.
func (v ScriptValues) Assignments() string {
	return "K2HR3_ROLE_TOKEN=\"" + v.Token + "\"\n" +
		"K2HR3_ROLE_NAME=\"" + v.Role + "\"\n" +
		"K2HR3_ROLE_TENANT=\"" + v.Tenant + "\"\n" +
		"K2HR3_API_HOST_URI=\"" + v.API + "\"\n" +
		"K2HR3_ERROR_MSG=\"\"\n"
}

// bareScript stands for the registration script: what matters of it is that the
// values are filled in, and that files are named much like them.
func bareScript(v ScriptValues) string {
	return "#!/bin/sh\n" +
		"K2HR3_ROLE_TOKEN_FILE=\"/etc/antpickax/k2hr3-role-token\"\n" +
		v.Assignments() +
		"LOAD_K2HR3_ROLE_TOKEN=$(cat \"${K2HR3_ROLE_TOKEN_FILE}\")\n" +
		"exit 0\n"
}
