package watcher

import (
	"errors"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
	"k2hdkc-slave-agent/watcher/schedule"
)

// membership decides when this host's membership in the role is checked.
type membership struct {
	next  alarm
	again bool // check anew when the check under way has ended

	known   member.Identity // what K2HR3 knows this host by
	sure    bool            // the last check found no fault
	checked bool            // there was a check since the start

	checkedAt time.Time // the latest check
	since     time.Time // when K2HR3 confirmed it after it had not; zero: it does not

	schedule schedule.Checking
	doubts   trouble
}

// checked is what came of one check.
type checked struct {
	known      member.Identity
	err        error
	registered bool // anew
	took       time.Duration
}

// checking is what membership has to know of the other parts.
type checking struct {
	silent  bool    // the log says already that K2HR3 gives no answer
	stretch float64 // by how much K2HR3 is asked less often, as it is busy
}

func (m *membership) plan(now time.Time, d time.Duration) { m.next.set(now.Add(d)) }

// repeat has the check under way followed by another one.
func (m *membership) repeat() { m.again = true }

// recall sets what K2HR3 knew the host by before the agent was started.
func (m *membership) recall(known member.Identity) { m.known = known }

// result takes what came of a check and plans the next one. It reports whether
// K2HR3 knows the host by something else than before, and whether the RESOURCE
// is to be asked for now: after the first check, whatever came of it, because the
// host may be able to read all the same; and after each registration, which
// changes the text. That K2HR3 gives no answer is not said twice, nor if the request that
// follows is about to say it.
func (m *membership) result(now time.Time, c checked, s checking) (changed, ask bool) {
	changed, m.known = m.known != c.known, c.known
	ask = !m.checked || c.registered
	silent := s.silent || ask
	m.checked, m.checkedAt = true, now
	m.sure = c.err == nil
	switch {
	case c.err != nil:
		m.since = time.Time{}
	case m.since.IsZero():
		m.since = now
	}
	switch {
	case c.err == nil:
		m.doubts.over()
		m.plan(now, m.schedule.OK(s.stretch))
	case errors.Is(c.err, member.ErrMissing):
		m.doubts.report(now, slog.LevelWarn, "membership unconfirmed", c.err)
		m.plan(now, m.schedule.Missing())
	default:
		if silent && errors.Is(c.err, k2hr3.ErrTransport) {
			m.doubts.leave(c.err)
		} else {
			m.doubts.report(now, slog.LevelWarn, "membership unconfirmed", c.err)
		}
		m.plan(now, m.pauseAfter(c, s.stretch))
	}
	if m.again {
		m.again = false
		m.plan(now, 0)
	}
	return changed, ask
}

// pauseAfter is the time to the next check after one that failed: not before K2HR3 wants to be
// asked again and, if it was not asked for that reason, right then.
func (m *membership) pauseAfter(c checked, stretch float64) time.Duration {
	e, ok := errors.AsType[*k2hr3.Error](c.err)
	if !ok {
		e = &k2hr3.Error{}
	}
	if e.NotAsked() {
		return e.RetryAfter
	}
	took := c.took
	if e.Status == 0 && !e.Timeout() {
		took = 0 // K2HR3 did not have the request
	}
	return max(e.RetryAfter, m.schedule.Failed(took, stretch))
}

// moved rechecks the membership now, from the host's new address. While the host
// cannot register under that, each answer says again that it has moved; what was
// planned then holds.
func (m *membership) moved(now time.Time) {
	if m.sure {
		m.sure = false
		m.plan(now, 0)
	}
}

// doubt rechecks the membership soon, unless a check is planned for that already.
func (m *membership) doubt(now time.Time) {
	if m.sure {
		m.sure = false
		m.plan(now, m.schedule.Doubt())
	}
}
