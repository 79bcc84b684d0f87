package schedule

import "time"

const (
	// lostRound is the least time over which the hosts whose held requests were lost come back.
	lostRound = time.Minute

	// sameAge: held requests that end within that of one age were ended by a limit.
	sameAge = 2 * time.Second

	// leastWorth is the shortest time to have a request held for. Less is no better than the
	// interval.
	leastWorth = 10 * time.Second
)

// hold is what is known of how K2HR3, and what is on the way to it, hold requests.
type hold struct {
	most  time.Duration // how long at most
	holds bool          // the last answer came from a server that holds requests
	lost  time.Duration // the age at which the latest one ended; 0: the latest was answered

	limited bool
	limit   time.Duration // learnt, if limited
}

// ask returns how long K2HR3 may hold the next request; 0: it is not asked to.
func (h *hold) ask() time.Duration {
	if h.limited {
		return min(h.limit, h.most)
	}
	return h.most
}

func (h *hold) heard(r Answer) {
	h.holds = r.Held > 0
	if r.Held == 0 || r.Took >= LeastHold {
		h.lost = 0
	}
}

// failed reports whether a failure is the end of a request that K2HR3 held, and whether that shows
// how long one can be held. Whoever ends two requests at the same age has a limit; it is asked for
// less than that, and where that is not worth it, not at all.
func (h *hold) failed(f Failure) (lost, learnt bool) {
	if !h.holds || !f.Cut || f.Took < LeastHold || h.ask() == 0 {
		return false, false
	}
	learnt = h.lost > 0 && (f.Took-h.lost).Abs() <= sameAge
	h.lost = f.Took
	if learnt {
		h.limited, h.limit, h.lost = true, (f.Took - max(sameAge, f.Took/10)).Truncate(time.Second), 0
		if h.limit < leastWorth {
			h.limit = 0
		}
	}
	return true, learnt
}
