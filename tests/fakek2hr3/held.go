package fakek2hr3

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Hold makes the Server honour "Prefer: wait=<seconds>" (RFC 7240) on a GET of
// a resource: instead of 304 it waits until the answer would be another, for
// the smaller of the seconds asked for and max, and says so with
// "Preference-Applied: wait=<seconds>". With 0, the default, it answers at once
// and without that header, as the stock K2HR3 does.
func (s *Server) Hold(max time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxHold = max
	s.notify()
}

// Held returns how many requests are being held right now.
func (s *Server) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// hold evaluates the exchange, again whenever something changed while its
// answer is a 304 that may wait. It reports false when there is nobody left to
// answer.
func (s *Server) hold(w http.ResponseWriter, r *http.Request, ex *exchange, active *requestFaults) (answer, bool) {
	var expired <-chan time.Time
	over := false
	for {
		s.mu.Lock()
		s.take(ex, active)
		changed := s.changed // from here on nothing is missed
		s.mu.Unlock()
		if active.strike(w, r) {
			return answer{}, false
		}
		s.mu.Lock()
		ans := active.alter(ex, s.route(ex, active))
		wait := s.mayWait(ex, ans)
		if wait > 0 {
			ans.header.Set("Preference-Applied", "wait="+strconv.Itoa(seconds(wait)))
		}
		if wait == 0 || over || ans.status != http.StatusNotModified {
			s.mu.Unlock()
			return ans, true
		}
		if expired == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			expired = t.C
		}
		s.held++
		s.mu.Unlock()

		gone := false
		select {
		case <-changed:
		case <-expired:
			over = true
		case <-r.Context().Done():
			gone = true
		}
		s.mu.Lock()
		s.held--
		s.mu.Unlock()
		if gone {
			return answer{}, false
		}
	}
}

// mayWait is how long this answer may be waited for, 0 if not at all. The
// caller holds mu.
func (s *Server) mayWait(ex *exchange, ans answer) time.Duration {
	if ex.op != OpResource || s.maxHold <= 0 || ans.status != http.StatusOK && ans.status != http.StatusNotModified {
		return 0
	}
	return min(preferredWait(ex.header), s.maxHold)
}

// preferredWait reads wait=<seconds> out of the Prefer headers.
func preferredWait(h http.Header) time.Duration {
	for p := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		p, _, _ = strings.Cut(p, ";")
		k, v, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(k), "wait") {
			continue
		}
		n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(v), `"`))
		if err == nil && n > 0 {
			return time.Duration(min(n, 86400)) * time.Second
		}
	}
	return 0
}

// seconds rounds up: a header has no fractions.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
