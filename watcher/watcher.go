package watcher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
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
	// File is the file to keep.
	File render.File
	// StateFile is where the watcher remembers what it applied. Its loss
	// costs one request.
	StateFile string
	// Origin names where the text comes from and for whom; what is remembered
	// of another origin is not used.
	Origin string
	// InstanceID replaces the placeholder.
	InstanceID string
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
	// Peek is the pause between looks at chmpx's ring; 0: don't look.
	Peek time.Duration

	Reload Reload
	// Start an enabled unit that is down once its first good file is in place.
	Start bool
	// RestartUnconfirmed: restart a chmpx that does not show a revision.
	RestartUnconfirmed bool
}

// Prober looks at the running chmpx; it is a *daemon.Prober outside of tests.
type Prober interface {
	Status(ctx context.Context, group string, ctlPort int) (daemon.Status, error)
}

// Unit steers chmpx's systemd unit; it is a *daemon.Unit outside of tests.
type Unit interface {
	State(ctx context.Context) (daemon.UnitState, error)
	Start(ctx context.Context) error
	Reload(ctx context.Context) error
	Restart(ctx context.Context) error
}

// Watcher keeps one file and one chmpx. Its exported fields are set before
// Run or Once and not changed afterwards.
type Watcher struct {
	Config
	Member *member.Member
	// Judge says what chmpx would make of a file, running being what the live
	// one runs, nil if it does not or cannot be seen.
	Judge func(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report
	// SecondOpinion is asked about a staged file that Judge accepts. Nil:
	// there is none.
	SecondOpinion func(ctx context.Context, path string) error
	// Chmpx is nil where chmpx cannot be looked at.
	Chmpx Prober
	// Unit is nil where there is no systemd.
	Unit Unit
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
	// Changed, which may be nil, is called by Run's loop with each Snapshot
	// that differs from the one before. It must not block.
	Changed func(Snapshot)
	// Explain, which may be nil, adds to an error that may be for want of a right
	// what is particular to the way the agent runs.
	Explain func(error) error
	Log     *slog.Logger

	current  current
	revision int // the latest that was put in place
	etag     string

	standing standing
	asking   asking
	looking  looking
	telling  telling
	clock    clock
	drift    drift
	alive    alive
	shown    Snapshot // the latest that Changed was called with

	ops sync.WaitGroup
}

// Event is something outside the watcher's own rhythm.
type Event int

const (
	// AskNow: the operator, or a changed input, wants K2HR3 asked.
	AskNow Event = iota
	// OutputTouched: somebody did something to the file, maybe the watcher
	// itself.
	OutputTouched
)

// Run keeps the file and chmpx right until ctx ends, and returns nil then. It
// returns an error only when it cannot begin: another agent keeps the file
// (render.ErrLocked), or its directory cannot be used.
func (w *Watcher) Run(ctx context.Context, events <-chan Event) error {
	lock, err := w.File.Lock()
	if err != nil {
		return err
	}
	defer lock.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer w.ops.Wait()
	defer cancel()

	w.begin(ctx)
	w.clock.start(w.wall())
	w.keepIn(0)
	if w.Chmpx != nil {
		w.looking.timer.Reset(0)
	}
	w.startWaiting(ctx)
	if w.Ready != nil {
		w.Ready()
	}
	w.showAlive()
	for {
		w.show()
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			w.event(ctx, e)
		case <-w.standing.timer.C:
			w.keep(ctx)
		case k := <-w.standing.done:
			w.kept(ctx, k)
		case <-w.asking.timer.C:
			w.ask(ctx)
		case <-w.asking.late.C:
			w.settleNow(ctx)
		case a := <-w.asking.done:
			w.answered(ctx, a)
		case <-w.looking.timer.C:
			w.look(ctx)
		case l := <-w.looking.done:
			w.looked(ctx, l)
		case t := <-w.telling.done:
			w.told(ctx, t)
		case <-w.clock.timer.C:
			w.checkClock(ctx)
		case <-w.drift.timer.C:
			w.checkDrift(ctx)
		case <-w.alive.timer.C:
			w.showAlive()
		}
	}
}

// begin finds out what is in place and what is known of it.
func (w *Watcher) begin(ctx context.Context) {
	w.standing = standing{timer: stopped(), done: make(chan kept, 1)}
	w.asking = asking{timer: stopped(), late: stopped(), done: make(chan asked, 1)}
	w.looking = looking{timer: stopped(), done: make(chan looked, 1)}
	w.telling = telling{done: make(chan told, 1)}
	w.drift = drift{timer: stopped()}
	w.clock = clock{timer: stopped()}
	w.alive = alive{timer: stopped()}
	w.shown = Snapshot{}
	w.recover(ctx)
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (w *Watcher) event(ctx context.Context, e Event) {
	switch e {
	case AskNow:
		w.looking.fatal = ""
		w.keep(ctx)
		w.askAgain(ctx)
	case OutputTouched:
		w.checkDrift(ctx)
	}
}

// beside runs f in a goroutine that Run waits for.
func (w *Watcher) beside(f func()) {
	w.ops.Add(1)
	go func() {
		defer w.ops.Done()
		f()
	}()
}
