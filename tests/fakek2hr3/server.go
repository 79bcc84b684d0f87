package fakek2hr3

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Server is the stand-in K2HR3. It is safe for concurrent use and has no
// goroutines of its own.
type Server struct {
	now func() time.Time

	mu         sync.Mutex
	roles      map[string]*role     // by YRN
	resources  map[string]*resource // by YRN
	tokens     map[string]*token    // by value
	users      map[string]string    // user token to tenant
	unscoped   map[string]string    // a user's token that is no tenant's yet, to the tenant of the user
	registers  map[string]register  // decoded registerpath to what it carries
	initScript func(ScriptValues) string
	nextID     int
	maxHold    time.Duration
	held       int
	changed    chan struct{} // closed and replaced whenever an answer may differ
	faults     []*activeFault
	log        []Request
	onRequest  func(Request)
}

// Option changes how a Server is made.
type Option func(*Server)

// WithClock makes the Server take the time for token expiry and the request
// log from now instead of time.Now.
func WithClock(now func() time.Time) Option {
	return func(s *Server) { s.now = now }
}

// New returns an empty K2HR3; AddCluster fills it.
func New(opts ...Option) *Server {
	s := &Server{
		now:        time.Now,
		roles:      map[string]*role{},
		resources:  map[string]*resource{},
		tokens:     map[string]*token{},
		users:      map[string]string{},
		unscoped:   map[string]string{},
		registers:  map[string]register{},
		changed:    make(chan struct{}),
		initScript: bareScript,
	}
	for _, o := range opts {
		o(s)
	}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ex := newExchange(r)
	start := s.now()
	rec := Request{
		Method: ex.method, Path: ex.rawPath, Query: r.URL.RawQuery, Op: ex.op,
		Source: ex.source, Start: start,
		IfNoneMatch: r.Header.Get("If-None-Match"), Prefer: r.Header.Get("Prefer"),
	}
	s.mu.Lock()
	rec.Token = s.tokenKind(ex)
	s.mu.Unlock()

	active := &requestFaults{}
	ans, ok := s.hold(w, r, ex, active)
	rec.Fault = active.names()
	rec.Held = s.now().Sub(start)
	if !ok { // cut, or the client went away
		s.record(rec)
		return
	}
	rec.Status = ans.status
	// Logged before the first byte goes out: whoever has the answer finds
	// the request in the log.
	s.record(rec)
	deliver(w, r, ans, active)
}

// notify wakes every held request so that it looks again. The caller holds mu.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// newID returns an identifier not used before. The caller holds mu.
func (s *Server) newID() int {
	s.nextID++
	return s.nextID
}

// Request is one logged request. The x-auth-token header is not kept, only what
// kind of token it was; a register path in Path is as secret as a token.
type Request struct {
	Method      string
	Path        string // as sent
	Query       string // as sent
	Op          Op
	Source      string // the address K2HR3 takes the request to come from
	Token       TokenKind
	IfNoneMatch string
	Prefer      string
	Fault       []FaultName   // the faults that touched it
	Status      int           // 0: no answer was given
	Start       time.Time     // when it arrived
	Held        time.Duration // from arrival to answer
}

// String renders the request as one line for a timeline.
func (r Request) String() string {
	path := r.Path
	if r.Query != "" {
		path += "?" + r.Query
	}
	s := fmt.Sprintf("%s %s %s from %s (%s)", r.Start.Format("15:04:05.000"), r.Method, path, r.Source, r.Token)
	if r.Status == 0 {
		s += ": no answer"
	} else {
		s += fmt.Sprintf(": %d", r.Status)
	}
	if r.Held >= 100*time.Millisecond {
		s += fmt.Sprintf(" after %.1f s", r.Held.Seconds())
	}
	return s
}

// Requests returns all requests answered or dropped so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// OnRequest makes the Server call f for each request, just before its answer
// goes out. f runs on the request's goroutine and must not block.
func (s *Server) OnRequest(f func(Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRequest = f
}

func (s *Server) record(r Request) {
	s.mu.Lock()
	s.log = append(s.log, r)
	f := s.onRequest
	s.mu.Unlock()
	if f != nil {
		f(r)
	}
}

// sleep waits for d or until ctx ends, and says whether d passed.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
