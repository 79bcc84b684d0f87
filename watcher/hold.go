package watcher

import (
	"log/slog"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

const (
	// holdProbe is the pause between probes of a chmpx that a held file waits
	// for, and while a file is guarded.
	holdProbe = time.Second

	// guardLimit is how long K2HR3's next texts wait for a file to be guarded no more.
	// A guard that ends later does no harm: the chmpx that it is for runs on.
	guardLimit = time.Minute

	// guardFor is how long chmpx has to be down for it to be sure that none has
	// loaded the file before: one that has is seen within moments.
	guardFor = 5 * time.Second
)

// hold is a text that the running chmpx must not load and a fresh one can. Its
// file waits beside the one in place until chmpx is down (render.File.Hold).
type hold struct {
	held   *held // nil: there is none
	guard  *guard
	danger trouble // it cannot be put in place

	// misreported is a chmpx that AwaitEnd reported as ended and that still runs: it
	// is in another PID namespace, say. Only probes see its end.
	misreported daemon.Status
}

// held is the text that waits.
type held struct {
	candidate
	etag string // empty: the agent found the file when it was started
}

// guard is the file before, after a held one has taken its place.
type guard struct {
	before inPlace
	since  time.Time // when the held file took its place
}

func newHold(log *slog.Logger) hold { return hold{danger: trouble{log: log}} }

// waits reports whether a file is held.
func (h *hold) waits() bool { return h.held != nil }

// has reports whether the held file is of this text.
func (h *hold) has(digest string) bool { return h.held != nil && h.held.digest == digest }

// is reports whether these are the bytes of the held file.
func (h *hold) is(b []byte) bool { return h.held != nil && sum(b) == sum(h.held.bytes) }

// begin holds a text.
func (h *hold) begin(v held) { h.held = &v }

// end ends the wait, and returns what was held.
func (h *hold) end() held {
	v := *h.held
	h.held = nil
	h.danger.over()
	return v
}

// watch guards the file before a held one that has taken its place.
func (h *hold) watch(now time.Time, before inPlace) {
	h.guard = &guard{before: before, since: now}
}

// guarded reports whether a file is guarded.
func (h *hold) guarded() bool { return h.guard != nil }

// blocks reports whether a file is guarded and K2HR3's next text waits for the end of
// that.
func (h *hold) blocks(now time.Time) bool {
	return h.guard != nil && now.Sub(h.guard.since) < guardLimit
}

// endWatch ends the guard, and returns it.
func (h *hold) endWatch() guard {
	g := *h.guard
	h.guard = nil
	return g
}

// distrustEnd takes note that a chmpx lives whose end was told of.
func (h *hold) distrustEnd(st daemon.Status) { h.misreported = st }

// trustsEnd reports whether the end of a chmpx is worth waiting for.
func (h *hold) trustsEnd(st daemon.Status) bool {
	return !sameProcess(h.misreported, st)
}

// guardEvent is what a probe says of a guarded file.
type guardEvent int

const (
	guardOn     guardEvent = iota // it is not sure yet who has loaded what
	guardOver                     // nobody has loaded the file before
	guardBroken                   // chmpx has
)

// look takes a probe while a file is guarded. revision is that of the file in
// place.
func (h *hold) look(now time.Time, p probed, revision int) guardEvent {
	switch found := p.presence(); {
	case found == foundRunning && !p.before && p.status.Revision == revision:
		return guardOver
	case found == foundRunning && h.guard.before.config != nil && p.status.Revision == h.guard.before.config.FileVersion:
		return guardBroken // one that is just starting shows no revision, or any
	case found == foundDown && now.Sub(h.guard.since) >= guardFor:
		return guardOver
	}
	return guardOn
}

// target is the configuration of a chmpx that may have loaded the file before,
// nil if none may have.
func (h *hold) target() *chmpx.Config {
	if h.guard == nil {
		return nil
	}
	return h.guard.before.config
}
