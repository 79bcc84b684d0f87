package k2hr3

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Query says which RESOURCE to read, and by which right.
type Query struct {
	Resource Resource
	// Token is the right to read. The zero Token: K2HR3 goes by the address it
	// sees, Role and CUK, which are used only then.
	Token Token
	// Role is used besides to say what is wrong.
	Role Role
	CUK  CUK
	// ETag is that of the text the caller has; empty, or what is no ETag: the
	// whole text is wanted.
	ETag string
	// Wait is for how long K2HR3 may hold the request until the text changes,
	// rounded up to seconds; 0: it is not asked to.
	Wait time.Duration
}

// Answer is what K2HR3 has for a Query.
type Answer struct {
	// Text is the RESOURCE's text, exactly; empty if NotModified.
	Text string
	// ETag is that of the text; empty if K2HR3 gave none.
	ETag string
	// NotModified: the text is still that of the Query's ETag.
	NotModified bool
	// Held is for how long K2HR3 says it may hold such a request. 0: it does
	// not hold, and asking again at once would only burden it.
	Held time.Duration
	// Size is the size of the body, in bytes.
	Size int
	// Took is how long K2HR3 had the request.
	Took time.Duration
}

// Resource reads a RESOURCE once; when to try again is the caller's to say. It
// returns within the client's timeout, or that and Wait as long as K2HR3 may be
// holding the request.
func (c *Client) Resource(ctx context.Context, q Query) (Answer, error) {
	ctx, took, had := timed(ctx)
	answer, err := c.resource(ctx, q, took)
	return answer, lasted(err, took, had)
}

func (c *Client) resource(ctx context.Context, q Query, took func() time.Duration) (Answer, error) {
	op := "read resource " + q.Resource.yrn
	query, err := q.arguments()
	if err != nil {
		return Answer{}, c.refusedHere(op, err)
	}
	wait := wholeSeconds(q.Wait)
	req, err := c.request(ctx, http.MethodGet, resourcePath(q.Resource), query)
	if err != nil {
		return Answer{}, c.refusedHere(op, err)
	}
	setToken(req, q.Token)
	conditional := isETag(q.ETag)
	if conditional {
		req.Header.Set("If-None-Match", q.ETag)
	}
	if wait > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(int(wait/time.Second)))
	}
	a, err := c.once(req, c.holding.limit(c.timeout, wait))
	if err != nil {
		if _, late := errors.AsType[timeoutError](err); late {
			c.holding.timedOut()
		}
		return Answer{}, c.failed(ctx, op, a, err)
	}
	a.took = took()
	c.log.Debug("read resource", "status", a.status, "bytes", len(a.body), "took", a.took)
	return c.resourceAnswer(ctx, op, q, a, conditional)
}

// arguments returns the arguments that say by which right q reads. K2HR3
// refuses any besides a token (docs/k2hr3.md D.1).
func (q Query) arguments() (url.Values, error) {
	if q.Resource.IsZero() {
		return nil, errors.New("no resource is given")
	}
	if !q.Token.IsZero() {
		return nil, nil
	}
	if q.Role.IsZero() {
		return nil, errors.New("neither a role token nor a role is given")
	}
	if q.CUK.IsZero() {
		return nil, errNoCUK
	}
	return url.Values{"role": {q.Role.yrn}, "cuk": {q.CUK.key}}, nil
}

// once does one try, which takes no longer than limit.
func (c *Client) once(req *http.Request, limit time.Duration) (answer, error) {
	resp, err := c.line.client(limit).Do(req)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(resp)
}

func (c *Client) resourceAnswer(ctx context.Context, op string, q Query, a answer, conditional bool) (Answer, error) {
	var held time.Duration
	if q.Wait > 0 {
		held = heldFor(a.header)
		c.holding.answered(a.status, conditional, held)
	}
	switch a.status {
	case http.StatusNotModified:
		if !conditional {
			return Answer{}, c.failed(ctx, op, a, wrongAnswer("the answer says that nothing has changed, but was not asked that"))
		}
		return Answer{NotModified: true, ETag: q.ETag, Held: held, Took: a.took}, nil
	case http.StatusOK:
		m, err := a.success()
		if err != nil {
			return Answer{}, c.failed(ctx, op, a, err)
		}
		text, err := m.text("resource")
		if err != nil {
			return Answer{}, c.failed(ctx, op, a, err)
		}
		return Answer{Text: text, ETag: usableETag(a.header), Held: held, Size: len(a.body), Took: a.took}, nil
	}
	return Answer{}, c.refused(op, a, asked{byToken: !q.Token.IsZero(), byRole: q.Resource == q.Role.Resource()})
}

// entityTag is one ETag. What else a caller may have kept is not sent: "*"
// would have K2HR3 answer 304 for ever.
var entityTag = regexp.MustCompile(`^(W/)?"[!#-~]{1,200}"$`)

func isETag(s string) bool { return entityTag.MatchString(s) }

func usableETag(header http.Header) string {
	if tag := header.Get("ETag"); isETag(tag) {
		return tag
	}
	return ""
}

// holding is what is known of whether K2HR3 holds requests, which decides how
// long a silence is allowed to be.
type holding struct{ refuses atomic.Bool }

// limit returns the time for one try that asks to be held for wait.
func (h *holding) limit(timeout, wait time.Duration) time.Duration {
	if wait <= 0 || h.refuses.Load() {
		return timeout
	}
	return wait + timeout
}

// answered learns from an answer to a request that asked to be held. One
// without an ETag could not have been held, and teaches only the positive; nor
// does an error, which may be a gateway's.
func (h *holding) answered(status int, conditional bool, held time.Duration) {
	switch {
	case held > 0:
		h.refuses.Store(false)
	case conditional && (status == http.StatusOK || status == http.StatusNotModified):
		h.refuses.Store(true)
	}
}

// timedOut forgets: a K2HR3 that falls silent may have learnt to hold.
func (h *holding) timedOut() { h.refuses.Store(false) }

// heldFor returns n of "Preference-Applied: wait=n" (RFC 7240), or 0.
func heldFor(header http.Header) time.Duration {
	for _, line := range header.Values("Preference-Applied") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil {
				return time.Duration(n) * time.Second
			}
		}
	}
	return 0
}

func wholeSeconds(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return (d + time.Second - 1).Truncate(time.Second)
}
