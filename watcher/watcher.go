package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// Reload is what is done, besides the rename, to make chmpx read a new file.
type Reload int

const (
	// ReloadAuto: the rename is chmpx's signal; a unit with a reload job
	// gets that too.
	ReloadAuto Reload = iota
	// ReloadRestart: the unit is restarted.
	ReloadRestart
	// ReloadNone: nothing.
	ReloadNone
)

// Config is what the operator decided.
type Config struct {
	// Role is the YRN of the role whose RESOURCE is followed.
	Role string
	// File is the file to keep.
	File render.File
	// StateFile is where the watcher saves what it applied. Its loss costs one
	// request.
	StateFile string
	// Origin names where the text comes from and for whom; what was saved of
	// another origin is not used.
	Origin string
	// InstanceID replaces the placeholder.
	InstanceID string
	// Pod: this host is a pod of Kubernetes. The RESOURCE has the placeholders of one, and the
	// agent removes members that were pods of this one's address (docs/flavours.md 0.4).
	Pod bool
	// MinServers is the least number of server nodes for a text to be applied.
	MinServers int
	// Stamp: FILEVERSION becomes the watcher's own revision.
	Stamp bool

	// Interval between answers that were not held.
	Interval time.Duration
	// Wait is how long a server may hold a request; 0: never ask it to.
	Wait time.Duration
	// Confirm is how long chmpx may take to show a revision; 0: don't look.
	Confirm time.Duration
	// Peek is the pause between probes of chmpx's ring; 0: don't look.
	Peek time.Duration
	// PeekDirect is the same where a probe does not run chmpxstatus; 0: Peek.
	PeekDirect time.Duration

	Reload Reload
	// Start an enabled unit that is down once its first good file is in place.
	Start bool
	// RestartUnconfirmed: restart a chmpx that does not show a revision, or whose certificates have
	// changed.
	RestartUnconfirmed bool
	// Heal is what is done about a half-connected chmpx.
	Heal Heal
}

// Member is this host as K2HR3 knows it; it is a [member.Member] outside of tests, which says what
// these do.
type Member interface {
	Keep(ctx context.Context, known member.Identity) (member.Identity, error)
	Registrations() int
	Ask(ctx context.Context, etag string, wait time.Duration) (k2hr3.Answer, error)
	Outside() bool
	RemoveStale(ctx context.Context, known member.Identity, cuks []string) (removed bool)
	Moved(ctx context.Context, known member.Identity) bool
	Renamed() bool
	Knock(ctx context.Context) (took time.Duration, err error)
	Ping(ctx context.Context) error
	Disturb()
	Longest() time.Duration
}

// Judge says what chmpx would make of a file. running is what the live one runs,
// nil if it does not run or cannot be seen.
type Judge interface {
	Judge(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report
}

// SecondOpinion is asked about a staged file that Judge accepts; the error is
// why it refuses the file.
type SecondOpinion interface {
	Check(ctx context.Context, path string) error
}

// Prober looks at the running chmpx; it is a [daemon.Prober] outside of tests, which says what
// these do.
type Prober interface {
	// Status looks at the chmpx of a GROUP and a SELFCTLPORT (0: it has none); the errors are those
	// of daemon.Prober.
	Status(ctx context.Context, group string, ctlPort int) (daemon.Status, error)
	AwaitChange(ctx context.Context, st daemon.Status, pause time.Duration) error
	AwaitEnd(ctx context.Context, st daemon.Status) error
	LeftMemory(group string, ctlPort int) bool
	Stopped(st daemon.Status) bool
	// Reader returns whom the chmpx of a status reads files as; ok is false if nothing tells.
	Reader(st daemon.Status) (r render.Reader, ok bool)
}

// Signs are those of a chmpx that cannot be probed; they are daemon.Signs outside of tests, which
// says what these do.
type Signs interface {
	Look(ctlPort int) daemon.Sighting
	AwaitEnd(ctx context.Context, ctlPort int) (sure bool, err error)
}

// Unit steers chmpx's systemd unit, or its container in a pod; it is a *daemon.Unit or a
// *daemon.Container outside of tests. Each method waits for what it asks for, two minutes at most,
// and none starts a chmpx that somebody has stopped but Start.
type Unit interface {
	State(ctx context.Context) (daemon.UnitState, error)
	Start(ctx context.Context) error
	Reload(ctx context.Context) error
	Restart(ctx context.Context) error
}

// Watcher keeps one file and one chmpx. Its fields are set before Run, Once or
// Preview and not changed afterwards.
type Watcher struct {
	Config
	Member Member
	Judge  Judge
	// SecondOpinion is nil where there is none.
	SecondOpinion SecondOpinion
	// Chmpx is nil where chmpx cannot be probed.
	Chmpx Prober
	// Signs may be nil.
	Signs Signs
	// Unit is nil where there is nothing that restarts chmpx.
	Unit Unit
	// Peers is nil where the server nodes are left alone. Nothing is done about a half-connected
	// chmpx then.
	Peers Peers
	// Kept, which may be nil, is called by the loop with each text that it puts in place, and its
	// revision. It must neither block nor change the text.
	Kept func(revision int, text []byte)
	// Meter counts what is done; nil: nobody counts.
	Meter Meter
	// Pace is shared with the watchers before and after this one; nil: there are none.
	Pace *Pace
	// Before is the health of the watcher that this one follows; nil: there is none. What was wrong
	// goes on, since when it began, until this watcher has looked for itself.
	Before *Health
	// Wall tells the time; nil: time.Now.
	Wall func() time.Time
	// Ready, which may be nil, is called once Run has begun its work.
	Ready func()
	// Alive, which may be nil, is called by Run's loop when it begins and
	// every AliveEvery from then on, for as long as all goes on: not while the
	// loop itself is kept busy, nor while something it has begun is far beyond
	// the time it can take.
	Alive      func()
	AliveEvery time.Duration
	// Changed, which may be nil, is called by Run's loop with each Status that
	// differs from the one before. It must not block.
	Changed func(Status)
	Log     *slog.Logger
}

// Event is something outside the watcher's own rhythm.
type Event int

const (
	// AskNow: the operator, or a changed input, wants K2HR3 asked.
	AskNow Event = iota
	// OutputTouched: somebody did something to the file or its lock file, maybe the watcher
	// itself.
	OutputTouched
)

// Run keeps the file and chmpx right until ctx ends, and returns nil then. It
// returns an error only when it cannot begin: another agent keeps the file
// (render.ErrLocked), or its directory cannot be used.
func (w *Watcher) Run(ctx context.Context, events <-chan Event) error {
	return w.locked(ctx, false, func(l *loop) error {
		if w.Ready != nil {
			w.Ready()
		}
		if w.Alive != nil && w.AliveEvery > 0 {
			l.showAlive(time.Now())
		}
		_ = l.run(events, nil) // it ends with ctx alone
		return nil
	})
}

// Once makes one pass and returns when its end is known: nothing to do, or the
// file in place, chmpx's unit told, and chmpx seen to run it. It logs what it
// waits for. The error is a *Refusal for a text that is not put in place. That
// chmpx does not run, or does not show the file within Confirm, is an error
// where there is a chmpxstatus to ask and Confirm is not 0.
func (w *Watcher) Once(ctx context.Context) error {
	waitsFor := ""
	return w.until(ctx, true, func(l *loop) (bool, error) {
		done, err := l.settled()
		if now := l.waitsFor(); !done && now != waitsFor && now != "" {
			waitsFor = now
			l.Log.Info("waiting", "for", now)
		}
		return done, err
	})
}

// Join keeps the file and chmpx right as Run does, until K2HR3 counts the host as a member and a
// good file is in place, and returns nil then. What goes wrong is logged, and tried again. It
// returns an error if it cannot begin, or when ctx ends.
func (w *Watcher) Join(ctx context.Context) error {
	return w.until(ctx, false, func(l *loop) (bool, error) {
		heard := !l.poll.talk(l.requestOp.busy).HeardAt.IsZero()
		return l.membership.sure && heard && l.output.file.good && !l.jobOp.busy, nil
	})
}

// until runs the loop until that says it is done.
func (w *Watcher) until(ctx context.Context, once bool, isDone func(*loop) (bool, error)) error {
	return w.locked(ctx, once, func(l *loop) error {
		return l.run(nil, func() (bool, error) { return isDone(l) })
	})
}

// locked claims the file, begins a loop and has it run, and ends what is under way.
func (w *Watcher) locked(ctx context.Context, once bool, run func(*loop) error) error {
	lock, err := w.File.Lock()
	if err != nil {
		return err
	}
	defer lock.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	l := w.newLoop(ctx, once)
	l.lock = lock
	defer l.close()
	defer cancel()
	l.begin()
	return run(l)
}

// Preview returns what Once would put in place, nil if it would change
// nothing. It changes nothing itself, not even the membership.
func (w *Watcher) Preview(ctx context.Context) ([]byte, error) {
	if err := w.File.Check(); err != nil {
		return nil, err
	}
	l := w.newLoop(ctx, true)
	l.recover()
	r := w.ask(ctx, "", 0)
	if r.err != nil {
		return nil, r.err
	}
	c, err := l.judge(r.answer.Text)
	if err != nil || c.same {
		return nil, explained(err)
	}
	return c.bytes, nil
}

// settled reports whether the pass is over, and what came of it.
func (l *loop) settled() (bool, error) {
	joinErr := l.membership.doubts.err
	switch {
	case !l.membership.checked:
		return false, nil
	case l.poll.silence.err != nil:
		return true, errors.Join(joinErr, l.poll.silence.err)
	case l.output.refusal.err != nil:
		return true, errors.Join(joinErr, explained(l.output.refusal.err))
	case l.requestOp.busy, l.poll.Wanted(), l.poll.unseen != nil, l.poll.waiting != nil, l.confirmation.pending != nil, l.jobOp.busy:
		return false, nil
	case l.confirmation.limit != 0 && l.probe.found == neverProbed && l.probeOp.busy:
		return false, nil
	}
	if err := l.unconfirmed(); err != nil {
		return true, err
	}
	return true, l.lacksMembership(joinErr)
}

// waitsFor says what a pass that is not over waits for; empty: for nothing to speak of.
func (l *loop) waitsFor() string {
	switch {
	case l.jobOp.busy:
		return "systemd's job of chmpx's unit"
	case l.confirmation.pending != nil && l.probe.found.blind():
		return "" // for a moment
	case l.confirmation.pending != nil:
		return fmt.Sprintf("chmpx to run the current slave.ini, %v at most; confirm = 0 does without", l.confirmation.limit)
	case l.checkOp.busy, l.requestOp.busy, l.poll.Wanted():
		return "K2HR3"
	}
	return "chmpxstatus"
}

// unconfirmed is what is wrong with chmpx, if it was asked: it has to run, and to
// show a new revision.
func (l *loop) unconfirmed() error {
	c := &l.confirmation
	replaced := !c.since.IsZero()
	switch {
	case c.limit == 0, l.probe.found.blind():
		return nil
	case l.probe.found == foundDown && replaced && (c.ran || l.output.banned != ""):
		return errors.New("slave.ini is replaced, but chmpx, which ran before, is not running now: look for the cause in its log")
	case l.probe.found == foundDown:
		return errors.New("slave.ini is right, but chmpx is not running: start it; confirm = 0 does without it")
	case !replaced, c.done:
		return nil
	case l.probe.found == foundRunning:
		return fmt.Errorf("slave.ini is replaced, but chmpx did not load it: chmpx runs revision %d, slave.ini has %d",
			l.probe.last.Revision, l.output.file.config.FileVersion)
	}
	return fmt.Errorf("slave.ini is replaced, but nobody can tell whether chmpx runs it; confirm = 0 does without it: %w", l.probe.err)
}

// lacksMembership is what is wrong with the membership, unless the file in place
// proves that the host is a member: it lists it.
func (l *loop) lacksMembership(joinErr error) error {
	if place, _ := l.output.place(l.InstanceID); joinErr == nil || place < 0 {
		return joinErr
	}
	l.Log.Warn("slave.ini lists this host, but K2HR3 did not confirm its membership", "error", joinErr)
	return nil
}

// wall returns what the clock on the wall shows.
func (w *Watcher) wall() time.Time {
	if w.Wall != nil {
		return w.Wall()
	}
	return time.Now()
}
