package k2hr3

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The agent promises that K2HR3 gets at most 36 requests in any 10 s, whatever it answers and
// whoever asks. So burst requests may begin at once, and one more after each turn: 34 in any 10 s.
// The other two are those that had their turn before, and are still connecting.
const (
	burst = 14
	turn  = 500 * time.Millisecond
)

// Limiter is what every request to K2HR3 passes, each try of it anew: it holds requests back that
// would be too many, and refuses those to a server that wants to be left alone (Retry-After). All
// clients of a process share one. The zero Limiter is ready for use, also concurrently.
type Limiter struct {
	mu     sync.Mutex
	bucket *rate.Limiter
	alone  map[string]time.Time // until when which host wants to be left alone
}

// wait waits until a request to host may begin. The error is ctx's, or an aloneError.
func (l *Limiter) wait(ctx context.Context, host string) error {
	if err := l.isAlone(host); err != nil {
		return err
	}
	place := l.place()
	delay := place.Delay()
	if delay == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		place.Cancel()
		return ctx.Err()
	case <-timer.C:
		return l.isAlone(host) // another request may have found that out meanwhile
	}
}

// place takes a place in the queue.
func (l *Limiter) place() *rate.Reservation {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bucket == nil {
		l.bucket = rate.NewLimiter(rate.Every(turn), burst)
	}
	return l.bucket.Reserve()
}

func (l *Limiter) isAlone(host string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.alone[host]
	if time.Now().Before(until) {
		return aloneError{until}
	}
	delete(l.alone, host)
	return nil
}

// leaveAlone lets no request to host begin for d.
func (l *Limiter) leaveAlone(host string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alone == nil {
		l.alone = map[string]time.Time{}
	}
	if until := time.Now().Add(d); until.After(l.alone[host]) {
		l.alone[host] = until
	}
}

// disturb lets requests to a host that wants to be left alone begin.
func (l *Limiter) disturb(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.alone, host)
}

// aloneError says that a request is not sent, because the server wants to be left alone.
type aloneError struct{ until time.Time }

func (e aloneError) Error() string {
	return "not asked: it wants to be left alone until " + e.until.Format(time.TimeOnly) + " (Retry-After)"
}
