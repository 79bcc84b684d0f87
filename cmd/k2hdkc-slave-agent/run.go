package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/watcher"
)

// quiet is how long the inputs must be left alone before a change of them is
// taken: whoever writes one often writes several.
const quiet = 300 * time.Millisecond

// run is the daemon. reload reads the options anew.
func (p *program) run(ctx context.Context, o *options.Options, reload func() (*options.Options, error)) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	r := runner{program: p, hup: hup, reload: reload, manager: newManager(), late: newLateFolders(o, unix.Access, age)}
	defer r.late.stop()
	if err := r.late.check(p.logger(o)); err != nil {
		return err
	}
	if err := r.begin(ctx, o); err != nil {
		return err
	}
	defer r.manager.stopping()
	if r.watcher == nil { // ctx has ended before there was a configuration
		return nil
	}
	go reportHelper(ctx, r.options, r.log)
	r.log.Info("started", "version", versionName(), "role", r.options.Role, "api", r.options.APIURI.String(), "output", r.options.Output)
	for {
		again, err := r.watch(ctx)
		if err != nil || !again {
			return err
		}
		r.log.Info("the configuration has changed and is used from now on")
	}
}

// runner is the daemon with the options it runs on.
type runner struct {
	*program
	hup     <-chan os.Signal
	reload  func() (*options.Options, error)
	manager *manager
	late    *lateFolders
	round
}

// round is a watcher with the options it was made from.
type round struct {
	options *options.Options
	watcher *watcher.Watcher
	log     *slog.Logger
}

// begin makes the first round. Options that are wrong are an error. For those
// that nobody has given yet a service waits, and then it ends without a round if
// ctx does; who types the command is told.
func (r *runner) begin(ctx context.Context, o *options.Options) error {
	missing, err := o.Missing()
	if err != nil {
		return err
	}
	if len(missing) > 0 && isAwaited() {
		return r.await(ctx, o)
	}
	r.round, err = r.prepare(o)
	return err
}

// prepare makes a round, if everything can be made from the options.
func (r *runner) prepare(o *options.Options) (round, error) {
	log := r.logger(o)
	if err := prepareDirs(o); err != nil {
		return round{}, explainRights(err)
	}
	r.tidy(o, log)
	w, err := newWatcher(o, log)
	if err != nil {
		return round{}, err
	}
	w.Ready = r.manager.ready
	w.Alive, w.AliveEvery = r.manager.alive, aliveEvery()
	w.Changed = func(s watcher.Snapshot) { r.manager.say(s.String()) }
	w.Explain = explainRights
	return round{o, w, log}, explainRights(w.File.Check())
}

// watch runs the watcher until ctx ends, or until other options are to be
// used; then it returns true.
func (r *runner) watch(ctx context.Context) (again bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer r.watcher.Member.Client.Close()
	touched, err := watcher.Files(ctx, r.log, append(r.options.Inputs(), r.options.Output)...)
	if err != nil {
		return false, err
	}
	events := make(chan watcher.Event)
	done := make(chan error, 1)
	w, log := r.watcher, r.log
	go func() { done <- w.Run(ctx, events) }()
	still := time.NewTimer(time.Hour)
	still.Stop()

	var send chan<- watcher.Event
	var event watcher.Event
	var stale error
	for {
		select {
		case err := <-done:
			if stale != nil {
				return false, stale
			}
			return again, explainRights(err)
		case send <- event:
			send = nil
		case path := <-touched:
			if path != r.options.Output {
				still.Reset(quiet)
				continue
			}
			if send == nil {
				send, event = events, watcher.OutputTouched
			}
		case <-still.C:
			if stale = r.late.check(log); stale != nil {
				stop()
				continue
			}
			again = r.refresh(stop) || again
			send, event = events, watcher.AskNow
		case <-r.hup:
			r.manager.reloading()
			if r.refresh(stop) {
				again = true // the next round tells when it is ready
			} else {
				r.manager.ready()
			}
			send, event = events, watcher.AskNow
		case <-r.late.look():
			if stale = r.late.check(log); stale != nil {
				stop()
			}
		}
	}
}

// refresh reads the options anew. If they have changed it ends the watcher, so
// that the next one uses them; options that are wrong change nothing.
func (r *runner) refresh(stop context.CancelFunc) bool {
	var next round
	o, err := r.reload()
	if err == nil {
		next, err = r.prepare(o)
	}
	if err != nil {
		r.log.Error("the configuration is wrong; the one before stays in use", "error", err)
		r.manager.note("the configuration has become wrong and the one before stays in use")
		return false
	}
	r.manager.note("")
	if sameOptions(o, r.options) && reflect.DeepEqual(next.watcher.Config, r.watcher.Config) {
		return false
	}
	r.round = next
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
