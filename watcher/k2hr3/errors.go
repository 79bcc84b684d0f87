package k2hr3

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The kinds of failure, for errors.Is. Every error of an exchange is one of
// them, except that of a context which ended: that one is the context's.
var (
	// ErrUnauthorized: status 401. The token is expired, revoked or unknown,
	// the role was recreated, or K2HR3's store is down; K2HR3 answers the same
	// in all cases, so a token must not be thrown away for it.
	ErrUnauthorized = errors.New("not authorized")
	// ErrNotMember: by its address and CUK this host is not a member of the
	// role, or K2HR3's store is down.
	ErrNotMember = errors.New("not a member of the role")
	// ErrNotAllowed: the role may not read the resource, or there is no such
	// resource, or no such role.
	ErrNotAllowed = errors.New("not allowed to read the resource")
	// ErrTemplate: the resource exists, but K2HR3 cannot render its template.
	ErrTemplate = errors.New("template not rendered")
	// ErrNotFound: any other 404.
	ErrNotFound = errors.New("not found")
	// ErrBadRequest: K2HR3 refused the arguments, or the client did not send them
	// because K2HR3 would have to.
	ErrBadRequest = errors.New("bad request")
	// ErrUserData: K2HR3 has no role token at the address of user data.
	ErrUserData = errors.New("no role token in the user data")
	// ErrOtherRole: the role token in the user data is one for another role.
	ErrOtherRole = errors.New("role token of another role")
	// ErrServer: K2HR3, its store or a gateway in front of it is out of order or
	// overloaded.
	ErrServer = errors.New("server trouble")
	// ErrAnswer: something answered, but not as K2HR3 does.
	ErrAnswer = errors.New("not an answer of K2HR3")
	// ErrTooLarge: the answer is larger than MaxAnswer.
	ErrTooLarge = errors.New("answer too large")
	// ErrTransport: no whole answer: name resolution, network, TLS, time.
	ErrTransport = errors.New("no answer")
)

// Error is a failed exchange. Its text is for the operator: what was attempted,
// where, what came of it, what it may mean and what to do. It contains no token
// and nothing of the answer's body.
type Error struct {
	// Op is what was attempted, with what: "register in role yrn:…".
	Op string
	// Host is the host and port of the API.
	Host string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Kind is one of the package's sentinels.
	Kind error
	// Hint says what it may mean and what to do; it may be empty.
	Hint string
	// RetryAfter is the time for which the server asked to be left alone,
	// at most MaxRetryAfter; 0 if it did not.
	RetryAfter time.Duration
	// Took is how long K2HR3 had a request for a RESOURCE, or for a word that it is there, or one
	// to take the host out that it says no to; 0 for another one, and if it never had.
	Took time.Duration
	// Err is the cause, if there is one besides the status.
	Err error
}

func (e *Error) Error() string {
	text := e.Op
	switch {
	case e.Status != 0 && e.Err != nil:
		text += fmt.Sprintf(": %s answered with status %d: %v", e.Host, e.Status, e.Err)
	case e.Status != 0:
		text += fmt.Sprintf(": %s answered with status %d (%v)", e.Host, e.Status, e.Kind)
	case e.Err != nil && e.Host != "":
		text += fmt.Sprintf(": %s: %v", e.Host, e.Err)
	case e.Err != nil:
		text += fmt.Sprintf(": %v", e.Err)
	default:
		text += fmt.Sprintf(": %v", e.Kind)
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Cut reports whether K2HR3 had the request, and the connection ended or a gateway gave up before
// there was an answer.
func (e *Error) Cut() bool {
	switch e.Status {
	case 0:
		return errors.Is(e.Kind, ErrTransport) && e.Took > 0 && !e.Timeout()
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return e.RetryAfter == 0
	}
	return false
}

// NotAsked reports whether the request was not sent, because K2HR3 wants to be left alone.
func (e *Error) NotAsked() bool { return e.Status == 0 && e.RetryAfter > 0 }

// lasted notes for how long K2HR3 had the request that err is about, if it had.
func lasted(err error, took func() time.Duration, had func() bool) error {
	if e, ok := errors.AsType[*Error](err); ok && had() {
		e.Took = took()
	}
	return err
}

// Took returns how long K2HR3 had the requests that an error is about, all together.
func Took(err error) time.Duration {
	switch e := err.(type) { //nolint:errorlint // each error of the tree, not the first one
	case *Error:
		return e.Took
	case interface{ Unwrap() error }:
		return Took(e.Unwrap())
	case interface{ Unwrap() []error }:
		var sum time.Duration
		for _, err := range e.Unwrap() {
			sum += Took(err)
		}
		return sum
	}
	return 0
}

// Timeout reports whether the exchange took longer than it was allowed to.
func (e *Error) Timeout() bool { return isTimeout(e.Err) }
