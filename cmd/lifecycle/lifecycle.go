package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher"
)

// lastWrite is how long the agent's end may wait for its status to be written. It takes less than a
// millisecond where nothing hangs.
const lastWrite = 200 * time.Millisecond

// Daemon runs one watcher after the other, each on the configuration of its time.
type Daemon struct {
	// Load loads the options again.
	Load func() (*options.Options, error)
	// Prepare makes a round of options, if everything can be made from them. With an error it
	// leaves nothing to close.
	Prepare func(*options.Options) (Round, error)
	// Logger returns the log that the options ask for.
	Logger func(*options.Options) *slog.Logger
	// Started is called once, when the first round is about to begin.
	Started func(Round)

	Manager *service.Manager
	Folders *service.Folders
	// Shown, which may be nil, is called with each document that is published. It must not block,
	// and does not change the document.
	Shown func(status.Document)
	// Version is the program's, for its status.
	Version string
	// Hangup receives the operator's wish to load the options and ask K2HR3 now.
	Hangup <-chan os.Signal

	files   watcher.FileWatch
	round   Round            // the one that runs, or that runs next
	running *watcher.Watcher // that of the latest round that has run
	health  *watcher.Health  // of that, nil: there was none
	status  *publisher
}

// Round is a watcher with the options it was made from.
type Round struct {
	Options *options.Options
	Watcher *watcher.Watcher
	Log     *slog.Logger
	Close   func() // ends what the watcher keeps open; called once, whether it has run or not
}

// Run runs until ctx ends, and returns nil then. o are the options to begin with. It returns an
// error if it cannot begin, and service.ErrRestart if it cannot go on without a restart.
func (d *Daemon) Run(ctx context.Context, o *options.Options) error {
	if err := d.Folders.Check(d.Logger(o)); err != nil {
		return err
	}
	d.status = newPublisher(d.Version, d.Shown)
	defer d.status.close(lastWrite)
	if err := d.begin(ctx, o); err != nil {
		if service.Supervised() && !errors.Is(err, service.ErrRestart) { // nobody sees its last words
			Refused(o.RunDir, d.Version, err)
		}
		return err
	}
	defer d.Manager.Stopping()
	if d.round.Watcher == nil { // ctx has ended before there was a configuration
		return nil
	}
	defer d.drop()
	d.Started(d.round)
	for {
		again, err := d.watch(ctx)
		if err != nil || !again {
			return err
		}
		d.round.Log.Info("the configuration has changed; the agent uses the new one from now on")
	}
}

// begin makes the first round. Wrong options are an error. If something is missing that others may
// still bring, a service waits for it, and has no round after that if ctx has ended; a person who
// types the command gets an error.
func (d *Daemon) begin(ctx context.Context, o *options.Options) error {
	missing, err := o.Missing()
	if err != nil {
		return err
	}
	if len(missing) > 0 && service.Notified() {
		return d.await(ctx, o)
	}
	d.round, err = d.prepare(o)
	return err
}

// prepare makes a round whose watcher tells the service manager how it is.
func (d *Daemon) prepare(o *options.Options) (Round, error) {
	r, err := d.Prepare(o)
	if err != nil {
		return Round{}, err
	}
	w := r.Watcher
	w.Ready = d.Manager.Ready
	w.Alive, w.AliveEvery = d.alive, aliveEvery()
	w.Changed = func(s watcher.Status) {
		d.health = &s.Health
		d.Manager.Status(s.String())
		d.status.show(document(r, s))
	}
	return r, nil
}

// aliveEvery is how often the agent gives its sign of life: as often as the service manager wants
// it, or else whoever looks at its status.
func aliveEvery() time.Duration { return cmp.Or(service.AliveEvery(), status.AliveEvery) }

// alive is a sign of life for both.
func (d *Daemon) alive() {
	if service.AliveEvery() > 0 {
		d.Manager.Alive()
	}
	d.status.alive()
}

// drop closes the round if it has not run.
func (d *Daemon) drop() {
	if d.round.Watcher != d.running {
		d.round.Close()
	}
}

// watch runs the watcher until ctx ends, or until the agent takes up other options; then it returns
// true.
func (d *Daemon) watch(ctx context.Context) (again bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := d.round
	d.running, r.Watcher.Before = r.Watcher, d.health
	defer r.Close()
	d.status.at(r.Options, r.Log, aliveEvery())
	output := []string{r.Options.Output, render.File{Path: r.Options.Output}.LockPath()}
	touched := d.files.Files(ctx, r.Log, append(r.Options.Inputs(), output...)...)
	// The files may have changed since the options were loaded, and nobody has watched them.
	if d.reload(stop) {
		return true, nil
	}
	events := make(chan watcher.Event)
	done := make(chan error, 1)
	go func() { done <- r.Watcher.Run(ctx, events) }()
	burst := newLull()
	defer burst.Stop()

	var send chan<- watcher.Event
	var event watcher.Event
	var restart error
	for {
		select {
		case err := <-done:
			if restart != nil {
				return false, restart
			}
			return again, err
		case send <- event:
			send = nil
		case path := <-touched:
			if !slices.Contains(output, path) {
				burst.touched()
				continue
			}
			if send == nil {
				send, event = events, watcher.OutputTouched
			}
		case <-burst.C:
			burst.over()
			if restart = d.Folders.Check(r.Log); restart != nil {
				stop()
				continue
			}
			again = d.reload(stop) || again
			send, event = events, watcher.AskNow
		case <-d.Hangup:
			d.Manager.Reloading()
			if d.reload(stop) {
				again = true // the next round says when it is ready
			} else {
				d.Manager.Ready()
			}
			send, event = events, watcher.AskNow
		case <-d.Folders.Tick():
			if restart = d.Folders.Check(r.Log); restart != nil {
				stop()
			}
		}
	}
}

// reload loads the options again. If they have changed it stops the watcher, so that the next one
// uses them; wrong options change nothing.
func (d *Daemon) reload(stop context.CancelFunc) bool {
	var next Round
	o, err := d.Load()
	if err == nil {
		next, err = d.prepare(o)
	}
	if err != nil {
		d.round.Log.Error("the configuration is wrong; the agent goes on with the previous one", "error", err)
		d.Manager.Warning("the configuration is wrong and the agent goes on with the previous one")
		d.status.wrongConfiguration(err)
		return false
	}
	d.Manager.Warning("")
	d.status.wrongConfiguration(nil)
	if sameOptions(o, d.round.Options) && reflect.DeepEqual(next.Watcher.Config, d.round.Watcher.Config) {
		next.Close()
		return false
	}
	d.drop() // one that was to run next
	d.round = next
	stop()
	return true
}

// sameOptions compares the values, not where they came from.
func sameOptions(a, b *options.Options) bool {
	va, vb := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range va.NumField() {
		if va.Type().Field(i).IsExported() && !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			return false
		}
	}
	return true
}
