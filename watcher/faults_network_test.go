package watcher

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// cutAfter ends exchanges that take longer.
func cutAfter(d time.Duration) meddler {
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		ctx, cancel := context.WithCancel(req.Context())
		timer := time.AfterFunc(d, cancel)
		defer timer.Stop()
		resp, err := next.RoundTrip(req.WithContext(ctx))
		if err != nil && ctx.Err() != nil && req.Context().Err() == nil {
			return nil, errors.New("read: connection reset by peer")
		}
		return resp, err
	}
}

// late keeps answers back.
func late(d time.Duration) meddler {
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		select {
		case <-time.After(d):
		case <-req.Context().Done():
		}
		return resp, err
	}
}

// refused makes connecting fail.
func refused(err error) meddler {
	return func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
}

// everySecond exchange fails.
func everySecond() meddler {
	var n atomic.Int32
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if n.Add(1)%2 == 1 {
			return nil, errors.New("read: connection reset by peer")
		}
		return next.RoundTrip(req)
	}
}

func networkFaults() []fault {
	return []fault{
		{name: "connections are cut", wrong: "every connection ends before an answer", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Cut}), asks: 220, says: []string{silent, "EOF"}},
		{name: "reads are cut", wrong: "every read ends before an answer", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Cut}, read), asks: 120, says: []string{silent, "EOF"}},
		{name: "registrations are cut", wrong: "K2HR3 has forgotten the host, and the connection of each registration ends", does: "keeps the file; tries again with growing pauses up to five minutes",
			strike: func(h *host) {
				h.cluster.DropSlave(ownAddr, ownCUK)
				on(fakek2hr3.Fault{Name: fakek2hr3.Cut}, fakek2hr3.OpRegister)(h)
			},
			within: 6 * time.Minute, asks: 300, puts: 1, says: []string{"membership unconfirmed", "register in role", "EOF"}},
		{name: "looks for membership are cut", wrong: "the connection of each look for the membership ends", does: "goes on reading",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Cut}, fakek2hr3.OpProbe), sees: 5 * time.Second, asks: 140, says: []string{"membership unconfirmed", "EOF"}},
		{name: "nothing answers", wrong: "K2HR3 takes connections and never answers", does: keeps + "; gives each request up in time",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Hang}), asks: 60, says: []string{silent, "no whole answer within"}},
		{name: "a registration hangs", wrong: "K2HR3 has forgotten the host, and never answers a registration", does: "keeps the file, and goes on asking",
			strike: func(h *host) {
				h.cluster.DropSlave(ownAddr, ownCUK)
				on(fakek2hr3.Fault{Name: fakek2hr3.Hang}, fakek2hr3.OpRegister)(h)
			},
			within: 6 * time.Minute, asks: 210, puts: 1, says: []string{"membership unconfirmed", "register in role", "no whole answer"}},
		{name: "drip", wrong: "an answer comes in at a byte a second", does: keeps + "; gives it up in time",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Drip, Delay: time.Second}, read), within: 140 * time.Second, asks: 45, says: []string{silent}},
		{name: "slow", wrong: "every answer takes 5 s", does: "waits for it",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 5 * time.Second}), sees: 12 * time.Second, asks: 45, hush: true},
		{name: "very slow", wrong: "every answer takes 19 s, as long as one may", does: "waits for it",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 19 * time.Second}), sees: 30 * time.Second, asks: 45, hush: true},
		{name: "connection refused", wrong: "nothing listens under K2HR3's address", does: keeps,
			strike: every(refused(errors.New("connect: connection refused"))), heal: unmeddled, asks: 5, says: []string{silent, "connection refused"}},
		{name: "no route", wrong: "the host has lost its network", does: keeps,
			strike: every(refused(errors.New("connect: network is unreachable"))), heal: unmeddled, asks: 5, says: []string{silent, "network is unreachable"}},
		{name: "the name does not resolve", wrong: "the name service is down, or has forgotten K2HR3", does: keeps,
			strike: every(refused(&net.DNSError{Err: "no such host", Name: "k2hr3.shop.example", IsNotFound: true})), heal: unmeddled, asks: 5,
			says: []string{silent, "does not resolve here"}},
		{name: "every second exchange fails", wrong: "the network loses every second exchange", does: "asks again soon each time",
			strike: every(everySecond()), heal: unmeddled, sees: 10 * time.Second, asks: 50, says: []string{silent}, each: 40},
	}
}
