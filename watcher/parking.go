package watcher

import (
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

const (
	// parkedProbe is the pause between probes of a chmpx that a parked file waits
	// for, and while the previous file is kept.
	parkedProbe = time.Second

	// previousLimit is how long K2HR3's next texts wait for the previous file to go. One
	// that is kept for longer does no harm: a chmpx that has loaded it runs on.
	previousLimit = time.Minute

	// previousFor: if probes find no chmpx for this long, none has loaded the previous
	// file.
	previousFor = 5 * time.Second
)

// parking is a text that the running chmpx must not load and a fresh one can. Its
// file waits beside the one in place until chmpx is down (render.File.Park).
type parking struct {
	parked   *parked // nil: there is none
	previous *previous
	danger   trouble // it cannot be put in place
	leftover trouble // a previous file cannot be removed

	// misreported is a chmpx that AwaitEnd reported as ended and that still runs: it
	// is in another PID namespace, say. Only probes see its end.
	misreported daemon.Status
	awaited     daemon.Status // the chmpx whose end AwaitEnd waits for, or has reported
}

// parked is the text that waits.
type parked struct {
	candidate
	etag string // empty: the agent found the file when it was started
}

// previous is the file whose place a parked one has taken. It keeps a name until it is
// sure that no chmpx has loaded it.
type previous struct {
	before inPlace
	since  time.Time // when the parked file took its place
}

// waits reports whether a file is parked.
func (p *parking) waits() bool { return p.parked != nil }

// has reports whether the parked file is of this text.
func (p *parking) has(digest string) bool { return p.parked != nil && p.parked.digest == digest }

// is reports whether these are the bytes of the parked file.
func (p *parking) is(b []byte) bool { return p.parked != nil && sum(b) == sum(p.parked.bytes) }

// begin parks a text.
func (p *parking) begin(v parked) { p.parked = &v }

// end ends the wait, and returns what was parked.
func (p *parking) end() parked {
	v := *p.parked
	p.parked = nil
	p.danger.over()
	return v
}

// watch keeps the previous file, whose place the parked one has taken.
func (p *parking) watch(now time.Time, before inPlace) {
	p.previous = &previous{before: before, since: now}
}

// keepsPrevious reports whether the previous file is kept.
func (p *parking) keepsPrevious() bool { return p.previous != nil }

// blocks reports whether K2HR3's next text waits for the previous file to go.
func (p *parking) blocks(now time.Time) bool {
	return p.previous != nil && now.Sub(p.previous.since) < previousLimit
}

// endWatch ends what watch began, and returns the previous file.
func (p *parking) endWatch() previous {
	g := *p.previous
	p.previous = nil
	return g
}

// await takes note of the chmpx whose end AwaitEnd waits for.
func (p *parking) await(st daemon.Status) { p.awaited = st }

// distrustEnd takes note of a chmpx that lives. If its end was reported, that was wrong.
func (p *parking) distrustEnd(st daemon.Status) {
	if st.SameProcess(p.awaited) {
		p.misreported = st
	}
}

// trustsEnd reports whether the end of a chmpx is worth waiting for.
func (p *parking) trustsEnd(st daemon.Status) bool { return !st.SameProcess(p.misreported) }

// previousNews is what a probe says of the previous file.
type previousNews int

const (
	previousUnsure previousNews = iota // it is not sure yet who has loaded what
	previousOver                       // nobody has loaded it
	previousRuns                       // chmpx has
)

// look takes a probe while the previous file is kept. revision is that of the file in
// place.
func (p *parking) look(now time.Time, r probed, revision int) previousNews {
	switch found := r.presence(); {
	case found == foundRunning && !r.before && r.status.Revision == revision:
		return previousOver
	case found == foundRunning && p.previous.before.config != nil && r.status.Revision == p.previous.before.config.FileVersion:
		return previousRuns // one that is just starting shows no revision, or any
	case found == foundDown && now.Sub(p.previous.since) >= previousFor:
		return previousOver
	}
	return previousUnsure
}

// target is the configuration of a chmpx that may have loaded the previous file,
// nil if none may have.
func (p *parking) target() *chmpx.Config {
	if p.previous == nil {
		return nil
	}
	return p.previous.before.config
}
