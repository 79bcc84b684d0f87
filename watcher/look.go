package watcher

import (
	"context"
	"errors"
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
	// firstRingPause and ringGrowth space these requests.
	firstRingPause = time.Second
	ringGrowth     = 1.4
)

// looking is what is known of the running chmpx.
type looking struct {
	timer *time.Timer
	done  chan looked
	busy  bool

	// target is what to look for while there is no file.
	target *chmpx.Config

	last      *daemon.Status // nil: chmpx does not run, as far as is known
	seen      bool           // last is of the latest look
	confirm   *daemon.Confirmation
	renamed   time.Time // when the revision to confirm was put in place
	tries     int       // replacements made because of no confirmation
	confirmed bool
	ring      *ring // nil: chmpx's servers are those of the file
	told      string
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
	splay time.Duration
}

// pause is the time to the next request because of the ring, at most max.
func (r *ring) pause(max time.Duration) time.Duration {
	if time.Since(r.since) >= ringTries {
		return max
	}
	r.gap = min(time.Duration(float64(r.gap)*ringGrowth), max)
	return r.gap + r.splay
}

// calm: chmpx runs what is in place, and knows no other servers.
func (l *looking) calm() bool {
	return l.confirmed && l.confirm == nil && l.ring == nil && l.seen
}

// running returns what the live chmpx runs, for the judge; file is what is in
// place.
func (l *looking) running(file *chmpx.Config) *chmpx.Running {
	if l.last == nil {
		return nil
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
	switch {
	case l.err == nil:
		w.looking.last = &l.status
	case errors.Is(l.err, daemon.ErrNotRunning):
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
	w.Log.Info(state, "reason", l.err)
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
		w.looking.confirmed = true
		w.looking.tries = 0
		w.Log.Info("chmpx runs the file in place", "revision", revision, "after", time.Since(w.looking.renamed).Round(time.Millisecond).String())
	case daemon.Gone:
		w.Log.Error("chmpx does not run; the file in place is good, so its own log must tell why", "revision", revision)
	case daemon.Late:
		w.late(ctx, l.status)
	}
	if w.looking.confirm == nil {
		w.lookLater(l.err)
	}
}

// late is for a chmpx that lives and does not take the file. Its notification
// may have been held up or swallowed (spec chmpx D.4, D.6); another
// replacement repairs that, and where its watch is lost only a restart does.
func (w *Watcher) late(ctx context.Context, st daemon.Status) {
	log := w.Log.With("file", w.current.config.FileVersion, "chmpx", st.Revision, "pid", st.PID)
	w.looking.tries++
	switch {
	case w.looking.tries == 1:
		log.Warn("chmpx has not taken the file; it is put in place once more")
		if err := w.again(ctx); err != nil {
			log.Error("the file could not be put in place once more", "error", err)
		}
	case w.RestartUnconfirmed && w.Unit != nil && w.looking.tries == 2:
		log.Error("chmpx does not take the file and is restarted")
		w.restart(ctx)
	default:
		log.Error("chmpx does not take the file: somebody holds the old one open, or its watch is lost; a restart of chmpx helps")
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
	w.looking.confirmed = true
	w.looking.tries = 0
	what := difference(now, w.current.config)
	r := w.looking.ring
	switch {
	case what == "" && r != nil:
		w.Log.Info("chmpx and the file agree on the servers again")
		w.looking.ring = nil
	case what != "" && (r == nil || r.what != what):
		w.Log.Info("chmpx knows other servers than the file; asking K2HR3", "difference", what)
		w.looking.ring = &ring{what: what, since: time.Now(), gap: firstRingPause, splay: w.splay()}
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
	w.askIn(w.splay())
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
