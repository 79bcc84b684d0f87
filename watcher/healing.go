package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

// Heal is what is done about a chmpx that is half connected: servers that are up have refused it,
// because they did not list this host yet, and it does not try them again (docs/chmpx.md J).
type Heal int

const (
	// HealIdle: chmpx's unit is restarted while no program has joined it.
	HealIdle Heal = iota
	// HealServers: those servers are asked to announce themselves, at their control ports.
	HealServers
	// HealNever: it is only told.
	HealNever
)

// Peers reaches server nodes over the network; it is a [daemon.Peers] outside of tests, which says
// what these do.
type Peers interface {
	Reach(ctx context.Context, host string, port int) error
	Announce(ctx context.Context, host string, ctlPort, ownCtlPort int) error
}

const (
	// halfFor is how long the same servers must have refused chmpx before it counts: what joins,
	// leaves or goes down looks like that for a second or two (docs/chmpx.md J.5).
	halfFor = 10 * time.Second

	// halfAgain is the same where something was done about it already.
	halfAgain = 2 * time.Second

	// clientless is how long no program may have joined chmpx before it is restarted. One that has
	// left just before makes chmpx end by a signal (docs/chmpx.md J.3).
	clientless = 2 * time.Second

	// wholeFor is how long chmpx must have been connected to every server before the pauses begin
	// anew.
	wholeFor = time.Minute

	// tellEvery is the pause between two looks at servers that nothing is done about.
	tellEvery = 10 * time.Minute

	// healLimit is more than it takes to ask all servers, which is done at once.
	healLimit = 10 * time.Second
)

// healPauses are those between two tries to heal; the last one is repeated.
var healPauses = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute}

// healing decides what is done about a half-connected chmpx.
type healing struct {
	how Heal

	refused []chmpx.Node // the servers of the file that have refused chmpx
	since   time.Time    // the same since then
	asleep  []string     // the names of those that do not listen, and so are down
	checked time.Time    // when that was found out; zero: it was not
	pid     int
	started time.Time // of chmpx
	met     bool      // it has been connected to a server since

	clients    int
	clientsEnd time.Time // no program has joined since
	foreign    bool      // chmpx is not run by its unit

	tries int // to heal it, or to tell of it
	tried time.Time
	whole time.Time // connected to every server since; zero: it is not

	told trouble
}

// see takes the status of a chmpx that runs the file, after meet has taken it.
func (h *healing) see(now time.Time, st daemon.Status, file *chmpx.Config) {
	var refused []chmpx.Node
	for _, i := range daemon.Refused(st, servers(file)) {
		refused = append(refused, file.Servers[i])
	}
	if !slices.EqualFunc(refused, h.refused, sameServer) {
		h.refused, h.since, h.asleep, h.checked = refused, now, nil, time.Time{}
	}
	h.seeWhole(now, len(refused) == 0 && st.Connected())
}

// meet takes what a look shows of chmpx, whatever file it runs.
func (h *healing) meet(now time.Time, st daemon.Status) {
	if st.PID != h.pid || !st.Started.Equal(h.started) {
		h.gone()
		h.pid, h.started, h.met, h.clientsEnd, h.foreign = st.PID, st.Started, false, now, false
	}
	h.met = h.met || st.Connected()
	if st.Clients > 0 || h.clients > 0 {
		h.clientsEnd = now
	}
	h.clients = st.Clients
}

func sameServer(a, b chmpx.Node) bool {
	return a.Name == b.Name && a.Port == b.Port && a.CtlPort == b.CtlPort && a.CUK == b.CUK
}

func (h *healing) seeWhole(now time.Time, whole bool) {
	switch {
	case !whole:
		h.whole = time.Time{}
		return
	case h.whole.IsZero():
		h.whole = now
		h.told.end("chmpx is connected to every server that is up")
	}
	if now.Sub(h.whole) >= wholeFor {
		h.tries = 0
	}
}

// gone takes note that there is no chmpx, or another one.
func (h *healing) gone() {
	h.refused, h.asleep, h.checked, h.whole = nil, nil, time.Time{}, time.Time{}
	h.pid, h.clients = 0, 0
}

// awake are the servers that have refused chmpx and are up, as far as is known.
func (h *healing) awake() []chmpx.Node {
	return slices.DeleteFunc(slices.Clone(h.refused), func(n chmpx.Node) bool { return slices.Contains(h.asleep, n.Name) })
}

// certain reports whether the servers that have refused chmpx are known to be up.
func (h *healing) certain() bool { return !h.checked.IsZero() && len(h.awake()) > 0 }

// remedy is what can be done about it at the moment.
type remedy int

const (
	remedyNone     remedy = iota
	remedyRestart         // restart chmpx
	remedyAnnounce        // have the servers announce themselves
	remedyTell            // nothing but to say so
)

// hindrance says why nothing is done about it; empty: something is.
func (h *healing) hindrance(unit bool) string {
	switch {
	case h.how == HealNever:
		return "the option heal is never"
	case h.how == HealServers:
		return ""
	case h.clients > 0:
		return "programs have joined it"
	case !unit:
		return "there is no systemd unit to restart it by"
	case h.foreign:
		return "its systemd unit does not run it"
	}
	return ""
}

// due returns what is to be done now. unit: there is one to restart.
func (h *healing) due(now time.Time, unit bool) remedy {
	hindrance := h.hindrance(unit)
	settled, pause := halfFor, time.Duration(0)
	if h.tries > 0 {
		settled, pause = halfAgain, healPauses[min(h.tries, len(healPauses))-1]
		if hindrance != "" {
			pause = tellEvery
		}
	}
	switch {
	case len(h.refused) == 0, now.Sub(h.since) < settled, h.tries > 0 && now.Sub(h.tried) < pause:
		return remedyNone
	case hindrance != "":
		return remedyTell
	case h.how == HealServers:
		return remedyAnnounce
	case now.Sub(h.clientsEnd) < clientless:
		return remedyNone
	}
	return remedyRestart
}

// looked takes which of the servers do not listen. What refused chmpx may be others by now.
func (h *healing) looked(now time.Time, r reached) {
	if !slices.EqualFunc(r.servers, h.refused, sameServer) {
		return
	}
	h.asleep, h.checked = r.asleep, now
}

// hindered takes note that there is no unit to restart chmpx by, or that it does not run this
// chmpx. That is told with the next look.
func (h *healing) hindered(foreign bool) { h.foreign, h.tries = h.foreign || foreign, 0 }

// try takes note that something is done about it, or told.
func (h *healing) try(now time.Time) { h.tries, h.tried = h.tries+1, now }

// sign is the condition, if there is any.
func (h *healing) sign(unit bool) (sign, bool) {
	awake := h.awake()
	if len(awake) == 0 {
		return sign{}, false
	}
	message := "chmpx is half connected"
	if why := h.hindrance(unit); why != "" && h.certain() {
		message += "; " + why + ": restart chmpx"
	}
	message += "; refused by " + h.names(awake)
	return sign{code: HalfConnected, message: message}, true
}

// names lists servers by name, the first few.
func (h *healing) names(list []chmpx.Node) string {
	const most = 2
	var words []string
	for _, n := range list[:min(most, len(list))] {
		words = append(words, n.Name)
	}
	text := strings.Join(words, ", ")
	if more := len(list) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// reached is what came of a look at the servers that have refused chmpx.
type reached struct {
	servers []chmpx.Node
	asleep  []string // the names of those that do not listen
}

// watchPeers looks whether chmpx is half connected, and has something done about it when it is due.
func (l *loop) watchPeers(now time.Time, st daemon.Status) {
	l.healing.see(now, st, l.output.file.config)
	switch {
	case l.once, l.Peers == nil, l.healOp.busy, l.jobOp.busy, l.parking.waits(), l.parking.keepsPrevious():
	case l.healing.due(now, !l.jobs.absent) != remedyNone:
		list := slices.Clone(l.healing.refused)
		l.start(now, &l.healOp, healLimit, func(ctx context.Context) any { return l.reach(ctx, list) })
	}
}

// reach finds out which servers listen. It is asked seldom: a server that does not list this host
// loads its file for it (docs/chmpx.md J.6).
func (w *Watcher) reach(ctx context.Context, list []chmpx.Node) reached {
	errs := make([]error, len(list))
	each(list, func(i int, n chmpx.Node) { errs[i] = w.Peers.Reach(ctx, n.Name, n.Port) })
	r := reached{servers: list}
	for i, err := range errs {
		if err != nil {
			r.asleep = append(r.asleep, list[i].Name)
		}
	}
	return r
}

// each calls f for all servers at once, and waits for all of them.
func each(list []chmpx.Node, f func(i int, n chmpx.Node)) {
	var wait sync.WaitGroup
	for i, n := range list {
		wait.Go(func() { f(i, n) })
	}
	wait.Wait()
}

// stays logs that servers still refuse chmpx, and what keeps the agent from healing that.
func (h *healing) stays(now time.Time, refused []chmpx.Node, why any) {
	h.told.report(now, slog.LevelWarn, "chmpx is half connected and cannot reach the keys of some servers", nil,
		"servers", h.names(refused), "not healed because", why)
}

// peersReached does what is to be done about those servers that are up.
func (l *loop) peersReached(now time.Time, r reached) {
	h := &l.healing
	h.looked(now, r)
	remedy := h.due(now, !l.jobs.absent)
	if l.ctx.Err() != nil || remedy == remedyNone || h.checked != now {
		return
	}
	h.try(now)
	awake := h.awake()
	switch {
	case len(awake) == 0: // they are down
	case remedy == remedyTell:
		h.stays(now, awake, h.hindrance(!l.jobs.absent))
	case remedy == remedyAnnounce:
		h.told.report(now, slog.LevelInfo, "chmpx is half connected; asking the servers that refused it to announce themselves", nil, "servers", h.names(awake))
		l.announce(now, awake)
	case l.jobOp.busy:
	default:
		if err := l.cannotReadFile(); err != nil {
			h.stays(now, awake, err)
			return
		}
		h.told.report(now, slog.LevelInfo, "chmpx is half connected, and no program has joined it; restarting it", nil, "servers", h.names(awake))
		l.restartHalf(now)
	}
}

// announced is what came of asking servers to announce themselves.
type announced struct{ err error }

func (l *loop) announce(now time.Time, list []chmpx.Node) {
	own := l.output.file.config.SelfCtlPort
	l.start(now, &l.healOp, healLimit, func(ctx context.Context) any {
		errs := make([]error, len(list))
		each(list, func(i int, n chmpx.Node) { errs[i] = l.Peers.Announce(ctx, n.Name, n.CtlPort, own) })
		return announced{errors.Join(errs...)}
	})
}

// announcedDone looks at chmpx soon: where it worked, it is connected already.
func (l *loop) announcedDone(now time.Time, a announced) {
	if a.err != nil && l.ctx.Err() == nil {
		l.healing.told.report(now, slog.LevelWarn, "cannot ask a server to announce itself", a.err)
	}
	l.probe.plan(now, time.Second)
}

// restartHalf restarts a half-connected chmpx, unless a look just before shows that a program has
// joined it or that it is half connected no more.
func (l *loop) restartHalf(now time.Time) {
	config := l.output.file.config
	l.expect(now, nil)
	l.startJob(now, func(ctx context.Context) jobDone {
		switch unit, err := l.Unit.State(ctx); {
		case err != nil:
			return jobDone{err: err}
		case !unit.Active():
			return jobDone{foreign: true}
		}
		p := l.lookFor(ctx, config)
		if p.err != nil || p.status.Clients > 0 || len(daemon.Refused(p.status, servers(config))) == 0 {
			return jobDone{}
		}
		return jobDone{err: l.restart(ctx), up: true}
	})
}
