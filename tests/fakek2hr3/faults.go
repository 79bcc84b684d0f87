package fakek2hr3

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultName names a way to fail.
type FaultName string

// What can go wrong. Unless said otherwise each applies to every request its
// Fault selects.
const (
	// K2HR3 answers, but not as it should.
	BackendDown    FaultName = "backend-down"    // the store is gone: 401 to every token, 404 or 403 without one, GET / fine. The real one takes about 14 s to say so: set Delay
	InternalError  FaultName = "internal-error"  // 500
	RejoinGap      FaultName = "rejoin-gap"      // the resource lacks the node Fault.CUK, as in the middle of its re-registration; without a CUK it lacks the first server
	TokensExpired  FaultName = "tokens-expired"  // 401 to every token
	ForgetPut      FaultName = "forget-put"      // PUT role answers 201 and stores nothing, as the real one does with a few of many at the same time
	StaleWorker    FaultName = "stale-worker"    // a worker that does not know yet what another one has stored: the host is no member
	EmptyText      FaultName = "empty-text"      // the resource is an empty string
	BrokenTemplate FaultName = "broken-template" // the template cannot be parsed: 404, with its text
	NotFound       FaultName = "not-found"       // 404 to everybody
	NoETag         FaultName = "no-etag"         // no ETag, and so never a 304

	// Something in between answers.
	HTMLPage    FaultName = "html-page"   // 200 with an HTML page
	BadGateway  FaultName = "bad-gateway" // a proxy's 502 page, with Retry-After if set
	Unavailable FaultName = "unavailable" // a proxy's 503 page, with Retry-After if set
	WrongJSON   FaultName = "wrong-json"  // Fault.Status (default 200) with Fault.Body as JSON; see WrongBodies
	Redirect    FaultName = "redirect"    // Fault.Status (default 302) to Fault.Location
	Gzipped     FaultName = "gzipped"     // the right body, gzip-compressed without having been asked

	// The transport fails.
	Slow      FaultName = "slow"      // the right answer after Delay
	Hang      FaultName = "hang"      // no answer until the client gives up; when the fault is undone, the connection ends
	Drip      FaultName = "drip"      // the body one byte at a time, Delay between them
	Truncated FaultName = "truncated" // half of the body, then the connection ends
	Oversized FaultName = "oversized" // a body of more than Fault.Size bytes (default 2 MiB), otherwise right
	Cut       FaultName = "cut"       // the connection ends before an answer
)

// FaultNames returns every name, in the order of the list above.
func FaultNames() []FaultName {
	return []FaultName{
		BackendDown, InternalError, RejoinGap, TokensExpired, ForgetPut, StaleWorker, EmptyText, BrokenTemplate, NotFound, NoETag,
		HTMLPage, BadGateway, Unavailable, WrongJSON, Redirect, Gzipped,
		Slow, Hang, Drip, Truncated, Oversized, Cut,
	}
}

// Fault is one thing going wrong.
type Fault struct {
	Name FaultName
	On   []Op   // which exchanges it strikes; none: all
	From string // only requests from this address; empty: from any
	Next int    // only the next so many requests it selects; 0: until undone

	Delay      time.Duration // before the answer; of Drip: between bytes
	CUK        string        // of RejoinGap
	Body       string        // of WrongJSON
	Status     int           // of WrongJSON and Redirect
	Location   string        // of Redirect
	RetryAfter string        // of BadGateway, Unavailable and Redirect
	Size       int           // of Oversized
}

type activeFault struct {
	Fault
	left   int // of Next
	undone chan struct{}
}

// Fault switches a fault on; undo, which may be called more than once, switches
// it off. Faults add up. Held requests notice both: they are struck by a fault
// that begins while they wait.
func (s *Server) Fault(f Fault) (undo func()) {
	a := &activeFault{Fault: f, left: f.Next, undone: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, a)
	s.notify()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-a.undone:
			return
		default:
		}
		close(a.undone)
		s.faults = slices.DeleteFunc(s.faults, func(x *activeFault) bool { return x == a })
		s.notify()
	}
}

// ClearFaults switches all faults off, and releases what hangs.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.faults {
		close(a.undone)
	}
	s.faults = nil
	s.notify()
}

// WrongBodies returns JSON bodies, and things that nearly are, for WrongJSON,
// by what is wrong with them.
func WrongBodies() map[string]string {
	return map[string]string{
		"resource is null":         `{"result":true,"message":null,"resource":null}`,
		"resource is a number":     `{"result":true,"message":null,"resource":8020}`,
		"resource is an object":    `{"result":true,"message":null,"resource":{"string":"[GLOBAL]\n"}}`,
		"resource is missing":      `{"result":true,"message":null}`,
		"result is false":          `{"result":false,"message":"no"}`,
		"result is missing":        `{"message":null,"resource":"[GLOBAL]\n"}`,
		"result is a string":       `{"result":"true","message":null,"resource":"[GLOBAL]\n"}`,
		"garbage after the object": `{"result":true,"message":null,"resource":"[GLOBAL]\n"}<!-- cached -->`,
		"a second object":          `{"result":true,"message":null,"resource":"[GLOBAL]\n"}{"result":true}`,
		"the object does not end":  `{"result":true,"message":null,"resource":"[GLO`,
		"an array":                 `["[GLOBAL]\n"]`,
		"a bare string":            `"[GLOBAL]\n"`,
		"nothing at all":           ``,
		"bytes that are not UTF-8": "{\"result\":true,\"message\":null,\"resource\":\"[GLOBAL]\xff\\n\"}",
	}
}

// requestFaults are the faults striking one request. A nil one is none.
type requestFaults struct {
	taken   []*activeFault // limited ones, used up by this request
	present []*activeFault // unlimited ones
	delayed []*activeFault // those whose Delay is over
}

// take brings f up to date; a limited fault once taken stays with its request.
// The caller holds mu.
func (s *Server) take(ex *exchange, f *requestFaults) {
	f.present = nil
	for _, a := range s.faults {
		strikes := (len(a.On) == 0 || slices.Contains(a.On, ex.op)) && (a.From == "" || a.From == ex.source)
		switch {
		case !strikes:
		case a.Next == 0:
			f.present = append(f.present, a)
		case a.left > 0 && !slices.Contains(f.taken, a):
			a.left--
			f.taken = append(f.taken, a)
		}
	}
}

// all are the faults striking the request, the limited ones first.
func (f *requestFaults) all() []*activeFault {
	if f == nil {
		return nil
	}
	return slices.Concat(f.taken, f.present)
}

func (f *requestFaults) get(name FaultName) *activeFault {
	for _, a := range f.all() {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func (f *requestFaults) has(name FaultName) bool { return f.get(name) != nil }

func (f *requestFaults) names() []FaultName {
	var names []FaultName
	for _, a := range f.all() {
		names = append(names, a.Name)
	}
	return names
}

// visible is a role's host list without the node in a re-registration gap.
func (f *requestFaults) visible(kind string, hosts []Host) []Host {
	gap := f.get(RejoinGap)
	switch {
	case gap == nil || len(hosts) == 0:
		return hosts
	case gap.CUK != "":
		return slices.DeleteFunc(slices.Clone(hosts), func(h Host) bool { return h.CUK == gap.CUK })
	case kind == "server":
		return hosts[1:]
	}
	return hosts
}

// padding is what makes a text oversized: a comment, so that only its length is
// wrong.
func (f *requestFaults) padding() string {
	a := f.get(Oversized)
	if a == nil {
		return ""
	}
	size := a.Size
	if size == 0 {
		size = 2 << 20
	}
	return strings.Repeat("# padding padding padding padding padding padding padding.....\n", size/64+1)
}

// strike does what keeps a request from being answered, or answered yet. It
// reports true when no answer is to follow.
func (f *requestFaults) strike(w http.ResponseWriter, r *http.Request) bool {
	for _, a := range f.all() {
		if a.Name == Drip || slices.Contains(f.delayed, a) {
			continue
		}
		f.delayed = append(f.delayed, a)
		if !sleep(r.Context(), a.Delay) {
			return true
		}
	}
	if a := f.get(Hang); a != nil {
		select {
		case <-r.Context().Done():
		case <-a.undone:
		}
		cut(w)
		return true
	}
	if f.has(Cut) {
		cut(w)
		return true
	}
	return false
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.Close()
}

// alter replaces or changes the answer. The caller holds the server's mu.
func (f *requestFaults) alter(ex *exchange, a answer) answer {
	switch {
	case f.has(InternalError):
		a = finish(&exchange{}, internalError(http.StatusInternalServerError))
	case f.has(NotFound):
		a = finish(&exchange{}, internalError(http.StatusNotFound))
	case f.has(HTMLPage):
		a = newAnswer(http.StatusOK, "text/html", []byte("<!DOCTYPE html>\n<html><body>Please log in to use this network.</body></html>\n"))
	case f.has(BadGateway):
		a = proxyPage(http.StatusBadGateway, f.get(BadGateway).RetryAfter)
	case f.has(Unavailable):
		a = proxyPage(http.StatusServiceUnavailable, f.get(Unavailable).RetryAfter)
	case f.has(WrongJSON):
		wrong := f.get(WrongJSON)
		a = jsonAnswer(cmp.Or(wrong.Status, http.StatusOK), wrong.Body)
	case f.has(Redirect):
		r := f.get(Redirect)
		a = newAnswer(http.StatusFound, "text/html", []byte("<html><body>moved</body></html>\n"))
		if r.Status != 0 {
			a.status = r.Status
		}
		a.header.Set("Location", r.Location)
		if r.RetryAfter != "" {
			a.header.Set("Retry-After", r.RetryAfter)
		}
	}
	if f.has(Oversized) && ex.op != OpResource && len(a.body) > 0 {
		a.body = append(a.body, strings.Repeat(" ", len(f.padding()))...)
	}
	return a
}

func proxyPage(status int, retryAfter string) answer {
	text := http.StatusText(status)
	a := newAnswer(status, "text/html", fmt.Appendf(nil, "<html>\n<head><title>%d %s</title></head>\n<body><h1>%s</h1></body>\n</html>\n", status, text, text))
	if retryAfter != "" {
		a.header.Set("Retry-After", retryAfter)
	}
	return a
}

// deliver writes the answer, badly where a fault says so.
func deliver(w http.ResponseWriter, r *http.Request, a answer, f *requestFaults) {
	if f.has(Gzipped) && len(a.body) > 0 {
		a.body = gzipped(a.body)
		a.header.Set("Content-Encoding", "gzip")
	}
	a.writeHead(w, r)
	if r.Method == http.MethodHead {
		return
	}
	switch {
	case f.has(Truncated) && len(a.body) > 0:
		w.Write(a.body[:len(a.body)/2]) //nolint:errcheck // the server sees too little and cuts
	case f.has(Drip):
		drip(w, r, a.body, f.get(Drip).Delay)
	default:
		w.Write(a.body) //nolint:errcheck // the client went away
	}
}

func drip(w http.ResponseWriter, r *http.Request, body []byte, pause time.Duration) {
	rc := http.NewResponseController(w)
	for i := range body {
		if i > 0 && !sleep(r.Context(), pause) {
			return
		}
		if _, err := w.Write(body[i : i+1]); err != nil || rc.Flush() != nil {
			return
		}
	}
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data) //nolint:errcheck // into memory
	z.Close()     //nolint:errcheck // into memory
	return b.Bytes()
}
