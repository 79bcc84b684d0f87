package watcher

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

const read = fakek2hr3.OpResource

// every has a meddler at each exchange.
func every(m meddler) func(h *host) {
	return func(h *host) { h.meddle.Store(&m) }
}

func unmeddled(h *host) { h.meddle.Store(nil) }

// status is a fault that answers with a status, without a body.
func status(code int) fakek2hr3.Fault { return fakek2hr3.Fault{Name: fakek2hr3.Redirect, Status: code} }

func serverFaults() []fault {
	return []fault{
		{name: "401 to every read", wrong: "K2HR3 refuses every read as unauthorized", does: keeps + "; tries address and token each time, and keeps the token",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.WrongJSON, Status: 401, Body: `{"result":false,"message":"token(x) is not existed"}`}, read), asks: 300, says: []string{silent, "401", "expired", "store is down"}},
		{name: "403 with Retry-After", wrong: "a gateway refuses every read with 403 and Retry-After: 3600", does: keeps + "; leaves K2HR3 alone, for 15 min at most",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Redirect, Status: 403, RetryAfter: "3600"}, read), lasts: 40 * time.Minute, within: 17 * time.Minute, asks: 6, says: []string{silent, "403"}},
		{name: "401 to everything", wrong: "K2HR3 refuses everything as unauthorized", does: keeps,
			strike: on(status(401)), asks: 350, says: []string{silent, "401"}},
		{name: "403 to every read", wrong: "something before K2HR3 forbids reading", does: keeps,
			strike: on(status(403), read), asks: 110, says: []string{silent, "403"}},
		{name: "404 to every read", wrong: "K2HR3 finds nothing, without a reason", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.NotFound}, read), asks: 120, says: []string{silent, "404"}},
		{name: "404 to everything", wrong: "another server answers under K2HR3's address", does: keeps + "; registers nowhere",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.NotFound}), asks: 140, says: []string{silent, "404"}},
		{name: "500 to every read", wrong: "K2HR3 fails inside when it is read", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.InternalError}, read), asks: 120, says: []string{silent, "500", "its log says why"}},
		{name: "500 to everything", wrong: "K2HR3 fails inside, whatever it is asked", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.InternalError}), asks: 130, says: []string{silent, "500"}},
		{name: "500 for 20 seconds", wrong: "K2HR3 is restarted", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.InternalError}), lasts: 20 * time.Second, asks: 20, says: []string{silent, "500"}},
		{name: "store down", wrong: "K2HR3's store is down: 404 by address, 401 by token, 403 to a look for membership, and its API is up", does: keeps + "; is not registered anew",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.BackendDown}), asks: 430, says: []string{silent, "its API is up", "not a member", "store is down"}},
		{name: "store down and slow", wrong: "the same, and K2HR3 takes 14 s to say so", does: keeps + "; does not believe a no that takes so long",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second}), within: 110 * time.Second, asks: 170, says: []string{silent, "not a member"}},
		{name: "store down for a day", wrong: "the same for a day", does: keeps + "; is a member afterwards without having registered",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second}), lasts: 24 * time.Hour, within: 110 * time.Second, asks: 6940, says: []string{silent, "not a member"}},
		{name: "tokens expired and address unknown", wrong: "K2HR3 neither knows the address nor takes any token", does: keeps,
			strike: func(h *host) {
				on(fakek2hr3.Fault{Name: fakek2hr3.TokensExpired})(h)
				on(fakek2hr3.Fault{Name: fakek2hr3.NotFound}, read)(h)
			}, asks: 110, says: []string{silent, "404"}},
		{name: "empty text", wrong: "the RESOURCE's text is empty", does: "refuses the text, keeps the file, asks again with growing pauses",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.EmptyText}), asks: 110, says: []string{"RESOURCE not applied; slave.ini unchanged", "not applied", "reject"}},
		{name: "broken template", wrong: "the RESOURCE's template has a fault", does: keeps + "; does not log the template",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.BrokenTemplate}), asks: 130, says: []string{silent, "its owner has to correct it"}},
		{name: "no server node", wrong: "all server nodes have left the cluster", does: "keeps the last file until there is one again, since chmpx ends on a file without servers",
			strike: func(h *host) { h.leave(1) }, late: true, asks: 100, says: []string{"RESOURCE not applied; slave.ini unchanged", "no server nodes yet"}},
		{name: "fewer servers than min-servers", wrong: "the answer lists fewer server nodes than the operator wants", does: "keeps the file",
			before: func(h *host) { h.config.MinServers = 2; h.join(3) },
			strike: func(h *host) { h.leave(3) }, late: true, asks: 100, says: []string{"RESOURCE not applied; slave.ini unchanged", "min-servers (2)"}},
		{name: "a server registers again", wrong: "one answer comes in the moment in which a server registers again, and lacks it", does: "puts it in place, sees in the ring that it was wrong, and asks again at once",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.RejoinGap, CUK: serverCUK(1), Next: 1}, read), sees: 20 * time.Second, writes: 2, asks: 50, hush: true},
		{name: "the only server registers again", wrong: "the same, and no other server is left in the answer", does: "refuses the text and asks again",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.RejoinGap, Next: 1}, read), late: true, asks: 45, says: []string{"no server nodes yet"}},
		{name: "this host is missing in one answer", wrong: "an answer lacks this host, without which chmpx could not be started again", does: "refuses the text, asks again, and does not register for it",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.RejoinGap, CUK: ownCUK, Next: 1}, read), sees: 10 * time.Second, asks: 50, says: []string{"RESOURCE not applied; slave.ini unchanged", "reject"}},
		{name: "a text that kills chmpx", wrong: "somebody has spoilt the RESOURCE: chmpx would end on it", does: "refuses the text, keeps the file",
			strike: spoilt("= SLAVE\n", "= SLAVES\n"), heal: mended, late: true, asks: 110, says: []string{"RESOURCE not applied; slave.ini unchanged", "reject"}},
		{name: "a text that overruns chmpx's tables", wrong: "MAXCHMPX is less than there are servers", does: "refuses the text, keeps the file",
			strike: spoilt("MAXCHMPX            = 256", "MAXCHMPX            = 1"), heal: mended, late: true, asks: 100, says: []string{"RESOURCE not applied; slave.ini unchanged", "dangerous"}},
		{name: "another GROUP", wrong: "the RESOURCE becomes that of another cluster, which a running chmpx never takes", does: "holds the text until chmpx is restarted, keeps the file",
			strike: spoilt("GROUP               = orders", "GROUP               = invoices"), heal: mended, late: true, asks: 100, says: []string{"RESOURCE waits for a restart of chmpx", "GROUP"}},
		{name: "half a text", wrong: "the RESOURCE's text was saved by halves", does: "refuses the text, keeps the file",
			strike: func(h *host) { text := h.cluster.Text(); h.cluster.SetText(text[:len(text)/2]) }, heal: mended, late: true, asks: 110,
			says: []string{"RESOURCE not applied; slave.ini unchanged", "not applied"}},
	}
}

func spoilt(what, with string) func(h *host) {
	return func(h *host) {
		text := h.cluster.Text()
		if !strings.Contains(text, what) {
			h.t.Fatalf("the text has no %q", what)
		}
		h.cluster.SetText(strings.Replace(text, what, with, 1))
	}
}

func mended(h *host) { h.cluster.ClearText() }

func wrongAnswerFaults() []fault {
	rows := []fault{
		{name: "a web page", wrong: "a portal or proxy answers 200 with HTML", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.HTMLPage}), asks: 130, says: []string{silent, "web page"}},
		{name: "a redirect", wrong: "something redirects to another server", does: keeps + "; does not follow, and never sends the token there",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Redirect, Location: "http://portal.example/login"}), asks: 140, says: []string{silent, "redirects are not followed", "portal.example"}},
		{name: "502", wrong: "the gateway before K2HR3 cannot reach it", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.BadGateway}), asks: 200, says: []string{silent, "502"}},
		{name: "503 with Retry-After 25", wrong: "a gateway wants to be left alone for 25 s", does: keeps + "; leaves it alone for as long",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "25"}, read), asks: 90, says: []string{silent, "503"}},
		{name: "503 with Retry-After 3600", wrong: "a gateway wants to be left alone for an hour", does: keeps + "; leaves it alone for 15 min at most, whatever there is to ask",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: "3600"}, read), lasts: 40 * time.Minute, within: 17 * time.Minute, asks: 6, says: []string{silent, "503"}},
		{name: "503 with a date", wrong: "a gateway wants to be left alone until a time of day", does: keeps + "; leaves it alone until then, for 15 min at most",
			strike: func(h *host) {
				on(fakek2hr3.Fault{Name: fakek2hr3.Unavailable, RetryAfter: time.Now().Add(2 * time.Hour).UTC().Format(http.TimeFormat)}, read)(h)
			}, lasts: 40 * time.Minute, within: 17 * time.Minute, asks: 6, says: []string{silent, "503"}},
		{name: "429", wrong: "a gateway says that it is asked too often", does: keeps,
			strike: on(status(429), read), asks: 130, says: []string{silent, "429", "too often"}},
		{name: "407", wrong: "a proxy wants a password", does: keeps,
			strike: on(status(407), read), asks: 120, says: []string{silent, "407", "HTTP_PROXY names none"}},
		{name: "431", wrong: "K2HR3 finds the request too long", does: keeps,
			strike: on(status(431), read), asks: 240, says: []string{silent, "431"}},
		{name: "truncated", wrong: "each answer ends in the middle", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Truncated}, read), asks: 130, says: []string{silent, "broke off"}},
		{name: "oversized", wrong: "the answer is larger than a MiB", does: keeps + "; reads no more of it than that",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Oversized, Size: 1 << 20}, read), lasts: 3 * time.Minute, asks: 30, says: []string{silent, "larger than"}},
		{name: "gzip", wrong: "a gateway compresses what was not to be compressed", does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.Gzipped}, read), asks: 120, says: []string{silent, "gzip"}},
		{name: "304 unasked", wrong: "a cache answers that nothing has changed to a request that did not ask that", does: "asks again; a host without its file goes on asking for the text",
			before: func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.NoETag}) }, // so there is nothing to compare with
			strike: func(h *host) { h.api.ClearFaults(); every(notModified)(h) }, heal: unmeddled, asks: 120, says: []string{silent, "nothing has changed"}},
		{name: "304 for ever", wrong: "a broken cache says for ever that nothing has changed", does: "cannot know; asks at the ring's and the interval's rhythm",
			strike: every(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if req.Header.Get("If-None-Match") == "" {
					return next.RoundTrip(req)
				}
				return notModified(req, next)
			}), heal: unmeddled, asks: 80, says: []string{"chmpx has other servers than slave.ini"}, once: true},
		{name: "no ETag", wrong: "the answers have no ETag", does: "compares the texts itself",
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.NoETag}), sees: 5 * time.Second, asks: 45, hush: true},
		{name: "the same ETag for another text", wrong: "a gateway gives every text the same ETag", does: "goes by the text",
			strike: every(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				req = req.Clone(req.Context())
				req.Header.Del("If-None-Match")
				resp, err := next.RoundTrip(req)
				if err == nil && resp.Header.Get("ETag") != "" {
					resp.Header.Set("ETag", `W/"1-fixed"`)
				}
				return resp, err
			}), heal: unmeddled, sees: 5 * time.Second, asks: 45, hush: true},
	}
	bodies := fakek2hr3.WrongBodies()
	for _, what := range slices.Sorted(maps.Keys(bodies)) {
		rows = append(rows, fault{name: "wrong JSON: " + what, wrong: "the answer to a read is not K2HR3's: " + what, does: keeps,
			strike: on(fakek2hr3.Fault{Name: fakek2hr3.WrongJSON, Body: bodies[what]}, read), asks: 150, says: []string{silent, "answer"}})
	}
	return rows
}

func notModified(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(req)
	if err != nil || !strings.Contains(req.URL.Path, "/resource/") {
		return resp, err
	}
	resp.Body.Close()
	return &http.Response{StatusCode: http.StatusNotModified, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func holds(h *host) { h.api.Hold(time.Minute) }

// replicasInTurn has two replicas answer in turn. The one does not know the last server yet.
func replicasInTurn(h *host) {
	var behind atomic.Bool
	every(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if strings.Contains(req.URL.Path, "/resource/") {
			if behind.CompareAndSwap(false, true) {
				h.join(9)
			} else {
				behind.Store(false)
				h.leave(9)
			}
		}
		return next.RoundTrip(req)
	})(h)
}

func holdFaults() []fault {
	return []fault{
		{name: "stops holding", wrong: "a K2HR3 that held requests does not any more", does: "asks when the ring tells and at the interval",
			before: holds, strike: func(h *host) { h.api.Hold(0) }, sees: 5 * time.Second, asks: 45, hush: true},
		{name: "starts holding", wrong: "K2HR3 learns to hold requests", does: "has a request held all the time",
			strike: holds, heal: func(h *host) {
				if h.api.Held() != 1 {
					h.t.Errorf("%d requests are held", h.api.Held())
				}
			}, sees: 5 * time.Second, asks: 60, hush: true},
		{name: "claims to hold", wrong: "K2HR3 says that it holds, and answers 304 at once", does: "asks at the interval",
			strike: func(h *host) { h.api.Hold(time.Nanosecond) }, sees: 5 * time.Second, asks: 50, hush: true},
		{name: "claims to hold and has no ETag", wrong: "K2HR3 says that it holds, and answers with the whole text at once", does: "asks with growing pauses up to the interval",
			strike: func(h *host) { h.api.Hold(time.Nanosecond); on(fakek2hr3.Fault{Name: fakek2hr3.NoETag})(h) }, sees: 5 * time.Second, asks: 110, hush: true},
		{name: "holds longer than asked", wrong: "a held request is answered 15 s late", does: "waits for it, for the time of an answer besides the time asked for",
			before: holds, strike: every(late(15 * time.Second)), heal: unmeddled, sees: 20 * time.Second, asks: 50, hush: true},
		{name: "a held request is never answered", wrong: "K2HR3 takes a request to be held, and falls silent", does: "gives it up after wait and timeout, and asks again",
			before: holds, strike: on(fakek2hr3.Fault{Name: fakek2hr3.Hang}, read), asks: 45, says: []string{"cannot read the RESOURCE from K2HR3", "no whole answer within 1m15s"}},
		{name: "held requests are cut", wrong: "a middlebox ends what is silent for 30 s", does: "learns it from two of them, and has its requests held for less from then on",
			before: holds, strike: every(cutAfter(30 * time.Second)), heal: unmeddled, sees: 5 * time.Second, asks: 80, says: []string{"asking it to hold them for less"}, each: 1},
		{name: "held requests are lost", wrong: "K2HR3 is restarted under the requests that it holds", does: "asks again within a minute, by its turn, and at once if the ring has changed; says nothing, as nothing has failed yet",
			before: holds, strike: on(fakek2hr3.Fault{Name: fakek2hr3.Cut, Next: 1}, read), sees: 5 * time.Second, asks: 45, hush: true},
		{name: "a burst of changes", wrong: "twenty servers join within a few seconds", does: "replaces the file once a second at most",
			before: holds, strike: func(h *host) {
				for n := range 20 {
					h.join(10 + n)
					h.pass(100 * time.Millisecond)
				}
			}, heal: func(h *host) {
				if n := len(h.texts()); n > 6 {
					h.t.Errorf("%d replacements", n)
				}
			}, sees: 5 * time.Second, writes: -1, asks: 80, hush: true},
		{name: "replicas disagree and hold", wrong: "two replicas of K2HR3 behind one address have different texts and answer in turn, at once because the ETag differs", does: "asks with growing pauses up to the interval, and says that K2HR3 contradicts itself",
			before: holds, strike: replicasInTurn, heal: func(h *host) {
				// At pauses up to the interval, by chance: 68 on average, 4.4 off, 82 at
				// most of 278 times.
				if n := len(h.texts()); n > 90 {
					h.t.Errorf("%d replacements", n)
				}
				unmeddled(h)
				h.leave(9)
			}, late: true, sees: time.Nanosecond, writes: -1, asks: 130, says: []string{"K2HR3 contradicts itself", "replicas"}},
		{name: "the store goes while a request is held", wrong: "K2HR3's store goes down under a held request", does: "keeps the file; is not registered anew; has a request held again afterwards",
			before: holds, strike: on(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second}), within: 110 * time.Second, asks: 180, says: []string{"cannot read the RESOURCE from K2HR3", "not a member"}},
	}
}
