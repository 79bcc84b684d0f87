package k2hr3

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	maxTries  = 4
	retryBase = 250 * time.Millisecond
	retryCap  = 5 * time.Second

	// MaxRetryAfter bounds for how long a server may have itself left alone, and patience for
	// how long one exchange waits for that; the caller waits for more.
	MaxRetryAfter = 15 * time.Minute
	patience      = 30 * time.Second

	// allTries is what several tries of an exchange and the pauses between them may
	// take, besides the limits of one try.
	allTries = 2 * time.Minute
)

// Longest returns the most that one exchange takes, with all its tries and the
// pauses between them; for Resource the time that K2HR3 may hold it comes on
// top.
func (c *Client) Longest() time.Duration { return connectLimit + c.timeout + allTries }

// newRetrier returns the client for exchanges that are tried again, over base.
func newRetrier(base *http.Client, tries int, log *slog.Logger) *retryablehttp.Client {
	r := retryablehttp.NewClient()
	r.HTTPClient = base
	r.Logger = debugLogger{log}
	r.RetryMax = tries - 1
	r.RetryWaitMin = retryBase
	r.RetryWaitMax = retryCap
	r.CheckRetry = shouldRetry
	r.Backoff = backoff
	r.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return r
}

// shouldRetry: a connection that failed and a server that says "not now" are
// tried again. A timeout is not, since it has cost as much as all tries
// together; nor is a certificate, which stays as it is, nor a server that wants
// to be left alone for long.
func shouldRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return retryable(err), nil
	default:
		return isBusy(resp.StatusCode) && retryAfter(resp.StatusCode, resp.Header) <= patience, nil
	}
}

func retryable(err error) bool {
	var answer *answerError
	var alone aloneError
	return !isTimeout(err) && !isCertificateError(err) && !errors.As(err, &answer) && !errors.As(err, &alone)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func isBusy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// backoff returns a random time up to base·2ⁿ ("full jitter"), at most top. A
// Retry-After is waited for besides; the random part keeps the hosts of a cluster
// from coming back in one instant.
func backoff(base, top time.Duration, attempt int, resp *http.Response) time.Duration {
	wait := rand.N(min(top, base<<min(attempt, 20)))
	if resp != nil {
		wait += retryAfter(resp.StatusCode, resp.Header)
	}
	return wait
}

// retryAfter returns the time for which an answer that is no success asks to be left alone, at most
// MaxRetryAfter, or 0. K2HR3 itself never asks (docs/k2hr3.md B.6), a gateway does with any status.
// It means a date by its own clock, which the answer tells.
func retryAfter(status int, header http.Header) time.Duration {
	if status < 300 || status == http.StatusNotModified {
		return 0
	}
	value := header.Get("Retry-After")
	if at, err := http.ParseTime(value); err == nil {
		now, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(seconds, uint64(MaxRetryAfter/time.Second))) * time.Second
}

// debugLogger sends everything the retrying client says to Debug: a try that
// failed is no error before the last one has, and the exchange reports that.
type debugLogger struct{ log *slog.Logger }

func (d debugLogger) Error(msg string, kv ...any) { d.Debug(msg, kv...) }
func (d debugLogger) Warn(msg string, kv ...any)  { d.Debug(msg, kv...) }
func (d debugLogger) Info(msg string, kv ...any)  { d.Debug(msg, kv...) }

func (d debugLogger) Debug(msg string, kv ...any) {
	for i, value := range kv {
		if err, ok := value.(error); ok {
			kv[i] = withoutQuotes(err)
		}
	}
	d.log.Debug(msg, kv...)
}
