package watcher

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
)

const (
	// absentPause is the longest pause between looks while there is no
	// chmpxstatus; chmpx may be installed after the agent.
	absentPause = time.Minute

	// ringTries is how long K2HR3 is asked for what chmpx has learnt from the
	// ring: a server may be there long before its registration, or for good
	// without one.
	ringTries = time.Minute
	// The pauses between these requests grow to maxRingPause within ringSoon,
	// and beyond that later.
	firstRingPause = time.Second
	maxRingPause   = 1900 * time.Millisecond
	ringSoon       = 10 * time.Second
)

// looking is what is known of the running chmpx.
type looking struct {
	timer *time.Timer
	done  chan looked
	busy  bool
	due   time.Time // when the look must be over, while busy

	// target is what to look for while there is no file.
	target *chmpx.Config

	last      *daemon.Status // nil: chmpx does not run, as far as is known
	absent    bool           // the latest look found that it does not run
	missing   bool           // there was nothing to look with
	seen      bool           // last is of the latest look
	confirm   *daemon.Confirmation
	ran       bool      // chmpx ran when the revision to confirm was put in place
	renamed   time.Time // when the revision to confirm was put in place
	tries     int       // replacements made because of no confirmation
	confirmed bool
	ring      *ring // nil: chmpx's servers are those of the file
	told      string

	replaced  daemon.Inode // the file before the one in place
	safe      []byte       // the file that chmpx was last seen to run
	fatal     string       // origin of the text that ended chmpx
	restarted time.Time    // when the unit was last restarted
}

// looked is what came of one look at chmpx.
type looked struct {
	status daemon.Status
	err    error
}

// ring is a disagreement between chmpx's servers and those of the file.
type ring struct {
	what  string // in words
	since time.Time
	gap   time.Duration
}

// pause is the time to the next request because of the ring, at most longest.
// The pauses grow, slowly at first: most servers are registered within seconds.
func (r *ring) pause(longest time.Duration) time.Duration {
	age := time.Since(r.since)
	if age >= ringTries {
		return longest
	}
	switch {
	case r.gap == 0:
		r.gap = firstRingPause
	case age < ringSoon:
		r.gap = min(r.gap*5/4, maxRingPause)
	default:
		r.gap = r.gap * 3 / 2
	}
	return min(r.gap, longest)
}

// calm: chmpx runs what is in place, and knows no other servers.
func (l *looking) calm() bool {
	return l.confirmed && l.confirm == nil && l.ring == nil && l.seen
}

// running returns what the live chmpx runs, for the judge; file is what is in
// place.
func (l *looking) running(file *chmpx.Config) *chmpx.Running {
	switch {
	case l.last == nil && (l.absent || file == nil):
		return nil
	case l.last == nil:
		// It cannot be looked at. It may run, and then runs this file.
		return &chmpx.Running{Config: file}
	}
	// What chmpxstatus does not show is that of the file, if chmpx runs it.
	if !l.confirmed {
		file = nil
	}
	return Running(*l.last, file)
}

// Running is what a chmpx that was looked at runs, as chmpx.Judge wants to know
// it. applied is the configuration it is known to run, nil if that is not known.
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

// look starts a look at chmpx.
func (w *Watcher) look(ctx context.Context) {
	if w.Chmpx == nil || w.looking.busy {
		return
	}
	config := w.current.config
	if config == nil {
		config = w.looking.target
	}
	if config == nil {
		w.lookIn(max(w.Peek, time.Second))
		return
	}
	w.looking.busy = true
	w.looking.due = w.due(lookLimit)
	w.beside(func() {
		st, err := w.Chmpx.Status(ctx, config.Group, max(config.SelfCtlPort, 0))
		w.looking.done <- looked{st, err}
	})
}

// lookFirst sees to it that chmpx is looked at before anything is put in place
// for the first time: how a text is judged, and which revision it gets, depends
// on what runs. It reports whether that look is still to be waited for.
func (w *Watcher) lookFirst(ctx context.Context, text string) bool {
	if w.Chmpx == nil || w.looking.told != "" {
		return false
	}
	w.looking.target, _ = chmpx.Load(render.Bytes(text, render.Values{InstanceID: w.InstanceID}), nil)
	w.look(ctx)
	return w.looking.busy
}

func (w *Watcher) lookIn(d time.Duration) {
	if w.Chmpx != nil {
		w.looking.timer.Reset(d)
	}
}

// expect waits for chmpx to show the revision that was just put in place.
func (w *Watcher) expect(before *daemon.Status) {
	w.looking.confirmed = false
	w.looking.ring = nil
	w.looking.ran = before != nil
	if w.Chmpx == nil || w.Confirm == 0 {
		return
	}
	w.looking.renamed = time.Now()
	w.looking.confirm = daemon.NewConfirmation(w.current.config.FileVersion, before, w.looking.renamed, w.Confirm)
	w.lookIn(daemon.FirstLook)
}

// looked takes what came of a look and decides when to look next.
func (w *Watcher) looked(ctx context.Context, l looked) {
	w.looking.busy = false
	if ctx.Err() != nil {
		return
	}
	before := w.looking.last
	w.see(l)
	w.tellPresence(l)
	switch {
	case w.looking.confirm != nil:
		w.confirming(ctx, l)
	case l.err == nil && w.current.config != nil:
		w.watchRing(ctx, before, l.status)
		w.lookLater(l.err)
	default:
		w.lookLater(l.err)
	}
	if a := w.asking.unseen; a != nil {
		w.asking.unseen = nil
		w.good(ctx, *a)
	}
}

// see keeps what a look has shown. One that shows nothing does not mean that
// chmpx has ended: what it ran last is then the best guess.
func (w *Watcher) see(l looked) {
	w.looking.seen = l.err == nil
	w.looking.absent = errors.Is(l.err, daemon.ErrNotRunning)
	w.looking.missing = errors.Is(l.err, daemon.ErrNotInstalled)
	switch {
	case w.looking.seen:
		w.looking.last = &l.status
	case w.looking.absent:
		w.looking.last = nil
	}
}

// lookLater sets the time of the next look while nothing is to be confirmed.
func (w *Watcher) lookLater(err error) {
	pause := w.Peek
	if errors.Is(err, daemon.ErrNotInstalled) {
		pause = max(pause, absentPause)
	}
	if w.Peek != 0 {
		w.lookIn(pause)
	}
}

// tellPresence logs once when chmpx comes, goes, or cannot be looked at.
func (w *Watcher) tellPresence(l looked) {
	state := "chmpx runs"
	switch {
	case errors.Is(l.err, daemon.ErrNotInstalled):
		state = "chmpx's reloads cannot be confirmed and its ring cannot be watched"
	case errors.Is(l.err, daemon.ErrNotRunning):
		state = "chmpx does not run"
	case l.err != nil:
		state = "chmpx cannot be looked at"
	}
	if state == w.looking.told {
		return
	}
	w.looking.told = state
	if l.err == nil {
		w.Log.Info(state, "pid", l.status.PID, "revision", l.status.Revision, "servers", len(l.status.Servers))
		return
	}
	w.Log.Info(state, "reason", w.explain(l.err))
}

// confirming takes a look while a revision is to be confirmed.
func (w *Watcher) confirming(ctx context.Context, l looked) {
	revision := w.current.config.FileVersion
	outcome, next := w.looking.confirm.Look(time.Now(), l.status, l.err)
	if outcome == daemon.Pending {
		w.lookIn(next)
		return
	}
	w.looking.confirm = nil
	switch outcome {
	case daemon.Confirmed:
		w.runs()
		w.Log.Info("chmpx runs the file in place", "revision", revision, "after", time.Since(w.looking.renamed).Round(time.Millisecond).String())
	case daemon.Gone:
		w.gone(ctx)
	case daemon.Late:
		w.late(ctx, l.status)
	}
	if w.looking.confirm == nil {
		w.lookLater(l.err)
	}
}

// watchRing asks K2HR3 when chmpx has learnt of other servers than the file's.
func (w *Watcher) watchRing(ctx context.Context, before *daemon.Status, now daemon.Status) {
	if now.Revision != w.current.config.FileVersion {
		// chmpx came up on another file, or has not been seen to take this one.
		if w.looking.tries == 0 {
			w.expect(&now)
		}
		return
	}
	if !w.looking.confirmed {
		w.Log.Info("chmpx runs the file in place", "revision", now.Revision)
	}
	w.runs()
	what := difference(now, w.current.config)
	r := w.looking.ring
	switch {
	case what == "" && r != nil:
		w.Log.Info("chmpx and the file agree on the servers again")
		w.looking.ring = nil
	case what != "" && (r == nil || r.what != what):
		w.Log.Info("chmpx knows other servers than the file; asking K2HR3", "difference", what)
		w.looking.ring = &ring{what: what, since: time.Now()}
		w.askForRing()
	case what == "" && before != nil && len(daemon.Leaving(*before, now)) != 0:
		// It may be gone for good or just be restarted; K2HR3 knows.
		w.askForRing()
	}
}

// askForRing asks soon, unless the server tells of changes by itself.
func (w *Watcher) askForRing() {
	if w.asking.holds && w.asking.cancel != nil {
		return
	}
	w.askIn(w.slot(0))
}

// each is the time that one slave has for its request when all slaves of a
// cluster notice the same thing at the same moment: one K2HR3 process answers
// about 20 a second.
const each = 60 * time.Millisecond

// slot is the time to this host's next turn, at least d away. The slaves of a
// cluster have the same list of slaves, and clocks that agree well enough; so
// each takes its turn by its place on the list and the time of day, and no two
// ask at once, whenever they noticed what they ask for. A slave that is alone
// has its turn at any time, one that is not on the list takes its chance.
func (w *Watcher) slot(d time.Duration) time.Duration {
	if w.current.config == nil || len(w.current.config.Slaves) < 2 {
		return d
	}
	slaves := w.current.config.Slaves
	round := each * time.Duration(len(slaves))
	own := w.place()
	if own < 0 {
		return d + rand.N(round)
	}
	at := time.Duration(w.wall().Add(d).UnixNano()) % round
	return d + (each*time.Duration(own)-at+round)%round
}

// place is where the file in place lists this host among the slaves, -1 if it
// does not.
func (w *Watcher) place() int {
	return slices.IndexFunc(w.current.config.Slaves, func(n chmpx.Node) bool { return n.CUK == w.InstanceID })
}

// difference says in words how chmpx's servers differ from the file's.
func difference(st daemon.Status, file *chmpx.Config) string {
	joined, left := daemon.RingDiffers(st, servers(file))
	var words []string
	for _, n := range joined {
		words = append(words, "only chmpx has "+n.Name)
	}
	for _, n := range left {
		words = append(words, "only the file has "+n.Name)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func servers(c *chmpx.Config) []daemon.Server {
	list := make([]daemon.Server, len(c.Servers))
	for i, n := range c.Servers {
		list[i] = daemon.Server{Name: n.Name, CtlPort: n.CtlPort, CUK: n.CUK}
	}
	return list
}
