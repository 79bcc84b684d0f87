package k2hr3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// exchange is one exchange that is tried again when it fails for a moment.
type exchange struct {
	op     string
	method string
	path   string
	query  url.Values
	token  Token
	user   UserToken
	body   []byte // JSON; nil: none
}

// Ping asks K2HR3 whether it is there. K2HR3 does not ask its store for that,
// so a store that is down does not show.
func (c *Client) Ping(ctx context.Context) error {
	ctx, took, had := timed(ctx)
	return lasted(c.ping(ctx), took, had)
}

func (c *Client) ping(ctx context.Context) error {
	x := exchange{op: "ping K2HR3", method: http.MethodGet, path: "/"}
	a, err := c.do(ctx, x)
	if err != nil {
		return err
	}
	return c.judgePing(ctx, x.op, a)
}

// judgePing returns an error if an answer to a ping is not K2HR3's.
func (c *Client) judgePing(ctx context.Context, op string, a answer) error {
	if a.status != http.StatusOK {
		return c.refused(op, a, asked{})
	}
	m, err := a.object()
	if err != nil {
		return c.failed(ctx, op, a, err)
	}
	var versions []string
	if json.Unmarshal(m["version"], &versions) != nil || !slices.Contains(versions, "v1") {
		return c.failed(ctx, op, a, &answerError{kind: ErrAnswer,
			text: "the answer does not name version v1 of K2HR3's interface", hint: hintElsewhere})
	}
	return nil
}

// Register makes this host, by the address K2HR3 sees, a member of role. It
// needs a role token of role's tenant; K2HR3 does not compare the token's role
// with role, and accepts a role that does not exist (docs/k2hr3.md C.1).
//
// Registering a member again replaces its entry, which ends the tokens K2HR3 made
// for the host: ask IsMember first, and do not register on a timer.
func (c *Client) Register(ctx context.Context, role Role, token Token, me Registration) error {
	x := exchange{op: "register in role " + role.yrn, method: http.MethodPut, path: rolePath(role), token: token}
	if role.IsZero() {
		return c.refusedHere(x.op, errors.New("no role is given"))
	}
	if token.IsZero() {
		return c.refusedHere(x.op, errors.New("no role token is given, and K2HR3 registers no host without one"))
	}
	query, err := me.query()
	if err != nil {
		return c.refusedHere(x.op, err)
	}
	x.query = query
	a, err := c.do(ctx, x)
	if err != nil {
		return err
	}
	if a.status == http.StatusBadRequest && me.Extra == Kubernetes && strings.HasPrefix(a.message(), "could not set ") {
		return c.newError(x.op, a.status, verdict{ErrBadRequest, hintPod(me.CUK)})
	}
	if a.status != http.StatusCreated {
		return c.refused(x.op, a, asked{byToken: true})
	}
	if _, err := a.success(); err != nil {
		return c.failed(ctx, x.op, a, err)
	}
	return nil
}

// IsMember reports whether this host is a member of role, or of one below it,
// by the address K2HR3 sees and cuk, and how long K2HR3 took to say so. False
// also means that K2HR3's store is down or that there is no such role.
func (c *Client) IsMember(ctx context.Context, role Role, cuk CUK) (is bool, took time.Duration, err error) {
	x := exchange{op: "look for this host in role " + role.yrn, method: http.MethodHead}
	a, err := c.doByAddress(ctx, x, role, cuk)
	if err != nil {
		return false, 0, err
	}
	switch {
	case a.status == http.StatusNoContent:
		return true, a.took, nil
	case a.isNo(http.StatusForbidden):
		return false, a.took, nil
	}
	return false, 0, c.refused(x.op, a, asked{})
}

// TakesToken reports whether a role token is good, and how long K2HR3 took to say so. False also
// means that K2HR3's store is down (docs/k2hr3.md B.5, C.6). It changes nothing.
func (c *Client) TakesToken(ctx context.Context, role Role, token Token) (good bool, took time.Duration, err error) {
	x := exchange{op: "look whether the role token is good", method: http.MethodHead, path: rolePath(role), token: token}
	if role.IsZero() || token.IsZero() {
		return false, 0, c.refusedHere(x.op, errors.New("a role and its token are needed"))
	}
	a, err := c.do(ctx, x)
	if err != nil {
		return false, 0, err
	}
	switch {
	case a.status == http.StatusNoContent:
		return true, a.took, nil
	case a.isNo(http.StatusUnauthorized):
		return false, a.took, nil
	}
	return false, 0, c.refused(x.op, a, asked{byToken: true})
}

// Unregister takes this host, by the address K2HR3 sees and cuk, out of role and
// the roles below it. ErrNotMember means that it was not in (or that K2HR3's
// store is down, for which Took is long); after a try whose answer was lost it is the usual one.
func (c *Client) Unregister(ctx context.Context, role Role, cuk CUK) error {
	x := exchange{op: "take this host out of role " + role.yrn, method: http.MethodDelete}
	a, err := c.doByAddress(ctx, x, role, cuk)
	if err != nil {
		return err
	}
	switch {
	case a.status == http.StatusNoContent:
		return nil
	case a.isNo(http.StatusForbidden):
		e := c.newError(x.op, a.status, verdict{ErrNotMember, hintMember + hintStore})
		e.Took = a.took
		return e
	}
	return c.refused(x.op, a, asked{})
}

// doByAddress does x on role, without a token. K2HR3 then
// goes by the address it sees and the CUK; without a CUK it would take every
// host of this address (docs/k2hr3.md C.6, C.7).
func (c *Client) doByAddress(ctx context.Context, x exchange, role Role, cuk CUK) (answer, error) {
	if role.IsZero() {
		return answer{}, c.refusedHere(x.op, errors.New("no role is given"))
	}
	if cuk.IsZero() {
		return answer{}, c.refusedHere(x.op, errNoCUK)
	}
	x.path = rolePath(role)
	x.query = url.Values{"cuk": {cuk.key}}
	return c.do(ctx, x)
}

// do does x and returns the last answer, whatever its status.
func (c *Client) do(ctx context.Context, x exchange) (answer, error) {
	plain, err := c.request(ctx, x.method, x.path, x.query)
	if err != nil {
		return answer{}, c.refusedHere(x.op, err)
	}
	setToken(plain, x.token)
	if !x.user.IsZero() {
		plain.Header.Set("x-auth-token", x.user.header())
	}
	if x.body != nil {
		plain.Header.Set("Content-Type", "application/json")
		plain.Body = io.NopCloser(bytes.NewReader(x.body))
	}
	return c.send(plain, x.op, readAnswer)
}

// send sends a request, trying again where that helps, and
// returns the last answer, whatever its status.
func (c *Client) send(plain *http.Request, op string, read func(*http.Response) (answer, error)) (answer, error) {
	ctx, took, _ := timed(plain.Context())
	ctx, cancel := context.WithTimeoutCause(ctx, c.Longest(), timeoutError{c.Longest()})
	defer cancel()
	req, err := retryablehttp.FromRequest(plain.WithContext(ctx))
	if err != nil {
		return answer{}, c.refusedHere(op, err)
	}
	// Reading belongs to the try: an answer that breaks off is as good as none.
	var a answer
	req.SetResponseHandler(func(resp *http.Response) (err error) {
		a, err = read(resp)
		resp.Body = http.NoBody
		return err
	})
	resp, err := c.retrier.Do(req)
	if err != nil {
		if resp != nil {
			drain(resp.Body)
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return answer{}, c.failed(plain.Context(), op, a, err)
	}
	if isBusy(resp.StatusCode) {
		drain(resp.Body)
		a = answer{status: resp.StatusCode, header: resp.Header}
	}
	a.took = took()
	return a, nil
}

// refused returns the error for an answer whose status is not success.
func (c *Client) refused(op string, a answer, by asked) error {
	e := c.newError(op, a.status, judge(a, by))
	e.RetryAfter = retryAfter(a.status, a.header)
	return e
}

// refusedHere returns the error for a request that is not sent.
func (c *Client) refusedHere(op string, err error) error {
	return &Error{Op: op, Kind: ErrBadRequest, Err: err}
}

// failed returns the error for an exchange that brought no answer, or a wrong
// one. A context that ended is no failure of K2HR3's.
func (c *Client) failed(ctx context.Context, op string, a answer, err error) error {
	if wrong, ok := errors.AsType[*answerError](err); ok {
		e := c.newError(op, a.status, verdict{wrong.kind, wrong.hint})
		e.Err = wrong
		return e
	}
	if alone, ok := errors.AsType[aloneError](err); ok {
		e := c.newError(op, 0, verdict{kind: ErrServer})
		e.Err, e.RetryAfter = alone, time.Until(alone.until)
		return e
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	hint, err := c.route.explain(withoutRequest(err), time.Now())
	e := c.newError(op, 0, verdict{ErrTransport, hint})
	e.Err = err
	return e
}

// withoutRequest strips err of the request's URL, which the operation says
// already.
func withoutRequest(err error) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Err
	}
	return err
}

func (c *Client) newError(op string, status int, v verdict) *Error {
	if status == http.StatusProxyAuthRequired {
		v.hint = c.route.hintPassword()
	}
	return &Error{Op: op, Host: c.api.Host, Status: status, Kind: v.kind, Hint: v.hint}
}

// timeoutError says that a try was given up.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string { return fmt.Sprintf("no whole answer within %v", e.after) }
func (e timeoutError) Timeout() bool { return true }
