package k2hr3

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Asked is one request, and what came of it.
type Asked struct {
	Outcome Outcome
	// Took is from the connection until K2HR3 began to answer; 0 without an answer, and for a
	// request that K2HR3 held.
	Took time.Duration
}

// Outcome is what came of a request.
type Outcome string

// The outcomes of a request.
const (
	OutcomeOK          Outcome = "ok"
	OutcomeNotModified Outcome = "not_modified"
	OutcomeRefused     Outcome = "refused"      // K2HR3 said no: status 3xx or 4xx
	OutcomeServerError Outcome = "server_error" // it is busy or out of order: 429 or 5xx
	OutcomeNoAnswer    Outcome = "no_answer"    // network, TLS, or no answer in time
	OutcomeGivenUp     Outcome = "given_up"     // by the agent: another was more urgent, or it ends
)

// Outcomes lists all outcomes.
func Outcomes() []Outcome {
	return []Outcome{OutcomeOK, OutcomeNotModified, OutcomeRefused, OutcomeServerError, OutcomeNoAnswer, OutcomeGivenUp}
}

// outcomeOf sums up a request that has been made.
func outcomeOf(resp *http.Response, err error, took time.Duration) Asked {
	switch {
	case errors.Is(err, context.Canceled):
		return Asked{Outcome: OutcomeGivenUp}
	case err != nil:
		return Asked{Outcome: OutcomeNoAnswer}
	}
	a := Asked{Outcome: OutcomeOK, Took: took}
	switch status := resp.StatusCode; {
	case status == http.StatusNotModified:
		a.Outcome = OutcomeNotModified
	case status >= 500 || status == http.StatusTooManyRequests:
		a.Outcome = OutcomeServerError
	case status >= 300:
		a.Outcome = OutcomeRefused
	}
	if heldFor(resp.Header) > 0 {
		a.Took = 0
	}
	return a
}
