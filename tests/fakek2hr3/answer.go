package fakek2hr3

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// answer is what goes back, before transport faults.
type answer struct {
	status int
	header http.Header
	body   []byte
	// bodiless marks the answers K2HR3 sends without a body although the
	// status has one: errors to HEAD and DELETE.
	bodiless bool
	noETag   bool
}

const jsonType = "application/json; charset=utf-8"

func newAnswer(status int, contentType string, body []byte) answer {
	a := answer{status: status, header: http.Header{}, body: body}
	a.header.Set("Content-Type", contentType)
	return a
}

// jsonAnswer answers with a body already in JSON.
func jsonAnswer(status int, body string) answer {
	return newAnswer(status, jsonType, []byte(body))
}

// fail is a JSON error with a message.
func fail(status int, format string, args ...any) answer {
	return jsonAnswer(status, `{"result":false,"message":`+quote(fmt.Sprintf(format, args...))+`}`)
}

// bare is an error without a body.
func bare(status int) answer {
	a := newAnswer(status, jsonType, nil)
	a.bodiless = true
	return a
}

// internalError is K2HR3's answer to whatever it did not expect, unknown paths
// included.
func internalError(status int) answer {
	return jsonAnswer(status, `{"result":false,"message":"Internal server error"}`)
}

func created() answer   { return jsonAnswer(http.StatusCreated, `{"result":true,"message":null}`) }
func noContent() answer { return answer{status: http.StatusNoContent, header: http.Header{}} }

// etag is the weak validator K2HR3's framework computes of a body.
func etag(body []byte) string {
	sum := sha1.Sum(body)
	return fmt.Sprintf(`W/"%x-%s"`, len(body), base64.StdEncoding.EncodeToString(sum[:])[:27])
}

// finish adds the ETag and turns an answer the client already has into a 304.
func finish(ex *exchange, a answer) answer {
	if a.status == http.StatusNoContent || a.bodiless || a.noETag {
		return a
	}
	a.header.Set("ETag", etag(a.body))
	get := ex.method == http.MethodGet || ex.method == http.MethodHead
	if get && a.status/100 == 2 && isFresh(ex.header, a.header.Get("ETag")) {
		a.status = http.StatusNotModified
		a.header.Del("Content-Type")
		a.body = nil
	}
	return a
}

var noCache = regexp.MustCompile(`(?:^|,)\s*no-cache\s*(?:,|$)`)

func isFresh(h http.Header, tag string) bool {
	match := strings.Join(h.Values("If-None-Match"), ", ")
	if match == "" || noCache.MatchString(h.Get("Cache-Control")) {
		return false
	}
	if strings.TrimSpace(match) == "*" {
		return true
	}
	for m := range strings.SplitSeq(match, ",") {
		if strings.TrimPrefix(strings.TrimSpace(m), "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// writeHead sets the headers common to all answers and those of a.
func (a answer) writeHead(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Powered-By", "Express")
	for k, v := range a.header {
		h[k] = v
	}
	switch {
	case a.status == http.StatusNoContent, a.status == http.StatusNotModified:
	case a.bodiless && r.Method == http.MethodHead:
	default:
		if h.Get("Content-Length") == "" {
			h.Set("Content-Length", strconv.Itoa(len(a.body)))
		}
	}
	if h.Get("Connection") == "" {
		if r.Close || !r.ProtoAtLeast(1, 1) {
			h.Set("Connection", "close")
		} else {
			h.Set("Connection", "keep-alive")
			h.Set("Keep-Alive", "timeout="+strconv.Itoa(int(idleTimeout.Seconds())))
		}
	}
	w.WriteHeader(a.status)
}

// quote is JSON's string form as JavaScript writes it: no escapes beyond the
// necessary ones.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) //nolint:errcheck // a string can be
	return strings.TrimSuffix(b.String(), "\n")
}
