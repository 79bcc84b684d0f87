package watcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

// absentPause is the shortest pause between probes while there is no chmpxstatus,
// or none that can be run; chmpx may be installed, or mended, after the agent.
const absentPause = time.Minute

// probe is what is known of the running chmpx, and decides when it is looked at.
type probe struct {
	log  *slog.Logger
	peek time.Duration
	// direct is peek where chmpxstatus does not have to run for a look.
	direct time.Duration
	next   alarm

	// target is what to look for while there is no file.
	target *chmpx.Config

	ran     time.Time // when the latest one began for which chmpxstatus ran
	starves bool      // the latest one did not show that chmpx is connected to a server

	found presence       // by the latest probe
	err   error          // of the latest probe
	asked int            // how often chmpxstatus has shown this chmpx
	last  *daemon.Status // nil: chmpx is not running, as far as is known

	// gone is a chmpx that the latest probes have not found any more, since goneAt, and of which
	// the log has not said so: it may be restarted just now. nil: there is none.
	gone   *daemon.Status
	goneAt time.Time
}

// untilDirect is how often chmpxstatus may have to show a chmpx until its memory can be looked at
// instead: it changes a lot while it starts.
const untilDirect = 3

// mayReturn is how long a chmpx that is gone is taken for one that is being restarted.
const mayReturn = time.Second

// calmPause is the pause between probes while each change of what they show is waited for.
const calmPause = 30 * time.Second

// presence is how a probe finds chmpx.
type presence int

const (
	neverProbed    presence = iota // there was no probe yet
	foundRunning                   // it runs
	foundDown                      // it does not run
	foundHidden                    // the probe failed
	foundNoProgram                 // there is no program to probe with
	foundUnusable                  // the program to probe with cannot be run
)

// probed is what came of one probe.
type probed struct {
	status daemon.Status
	err    error
	before bool // the chmpx is one of the previous file
	began  time.Time
}

func (r probed) presence() presence {
	switch {
	case r.err == nil:
		return foundRunning
	case errors.Is(r.err, daemon.ErrNotRunning):
		return foundDown
	case errors.Is(r.err, daemon.ErrNotInstalled):
		return foundNoProgram
	case errors.Is(r.err, daemon.ErrCannotRun):
		return foundUnusable
	}
	return foundHidden
}

// blind: as long as nobody mends the installation, no probe shows anything.
func (p presence) blind() bool { return p == foundNoProgram || p == foundUnusable }

func newProbe(c Config, log *slog.Logger) probe {
	return probe{log: log, peek: c.Peek, direct: cmp.Or(c.PeekDirect, c.Peek)}
}

// plan plans the next probe, later than wanted where it would keep chmpx from connecting.
func (p *probe) plan(now time.Time, d time.Duration) {
	at := now.Add(d)
	if least := p.ran.Add(daemon.Starves); p.starves && at.Before(least) {
		at = least
	}
	p.next.set(at)
}

// early reports whether a probe now would keep chmpx from connecting to its servers.
func (p *probe) early(now time.Time) bool { return p.starves && now.Before(p.ran.Add(daemon.Starves)) }

// await waits until a probe does not keep chmpx from connecting any more, for daemon.Starves at
// most. The error is ctx's.
func (p *probe) await(ctx context.Context) error {
	if !p.early(time.Now()) {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(p.ran.Add(daemon.Starves))):
		return nil
	}
}

// looked takes note of what chmpx notices of a probe.
func (p *probe) looked(r probed) {
	if !r.status.Direct {
		p.ran = r.began
	}
}

// planLater plans the next probe while no revision is to be confirmed. soon: a
// parked file waits for what it shows.
func (p *probe) planLater(now time.Time, soon bool) {
	switch {
	case soon:
		p.plan(now, parkedProbe)
	case p.peek == 0:
	case p.found.blind():
		p.plan(now, max(p.peek, absentPause))
	case p.gone != nil:
		p.plan(now, min(p.peek, mayReturn))
	case p.last != nil && (p.last.Direct || p.asked <= untilDirect):
		p.plan(now, p.direct)
	default:
		p.plan(now, p.peek)
	}
}

// showsChanges reports whether changes of what the latest probe has shown can be waited for.
func (p *probe) showsChanges() bool {
	return p.peek != 0 && p.direct < calmPause && p.last != nil && p.last.Direct
}

// aim says what to look for while there is no file; nil: nothing yet.
func (p *probe) aim(config *chmpx.Config) { p.target = config }

// result keeps what a probe has shown, and logs once when chmpx comes, goes, is another
// process than before, or cannot be looked at. It returns the status before, nil if that
// was not of this process. A probe that shows nothing does not mean that chmpx has ended:
// what it ran last is then the best guess. confirms: the log is about to say that chmpx runs the
// current slave.ini, and so that it runs.
func (p *probe) result(r probed, confirms bool) (before *daemon.Status) {
	before = p.last
	p.err = r.err
	p.looked(r)
	p.starves = r.err != nil || !r.status.Connected()
	found := r.presence()
	switch found {
	case foundRunning:
		p.last = &r.status
	case foundDown:
		p.last = nil
	}
	p.logFound(found, r, before, confirms)
	p.found = found
	if found == foundRunning && before != nil && !r.status.SameProcess(*before) {
		before = nil
	}
	if before == nil {
		p.asked = 0
	}
	if found == foundRunning && !r.status.Direct {
		p.asked++
	}
	return before
}

// logFound logs what is otherwise than at the probe before.
func (p *probe) logFound(found presence, r probed, before *daemon.Status, confirms bool) {
	was := cmp.Or(before, p.gone)
	switch {
	case found == foundRunning && was != nil && !r.status.SameProcess(*was):
		p.log.Info("chmpx was restarted", "pid", r.status.PID, "pid before", was.PID,
			"revision", r.status.Revision, "servers", len(r.status.Servers))
	case found == foundRunning && (confirms || p.gone != nil):
	case found == foundDown && before != nil:
		p.gone, p.goneAt = before, r.began
		return
	case found == foundDown && p.gone != nil && r.began.Sub(p.goneAt) < mayReturn:
		return
	case found == foundDown && p.gone != nil, found != p.found:
		p.logPresence(found, r)
	}
	p.gone = nil
}

// process is what is known of the running chmpx.
func (p *probe) process() Process {
	s := Process{Seen: p.found == foundRunning || p.found == foundDown, Running: p.found == foundRunning}
	if p.last != nil {
		s.PID, s.StartedAt = p.last.PID, p.last.Started
		s.Revision, s.Clients = p.last.Revision, p.last.Clients
	}
	return s
}

func (p *probe) logPresence(found presence, r probed) {
	switch found {
	case foundRunning:
		p.log.Info("chmpx runs", "pid", r.status.PID, "revision", r.status.Revision, "servers", len(r.status.Servers))
	case foundDown:
		p.log.Info("chmpx is not running")
	case foundNoProgram:
		p.log.Info("chmpxstatus is not installed: cannot confirm reloads or watch the ring", "reason", r.err)
	case foundUnusable:
		p.log.Warn("chmpxstatus cannot be run: cannot confirm reloads or watch the ring", "reason", r.err)
	default:
		p.log.Info("cannot probe chmpx", "reason", r.err)
	}
}

// mayRun returns what a live chmpx may run, for the judge. file is what is in
// place, and confirmed whether chmpx is known to run that.
func (p *probe) mayRun(file *chmpx.Config, confirmed bool) *chmpx.Running {
	switch {
	case p.last == nil && file == nil:
		return nil
	case p.last == nil:
		// It was down or not to be seen when it was looked at. By now it may run,
		// and then runs this file.
		return &chmpx.Running{Config: file, Unseen: true}
	}
	// What chmpxstatus does not show is that of the file, if chmpx runs it, which the latest look
	// may show before that is confirmed.
	if file != nil && !confirmed && p.last.Revision != file.FileVersion {
		file = nil
	}
	return Running(*p.last, file)
}

// Running is what a chmpx that was probed runs, as chmpx.Judge wants to know it.
// applied is the configuration it is known to run, nil if that is not known.
func Running(st daemon.Status, applied *chmpx.Config) *chmpx.Running {
	r := &chmpx.Running{
		Group:     st.Group,
		MaxChmpx:  st.MaxNodes,
		FreeSlots: st.FreeNodes,
		SSL:       st.SSL,
		SSLKnown:  true,
		Config:    applied,
	}
	for _, n := range st.Servers {
		r.Servers = append(r.Servers, chmpx.RunningServer{CtlPort: n.CtlPort, CUK: n.CUK, Seed: n.Seed})
	}
	return r
}
